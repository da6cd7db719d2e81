"""Transforms that move whole pixels or sizes: RandomHorizontalFlip, RandomCrop, RandomErasing, Resize."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import ShapeError
from ...ops import arguments
from ...random import Generator
from .transform import Fill, Images, RandomTransform, Transform, fill_value, interval, padded


class RandomHorizontalFlip(RandomTransform):
    """Mirror each picture left to right with probability p."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = arguments.probability("RandomHorizontalFlip", p)

    def apply_random(self, images: Images, generator: Generator) -> Images:
        result = images.copy()
        chosen = generator.bernoulli(self.p, len(images))
        result[chosen] = images[chosen, ..., ::-1]
        return result


class RandomCrop(RandomTransform):
    """Cut a window of `size` = (H, W), or of a square, out of each picture at a random place.

    Before that the picture is padded with `fill` (a number, or "edge" to repeat its border): `padding` is one
    number for all sides, (left and right, top and bottom), or (left, top, right, bottom), as in torchvision.
    Raises ShapeError for a window larger than the padded picture.
    """

    def __init__(
        self, size: int | tuple[int, int], padding: int | Sequence[int] | None = None, *, fill: Fill = 0
    ) -> None:
        self.size = arguments.pair("RandomCrop", "size", size, minimum=1)
        self.padding = _padding(padding)
        self.fill = fill_value("RandomCrop", fill)

    def apply_random(self, images: Images, generator: Generator) -> Images:
        left, top, right, bottom = self.padding
        source = padded(images, top, bottom, left, right, self.fill)
        n, h, w = len(source), *source.shape[2:]
        if h < self.size[0] or w < self.size[1]:
            raise ShapeError(
                f"RandomCrop: size {self.size} is larger than the picture, {h} x {w} pixels with its padding; "
                "give more padding or a smaller size"
            )
        rows = generator.integers(0, h - self.size[0] + 1, n)
        columns = generator.integers(0, w - self.size[1] + 1, n)
        windows = np.lib.stride_tricks.sliding_window_view(source, self.size, axis=(2, 3))
        result: Images = windows[np.arange(n), :, rows, columns]
        return result


def _padding(padding: Any) -> tuple[int, int, int, int]:
    values = (0,) if padding is None else tuple(padding) if isinstance(padding, (tuple, list)) else (padding,)
    if len(values) not in (1, 2, 4):
        raise ShapeError(f"RandomCrop: padding has {len(values)} numbers, needs 1, 2 or 4 (left, top, right, bottom)")
    sides = [arguments.integer("RandomCrop", "padding", v, minimum=0) for v in values]
    left, top = sides[0], sides[1 % len(sides)]
    return left, top, sides[2 % len(sides)], sides[-1]


class RandomErasing(RandomTransform):
    """Erase a random rectangle of each picture with probability p.

    Its share of the area is drawn from `scale` and its H / W from `ratio`, evenly in the logarithm; ten draws
    are made, the first that fits is taken, and if none does the picture stays whole. It is set to `value`: a
    number, one for each channel, or "random" for standard normal noise. Zhong et al., "Random erasing data
    augmentation" (2017).
    """

    TRIES = 10

    def __init__(
        self,
        p: float = 0.5,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        value: float | Sequence[float] | str = 0,
    ) -> None:
        self.p = arguments.probability("RandomErasing", p)
        self.scale = interval("RandomErasing", "scale", scale, 0, 1)
        self.ratio = interval("RandomErasing", "ratio", ratio, 0, open_low=True)
        self.value: float | str | tuple[float, ...]
        if isinstance(value, str):
            self.value = arguments.choice("RandomErasing", "value", value, ("random",))
        elif isinstance(value, (tuple, list)):
            self.value = tuple(arguments.number("RandomErasing", "value", v) for v in value)
        else:
            self.value = arguments.number("RandomErasing", "value", value)

    def apply_random(self, images: Images, generator: Generator) -> Images:
        n, c, h, w = images.shape
        if isinstance(self.value, tuple) and len(self.value) != c:
            raise ShapeError(f"RandomErasing: images have {c} channels, value has {len(self.value)} numbers")
        chosen = generator.bernoulli(self.p, n)
        area = h * w * generator.uniform((n, self.TRIES), *self.scale, dtype=np.float64)
        low, high = map(math.log, self.ratio)
        ratio = np.exp(generator.uniform((n, self.TRIES), low, high, dtype=np.float64))
        heights, widths = np.rint(np.sqrt(area * ratio)).astype(int), np.rint(np.sqrt(area / ratio)).astype(int)
        fits = (heights < h) & (widths < w)
        place = generator.uniform((n, 2), dtype=np.float64)
        result = images.copy()
        for i in np.flatnonzero(chosen & fits.any(axis=1)):
            k = fits[i].argmax()
            eh, ew = int(heights[i, k]), int(widths[i, k])
            top, left = int(place[i, 0] * (h - eh + 1)), int(place[i, 1] * (w - ew + 1))
            rectangle = result[i, :, top : top + eh, left : left + ew]
            if self.value == "random":
                rectangle[...] = generator.normal((c, eh, ew), dtype=images.dtype)
            else:
                rectangle[...] = np.reshape(self.value, (-1, 1, 1))
        return result


class Resize(Transform):
    """Bring pictures to another size, smoothly: each output pixel is a weighted mean of the input's nearest ones.

        y = R_H · x · R_Wᵀ    R[i, j] ∝ max(0, 1 − |j + ½ − (i + ½)·s| / max(s, 1)),  s = input size / output size

    every row of R summing to 1. Enlarging, this is bilinear interpolation; reducing, the triangle grows with s,
    so that every input pixel counts (PyTorch's bilinear with `antialias=True, align_corners=False`).
    `size` is (H, W), or one number for the shorter side, the longer one keeping the ratio.
    """

    def __init__(self, size: int | tuple[int, int]) -> None:
        self.size: int | tuple[int, int]
        if isinstance(size, (tuple, list)) and len(size) == 2:
            self.size = arguments.pair("Resize", "size", size, minimum=1)
        else:
            one = size[0] if isinstance(size, (tuple, list)) and len(size) == 1 else size
            self.size = arguments.integer("Resize", "size", one, minimum=1)

    def apply(self, images: Images) -> Images:
        height, width = images.shape[2:]
        if isinstance(self.size, tuple):
            oh, ow = self.size
        elif height <= width:
            oh, ow = self.size, self.size * width // height
        else:
            oh, ow = self.size * height // width, self.size
        if (oh, ow) == (height, width):  # both R are 1: two products of a batch would take longer than all else
            return images.copy()
        rows = _averages(height, oh).astype(images.dtype)
        columns = _averages(width, ow).astype(images.dtype)
        result: Images = rows @ (images @ columns.T)
        return result


def _averages(size: int, out: int) -> Images:
    """Return R (out, size), the weight of each input pixel in each output pixel along one axis."""
    step = size / out
    centres = (np.arange(out) + 0.5) * step
    weights = np.maximum(0, 1 - np.abs(np.arange(size) + 0.5 - centres[:, None]) / max(step, 1))
    result: Images = weights / weights.sum(axis=1, keepdims=True)
    return result

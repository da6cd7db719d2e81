"""Transform and RandomTransform: what all transforms of pictures share, and the checks of their arguments."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import random
from ...errors import DTypeError, ShapeError
from ...ops import arguments
from ...random import Generator

Images = NDArray[Any]  # (N, C, H, W), float32 or float64
Fill = float | str  # the value around the picture, or "edge" for its nearest pixel


class Transform:
    """A function of pictures that says what it does. Write your own by giving `apply`.

    Called with (N, C, H, W), or with (C, H, W), which `apply` sees as a batch of one.
    """

    def __call__(self, images: Any, generator: Generator | None = None) -> Images:
        batch = checked_images(type(self).__name__, images)
        result = self.apply(batch)
        return result if images.ndim == 4 else result[0]

    def apply(self, images: Images) -> Images:
        """Return the transformed batch (N, C, H, W), leaving `images` as it is."""
        raise NotImplementedError(f"{type(self).__name__} needs a method apply(self, images)")

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if not name.startswith("_"))
        return f"{type(self).__name__}({shown})"


class RandomTransform(Transform):
    """A transform that draws. Write your own by giving `apply_random`."""

    def __call__(self, images: Any, generator: Generator | None = None) -> Images:
        batch = checked_images(type(self).__name__, images)
        result = self.apply_random(batch, generator or Generator.next(random.AUGMENT))
        return result if images.ndim == 4 else result[0]

    def apply_random(self, images: Images, generator: Generator) -> Images:
        """Return the transformed batch (N, C, H, W), every decision drawn from `generator`."""
        raise NotImplementedError(f"{type(self).__name__} needs a method apply_random(self, images, generator)")


def checked_images(name: str, images: Any) -> Images:
    """Return a batch (N, C, H, W) or one picture (C, H, W) as a batch."""
    if not isinstance(images, np.ndarray):
        raise DTypeError(f"{name}: images must be a NumPy array, got {type(images).__name__}")
    if images.ndim not in (3, 4) or 0 in images.shape[-3:]:
        raise ShapeError(f"{name}: images have shape {images.shape}, needs (N, C, H, W) or (C, H, W) with pixels")
    if images.dtype not in (np.float32, np.float64):
        raise DTypeError(
            f"{name}: images are {images.dtype}, needs float32 or float64; "
            "8-bit grey values become floats in [0, 1] with (images / 255).astype(np.float32)"
        )
    return images if images.ndim == 4 else images[None]


def per_picture(values: Any, images: Images) -> Images:
    """Return one number for each picture (N,) in the pictures' type, to be broadcast (N, 1, 1, 1)."""
    column: Images = np.asarray(values).astype(images.dtype).reshape(-1, 1, 1, 1)
    return column


def interval(
    name: str, argument: str, value: Any, low: float = -math.inf, high: float = math.inf, open_low: bool = False
) -> tuple[float, float]:
    """Return a pair (smallest, largest) of finite numbers within the bounds."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ShapeError(f"{name}: {argument} is {value!r}, needs two numbers (smallest, largest)")
    first, last = (arguments.number(name, argument, v, low, high, open_low) for v in value)
    if not (math.isfinite(last - first) and first <= last):
        raise ShapeError(f"{name}: {argument} is {tuple(value)}, needs finite numbers (smallest, largest) in order")
    return first, last


def spread(name: str, argument: str, value: Any, centre: float, low: float = -math.inf) -> tuple[float, float]:
    """Return a number d as the interval (centre − d, centre + d), cut off at `low`, or a pair as it is."""
    if isinstance(value, (tuple, list)):
        return interval(name, argument, value, low)
    distance = arguments.number(name, argument, value, 0)
    return interval(name, argument, (max(centre - distance, low), centre + distance))


def fill_value(name: str, fill: Any) -> Fill:
    """Return the value for what lies outside the picture: a number, or "edge"."""
    if isinstance(fill, str):
        return arguments.choice(name, "fill", fill, ("edge",))
    return arguments.number(name, "fill", fill)


def padded(images: Images, top: int, bottom: int, left: int, right: int, fill: Fill) -> Images:
    """Return the pictures with a margin of `fill` around them."""
    margin = ((0, 0), (0, 0), (top, bottom), (left, right))
    if fill == "edge":
        return np.pad(images, margin, mode="edge")
    return np.pad(images, margin, constant_values=fill)

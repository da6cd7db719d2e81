"""Transforms of the values alone: Normalize, ColorJitter, RandomLight."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import ShapeError
from ...ops import arguments
from ...random import Generator
from .transform import Images, RandomTransform, Transform, per_picture, spread


class Normalize(Transform):
    """Bring the values of each channel to mean 0 and standard deviation 1, given what they are.

        y[n, c] = (x[n, c] − mean[c]) / std[c]

    `mean` and `std` are one number for each channel, or one for all. Raises ShapeError when their number is not
    that of the channels, and for std = 0.
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        self.mean = _per_channel("mean", mean)
        self.std = _per_channel("std", std)
        if min(self.std) <= 0:
            raise ShapeError(f"Normalize: std is {self.std}, needs numbers above 0")

    def apply(self, images: Images) -> Images:
        channels = images.shape[1]
        for argument, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, channels):
                raise ShapeError(f"Normalize: images have {channels} channels, {argument} has {len(values)} numbers")
        mean, std = (np.array(values, images.dtype).reshape(-1, 1, 1) for values in (self.mean, self.std))
        result: Images = (images - mean) / std
        return result


def _per_channel(argument: str, value: Any) -> tuple[float, ...]:
    values = value if isinstance(value, (tuple, list, np.ndarray)) else (value,)
    if not len(values):
        raise ShapeError(f"Normalize: {argument} is empty, needs one number for each channel, or one for all")
    return tuple(arguments.number("Normalize", argument, v) for v in values)


class ColorJitter(RandomTransform):
    """Make each picture brighter or darker, then harder or softer.

        y = c · (b·x − m) + m    with m = mean of b·x over the picture (all channels)

    b is drawn from [max(0, 1 − brightness), 1 + brightness] or from the pair given, c likewise by `contrast`.
    Values are not cut off at 0 or 1. torchvision applies the two in random order and takes m from the grey
    picture. Raises ShapeError for negative numbers.
    """

    def __init__(self, brightness: float | tuple[float, float] = 0, contrast: float | tuple[float, float] = 0) -> None:
        self.brightness = spread("ColorJitter", "brightness", brightness, centre=1, low=0)
        self.contrast = spread("ColorJitter", "contrast", contrast, centre=1, low=0)

    def apply_random(self, images: Images, generator: Generator) -> Images:
        n = len(images)
        b = per_picture(generator.uniform(n, *self.brightness, dtype=np.float64), images)
        c = per_picture(generator.uniform(n, *self.contrast, dtype=np.float64), images)
        mean = images.mean(axis=(1, 2, 3), keepdims=True)
        result: Images = images * (b * c)
        result += b * mean * (1 - c)
        return result


class RandomLight(RandomTransform):
    """Light each picture from a side: a linear gradient over the picture, multiplied in.

        y[n, c, i, j] = x[n, c, i, j] · (1 + s · (u_j cos φ + v_i sin φ) / (|cos φ| + |sin φ|))

    with u and v from −1 (first column, first row) to 1 (last), φ drawn from all directions and s from
    [0, strength]: the brightest corner gains and the darkest loses up to `strength`, the mean light stays.
    Raises ShapeError outside 0 ≤ strength ≤ 1.
    """

    def __init__(self, strength: float) -> None:
        self.strength = arguments.number("RandomLight", "strength", strength, 0, 1)

    def apply_random(self, images: Images, generator: Generator) -> Images:
        n, _, h, w = images.shape
        angle = generator.uniform(n, 0, 2 * math.pi, dtype=np.float64)
        amount = generator.uniform(n, 0, self.strength, dtype=np.float64)
        amount /= np.abs(np.cos(angle)) + np.abs(np.sin(angle))
        light = per_picture(amount * np.cos(angle), images) * _from_minus_to_plus_one(w, images)
        light = light + per_picture(amount * np.sin(angle), images) * _from_minus_to_plus_one(h, images)[:, None]
        light += 1
        result: Images = images * light
        return result


def _from_minus_to_plus_one(size: int, images: Images) -> Images:
    return np.linspace(-1, 1, size, dtype=images.dtype) if size > 1 else np.zeros(1, images.dtype)

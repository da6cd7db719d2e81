"""Compose: one transform after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...errors import DTypeError
from ...random import Generator
from .transform import Images, RandomTransform, Transform
from .warp import Warp, joined, warp


class Compose(RandomTransform):
    """Apply transforms in their order, all drawing from one generator.

    `RandomAffine` followed by a `RandomAffine` or `ElasticTransform` of the same `fill` resamples once for both
    (see `warp.py`). Any function of a batch (N, C, H, W) may stand among the transforms.
    """

    def __init__(self, transforms: Sequence[Callable[[Images], Images]]) -> None:
        if not isinstance(transforms, (tuple, list)):
            raise DTypeError(f"Compose: transforms must be a list, got {type(transforms).__name__}")
        for each in transforms:
            if not callable(each):
                raise DTypeError(f"Compose: {each!r} is no transform, needs functions of a batch (N, C, H, W)")
        self.transforms = list(transforms)

    def apply_random(self, images: Images, generator: Generator) -> Images:
        warps: list[Warp] = []
        for each, following in zip(self.transforms, [*self.transforms[1:], None]):
            if isinstance(each, Warp):
                warps.append(each)
                if not joined(each, following):
                    images, warps = warp(warps, images, generator), []
            elif isinstance(each, Transform):
                images = each(images, generator)
            else:
                images = each(images)
        return images

"""Transforms that resample: RandomAffine, ElasticTransform, and the bilinear gather that they share.

A warp says, for each pixel of the result, from which place of the picture it comes. Two in a row need one
resampling only: the second one's places are handed to the first (`warp`), which `Compose` makes use of.

Places are given in pixels, pixel centres being whole numbers: rows 0 … H − 1, columns 0 … W − 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import ShapeError
from ...ops import arguments
from ...random import Generator
from .transform import Fill, Images, RandomTransform, fill_value, interval, padded, spread

Places = tuple[Images, Images]  # rows and columns, each to be broadcast to (N, H, W)

# Points resampled at a time, so that the dozen work arrays stay in the second-level cache
_POINTS = 1 << 14


def resample(images: Images, places: Places, fill: Fill) -> Images:
    """Return the pictures at other places, by bilinear interpolation of the four pixels around each.

        y[n, c, i, j] = Σ_{p, q}  max(0, 1 − |rows[n, i, j] − p|) · max(0, 1 − |columns[n, i, j] − q|) · x[n, c, p, q]

    Pixels outside the picture count as `fill`, or with "edge" as the nearest one inside.
    """
    n, c = images.shape[:2]
    oh, ow = np.broadcast_shapes(*(p.shape for p in places))[-2:]
    rows, columns = (np.broadcast_to(p, (n, oh, ow)) for p in places)
    result = np.empty((n, c, oh, ow), images.dtype)
    step = max(1, _POINTS // (oh * ow))
    for first in range(0, n, step):
        part = slice(first, first + step)
        _resample(images[part], rows[part], columns[part], fill, result[part])
    return result


def _resample(images: Images, rows: Images, columns: Images, fill: Fill, out: Images) -> None:
    n, c, h, w = images.shape
    # With a margin of one pixel of fill, every place is inside once it is clipped to the margin.
    source = np.ascontiguousarray(padded(images, 1, 1, 1, 1, fill).swapaxes(0, 1)).reshape(c, -1)
    upper, below = _whole_and_fraction(rows, h)
    left, beside = _whole_and_fraction(columns, w)
    width = w + 2
    corner = upper.astype(np.intp)
    corner *= width
    corner += left.astype(np.intp)
    corner += (np.arange(n) * ((h + 2) * width)).reshape(-1, 1, 1)
    for k in range(c):
        plane = source[k]
        top, top_right = plane.take(corner), plane[1:].take(corner)
        bottom, bottom_right = plane[width:].take(corner), plane[width + 1 :].take(corner)
        top += beside * (top_right - top)
        bottom += beside * (bottom_right - bottom)
        out[:, k] = top + below * (bottom - top)


def _whole_and_fraction(places: Images, size: int) -> Places:
    """Return places in the picture with its margin as ⌊place⌋, at most `size`, and the rest."""
    inside = np.clip(places + 1, 0, size + 1)
    whole = np.minimum(np.floor(inside), size)
    return whole, inside - whole


class Warp(RandomTransform):
    """A transform that takes each pixel of its result from some place of the picture."""

    fill: Fill
    moves_any_place = True  # False: only the places of whole pixels

    def draw(self, n: int, size: tuple[int, int], generator: Generator) -> Any:
        """Return what is drawn for n pictures of (H, W) pixels."""
        raise NotImplementedError

    def sources(self, drawn: Any, places: Places, size: tuple[int, int]) -> Places:
        """Return the places in the picture from which the given places of the result come."""
        raise NotImplementedError

    def apply_random(self, images: Images, generator: Generator) -> Images:
        return warp([self], images, generator)


def warp(warps: Sequence[Warp], images: Images, generator: Generator) -> Images:
    """Apply warps of one fill in their order, resampling once.

    Each draws what it would draw alone. The result is sharper than one warp after another (one interpolation
    instead of several), and what a later one brings back from outside the picture is not lost.
    """
    n, _, h, w = images.shape
    drawn = [each.draw(n, (h, w), generator) for each in warps]
    places = np.arange(h, dtype=images.dtype)[:, None], np.arange(w, dtype=images.dtype)[None, :]
    for each, numbers in zip(reversed(warps), reversed(drawn)):
        places = each.sources(numbers, places, (h, w))
    return resample(images, places, warps[0].fill)


def joined(first: Any, second: Any) -> bool:
    """Return whether a warp can share the resampling of the transform before it."""
    return isinstance(first, Warp) and isinstance(second, Warp) and first.moves_any_place and first.fill == second.fill


class RandomAffine(Warp):
    """Turn, shift, scale and shear each picture around its centre m.

        result at m + t + A·d  =  picture at m + d        A = s · R(angle) · Y(shear y) · X(shear x)

        R = [cos −sin; sin cos]   Y = [1 0; −tan 1]   X = [1 −tan; 0 1]   for vectors (x to the right, y down)

    `degrees`: a number d for angles in [−d, d], or a pair; clockwise. `translate` (a, b): shifts of up to
    a·W to the sides and b·H up and down (not rounded to whole pixels). `scale`: a pair. `shear` in degrees: a
    number or pair for x, four numbers for x and y. `fill`: the value around the picture, or "edge" for its
    nearest pixel. Raises ShapeError for a negative `degrees`, a scale of 0, a shear of 90 degrees.
    """

    def __init__(
        self,
        degrees: float | tuple[float, float],
        translate: tuple[float, float] | None = None,
        scale: tuple[float, float] | None = None,
        shear: float | Sequence[float] | None = None,
        fill: Fill = 0,
    ) -> None:
        self.degrees = spread("RandomAffine", "degrees", degrees, centre=0)
        self.translate = None
        if translate is not None:
            if not isinstance(translate, (tuple, list)) or len(translate) != 2:
                raise ShapeError(f"RandomAffine: translate is {translate!r}, needs two fractions (of W, of H)")
            a, b = (arguments.number("RandomAffine", "translate", v, 0, 1) for v in translate)
            self.translate = (a, b)
        self.scale = None if scale is None else interval("RandomAffine", "scale", scale, 0, open_low=True)
        self.shear = None if shear is None else _shear(shear)
        self.fill = fill_value("RandomAffine", fill)

    def draw(self, n: int, size: tuple[int, int], generator: Generator) -> Any:
        a, b = self.translate or (0, 0)
        shear = self.shear or (0, 0, 0, 0)
        limits = (
            self.degrees,
            (-a * size[1], a * size[1]),
            (-b * size[0], b * size[0]),
            self.scale or (1, 1),
            shear[:2],
            shear[2:],
        )
        return [generator.uniform(n, *limit, dtype=np.float64) for limit in limits]

    def sources(self, drawn: Any, places: Places, size: tuple[int, int]) -> Places:
        rows, columns = places
        middle_y, middle_x = (size[0] - 1) / 2, (size[1] - 1) / 2
        degrees, shift_x, shift_y, scale, shear_x, shear_y = drawn
        back = np.linalg.inv(affine_matrix(degrees, scale, shear_x, shear_y))  # d = A⁻¹ · (place − m − t)
        away_x, away_y = middle_x + shift_x, middle_y + shift_y
        offset_x = middle_x - back[:, 0, 0] * away_x - back[:, 0, 1] * away_y
        offset_y = middle_y - back[:, 1, 0] * away_x - back[:, 1, 1] * away_y
        xx, xy, yx, yy, x0, y0 = (
            v.astype(columns.dtype).reshape(-1, 1, 1)
            for v in (back[:, 0, 0], back[:, 0, 1], back[:, 1, 0], back[:, 1, 1], offset_x, offset_y)
        )
        return (yy * rows + y0) + yx * columns, (xx * columns + x0) + xy * rows


def affine_matrix(degrees: Images, scale: Images, shear_x: Images, shear_y: Images) -> Images:
    """Return A of `RandomAffine` for numbers (N,): shape (N, 2, 2)."""
    angle = np.radians(degrees)
    zero, one = np.zeros_like(angle), np.ones_like(angle)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    along_y = np.array([[one, zero], [-np.tan(np.radians(shear_y)), one]])
    along_x = np.array([[one, -np.tan(np.radians(shear_x))], [zero, one]])
    a, b, c = (np.moveaxis(m, -1, 0) for m in (turn, along_y, along_x))
    matrix: Images = scale[:, None, None] * (a @ b @ c)
    return matrix


def _shear(shear: Any) -> tuple[float, float, float, float]:
    if isinstance(shear, (tuple, list)) and len(shear) == 4:
        x, y = tuple(shear[:2]), tuple(shear[2:])
    else:
        x, y = spread("RandomAffine", "shear", shear, centre=0), (0.0, 0.0)
    limits = (*interval("RandomAffine", "shear", x), *interval("RandomAffine", "shear", y))
    if max(map(abs, limits)) >= 90:
        raise ShapeError(f"RandomAffine: shear is {shear}, needs angles between -90 and 90 degrees")
    return limits


class ElasticTransform(Warp):
    """Bend each picture smoothly, as if drawn on rubber.

    A pixel (i, j) of the result comes from (i + δ_y, j + δ_x) of the picture; the two fields δ are uniform noise
    on [−1, 1) at each pixel, averaged with a Gaussian of standard deviation `sigma` pixels, times α/2 pixels (as
    torchvision's, whose alpha is in units of half the picture). Simard, Steinkraus and Platt, "Best practices
    for convolutional neural networks applied to visual document analysis" (2003), Section 2.

    For large sigma the averaged noise is a normal field of standard deviation α / (4 σ √(3π)) that hardly
    changes within sigma, so it is drawn as one: normal numbers z at knots `sigma` apart (one pixel apart for
    σ < 1), reaching three sigma beyond the borders, each spread as a Gaussian bump,

        δ[i, j] = α / (2√3) · Σ_{p, q}  B[i, p] · B[j, q] · z[p, q]      B[i, p] ∝ exp(−(i − knot_p)² / 2σ²)

    with Σ_p B[i, p]² that of the averaging filter. Its covariance is the averaged noise's to 2·10⁻⁴ of the
    variance, up to the border; a picture of 56 × 46 pixels with sigma 5 takes 18 · 16 normal numbers for each
    field, where a noise on every pixel and on the margin takes 86 · 76 uniform ones and two long sums for each.

    `fill` is the value around the picture, or "edge". Raises ShapeError for alpha < 0 or sigma ≤ 0.
    """

    moves_any_place = False

    def __init__(self, alpha: float = 50.0, sigma: float = 5.0, fill: Fill = 0) -> None:
        self.alpha = arguments.number("ElasticTransform", "alpha", alpha, 0)
        self.sigma = arguments.number("ElasticTransform", "sigma", sigma, 0, open_low=True)
        if not math.isfinite(self.alpha + self.sigma):
            raise ShapeError(f"ElasticTransform: alpha is {alpha}, sigma is {sigma}; needs finite numbers")
        self.fill = fill_value("ElasticTransform", fill)

    def draw(self, n: int, size: tuple[int, int], generator: Generator) -> Any:
        bumps_y, bumps_x = gaussian_bumps(size[0], self.sigma), gaussian_bumps(size[1], self.sigma)
        knots = generator.normal((2, n, bumps_y.shape[1], bumps_x.shape[1]))
        across = knots @ bumps_x.T.astype(np.float32) * np.float32(self.alpha / (2 * math.sqrt(3)))
        return bumps_y.astype(np.float32) @ across

    def sources(self, drawn: Any, places: Places, size: tuple[int, int]) -> Places:
        rows, columns = places
        return rows + drawn[0], columns + drawn[1]


def gaussian_bumps(size: int, sigma: float) -> Images:
    """Return B of `ElasticTransform` for one axis: shape (size, knots)."""
    spacing = max(1.0, sigma)
    margin = math.ceil(3 * sigma / spacing)
    knots = spacing * np.arange(-margin, math.ceil((size - 1) / spacing) + margin + 1)
    bumps = np.exp(-((np.arange(size)[:, None] - knots) ** 2) / (2 * sigma**2))
    reach = math.ceil(6 * sigma)
    average = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    average /= average.sum()
    result: Images = bumps * np.sqrt((average**2).sum() / (bumps**2).sum(axis=1, keepdims=True))
    return result

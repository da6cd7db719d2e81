"""Kinks and ties: where a function has no derivative, and which gradients are right there.

At a kink the two one-sided derivatives along a direction v differ, and between them lies what a subgradient g may say:

    −f'(x; −v)  ≤  g · v  ≤  f'(x; v)        for every v (turned round where f is concave)

For max(a, b) at a = b, each of a and b alone allows shares from 0 to 1; moving both at once, v = (1, 1), there is no
kink at all, and the shares must sum to 1. So single elements do not suffice: the directions must move the tied elements
together. All this holds for one output element at a time; in a sum of several, kinks of both signs may meet.
Source: Clarke, "Optimization and Nonsmooth Analysis" (1983), sections 2.1 to 2.3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .point import Point
from .search import Clock

Array = Any
STEP = 1e-6  # relative to the values' sizes: what has a kink within it counts as sitting on it
WIDE_STEP = 0.02  # in float32


@dataclass
class Kinks:
    """The outputs that have a kink exactly at a point, and those that jump there."""

    bent: Array  # bool per output
    jumping: Array  # bool per output


@dataclass
class Verdict:
    """What the outputs with kinks say of a gradient."""

    judged: int = 0
    tied: set[int] = field(default_factory=set)  # elements on a kink
    # output, its tied elements, what the gradient gives them together, least and greatest right value
    wrong_sums: list[tuple[int, list[int], float, float, float]] = field(default_factory=list)
    mixed: bool = False  # kinks of both signs, or a wrong value that a chain of right ones may give


def find(point: Point, elements: Array, rng: np.random.Generator) -> Kinks:
    """Return which outputs have a kink or a jump at the point itself, by two sizes of one random step."""
    v = np.zeros(point.x.shape)
    v[elements] = rng.uniform(0.5, 1.5, elements.shape) * rng.choice((-1.0, 1.0), elements.shape) * point.size[elements]
    return _bends(point, v)


def _step(point: Point) -> float:
    return STEP if point.subject.wide else WIDE_STEP


def _bends(point: Point, v: Array) -> Kinks:
    t = _step(point)
    with np.errstate(all="ignore"):
        far_up, far_down = point.move(v, t), point.move(v, -t)
        far = far_up + far_down - 2 * point.base
        change = np.abs(far_up - point.base) + np.abs(far_down - point.base)
        candidates = np.abs(far) > 100 * point.noise + (1e-4 if point.subject.wide else 0.1) * change
        if not candidates.any():
            return Kinks(np.zeros(point.base.shape, bool), np.zeros(point.base.shape, bool))
        near = point.move(v, t / 4) + point.move(v, -t / 4) - 2 * point.base
        candidates &= np.abs(near) > 20 * point.noise
        ratio = np.abs(far) / np.abs(near)
        jumping = candidates & (ratio < 1.6)
        jumping |= np.isfinite(point.base) & ~(np.isfinite(far) & np.isfinite(near))
    return Kinks(candidates & (ratio > 2.8) & (ratio < 6) & ~jumping, jumping)


def judge(
    point: Point, bent: Array, elements: Array, rng: np.random.Generator, clock: Clock, most: int, random: int = 6
) -> Verdict:
    """Compare gradients of single outputs with one-sided derivatives along joint directions.

    All elements together (ties stay ties then, and the shares must sum to the whole), those of each array, and
    random ones. The evaluations serve all outputs; each output costs one backward pass.
    """
    verdict = Verdict()
    outputs = np.flatnonzero(bent)
    if outputs.size > most:
        outputs = np.sort(rng.choice(outputs, most, replace=False))
    directions = _directions(point, elements, rng, random)
    up, down = [], []
    for v in directions:
        up.append(_one_sided(point, v)[outputs])
        down.append(-_one_sided(point, -v)[outputs])
        if clock.left() < 0:
            return verdict
    for column, i in enumerate(outputs):
        if clock.left() < 0:
            break
        cotangent = np.zeros(point.base.shape)
        cotangent[i] = 1.0
        gradient = point.gradient(cotangent)
        sides = [(u[column], d[column]) for u, d in zip(up, down)]
        verdict.judged += 1
        if _violated(point, int(i), gradient, directions, sides, verdict) and not _near(
            point, int(i), gradient, directions, elements, rng
        ):
            _blame(point, int(i), gradient, elements, rng, clock.at_most(1.0), verdict)
            if len(verdict.wrong_sums) > 3:
                break
    return verdict


def tied_elements(point: Point, bent: Array, elements: Array, rng: np.random.Generator, clock: Clock) -> Array | None:
    """Return the elements along which any of the outputs has a kink, by halving what does; None if time runs out."""
    found: list[int] = []
    stack = [elements]
    while stack:
        if clock.left() < 0:
            return None
        block = stack.pop()
        if not (find(point, block, rng).bent & bent).any():
            continue
        if block.size == 1:
            found.append(int(block[0]))
        else:
            middle = block.size // 2
            stack += [block[:middle], block[middle:]]
    return np.array(sorted(found), int)


def _directions(point: Point, elements: Array, rng: np.random.Generator, random: int) -> list[Array]:
    size = float(np.median(point.size[elements]))
    together = np.zeros(point.x.shape)
    together[elements] = size
    arrays = []
    for s in point.slices:
        v = np.zeros(point.x.shape)
        v[s] = together[s]
        if v.any() and not np.array_equal(v, together):
            arrays.append(v)
    drawn = []
    for _ in range(random):
        v = np.zeros(point.x.shape)
        v[elements] = rng.uniform(0.2, 1.5, elements.shape) * rng.choice((-1.0, 1.0), elements.shape) * size
        drawn.append(v)
    return [together, *arrays[:4], *drawn]


def _one_sided(point: Point, v: Array) -> Array:
    """Return the derivative of every output in the direction v, from that side only."""
    t = _step(point)
    with np.errstate(all="ignore"):
        near, far = point.move(v, t / 2) - point.base, point.move(v, t) - point.base
        derivative: Array = (4 * near - far) / t
    return derivative


def _violated(
    point: Point, i: int, gradient: Array, directions: list[Array], sides: list[tuple[float, float]], verdict: Verdict
) -> bool:
    """Return whether a gradient of output i clearly leaves what its one-sided derivatives allow."""
    outside, curvatures = [], []
    for v, (up, down) in zip(directions, sides):
        says = float(gradient @ v)
        scale = max(abs(up), abs(down), float(np.sqrt(((gradient * v) ** 2).sum())))
        tolerance = 1e-4 * scale + 100 * float(point.noise[i]) / _step(point)
        if not np.isfinite(up - down):
            continue
        curvatures.append(0.0 if abs(up - down) <= tolerance else up - down)
        beyond = max(says - max(up, down), min(up, down) - says)
        if not beyond <= tolerance:
            outside.append((beyond, abs(up - down), says != 0))
    if not outside:
        return False
    regular = min(curvatures) >= 0 or max(curvatures) <= 0
    # A little outside may still be a chain of right choices whose kinks partly cancel, or two branches that both
    # leave the kink itself to the other (then it is 0).
    clear = any(beyond >= (0.1 if chosen else 0.5) * width for beyond, width, chosen in outside)
    if point.subject.composed or not regular or not clear:
        verdict.mixed = True
        return False
    return True


def _near(
    point: Point, i: int, gradient: Array, directions: list[Array], elements: Array, rng: np.random.Generator
) -> bool:
    """Return whether a gradient is one of those nearby: for a kink that is neither convex nor concave, as a median's.

    Clarke's generalised gradient is the hull of the gradients at points beside the kink; so g · v must lie between the
    least and the greatest derivative along v there, for every v.
    """
    t = _step(point)
    size = float(np.median(point.size[elements]))
    beside = []
    for _ in range(16):
        away = np.zeros(point.x.shape)
        away[elements] = 1e2 * t * size * rng.uniform(-1, 1, elements.shape)
        beside.append(point.x + away)
    for v in directions:
        with np.errstate(all="ignore"):
            slopes = np.array([(point.outputs(x + t * v)[i] - point.outputs(x - t * v)[i]) / (2 * t) for x in beside])
        says, room = float(gradient @ v), 1e-3 * float(np.abs(slopes).max()) + 100 * float(point.noise[i]) / t
        if not slopes.min() - room <= says <= slopes.max() + room:
            return False
    return True


def _blame(
    point: Point, i: int, gradient: Array, elements: Array, rng: np.random.Generator, clock: Clock, verdict: Verdict
) -> None:
    """Enter which elements are tied in output i, and what they should get together."""
    only = np.zeros(point.base.shape, bool)
    only[i] = True
    tied = tied_elements(point, only, elements, rng, clock)
    tied = elements if tied is None or not tied.size else tied
    verdict.tied.update(int(j) for j in tied)
    v = np.zeros(point.x.shape)
    v[tied] = 1.0
    up, down = _one_sided(point, v)[i], -_one_sided(point, -v)[i]
    verdict.wrong_sums.append((i, [int(j) for j in tied], float(gradient @ v), min(up, down), max(up, down)))

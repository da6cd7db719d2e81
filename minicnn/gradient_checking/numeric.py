"""The numeric side: derivatives along a line by central differences, with a measured error.

    D(h) = (f(h) − f(−h)) / 2h = f'(0) + c₂h² + c₄h⁴ + …

A small h leaves little of the series but divides the rounding errors of f by a small number; a large h
does the opposite. Richardson's extrapolation removes the first terms of the series, so that h can be large:

    R(h) = (4 D(h/2) − D(h)) / 3 = f'(0) + O(h⁴),        (16 R(h/2) − R(h)) / 15 = f'(0) + O(h⁶)

and how far the values of R lie apart says how far to trust them. The rounding errors of f are measured, too: by how
much f moves when its arguments move by a few units in their last place.
Source: Ridders, "Accurate computation of F'(x) and F'(x)F''(x)", Adv. Eng. Software 4 (1982).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any
Line = Callable[[float], Array]  # t → all outputs at x + t·direction, flat

# Step lengths relative to the size of the values. The first is the best for a smooth function; the others are
# for kinks nearby (a network of many ReLUs has some within any step) and for values far smaller than the rest.
STEPS = (1e-3, 3e-5, 1e-6, 3e-8, 1e-10)
WIDE_STEPS = (0.3, 0.05)  # in float32


@dataclass(frozen=True)
class Derivative:
    """A measured derivative and how far it can be off."""

    value: float
    error: float


UNKNOWN = Derivative(float("nan"), float("inf"))


def along(
    line: Line, cotangent: Array, scale: float, noise: Array, enough: float, steps: tuple[float, ...] = STEPS
) -> Derivative:
    """Return d/dt of cotangent · line(t) at t = 0.

    `scale` is the length of t that counts as the size of the values, `noise` the rounding error of each output.
    Smaller steps are tried until the estimated error is at most `enough`.
    """
    best = UNKNOWN
    uncertain = (noise * cotangent) ** 2
    moving = np.zeros(cotangent.shape, bool)  # outputs that a larger step has moved: a small one may not, by rounding
    for i, step in enumerate(steps):
        found = _richardson(line, cotangent, step * scale, uncertain, moving)
        if found.error < best.error:
            best = found
        elif i > 2 and np.isfinite(best.error):  # rounding has taken over
            break
        if best.error <= enough:
            break
    return best


def estimates(line: Line, cotangent: Array, steps: tuple[float, ...] = STEPS) -> list[Derivative]:
    """Return the derivative as each step has it, leaving out steps at which outputs stand still that should move.

    An output that is the small difference of large numbers moves in jumps; below the size of a jump it stands still,
    and looks as if it had no derivative.
    """
    found, moving = [], np.zeros(cotangent.shape, bool)
    for step in steps:
        before = moving.copy()
        value = _richardson(line, cotangent, step, np.zeros(cotangent.shape), moving)
        with np.errstate(all="ignore"):
            stuck = before & (line(step / 4) == line(-step / 4))
        if np.abs(cotangent[stuck]).sum() <= 0.1 * np.abs(cotangent[before]).sum() and np.isfinite(value.value):
            found.append(value)
    return found


def _richardson(line: Line, cotangent: Array, h: float, uncertain: Array, moving: Array) -> Derivative:
    differences, rounding = [], 0.0
    with np.errstate(all="ignore"):
        for step in (h, h / 2, h / 4):
            change = line(step) - line(-step)
            differences.append(dot(cotangent, change) / (2 * step))
        moving |= change != 0
        rounding = float(np.sqrt(uncertain @ moving)) / (2 * step)
        d1, d2, d3 = differences
        r1, r2 = (4 * d2 - d1) / 3, (4 * d3 - d2) / 3
        value = (16 * r2 - r1) / 15
        error = 3 * abs(r2 - r1) + 4 * rounding
    return Derivative(value, error) if np.isfinite(error) else UNKNOWN


def dot(cotangent: Array, change: Array) -> float:
    """Return the sum of products where the cotangent is not 0: an output left out may be infinite."""
    total = float(cotangent @ change)
    if not np.isfinite(total):
        used = cotangent != 0
        total = float(cotangent[used] @ change[used])
    return total

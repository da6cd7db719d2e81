"""The numeric side: derivatives along a line by central differences, with a measured error.

    D(h) = (f(h) − f(−h)) / 2h = f'(0) + c₂h² + c₄h⁴ + …

A small h leaves little of the series but divides the rounding errors of f by a small number; a large h
does the opposite. Richardson's extrapolation removes the first terms of the series, so that h can be large:

    R(h) = (4 D(h/2) − D(h)) / 3 = f'(0) + O(h⁴),        (16 R(h/2) − R(h)) / 15 = f'(0) + O(h⁶)

and how far the last two values lie apart says how far to trust them.
Source: Ridders, "Accurate computation of F'(x) and F'(x)F''(x)", Adv. Eng. Software 4 (1982).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any
Line = Callable[[float], Array]  # t → all outputs at x + t·direction, flat

EPSILON = float(np.finfo(np.float64).eps)
STEPS = (1e-3, 3e-5, 1e-6)  # relative to the size of the values; smaller where a kink lies near


@dataclass(frozen=True)
class Derivative:
    """A measured derivative and how far it can be off."""

    value: float
    error: float


def along(line: Line, cotangent: Array, scale: float = 1.0, enough: float = 1e-10) -> Derivative:
    """Return d/dt of cotangent · line(t) at t = 0.

    `scale` is the length of t that counts as "of the size of the values". Smaller steps are tried until the
    estimated error is `enough` of the derivative.
    """
    best = Derivative(float("nan"), float("inf"))
    for step in STEPS:
        found = _richardson(line, cotangent, step * scale)
        if found.error < best.error:
            best = found
        if best.error <= enough * abs(best.value):
            break
    return best


def _richardson(line: Line, cotangent: Array, h: float) -> Derivative:
    differences, noise = [], 0.0
    with np.errstate(all="ignore"):
        for step in (h, h / 2, h / 4):
            forward, backward = line(step), line(-step)
            change = forward - backward
            differences.append(float(cotangent @ change) / (2 * step))
            moved = np.where(change != 0, np.abs(forward) * np.abs(cotangent), 0)
            noise = EPSILON * float(np.sqrt(moved @ moved)) / step
        d1, d2, d3 = differences
        r1, r2 = (4 * d2 - d1) / 3, (4 * d3 - d2) / 3
        value = (16 * r2 - r1) / 15
        error = abs(value - r2) + noise
    return Derivative(value, error if np.isfinite(error) else float("inf"))

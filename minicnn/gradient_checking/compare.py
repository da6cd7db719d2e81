"""When an analytic and a numeric derivative agree.

The bound is made of what was measured: the error of the numeric derivative, the rounding error of the analytic
one (both in the units of the direction), and the relative tolerance `rtol` that the caller allows on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .numeric import UNKNOWN, Derivative, estimates
from .point import Point

Array = Any


@dataclass
class Comparison:
    """One cotangent at one point: the analytic gradient, and how it compares along directions."""

    point: Point
    cotangent: Array
    analytic: Array
    rtol: float
    atol: float

    def __post_init__(self) -> None:
        unit = self.cotangent * np.where(np.isfinite(self.point.base), self.point.base, 0)
        ordinary = self.point.subject.epsilon * 1e4
        self.floor = ordinary * float(np.sqrt(unit @ unit))
        weight = np.abs(self.analytic * self.point.size)
        weight = weight[np.isfinite(weight)]
        self.floor += 1e-3 * ordinary * float(weight.max(initial=0))
        self.loose = max(self.rtol, 1e5 * self.point.subject.epsilon if not self.point.subject.wide else 0)
        self._shaken: list[Array] | None = None

    def bound(self, direction: Array, numeric: Derivative, rtol: float) -> float:
        """Return how far the two may lie apart along a direction."""
        parts = self.analytic * direction
        return (
            numeric.error
            + rtol * float(np.sqrt(parts @ parts))
            + self.atol * float(np.sqrt(direction @ direction))
            + self.floor
        )

    def along(self, direction: Array, rtol: float | None = None) -> tuple[float, float, Derivative]:
        """Return how far the two lie apart along a direction, how far they may, and the numeric derivative."""
        rtol = self.loose if rtol is None else rtol
        parts = self.analytic * direction
        enough = 0.1 * rtol * float(np.sqrt(parts @ parts)) + 0.1 * self.floor
        numeric = self.point.along(direction, self.cotangent, enough)
        gap = abs(float(parts.sum()) - numeric.value)
        bound = self.bound(direction, numeric, rtol)
        if not np.isfinite(gap):  # an analytic nan is wrong; a numeric one says nothing
            gap = 0.0 if not np.isfinite(numeric.value) else float("inf")
        if gap > bound:  # is it the analytic gradient's own rounding error?
            bound += 30 * self._rounding(direction)
        if gap > bound and self.point.subject.wide and not self._confirmed(direction, gap):
            self.point.subject.note("some differences could not be judged: no two step lengths agree there")
            return 0.0, bound, UNKNOWN
        return gap, bound, numeric

    def _confirmed(self, direction: Array, gap: float) -> bool:
        """Return whether two step lengths agree on the numeric derivative far better than with the analytic one."""
        found = estimates(lambda t: self.point.move(direction, t), self.cotangent)
        says = float((self.analytic * direction).sum())
        for i in range(1, len(found) - 1):
            # The error grows as the step shrinks, then vanishes: either the small steps are inside a kink and right,
            # or below the jumps of a rounded function and wrong. What agrees with the large steps is not blamed.
            if found[i].error >= 5 * found[i - 1].error and found[i + 1].error <= 1e-3 * found[i].error:
                rough = [d for d in found[:i] if d.error <= 0.5 * abs(d.value)]
                if any(abs(says - d.value) <= 2 * d.error for d in rough):
                    return False
        values = sorted(d.value for d in found)
        return any(b - a <= 0.25 * gap for a, b in pairwise(values))

    def _rounding(self, direction: Array) -> float:
        """Return how far the analytic derivative moves when the values move in their last places."""
        if self._shaken is None:
            rng = np.random.default_rng(0)
            point, epsilon = self.point, self.point.subject.epsilon
            self._shaken = []
            for _ in range(3):
                factor = 1 + 4 * epsilon * rng.uniform(-1, 1, point.x.shape)
                values = [(point.x * factor)[s].reshape(shape) for s, shape in zip(point.slices, point.shapes)]
                self._shaken.append(_gradient_at(point, values, self.cotangent) - self.analytic)
        moved = [abs(float((d * direction).sum())) for d in self._shaken]
        total = float(np.sqrt(((self.analytic * direction) ** 2).sum()))
        measured, largest = max(moved, default=0.0), float(np.abs(self.analytic).max(initial=0))
        nothing = total <= 1e-12 * largest * float(np.sqrt(direction @ direction))  # what is left of terms that cancel
        small = measured < 1e-5 * total or nothing  # more is a kink, not rounding
        return measured if np.isfinite(measured) and small else 0.0


def _gradient_at(point: Point, values: list[Array], cotangent: Array) -> Array:
    from .subject import Fault

    former, point.values = point.values, values
    try:
        return point.gradient(cotangent)
    except Fault:
        return np.full(point.x.shape, np.nan)
    finally:
        point.values = former

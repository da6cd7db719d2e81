"""What the search for a cause may use: arrays, and calls of what is checked. Never names or source text."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .point import Point
from .search import CHEAP_STEP, Clock

Array = Any


@dataclass
class Evidence:
    """One wrong gradient: what backward gave, what is right where it was measured, and the rest of the scene."""

    point: Point
    cotangent: Array
    k: int  # which of the values
    given: Any  # what backward gave for it, of whatever shape
    numeric: Array  # nan where not measured
    wrong: Array  # bool
    all_given: list[Any]
    all_numeric: list[Array]
    clock: Clock
    rng: Any = field(default_factory=lambda: np.random.default_rng(0))

    @property
    def name(self) -> str:
        """What people call the gradient."""
        return self.point.subject.names[self.k]

    @property
    def x(self) -> Array:
        """The value whose gradient is wrong."""
        return self.point.values[self.k]

    @cached_property
    def analytic(self) -> Array:
        """What backward gave, in float64."""
        return np.asarray(self.given, np.float64)

    @cached_property
    def known(self) -> Array:
        """Where the right value is known."""
        return np.isfinite(self.numeric)

    @cached_property
    def scale(self) -> float:
        """The size of the right gradient."""
        known = self.numeric[self.known]
        return float(np.sqrt((known**2).mean())) if known.size else 0.0

    def fits(self, candidate: Array, where: Array | None = None, tolerance: float = 1e-5) -> bool:
        """Return whether a candidate equals the right gradient wherever it is known."""
        mask = self.known if where is None else self.known & where
        if candidate.shape != self.numeric.shape or not mask.any():
            return False
        if self.analytic.shape == self.numeric.shape and not (mask & self.wrong).any():  # anything would fit
            return False
        difference = np.abs(candidate[mask] - self.numeric[mask])
        largest = float(np.abs(self.numeric[mask]).max())
        return bool(np.isfinite(difference).all() and difference.max() <= tolerance * max(largest, 1e-3 * self.scale))

    @cached_property
    def outputs(self) -> list[Array]:
        """The outputs at the point, in their shapes."""
        return self.point.split_outputs(self.point.base)

    @cached_property
    def cotangents(self) -> list[Array]:
        """What was sent into backward, in the outputs' shapes."""
        return self.point.split_outputs(self.cotangent)

    @property
    def marks(self) -> Array | None:
        """Of labels of the rows, the matrix that marks them; None if there are none."""
        return next((array for what, array in self.labels if what.startswith("[")), None)

    @cached_property
    def labels(self) -> list[tuple[str, Array]]:
        """The inputs of whole numbers or bools, as floats; of labels of the rows also the matrix that marks them."""
        found = []
        for i, given in enumerate(getattr(self.point.subject, "given", ())):
            array = np.asarray(getattr(given, "data", given)) if hasattr(given, "shape") else np.zeros(0)
            if array.dtype.kind not in "iub" or not array.size:
                continue
            found.append((f"inputs[{i}]", array.astype(np.float64)))
            rows = self.x.ndim == 2 and array.shape == self.x.shape[:1] and array.dtype.kind in "iu"
            if rows and array.min() >= 0 and array.max() < self.x.shape[1]:
                marked = np.arange(self.x.shape[1]) == array[:, None]
                found.append((f"[column is inputs[{i}]]", marked.astype(np.float64)))
        return found

    def gradient(self, cotangent: Array) -> Array | None:
        """Return what backward gives for another cotangent, None if that cannot be had."""
        from .subject import Fault

        try:
            found = self.point.gradients(cotangent)[self.k]
        except Fault:
            return None
        return None if found is None else np.asarray(found, np.float64)

    @cached_property
    def jacobian(self) -> Jacobian | None:
        """Single entries of the Jacobian matrix, of backward and of the function, around some wrong elements."""
        return _jacobian(self)


@dataclass
class Jacobian:
    """Entries ∂output / ∂element: rows are outputs, columns elements."""

    outputs: Array  # their numbers
    elements: Array  # their flat indices in the value
    analytic: Array
    numeric: Array

    @cached_property
    def states(self) -> tuple[Array, Array, Array, Array]:
        """Masks: right, lost (backward gives 0), extra (should be 0), off (both are not 0 and differ)."""
        size = float(np.abs(self.numeric).max(initial=0)) or float(np.abs(self.analytic).max(initial=0))
        tiny = 1e-7 * size
        a, n = self.analytic, self.numeric
        alike = np.abs(a - n) <= 1e-5 * np.maximum(np.abs(a), np.abs(n)) + tiny
        no_a, no_n = np.abs(a) <= tiny, np.abs(n) <= tiny
        right = alike & ~(no_a & no_n)
        return right, no_a & ~no_n, ~no_a & no_n, ~alike & ~no_a & ~no_n


def _jacobian(evidence: Evidence, most_elements: int = 24, most_outputs: int = 96) -> Jacobian | None:
    point = evidence.point
    if evidence.analytic.shape != evidence.x.shape or point.base.size == 0:
        return None
    wrong, right = np.flatnonzero(evidence.wrong), np.flatnonzero(evidence.known & ~evidence.wrong)
    some = [(wrong, most_elements), (right, most_elements // 3)]
    elements = np.concatenate([a if a.size <= m else np.sort(evidence.rng.choice(a, m, False)) for a, m in some])
    if not elements.size:
        return None
    columns, start = [], point.slices[evidence.k].start
    for j in elements:
        if evidence.clock.left() < 0:
            return None
        columns.append(column(point, start + int(j)))
    matrix = np.nan_to_num(np.array(columns).T)
    matrix[evidence.cotangent == 0] = 0
    # Rows: all the outputs that a few wrong elements influence, and others as there is room.
    influence = np.abs(matrix) > 1e-9 * max(float(np.abs(matrix).max(initial=0)), 1e-300)
    rows: list[int] = []
    for column_of_wrong in influence.T[: min(wrong.size, most_elements)]:
        more = [int(i) for i in np.flatnonzero(column_of_wrong) if i not in rows]
        if len(rows) + len(more) > most_outputs:
            rows += more[: 0 if len(rows) > most_outputs // 3 else most_outputs]
            break
        rows += more
    if not rows:
        rows = list(range(min(point.base.size, most_outputs)))
    analytic = []
    for i in rows:
        cotangent = np.zeros(point.base.shape)
        cotangent[i] = 1.0
        gradient = evidence.gradient(cotangent) if evidence.clock.left() > 0 else None
        if gradient is None or gradient.shape != evidence.x.shape:
            return None
        analytic.append(gradient.ravel()[elements])
    return Jacobian(np.array(rows), elements, np.array(analytic), matrix[rows])


def column(point: Point, j: int) -> Array:
    """Return the derivative of every output by one element, by one central difference."""
    h = CHEAP_STEP * float(point.size[j])
    v = np.zeros(point.x.shape)
    v[j] = 1.0
    with np.errstate(all="ignore"):
        derivative: Array = (point.move(v, h) - point.move(v, -h)) / (2 * h)
    return derivative


def measure(point: Point, k: int, cotangent: Array, clock: Clock) -> Array:
    """Return one numeric gradient by single central differences, nan where the time was over."""
    numeric = np.full(point.values[k].size, np.nan)
    used = cotangent != 0
    for j in range(numeric.size):
        if clock.left() < 0:
            break
        numeric[j] = float(cotangent[used] @ column(point, point.slices[k].start + j)[used])
    return numeric.reshape(point.shapes[k])

"""Which elements of a gradient are wrong.

Random directions see every element at once: the derivative along a direction in which no element stands still differs
if any element is wrong, unless two errors cancel by chance. What differs is halved until single elements are left.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .compare import Comparison
from .numeric import dot

Array = Any
CHEAP_STEP = 6e-6  # eps^(1/3): the best step of a single central difference


@dataclass
class Findings:
    """What is known of each element: the numeric value where it was measured, and whether it is wrong."""

    numeric: Array  # nan where not measured
    error: Array
    wrong: Array  # bool
    suspect: bool = False  # something differs along a direction
    directions: int = 0
    finished: bool = True
    unjudged: list[int] = field(default_factory=list)  # elements without a usable numeric value

    @property
    def measured(self) -> Array:
        """Which elements were measured one by one."""
        return np.isfinite(self.numeric)


class Clock:
    """Time left: of a budget in seconds, and of limits within the check, which count the processor's time.

    So a busy machine does not change what is found. Limits end by the clock on the wall, too, five times as late: a
    function may wait without working.
    """

    def __init__(self, seconds: float | None, busy: float | None = None) -> None:
        self.end = None if seconds is None else time.perf_counter() + seconds
        self.busy_end = None if busy is None else time.process_time() + busy

    def left(self) -> float:
        """Return the seconds left, infinite without a budget."""
        wall = float("inf") if self.end is None else self.end - time.perf_counter()
        return wall if self.busy_end is None else min(wall, self.busy_end - time.process_time())

    def at_most(self, seconds: float) -> Clock:
        """Return a clock that runs out after so many seconds of work, or with this one."""
        wall = float("inf") if self.end is None else self.end - time.perf_counter()
        return Clock(min(5 * seconds, wall), min(seconds, self.left()))


def nothing(comparison: Comparison) -> Findings:
    """Return findings before any measurement."""
    n = comparison.point.x.size
    return Findings(np.full(n, np.nan), np.full(n, np.inf), np.zeros(n, bool))


def groups(comparison: Comparison, elements: Array) -> Iterator[Array]:
    """Yield the elements in groups of comparable weight, so that a large gradient hides no small one."""
    weight = np.abs(comparison.analytic[elements] * comparison.point.size[elements])
    weight[~np.isfinite(weight)] = np.inf
    zero = weight == 0
    if zero.any():
        yield elements[zero]
    if not zero.all():
        with np.errstate(divide="ignore", invalid="ignore"):
            decade = np.where(np.isfinite(weight), np.floor(np.log10(weight) / 4), 99)
        for d in np.unique(decade[~zero]):
            yield elements[~zero & (decade == d)]


def direction(comparison: Comparison, elements: Array, rng: np.random.Generator) -> Array:
    """Return a direction in which exactly these elements move, each by about its size."""
    v = np.zeros(comparison.point.x.shape)
    u = rng.uniform(0.5, 1.5, elements.shape) * rng.choice((-1.0, 1.0), elements.shape)
    v[elements] = u * comparison.point.size[elements]
    return v


def by_directions(
    comparison: Comparison, elements: Array, rng: np.random.Generator, clock: Clock, repeats: int, sharp: float = 0.2
) -> list[Array]:
    """Return the groups of elements along which something differs.

    Each group is measured once, whatever the clock says: nothing passes that was not looked at.
    """
    suspects: list[Array] = []
    for group in groups(comparison, elements):
        for repeat in range(repeats):
            if repeat and clock.left() < 0:
                break
            gap, bound, _ = comparison.along(direction(comparison, group, rng), sharp * comparison.loose)
            if gap > bound:
                suspects.append(group)
                break
    return suspects


def bisect(
    comparison: Comparison, found: Findings, suspects: list[Array], rng: np.random.Generator, clock: Clock, most: int
) -> None:
    """Halve what differs, the largest difference first, until `most` wrong elements are known."""
    heap: list[tuple[float, int, Array]] = [(-np.inf, i, s) for i, s in enumerate(suspects)]
    serial, wrong = len(heap), 0
    while heap and wrong < most:
        if clock.left() < 0:
            found.finished = False
            return
        _, _, block = heapq.heappop(heap)
        if block.size == 1:
            wrong += judge_element(comparison, found, int(block[0]))
            continue
        middle = block.size // 2
        for half in (block[:middle], block[middle:]):
            gap, bound, _ = comparison.along(direction(comparison, half, rng), 0.2 * comparison.loose)
            if gap > bound:
                heapq.heappush(heap, (-gap, serial, half))
                serial += 1
    found.finished = found.finished and not heap


def judge_element(comparison: Comparison, found: Findings, j: int) -> bool:
    """Measure one element as well as can be; return whether it is wrong."""
    v = np.zeros(comparison.point.x.shape)
    size = comparison.point.size[j]
    v[j] = size
    gap, bound, numeric = comparison.along(v)
    if not np.isfinite(numeric.value):
        found.unjudged.append(j)
    found.numeric[j], found.error[j] = numeric.value / size, numeric.error / size
    found.wrong[j] = gap > bound
    return bool(found.wrong[j])


def each(comparison: Comparison, found: Findings, elements: Array, clock: Clock, refine: int = 64) -> None:
    """Compare element by element: one central difference, and extrapolation where that differs.

    After `refine` confirmed mistakes the single difference is enough for gross ones: the verdict stands.
    """
    point, confirmed = comparison.point, 0
    step = CHEAP_STEP if point.subject.wide else 0.05
    x, uncertain = point.x.copy(), (point.noise * comparison.cotangent) ** 2
    for j in elements:
        if clock.left() < 0:
            found.finished = False
            return
        h = step * point.size[j]
        x[j] = point.x[j] + h
        forward = point.outputs(x)
        x[j] = point.x[j] - h
        backward = point.outputs(x)
        x[j] = point.x[j]
        with np.errstate(all="ignore"):
            change = forward - backward
            value = dot(comparison.cotangent, change) / (2 * h)
            error = 4 * float(np.sqrt(uncertain @ (change != 0))) / (2 * h)
        a = comparison.analytic[j]
        tolerance = error + comparison.loose * abs(a) + comparison.atol + comparison.floor / point.size[j]
        gap = abs(a - value)
        if gap <= tolerance:
            found.numeric[j], found.error[j] = value, tolerance
        elif confirmed >= refine and gap > 100 * error + 1e-4 * abs(value):
            found.numeric[j], found.error[j], found.wrong[j] = value, error + 1e-6 * abs(value), True
        else:
            confirmed += judge_element(comparison, found, int(j))

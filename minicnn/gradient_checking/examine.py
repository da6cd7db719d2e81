"""Examining a subject at one point: smooth outputs by differences, outputs on a kink by one-sided ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import kinks, probes
from .compare import Comparison
from .point import Point
from .search import Clock, Findings, bisect, by_directions, each, nothing
from .subject import Fault

Array = Any
MODES = ("auto", "full", "stratified", "directional")


@dataclass(frozen=True)
class Options:
    """How to search, as the caller wants it."""

    mode: str
    rtol: float
    atol: float
    clock: Clock


@dataclass
class Outcome:
    """What was found at a point."""

    comparison: Comparison
    found: Findings
    verdict: kinks.Verdict
    how: str = ""
    notes: list[str] = field(default_factory=list)
    operation: str = ""  # the one operation of a composition that is wrong, at whose own values this was found

    @property
    def wrong(self) -> bool:
        """Whether anything is wrong."""
        return self.differs or bool(self.verdict.wrong_sums)

    @property
    def differs(self) -> bool:
        """Whether the smooth outputs' gradient is wrong."""
        return bool(self.found.wrong.any()) or (self.found.suspect and not self.found.finished)


def examine(
    point: Point, cotangent: Array, elements: Array, options: Options, rng: np.random.Generator, detail: bool = True
) -> Outcome:
    """Examine these elements of the values at a point; off its kinks where those cannot be judged."""
    outcome = _examine_here(point, cotangent, elements, options, rng, detail)
    if outcome.wrong and not outcome.differs:
        return outcome
    if outcome.verdict.mixed or outcome.differs:
        culprit = _wrong_primitive(point, rng, options.clock.at_most(2.0))
        if culprit is not None:
            return culprit
        points = [_beside(point, elements, rng) for _ in range(2)]
        beside = [_examine_here(p, cotangent, elements, options, rng, False) for p in points]
        if not any(b.wrong or b.verdict.mixed for b in beside):
            if outcome.differs and not _only_here(outcome, beside):
                return outcome
            outcome.found = nothing(outcome.comparison)
            outcome.verdict = kinks.Verdict(outcome.verdict.judged, outcome.verdict.tied)
            outcome.notes.append(
                "the values lie on a kink of a composition, where a chain of correct subgradients need not be one; "
                "judged just beside it"
            )
        elif outcome.verdict.mixed and not outcome.differs:
            worse = next(b for b in beside if b.wrong or b.verdict.mixed)
            if worse.differs:
                outcome = _examine_here(worse.comparison.point, cotangent, elements, options, rng, detail)
                outcome.notes.append("judged just beside the given values, which lie on a kink")
    return outcome


def _wrong_primitive(point: Point, rng: np.random.Generator, clock: Clock) -> Outcome | None:
    """Judge each operation of a composition at its own kinks; return the first that is wrong there."""
    try:
        operations = point.subject.primitives(point.values)
    except Exception:  # the composition itself has been judged; this only looks for more
        return None
    for name, operation in operations:
        if clock.left() < 0:
            return None
        try:
            here = Point(operation, operation.values, rng)
            elements = np.arange(here.x.size)
            bent = kinks.find(here, elements, rng).bent & np.isfinite(here.base)
            verdict = kinks.judge(here, bent, elements, rng, clock, 8) if bent.any() else kinks.Verdict()
        except Fault:
            continue
        if verdict.wrong_sums:
            whole = np.zeros(here.base.shape)
            comparison = Comparison(here, whole, np.zeros(here.x.shape), 0.0, 0.0)
            return Outcome(comparison, nothing(comparison), verdict, "", [], name)
    return None


def _only_here(outcome: Outcome, beside: list[Outcome]) -> bool:
    """Return whether the backward pass changes when the values leave the kink, which a smooth mistake does not."""
    here = outcome.comparison.analytic
    scale = float(np.abs(here).max(initial=0))
    jumps = [np.abs(b.comparison.analytic - here).max(initial=0) for b in beside]
    return scale == 0 or min(jumps) > 0


def _beside(point: Point, elements: Array, rng: np.random.Generator) -> Point:
    moving = [bool(np.any((elements >= s.start) & (elements < s.stop))) for s in point.slices]
    return Point(point.subject, probes.nudged(point.values, moving, rng), rng)


def _examine_here(
    point: Point, cotangent: Array, elements: Array, options: Options, rng: np.random.Generator, detail: bool
) -> Outcome:
    bends = kinks.find(point, elements, rng) if elements.size else None
    bad = ~np.isfinite(point.base)
    if bends is not None:
        bad |= bends.bent | bends.jumping
    smooth = np.where(bad, 0.0, cotangent)
    comparison = Comparison(point, smooth, point.gradient(smooth), options.rtol, options.atol)
    verdict, notes = kinks.Verdict(), []
    if bends is not None and bends.bent.any():
        most = 200 if options.mode == "full" else 24 if detail else 8
        clock = options.clock.at_most(5.0 if detail else 1.0)
        verdict = kinks.judge(point, bends.bent, elements, rng, clock, most, 6 if detail else 3)
        if bends.bent.sum() <= 4 or (detail and bends.bent.mean() > 0.25):
            _judge_off_ties(point, cotangent, bends.bent, elements, options, rng, verdict, clock)
    if bends is not None and bends.jumping.any():
        notes.append(f"{int(bends.jumping.sum())} outputs jump at these values and were left out")
    found, how = _search(comparison, elements, options, rng, detail)
    return Outcome(comparison, found, verdict, how, notes)


def _judge_off_ties(
    point: Point,
    cotangent: Array,
    bent: Array,
    elements: Array,
    options: Options,
    rng: np.random.Generator,
    verdict: kinks.Verdict,
    clock: Clock,
) -> None:
    """Compare the outputs on a kink along the elements that are not part of it."""
    tied = kinks.tied_elements(point, bent, elements, rng, clock)
    if tied is None:
        return
    free = elements[~np.isin(elements, tied)]
    only = np.where(bent, cotangent, 0.0)
    comparison = Comparison(point, only, point.gradient(only), options.rtol, options.atol)
    if free.size and by_directions(comparison, free, rng, clock, 1, sharp=1.0):
        verdict.mixed = True  # a mistake, or kinks that cancel each other and look smooth: judge beside them


def _search(
    comparison: Comparison, elements: Array, options: Options, rng: np.random.Generator, detail: bool
) -> tuple[Findings, str]:
    found, mode, clock = nothing(comparison), options.mode, options.clock
    if mode == "full" and detail:
        each(comparison, found, elements, clock)
        return found, "every element" + _the_rest(comparison, found, elements, rng, clock)
    if mode == "stratified" and detail:
        chosen = strata(comparison.point, elements, rng)
        each(comparison, found, chosen, clock)
        how = f"{chosen.size} elements: corners, borders, every channel, some inside"
        return found, how + _the_rest(comparison, found, chosen, rng, clock)
    suspects = by_directions(comparison, elements, rng, clock, 2 if detail else 1)
    found.suspect = bool(suspects)
    how = "every element, by random directions"
    if not suspects:
        found.finished = clock.left() > 0
        return found, how
    if not detail:
        bisect(comparison, found, suspects, rng, clock.at_most(2.0), 1)
        return found, how
    involved = _whole_arrays(comparison.point, np.concatenate(suspects), elements)
    if mode == "auto" and 2 * involved.size * comparison.point.seconds < min(2.0, clock.left()):
        each(comparison, found, involved, clock)
        return found, "every element, by random directions, then one by one where they differed"
    bisect(comparison, found, suspects, rng, clock.at_most(3.0), 16)
    if mode == "auto" and found.wrong.any():
        chosen = strata(comparison.point, involved, rng)
        each(comparison, found, rng.permutation(chosen[~found.measured[chosen]]), clock.at_most(1.0))
        found.finished = True
    return found, "every element, by random directions, halved down to single elements where they differed"


def _the_rest(comparison: Comparison, found: Findings, elements: Array, rng: np.random.Generator, clock: Clock) -> str:
    """Look along random directions at what the budget left over, and say so; else return nothing."""
    if found.finished:
        return ""
    rest = elements[~found.measured[elements]]
    found.suspect = bool(by_directions(comparison, rest, rng, clock, 1))
    return f"; the budget ended {rest.size} elements before the last, these by random directions"


def _whole_arrays(point: Point, suspects: Array, elements: Array) -> Array:
    """Return all checked elements of the arrays that some suspects belong to."""
    keep = np.zeros(point.x.shape, bool)
    for s in point.slices:
        if np.any((suspects >= s.start) & (suspects < s.stop)):
            keep[s] = True
    return elements[keep[elements]]


def strata(point: Point, elements: Array, rng: np.random.Generator, most: int = 400) -> Array:
    """Return a sample of each array: its corners, elements of its borders, of every channel, and from inside."""
    allowed = np.zeros(point.x.shape, bool)
    allowed[elements] = True
    chosen: list[int] = []
    for s, shape in zip(point.slices, point.shapes):
        count = s.stop - s.start
        if count <= 64:
            chosen += range(s.start, s.stop)
            continue
        some: list[tuple[int, ...]] = []
        for axis, length in enumerate(shape):
            border = {0, 1, length // 2, length - 2, length - 1} & set(range(length))
            for position in range(length) if axis < 2 and length <= 64 else border:  # every channel and image
                for _ in range(2):
                    index = [int(rng.integers(n)) for n in shape]
                    index[axis] = position
                    some.append(tuple(index))
        for corner in range(2 ** min(len(shape), 4)):
            some.append(tuple((n - 1) * (corner >> a & 1) for a, n in enumerate(shape)))
        inside = rng.choice(count, min(count, most // 4), replace=False)
        chosen += [s.start + int(np.ravel_multi_index(i, shape)) for i in some][:most]
        chosen += [s.start + int(i) for i in inside]
    unique = np.unique(np.array(chosen, int))
    return unique[allowed[unique]]

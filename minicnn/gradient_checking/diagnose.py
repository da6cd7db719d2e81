"""From a wrong gradient to its probable causes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .causes import CAUSES
from .evidence import Evidence, measure
from .examine import Outcome
from .report import Diagnoses, Diagnosis, Report
from .search import Clock

Array = Any
# Faults that explain everything else when they occur: wrong numbers then follow from them.
DECISIVE = ("in-place change", "error", "not deterministic", "depends on the call count")


def diagnose(report: Report, outcome: Outcome, raw: list[Any], chosen: list[int], clock: Clock) -> Diagnoses:
    """Return the probable causes of what is wrong in a report, the most probable first.

    `raw` is what backward gave for the outcome's cotangent. Every wrong gradient is examined for every cause; the
    surest finding comes first.
    """
    point, cotangent = outcome.comparison.point, outcome.comparison.cotangent
    scenes = []
    numerics: list[Array] = [np.full(s, np.nan) for s in point.shapes]
    wrongs: list[Array] = [np.zeros(s, bool) for s in point.shapes]
    for k, s in enumerate(point.slices):
        numerics[k] = outcome.found.numeric[s].reshape(point.shapes[k]).copy()
        wrongs[k] = outcome.found.wrong[s].reshape(point.shapes[k]).copy()
    for entry, k in zip(report.gradients, chosen):
        if entry.passed or (outcome.verdict.wrong_sums and not outcome.differs):  # ties alone explain themselves
            continue
        missing = ~np.isfinite(numerics[k])
        if missing.all() and 2 * missing.size * point.seconds < 2.0:
            numerics[k] = measure(point, k, cotangent, clock.at_most(2.0))
            given = raw[k]
            if isinstance(given, np.ndarray) and given.shape == point.shapes[k]:
                gap = np.abs(given.astype(np.float64) - numerics[k])
                wrongs[k] = ~(gap <= 1e-5 * np.abs(numerics[k]) + 1e-7 * np.nanmax(np.abs(numerics[k]), initial=0))
        scenes.append(k)
    findings: list[tuple[float, Diagnosis]] = []
    for k in scenes:
        given = raw[k]
        if given is not None and not _is_array(given):
            continue
        usable = [g if g is None or _is_array(g) else None for g in raw]
        evidence = Evidence(point, cotangent, k, given, numerics[k], wrongs[k], usable, numerics, clock.at_most(3.0))
        for cause in CAUSES:
            try:
                findings += cause(evidence)
            except Exception as error:  # the verdict stands whatever becomes of the search for its cause
                text = f"one cause could not be looked for: {type(error).__name__}: {error} ({cause.__name__})"
                report.notes += [text] if text not in report.notes else []
    if point.subject.backward_draws:
        text = "backward draws random numbers of its own: what forward drew must be kept for it"
        findings.append((1.5, Diagnosis("not deterministic", text, "a generator's state moves during backward")))
    for fault in report.faults:
        certainty = 2.0 if fault.kind in DECISIVE else 1.0 if fault.kind == "ties" else 0.65
        findings.append((certainty, fault))
    return merged(findings)


def merged(findings: list[tuple[float, Diagnosis]]) -> Diagnoses:
    """Return the findings, the surest first; the same cause of several gradients once, with all their names."""
    kinds: dict[str, list[tuple[float, Diagnosis]]] = {}
    for finding in sorted(findings, key=lambda f: -f[0]):
        kinds.setdefault(finding[1].kind, []).append(finding)
    result = Diagnoses()
    for same in kinds.values():
        certainty, first = same[0]
        names = list(dict.fromkeys(d.gradient for c, d in same if d.gradient and c > certainty - 0.3))
        result.append(replace(first, gradient=", ".join(names), certainty=min(certainty, 1.0)))
    return result


def _is_array(given: Any) -> bool:
    return isinstance(given, (np.ndarray, np.generic)) and given.dtype.kind in "fiub"

"""Writing what was found at a point into the report."""

from __future__ import annotations

import numpy as np

from .examine import Outcome
from .report import Element, Report
from .subject import Fault


def enter(outcome: Outcome, chosen: list[int], report: Report, where: str) -> None:
    """Write what was found at a point into the report."""
    if outcome.operation:
        _blame_operation(outcome, report, where)
        return
    point, found, comparison = outcome.comparison.point, outcome.found, outcome.comparison
    report.notes += [n for n in outcome.notes if n not in report.notes]
    for entry, k in zip(report.gradients, chosen):
        s = point.slices[k]
        if not where and entry.how == "not compared" and entry.passed:
            entry.how = outcome.how
        wrong = np.flatnonzero(found.wrong[s]) + s.start
        for j in wrong:
            _, index = point.place(int(j))
            values = float(comparison.analytic[j]), float(found.numeric[j]), float(found.error[j])
            entry.elements.append(Element(entry.name, index, *values))
        for _, tied, says, low, high in outcome.verdict.wrong_sums:
            inside = [j for j in tied if s.start <= j < s.stop]
            if inside:
                index, nearest = point.place(inside[0])[1], min(max(says, low), high)
                entry.elements.append(Element(entry.name, index, says, nearest, 0.0, (low, high), len(tied)))
        entry.elements.sort(key=lambda e: -e.badness)
        if entry.elements:
            entry.passed = False
            entry.where = entry.where or where
        if found.measured[s].any():
            entry.numeric = found.numeric[s].reshape(entry.shape)
            entry.analytic = comparison.analytic[s].reshape(entry.shape)
            entry.wrong = found.wrong[s].reshape(entry.shape)
    if outcome.wrong and all(e.passed for e in report.gradients):
        for entry in report.gradients:
            entry.passed = False
            entry.where = "along random directions; the time was over before the elements were found"
    if outcome.verdict.wrong_sums:
        _, tied, says, low, high = outcome.verdict.wrong_sums[0]
        right = f"{low:.6g}" if high - low <= 1e-6 * max(abs(low), abs(high)) else f"{low:.6g} to {high:.6g}"
        evidence = f"{len(tied)} tied elements together get {says:.6g} of an output's gradient, right is {right}"
        text = "the gradient is wrong at ties or kinks" + (f" ({where})" if where else "")
        if len(tied) > 1 and says > high:
            text += ": each tied element gets too much, their shares must sum to the whole"
        report.faults.append(Fault("ties", text, evidence=evidence).diagnosis)


def _blame_operation(outcome: Outcome, report: Report, where: str) -> None:
    """Write into the report that one operation of a composition is wrong at its ties."""
    _, tied, says, low, high = outcome.verdict.wrong_sums[0]
    right = f"{low:.6g}" if high - low <= 1e-6 * max(abs(low), abs(high)) else f"{low:.6g} to {high:.6g}"
    text = f"{outcome.operation}, is wrong at ties or kinks" + (f" ({where})" if where else "")
    evidence = f"{len(tied)} tied elements together get {says:.6g} of an output's gradient, right is {right}"
    for entry in report.gradients:
        entry.passed = False
        entry.where = f"through {outcome.operation.partition(',')[0]}"
    report.faults.append(Fault("ties", text, evidence=evidence).diagnosis)

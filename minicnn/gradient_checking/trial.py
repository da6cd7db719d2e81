"""What a check of one target finds: a report for every case, within a time."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ..errors import DataError
from .check import gradcheck
from .report import Report
from .target import Target


class OutOfTime(Exception):
    """The time was over before every gradient was checked."""


def findings(target: Target, seed: int, mode: str, seconds: float) -> dict[str, Any]:
    """Return the findings about one target: a report as a dictionary for every case.

    Raises DataError if there are no inputs, OutOfTime if not every gradient could be checked.
    """
    guessed = [m for m in target.makers if getattr(m, "guessed", False)]
    if not target.makers:
        raise DataError("gradcheck: no inputs are known; give --cases, or write NAME_inputs(rng) in the file")
    reports, end = [], time.monotonic() + seconds
    for number, maker in enumerate(target.makers):
        report = _check(target, _inputs(maker, seed, number), seed, mode, end)
        if maker in guessed and any(f.kind == "error" and f.text.startswith("the function") for f in report.faults):
            if maker is not guessed[-1]:
                continue
            report.notes.append("no usual shapes were taken; give --cases, or write NAME_inputs(rng) in the file")
        reports.append(report.as_dict() | {"text": report.summary()})
        if maker in guessed:
            break
    return {"reports": reports}


def _inputs(maker: Any, seed: int, number: int) -> Any:
    try:
        return maker(np.random.default_rng((seed, number)))
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"gradcheck: the inputs cannot be made: {type(error).__name__}: {error}") from error


def _check(target: Target, inputs: Any, seed: int, mode: str, end: float) -> Report:
    """Check one case; if the time does not suffice for every element one by one, by random directions.

    A check whose time is over says nothing of what it has not come to: only a finished one counts.
    """
    left = end - time.monotonic()
    for how, share in ((mode, 0.75), ("directional", 0.25)):
        budget, began = share * left, time.monotonic()
        if budget <= 0:
            break
        report = gradcheck(target.function, inputs, backward=target.backward, mode=how, seed=seed, budget=budget)
        if not report.passed or time.monotonic() - began < budget:
            if how != mode:
                report.notes.append(f"there was no time for mode {mode}: checked by random directions")
            return report
    raise OutOfTime

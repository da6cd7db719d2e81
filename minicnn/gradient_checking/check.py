"""`gradcheck`: the order in which a function and its backward pass are examined."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops import arguments
from . import probes
from .conduct import look_at_backward, look_at_float32, look_at_outputs, look_for_state, usable
from .diagnose import diagnose
from .entries import enter
from .examine import MODES, Options, Outcome, examine
from .pair import Pair, is_missing
from .point import Point
from .report import Report
from .search import Clock
from .subject import Fault, Subject

Array = Any


def gradcheck(
    function: Any,
    inputs: Any,
    *,
    backward: Any = None,
    wrt: Any = None,
    mode: str = "auto",
    seed: int = 0,
    rtol: float = 1e-8,
    atol: float = 0.0,
    budget: float | None = None,
) -> Report:
    """Compare the gradients that a backward pass gives with central differences of the function itself.

    `function` is a function of Tensors, an `nn.Module` (its parameters are checked, too), or, with `backward`, one
    half of a plain NumPy pair: `function(*arrays) -> out` with `backward(dout, *arrays) -> grads`, or
    `forward(*arrays) -> (out, cache)` with `backward(dout, cache) -> grads`. `inputs` is a tuple or list; `wrt` names
    the inputs and parameters to check by position or name (default: all floats).

    `mode`: "full" measures every element, "stratified" a sample (corners, borders, every channel), "directional" random
    directions through all elements, halved down to the wrong ones; "auto" is directional, then element by element
    where that is quick. `rtol` and `atol` are allowed on top of the measured error; `budget` is in seconds.

    Nothing that the function does raises an error here: what is wrong stands in the report, which is true if
    everything agrees. Whatever the budget, each element is moved along one direction at least. The caller's arrays,
    parameters, buffers and random generators stay as they were.
    Raises ShapeError for a mode that there is not, and numbers that are negative or nan.
    """
    name = "gradcheck"
    seed = arguments.integer(name, "seed", seed, 0)
    rtol, atol = arguments.number(name, "rtol", rtol, 0), arguments.number(name, "atol", atol, 0)
    if budget is not None:
        budget = arguments.number(name, "budget", budget, 0)
    report = Report(seed=seed)
    try:
        subject = make_subject(function, inputs, backward)
    except Fault as fault:
        _fail(report, fault)
        return report
    try:
        _check(subject, wrt, Options(_mode(mode), rtol, atol, Clock(budget)), seed, report)
    except Fault as fault:
        _fail(report, fault)
    finally:
        subject.state.rewind()
    for fault_found in subject.faults:
        if fault_found not in report.faults:
            report.faults.append(fault_found)
    report.notes += [n for n in subject.notes if n not in report.notes]
    if not report.diagnosis:
        report.diagnosis.extend(report.faults)
    return report


def make_subject(function: Any, inputs: Any, backward: Any) -> Subject:
    """Return the one form for whatever is checked."""
    given = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    if backward is not None:
        return Pair(function, given, backward)
    from .recorded import Recorded

    return Recorded(function, given)


def _mode(mode: str) -> str:
    if mode not in MODES:
        from ..errors import ShapeError

        raise ShapeError(f"gradcheck: mode is {mode!r}, needs one of {', '.join(MODES)}")
    return mode


def _fail(report: Report, fault: Fault) -> None:
    report.faults.append(fault.diagnosis)


def _check(subject: Subject, wrt: Any, options: Options, seed: int, report: Report) -> None:
    rng = np.random.default_rng(seed)
    point = Point(subject, subject.values, rng)
    subject.state.learn()
    chosen = _chosen(subject, wrt)
    if any(subject.values[k].size for k in chosen):
        look_at_outputs(point)
    look_for_state(point)
    cotangent = np.where(np.isfinite(point.base), rng.standard_normal(point.base.shape), 0.0)
    raw = point.gradients(cotangent)
    subject.state.learn()
    chosen = [k for k in chosen if not (wrt is None and _is_target(subject, k, raw))]
    elements = usable(point, raw, chosen, report)
    look_at_backward(point, cotangent, raw, elements)
    outcome = examine(point, cotangent, elements, options, rng)
    enter(outcome, chosen, report, "")
    if report.passed and not subject.faults:
        outcome = _probe(point, cotangent, chosen, options, rng, report) or outcome
    if report.passed and not subject.faults and subject.wide:
        look_at_float32(point, cotangent, chosen, report)
    report.faults.extend(subject.faults)
    if not report.passed:
        here = outcome.comparison
        same = here.point is point and np.array_equal(here.cotangent, cotangent)
        raw = raw if same else here.point.gradients(here.cotangent)
        if outcome.operation:
            report.diagnosis.extend(report.faults)
            return
        report.diagnosis = diagnose(report, outcome, raw, chosen, options.clock.at_most(6.0))
    look_for_state(point, "after many calls ")
    if not chosen:
        text = "there was no gradient to check: no input or parameter is an array of floats"
        raise Fault("nothing to check", text)


def _chosen(subject: Subject, wrt: Any) -> list[int]:
    """Return the numbers of the values whose gradients are checked."""
    if wrt is None:
        return list(range(len(subject.names)))
    wanted = [wrt] if isinstance(wrt, (int, str)) else list(wrt)
    places = getattr(subject, "places", [])
    chosen = []
    for w in wanted:
        if isinstance(w, str) and w in subject.names:
            chosen.append(subject.names.index(w))
        elif isinstance(w, int) and w in places:
            chosen.append(places.index(w))
        else:
            from ..errors import ShapeError

            raise ShapeError(f"gradcheck: wrt has {w!r}, needs positions of float inputs or names of {subject.names}")
    return chosen


def _is_target(subject: Subject, k: int, raw: list[Any]) -> bool:
    """Return whether a value without a gradient is what a loss compares with: ones and zeros, or probabilities."""
    nothing = [g is None or is_missing(g) for g in raw]
    value = np.asarray(subject.values[k])
    if not nothing[k] or all(nothing) or value.size < 2 or not np.isfinite(value).all() or (value < 0).any():
        return False
    marks = bool(np.isin(value, (0.0, 1.0)).all()) and np.ptp(value) > 0
    if not marks and not (value.ndim > 1 and np.allclose(value.sum(-1), 1.0, rtol=1e-6)):
        return False
    subject.note(f"{subject.names[k]} has no gradient and looks like labels or probabilities: taken as a constant")
    return True


def _probe(
    point: Point, cotangent: Array, chosen: list[int], options: Options, rng: np.random.Generator, report: Report
) -> Outcome | None:
    """Examine the subject at points made of the given values, quickly; return what was wrong first."""
    free = [k in chosen for k in range(len(point.values))]
    elements = [np.arange(point.slices[k].start, point.slices[k].stop) for k in chosen]
    if not elements or not point.base.size:
        return None
    for text, values in probes.points(point.values, free, rng):
        if options.clock.left() < 0:
            report.notes.append("the time was over before other points were tried")
            return None
        try:
            other = Point(point.subject, values, rng)
            if other.base.shape != point.base.shape or not np.isfinite(other.base).all():
                continue
            if not np.isfinite(other.gradient(cotangent)).all():
                continue
            quick = Options("auto", options.rtol, options.atol, options.clock)
            outcome = examine(other, cotangent, np.concatenate(elements), quick, rng, detail=False)
        except Fault:  # these values may lie outside what the function takes
            continue
        if outcome.wrong:
            enter(outcome, chosen, report, f"at {text} values")
            return outcome
    return None

"""`gradcheck`: the order in which a function and its backward pass are examined."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from . import probes
from .diagnose import diagnose
from .examine import MODES, Options, Outcome, examine
from .pair import Pair, is_missing
from .point import Point
from .report import Element, Gradient, Report
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
    everything agrees. The caller's arrays, parameters, buffers and random generators stay as they were.
    """
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
        _look_at_outputs(point)
    _look_for_state(point)
    cotangent = np.where(np.isfinite(point.base), rng.standard_normal(point.base.shape), 0.0)
    raw = point.gradients(cotangent)
    subject.state.learn()
    elements = _usable(point, raw, chosen, report)
    _look_at_backward(point, cotangent, raw, elements)
    outcome = examine(point, cotangent, elements, options, rng)
    _enter(outcome, chosen, report, "")
    if report.passed and not subject.faults:
        outcome = _probe(point, cotangent, chosen, options, rng, report) or outcome
    if report.passed and not subject.faults and subject.wide:
        _look_at_float32(point, cotangent, chosen, report)
    report.faults.extend(subject.faults)
    if not report.passed:
        here = outcome.comparison
        same = here.point is point and np.array_equal(here.cotangent, cotangent)
        raw = raw if same else here.point.gradients(here.cotangent)
        if outcome.operation:
            report.diagnosis.extend(report.faults)
            return
        report.diagnosis = diagnose(report, outcome, raw, chosen, Clock(options.clock.at_most(6.0).left()))
    _look_for_state(point, "after many calls ")


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


def _look_at_outputs(point: Point) -> None:
    if not np.isfinite(point.x).all():  # then nan and inf may come out; such outputs are left out
        return
    if not np.isfinite(point.base).all():
        i = int(np.flatnonzero(~np.isfinite(point.base))[0])
        raise Fault(
            "NaN/Inf",
            f"the function itself gives {point.base[i]:g} at output {list(point.output_index(i))}",
            evidence=f"{int((~np.isfinite(point.base)).sum())} of {point.base.size} outputs are not finite",
        )


def _look_for_state(point: Point, when: str = "") -> None:
    """Raise a Fault if the same values do not give the same outputs again."""
    finite = np.isfinite(point.base)
    seen = [point.base[finite], *(point.outputs(point.x)[finite] for _ in range(1 if when else 3))]
    size = float(np.abs(seen[0]).max(initial=0))
    differ = [float(np.abs(s - seen[0]).max(initial=0)) for s in seen[1:]]
    if all(d <= 1e-12 * size for d in differ):
        return
    memory = point.subject.state.memory()
    point.outputs(point.x)
    remembers = point.subject.state.memory() != memory
    regular = len(seen) > 3 and (
        bool(np.array_equal(seen[1], seen[2]))
        or bool(np.array_equal(seen[1], seen[3]))
        or bool(np.allclose(seen[2] - seen[1], seen[3] - seen[2], rtol=1e-6, atol=1e-12 * size))
        or _steady_ratio(seen)
    )
    if remembers or regular or when:
        raise Fault(
            "depends on the call count",
            "the function depends on how often it was called: it keeps something from one call for the next",
            evidence=f"{when}the same inputs gave outputs that differ by {max(differ):.3g}",
        )
    raise Fault(
        "not deterministic",
        "the function is not deterministic: the same inputs and generator states give other outputs",
        evidence=f"outputs of {len(seen)} calls differ by up to {max(differ):.3g}; draw from a generator that is "
        "given or seeded, so that it can be replayed",
    )


def _steady_ratio(seen: list[Array]) -> bool:
    with np.errstate(all="ignore"):
        a, b = seen[2] / seen[1], seen[3] / seen[2]
    return bool(np.isfinite(a).all() and np.allclose(a, b, rtol=1e-6))


def _look_at_backward(point: Point, cotangent: Array, raw: list[Any], elements: Array) -> None:
    """Raise a Fault if the backward pass does not give the same again."""
    again = [point.gradient(cotangent)[elements] for _ in range(2)]
    first = np.concatenate([np.zeros(0)] + [_as_vector(g, s) for g, s in zip(raw, point.shapes)])[elements]
    size = float(np.abs(first).max(initial=0))
    differ = max(float(np.abs(a - first).max(initial=0)) for a in again) if first.size else 0.0
    if np.isfinite(first).all() and differ > 1e-12 * size:
        raise Fault(
            "not deterministic",
            "backward is not deterministic: the same dout gives other gradients; what forward drew must be kept, "
            "not drawn again",
            evidence=f"gradients of three calls differ by up to {differ:.3g}",
        )


def _as_vector(gradient: Any, shape: tuple[int, ...]) -> Array:
    if isinstance(gradient, (np.ndarray, np.generic)) and gradient.shape == shape and gradient.dtype.kind in "fiu":
        return np.asarray(gradient, np.float64).ravel()
    return np.zeros(int(np.prod(shape)))


def _usable(point: Point, raw: list[Any], chosen: list[int], report: Report) -> Array:
    """Enter what is wrong with the gradients as arrays; return the elements that can be compared."""
    elements = []
    for k in chosen:
        name, shape, gradient = point.subject.names[k], point.shapes[k], raw[k]
        entry = Gradient(name, shape, how="not compared", analytic=gradient)
        report.gradients.append(entry)
        s = point.slices[k]
        if is_missing(gradient):
            text = "backward returned too few gradients: none for this input"
            report.faults.append(Fault("wrong number of gradients", text, name).diagnosis)
            entry.passed = False
            continue
        if gradient is not None:
            fault = _array_fault(point, gradient, shape, name)
            if fault is not None:
                entry.passed = False
                report.faults.append(fault.diagnosis)
                if fault.diagnosis.kind != "wrong type" or not hasattr(gradient, "shape") or gradient.shape != shape:
                    continue
        elements.append(np.arange(s.start, s.stop))
    return np.concatenate(elements) if elements else np.zeros(0, int)


def _array_fault(point: Point, gradient: Any, shape: tuple[int, ...], name: str) -> Fault | None:
    if not isinstance(gradient, (np.ndarray, np.generic, int, float)):
        return Fault("wrong type", f"the gradient is a {type(gradient).__name__}, needs an array", name)
    array = np.asarray(gradient)
    if array.shape != shape:
        return Fault("wrong shape", f"the gradient has shape {array.shape}, its input has {shape}", name)
    if array.dtype.kind in "iub" and point.subject.wide:
        if array.dtype.kind == "b" or not _whole(point, array):
            return Fault("wrong type", f"the gradient has type {array.dtype}, its input is {np.dtype(float)}", name)
        return None
    if array.dtype.kind != "f":
        return Fault("wrong type", f"the gradient has type {array.dtype}, needs floats", name)
    if array.dtype.itemsize < 8 and point.subject.wide:
        text = f"the gradient has type {array.dtype} for an input of float64: precision is lost"
        return Fault("lost precision", text, name)
    if not np.isfinite(array).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        count = int((~np.isfinite(array)).sum())
        text = f"the gradient is {array[index]:g} at {list(index)}, the first of {count} such elements"
        return Fault("NaN/Inf", text, name, f"first at index {index}")
    return None


def _look_at_float32(point: Point, cotangent: Array, chosen: list[int], report: Report) -> None:
    """Check, where float32 came, that the backward pass works in float32, too: loosely, its type and its shape."""
    subject = point.subject
    if {v.dtype for v in subject.values} != {np.dtype(np.float32)}:  # mixed types came only for the check
        return
    try:
        with subject.as_given():
            found = subject.gradients(point.values, point.split_outputs(cotangent))
    except Fault as fault:
        fault.diagnosis = replace(fault.diagnosis, text=f"with the given types, {fault.diagnosis.text}")
        raise
    exact = point.gradient(cotangent)
    shaken = exact - _shaken_gradient(point, cotangent)
    for entry, k in zip(report.gradients, chosen):
        gradient, s = found[k], point.slices[k]
        if gradient is None or subject.state.random:
            continue
        array, right = np.asarray(gradient), exact[s]
        if array.shape != point.shapes[k] or array.dtype.kind != "f":
            text = f"for {subject.values[k].dtype} the gradient is {array.dtype} of shape {array.shape}"
            report.faults.append(Fault("wrong type", text, entry.name).diagnosis)
            continue
        size = float(np.abs(right).max(initial=0))
        off = float(np.abs(array.astype(np.float64).ravel() - right).max(initial=0))
        if not off <= 0.02 * size + 50 * float(np.abs(shaken[s]).max(initial=0)) + 1e-30:
            entry.passed = False
            text = f"in {subject.values[k].dtype} the gradient is off by {off:.3g}, in float64 it is right"
            evidence = f"its largest value is {size:.3g}"
            report.faults.append(Fault("lost precision", text, entry.name, evidence).diagnosis)


def _shaken_gradient(point: Point, cotangent: Array) -> Array:
    """Return the gradient at values moved as far as rounding to float32 may move them."""
    factor = 1 + 1e-7 * np.random.default_rng(1).uniform(-1, 1, point.x.shape)
    former, moved = point.values, point.x * factor
    point.values = [moved[s].reshape(shape) for s, shape in zip(point.slices, point.shapes)]
    try:
        return point.gradient(cotangent)
    finally:
        point.values = former


def _whole(point: Point, array: Array) -> bool:
    """Return whether a gradient of whole numbers may be what is meant: all zeros, for an input without influence."""
    return not array.any()


def _enter(outcome: Outcome, chosen: list[int], report: Report, where: str) -> None:
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
            _enter(outcome, chosen, report, f"at {text} values")
            return outcome
    return None

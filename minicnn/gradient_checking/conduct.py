"""Conduct: what is wrong with a subject before its numbers are compared.

Outputs that are not finite, results that change from call to call, gradients of the wrong shape or type, a backward
pass that works in float64 only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .pair import is_missing
from .point import Point
from .report import Gradient, Report
from .subject import Fault

Array = Any


def look_at_outputs(point: Point) -> None:
    if not np.isfinite(point.x).all():  # then nan and inf may come out; such outputs are left out
        return
    if not np.isfinite(point.base).all():
        i = int(np.flatnonzero(~np.isfinite(point.base))[0])
        raise Fault(
            "NaN/Inf",
            f"the function itself gives {point.base[i]:g} at output {list(point.output_index(i))}",
            evidence=f"{int((~np.isfinite(point.base)).sum())} of {point.base.size} outputs are not finite",
        )


def look_for_state(point: Point, when: str = "") -> None:
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


def look_at_backward(point: Point, cotangent: Array, raw: list[Any], elements: Array) -> None:
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


def usable(point: Point, raw: list[Any], chosen: list[int], report: Report) -> Array:
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


def look_at_float32(point: Point, cotangent: Array, chosen: list[int], report: Report) -> None:
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
    largest = float(np.abs(exact).max(initial=0))  # what cancels to nearly 0 keeps the rounding errors of its terms
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
        if not off <= 0.02 * size + 50 * float(np.abs(shaken[s]).max(initial=0)) + 1e-5 * largest + 1e-30:
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

"""`gradcheck`: the order in which a function and its backward pass are examined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .numeric import Derivative, along
from .report import Element, Gradient, Report
from .subject import Fault, Subject, subject

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
    atol: float | None = None,
) -> Report:
    """Compare the gradients that a backward pass gives with central differences of the function itself.

    `function` is a function of Tensors, an `nn.Module` (its parameters are checked, too), or, with `backward`, one
    half of a plain NumPy pair: `function(*arrays) -> out` with `backward(dout, *arrays) -> grads`, or
    `forward(*arrays) -> (out, cache)` with `backward(dout, cache) -> grads`. Nothing that these do raises an error
    here: what is wrong stands in the report, which is true if everything agrees.
    """
    report = Report()
    try:
        _examine(subject(function, inputs, backward), wrt, mode, seed, rtol, atol, report)
    except Fault as fault:
        report.faults.append(fault.diagnosis)
        report.diagnosis.append(fault.diagnosis)
    return report


def _examine(
    what: Subject, wrt: Any, mode: str, seed: int, rtol: float, atol: float | None, report: Report
) -> None:
    rng = np.random.default_rng(seed)
    point = [np.asarray(v, np.float64) for v in what.values]
    outputs = what.outputs(point)
    cotangents = [rng.standard_normal(o.shape) for o in outputs]
    cotangent = np.concatenate([c.ravel() for c in cotangents]) if cotangents else np.zeros(0)
    gradients = what.gradients(point, cotangents)
    for k, (name, value, gradient) in enumerate(zip(what.names, point, gradients)):
        if wrt is not None and k not in wrt and name not in wrt:
            continue
        result = Gradient(name, value.shape)
        report.gradients.append(result)
        if gradient is None:
            gradient = np.zeros(value.shape)
        gradient = np.asarray(gradient)
        if gradient.shape != value.shape:
            raise Fault(
                "wrong shape", f"the gradient has shape {gradient.shape}, its input has {value.shape}", name
            )
        if gradient.dtype.kind != "f":
            raise Fault("wrong type", f"the gradient has type {gradient.dtype}, its input is float", name)
        checker = _Lines(what, point, k, cotangent)
        if mode != "full" and all(
            _agrees(checker.along(v), float((gradient * v).sum()), rtol, _norm(gradient * v), atol)
            for v in (_direction(rng, value) for _ in range(2))
        ):
            continue
        largest = 0.0
        found = []
        for index in np.ndindex(value.shape):
            v = np.zeros(value.shape)
            v[index] = 1
            derivative = checker.along(v)
            found.append((index, derivative))
            largest = max(largest, abs(derivative.value))
        for index, derivative in found:
            a = float(gradient[index])
            if not _agrees(derivative, a, rtol, abs(a) + 1e-2 * largest, atol):
                result.passed = False
                result.elements.append(Element(name, index, a, derivative.value, derivative.error))


class _Lines:
    """Derivatives of the outputs along directions in one of the values."""

    def __init__(self, what: Subject, point: Sequence[Array], k: int, cotangent: Array) -> None:
        self.what, self.point, self.k, self.cotangent = what, list(point), k, cotangent
        size = np.abs(point[k][np.isfinite(point[k])])
        self.scale = float(np.sqrt((size**2).mean())) if size.any() else 1.0

    def along(self, direction: Array) -> Derivative:
        here = self.point[self.k]

        def line(t: float) -> Array:
            values = list(self.point)
            values[self.k] = here + t * direction
            outputs = self.what.outputs(values)
            return np.concatenate([o.ravel() for o in outputs]) if outputs else np.zeros(0)

        return along(line, self.cotangent, self.scale)


def _direction(rng: np.random.Generator, value: Array) -> Array:
    """Return a direction in which no element stands still and no two errors cancel but by chance."""
    return rng.uniform(0.5, 1.5, value.shape) * rng.choice((-1, 1), value.shape)


def _norm(array: Array) -> float:
    return float(np.sqrt((array * array).sum()))


def _agrees(numeric: Derivative, analytic: float, rtol: float, size: float, atol: float | None) -> bool:
    bound = 10 * numeric.error + rtol * size + (atol or 0.0)
    return abs(numeric.value - analytic) <= bound

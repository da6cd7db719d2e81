"""Factors: the gradient is a multiple of the right one."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..evidence import Evidence
from ..report import Diagnosis

Array = Any
Finding = tuple[float, Diagnosis]


def nothing_arrives(e: Evidence) -> list[Finding]:
    """The gradient is zero or None although the function depends on the value."""
    if e.analytic.shape not in ((), e.x.shape) or not e.scale:
        return []
    if e.given is None:
        text = "no gradient arrives: the graph is cut between this value and the result (None)"
    elif e.analytic.shape == e.x.shape and not e.analytic.any():
        text = "the gradient is zero everywhere, as if the graph were cut"
    else:
        return []
    return [(0.99, Diagnosis("cut graph", text, f"the function's own gradient has size {e.scale:.3g}", e.name))]


def constant_factor(e: Evidence) -> list[Finding]:
    """Every element is the same multiple of the right one: 2, 1/2, −1, N, 1/N, …"""
    if e.analytic.shape != e.x.shape:
        return []
    mask = e.known
    a, n = e.analytic[mask], e.numeric[mask]
    if n.size < 1 or not n.any() or not a.any() or not np.isfinite(a).all():
        return []
    factor = float(a @ n / (n @ n))
    if not factor or not np.abs(a - factor * n).max() <= 1e-5 * np.abs(a).max() or abs(factor - 1) < 1e-4:
        return []
    certainty = 0.97 if n.size > 2 else 0.8 if n.size == 2 else 0.6
    what = name_factor(factor, e)
    if not what and n.size <= 2:
        certainty -= 0.3
    text = f"every element is {factor:.6g} times the right one" + (f": {what}" if what else "")
    return [(certainty, Diagnosis("constant factor", text, f"holds for {n.size} measured elements", e.name))]


def name_factor(factor: float, e: Evidence) -> str:
    """Return where a factor may come from: a number or a size."""
    if abs(factor + 1) < 1e-5:
        return "the sign is turned round"
    sign = "−" if factor < 0 else ""
    size = abs(factor)
    shapes = [("this input", e.x.shape)]
    shapes += [(f"output {i}" if i else "the output", o.shape) for i, o in enumerate(e.outputs)]
    shapes += [("another input", v.shape) for i, v in enumerate(e.point.values) if i != e.k]
    for value, simple in ((2.0, "2"), (0.5, "1/2")):
        if abs(size - value) < 1e-5:
            return f"a factor {sign}{simple} too much"
    for whose, shape in shapes:
        if shape:
            for count, what in _counts(shape):
                if count > 1 and abs(size * count - 1) < 1e-5:
                    return f"{sign}1/{count}, a mean where a sum is right, or divided twice ({what} of {whose})"
                if count > 1 and abs(size / count - 1) < 1e-5:
                    return f"{sign}{count}, a sum where a mean is right ({what} of {whose})"
    for n in range(3, 1025):
        if abs(size - n) < 1e-5 * n or abs(size * n - 1) < 1e-5:
            return f"{sign}{n}" if size > 1 else f"{sign}1/{n}"
    root = size**2
    for n in range(2, 1025):
        if abs(root - n) < 1e-5 * n or abs(root * n - 1) < 1e-5:
            return f"{sign}√{n}" if size > 1 else f"{sign}1/√{n}"
    return ""


def _counts(shape: tuple[int, ...]) -> list[tuple[int, str]]:
    counts = [(n, f"axis {axis}") for axis, n in enumerate(shape)]
    if len(shape) > 1:
        counts.append((prod(shape), "all elements"))
    if len(shape) == 4:
        counts += [(shape[2] * shape[3], "H·W"), (shape[0] * shape[2] * shape[3], "N·H·W")]
    return [*counts, *((n - 1, f"{what} less one") for n, what in counts if n > 2)]


def missing_factor(e: Evidence) -> list[Finding]:
    """The right value over the given one is a simple function of an array at hand."""
    if e.analytic.shape != e.x.shape:
        return []
    a, n = e.analytic, e.numeric
    mask = e.known & (np.abs(a) > 1e-9 * np.abs(a).max(initial=0)) & (np.abs(n) > 1e-9 * e.scale)
    if mask.sum() < 4:
        return []
    ratio = n[mask] / a[mask]
    if np.ptp(ratio) <= 1e-4 * np.abs(ratio).max():
        return []
    for what, array in companions(e):
        q = np.broadcast_to(array, e.x.shape)[mask]
        if np.unique(q).size < 3:  # rather a case distinction
            continue
        with np.errstate(all="ignore"):
            trials = [("", q), ("1 / ", 1 / q), ("square of ", q * q), ("1 / square of ", 1 / (q * q))]
        for text, trial in trials:
            if not np.isfinite(trial).all() or np.ptp(trial) == 0:
                continue
            design = np.stack([np.ones_like(trial), trial], 1)
            beta, *_ = np.linalg.lstsq(design, ratio, rcond=None)
            if np.abs(design @ beta - ratio).max() <= 1e-5 * np.abs(ratio).max():
                relation = _affine(beta, text + what)
                words = f"a factor is missing: the right gradient is this one times {relation}"
                evidence = f"holds for {int(mask.sum())} measured elements"
                return [(0.9, Diagnosis("missing term", words, evidence, e.name))]
    return []


def _affine(beta: Array, what: str) -> str:
    constant, slope = (0.0 if abs(b) < 1e-6 else float(b) for b in beta)
    if not constant:
        return what if abs(slope - 1) < 1e-5 else f"{slope:.4g} · ({what})"
    return f"({constant:.4g} {'+' if slope > 0 else '−'} {abs(slope):.4g} · ({what}))"


def companions(e: Evidence, marks: bool = True) -> list[tuple[str, Array]]:
    """Return the arrays at hand that broadcast to the value's shape: outputs, the other inputs, the value itself.

    `marks`: also the matrix that marks the labels of the rows.
    """
    arrays = [("output", o) for o in e.outputs]
    arrays += [(e.point.subject.names[i], v) for i, v in enumerate(e.point.values) if i != e.k]
    arrays += [(what, array) for what, array in e.labels if marks or array is not e.marks]
    arrays.append((e.name, e.x))
    found = []
    for what, array in arrays:
        if array.size < 2:
            continue
        try:
            if np.broadcast_shapes(array.shape, e.x.shape) == e.x.shape:
                found.append((what, array))
                continue
        except ValueError:
            pass
        for axis in range(e.x.ndim):  # a vector per channel
            if array.ndim == 1 and array.shape[0] == e.x.shape[axis] and e.x.ndim > 1:
                found.append((what, array.reshape([-1 if i == axis else 1 for i in range(e.x.ndim)])))
    return found

"""Arithmetic: nan, rounding, whole numbers, and a backward pass that does not use dout."""

from __future__ import annotations

import numpy as np

from ..evidence import Evidence
from ..report import Diagnosis

Finding = tuple[float, Diagnosis]


def not_finite(e: Evidence) -> list[Finding]:
    """There is a nan or an infinity."""
    bad = ~np.isfinite(e.analytic)
    if e.given is None or not bad.any():
        return []
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    text = f"the gradient is {e.analytic[index]:g} at {list(index)}, the first of {int(bad.sum())} such elements"
    evidence = f"{e.name} there is {e.x[index]:.6g}" if e.x.shape == bad.shape else ""
    return [(1.0, Diagnosis("NaN/Inf", text, evidence, e.name))]


def ignores_dout(e: Evidence) -> list[Finding]:
    """Backward gives the same for any dout."""
    if e.given is None or not e.analytic.any():
        return []
    other = e.gradient(-2.5 * e.cotangent)
    if other is None or other.shape != e.analytic.shape or not np.allclose(other, e.analytic, rtol=1e-9, atol=0):
        return []
    text = "backward does not use dout: the chain rule multiplies by it"
    return [(0.985, Diagnosis("ignores dout", text, "the gradient is the same for −2.5 · dout", e.name))]


def not_linear(e: Evidence) -> list[Finding]:
    """Backward is not linear in dout: a case distinction looks at it, or a term comes without it."""
    a = e.analytic
    if e.given is None or not a.any() or not np.isfinite(a).all():
        return []
    size, found = float(np.abs(a).max()), []
    for cotangent in (-e.cotangent, 2 * e.cotangent, 0 * e.cotangent):
        gradient = e.gradient(cotangent)
        if gradient is None or gradient.shape != a.shape or not np.isfinite(gradient).all():
            return []
        found.append(gradient)
    turned, double, nothing = found
    if np.abs(nothing).max() > 1e-6 * size:
        text = "a term of the gradient does not contain dout: it stays when dout is 0"
        evidence = f"for dout = 0 the gradient is up to {np.abs(nothing).max():.3g}"
        return [(0.94, Diagnosis("ignores dout", text, evidence, e.name))]
    if np.abs(double - 2 * a).max() <= 1e-9 * size and np.abs(turned + a).max() > 1e-6 * size:
        text = "a case distinction looks at dout: for −dout other elements are zero or large"
        evidence = f"the gradients for dout and −dout do not cancel, by up to {np.abs(turned + a).max():.3g}"
        return [(0.94, Diagnosis("branch", text, evidence, e.name))]
    return []


def lost_precision(e: Evidence) -> list[Finding]:
    """Right but for rounding: computed or stored in float32 or float16."""
    a = e.analytic
    if a.shape != e.x.shape or not e.known.any() or not a.any():
        return []
    mask = e.known & (np.abs(e.numeric) > 1e-3 * e.scale)
    gap = np.abs(a - e.numeric)[e.known]
    if not mask.any() or not gap.max() <= 3e-3 * np.abs(e.numeric[e.known]).max():
        return []
    relative = np.abs(a[mask] / e.numeric[mask] - 1)
    typical, largest = float(np.median(relative)), float(relative.max())
    if largest < 1e-9:
        return []
    for kind, precise in ((np.float32, 2e-7), (np.float16, 2e-3)):
        with np.errstate(over="ignore"):
            stored = np.array_equal(a.astype(kind).astype(np.float64), a)
        if stored and largest < precise:
            text = f"precision is lost: the gradient was rounded to {np.dtype(kind)}"
            evidence = f"every value is a {np.dtype(kind)}, relative errors up to {largest:.2g}"
            return [(0.98, Diagnosis("lost precision", text, evidence, e.name))]
    for digits in range(1, 9):
        if np.array_equal(np.round(a, digits), a) and np.abs(a - e.numeric)[mask].max() <= 0.6 * 10.0**-digits:
            text = f"precision is lost: the gradient was rounded to {digits} digits after the point"
            return [(0.97, Diagnosis("lost precision", text, f"relative errors up to {largest:.2g}", e.name))]
    scatters = np.ptp(a[mask] / e.numeric[mask]) > 0.3 * largest  # no common factor
    if largest < 3e-3 and typical > 1e-9 and scatters:
        guess = "float32" if typical < 1e-5 else "float16"
        text = f"precision is lost, as in {guess} arithmetic"
        return [(0.8, Diagnosis("lost precision", text, f"relative errors scatter around {typical:.2g}", e.name))]
    return []


def integer_division(e: Evidence) -> list[Finding]:
    """Whole numbers where the right ones are not: //, int(…), an integer array."""
    a = e.analytic
    if e.given is None or a.shape != e.x.shape or not e.known.any():
        return []
    kind = np.asarray(e.given).dtype.kind
    right = e.numeric[e.known]
    fractional = np.abs(right - np.round(right)).max() > 1e-3
    whole = np.array_equal(a, np.round(a))
    if fractional and whole and (a.any() or kind in "iu"):
        near = np.abs(a[e.known] - right).max() <= 1 + 1e-6
        floor = np.mean(a[e.known] == np.floor(right + 1e-9))
        trunc = np.mean(a[e.known] == np.trunc(right))
        if kind in "iu" or floor > 0.9 or trunc > 0.9 or near:
            how = "rounded down (integer division?)" if floor >= trunc else "cut to whole numbers"
            text = f"whole numbers where the right ones have fractions: {how}"
            evidence = f"type {np.asarray(e.given).dtype}, all values whole"
            return [(0.97, Diagnosis("integer division", text, evidence, e.name))]
    # Rounding inside: backward is not linear in dout, and large douts are almost right.
    large = e.gradient(1e6 * e.cotangent)
    if large is None or large.shape != a.shape or not a.any():
        return []
    if not np.allclose(large / 1e6, a, rtol=1e-6, atol=1e-9 * e.scale) and e.fits(large / 1e6, tolerance=1e-4):
        text = "backward rounds to whole numbers on the way (integer division?)"
        return [(0.96, Diagnosis("integer division", text, "for a million times dout the gradient is right", e.name))]
    return []

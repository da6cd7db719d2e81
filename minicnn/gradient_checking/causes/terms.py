"""Terms: something is missing from the sum, and what is missing looks like an array at hand."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from ..evidence import Evidence
from ..report import Diagnosis
from .factors import companions

Array = Any
Finding = tuple[float, Diagnosis]


def batch_statistics(e: Evidence) -> list[Finding]:
    """Mean and variance depend on every value, and their terms are missing.

    The residual is then α + β x with one α and β for each group that shares its statistics, and the right gradient
    sums to 0 over the group, because adding a constant to the group changes nothing.
    """
    if e.analytic.shape != e.x.shape or e.x.ndim == 0 or not e.known.all() or not e.scale:
        return []
    residual, axes = e.numeric - e.analytic, range(e.x.ndim)
    size = float(np.abs(residual).max())
    for count in range(1, e.x.ndim + 1):
        for group in combinations(axes, count):
            length = int(np.prod([e.x.shape[i] for i in group]))
            if length < 3 or np.abs(e.numeric.mean(group)).max() > 1e-5 * e.scale:
                continue
            last = range(-count, 0)
            r, x = (np.moveaxis(a, group, last).reshape(-1, length) for a in (residual, e.x))
            centred = x - x.mean(1, keepdims=True)
            spread = (centred**2).sum(1, keepdims=True)
            beta = (r * centred).sum(1, keepdims=True) / np.where(spread == 0, 1, spread)
            given = np.moveaxis(e.analytic, group, last).reshape(-1, length)
            right = np.moveaxis(e.numeric, group, last).reshape(-1, length)
            if _proportional(given, right):  # a factor explains it better
                continue
            constant = np.abs(r - r.mean(1, keepdims=True)).max() <= 1e-5 * size
            linear = np.abs(r - r.mean(1, keepdims=True) - beta * centred).max() <= 1e-4 * size
            if not constant and not (linear and length >= 4):
                continue
            has_mean = np.abs(r.mean(1)).max() > 1e-4 * size
            which = "the mean's" if constant else "the mean's and the variance's" if has_mean else "the variance's"
            whose = "batch statistics" if 0 in group else "statistics"
            text = f"{which} terms of the {whose} over axes {', '.join(map(str, group))} are missing"
            evidence = "the residual is constant in each group" if constant else "the residual is α + β·x in each group"
            return [(0.95, Diagnosis("batch statistics", text, evidence, e.name))]
    return []


def _proportional(given: Array, right: Array) -> bool:
    """Return whether each row is a multiple of the right one."""
    factor = (given * right).sum(1, keepdims=True) / np.maximum((right**2).sum(1, keepdims=True), 1e-300)
    return bool(np.abs(given - factor * right).max() <= 1e-5 * np.abs(given).max())


def missing_term(e: Evidence) -> list[Finding]:
    """Whatever else: which array at hand does the residual look like?"""
    if e.analytic.shape != e.x.shape or not e.known.any():
        return []
    residual = (e.numeric - e.analytic)[e.known]
    if not np.isfinite(residual).all() or not residual.any():
        return []
    marks = e.marks
    if marks is not None and e.known.all() and np.array_equal(marks > 0, e.wrong) and (marks == 0).sum() > 3:
        text = "a term is missing: only the labels' own elements are wrong"
        evidence = f"{int(e.wrong.sum())} wrong elements, one in each row"
        return [(0.92, Diagnosis("missing term", text, evidence, e.name))]
    best, name = 0.0, ""
    for what, array in _candidates(e):
        q = np.broadcast_to(array, e.x.shape)[e.known]
        length = np.sqrt((q @ q) * (residual @ residual))
        match = abs(float(q @ residual)) / float(length) if length > 0 and np.isfinite(length) else 0.0
        if match > best + 1e-9:
            best, name = match, what
    pattern = _pattern(e) if best <= 0.999 else None
    if pattern is not None:
        return [(pattern[0], Diagnosis("missing term", pattern[1], pattern[2], e.name))]
    share = float(np.sqrt((residual @ residual) / max(float(e.numeric[e.known] @ e.numeric[e.known]), 1e-300)))
    if best > 0.999 and residual.size > 3:
        text = f"a term is missing: what lacks is proportional to {name}"
        return [(0.92, Diagnosis("missing term", text, f"correlation {best:.6f}", e.name))]
    text = "a term is missing, or one too many"
    look = "it looks like no array at hand"
    if best > 0.3:
        look = f"what lacks looks most like {name} (correlation {best:.2f})"
    return [(0.3 + 0.2 * best, Diagnosis("missing term", text, f"{look}; it is {share:.2g} of the whole", e.name))]


def _pattern(e: Evidence) -> tuple[float, str, str] | None:
    """Return what single contributions, output by output, say of a term that looks like no array: certainty and words.

    D, right less given, has an output a row and an element a column.
    """
    jacobian = e.jacobian
    if jacobian is None:
        return None
    fine, lost, extra, off = jacobian.states
    if lost.any() or extra.any() or not off.any():
        return _common_sum(jacobian)
    with np.errstate(all="ignore"):
        ratio = np.where(fine | off, jacobian.numeric / jacobian.analytic, np.nan)
    evidence = f"{int(off.sum())} of {int((fine | off).sum())} single contributions have a wrong value"
    for axis, words in (
        (0, "a factor is missing that belongs to the element, the same for every output it contributes to"),
        (1, "a factor is missing that belongs to the output: dout must be multiplied by it before anything else"),
    ):
        several = (fine | off).sum(axis) >= 2
        if several.sum() >= 2 and several[(fine | off).any(axis)].mean() > 0.5:
            r = np.compress(several, ratio, 1 - axis)
            spread = np.nanmax(r, axis) - np.nanmin(r, axis)
            if np.all(spread <= 1e-4 * np.nanmax(np.abs(r), axis)):
                return 0.8, words, evidence
    common = _common_sum(jacobian)
    words = "every contribution arrives where it should, but has a wrong value: the derivative lacks a factor or a term"
    return common or (0.62, words, evidence)


def _common_sum(jacobian: Any) -> tuple[float, str, str] | None:
    """Return words if what is missing is one sum over the outputs, the same for several elements, like Σ dout · y."""
    d = jacobian.numeric - jacobian.analytic
    present = np.abs(d) > 1e-6 * float(np.abs(d).max(initial=0))
    groups: dict[bytes, list[int]] = {}
    for j in np.flatnonzero(present.sum(0) >= 2):
        groups.setdefault(present[:, j].tobytes(), []).append(int(j))
    shared = [columns for columns in groups.values() if len(columns) >= 2]
    if not shared or sum(map(len, shared)) < 0.6 * int(present.any(0).sum()):
        return None
    for columns in shared:
        block = d[present[:, columns[0]]][:, columns]
        sizes = np.linalg.svd(block, compute_uv=False)
        if sizes[1] > 1e-4 * sizes[0]:
            return None
    words = "a sum over the outputs is missing or wrong, one for several elements (like y · Σ dout y)"
    return 0.78, words, f"what lacks has rank 1 for {sum(map(len, shared))} elements in {len(shared)} groups"


def _candidates(e: Evidence) -> list[tuple[str, Array]]:
    """Return arrays that broadcast to the value: dout, products with it, and the arrays at hand."""
    found = companions(e)
    douts = [("dout", c) for c in e.cotangents if c.shape == e.x.shape]
    found += [(f"dout · {what}", d * np.broadcast_to(a, e.x.shape)) for _, d in douts for what, a in companions(e)]
    found += douts
    for o in e.outputs:  # dout where a last ReLU lets it pass
        found += [("dout where the output is above 0", d * (o > 0)) for _, d in douts if o.shape == e.x.shape]
    for c in e.cotangents:  # dout summed over what it has more
        extra = c.ndim - e.x.ndim
        if extra > 0 and c.shape[extra:] == e.x.shape:
            found.append(("dout summed", c.sum(tuple(range(extra)))))
    found.append(("a constant", np.ones(e.x.shape)))
    found.append(("the gradient itself", np.nan_to_num(e.analytic)))
    return found

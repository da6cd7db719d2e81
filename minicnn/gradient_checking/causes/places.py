"""Places: only some elements are wrong, and where they are says why."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..evidence import Evidence
from ..report import Diagnosis
from .factors import companions

Array = Any
Finding = tuple[float, Diagnosis]


def border(e: Evidence) -> list[Finding]:
    """Only elements at the border are wrong: of the image, or of one axis."""
    if e.analytic.shape != e.x.shape or e.x.ndim == 0:
        return []
    wrong, right = e.wrong & e.known, ~e.wrong & e.known
    if not wrong.any() or right.sum() < 2:
        return []
    shape, image = e.x.shape, e.x.ndim >= 3
    if len(shape) >= 2 and min(shape[-2:]) >= 3:
        for width in range(1, (min(shape[-2:]) - 1) // 2 + 1):
            ring = np.ones(shape, bool)
            ring[..., width:-width, width:-width] = False
            if not (wrong & ~ring).any():
                text = f"wrong only at the border, {width} deep: padding is handled wrongly"
                return [_place(e, ring, 0.92 if image else 0.6, text)]
    for axis in range(max(0, len(shape) - 3), len(shape)):
        length = shape[axis]
        rows = set(np.unique(np.nonzero(wrong)[axis]).tolist())
        for side, words in (({0}, "the start"), ({length - 1}, "the end"), ({0, length - 1}, "both ends")):
            if length >= 3 and rows <= side:
                slab = np.zeros(shape, bool)
                slab[tuple(sorted(side) if i == axis else slice(None) for i in range(len(shape)))] = True
                return [_place(e, slab, 0.85 if image else 0.6, f"wrong only at {words} of axis {axis}")]
    return []


def _place(e: Evidence, region: Array, certainty: float, text: str) -> Finding:
    inside = region & e.known
    wrong = int((e.wrong & inside).sum())
    share = wrong / max(int(inside.sum()), 1)
    evidence = f"{wrong} of the {int(inside.sum())} elements there, none elsewhere"
    return (certainty if share > 0.6 else 0.25 + 0.2 * share), Diagnosis("border", text, evidence, e.name)


def branch(e: Evidence) -> list[Finding]:
    """Wrong and right elements are told apart by a threshold on an array at hand: one branch of a case distinction."""
    if e.analytic.shape != e.x.shape:
        return []
    wrong, right = e.wrong & e.known, ~e.wrong & e.known
    if min(wrong.sum(), right.sum()) >= 2:
        arrays = list(reversed(companions(e)))
        arrays += [(f"{e.name} − {what}", e.x - array) for what, array in arrays if array is not e.x]
        for what, array in arrays:
            q = np.broadcast_to(array, e.x.shape)
            w, r = q[wrong], q[right]
            for turned in (False, True):
                low, high = (w, r) if not turned else (r, w)
                if low.max() < high.min():
                    edge = 0.0 if low.max() <= 0 <= high.min() else float((low.max() + high.min()) / 2)
                    text = f"wrong on one branch: where {what} is {'above' if turned else 'below'} {edge:.4g}"
                    evidence = f"{w.size} wrong elements there, {r.size} right ones on the other side"
                    return [(0.9 if min(w.size, r.size) >= 3 else 0.6, Diagnosis("branch", text, evidence, e.name))]
    if wrong.sum() >= 4:
        zero_a, zero_n = np.abs(e.analytic) <= 1e-9 * e.scale, np.abs(e.numeric) <= 1e-9 * e.scale
        if np.all((zero_a != zero_n)[e.known]) and zero_a[e.known].any() and zero_n[e.known].any():
            text = "the branches are exchanged: zero where the right gradient is not, and the reverse"
            return [(0.9, Diagnosis("branch", text, f"{int(e.known.sum())} elements", e.name))]
    jacobian = e.jacobian
    if jacobian is not None:
        fine, lost, extra, off = jacobian.states
        if extra.any() and fine.sum() >= 2 and not lost.any() and not off.any():
            text = "wrong on one branch: gradient passes where the function is switched off"
            evidence = f"{int(extra.sum())} single contributions should be 0, {int(fine.sum())} others are right"
            return [(0.72, Diagnosis("branch", text, evidence, e.name))]
        if lost.any() and extra.any() and not off.any() and not fine.any():
            text = "the branches are exchanged: zero where the right gradient is not, and the reverse"
            return [(0.75, Diagnosis("branch", text, f"{int(extra.sum())} single contributions", e.name))]
    return []

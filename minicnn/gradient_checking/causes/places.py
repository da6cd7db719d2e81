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
    found = []
    if len(shape) >= 2 and min(shape[-2:]) >= 3:
        for width in range(1, (min(shape[-2:]) - 1) // 2 + 1):
            ring = np.ones(shape, bool)
            ring[..., width:-width, width:-width] = False
            if not (wrong & ~ring).any():
                text = f"wrong only at the border, {width} deep: padding is handled wrongly"
                found.append(_place(e, ring, 0.92 if image else 0.6, text))
                break
    for axis in range(max(0, len(shape) - 3), len(shape)):
        length = shape[axis]
        rows = set(np.unique(np.nonzero(wrong)[axis]).tolist())
        for side, words in (({0}, "the start"), ({length - 1}, "the end"), ({0, length - 1}, "both ends")):
            if length >= 3 and rows <= side:
                slab = np.zeros(shape, bool)
                slab[tuple(sorted(side) if i == axis else slice(None) for i in range(len(shape)))] = True
                certainty = 0.85 if image else 0.6
                found.append(_place(e, slab, certainty, f"wrong only at {words} of axis {axis}", image or axis > 0))
                break
    return sorted(found, key=lambda f: -f[0])[:1]


def _place(e: Evidence, region: Array, certainty: float, text: str, telling: bool = True) -> Finding:
    inside = region & e.known
    wrong, count = int((e.wrong & inside).sum()), int(inside.sum())
    share = wrong / max(count, 1)
    evidence = f"{wrong} of the {count} elements there, none elsewhere"
    if share == 1 and count >= 3 and (e.known & ~region).sum() >= count:
        certainty = max(certainty, 0.88 if telling else 0.71)  # the first or last row may be wrong for its values
    return (certainty if share > 0.6 else 0.25 + 0.2 * share), Diagnosis("border", text, evidence, e.name)


def branch(e: Evidence) -> list[Finding]:
    """Wrong and right elements are told apart by an array at hand: one branch of a case distinction."""
    if e.analytic.shape != e.x.shape:
        return []
    wrong, right = e.wrong & e.known, ~e.wrong & e.known
    arrays = list(reversed(companions(e, marks=False)))
    others = [v for i, v in enumerate(e.point.values) if i != e.k]
    arrays += [
        (f"{e.name} − {what}", e.x - array) for what, array in arrays if any(np.shares_memory(array, v) for v in others)
    ]
    if min(wrong.sum(), right.sum()) >= 2:
        for what, array in arrays:
            q = np.broadcast_to(array, e.x.shape)
            where = _apart(q[wrong], q[right], what)
            if where:
                text = f"wrong on one branch: where {where}"
                evidence = f"{int(wrong.sum())} wrong elements there, {int(right.sum())} right ones on the other side"
                few = min(wrong.sum(), right.sum()) < 3
                return [(0.6 if few else 0.9, Diagnosis("branch", text, evidence, e.name))]
    if wrong.sum() >= 4:
        zero_a, zero_n = np.abs(e.analytic) <= 1e-9 * e.scale, np.abs(e.numeric) <= 1e-9 * e.scale
        if np.all((zero_a != zero_n)[e.known]) and zero_a[e.known].any() and zero_n[e.known].any():
            text = "the branches are exchanged: zero where the right gradient is not, and the reverse"
            return [(0.9, Diagnosis("branch", text, f"{int(e.known.sum())} elements", e.name))]
    return _factors(e, arrays) or _passing(e)


def _apart(inside: Array, outside: Array, what: str) -> str:
    """Return in words the side of a threshold, or the interval, that holds all values of the first kind alone."""
    low, high = float(inside.min()), float(inside.max())
    below, above = outside[outside <= low], outside[outside >= high]
    if below.size + above.size < outside.size or np.isin(inside, outside).any():
        low_out, high_out = float(outside.min()), float(outside.max())  # the other way round: outside an interval
        if min(inside.size, outside.size) < 4 or ((inside >= low_out) & (inside <= high_out)).any():
            return ""
        edges = (
            float(inside[inside < low_out].max() + low_out) / 2,
            float(inside[inside > high_out].min() + high_out) / 2,
        )
        return f"{what} is below {edges[0]:.4g} or above {edges[1]:.4g}"
    if not below.size or not above.size:
        edge = float(below.max() + low) / 2 if below.size else float(high + above.min()) / 2
        near = (float(below.max()), low) if below.size else (high, float(above.min()))
        edge = 0.0 if near[0] <= 0 <= near[1] else edge
        return f"{what} is {'above' if below.size else 'below'} {edge:.4g}"
    if min(inside.size, outside.size) < 4:
        return ""
    return f"{what} is between {float(below.max() + low) / 2:.4g} and {float(high + above.min()) / 2:.4g}"


def _factors(e: Evidence, arrays: list[tuple[str, Array]]) -> list[Finding]:
    """Two or three factors instead of 1, each on a branch of its own."""
    a, n = e.analytic, e.numeric
    mask = e.known & (np.abs(n) > 1e-6 * e.scale) & np.isfinite(a)
    if mask.sum() < 6:
        return []
    ratio = a[mask] / n[mask]
    steps = np.flatnonzero(np.diff(np.sort(ratio)) > 1e-4 * np.abs(ratio).max()) + 1
    groups = np.split(np.argsort(ratio), steps)
    if len(groups) not in (2, 3) or min(g.size for g in groups) < 2 or any(np.ptp(ratio[g]) > 1e-4 for g in groups):
        return []
    for what, array in arrays:
        q = np.broadcast_to(array, e.x.shape)[mask]
        places = [_apart(q[g], np.delete(q, g), what) for g in groups]
        if all(places):
            parts = "; ".join(f"{ratio[g[0]]:.4g} times the right one where {p}" for g, p in zip(groups, places))
            text = f"the gradient has another factor on each branch: {parts}"
            return [(0.91, Diagnosis("branch", text, f"{int(mask.sum())} elements", e.name))]
    return []


def _passing(e: Evidence) -> list[Finding]:
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

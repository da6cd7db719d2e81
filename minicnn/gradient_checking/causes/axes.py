"""Axes: the right numbers in the wrong places, or in the wrong shape."""

from __future__ import annotations

from itertools import combinations, permutations, product
from typing import Any

import numpy as np

from ..evidence import Evidence
from ..report import Diagnosis

Array = Any
Finding = tuple[float, Diagnosis]


def wrong_shape(e: Evidence) -> list[Finding]:
    """The shape is wrong; what would make it right?"""
    a, shape = e.analytic, e.x.shape
    if a.shape == shape or e.given is None:
        return []
    what = f"shape {a.shape} instead of {shape}"
    for axes in permutations(range(a.ndim)):
        if tuple(a.shape[i] for i in axes) == shape and e.fits(a.transpose(axes)):
            evidence = f"{what}; transposed it is right"
            return [(0.99, Diagnosis("transposed", "the gradient is transposed", evidence, e.name))]
    for count in range(1, a.ndim + 1):
        for axes in combinations(range(a.ndim), count):
            for keep in (False, True):
                total = a.sum(axes, keepdims=keep)
                if total.shape == shape and e.fits(total):
                    if a.size == e.x.size:  # axes of length 1 only
                        break
                    over = ", ".join(map(str, axes))
                    text = f"the gradient is not summed over axis {over}, along which the value was repeated"
                    return [(0.99, Diagnosis("not summed", text, f"{what}; summed it is right", e.name))]
    if a.size == e.x.size and e.fits(a.reshape(shape)):
        text = "the gradient has the right numbers in the wrong shape"
        return [(0.99, Diagnosis("wrong shape", text, f"{what}; reshaped it is right", e.name))]
    known = e.numeric[e.known]
    if known.size == e.numeric.size and a.ndim == e.x.ndim and a.size > 1:
        if all(p >= q for p, q in zip(a.shape, shape)) and _contains(a, e):
            text = "the gradient still has its padding"
            return [(0.95, Diagnosis("wrong shape", text, f"{what}; the right one stands inside it", e.name))]
        if abs(a.sum() - known.sum()) <= 1e-6 * np.abs(known).sum():
            text = "the gradient is summed over the wrong axis"
            return [(0.95, Diagnosis("not summed", text, f"{what}, but the same total", e.name))]
    return [(0.7, Diagnosis("wrong shape", "the gradient has the wrong shape", what, e.name))]


def _contains(a: Array, e: Evidence) -> bool:
    shape = e.x.shape
    rooms = [range(p - q + 1) for p, q in zip(a.shape, shape)]
    if np.prod([len(r) for r in rooms]) > 400:
        return False
    return any(e.fits(a[tuple(slice(o, o + n) for o, n in zip(offset, shape))]) for offset in product(*rooms))


def swapped(e: Evidence) -> list[Finding]:
    """The gradient is that of another value."""
    for m, (given, numeric) in enumerate(zip(e.all_given, e.all_numeric)):
        if m == e.k or given is None or e.analytic.ndim == 0:
            continue
        other = np.asarray(given, np.float64)
        mine, theirs = e.analytic.shape == numeric.shape, other.shape == e.x.shape
        if not (mine and theirs) or not np.isfinite(numeric).any() or not e.known.any():
            continue
        known = np.isfinite(numeric)
        scale = np.abs(numeric[known]).max()
        is_other = scale > 0 and np.abs(e.analytic[known] - numeric[known]).max() <= 1e-5 * scale
        if is_other and e.scale and e.fits(other):
            names = e.point.subject.names
            text = f"the gradients of {names[e.k]} and {names[m]} are exchanged"
            return [(0.995, Diagnosis("swapped", text, "each is right for the other", e.name))]
    return []


def transposed(e: Evidence) -> list[Finding]:
    """Axes of equal length are exchanged, or turned round, as in a filter that was not or was wrongly flipped."""
    a = e.analytic
    if a.shape != e.x.shape or a.ndim == 0 or a.size < 4:
        return []
    for axes in permutations(range(a.ndim)) if a.ndim <= 4 else ():
        if axes != tuple(range(a.ndim)) and tuple(a.shape[i] for i in axes) == a.shape and e.fits(a.transpose(axes)):
            moved = ", ".join(str(i) for i, j in enumerate(axes) if i != j)
            text = f"axes {moved} are exchanged (transposed)"
            return [(0.98, Diagnosis("transposed", text, "exchanged back it is right", e.name))]
    for count in range(1, a.ndim + 1):
        for axes in combinations(range(a.ndim), count):
            if e.fits(np.flip(a, axes)):
                along = ", ".join(map(str, axes))
                text = f"turned round along axis {along}: a filter flipped that should not be, or the reverse"
                return [(0.98, Diagnosis("transposed", text, "turned back it is right", e.name))]
    found = _order_mixed_up(e) or _dout_turned(e) or _other_operand_transposed(e)
    return [found] if found else []


def _order_mixed_up(e: Evidence) -> Finding | None:
    """The right numbers, read in another order: reshaped where axes should have been exchanged."""
    a, shape = e.analytic, e.x.shape
    if not 2 <= a.ndim <= 6 or not e.known.any():
        return None
    for axes in permutations(range(a.ndim)):
        back = tuple(int(i) for i in np.argsort(axes))
        moved = tuple(shape[i] for i in axes)
        if axes == tuple(range(a.ndim)):
            continue
        if e.fits(a.reshape(moved).transpose(back)) or e.fits(a.transpose(axes).reshape(shape)):
            text = "the right numbers in the wrong order: reshaped where axes should have been exchanged"
            return 0.97, Diagnosis("transposed", text, f"read with axes {axes} it is right", e.name)
    return None


def _dout_turned(e: Evidence) -> Finding | None:
    """The gradient becomes right when dout is transposed, turned round or read in another order beforehand."""
    for i, dout in enumerate(e.cotangents):
        if not 2 <= dout.ndim <= 4 or dout.size < 4:
            continue
        trials: list[tuple[str, Array]] = []
        for axes in list(permutations(range(dout.ndim)))[1:]:
            words = "transposed" if tuple(dout.shape[j] for j in axes) == dout.shape else "read in another order"
            trials.append((words, dout.transpose(axes).reshape(dout.shape)))
        trials += [(f"turned round along axis {j}", np.flip(dout, j)) for j in range(dout.ndim)]
        for how, turned in trials:
            if e.clock.left() < 0:
                return None
            parts = [turned if j == i else d for j, d in enumerate(e.cotangents)]
            found = e.gradient(np.concatenate([p.ravel() for p in parts]))
            if found is not None and e.fits(found):
                text = f"backward uses dout {how}"
                return 0.96, Diagnosis("transposed", text, f"with dout {how} beforehand the gradient is right", e.name)
    return None


def _other_operand_transposed(e: Evidence) -> Finding | None:
    """The gradient becomes right when another value is transposed or flipped before: dx = dout w, not dout wᵀ."""
    from ..subject import Fault

    point = e.point
    for m, other in enumerate(point.values):
        if m == e.k or other.ndim < 1 or other.size < 2:
            continue
        turned: list[tuple[str, Array]] = [("turned round", other[::-1])] if other.ndim == 1 else []
        if other.ndim >= 2 and other.shape[-1] == other.shape[-2]:
            turned.append(("transposed", np.swapaxes(other, -1, -2)))
        if other.ndim >= 2 and other.shape[0] == other.shape[1]:
            turned.append(("transposed", np.swapaxes(other, 0, 1)))
        if other.ndim >= 3:
            turned.append(("turned round along its last two axes", other[..., ::-1, ::-1]))
        for how, array in turned:
            values = list(point.values)
            values[m] = array
            try:
                found = point.subject.gradients(values, e.cotangents)[e.k]
            except Fault:
                continue
            if found is not None and e.fits(np.asarray(found, np.float64)):
                name = point.subject.names[m]
                text = f"backward uses {name} {how}"
                evidence = f"with {name} {how} beforehand the gradient is right"
                return 0.96, Diagnosis("transposed", text, evidence, e.name)
    return None


def shifted(e: Evidence) -> list[Finding]:
    """The right gradient, moved by k along some axes."""
    a, n = e.analytic, e.numeric
    if a.shape != e.x.shape or a.ndim == 0 or a.size < 4:
        return []
    candidates = [{axis: k} for axis in range(a.ndim) for k in (1, -1, 2, -2, 3, -3) if a.shape[axis] > abs(k) + 1]
    if a.ndim >= 2:
        y, x = a.ndim - 2, a.ndim - 1
        ks = (1, -1, 2, -2)
        candidates += [{y: p, x: q} for p, q in product(ks, ks) if a.shape[y] > abs(p) + 1 and a.shape[x] > abs(q) + 1]
    for shift in candidates:
        to = tuple(slice(max(shift.get(i, 0), 0), d + min(shift.get(i, 0), 0)) for i, d in enumerate(a.shape))
        of = tuple(slice(max(-shift.get(i, 0), 0), d + min(-shift.get(i, 0), 0)) for i, d in enumerate(a.shape))
        here, there = a[to], n[of]
        known = np.isfinite(there)
        scale = np.abs(there[known]).max(initial=0)
        if known.sum() < 3 or not scale or np.ptp(there[known]) <= 1e-6 * scale:
            continue
        if np.abs(here[known] - there[known]).max() <= 1e-5 * scale:
            text = "shifted by " + " and ".join(f"{k:+d} along axis {axis}" for axis, k in shift.items())
            evidence = f"moved back, {int(known.sum())} elements are right"
            return [(0.95, Diagnosis("shifted", text, evidence, e.name))]
    return []


def misplaced(e: Evidence) -> list[Finding]:
    """The right values, each at another place."""
    a, n = e.analytic, e.numeric
    if a.shape != e.x.shape or a.size < 4 or not e.known.all() or not e.scale:
        return []
    gap = np.abs(np.sort(a, None) - np.sort(n, None)).max()
    largest = float(np.abs(n).max())
    if (
        not gap <= 1e-5 * largest
        or np.abs(a - n).max() <= 1e-2 * largest
        or np.unique(np.round(n / e.scale, 6)).size < 4
    ):
        return []
    wrong = int(e.wrong.sum())
    if np.mean(np.abs(n) <= 1e-9 * e.scale) >= 0.5:
        text = "the right values arrive at the wrong elements: an index is wrong"
        return [(0.93, Diagnosis("shifted", text, f"the same values, {wrong} elements differ", e.name))]
    text = "the right values in the wrong places: axes or their order are mixed up"
    return [(0.93, Diagnosis("transposed", text, f"the same values, {wrong} elements differ", e.name))]


def summed_wrongly(e: Evidence) -> list[Finding]:
    """Summed over axes that should have been kept, or over the wrong axis."""
    a, n = e.analytic, e.numeric
    if a.shape != e.x.shape or a.ndim == 0 or a.size < 2 or not e.known.all() or not e.scale:
        return []
    for count in range(1, a.ndim + 1):
        for axes in combinations(range(a.ndim), count):
            if all(a.shape[i] == 1 for i in axes):
                continue
            if (np.abs(n) > 1e-9 * e.scale).sum(axes).max() < 2:
                continue
            total = np.broadcast_to(n.sum(axes, keepdims=True), a.shape)
            if total.any() and np.abs(a - total).max() <= 1e-5 * np.abs(total).max():
                over = ", ".join(map(str, axes))
                text = f"summed over axis {over}, too, which should have been kept"
                return [(0.95, Diagnosis("not summed", text, "each element is the sum of the right ones", e.name))]
    size = float(np.abs(n).sum())
    if a.ndim == 1 and abs(n.sum()) > 1e-2 * size and abs(a.sum() - n.sum()) <= 1e-6 * size:
        text = "the total is right, the elements are not: summed over the wrong axis"
        return [(0.86, Diagnosis("not summed", text, f"both sum to {n.sum():.6g}", e.name))]
    return []

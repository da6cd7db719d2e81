"""Sums: a value used several times gets a sum of contributions, and only some arrived."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from ..evidence import Evidence
from ..report import Diagnosis

Array = Any
Finding = tuple[float, Diagnosis]


def overwritten(e: Evidence) -> list[Finding]:
    """Of several contributions one is left: `=` where `+=` is needed; or those of some outputs are missing."""
    found = _by_outputs(e)
    return found or _by_inputs(e)


def _by_outputs(e: Evidence) -> list[Finding]:
    jacobian = e.jacobian
    if jacobian is None:
        return []
    fine, lost, extra, off = jacobian.states
    if not extra.any() and off.any():
        return _counted_once(e, jacobian, off)
    if lost.any() and extra.any() and fine.any() and not off.any():
        places = np.array([_place(e, int(i)) for i in jacobian.outputs])
        if _at_the_ends(e, places, fine, lost | extra, np.ones(fine.shape[1], bool)):
            words = (
                "contributions of the outputs at the border arrive at the wrong elements: padding is handled wrongly"
            )
            evidence = f"{int(lost.sum())} contributions are missing, {int(extra.sum())} are too many"
            return [(0.93, Diagnosis("border", words, evidence, e.name))]
    if not lost.any() or not fine.any() or extra.any() or off.any():
        return []
    columns = lost.any(0) & fine.any(0)
    if not columns.any():
        return []
    places = np.array([_place(e, int(i)) for i in jacobian.outputs])
    kept_one = fine[:, columns].sum(0) == 1
    evidence = (
        f"of {float((fine | lost)[:, columns].sum(0).mean()):.3g} contributions to an element "
        f"{float(fine[:, columns].sum(0).mean()):.3g} arrive"
    )
    if _is_diagonal(e, jacobian, fine, lost):
        words = "a term is missing: only the output at an element's own place counts, not its influence on the others"
        return [(0.95, Diagnosis("missing term", words, evidence, e.name))]
    if _at_the_ends(e, places, fine, lost, columns):
        words = "the contributions of the outputs at the border are missing: padding is handled wrongly"
        return [(0.95, Diagnosis("border", words, evidence, e.name))]
    axis = _slice_axis(places, fine, lost, columns)
    text = "contributions are overwritten instead of added up (= where += is needed)"
    if axis is not None and axis[1] == "others":
        words = f"the contributions of the outputs at the {axis[2]} of axis {axis[0]} are missing"
        return [(0.93, Diagnosis("border", words, evidence, e.name))]
    if _from_the_edge(e, places, lost):
        words = "the contributions of the outputs at the border are missing: padding is handled wrongly"
        return [(0.95, Diagnosis("border", words, evidence, e.name))]
    broadcast = _is_broadcast(e, places, fine, lost, columns)
    if broadcast is not None:
        words = f"not summed over axis {broadcast} of the output: only one slice of dout arrives"
        return [
            (0.94, Diagnosis("not summed", words, evidence, e.name)),
            (0.9, Diagnosis("overwritten", text, evidence, e.name)),
        ]
    if kept_one.mean() > 0.7 or axis is not None or _ordered(places, fine, lost, columns):
        found = [(0.94, Diagnosis("overwritten", text, evidence, e.name))]
        if (lost.any(0) & ~fine.any(0)).any():  # what is overwritten leaves the last one, unless that is 0
            words = "some contributions are missing, also where there is no other one"
            found.append((0.85, Diagnosis("missing term", words, evidence, e.name)))
        return found
    words = "some contributions are missing"
    return [
        (0.7, Diagnosis("missing term", words, evidence, e.name)),
        (0.6, Diagnosis("overwritten", text, evidence, e.name)),
    ]


def _place(e: Evidence, i: int) -> tuple[int, ...]:
    index = e.point.output_index(i)
    return index or (0,)


def _slice_axis(places: Array, fine: Array, lost: Array, columns: Array) -> tuple[int, str, str] | None:
    """Return the output axis along which the first or last position alone arrives, or alone is missing."""
    for what in ("only", "others"):
        for axis in range(places.shape[1]):
            at = places[:, axis]
            kept, gone = set(at[fine[:, columns].any(1)].tolist()), set(at[lost[:, columns].any(1)].tolist())
            for word, edge in (("end", int(at.max())), ("start", int(at.min()))):
                if ({edge}, False) == ((kept, edge in gone) if what == "only" else (gone, edge in kept)):
                    return axis, what, word
    return None


def _is_broadcast(e: Evidence, places: Array, fine: Array, lost: Array, columns: Array) -> int | None:
    """Return the output axis along which the value is repeated and only one slice arrives."""
    if len(e.outputs) != 1 or e.x.ndim >= e.outputs[0].ndim:
        return None
    found = []
    for axis in range(places.shape[1]):
        at = places[:, axis]
        kept, gone = set(at[fine[:, columns].any(1)]), set(at[lost[:, columns].any(1)])
        if len(kept) == 1 and not kept & gone:
            found.append(axis)
    return found[0] if len(found) == 1 else None


def _ordered(places: Array, fine: Array, lost: Array, columns: Array) -> bool:
    """Return whether in each column what arrives comes after, or before, all that is lost, in a loop over some axes."""
    axes = range(places.shape[1])
    for loop in (c for n in range(len(axes), 0, -1) for c in combinations(axes, n)):
        _, rank = np.unique(places[:, loop], axis=0, return_inverse=True)
        rank = rank.ravel()
        late, early = [], []
        for j in np.flatnonzero(columns):
            kept, gone = rank[fine[:, j]], rank[lost[:, j]]
            one = kept.min() == kept.max()  # one step of the loop
            late.append(one and kept.min() > gone.max())
            early.append(one and kept.max() < gone.min())
        if max(np.mean(late), np.mean(early)) > 0.8:
            return True
    return False


def _is_diagonal(e: Evidence, jacobian: Any, fine: Array, lost: Array) -> bool:
    """Return whether each element keeps exactly the output at its own place."""
    if len(e.outputs) != 1 or e.outputs[0].shape != e.x.shape:
        return False
    own = jacobian.outputs[:, None] == jacobian.elements[None, :]
    return bool(np.all(own[fine]) and not np.any(own[lost]) and lost.any())


def _at_the_ends(e: Evidence, places: Array, fine: Array, lost: Array, columns: Array) -> bool:
    """Return whether only elements at the ends of an axis are wrong, for want of outputs beyond those that arrive."""
    if len(e.outputs) != 1 or e.outputs[0].ndim != e.x.ndim or not e.known.all():
        return False
    for axis, (length, out) in enumerate(zip(e.x.shape, e.outputs[0].shape)):
        wrong = set(np.nonzero(e.wrong)[axis].tolist())
        if length < 4 or out <= length or not wrong <= {0, 1, length - 2, length - 1} or len(wrong) == length:
            continue
        at = places[:, axis]
        kept, gone = set(at[fine[:, columns].any(1)].tolist()), set(at[lost[:, columns].any(1)].tolist())
        if not kept & gone and all(g < min(kept) or g > max(kept) or g in (0, out - 1) for g in gone):
            return True
    return False


def _counted_once(e: Evidence, jacobian: Any, off: Array) -> list[Finding]:
    """Several equal contributions of one output count as one: `dx[index] += …` with an index that repeats."""
    fine, lost, _, _ = jacobian.states
    ratio = jacobian.numeric[off] / jacobian.analytic[off]
    whole = np.abs(ratio - np.round(ratio)).max() < 1e-4 and ratio.min() > 1.5
    if not whole or (np.ptp(ratio) < 0.5 and not (fine.any() or lost.any())):
        return []
    text = "contributions are overwritten instead of added up: a place that occurs several times gets one of them"
    times = ", ".join(f"{r:.0f}" for r in np.unique(np.round(ratio))[:4])
    certainty = 0.88 if lost.any() and ratio.max() > 2.5 else 0.42
    return [(certainty, Diagnosis("overwritten", text, f"single contributions are {times} times too small", e.name))]


def _from_the_edge(e: Evidence, places: Array, lost: Array) -> bool:
    """Return whether everything that is lost comes from the border of an image that has an inside."""
    shape = e.outputs[0].shape
    if len(e.outputs) != 1 or len(shape) < 3 or min(shape[-2:]) < 4:
        return False
    h, w = places[lost.any(1)][:, -2], places[lost.any(1)][:, -1]
    return bool(np.all((h == 0) | (h == shape[-2] - 1) | (w == 0) | (w == shape[-1] - 1)))


def _by_inputs(e: Evidence) -> list[Finding]:
    """The gradient ought to depend on all slices of another value, and depends on one: only the last step was kept."""
    if e.analytic.shape != e.x.shape or e.point.seconds * e.x.size > 0.2:
        return []
    from ..subject import Fault

    point, found = e.point, []
    for m, other in enumerate(point.values):
        if m == e.k or other.ndim < 2:
            continue
        for axis, length in enumerate(other.shape[:3]):
            if not 3 <= length <= 16 or e.clock.left() < 0:
                continue
            matters = []
            for position in range(length):
                values = [v.copy() for v in point.values]
                index = tuple(position if i == axis else slice(None) for i in range(other.ndim))
                values[m][index] *= 1.01
                try:
                    moved = point.subject.gradients(values, e.cotangents)[e.k]
                except Fault:
                    return []
                change = np.abs(np.asarray(moved, np.float64) - e.analytic).max() if moved is not None else 0.0
                matters.append(change)
            strong = np.array(matters) > 1e-3 * max(matters)
            if strong.sum() == 1 and (strong[0] or strong[-1]):
                found.append((axis, "first" if strong[0] else "last", m))
    for axis, which, m in found:
        text = "contributions are overwritten instead of added up (= where += is needed)"
        evidence = f"the gradient depends on the {which} slice of {point.subject.names[m]} along axis {axis} only"
        return [(0.85, Diagnosis("overwritten", text, evidence, e.name))]
    return []

"""What distances between embeddings say: who a face is of those known, and how often two are taken for one person."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import ShapeError

Array = npt.NDArray[Any]


class EqualErrorRate(NamedTuple):
    """The share of wrong answers, and the distance up to which two faces are then taken for one person's."""

    rate: float
    threshold: float


def distances(a: Array, b: Array) -> Array:
    """Return the distances (N, M) between embeddings (N, D) and (M, D): √Σ (a − b)²."""
    difference = a[:, None].astype(np.float64) - b[None].astype(np.float64)
    result: Array = np.sqrt((difference**2).sum(2))
    return result


def identify(known: Array, faces: Array) -> tuple[Array, Array]:
    """Return for each of `faces` (N, D) which of `known` (M, D) is nearest, (N,), and how far it is, (N,)."""
    found = distances(faces, known)
    nearest = found.argmin(1)
    return nearest, found[np.arange(len(found)), nearest]


def equal_error_rate(faces: Array, people: Array) -> EqualErrorRate:
    """Return the error rate of comparing all pairs of `faces` (N, D), whose persons are `people` (N,).

    Two faces whose distance is at most a threshold are taken for one person's. The larger it is, the more pairs of
    different persons are accepted, and the fewer of one person are refused. Of all distances that occur, the
    threshold is the one at which both shares are nearest to each other; the rate is their mean.
    Raises ShapeError unless there are pairs of both kinds.
    """
    first, second = np.triu_indices(len(faces), 1)
    found = distances(faces, faces)[first, second]
    same = np.asarray(people)[first] == np.asarray(people)[second]
    if same.all() or not same.any():
        raise ShapeError("equal_error_rate: needs two faces of one person and two of different persons at least")
    thresholds = np.unique(found)
    refused = 1 - np.searchsorted(np.sort(found[same]), thresholds, side="right") / same.sum()
    accepted = np.searchsorted(np.sort(found[~same]), thresholds, side="right") / (~same).sum()
    best = int(np.abs(refused - accepted).argmin())
    return EqualErrorRate(float(refused[best] + accepted[best]) / 2, float(thresholds[best]))

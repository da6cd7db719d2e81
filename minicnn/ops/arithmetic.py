"""What all definitions share: IEEE arithmetic without warnings, and the transpose of broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any

ieee = np.errstate(all="ignore")
"""Decorates a definition in which an infinity or a nan can be a proper result (log 0, exp of a large number,
0 / 0), so that NumPy does not warn; `mc.detect_anomaly()` names the operation in which the first appears.
Sums and products go without: an overflow there is never meant, so NumPy's warning is welcome, and entering
and leaving the state takes 0.6 µs, twice as long as a sum of ten numbers."""


def unbroadcast(gradient: Array, shape: tuple[int, ...]) -> Array:
    """Return the gradient summed over the axes along which an operand of this shape was repeated.

    Where y[n, i] = x[i] for every n, each y[n, i] contributes to x[i]: dx[i] = sum over n of dy[n, i].
    """
    if gradient.shape == shape:
        return gradient
    return _summed(gradient, shape)


@ieee
def _summed(gradient: Array, shape: tuple[int, ...]) -> Array:
    added = gradient.ndim - len(shape)
    repeated = tuple(range(added)) + tuple(
        added + i for i, size in enumerate(shape) if size == 1 and gradient.shape[added + i] != 1
    )
    return gradient.sum(axis=repeated, keepdims=True).reshape(shape)

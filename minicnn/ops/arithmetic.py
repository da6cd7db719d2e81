"""What all definitions share: IEEE arithmetic without warnings, and the transpose of broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any

ieee = np.errstate(all="ignore")
"""Decorates a definition in which an overflow gives inf and 0 / 0 gives nan, as in PyTorch, where NumPy
would warn besides. `mc.detect_anomaly()` names the operation in which the first of them appears."""


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

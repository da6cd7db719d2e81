"""All exercises, in the order of teaching."""

from __future__ import annotations

from difflib import get_close_matches

from ..errors import DataError
from .dense import AFFINE, RELU, SIGMOID, SOFTMAX_LOSS
from .exercise import Exercise
from .images import AVERAGE_POOL, CONV_IM2COL, CONV_NAIVE, MAX_POOL, RESIDUAL_BLOCK
from .normalising import BATCH_NORM, DROPOUT, LRN

EXERCISES = (
    AFFINE, RELU, SIGMOID, SOFTMAX_LOSS, CONV_NAIVE, CONV_IM2COL, MAX_POOL, AVERAGE_POOL, BATCH_NORM, DROPOUT,
    RESIDUAL_BLOCK, LRN,
)  # fmt: skip


def exercise(name: str) -> Exercise:
    """Return the exercise of this name. Raises DataError with what there is."""
    for found in EXERCISES:
        if found.name == name:
            return found
    names = [e.name for e in EXERCISES]
    near = get_close_matches(name, names, 1)
    meant = f" (is {near[0]} meant?)" if near else ""
    raise DataError(f"coursework: there is no exercise {name!r}{meant}; there are {', '.join(names)}")

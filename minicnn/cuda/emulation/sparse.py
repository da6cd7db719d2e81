"""Arrays of billions of elements of which only a few have memory: for what the last block of a huge grid does."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np


class Sparse:
    """An array of zeros, except for the windows that were set; stands in for an array in a launch.

    x = Sparse((2**31 + 300,), np.float32)
    x.set(2**31, values)                 # both kinds of windows: what a kernel reads, and where its result is looked at
    """

    flags = SimpleNamespace(c_contiguous=True)

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.size, self.shape, self.dtype = math.prod(shape), shape, np.dtype(dtype)
        self.nbytes = self.size * self.dtype.itemsize
        self.windows: dict[int, np.ndarray[Any, Any]] = {}

    def set(self, start: int, values: Any) -> Sparse:
        """Put values from this element on, counted in memory order."""
        self.windows[start] = np.array(values, self.dtype)
        return self

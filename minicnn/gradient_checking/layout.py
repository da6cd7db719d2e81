"""Memory layouts: copies of an array that lie in memory as it does."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def like(values: Array, template: Array) -> Array:
    """Return a copy of `values` with the axis order, gaps and directions in memory of `template`."""
    steps = [s // template.itemsize for s in template.strides]
    spans = [s * (n - 1) for s, n in zip(steps, template.shape)]
    dense = template.flags.c_contiguous or template.flags.f_contiguous
    if dense or template.size == 0 or 0 in [s for s, n in zip(steps, template.shape) if n > 1]:
        return np.array(values, order="F" if template.flags.fnc else "C")
    low, high = sum(min(s, 0) for s in spans), sum(max(s, 0) for s in spans)
    memory = np.zeros(high - low + 1, values.dtype)
    view = np.lib.stride_tricks.as_strided(memory[-low:], template.shape, [s * memory.itemsize for s in steps])
    view[...] = values
    return view

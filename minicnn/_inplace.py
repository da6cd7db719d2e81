"""Counters of in-place changes, so that backward never computes with a saved array that has changed.

Every write that the library makes into an existing array (an optimiser's step, loading, initialisation,
`x[i] = v`, running statistics) is announced here with `written(array, by)`. The count belongs to the
array that owns the memory, so all views of one storage share it. `Function.save` remembers the time, and
the backward sweep refuses saved arrays that were written later.

Writes through `.numpy()` or `.data` are the user's and are not seen; `mc.detect_anomaly()` finds those.
"""

from __future__ import annotations

import weakref
from typing import Any

clock = 0
"""The number of writes so far. While it stands still, nothing saved can have changed."""

_last_write: dict[int, tuple[int, str]] = {}  # id of the owner of the memory -> (time, who)


def owner(array: Any) -> Any:
    """Return the array that owns the memory of this view."""
    kind = type(array)
    while isinstance(array.base, kind):
        array = array.base
    return array


def written(array: Any, by: str) -> None:
    """Announce that the library has just written into this array; `by` names the writer."""
    global clock
    clock += 1
    memory = owner(array)
    key = id(memory)
    if key not in _last_write:
        weakref.finalize(memory, _last_write.pop, key, None).atexit = False
    _last_write[key] = (clock, by)


def changed_since(array: Any, time: int) -> str | None:
    """Return who wrote into the memory of this array after `time`, or None."""
    when, by = _last_write.get(id(owner(array)), (0, ""))
    return by if when > time else None

"""Packed weights of small forward passes, kept from one call to the next; the switch is `switches.kept_weights`.

A convolution packs its weights before it runs. For one image that is a fifth of a forward pass (small ResNet-18), and
between two passes without training nothing has changed. So what was packed is kept beside a copy of the weights, and
used again if *every byte* of the weights is still the copy's: comparing costs a fifth of packing (0.5 µs for 9 KB, 5 µs
for 300 KB), and no way of writing into an array can be missed. Nothing is kept while operations are recorded, for then
weights change in every step, nor for more pixels than `PIXELS`, where packing does not matter.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from ..autograd import is_grad_enabled
from . import switches
from .threads import flat, kernel, scratch

Array = Any

PIXELS = 16384  # of all output images
FEW = 1 << 15  # bytes that Python compares before a kernel has begun
PIECE = 1 << 12  # numbers that a thread compares at once
ROOM = 1 << 25  # bytes of all that is kept; the longest unused goes first

_kept: OrderedDict[tuple[int, Hashable], tuple[Any, Array, Array]] = OrderedDict()


class packed:
    """Packed weights for one call: `with packed(w, key, pixels, n, pack) as panels:` gives n numbers.

    `pack(panels)` writes them, unless what it wrote for these weights under this key was kept. The weights lie in one
    piece; the key holds everything else that the numbers depend on.
    """

    def __init__(self, w: Array, key: Hashable, pixels: int, n: int, pack: Callable[[Array], None]) -> None:
        self._w, self._at, self._pack = w, (id(w), key), pack
        self._keeps = switches.kept_weights and pixels <= PIXELS and not is_grad_enabled()
        self._scratch: scratch | None = None
        self._n = n

    def __enter__(self) -> Array:
        if self._keeps and (found := _find(self._w, self._at)) is not None:
            return found
        self._scratch = scratch(self._n, self._w.dtype)
        panels = self._scratch.__enter__()
        self._pack(panels)
        if self._keeps:
            _keep(self._w, self._at, panels)
        return panels

    def __exit__(self, *exception: object) -> None:
        if self._scratch is not None:
            self._scratch.__exit__(*exception)


def _find(w: Array, at: tuple[int, Hashable]) -> Array | None:
    entry = _kept.get(at)
    if entry is None:
        return None
    alive, copy, panels = entry
    if alive() is not w or not _same_bytes(w, copy):
        _kept.pop(at, None)
        return None
    return panels


def _keep(w: Array, at: tuple[int, Hashable], panels: Array) -> None:
    """Keep copies until the weights are deleted or room is needed."""
    _kept[at] = (weakref.ref(w, lambda _: _kept.pop(at, None)), w.copy(), panels.copy())
    while sum(copy.nbytes + kept.nbytes for _, copy, kept in list(_kept.values())) > ROOM:
        _kept.popitem(last=False)


def _same_bytes(a: Array, b: Array) -> bool:
    if a.nbytes <= FEW:
        return bool(a.tobytes() == b.tobytes())
    a, b = flat(a).view(np.int32), flat(b).view(np.int32)
    differs = np.empty(-(-a.size // PIECE), np.int32)
    _compare_kernel(differs.size, a, b, PIECE, differs)
    return not differs.any()


@kernel
def _compare_kernel(first, end, a, b, size, differs):  # type: ignore[no-untyped-def]  # a body
    """differs[piece] = 0 if all bits of a piece agree. Only with unsigned indices LLVM makes vectors of the loop."""
    for piece in range(first, end):
        found = np.int32(0)
        for i in range(np.uint64(piece * size), np.uint64(min(piece * size + size, len(a)))):
            found |= a[i] ^ b[i]
        differs[piece] = found

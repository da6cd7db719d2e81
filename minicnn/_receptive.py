"""Receptive fields: which pixels of the input an output can depend on, followed through a forward pass.

Rows and columns are looked at apart. Along each, position i of a tensor depends on the input's pixels
first[i] … last[i]. A window of K positions depends on all that its positions depend on,

    first'[o] = min over k of first[o·stride − padding + k·dilation],   last'[o] the same with max,

and a sum of two branches on what either does. The border that padding adds counts as a picture that goes on, so the
field may be larger than the picture: it is what the layer could see of a large enough one. The means of a
normalisation over a whole picture are not counted.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any

MARGIN = 8192  # pixels that the picture goes on beyond each edge
FAR = 1 << 40  # the first pixel of a position that depends on none


@dataclass(frozen=True)
class Axis:
    """What each position along one axis depends on: position `low`, low + 1, …; 0 … size − 1 are in the tensor."""

    first: Array
    last: Array
    low: int
    size: int
    mixed: bool = False  # the positions have lost their order: a flattened picture

    def field(self) -> int:
        """Return the pixels from the first to the last of the position that depends on most."""
        here = slice(-self.low, self.size - self.low)
        return max(int((self.last[here] - self.first[here]).max()) + 1, 0)

    def windows(self, low: int, positions: Array, size: int) -> Axis:
        """Return the axis whose position low + i depends on all of positions[i] (those outside are nothing)."""
        at = positions - self.low
        there = (at >= 0) & (at < len(self.first))
        at = np.where(there, at, 0)
        first = np.where(there, self.first[at], FAR).min(1)
        last = np.where(there, self.last[at], -FAR).max(1)
        return Axis(first, last, low, size)

    def whole(self) -> Axis:
        """Return the axis of one position that depends on all that are in the tensor."""
        here = slice(-self.low, self.size - self.low)
        return Axis(self.first[here].min(keepdims=True), self.last[here].max(keepdims=True), 0, 1)

    def flattened(self) -> Axis:
        """Return the same positions without their order."""
        here = slice(-self.low, self.size - self.low)
        return Axis(self.first[here], self.last[here], 0, self.size, True)

    def strided(self, start: int, step: int, size: int) -> Axis:
        """Return the axis of the positions start, start + step, …"""
        return self.sliding(1, step, -start, 1, size)

    def sliding(self, kernel: int, stride: int, before: int, dilation: int, size: int) -> Axis:
        """Return the axis of windows that start at o · stride − before."""
        low, end = -((-self.low - before) // stride), (self.low + len(self.first) + before) // stride
        at = np.arange(low, max(end, size))[:, None] * stride - before
        return self.windows(low, at + dilation * np.arange(kernel), size)

    def spread(self, kernel: int, stride: int, before: int, dilation: int, size: int) -> Axis:
        """Return the axis of a transposed convolution, o = i · stride + k · dilation − before."""
        low, end = self.low * stride - before, (self.low + len(self.first)) * stride - before
        taken = np.arange(low, end)[:, None] + before - dilation * np.arange(kernel)
        nowhere = self.low - 1
        return self.windows(low, np.where(taken % stride == 0, taken // stride, nowhere), size)

    def adaptive(self, size: int) -> Axis:
        """Return the axis of `size` windows that cover the tensor, from ⌊o·n / size⌋ to before ⌈(o + 1)·n / size⌉."""
        starts, ends = (np.arange(size) * self.size) // size, -((-np.arange(1, size + 1) * self.size) // size)
        widest = int((ends - starts).max())
        return self.windows(0, np.minimum(starts[:, None] + np.arange(widest), ends[:, None] - 1), size)


def union(a: Axis, b: Axis) -> Axis:
    """Return the axis whose positions depend on what either's do; an axis of size 1 stands at every position."""
    if a.mixed != b.mixed or (a.mixed and a.size != b.size):
        a, b = a.whole(), b.whole()
    if a.size == 1 != b.size:
        a, b = b, a
    if b.size == 1 != a.size:
        alone = b.whole()
        return Axis(np.minimum(a.first, alone.first), np.maximum(a.last, alone.last), a.low, a.size, a.mixed)
    low, end = min(a.low, b.low), max(a.low + len(a.first), b.low + len(b.first))
    first, last = np.full(end - low, FAR), np.full(end - low, -FAR)
    for x in (a, b):
        here = slice(x.low - low, x.low - low + len(x.first))
        first[here], last[here] = np.minimum(first[here], x.first), np.maximum(last[here], x.last)
    return Axis(first, last, low, a.size, a.mixed)


Field = tuple[Axis, Axis]  # rows, columns


def of_pictures(shape: tuple[int, ...]) -> Field:
    """Return the field of the input itself, (N, C, H, W): every pixel is its own."""
    rows, columns = (Axis(at, at, -MARGIN, n) for n in shape[2:] for at in (np.arange(-MARGIN, n + MARGIN),))
    return rows, columns


class Tracker:
    """The fields of arrays, as operations make them; arrays that no picture went into have none."""

    def __init__(self, pictures: Array) -> None:
        self._known: dict[int, tuple[weakref.ref[Any], Field | None]] = {}
        self._set(pictures, of_pictures(pictures.shape))

    def field(self, array: Array) -> tuple[int, int] | None:
        """Return (rows, columns), or None for what does not depend on a picture or not in a way that is known."""
        found = self._get(array)
        return None if found is None else (found[0].field(), found[1].field())

    def operation(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        """Follow one operation, called `name`, from its arguments to what it returned."""
        known = [a for a in arguments if isinstance(a, np.ndarray) and self._has(a)]
        if not known:
            return
        fields = [self._get(a) for a in known]
        for y in result if isinstance(result, tuple) else (result,):
            rule = RULES.get(name)
            if rule is None or any(field is None for field in fields):
                self._set(y, None)
            else:
                self._set(y, rule([field for field in fields if field is not None], known[0], arguments, y))

    def _has(self, array: Array) -> bool:
        entry = self._known.get(id(array))
        return entry is not None and entry[0]() is array

    def _get(self, array: Array) -> Field | None:
        return self._known[id(array)][1] if self._has(array) else None

    def _set(self, array: Array, field: Field | None) -> None:
        self._known[id(array)] = (weakref.ref(array), field)


Rule = Callable[[list[Field], Array, tuple[Any, ...], Array], Field | None]


def _pointwise(fields: list[Field], x: Array, arguments: tuple[Any, ...], y: Array) -> Field:
    rows, columns = fields[0]
    for field in fields[1:]:
        rows, columns = union(rows, field[0]), union(columns, field[1])
    return rows, columns


def _everything(fields: list[Field], x: Array, arguments: tuple[Any, ...], y: Array) -> Field:
    rows, columns = _pointwise(fields, x, arguments, y)
    return rows.whole(), columns.whole()


def _convolution(fields: list[Field], x: Array, arguments: tuple[Any, ...], y: Array) -> Field:
    _, w, _, stride, padding, dilation, _ = arguments
    rows, columns = fields[0]
    return (
        rows.sliding(w.shape[2], stride[0], padding[0][0], dilation[0], y.shape[2]),
        columns.sliding(w.shape[3], stride[1], padding[1][0], dilation[1], y.shape[3]),
    )


def _transposed(fields: list[Field], x: Array, arguments: tuple[Any, ...], y: Array) -> Field:
    _, w, _, stride, padding, _, _, dilation = arguments
    rows, columns = fields[0]
    return (
        rows.spread(w.shape[2], stride[0], padding[0], dilation[0], y.shape[2]),
        columns.spread(w.shape[3], stride[1], padding[1], dilation[1], y.shape[3]),
    )


def _max_pooling(fields: list[Field], x: Array, arguments: tuple[Any, ...], y: Array) -> Field:
    _, kernel, stride, padding, dilation, *_ = arguments
    return _pooling(fields[0], kernel, stride, padding, dilation, y.shape)


def _average_pooling(fields: list[Field], x: Array, arguments: tuple[Any, ...], y: Array) -> Field:
    _, kernel, stride, padding, *_ = arguments
    return _pooling(fields[0], kernel, stride, padding, (1, 1), y.shape)


def _pooling(field: Field, kernel: Any, stride: Any, padding: Any, dilation: Any, shape: tuple[int, ...]) -> Field:
    rows, columns = (
        axis.sliding(kernel[i], stride[i], padding[i], dilation[i], shape[2 + i]) for i, axis in enumerate(field)
    )
    return rows, columns


def _adaptive(fields: list[Field], x: Array, arguments: tuple[Any, ...], y: Array) -> Field:
    rows, columns = fields[0]
    return rows.adaptive(y.shape[2]), columns.adaptive(y.shape[3])


def _reduction(fields: list[Field], x: Array, arguments: tuple[Any, ...], y: Array) -> Field:
    rows, columns = fields[0]
    if y.shape[-2:] == x.shape[-2:] and y.ndim == x.ndim:  # over channels or the batch
        return rows, columns
    return rows.whole(), columns.whole()


def _softmax(fields: list[Field], x: Array, arguments: tuple[Any, ...], y: Array) -> Field:
    return fields[0] if arguments[1] == 1 else _everything(fields, x, arguments, y)


def _reshape(fields: list[Field], x: Array, arguments: tuple[Any, ...], y: Array) -> Field | None:
    if y.ndim == 2 and y.shape[0] == x.shape[0]:
        rows, columns = fields[0]
        return rows.flattened(), columns.flattened()
    return fields[0] if y.shape == x.shape else None


def _padding(fields: list[Field], x: Array, arguments: tuple[Any, ...], y: Array) -> Field | None:
    if x.ndim != 4:
        return None
    rows, columns = (axis.strided(-arguments[1][i][0], 1, y.shape[i]) for i, axis in zip((2, 3), fields[0]))
    return rows, columns


def _index(fields: list[Field], x: Array, arguments: tuple[Any, ...], y: Array) -> Field | None:
    _, first, then = arguments
    slices = [i for i in first if isinstance(i, slice)]
    if x.ndim != 4 or len(slices) != 4 or y.ndim != 4 or then is not None:
        return None
    starts = [(start, step) for s, n in zip(slices, x.shape) for start, _, step in (s.indices(n),)]
    if any(step < 0 for _, step in starts):
        return None
    rows, columns = (axis.strided(starts[i][0], starts[i][1], y.shape[i]) for i, axis in zip((2, 3), fields[0]))
    return rows, columns


def _joining(fields: list[Field], x: Array, arguments: tuple[Any, ...], y: Array) -> Field | None:
    return _pointwise(fields, x, arguments, y) if x.ndim == 4 and x.shape[2:] == y.shape[2:] else None


RULES: dict[str, Rule] = {
    name: rule
    for names, rule in (
        ("Add Sub Mul Div Neg Pow Exp Log Sqrt Abs Maximum Minimum Clamp Where", _pointwise),
        ("ReLU LeakyReLU Sigmoid Tanh Log1p Erf Cast Clone Transfer Dropout Dropout2d", _pointwise),
        ("BatchNorm BatchNormEval GroupNorm LayerNorm LocalResponseNorm Normalize", _pointwise),
        ("Linear Matmul", _everything),
        ("Sum Mean Var Std Amax Amin Max Min", _reduction),
        ("Softmax LogSoftmax LogSumExp", _softmax),
        ("Cat Split", _joining),
        ("AdaptiveAvgPool2d AdaptiveMaxPool2d", _adaptive),
        ("Conv2d", _convolution),
        ("ConvTranspose2d", _transposed),
        ("MaxPool2d", _max_pooling),
        ("AvgPool2d", _average_pooling),
        ("Reshape", _reshape),
        ("Pad", _padding),
        ("Index", _index),
    )
    for name in names.split()
}

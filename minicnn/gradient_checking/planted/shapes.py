"""Reshaping, transposing, padding, joining, splitting, indexing."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mutants import right, wrong
from .elementwise import normal

Array = Any


def flatten(x: Array) -> Any:
    return x.reshape(len(x), -1), x.shape


def permute(x: Array) -> Any:  # (A, B, C) → (C, A, B)
    return x.transpose(2, 0, 1), None


def join(a: Array, b: Array) -> Any:
    return np.concatenate([a, b], 1), a.shape[1]


def join_backward(dout: Array, n: int) -> Any:
    return dout[:, :n], dout[:, n:]


def stack(a: Array, b: Array) -> Any:
    return np.stack([a, b]), None


def split(x: Array) -> Any:  # three pieces, as one sum of different powers
    a, b, c = np.split(x, 3, 1)
    return a + b**2 + c**3, (a, b, c)


def split_backward(dout: Array, cache: Any, order: tuple[int, ...] = (0, 1, 2)) -> Array:
    _, b, c = cache
    pieces = [dout, 2 * b * dout, 3 * c**2 * dout]
    return np.concatenate([pieces[i] for i in order], 1)


def flip(x: Array) -> Any:
    return x[:, ::-1], None


def expand(x: Array) -> Any:  # (N, 1) → (N, 4)
    return np.repeat(x, 4, 1), None


def tile(x: Array) -> Any:  # twice, side by side
    return np.tile(x, (1, 2)), x.shape[1]


def window(x: Array) -> Any:  # every second column
    return x[:, 1::2], x.shape


def window_backward(dout: Array, shape: Any, start: int = 1) -> Array:
    dx = np.zeros(shape)
    dx[:, start::2][:, : dout.shape[1]] = dout
    return dx


def take_rows(x: Array, index: Array) -> Any:
    return x[index], (x.shape, index)


def take_rows_backward(dout: Array, cache: Any) -> Array:
    dx = np.zeros(cache[0])
    dx[cache[1]] = dout
    return dx


def pad(x: Array) -> Any:  # two before, one after
    return np.pad(x, ((0, 0), (2, 1))), None


def pad_edge(x: Array) -> Any:
    return np.pad(x, ((0, 0), (2, 2)), mode="edge"), None


def pad_edge_backward(dout: Array, cache: Any) -> Array:
    dx = dout[:, 2:-2].copy()
    dx[:, 0] += dout[:, :2].sum(1)
    dx[:, -1] += dout[:, -2:].sum(1)
    return dx


def pad_wrap(x: Array) -> Any:
    return np.pad(x, ((0, 0), (2, 2)), mode="wrap"), None


def pad_wrap_backward(dout: Array, cache: Any, turned: bool = False) -> Array:
    dx = dout[:, 2:-2].copy()
    left, right_side = (dout[:, :2], dout[:, -2:]) if not turned else (dout[:, -2:], dout[:, :2])
    dx[:, -2:] += left
    dx[:, :2] += right_side
    return dx


def roll(x: Array) -> Any:
    return np.roll(x, 2, 1), None


def differences(x: Array) -> Any:
    return x[:, 1:] - x[:, :-1], x.shape


def differences_backward(dout: Array, shape: Any, second: bool = True) -> Array:
    dx = np.zeros(shape)
    dx[:, 1:] += dout
    if second:
        dx[:, :-1] -= dout
    return dx


def differences_assigned(dout: Array, shape: Any) -> Array:
    dx = np.zeros(shape)
    dx[:, 1:] = dout
    dx[:, :-1] = -dout
    return dx


def cumulative(x: Array) -> Any:
    return np.cumsum(x, 1), None


def lookup(table: Array, words: Array) -> Any:  # (V, D), (N, T) → the mean word of each text
    return table[words].mean(1), (table.shape, words)


def lookup_backward(dout: Array, cache: Any, add: bool = True, divide: bool = True) -> Array:
    shape, words = cache
    dtable = np.zeros(shape)
    share = np.repeat(dout[:, None] / (words.shape[1] if divide else 1), words.shape[1], 1)
    if add:
        np.add.at(dtable, words, share)
    else:
        dtable[words] += share  # NumPy adds a repeated place once
    return dtable


def words(rng: Any) -> Any:
    return [rng.standard_normal((6, 3)), np.array([[0, 1, 1], [4, 0, 2], [5, 5, 5]])]


ROWS = normal((4, 6))
CUBE = normal((3, 3, 3))
TWO = normal((4, 3), (4, 3))

EXAMPLES = [
    right("flatten", flatten, lambda d, s: d.reshape(s), normal((2, 3, 4))),
    right("permute", permute, lambda d, c: d.transpose(1, 2, 0), normal((2, 3, 4))),
    right("join", join, join_backward, normal((4, 2), (4, 3))),
    right("stack", stack, lambda d, c: (d[0], d[1]), TWO),
    right("split", split, split_backward, ROWS),
    right("expand", expand, lambda d, c: d.sum(1, keepdims=True), normal((5, 1))),
    right("tile", tile, lambda d, n: d[:, :n] + d[:, n:], ROWS),
    right("window", window, window_backward, ROWS),
    right("pad with the edge", pad_edge, pad_edge_backward, ROWS),
    right("pad round", pad_wrap, pad_wrap_backward, ROWS),
    right("differences", differences, differences_backward, ROWS),
    right("cumulative sum", cumulative, lambda d, c: np.cumsum(d[:, ::-1], 1)[:, ::-1], ROWS),
    right("mean word", lookup, lookup_backward, words),
    wrong(("transposed", "missing term"), "flatten read back in another order", flatten,
          lambda d, s: d.reshape(s, order="F"), normal((2, 3, 4))),
    wrong("wrong shape", "flatten not turned back", flatten, lambda d, s: d, normal((2, 3, 4))),
    wrong("transposed", "permute applied again", permute, lambda d, c: d.transpose(2, 0, 1), CUBE),
    wrong("transposed", "permute with two axes exchanged", permute, lambda d, c: d.transpose(2, 1, 0), CUBE),
    wrong(("transposed", "wrong shape"), "permute not turned back", permute, lambda d, c: d, normal((2, 3, 4))),
    wrong("transposed", "permute reshaped", permute, lambda d, c: d.reshape(2, 3, 4), normal((2, 3, 4))),
    wrong(("swapped", "wrong shape"), "join, pieces exchanged", join, lambda d, n: join_backward(d, n)[::-1], TWO),
    wrong(("shifted", "wrong shape", "missing term"), "join, second piece from the end of the first, off by one", join,
          lambda d, n: (d[:, :n], d[:, n - 1 : -1]), TWO),
    wrong(("swapped", "missing term"), "join, both get the first", join, lambda d, n: (d[:, :n], d[:, :n]), TWO),
    wrong("swapped", "stack, exchanged", stack, lambda d, c: (d[1], d[0]), TWO),
    wrong(("not summed", "missing term", "swapped"), "stack, both get the sum", stack,
          lambda d, c: (d.sum(0), d.sum(0)), TWO),
    wrong(("shifted", "swapped", "transposed", "missing term"), "split, pieces in another order", split,
          lambda d, c: split_backward(d, c, (2, 0, 1)), ROWS),
    wrong(("missing term", "border"), "split, third piece forgotten", split,
          lambda d, c: split_backward(d, c) * (np.arange(6) < 4), ROWS),
    wrong(("flipped", "transposed"), "flip not turned back", flip, lambda d, c: d, ROWS),
    wrong(("flipped", "transposed"), "flip of the other axis", flip, lambda d, c: d[::-1], ROWS),
    wrong(("flipped", "transposed"), "flip of both axes", flip, lambda d, c: d[::-1, ::-1], ROWS),
    wrong(("overwritten", "not summed"), "expand, first copy only", expand, lambda d, c: d[:, :1], normal((5, 1))),
    wrong(("constant factor", "not summed"), "expand, averaged", expand,
          lambda d, c: d.mean(1, keepdims=True), normal((5, 1))),
    wrong(("wrong shape", "not summed"), "expand, not summed", expand, lambda d, c: d, normal((5, 1))),
    wrong(("overwritten", "not summed", "missing term"), "tile, second copy only", tile, lambda d, n: d[:, n:], ROWS),
    wrong(("transposed", "shifted", "missing term"), "tile summed as repeat", tile,
          lambda d, n: d.reshape(len(d), n, 2).sum(2), ROWS),
    wrong("shifted", "window from the first column", window, lambda d, s: window_backward(d, s, 0), ROWS),
    wrong(("shifted", "missing term"), "window without steps", window,
          lambda d, s: np.pad(d, ((0, 0), (1, s[1] - 1 - d.shape[1]))), ROWS),
    wrong("overwritten", "rows taken twice", take_rows, take_rows_backward,
          lambda rng: [rng.standard_normal((5, 3)), np.array([1, 1, 4, 0, 1])]),
    wrong("shifted", "pad, one too far left", pad, lambda d, c: d[:, 1:-2], ROWS),
    wrong("shifted", "pad, one too far right", pad, lambda d, c: d[:, 3:], ROWS),
    wrong("border", "edge padding forgotten", pad_edge, lambda d, c: d[:, 2:-2], ROWS),
    wrong("border", "edge padding on one side only", pad_edge,
          lambda d, c: np.concatenate([d[:, 2:3] + d[:, :2].sum(1, keepdims=True), d[:, 3:-2]], 1), ROWS),
    wrong(("border", "overwritten", "missing term"), "edge padding, only the nearest", pad_edge,
          lambda d, c: np.concatenate([d[:, 2:3] + d[:, 1:2], d[:, 3:-3], d[:, -3:-2] + d[:, -2:-1]], 1), ROWS),
    wrong(("border", "swapped", "shifted"), "round padding, sides exchanged", pad_wrap,
          lambda d, c: pad_wrap_backward(d, c, True), ROWS),
    wrong("shifted", "roll in the same direction", roll, lambda d, c: np.roll(d, 2, 1), ROWS),
    wrong("shifted", "roll by one only", roll, lambda d, c: np.roll(d, -1, 1), ROWS),
    wrong(("missing term", "border"), "differences, second term forgotten", differences,
          lambda d, s: differences_backward(d, s, False), ROWS),
    wrong("overwritten", "differences assigned", differences, differences_assigned, ROWS),
    wrong(("missing term", "flipped", "transposed"), "cumulative sum not from the end", cumulative,
          lambda d, c: np.cumsum(d, 1), ROWS),
    wrong(("missing term", "overwritten"), "cumulative sum passes dout", cumulative, lambda d, c: d, ROWS),
    wrong("overwritten", "words by dtable[words] += share", lookup, lambda d, c: lookup_backward(d, c, False), words),
    wrong("constant factor", "words not divided", lookup, lambda d, c: lookup_backward(d, c, divide=False), words),
]  # fmt: skip

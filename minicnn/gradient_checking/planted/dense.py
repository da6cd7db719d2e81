"""Matrix products and layers made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mutants import right, wrong
from .elementwise import normal

Array = Any


def affine(x: Array, w: Array, b: Array) -> Any:
    return x.reshape(len(x), -1) @ w + b, (x, w)


def affine_backward(dout: Array, cache: Any) -> Any:
    x, w = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(0)


def matmul(a: Array, b: Array) -> Array:
    return a @ b


def two_layers(x: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> Any:
    a = x @ w1 + b1
    h = np.maximum(a, 0)
    return h @ w2 + b2, (x, w1, a, h, w2)


def two_layers_backward(dout: Array, cache: Any, slope: bool = True, transposed: bool = False) -> Any:
    x, w1, a, h, w2 = cache
    dh = dout @ w2.T
    da = dh * (a > 0) if slope else dh
    return da @ w1.T, x.T @ da, da.sum(0), h.T @ dout, dout.sum(0)


def rnn(x: Array, w: Array, u: Array) -> Any:  # (N, T, D): h_t = tanh(x_t w + h_{t−1} u)
    h = np.zeros((len(x), u.shape[0]))
    states = [h]
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ w + h @ u)
        states.append(h)
    return h, (x, w, u, states)


def rnn_backward(dout: Array, cache: Any, accumulate: bool = True, through_time: bool = True) -> Any:
    x, w, u, states = cache
    dx, dw, du, dh = np.zeros_like(x), np.zeros_like(w), np.zeros_like(u), dout
    for t in reversed(range(x.shape[1])):
        da = dh * (1 - states[t + 1] ** 2)
        dx[:, t] = da @ w.T
        dw = (dw if accumulate else 0) + x[:, t].T @ da
        du = (du if accumulate else 0) + states[t].T @ da
        dh = da @ u.T if through_time else np.zeros_like(dh)
    return dx, dw, du


def attention(q: Array, k: Array, v: Array) -> Any:
    s = q @ k.T / np.sqrt(q.shape[1])
    p = np.exp(s - s.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return p @ v, (q, k, v, p)


def attention_backward(dout: Array, cache: Any, root: bool = True, normalised: bool = True) -> Any:
    q, k, v, p = cache
    dp = dout @ v.T
    ds = p * (dp - ((dp * p).sum(1, keepdims=True) if normalised else 0))
    if root:
        ds = ds / np.sqrt(q.shape[1])
    return ds @ k, ds.T @ q, p.T @ dout


def gram(x: Array) -> Any:
    return x.T @ x, x


def weight_decay(x: Array, w: Array) -> Any:
    return (x @ w) ** 2 / 2 + 0.1 * (w**2).sum() / 2, (x, w)


def weight_decay_backward(dout: Array, cache: Any, decay: float = 0.1) -> Any:
    x, w = cache
    dy = dout * (x @ w)
    return dy @ w.T, x.T @ dy + decay * w * dout.sum()


AFFINE = normal((6, 2, 3), (6, 4), (4,))
SQUARE = normal((5, 5), (5, 5), (5,))
NET = normal((6, 4), (4, 5), (5,), (5, 3), (3,))
RNN = normal((3, 4, 2), (2, 5), (5, 5))
HEADS = normal((4, 3), (6, 3), (6, 3))
B = affine_backward

EXAMPLES = [
    right("affine", affine, affine_backward, AFFINE),
    right("matmul, plain form", matmul, lambda d, a, b: (d @ b.T, a.T @ d), normal((3, 4), (4, 5))),
    right("two layers", two_layers, two_layers_backward, NET),
    right("rnn", rnn, rnn_backward, RNN),
    right("attention", attention, attention_backward, HEADS),
    right("gram", gram, lambda d, x: x @ (d + d.T), normal((4, 3))),
    right("weight decay", weight_decay, weight_decay_backward, normal((4, 3), (3, 2))),
    wrong("transposed", "affine with w", affine, lambda d, c: ((d @ c[1]).reshape(c[0].shape), *B(d, c)[1:]), SQUARE),
    wrong("transposed", "dw transposed", affine, lambda d, c: (B(d, c)[0], d.T @ c[0], B(d, c)[2]), SQUARE),
    wrong("transposed", "dw of shape turned", affine,
          lambda d, c: (B(d, c)[0], d.T @ c[0].reshape(6, -1), B(d, c)[2]), AFFINE),
    wrong("not summed", "db not summed", affine, lambda d, c: (*B(d, c)[:2], d), AFFINE),
    wrong("not summed", "db over the wrong axis", affine, lambda d, c: (*B(d, c)[:2], d.sum(1)), AFFINE),
    wrong(("not summed", "constant factor"), "affine, db averaged", affine, lambda d,
          c: (*B(d, c)[:2], d.mean(0)), AFFINE),
    wrong("constant factor", "dw / N", affine, lambda d, c: (B(d, c)[0], B(d, c)[1] / 6, B(d, c)[2]), AFFINE),
    wrong("constant factor", "all / N", affine, lambda d, c: tuple(g / len(d) for g in B(d, c)), AFFINE),
    wrong("constant factor", "dw twice", affine, lambda d, c: (B(d, c)[0], 2 * B(d, c)[1], B(d, c)[2]), AFFINE),
    wrong("constant factor", "dw with minus", affine, lambda d, c: (B(d, c)[0], -B(d, c)[1], B(d, c)[2]), AFFINE),
    wrong("wrong shape", "dx flat", affine, lambda d, c: (d @ c[1].T, *B(d, c)[1:]), AFFINE),
    wrong("swapped", "dx and dw swapped", affine, lambda d, c: (B(d, c)[1], B(d, c)[0], B(d, c)[2]), SQUARE),
    wrong("swapped", "dw and db swapped", affine, lambda d, c: (B(d, c)[0], B(d, c)[2], B(d, c)[1]), AFFINE),
    wrong("transposed", "matmul da = b dT", matmul, lambda d, a, b: ((b @ d.T), a.T @ d), normal((3, 3), (3, 3))),
    wrong("branch", "net without relu", two_layers, lambda d, c: two_layers_backward(d, c, slope=False), NET),
    wrong("overwritten", "rnn weights overwritten", rnn, lambda d, c: rnn_backward(d, c, accumulate=False), RNN),
    wrong("missing term", "rnn cut in time", rnn, lambda d, c: rnn_backward(d, c, through_time=False), RNN),
    wrong("constant factor", "attention without root", attention,
          lambda d, c: attention_backward(d, c, root=False), HEADS),
    wrong("missing term", "attention, softmax without sum", attention,
          lambda d, c: attention_backward(d, c, normalised=False), HEADS),
    wrong("missing term", "gram one side", gram, lambda d, x: x @ d, normal((4, 3))),
    wrong("missing term", "no weight decay", weight_decay,
          lambda d, c: weight_decay_backward(d, c, 0), normal((4, 3), (3, 2))),
    wrong("missing term", "double decay", weight_decay,
          lambda d, c: weight_decay_backward(d, c, 0.2), normal((4, 3), (3, 2))),
    wrong("cut graph", "no dx", affine, lambda d, c: (None, *B(d, c)[1:]), AFFINE),
    wrong("cut graph", "dw zeros", affine, lambda d, c: (B(d, c)[0], 0 * B(d, c)[1], B(d, c)[2]), AFFINE),
    wrong("wrong number of gradients", "no db", affine, lambda d, c: B(d, c)[:2], AFFINE),
    wrong("error", "raises", affine, lambda d, c: (d @ c[0], 0, 0), AFFINE),
    wrong("lost precision", "dw in float32", affine,
          lambda d, c: (B(d, c)[0], B(d, c)[1].astype(np.float32).astype(float), B(d, c)[2]), AFFINE),
]  # fmt: skip

"""Matrix products, einsum, linear layers, residual blocks, recurrent cells."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mutants import right, wrong
from .elementwise import normal

Array = Any


def linear(x: Array, w: Array, b: Array) -> Any:  # PyTorch's layout: w is (out, in)
    return x @ w.T + b, (x, w)


def linear_backward(dout: Array, cache: Any) -> Any:
    x, w = cache
    return dout @ w, dout.T @ x, dout.sum(0)


def sequence(x: Array, w: Array, b: Array) -> Any:  # (N, T, D) @ (D, H)
    return x @ w + b, (x, w)


def sequence_backward(dout: Array, cache: Any) -> Any:
    x, w = cache
    return dout @ w.T, np.einsum("ntd,nth->dh", x, dout), dout.sum((0, 1))


def batched(a: Array, b: Array) -> Any:
    return a @ b, (a, b)


def batched_backward(dout: Array, cache: Any) -> Any:
    a, b = cache
    return dout @ b.swapaxes(1, 2), a.swapaxes(1, 2) @ dout


def bilinear(x: Array, w: Array, y: Array) -> Any:  # Σ x_i W_ij y_j for each pair of rows
    return np.einsum("ni,ij,nj->n", x, w, y), (x, w, y)


def bilinear_backward(dout: Array, cache: Any) -> Any:
    x, w, y = cache
    d = dout[:, None]
    return d * (y @ w.T), np.einsum("n,ni,nj->ij", dout, x, y), d * (x @ w)


def outer(a: Array, b: Array) -> Any:
    return np.outer(a, b), (a, b)


def quadratic(x: Array, a: Array) -> Any:  # xᵀ A x
    return x @ a @ x, (x, a)


def residual(x: Array, w1: Array, w2: Array) -> Any:  # x + relu(x w1) w2
    h = x @ w1
    r = np.maximum(h, 0)
    return x + r @ w2, (x, w1, w2, h, r)


def residual_backward(
    dout: Array, cache: Any, skip: bool = True, mask: str = "h", transposed: bool = True, scale: float = 1
) -> Any:
    x, w1, w2, h, r = cache
    dr = dout @ (w2.T if transposed else w2)
    dh = {"h": dr * (h > 0), "none": dr, "gradient": dr * (dr > 0), "r": dr * r}[mask]
    return (scale * dout if skip else 0) + dh @ w1.T, x.T @ dh, r.T @ dout


def gated(x: Array, w: Array, v: Array) -> Any:  # tanh(x w) · sigmoid(x v)
    t, s = np.tanh(x @ w), 1 / (1 + np.exp(-(x @ v)))
    return t * s, (x, w, v, t, s)


def gated_backward(dout: Array, cache: Any, updated: bool = False, one_path: bool = False) -> Any:
    x, w, v, t, s = cache
    da = dout * s * (1 - t**2)
    if updated:
        s = s * (1 - s)  # overwrites what the next line needs
        db = dout * t * s * (1 - s)
    else:
        db = dout * t * s * (1 - s)
    return da @ w.T + (0 if one_path else db @ v.T), x.T @ da, x.T @ db


def shared(x: Array, w: Array) -> Any:  # the same weights twice
    h = np.tanh(x @ w)
    return h @ w, (x, w, h)


def shared_backward(dout: Array, cache: Any, keep: str = "both") -> Any:
    x, w, h = cache
    second = h.T @ dout
    dh = dout @ w.T * (1 - h**2)
    first = x.T @ dh
    dw = {"both": first + second, "first": first, "second": second, "mean": (first + second) / 2}[keep]
    return dh @ w.T, dw


def updated_weights(dout: Array, cache: Any) -> Any:  # the weights are changed before their old value is needed
    x, w = cache
    dw = dout.T @ x
    w = w - 0.1 * dw
    return dout @ w, dw, dout.sum(0)


def columns_by_loop(dout: Array, cache: Any) -> Any:
    x, w = cache
    dw = np.zeros_like(w)
    for n in range(len(x)):
        for o in range(len(w)):
            for i in range(w.shape[1] - 1):  # one too few
                dw[o, i] += dout[n, o] * x[n, i]
    return dout @ w, dw, dout.sum(0)


def rows_by_loop(dout: Array, cache: Any) -> Any:
    x, w = cache
    dw = np.zeros_like(w)
    for n in range(len(x)):
        dw = np.outer(dout[n], x[n])
    return dout @ w, dw, dout.sum(0)


def first_image_twice(dout: Array, cache: Any) -> Any:
    x, w = cache
    dw = np.zeros_like(w)
    for n in range(len(x)):
        dw += np.outer(dout[n], x[0])  # x[n]
    return dout @ w, dw, dout.sum(0)


LINEAR = normal((6, 4), (3, 4), (3,))
SQUARE = normal((5, 5), (5, 5), (5,))
SEQUENCE = normal((2, 4, 3), (3, 5), (5,))
CUBES = normal((3, 4, 4), (3, 4, 4))
BLOCK = normal((6, 4), (4, 4), (4, 4))
GATED = normal((5, 3), (3, 4), (3, 4))
B, Q, R, G = linear_backward, sequence_backward, residual_backward, gated_backward

EXAMPLES = [
    right("linear", linear, linear_backward, LINEAR),
    right("linear over a sequence", sequence, sequence_backward, SEQUENCE),
    right("batched product", batched, batched_backward, CUBES),
    right("bilinear form", bilinear, bilinear_backward, normal((4, 3), (3, 5), (4, 5))),
    right("outer product", outer, lambda d, c: (d @ c[1], c[0] @ d), normal((4,), (5,))),
    right("quadratic form", quadratic, lambda d, c: (d * (c[1] + c[1].T) @ c[0], d * np.outer(c[0], c[0])),
          normal((4,), (4, 4))),
    right("residual block", residual, residual_backward, BLOCK),
    right("gated unit", gated, gated_backward, GATED),
    right("shared weights", shared, shared_backward, normal((5, 4), (4, 4))),
    wrong("transposed", "linear, dx with w turned", linear, lambda d, c: (d @ c[1].T, *B(d, c)[1:]), SQUARE),
    wrong("transposed", "linear, dw as x.T dout", linear, lambda d, c: (B(d, c)[0], c[0].T @ d, B(d, c)[2]), LINEAR),
    wrong("transposed", "linear, dw as x.T dout, square", linear,
          lambda d, c: (B(d, c)[0], c[0].T @ d, B(d, c)[2]), SQUARE),
    wrong(("transposed", "missing term"), "linear, dw without the transposition of dout", linear,
          lambda d, c: (B(d, c)[0], d @ c[0], B(d, c)[2]), SQUARE),
    wrong("missing term", "linear, dx with updated weights", linear, updated_weights, LINEAR),
    wrong("border", "linear, last column forgotten", linear, columns_by_loop, LINEAR),
    wrong("overwritten", "linear, dw of the last row", linear, rows_by_loop, LINEAR),
    wrong(("missing term", "overwritten"), "linear, first row for all", linear, first_image_twice, LINEAR),
    wrong("ignores dout", "linear, db counts rows", linear,
          lambda d, c: (*B(d, c)[:2], np.full(3, float(len(d)))), LINEAR),
    wrong("not summed", "linear, db of all", linear, lambda d, c: (*B(d, c)[:2], np.full(3, d.sum())), LINEAR),
    wrong(("not summed", "overwritten"), "linear, db of the first row", linear,
          lambda d, c: (*B(d, c)[:2], d[0]), LINEAR),
    wrong(("missing term", "swapped", "ignores dout"), "linear, db from x", linear,
          lambda d, c: (*B(d, c)[:2], c[0].sum(0)), SQUARE),
    wrong(("constant factor",), "linear, dx by the norm of w", linear,
          lambda d, c: (B(d, c)[0] / np.linalg.norm(c[1]), *B(d, c)[1:]), LINEAR),
    wrong("constant factor", "linear, db / N", linear, lambda d, c: (*B(d, c)[:2], B(d, c)[2] / len(d)), LINEAR),
    wrong("swapped", "linear, order x b w", linear, lambda d, c: (B(d, c)[0], B(d, c)[2], B(d, c)[1]), LINEAR),
    wrong("swapped", "linear, order w x b", linear, lambda d, c: (B(d, c)[1], B(d, c)[0], B(d, c)[2]), LINEAR),
    wrong(("not summed", "overwritten", "wrong shape"), "sequence, db over the batch only", sequence,
          lambda d, c: (*Q(d, c)[:2], d.sum(0)), SEQUENCE),
    wrong(("overwritten", "missing term", "not summed"), "sequence, dw of the last step", sequence,
          lambda d, c: (Q(d, c)[0], c[0][:, -1].T @ d[:, -1], Q(d, c)[2]), SEQUENCE),
    wrong(("not summed", "wrong shape"), "sequence, dw not summed over the batch", sequence,
          lambda d, c: (Q(d, c)[0], c[0].swapaxes(1, 2) @ d, Q(d, c)[2]), SEQUENCE),
    wrong("constant factor", "sequence, dw averaged over steps", sequence,
          lambda d, c: (Q(d, c)[0], Q(d, c)[1] / 4, Q(d, c)[2]), SEQUENCE),
    wrong("transposed", "batched, da without transposition", batched,
          lambda d, c: (d @ c[1], batched_backward(d, c)[1]), CUBES),
    wrong("transposed", "batched, db turned", batched,
          lambda d, c: (batched_backward(d, c)[0], d.swapaxes(1, 2) @ c[0]), CUBES),
    wrong(("transposed", "missing term"), "batched, .T of three axes", batched,
          lambda d, c: (d @ c[1].T, batched_backward(d, c)[1]), normal((4, 4, 4), (4, 4, 4))),
    wrong("swapped", "batched, exchanged", batched, lambda d, c: batched_backward(d, c)[::-1], CUBES),
    wrong("missing term", "bilinear, dx without w", bilinear,
          lambda d, c: (d[:, None] * c[2], *bilinear_backward(d, c)[1:]), normal((4, 3), (3, 3), (4, 3))),
    wrong("transposed", "bilinear, dw turned", bilinear,
          lambda d, c: (bilinear_backward(d, c)[0], bilinear_backward(d, c)[1].T, bilinear_backward(d, c)[2]),
          normal((4, 3), (3, 3), (4, 3))),
    wrong("transposed", "bilinear, w turned in dx", bilinear,
          lambda d, c: (d[:, None] * (c[2] @ c[1]), *bilinear_backward(d, c)[1:]), normal((4, 3), (3, 3), (4, 3))),
    wrong("missing term", "quadratic form, 2 A x for any A", quadratic,
          lambda d, c: (2 * d * c[1] @ c[0], d * np.outer(c[0], c[0])), normal((4,), (4, 4))),
    wrong("missing term", "quadratic form, one half", quadratic,
          lambda d, c: (d * c[1] @ c[0], d * np.outer(c[0], c[0])), normal((4,), (4, 4))),
    wrong(("transposed", "swapped"), "outer product, exchanged factors", outer,
          lambda d, c: (d.T @ c[1], d @ c[0]), normal((4,), (4,))),
    wrong("missing term", "block without skip", residual, lambda d, c: R(d, c, skip=False), BLOCK),
    wrong("missing term", "block with the skip twice", residual, lambda d, c: R(d, c, scale=2), BLOCK),
    wrong("branch", "block without the relu's mask", residual, lambda d, c: R(d, c, mask="none"), BLOCK),
    wrong("branch", "block, mask of the gradient", residual, lambda d, c: R(d, c, mask="gradient"), BLOCK),
    wrong("missing term", "block, times the relu's result", residual, lambda d, c: R(d, c, mask="r"), BLOCK),
    wrong("transposed", "block, second weights not turned", residual, lambda d, c: R(d, c, transposed=False), BLOCK),
    wrong("missing term", "gated, one path to x", gated, lambda d, c: G(d, c, one_path=True), GATED),
    wrong("missing term", "gated, sigmoid overwritten", gated, lambda d, c: G(d, c, updated=True), GATED),
    wrong(("missing term", "overwritten"), "shared weights, second use only", shared,
          lambda d, c: shared_backward(d, c, "second"), normal((5, 4), (4, 4))),
    wrong(("missing term", "overwritten"), "shared weights, first use only", shared,
          lambda d, c: shared_backward(d, c, "first"), normal((5, 4), (4, 4))),
    wrong("constant factor", "shared weights, averaged", shared,
          lambda d, c: shared_backward(d, c, "mean"), normal((5, 4), (4, 4))),
]  # fmt: skip

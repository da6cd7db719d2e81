"""Losses: reductions, weights, masks, margins."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mutants import right, wrong
from .elementwise import normal

Array = Any


def sigma(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def weighted_entropy(x: Array, t: Array, w: Array) -> Any:  # mean over Σ w[t]
    p = softmax(x)
    rows = np.arange(len(x))
    loss = -(w[t] * np.log(p[rows, t])).sum() / w[t].sum()
    return loss, (p, t, w)


def weighted_entropy_backward(dout: Array, cache: Any, mistake: str = "") -> Any:
    p, t, w = cache
    rows, v = np.arange(len(p)), w[t]
    d = p.copy()
    d[rows, t] -= 1
    each = v[:, None] / v.sum()
    if mistake == "unweighted":
        each = 1 / len(p)
    if mistake == "by N":
        each = v[:, None] / len(p)
    if mistake == "by classes":
        each = w[None] / v.sum()
    dw = np.zeros_like(w)
    loss = -(v * np.log(p[rows, t])).sum() / v.sum()
    np.add.at(dw, t, (-np.log(p[rows, t]) - loss) / v.sum())
    return dout * d * each, dout * dw


def smoothed(x: Array, t: Array, eps: float = 0.2) -> Any:
    p = softmax(x)
    q = np.full(x.shape, eps / x.shape[1])
    q[np.arange(len(x)), t] += 1 - eps
    return -(q * np.log(p)).sum() / len(x), (p, q, t, eps)


def smoothed_backward(dout: Array, cache: Any, mistake: str = "") -> Array:
    p, q, t, eps = cache
    if mistake == "hard":
        q = np.eye(p.shape[1])[t]
    if mistake == "half":
        q = (1 - eps) * np.eye(p.shape[1])[t]
    return dout * (p - q) / len(p)


def bce(p: Array, t: Array) -> Any:
    return -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(), (p, t)


def bce_backward(dout: Array, cache: Any, mistake: str = "") -> Array:
    p, t = cache
    d = (p - t) / (p * (1 - p))
    if mistake == "logits":
        d = p - t
    if mistake == "ones":
        d = -t / p
    if mistake == "sign":
        d = -t / p - (1 - t) / (1 - p)
    n = len(p) if mistake == "rows" else p.size
    return dout * d / n


def bce_logits(z: Array, t: Array) -> Any:
    return (np.logaddexp(0, z) - t * z).mean(), (z, t)


def smooth_l1(x: Array, t: Array, beta: float = 0.7) -> Any:
    d = x - t
    a = np.abs(d)
    return np.where(a < beta, 0.5 * d**2 / beta, a - 0.5 * beta).sum(), (d, beta)


def smooth_l1_backward(dout: Array, cache: Any, mistake: str = "") -> Any:
    d, beta = cache
    inside, outside = d / beta, np.sign(d)
    if mistake == "beta":
        inside = d
    if mistake == "sign":
        outside = np.ones_like(d)
    if mistake == "inside":
        outside = inside
    if mistake == "outside":
        inside = outside
    dx = dout * np.where(np.abs(d) < beta, inside, outside)
    return dx, -dx


def nll(logp: Array, t: Array) -> Any:  # targets of -1 are ignored
    use = t >= 0
    return -logp[np.arange(len(t))[use], t[use]].sum() / use.sum(), (logp.shape, t, use)


def nll_backward(dout: Array, cache: Any, mistake: str = "") -> Array:
    shape, t, use = cache
    d = np.zeros(shape)
    if mistake == "ignored":
        d[np.arange(len(t)), t] = -1 / use.sum()  # -1 is the last class
    else:
        d[np.arange(len(t))[use], t[use]] = -1 / (len(t) if mistake == "all" else use.sum())
    if mistake == "row":
        d = np.repeat(d.sum(1, keepdims=True), shape[1], 1)
    return dout * d


def triplet(a: Array, p: Array, n: Array, margin: float = 1.0) -> Any:
    dp, dn = np.sqrt(((a - p) ** 2).sum(1)), np.sqrt(((a - n) ** 2).sum(1))
    return np.maximum(dp - dn + margin, 0).mean(), (a, p, n, dp, dn, margin)


def triplet_backward(dout: Array, cache: Any, mistake: str = "") -> Any:
    a, p, n, dp, dn, margin = cache
    active = ((dp - dn + margin) > 0)[:, None] * dout / len(a)
    if mistake == "inactive":
        active = np.full((len(a), 1), dout / len(a))
    up, un = (a - p) / dp[:, None], (a - n) / dn[:, None]
    if mistake == "square":
        up, un = 2 * (a - p), 2 * (a - n)
    da = active * (up if mistake == "anchor" else up - un)
    dneg = -active * un if mistake == "negative" else active * un
    return da, -active * up, dneg


def cosine(x: Array, y: Array) -> Any:
    nx, ny = np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1)
    c = (x * y).sum(1) / (nx * ny)
    return c, (x, y, nx, ny, c)


def cosine_backward(dout: Array, cache: Any, mistake: str = "") -> Any:
    x, y, nx, ny, c = (v[:, None] if v.ndim == 1 else v for v in cache)
    d = dout[:, None]
    second = 0 if mistake == "one term" else c / nx**2
    dx = d * (y / (nx * ny) - x * second)
    dy = d * (x / (nx * ny) - y * c / ny**2)
    return (d * y / ny if mistake == "length" else dx), (dx if mistake == "same" else dy)


def hinge(x: Array, t: Array) -> Any:  # squared, of two classes -1 and 1
    m = np.maximum(0, 1 - t * x)
    return (m**2).mean(), (m, t)


def kl(x: Array, q: Array) -> Any:  # Σ q log(q / softmax(x)), q given
    p = softmax(x)
    return (q * (np.log(q) - np.log(p))).sum() / len(x), (p, q)


def mse_sum(x: Array, t: Array) -> Any:
    return ((x - t) ** 2).sum(), (x, t)


def each_square(x: Array, t: Array) -> Any:  # not reduced
    return (x - t) ** 2, (x, t)


def with_penalty(x: Array, w: Array) -> Any:
    return ((x @ w) ** 2).mean() + 0.1 * np.abs(w).sum(), (x, w)


def with_penalty_backward(dout: Array, cache: Any, mistake: str = "") -> Any:
    x, w = cache
    y = x @ w
    d = dout * 2 * y / y.size
    penalty = {"": 0.1 * np.sign(w), "none": 0, "square": 0.2 * w, "twice": 0.2 * np.sign(w)}[mistake]
    return d @ w.T, x.T @ d + dout * penalty


def classes(n: int, k: int) -> Any:
    return lambda rng: [rng.standard_normal((n, k)), rng.integers(0, k, n)]


WEIGHTED = lambda rng: [*classes(6, 4)(rng), rng.uniform(0.5, 2, 4)]
PROBABLE = lambda rng: [rng.uniform(0.1, 0.9, (5, 3)), (rng.random((5, 3)) < 0.5).astype(int)]
LOGITS = lambda rng: [rng.standard_normal((5, 3)), (rng.random((5, 3)) < 0.5).astype(int)]
IGNORING = lambda rng: [np.log(rng.dirichlet(np.ones(4), 6)) - rng.random((6, 4)), np.array([0, -1, 2, 3, -1, 1])]
PAIR = normal((5, 4), (5, 4))
TRIPLE = normal((6, 3), (6, 3), (6, 3))
SIGNS = lambda rng: [rng.standard_normal(8), rng.choice([-1, 1], 8)]
W, H, B, S, T, K, P = (weighted_entropy_backward, smoothed_backward, bce_backward, smooth_l1_backward, triplet_backward,
                       cosine_backward, with_penalty_backward)  # fmt: skip

EXAMPLES = [
    right("weighted cross entropy", weighted_entropy, weighted_entropy_backward, WEIGHTED),
    right("label smoothing", smoothed, smoothed_backward, classes(5, 4)),
    right("binary cross entropy", bce, bce_backward, PROBABLE),
    right("binary cross entropy of logits", bce_logits, lambda d, c: d * (sigma(c[0]) - c[1]) / c[0].size, LOGITS),
    right("smooth l1", smooth_l1, smooth_l1_backward, PAIR),
    right("nll with ignored targets", nll, nll_backward, IGNORING),
    right("triplet margin", triplet, triplet_backward, TRIPLE),
    right("cosine similarity", cosine, cosine_backward, PAIR),
    right("squared hinge", hinge, lambda d, c: -2 * d * c[0] * c[1] / c[0].size, SIGNS),
    right("squares, not reduced", each_square, lambda d, c: (2 * d * (c[0] - c[1]), -2 * d * (c[0] - c[1])), PAIR),
    right("loss with a penalty", with_penalty, with_penalty_backward, normal((5, 3), (3, 2))),
    wrong(("missing term", "branch"), "weights of classes forgotten", weighted_entropy,
          lambda d, c: W(d, c, "unweighted"), WEIGHTED),
    wrong("constant factor", "weights divided by N", weighted_entropy, lambda d, c: W(d, c, "by N"), WEIGHTED),
    wrong("missing term", "weights of columns, not of targets", weighted_entropy,
          lambda d, c: W(d, c, "by classes"), WEIGHTED),
    wrong("missing term", "smoothing forgotten", smoothed, lambda d, c: H(d, c, "hard"), classes(5, 4)),
    wrong("missing term", "smoothing, the even part forgotten", smoothed, lambda d, c: H(d, c, "half"), classes(5, 4)),
    wrong("missing term", "bce as of logits", bce, lambda d, c: B(d, c, "logits"), PROBABLE),
    wrong("branch", "bce of ones only", bce, lambda d, c: B(d, c, "ones"), PROBABLE),
    wrong("branch", "bce, zeros with the wrong sign", bce, lambda d, c: B(d, c, "sign"), PROBABLE),
    wrong("constant factor", "bce divided by rows", bce, lambda d, c: B(d, c, "rows"), PROBABLE),
    wrong("missing term", "logits, sigmoid forgotten", bce_logits, lambda d, c: d * (c[0] - c[1]) / c[0].size, LOGITS),
    wrong("missing term", "logits, target forgotten", bce_logits, lambda d, c: d * sigma(c[0]) / c[0].size, LOGITS),
    wrong(("missing term",), "logits, times the slope", bce_logits,
          lambda d, c: d * (sigma(c[0]) - c[1]) * sigma(c[0]) * (1 - sigma(c[0])) / c[0].size, LOGITS),
    wrong("constant factor", "logits, target minus sigmoid", bce_logits,
          lambda d, c: d * (c[1] - sigma(c[0])) / c[0].size, LOGITS),
    wrong("branch", "smooth l1, beta forgotten inside", smooth_l1, lambda d, c: S(d, c, "beta"), PAIR),
    wrong("branch", "smooth l1, sign forgotten outside", smooth_l1, lambda d, c: S(d, c, "sign"), PAIR),
    wrong("branch", "smooth l1, inside everywhere", smooth_l1, lambda d, c: S(d, c, "inside"), PAIR),
    wrong("branch", "smooth l1, outside everywhere", smooth_l1, lambda d, c: S(d, c, "outside"), PAIR),
    wrong(("branch", "missing term"), "ignored targets get gradients", nll,
          lambda d, c: nll_backward(d, c, "ignored"), IGNORING),
    wrong("constant factor", "ignored targets are counted", nll, lambda d, c: nll_backward(d, c, "all"), IGNORING),
    wrong(("branch", "missing term"), "nll to the whole row", nll, lambda d, c: nll_backward(d, c, "row"), IGNORING),
    wrong(("branch", "missing term"), "triplets that are far enough get gradients", triplet,
          lambda d, c: T(d, c, "inactive"), lambda rng: [*normal((6, 3), (6, 3), (6, 3))(rng), 0.5]),
    wrong("missing term", "anchor without the negative", triplet, lambda d, c: T(d, c, "anchor"), TRIPLE),
    wrong("constant factor", "negative with minus", triplet, lambda d, c: T(d, c, "negative"), TRIPLE),
    wrong("missing term", "distances taken for squares", triplet, lambda d, c: T(d, c, "square"), TRIPLE),
    wrong("swapped", "positive and negative exchanged", triplet,
          lambda d, c: (T(d, c)[0], T(d, c)[2], T(d, c)[1]), TRIPLE),
    wrong("missing term", "cosine without the second term", cosine, lambda d, c: K(d, c, "one term"), PAIR),
    wrong("missing term", "cosine, x not normalised", cosine, lambda d, c: K(d, c, "length"), PAIR),
    wrong(("swapped", "missing term"), "cosine, dx for both", cosine, lambda d, c: K(d, c, "same"), PAIR),
    wrong("constant factor", "squared hinge without 2", hinge, lambda d, c: -d * c[0] * c[1] / c[0].size, SIGNS),
    wrong("missing term", "squared hinge as hinge", hinge, lambda d, c: -d * (c[0] > 0) * c[1] / c[0].size, SIGNS),
    wrong(("branch", "constant factor", "missing term"), "squared hinge without the target's sign", hinge,
          lambda d, c: -2 * d * c[0] / c[0].size, SIGNS),
    wrong(("ignores dout",), "sum of squares without dout", mse_sum,
          lambda d, c: (2 * (c[0] - c[1]), -2 * (c[0] - c[1])), PAIR),
    wrong("constant factor", "sum of squares averaged", mse_sum,
          lambda d, c: (2 * d * (c[0] - c[1]) / 20, -2 * d * (c[0] - c[1]) / 20), PAIR),
    wrong(("ignores dout",), "squares, dout forgotten", each_square,
          lambda d, c: (2 * (c[0] - c[1]), -2 * (c[0] - c[1])), PAIR),
    wrong(("ignores dout", "missing term"), "squares, dout averaged", each_square,
          lambda d, c: (2 * d.mean() * (c[0] - c[1]), -2 * d.mean() * (c[0] - c[1])), PAIR),
    wrong(("branch", "missing term"), "squares, absolute difference", each_square,
          lambda d, c: (2 * d * np.abs(c[0] - c[1]), -2 * d * (c[0] - c[1])), PAIR),
    wrong(("integer division", "cut graph", "constant factor"), "divided by n before the sum with //", mse_sum,
          lambda d, c: ((d * (c[0] - c[1])) // 1 * 2, -2 * d * (c[0] - c[1])), PAIR),
    wrong("missing term", "penalty forgotten", with_penalty, lambda d, c: P(d, c, "none"), normal((5, 3), (3, 2))),
    wrong("missing term", "penalty of squares", with_penalty, lambda d, c: P(d, c, "square"), normal((5, 3), (3, 2))),
    wrong("missing term", "penalty twice", with_penalty, lambda d, c: P(d, c, "twice"), normal((5, 3), (3, 2))),
]  # fmt: skip

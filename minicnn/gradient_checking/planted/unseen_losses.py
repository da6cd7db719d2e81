"""Unseen by the rules of diagnosis: losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mutants import right, wrong
from .unseen_functions import draw

Array = Any


def probabilities(x: Array) -> Array:
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def focal(x: Array, t: Array, gamma: float = 2.0) -> Any:
    p = probabilities(x)
    pt = p[np.arange(len(x)), t]
    return -((1 - pt) ** gamma * np.log(pt)).sum(), (p, pt, t, gamma)


def focal_back(d: Array, cache: Any, mistake: str = "") -> Array:
    p, pt, t, gamma = cache
    slope = gamma * (1 - pt) ** (gamma - 1) * np.log(pt) - (1 - pt) ** gamma / pt
    if mistake == "weight":
        slope = -((1 - pt) ** gamma) / pt
    if mistake == "plain":
        slope = -1 / pt
    dp = slope * pt
    one = np.eye(p.shape[1])[t]
    return d * dp[:, None] * (one if mistake == "one" else one - p)


def dice(p: Array, t: Array) -> Any:
    top, low = 2 * (p * t).sum(), p.sum() + t.sum()
    return 1 - top / low, (p, t, top, low)


def dice_back(d: Array, cache: Any, mistake: str = "") -> Array:
    _p, t, top, low = cache
    dx = -(2 * t * low - (0 if mistake == "quotient" else top)) / low**2
    if mistake == "plus":
        dx = -(2 * t * low + top) / low**2
    if mistake == "square":
        dx = dx * low
    return d * dx


def kl_normal(mu: Array, logvar: Array) -> Any:
    return -0.5 * (1 + logvar - mu**2 - np.exp(logvar)).sum(1).mean(), (mu, logvar)


def kl_normal_back(d: Array, cache: Any, mistake: str = "") -> Any:
    mu, logvar = cache
    n = mu.size if mistake == "size" else len(mu)
    dmu = d * mu / n * (2 if mistake == "two" else 1)
    dlog = d * 0.5 * ((logvar if mistake == "exp" else np.exp(logvar)) - (0 if mistake == "one" else 1)) / n
    return (dlog, dmu) if mistake == "exchanged" else (dmu, dlog)


def contrastive(a: Array, b: Array, same: Array, margin: float = 1.5) -> Any:
    diff = a - b
    dist = np.sqrt((diff**2).sum(1))
    short = np.maximum(margin - dist, 0)
    return (same * dist**2 + (1 - same) * short**2).mean(), (diff, dist, short, same)


def contrastive_back(g: Array, cache: Any, mistake: str = "") -> Any:
    diff, dist, short, same = cache
    pull = 2 * diff * same[:, None]
    push = -2 * (short / dist)[:, None] * diff * (1 - same)[:, None]
    if mistake == "push":
        push = -push
    if mistake == "pull":
        push = 0 * push
    if mistake == "distance":
        push = -2 * short[:, None] * diff * (1 - same)[:, None]
    da = g * (pull + push) / (1 if mistake == "mean" else len(diff))
    return da, da if mistake == "same sign" else -da


def huber(x: Array, t: Array, delta: float = 1.0) -> Any:
    e = x - t
    return np.where(np.abs(e) <= delta, 0.5 * e**2, delta * (np.abs(e) - 0.5 * delta)).mean(), (e, delta)


def huber_back(d: Array, cache: Any, mistake: str = "") -> Any:
    e, delta = cache
    g = np.clip(e, -delta, delta) / e.size
    if mistake == "abs":
        g = np.where(np.abs(e) <= delta, e, delta) / e.size
    if mistake == "zero":
        g = np.where(np.abs(e) <= delta, e, 0) / e.size
    if mistake == "unclipped":
        g = e / e.size
    return d * g, d * g if mistake == "target" else -d * g


def poisson(x: Array, k: Array) -> Any:
    return (np.exp(x) - k * x).sum(), (x, k)


def log_cosh(x: Array, t: Array) -> Any:
    return np.log(np.cosh(x - t)).mean(), x - t


def entropy_rows(x: Array) -> Any:  # entropy of softmax, per row
    p = probabilities(x)
    h = -(p * np.log(p)).sum(1)
    return h, (p, h)


def entropy_back(d: Array, cache: Any, mistake: str = "") -> Array:
    p, h = cache
    if mistake == "p":
        return -d[:, None] * (np.log(p) + 1)
    if mistake == "h":
        return -d[:, None] * p * np.log(p)
    return -d[:, None] * p * (np.log(p) + h[:, None])


def batch_hard(x: Array, t: Array) -> Any:  # worst squared error of each row
    e = (x - t) ** 2
    return e.max(1).sum(), (x, t, e)


def soft_labels(x: Array, q: Array) -> Any:
    p = probabilities(x)
    return -(q * np.log(p)).sum() / len(x), (p, q)


def soft_labels_back(d: Array, cache: Any, mistake: str = "") -> Any:
    p, q = cache
    dx = p * q.sum(1, keepdims=True) - q
    if mistake == "sum":
        dx = p - q
    if mistake == "sign":
        dx = p + q
    return d * dx / len(p), -d * np.log(p) / len(p)


TARGETS = lambda rng: [rng.standard_normal((5, 4)), rng.integers(0, 4, 5)]
MASKS = lambda rng: [rng.uniform(0.1, 0.9, (4, 5)), (rng.random((4, 5)) < 0.5).astype(int)]
COUPLES = lambda rng: [rng.uniform(-0.5, 0.5, (6, 3)), rng.uniform(-0.5, 0.5, (6, 3)), np.array([0, 1, 0, 1, 1, 0])]
COUNTS = lambda rng: [rng.standard_normal(7), rng.integers(0, 5, 7)]
F, D, L, C, H = focal_back, dice_back, kl_normal_back, contrastive_back, huber_back
TWO = draw((5, 4), (5, 4))
SOFT = lambda rng: [rng.standard_normal((5, 4)), rng.uniform(0, 1, (5, 4))]

EXAMPLES = [
    right("focal loss", focal, focal_back, TARGETS),
    right("dice loss", dice, dice_back, MASKS),
    right("divergence of normals", kl_normal, kl_normal_back, TWO),
    right("contrastive loss", contrastive, contrastive_back, COUPLES),
    right("huber loss", huber, huber_back, TWO),
    right("entropy of rows", entropy_rows, entropy_back, draw((4, 5))),
    right("soft labels", soft_labels, soft_labels_back, SOFT),
    wrong("missing term", "focal, slope of the weight forgotten", focal, lambda d, c: F(d, c, "weight"), TARGETS),
    wrong("missing term", "focal as cross entropy", focal, lambda d, c: F(d, c, "plain"), TARGETS),
    wrong("missing term", "focal, own class only", focal, lambda d, c: F(d, c, "one"), TARGETS),
    wrong("missing term", "dice, denominator held constant", dice, lambda d, c: D(d, c, "quotient"), MASKS),
    wrong("missing term", "dice, sign of the quotient rule", dice, lambda d, c: D(d, c, "plus"), MASKS),
    wrong("constant factor", "dice, denominator not squared", dice, lambda d, c: D(d, c, "square"), MASKS),
    wrong("constant factor", "divergence, averaged over all", kl_normal, lambda d, c: L(d, c, "size"), TWO),
    wrong("constant factor", "divergence, dmu twice", kl_normal, lambda d, c: L(d, c, "two"), TWO),
    wrong("missing term", "divergence, exp forgotten", kl_normal, lambda d, c: L(d, c, "exp"), TWO),
    wrong("missing term", "divergence, 1 forgotten", kl_normal, lambda d, c: L(d, c, "one"), TWO),
    wrong("swapped", "divergence, exchanged", kl_normal, lambda d, c: L(d, c, "exchanged"), TWO),
    wrong(("branch", "constant factor"), "contrastive, strangers pulled", contrastive, lambda d,
          c: C(d, c, "push"), COUPLES),
    wrong(("branch", "missing term"), "contrastive, friends only", contrastive, lambda d, c: C(d, c, "pull"), COUPLES),
    wrong(("branch", "missing term"), "contrastive, distance forgotten", contrastive,
          lambda d, c: C(d, c, "distance"), COUPLES),
    wrong("constant factor", "contrastive, summed", contrastive, lambda d, c: C(d, c, "mean"), COUPLES),
    wrong("constant factor", "contrastive, both with the same sign", contrastive, lambda d,
          c: C(d, c, "same sign"), COUPLES),
    wrong("branch", "huber, sign forgotten outside", huber, lambda d, c: H(d, c, "abs"), TWO),
    wrong("branch", "huber, zero outside", huber, lambda d, c: H(d, c, "zero"), TWO),
    wrong("branch", "huber, not clipped", huber, lambda d, c: H(d, c, "unclipped"), TWO),
    wrong("constant factor", "huber, target's sign", huber, lambda d, c: H(d, c, "target"), TWO),
    wrong("missing term", "poisson, counts forgotten", poisson, lambda d, c: d * np.exp(c[0]), COUNTS),
    wrong("missing term", "poisson, exp forgotten", poisson, lambda d, c: d * (c[0] - c[1]), COUNTS),
    wrong("missing term", "log cosh, square of tanh", log_cosh,
          lambda d, e: (d * np.tanh(e) ** 2 / e.size, -d * np.tanh(e) / e.size), TWO),
    wrong("constant factor", "log cosh, not divided", log_cosh, lambda d, e: (d * np.tanh(e), -d * np.tanh(e)), TWO),
    wrong("missing term", "entropy, through p forgotten", entropy_rows, lambda d,
          c: entropy_back(d, c, "p"), draw((4, 5))),
    wrong(("missing term", "batch statistics"), "entropy, h forgotten", entropy_rows,
          lambda d, c: entropy_back(d, c, "h"), draw((4, 5))),
    wrong(("missing term", "branch"), "worst error, all of the row", batch_hard,
          lambda d, c: (2 * d * (c[0] - c[1]), -2 * d * (c[0] - c[1]) * (c[2] == c[2].max(1, keepdims=True))), TWO),
    wrong("missing term", "soft labels, sum taken for 1", soft_labels, lambda d,
          c: soft_labels_back(d, c, "sum"), SOFT),
    wrong("missing term", "soft labels, plus", soft_labels, lambda d, c: soft_labels_back(d, c, "sign"), SOFT),
]  # fmt: skip

"""Unseen by the rules of diagnosis: layers with weights, cells with gates, normalisations."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mutants import right, wrong
from .unseen_functions import draw

Array = Any


def s(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def lstm(x: Array, h: Array, c: Array, w: Array, u: Array) -> Any:  # one step; gates i f o g
    a = x @ w + h @ u
    i, f, o, g = np.split(a, 4, 1)
    i, f, o, g = s(i), s(f), s(o), np.tanh(g)
    new = f * c + i * g
    t = np.tanh(new)
    return o * t, (x, h, c, w, u, i, f, o, g, t)


def lstm_back(d: Array, cache: Any, mistake: str = "") -> Any:
    x, h, c, w, u, i, f, o, g, t = cache
    dnew = d * o * (1 if mistake == "tanh" else 1 - t * t)
    parts = [dnew * g * i * (1 - i), dnew * c * f * (1 - f), d * t * o * (1 - o), dnew * i * (1 - g * g)]
    if mistake == "order":
        parts = [parts[1], parts[0], parts[2], parts[3]]
    if mistake == "slope":
        parts[3] = dnew * i * g * (1 - g)
    da = np.concatenate(parts, 1)
    dc = dnew * (i if mistake == "cell" else f)
    return da @ w.T, da @ u.T, dc, x.T @ da, h.T @ da


def gru(x: Array, h: Array, wz: Array, wn: Array) -> Any:
    v = np.concatenate([x, h], 1)
    z, n = s(v @ wz), np.tanh(v @ wn)
    return (1 - z) * n + z * h, (x, h, wz, wn, v, z, n)


def gru_back(d: Array, cache: Any, mistake: str = "") -> Any:
    x, h, wz, wn, v, z, n = cache
    dz = d * ((h + n) if mistake == "plus" else (h - n)) * z * (1 - z)
    dn = d * (z if mistake == "gate" else 1 - z) * (1 - n * n)
    dv = dz @ wz.T + dn @ wn.T
    k = x.shape[1]
    dh = dv[:, k:] + (0 if mistake == "direct" else d * z)
    return dv[:, :k], dh, v.T @ dz, v.T @ dn


def tied_autoencoder(x: Array, w: Array) -> Any:
    h = s(x @ w)
    return h @ w.T, (x, w, h)


def tied_back(d: Array, cache: Any, mistake: str = "") -> Any:
    x, w, h = cache
    dh = d @ w * (h * (1 - h))
    first, second = x.T @ dh, d.T @ h
    dw = {"": first + second, "decoder": second, "encoder": first, "minus": first - second}[mistake]
    return dh @ w.T, dw


def highway(x: Array, wt: Array, wh: Array) -> Any:
    t, h = s(x @ wt), np.maximum(x @ wh, 0)
    return t * h + (1 - t) * x, (x, wt, wh, t, h)


def highway_back(d: Array, cache: Any, mistake: str = "") -> Any:
    x, wt, wh, t, h = cache
    dt = d * (h if mistake == "carry" else h - x) * t * (1 - t)
    dh = d * t * (h > 0)
    dx = dt @ wt.T + dh @ wh.T + d * (t if mistake == "gate" else 1 - t)
    return dx, x.T @ dt, x.T @ dh


def heads(q: Array, k: Array, v: Array) -> Any:  # (H, T, D), causal
    a = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[2])
    a = np.where(np.tril(np.ones(a.shape[1:])) > 0, a, -np.inf)
    e = np.exp(a - a.max(2, keepdims=True))
    p = e / e.sum(2, keepdims=True)
    return p @ v, (q, k, v, p)


def heads_back(d: Array, cache: Any, mistake: str = "") -> Any:
    q, k, v, p = cache
    dp = d @ v.transpose(0, 2, 1)
    axis = 1 if mistake == "axis" else 2
    da = p * (dp - (dp * p).sum(axis, keepdims=True)) / np.sqrt(q.shape[2])
    if mistake == "scale":
        da = da * np.sqrt(q.shape[2])
    dq, dk, dv = da @ k, da.transpose(0, 2, 1) @ q, p.transpose(0, 2, 1) @ d
    if mistake == "exchanged":
        dq, dk = dk, dq
    if mistake == "not turned":
        dv = p @ d
    return dq, dk, dv


def weight_norm(x: Array, v: Array, g: Array) -> Any:  # w = g v / |v| per output
    n = np.sqrt((v * v).sum(0))
    return x @ (v * g / n), (x, v, g, n)


def weight_norm_back(d: Array, cache: Any, mistake: str = "") -> Any:
    x, v, g, n = cache
    dw = x.T @ d
    dg = (dw * v).sum(0) / n
    dv = g / n * (dw - (0 if mistake == "projection" else v * dg / n))
    if mistake == "g":
        dv = dv / g
    return d @ (v * g / n).T, dv, dg * n if mistake == "length" else dg


def rms_norm(x: Array, w: Array) -> Any:
    r = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)
    return x * r * w, (x, w, r)


def rms_norm_back(d: Array, cache: Any, mistake: str = "") -> Any:
    x, w, r = cache
    dy = d * w
    m = (dy * x).sum(-1, keepdims=True) if mistake == "sum" else (dy * x).mean(-1, keepdims=True)
    dx = r * dy - (0 if mistake == "short" else x * r**3 * m)
    return dx, (d * (x if mistake == "x" else x * r)).sum(0)


def instance_norm(x: Array) -> Any:
    m, v = x.mean((2, 3), keepdims=True), x.var((2, 3), keepdims=True)
    inv = 1 / np.sqrt(v + 1e-5)
    return (x - m) * inv, ((x - m) * inv, inv)


def instance_back(d: Array, cache: Any, axes: Any = (2, 3), mean: bool = True, var: bool = True) -> Array:
    y, inv = cache
    dx = d - (d.mean(axes, keepdims=True) if mean else 0)
    return inv * (dx - (y * (d * y).mean(axes, keepdims=True) if var else 0))


def standardise(x: Array) -> Any:  # columns, with the n − 1 deviation
    sd = x.std(0, ddof=1)
    return (x - x.mean(0)) / sd, ((x - x.mean(0)) / sd, sd, len(x))


def standardise_back(d: Array, cache: Any, n_less: int = 1) -> Array:
    y, sd, n = cache
    return (d - d.mean(0) - y * (d * y).sum(0) / (n - n_less)) / sd


def factorised(x: Array, a: Array, b: Array) -> Any:  # x a b: low rank
    return x @ a @ b, (x, a, b)


def factorised_back(d: Array, cache: Any, mistake: str = "") -> Any:
    x, a, b = cache
    da = x.T @ d @ b.T
    if mistake == "a":
        da = x.T @ d
    db = (x @ a).T @ d
    if mistake == "loop":
        db = np.zeros_like(b)
        for n in range(1, len(x)):
            db += np.outer((x @ a)[n], d[n])
    if mistake == "last":
        for n in range(len(x)):
            db = np.outer((x @ a)[n], d[n])
    return d @ b.T @ a.T, da, db


def dense(x: Array, w: Array, b: Array) -> Any:  # relu(x w + b) in float
    y = np.maximum(x @ w + b, 0)
    return y, (x, w, y)


def dense_back(d: Array, cache: Any, mistake: str = "") -> Any:
    x, w, y = cache
    g = d * (y >= 0) if mistake == "all" else d * (y > 0)
    db = g.sum(0)
    if mistake == "b":
        db = d.sum(0)
    if mistake == "float32":
        return g @ w.T, (x.astype("f4").T @ g.astype("f4")), db
    if mistake == "int":
        return g @ w.T, x.T @ g, db.astype(int)
    if mistake == "scalar":
        return g @ w.T, x.T @ g, g.sum()
    if mistake == "in place":
        d *= y > 0
        return d @ w.T, x.T @ d, d.sum(0)
    if mistake == "batch":
        return g @ w.T / len(x), x.T @ g, db
    if mistake == "sum":
        return g @ w.T, x.T @ g, db * 0 + 1
    return g @ w.T, x.T @ g, db


LSTM = draw((4, 3), (4, 2), (4, 2), (3, 8), (2, 8), low=-1, high=1)
GRU = draw((4, 3), (4, 3), (6, 3), (6, 3), low=-1, high=1)
TIED, HIGHWAY = draw((5, 4), (4, 3)), draw((5, 4), (4, 4), (4, 4))
HEADS = draw((2, 4, 3), (2, 4, 3), (2, 4, 3))
NORMED = draw((5, 4), (4, 3), (3,))
DENSE = draw((6, 4), (4, 3), (3,))
L, G, T, W, A, V, R, D = (lstm_back, gru_back, tied_back, highway_back, heads_back, weight_norm_back, rms_norm_back,
                          dense_back)  # fmt: skip

EXAMPLES = [
    right("lstm step", lstm, lstm_back, LSTM),
    right("gru step", gru, gru_back, GRU),
    right("tied autoencoder", tied_autoencoder, tied_back, TIED),
    right("highway", highway, highway_back, HIGHWAY),
    right("causal heads", heads, heads_back, HEADS),
    right("weight norm", weight_norm, weight_norm_back, NORMED),
    right("rms norm", rms_norm, rms_norm_back, draw((5, 4), (4,))),
    right("instance norm", instance_norm, instance_back, draw((2, 3, 4, 3))),
    right("standardised columns", standardise, standardise_back, draw((6, 3))),
    right("low rank", factorised, factorised_back, draw((5, 4), (4, 2), (2, 3))),
    right("dense with relu", dense, dense_back, DENSE),
    wrong(("missing term", "branch"), "lstm, last tanh forgotten", lstm, lambda d, c: L(d, c, "tanh"), LSTM),
    wrong(("shifted", "transposed", "missing term"), "lstm, gates exchanged", lstm, lambda d,
          c: L(d, c, "order"), LSTM),
    wrong("missing term", "lstm, sigmoid's slope for tanh", lstm, lambda d, c: L(d, c, "slope"), LSTM),
    wrong("missing term", "lstm, cell by the input gate", lstm, lambda d, c: L(d, c, "cell"), LSTM),
    wrong("missing term", "gru, sign in the gate", gru, lambda d, c: G(d, c, "plus"), GRU),
    wrong("missing term", "gru, gates exchanged", gru, lambda d, c: G(d, c, "gate"), GRU),
    wrong("missing term", "gru, direct path forgotten", gru, lambda d, c: G(d, c, "direct"), GRU),
    wrong(("missing term", "overwritten"), "tied weights, decoder only", tied_autoencoder,
          lambda d, c: T(d, c, "decoder"), TIED),
    wrong(("missing term", "overwritten"), "tied weights, encoder only", tied_autoencoder,
          lambda d, c: T(d, c, "encoder"), TIED),
    wrong("missing term", "tied weights, subtracted", tied_autoencoder, lambda d, c: T(d, c, "minus"), TIED),
    wrong("missing term", "highway, carry forgotten in the gate", highway, lambda d, c: W(d, c, "carry"), HIGHWAY),
    wrong("missing term", "highway, gate for carry", highway, lambda d, c: W(d, c, "gate"), HIGHWAY),
    wrong(("missing term", "not summed"), "heads, softmax summed over queries", heads, lambda d,
          c: A(d, c, "axis"), HEADS),
    wrong("constant factor", "heads, scale forgotten", heads, lambda d, c: A(d, c, "scale"), HEADS),
    wrong("swapped", "heads, queries and keys exchanged", heads, lambda d, c: A(d, c, "exchanged"), HEADS),
    wrong("transposed", "heads, weights not turned", heads, lambda d, c: A(d, c, "not turned"), HEADS),
    wrong("missing term", "weight norm, projection forgotten", weight_norm, lambda d, c: V(d, c, "projection"), NORMED),
    wrong(("missing term", "constant factor"), "weight norm, g forgotten", weight_norm, lambda d,
          c: V(d, c, "g"), NORMED),
    wrong(("missing term", "constant factor"), "weight norm, length forgotten", weight_norm,
          lambda d, c: V(d, c, "length"), NORMED),
    wrong(("missing term", "batch statistics"), "rms norm, second term forgotten", rms_norm,
          lambda d, c: R(d, c, "short"), draw((5, 4), (4,))),
    wrong(("missing term", "batch statistics"), "rms norm, sum for mean", rms_norm, lambda d,
          c: R(d, c, "sum"), draw((5, 4), (4,))),
    wrong("missing term", "rms norm, dw of x", rms_norm, lambda d, c: R(d, c, "x"), draw((5, 4), (4,))),
    wrong("batch statistics", "instance norm without statistics", instance_norm,
          lambda d, c: instance_back(d, c, mean=False, var=False), draw((2, 3, 4, 3))),
    wrong(("batch statistics", "missing term", "not summed"), "instance norm with a batch's axes",
          instance_norm, lambda d, c: instance_back(d, c, (0, 2, 3)), draw((2, 3, 4, 3))),
    wrong("batch statistics", "instance norm without the mean", instance_norm,
          lambda d, c: instance_back(d, c, mean=False), draw((2, 3, 4, 3))),
    wrong(("batch statistics", "missing term"), "standardised by n", standardise,
          lambda d, c: standardise_back(d, c, 0), draw((6, 3))),
    wrong("missing term", "low rank, b forgotten", factorised, lambda d,
          c: factorised_back(d, c, "a"), draw((5, 4), (4, 3), (3, 3))),
    wrong(("missing term", "overwritten", "border"), "low rank, loop from 1", factorised,
          lambda d, c: factorised_back(d, c, "loop"), draw((5, 4), (4, 2), (2, 3))),
    wrong("overwritten", "low rank, last row", factorised, lambda d,
          c: factorised_back(d, c, "last"), draw((5, 4), (4, 2), (2, 3))),
    wrong("branch", "dense, relu's mask with >= 0", dense, lambda d, c: D(d, c, "all"), DENSE),
    wrong(("branch", "missing term"), "dense, db before the relu", dense, lambda d, c: D(d, c, "b"), DENSE),
    wrong("lost precision", "dense, dw in float32", dense, lambda d, c: D(d, c, "float32"), DENSE),
    wrong("integer division", "dense, db of integers", dense, lambda d, c: D(d, c, "int"), DENSE),
    wrong(("wrong shape", "not summed"), "dense, db one number", dense, lambda d, c: D(d, c, "scalar"), DENSE),
    wrong("in-place change", "dense, dout masked in place", dense, lambda d, c: D(d, c, "in place"), DENSE),
    wrong("constant factor", "dense, dx averaged", dense, lambda d, c: D(d, c, "batch"), DENSE),
    wrong("ignores dout", "dense, db of ones", dense, lambda d, c: D(d, c, "sum"), DENSE),
]  # fmt: skip

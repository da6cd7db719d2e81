"""Exercises on layers that normalise or drop: batch_norm, dropout, lrn. The first two behave differently in tests."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .. import functional as F
from .._tensor import Tensor, tensor
from .dense import sizes
from .exercise import Arguments, Exercise, computed

Array = Any
Dictionary = dict[str, Any]


def _training(arguments: Arguments) -> bool:
    return bool(arguments[-1]["mode"] == "train")


def _forward_in_mode(arguments: Arguments) -> str:
    return "forward (train)" if _training(arguments) else "forward (test)"


def _batch_norm(x: Array, gamma: Array, beta: Array, bn_param: Dictionary) -> Array:
    mean, var = bn_param["running_mean"].copy(), bn_param["running_var"].copy()
    training = bn_param["mode"] == "train"
    return computed(F.batch_norm, x, mean, var, gamma, beta, training=training, eps=bn_param["eps"])


def _running_statistics(arguments: Arguments) -> dict[str, Array] | None:
    x, _, _, bn_param = arguments
    if bn_param["mode"] != "train":
        return None
    momentum = bn_param["momentum"]
    pairs = (("running_mean", x.mean(axis=0)), ("running_var", x.var(axis=0)))
    return {name: momentum * bn_param[name] + (1 - momentum) * now for name, now in pairs}


def _batch_norm_cases(rng: np.random.Generator) -> list[Arguments]:
    def case(n: int, d: int, mode: str, eps: float, momentum: float = 0.9) -> Arguments:
        x = rng.uniform(0.5, 3, d) * rng.standard_normal((n, d)) + rng.uniform(-4, 4, d)
        running = {"running_mean": rng.standard_normal(d), "running_var": rng.uniform(0.5, 2, d)}
        param = {"mode": mode, "eps": eps, "momentum": momentum, **running}
        return [x, rng.uniform(0.5, 2, d), rng.standard_normal(d), param]

    (n, d), (k, e) = sizes(rng, 2, 3, 8), sizes(rng, 2, 3, 8)
    constant = case(5, 3, "train", 1e-5)
    constant[0][:, 1] = 2.0
    return [
        case(k, e, "train", 0.3, 0.7),
        case(n, d, "train", 1e-5),
        case(4, 1, "train", 1e-3),
        constant,
        case(k, e, "test", 1e-5),
        case(1, d, "test", 0.3),
    ]


def _scaled(x: Array, mean: Array, deviation: Array, gamma: Array, beta: Array) -> Array:
    return gamma * (x - mean) / deviation + beta


def _batch_norm_in(mode: str) -> Any:
    return lambda x, g, b, p: _batch_norm(x, g, b, {**p, "mode": mode})


def _not_constant(arguments: Arguments) -> bool:
    return _training(arguments) and bool((np.ptp(arguments[0], axis=0) > 0).all())


def _normalised(
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    bn_param: Dictionary,
    mean: bool = True,
    var: bool = True,
    scale: bool = True,
) -> Tensor:
    """Return the layer in mode train, in whose gradient a way through the statistics or gamma is left out."""
    mu = x.mean(0)
    centred = x - mu
    variance = (centred * centred).mean(0)
    centred = centred if mean else x - mu.detach()
    deviation = ((variance if var else variance.detach()) + bn_param["eps"]).sqrt()
    x_hat = centred / deviation
    y: Tensor = gamma * x_hat + beta if scale else gamma * x_hat.detach() + x_hat + beta
    return y


BATCH_NORM = Exercise(
    name="batch_norm",
    teaches="train and test differ; a gradient that comes by three ways",
    arguments=("x", "gamma", "beta", "bn_param"),
    gradients=("dx", "dgamma", "dbeta"),
    reference=_batch_norm,
    cases=_batch_norm_cases,
    parts=("forward (train)", "running statistics", "forward (test)"),
    part=_forward_in_mode,
    updates=_running_statistics,
    differentiated=_not_constant,
    mistakes=(
        (
            "the batch's own statistics are used, needs running_mean and running_var in mode test",
            _batch_norm_in("train"),
        ),
        ("the running statistics are used, needs the batch's own in mode train", _batch_norm_in("test")),
        (
            "the variance is divided by N - 1, needs N",
            lambda x, g, b, p: _scaled(x, x.mean(0), np.sqrt(x.var(0, ddof=1) + p["eps"]), g, b),
        ),
        ("eps is left out", lambda x, g, b, p: _scaled(x, x.mean(0), x.std(0), g, b)),
        (
            "eps is added to the standard deviation, needs to be added to the variance",
            lambda x, g, b, p: _scaled(x, x.mean(0), x.std(0) + p["eps"], g, b),
        ),
        (
            "x is divided by the variance, needs its square root",
            lambda x, g, b, p: _scaled(x, x.mean(0), x.var(0) + p["eps"], g, b),
        ),
        (
            "mean and variance are taken along axis 1, needs the batch, axis 0",
            lambda x, g, b, p: _scaled(x, x.mean(1, keepdims=True), np.sqrt(x.var(1, keepdims=True) + p["eps"]), g, b),
        ),
        (
            "one mean and variance of everything, needs one for each column",
            lambda x, g, b, p: _scaled(x, x.mean(), np.sqrt(x.var() + p["eps"]), g, b),
        ),
        ("gamma and beta are left out", lambda x, g, b, p: _batch_norm(x, 0 * g + 1, 0 * b, p)),
        ("gamma is left out", lambda x, g, b, p: _batch_norm(x, 0 * g + 1, b, p)),
        ("beta is left out", lambda x, g, b, p: _batch_norm(x, g, 0 * b, p)),
        ("the mean is not subtracted", lambda x, g, b, p: _scaled(x, 0, np.sqrt(x.var(0) + p["eps"]), g, b)),
        ("gamma and beta have changed places", lambda x, g, b, p: _batch_norm(x, b, g, p)),
        (
            "eps is added to 1 / standard deviation, needs to be added to the variance: brackets",
            lambda x, g, b, p: g * (x - x.mean(0)) * (1 / x.std(0) + p["eps"]) + b,
        ),
    ),
    slips=(
        ("the way through the variance is missing", partial(_normalised, var=False)),
        ("the way through the mean is missing", partial(_normalised, mean=False)),
        ("the ways through mean and variance are missing", partial(_normalised, mean=False, var=False)),
        ("gamma is left out", partial(_normalised, scale=False)),
        (
            "gamma and the ways through mean and variance are missing",
            partial(_normalised, mean=False, var=False, scale=False),
        ),
        ("eps is left out", lambda x, gamma, beta, p: _normalised(x, gamma, beta, {**p, "eps": 0.0})),
        ("that is dout times x; needs dout times x_hat", lambda x, gamma, beta, p: gamma * x + beta),
    ),
)


def _dropout(x: Array, dropout_param: Dictionary) -> Array:
    p = dropout_param["p"]
    if dropout_param["mode"] != "train":
        return x.copy()
    return np.where(dropout_param["uniform"] >= p, x / (1 - p), 0.0)


def _dropout_cases(rng: np.random.Generator) -> list[Arguments]:
    cases: list[Arguments] = []
    shapes = [tuple(sizes(rng, 2, 3, 7)), tuple(sizes(rng, 4, 1, 4)), (8,)]
    for shape, p, mode in zip(
        [*shapes, shapes[0], shapes[0]], (0.3, 0.8, 0.0, 0.3, 0.6), ("train",) * 3 + ("test",) * 2
    ):
        x = rng.standard_normal(shape)
        cases.append([x, {"mode": mode, "p": p, "uniform": rng.random(shape)}])
    return cases


def _kept(p: Dictionary) -> Array:
    return p["uniform"] >= p["p"]


def _own_mask(out: Array, arguments: Arguments) -> str:
    x, dropout_param = arguments
    right = np.isclose(out, 0) | np.isclose(out, x / (1 - dropout_param["p"]))
    if dropout_param["mode"] != "train" or not right.all():
        return ""
    return 'a dropout, but with another mask: take the random numbers of dropout_param["uniform"], draw none'


def _masked(x: Tensor, dropout_param: Dictionary, power: int = 1, kept: bool = True) -> Tensor:
    if dropout_param["mode"] != "train":
        return x
    keep = dropout_param["uniform"] >= dropout_param["p"]
    scale = (1 - dropout_param["p"]) ** -power
    return x * tensor((keep if kept else ~keep) * scale)


DROPOUT = Exercise(
    name="dropout",
    teaches="train and test differ; the gradient takes the same mask",
    arguments=("x", "dropout_param"),
    gradients=("dx",),
    reference=_dropout,
    cases=_dropout_cases,
    parts=("forward (train)", "forward (test)"),
    part=_forward_in_mode,
    mistakes=(
        ("nothing is dropped", lambda x, p: x),
        ("what is kept must be divided by 1 - p", lambda x, p: x * _kept(p)),
        ("what is kept is divided by p, needs 1 - p", lambda x, p: x * _kept(p) / p["p"]),
        ("what is kept is multiplied by 1 - p, needs to be divided", lambda x, p: x * _kept(p) * (1 - p["p"])),
        (
            "the wrong ones are dropped: p is the probability of being dropped",
            lambda x, p: x * ~_kept(p) / (1 - p["p"]),
        ),
        (
            "p is taken for the probability of being kept; here it is that of being dropped",
            lambda x, p: x * ~_kept(p) / p["p"],
        ),
        (
            "p is taken for the probability of being kept; here it is that of being dropped",
            lambda x, p: x * (p["uniform"] < p["p"]) / p["p"],
        ),
        (
            "in mode test nothing changes; scaling by 1 - p belongs to the other, not inverted form",
            lambda x, p: x * (1 - p["p"]),
        ),
        ("numbers are dropped in mode test, too", lambda x, p: _dropout(x, {**p, "mode": "train"})),
    ),
    recognise=_own_mask,
    slips=(
        ("dout goes through unchanged: the mask is left out", lambda x, p: 1 * x),
        ("the mask is there, the division by 1 - p is missing", lambda x, p: _masked(x, p, 0)),
        ("divided by 1 - p twice", lambda x, p: _masked(x, p, 2)),
        ("dout goes to those that were dropped, needs those that were kept", lambda x, p: _masked(x, p, 1, False)),
        ("dout is masked in mode test, too", lambda x, p: _masked(x, {**p, "mode": "train"})),
    ),
)


def _lrn(x: Array, lrn_param: Dictionary) -> Array:
    return computed(F.local_response_norm, x, **lrn_param)


def _lrn_cases(rng: np.random.Generator) -> list[Arguments]:
    def case(shape: tuple[int, ...], size: int, alpha: float, beta: float, k: float) -> Arguments:
        return [2 * rng.standard_normal(shape), {"size": size, "alpha": alpha, "beta": beta, "k": k}]

    h, w = sizes(rng, 2, 1, 4)
    return [
        case((2, 6, h, w), 3, 0.5, 0.75, 2.0),
        case((1, 7, 2, 3), 5, 1.5, 0.5, 1.0),
        case((3, 4, 2, 1), 1, 0.7, 1.0, 1.0),
        case((2, 2, 3, 2), 5, 0.9, 0.75, 1.5),
    ]


def _lrn_of(x: Array, p: Dictionary, axis: int = 1, **changes: float) -> Array:
    return np.moveaxis(_lrn(np.ascontiguousarray(np.moveaxis(x, axis, 1)), {**p, **changes}), 1, axis)


def _damped(x: Tensor, lrn_param: Dictionary, direct: bool = True, shared: bool = True) -> Tensor:
    """Return the layer, in whose gradient the direct way or the one through the neighbours' sum is left out."""
    size, alpha, beta, k = (lrn_param[name] for name in ("size", "alpha", "beta", "k"))
    s = k + alpha / size * F.einsum("cj,njhw->nchw", tensor(_near(x.shape[1], size)), x * x)
    damped: Tensor = (x if direct else x.detach()) * (s if shared else s.detach()) ** -beta
    return damped


def _itself_only(x: Tensor, lrn_param: Dictionary) -> Tensor:
    size, alpha, beta, k = (lrn_param[name] for name in ("size", "alpha", "beta", "k"))
    others = _near(x.shape[1], size) - np.eye(x.shape[1])
    s = k + alpha / size * (x * x + F.einsum("cj,njhw->nchw", tensor(others), x * x).detach())
    damped: Tensor = x * s**-beta
    return damped


def _near(channels: int, size: int) -> Array:
    """Return the matrix that is 1 where a channel belongs to the window around another."""
    at = np.arange(channels)
    return (np.abs(at[:, None] - at) <= size // 2).astype(float)


LRN = Exercise(
    name="lrn",
    teaches="neighbours share a gradient; two ways from each input",
    arguments=("x", "lrn_param"),
    gradients=("dx",),
    reference=_lrn,
    cases=_lrn_cases,
    mistakes=(
        ("alpha is not divided by size", lambda x, p: _lrn_of(x, p, alpha=p["alpha"] * p["size"])),
        ("beta is left out", lambda x, p: _lrn_of(x, p, beta=1.0)),
        ("k is left out", lambda x, p: _lrn_of(x, p, k=0.0)),
        ("x is multiplied by s^beta, needs to be divided", lambda x, p: _lrn_of(x, p, beta=-p["beta"])),
        ("the window is one channel only", lambda x, p: _lrn_of(x, p, size=1, alpha=p["alpha"] / p["size"])),
        (
            "the sum runs over all channels, needs |j - c| ≤ size // 2",
            lambda x, p: x / (p["k"] + p["alpha"] / p["size"] * (x**2).sum(1, keepdims=True)) ** p["beta"],
        ),
        ("the window runs over neighbour pixels, needs channels (axis 1)", lambda x, p: _lrn_of(x, p, axis=2)),
        ("the window runs over neighbour pixels, needs channels (axis 1)", lambda x, p: _lrn_of(x, p, axis=3)),
        (
            "the window is twice as wide: |j - c| ≤ size, needs |j - c| ≤ size // 2",
            lambda x, p: _lrn_of(x, p, size=2 * p["size"] + 1, alpha=p["alpha"] / p["size"] * (2 * p["size"] + 1)),
        ),
    ),
    slips=(
        ("the way through the sums s is missing", lambda x, p: _damped(x, p, shared=False)),
        (
            "the direct way is missing: only the one through the sums s is there",
            lambda x, p: _damped(x, p, direct=False),
        ),
        ("the way through x's own sum is there, those through its neighbours' sums are missing", _itself_only),
        (
            "the way through the sums s lacks the 2 of the square's derivative",
            lambda x, p: 0.5 * _damped(x, p) + 0.5 * _damped(x, p, shared=False),
        ),
    ),
)

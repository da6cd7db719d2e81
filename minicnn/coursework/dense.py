"""Exercises on matrices and single numbers: affine, relu, sigmoid, softmax_loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functional as F
from .._tensor import Tensor, tensor
from .exercise import Arguments, Exercise, computed

Array = Any


def sizes(rng: np.random.Generator, count: int, low: int = 2, high: int = 7) -> list[int]:
    """Return different sizes, so that no two axes can be taken for one another."""
    return [int(n) for n in rng.permutation(np.arange(low, high + 1))[:count]]


def _affine(x: Array, w: Array, b: Array) -> Array:
    return computed(F.linear, x.reshape(len(x), -1), w.T, b)


def _affine_cases(rng: np.random.Generator) -> list[Arguments]:
    (n, d, m), (a, b, c) = sizes(rng, 3), sizes(rng, 3, 2, 4)
    shapes = [((n, d), m), ((a, b, c), 5), ((1, d), m), ((3, 2, 1, 4), 1), ((n, d), d)]
    return [
        [rng.standard_normal(s), rng.standard_normal((int(np.prod(s[1:])), m)), rng.standard_normal(m)]
        for s, m in shapes
    ]


def _rows(x: Array) -> Array:
    return x.reshape(len(x), -1)


AFFINE = Exercise(
    name="affine",
    teaches="matrix products and their gradients; sums over the batch",
    arguments=("x", "w", "b"),
    gradients=("dx", "dw", "db"),
    reference=_affine,
    cases=_affine_cases,
    mistakes=(
        ("b is not added", lambda x, w, b: _rows(x) @ w),
        ("b is subtracted", lambda x, w, b: _rows(x) @ w - b),
        ("w is used as its transpose", lambda x, w, b: _rows(x) @ w.T + b),
        ("the product is divided by the number of examples", lambda x, w, b: _rows(x) @ w / len(x) + b),
        ("a ReLU is applied that does not belong here", lambda x, w, b: np.maximum(_rows(x) @ w + b, 0)),
        ("the axes of an example are flattened in another order", lambda x, w, b: _rows(x.swapaxes(-1, -2)) @ w + b),
    ),
)


def _some_arrays(rng: np.random.Generator, scale: float = 1.0) -> list[Arguments]:
    """Return one argument of two, four and one axes, and of single numbers."""
    shapes = [tuple(sizes(rng, 2)), tuple(sizes(rng, 4, 1, 4)), (6,), (1, 1)]
    return [[scale * rng.standard_normal(s)] for s in shapes]


def _relu_cases(rng: np.random.Generator) -> list[Arguments]:
    return [*_some_arrays(rng), [rng.integers(-2, 3, (4, 6)).astype(float)]]


RELU = Exercise(
    name="relu",
    teaches="a function with a kink; the gradient passes or it does not",
    arguments=("x",),
    gradients=("dx",),
    reference=lambda x: computed(F.relu, x),
    cases=_relu_cases,
    mistakes=(
        ("negative numbers come out as they are: nothing is cut off", lambda x: x),
        ("that is the absolute value", np.abs),
        ("that is min(x, 0)", lambda x: np.minimum(x, 0)),
        ("1 comes out where x is positive, needs x itself", lambda x: (x > 0) * 1.0),
        ("negative numbers come out multiplied by 0.01, as by a leaky ReLU", lambda x: np.where(x > 0, x, 0.01 * x)),
    ),
)


def _sigmoid_cases(rng: np.random.Generator) -> list[Arguments]:
    large = np.array([[-1000.0, -750.0, -40.0], [0.0, 40.0, 1000.0]])
    return [*_some_arrays(rng, 2.0), [large]]


def _logistic(x: Array) -> Array:
    return np.exp(-np.logaddexp(0, -x))


SIGMOID = Exercise(
    name="sigmoid",
    teaches="a derivative from the result; exp that overflows",
    arguments=("x",),
    gradients=("dx",),
    reference=lambda x: computed(F.sigmoid, x),
    cases=_sigmoid_cases,
    mistakes=(
        ("the sign of x in the exponent: that is the sigmoid of -x", lambda x: _logistic(-x)),
        ("that is the derivative of the sigmoid", lambda x: _logistic(x) * _logistic(-x)),
        ("that is tanh(x)", np.tanh),
        ("that is 1 + exp(-x), without the division", lambda x: 1 + np.exp(-x)),
        ("that is exp(-x) / (1 + exp(x))", lambda x: np.exp(-x) / (1 + np.exp(x))),
    ),
)


def _softmax_cases(rng: np.random.Generator) -> list[Arguments]:
    n, c = sizes(rng, 2, 3, 7)
    cases = [(rng.standard_normal((n, c)), n, c), (3 * rng.standard_normal((2, 5)), 2, 5)]
    cases += [(rng.standard_normal((1, 4)), 1, 4), (rng.standard_normal((c, 2)), c, 2)]
    large = np.array([[1000.0, 998.0, 1.0], [-1000.0, -1001.0, -999.0], [0.0, 800.0, 1.0]])
    return [[x, rng.integers(0, c, n)] for x, n, c in cases] + [[large, np.array([1, 0, 2])]]


def _log_p(x: Array) -> Array:
    shifted = x - x.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _chosen(x: Array, y: Array) -> Array:
    return x[np.arange(len(y)), y]


def _right_classes_only(x: Tensor, y: Array) -> Tensor:
    mask = F.one_hot(tensor(y), x.shape[1]).double()
    return F.cross_entropy(x * mask + x.detach() * (1 - mask), tensor(y))


SOFTMAX_LOSS = Exercise(
    name="softmax_loss",
    teaches="a loss; logarithm and exp that stay finite; the mean over the batch",
    arguments=("x", "y"),
    gradients=("dx",),
    reference=lambda x, y: computed(F.cross_entropy, x, y),
    cases=_softmax_cases,
    single=True,
    mistakes=(
        ("a sum over the examples, needs their mean", lambda x, y: -_chosen(_log_p(x), y).sum()),
        ("the sign: the loss is minus the logarithm", lambda x, y: _chosen(_log_p(x), y).mean()),
        (
            "a mean over examples and classes, needs one over the examples",
            lambda x, y: -_chosen(_log_p(x), y).sum() / x.size,
        ),
        ("that is the mean of 1 - p, without the logarithm", lambda x, y: 1 - np.exp(_chosen(_log_p(x), y)).mean()),
        (
            "the softmax runs over the examples (axis 0), needs the classes (axis 1)",
            lambda x, y: -_chosen(_log_p(x.T).T, y).mean(),
        ),
        (
            "the logarithm to base 2 or 10, needs the natural one",
            lambda x, y: -_chosen(_log_p(x), y).mean() / np.log(10),
        ),
        ("the mean over all classes, not of the right ones", lambda x, y: -_log_p(x).sum() / len(y)),
    ),
    slips=(
        ("not divided by the number of examples", lambda x, y: F.cross_entropy(x, tensor(y), reduction="sum")),
        ("divided by the number of examples twice", lambda x, y: F.cross_entropy(x, tensor(y)) / len(y)),
        ("1 is not subtracted at the right classes: that is the softmax alone", lambda x, y: F.logsumexp(x, 1).mean()),
        ("1 is not subtracted at the right classes, and nothing divided by N", lambda x, y: F.logsumexp(x, 1).sum()),
        ("the sign: that goes uphill", lambda x, y: -F.cross_entropy(x, tensor(y))),
        ("only the right classes have a gradient; the others take part in the sum, too", _right_classes_only),
    ),
)

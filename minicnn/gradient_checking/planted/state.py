"""Randomness, state and changes in place."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mutants import right, wrong
from .elementwise import normal, tanh

Array = Any
_generator = np.random.default_rng(5)
_calls = [0]


def dropout(x: Array) -> Any:  # NumPy's global generator, as in many courses
    mask = (np.random.rand(*x.shape) < 0.7) / 0.7  # noqa: NPY002 - what students write
    return x * mask, mask


def dropout_again(dout: Array, mask: Array) -> Array:
    return dout * (np.random.rand(*mask.shape) < 0.7) / 0.7  # noqa: NPY002 - as above


def own_generator(x: Array) -> Any:
    mask = (_generator.random(x.shape) < 0.7) / 0.7
    return x * mask, mask


def fresh_generator(x: Array) -> Any:
    mask = (np.random.default_rng().random(x.shape) < 0.7) / 0.7
    return x * mask, mask


def counting(x: Array) -> Any:
    _calls[0] += 1
    return x * (1 + _calls[0] % 2), _calls[0]


def momentum(x: Array, state: dict[str, Any]) -> Any:  # running statistics in a dictionary of the caller
    state["mean"] = 0.9 * state.get("mean", 0) + 0.1 * x.mean(0)
    return x - x.mean(0), None


def relu_in_place(x: Array) -> Any:
    x[x < 0] = 0
    return x, x


def changing_dout(dout: Array, y: Array) -> Array:
    dout *= 1 - y * y
    return dout


def changing_x(dout: Array, cache: Any) -> Array:
    cache *= 2
    return dout * cache


PLANE = normal((4, 5))

EXAMPLES = [
    right("dropout", dropout, lambda d, mask: d * mask, PLANE),
    right("dropout, own generator", own_generator, lambda d, mask: d * mask, PLANE),
    right("running statistics", momentum, lambda d, c: d - d.mean(0), lambda rng: [rng.standard_normal((5, 3)), {}]),
    wrong("not deterministic", "fresh generator", fresh_generator, lambda d, mask: d * mask, PLANE),
    wrong(("not deterministic",), "mask drawn again", dropout, dropout_again, PLANE),
    wrong(("constant factor", "branch"), "dropout without scale", dropout, lambda d, mask: d * (mask > 0), PLANE),
    wrong(("missing term", "branch"), "dropout without mask", dropout, lambda d, mask: d / 0.7, PLANE),
    wrong("depends on the call count", "counting", counting, lambda d, n: d * (1 + n % 2), PLANE),
    wrong("in-place change", "relu in place", relu_in_place, lambda d, y: d * (y > 0), PLANE),
    wrong("in-place change", "dout changed", tanh, changing_dout, PLANE),
    wrong("in-place change", "x changed by backward", lambda x: (x * x, x), changing_x, PLANE),
]  # fmt: skip

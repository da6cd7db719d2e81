"""Exercises on images: convolution by loops and by im2col, pooling, the residual block."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .. import functional as F
from .._tensor import Tensor
from .exercise import Arguments, Exercise, computed

Array = Any
Dictionary = dict[str, Any]


def _conv(x: Array, w: Array, b: Array, conv_param: Dictionary) -> Array:
    return computed(F.conv2d, x, w, b, stride=conv_param["stride"], padding=conv_param["pad"])


def _conv_cases(rng: np.random.Generator) -> list[Arguments]:
    def case(n: int, c: int, h: int, w: int, f: int, hh: int, ww: int, stride: int, pad: int) -> Arguments:
        arrays = [rng.standard_normal(s) for s in ((n, c, h, w), (f, c, hh, ww), (f,))]
        return [*arrays, {"stride": stride, "pad": pad}]

    height, width = (int(n) for n in rng.permutation([5, 6, 7])[:2])
    return [
        case(2, 3, height, width, 4, 3, 3, 1, 1),
        case(2, 2, 6, 5, 3, 3, 2, 2, 0),  # windows that do not reach the last row
        case(1, 1, 5, 7, 2, 2, 3, 2, 2),
        case(3, 2, 4, 4, 2, 4, 4, 1, 0),  # one window: the whole image
        case(2, 3, 4, 3, 2, 1, 1, 1, 0),
    ]


def _shifted_by(x: Array, w: Array, b: Array, conv_param: Dictionary, **changes: int) -> Array:
    return _conv(x, w, b, {**conv_param, **changes})


_CONV_MISTAKES = (
    ("b is not added", lambda x, w, b, p: _conv(x, w, 0 * b, p)),
    ("b is added once for each channel of the input", lambda x, w, b, p: _conv(x, w, b * x.shape[1], p)),
    (
        "the filters are flipped; the formula does not flip them",
        lambda x, w, b, p: _conv(x, w[..., ::-1, ::-1].copy(), b, p),
    ),
    ("only the first channel of the input is used", lambda x, w, b, p: _conv(x[:, :1], w[:, :1], b, p)),
    (
        "the padding repeats the border, needs zeros",
        lambda x, w, b, p: _conv(
            np.pad(x, ((0, 0), (0, 0), (p["pad"],) * 2, (p["pad"],) * 2), "edge"), w, b, {**p, "pad": 0}
        ),
    ),
    (
        "the stride is ignored: these are the first windows at stride 1",
        lambda x, w, b, p: _first(_shifted_by(x, w, b, p, stride=1), _conv(x, w, b, p)),
    ),
)


def _first(large: Array, small: Array) -> Array:
    return large[:, :, : small.shape[2], : small.shape[3]]


def _conv_of_tensors(x: Tensor, w: Tensor, b: Tensor, conv_param: Dictionary) -> Tensor:
    return F.conv2d(x, w, b, stride=conv_param["stride"], padding=conv_param["pad"])


def _reshaped_only(*arguments: Any) -> Tensor:
    out = _conv_of_tensors(*arguments)
    return out.permute(0, 2, 3, 1).reshape(*out.shape)


_CONV_SLIPS: tuple[tuple[str, Callable[..., Tensor]], ...] = (
    (
        "dout is reshaped to rows of F numbers without moving its axis F to the end (transpose(0, 2, 3, 1))",
        _reshaped_only,
    ),
    ("the filters are flipped", lambda x, w, b, p: _conv_of_tensors(x, w.flip((2, 3)), b, p)),
    (
        "divided by the number of images: dout says already what counts",
        lambda x, w, b, p: _conv_of_tensors(x, w, b, p) / x.shape[0],
    ),
)


def _conv_exercise(name: str, teaches: str) -> Exercise:
    return Exercise(
        name=name,
        teaches=teaches,
        arguments=("x", "w", "b", "conv_param"),
        gradients=("dx", "dw", "db"),
        reference=_conv,
        cases=_conv_cases,
        mistakes=_CONV_MISTAKES,
        slips=_CONV_SLIPS,
    )


CONV_NAIVE = _conv_exercise("conv_naive", "what a convolution is: windows, stride, padding, overlaps that add up")
CONV_IM2COL = _conv_exercise("conv_im2col", "the same as one matrix product: order of axes, im2col and col2im")


def _windows(pool_param: Dictionary) -> Dictionary:
    return {"kernel_size": (pool_param["pool_height"], pool_param["pool_width"]), "stride": pool_param["stride"]}


def _max_pool(x: Array, pool_param: Dictionary) -> Array:
    return computed(F.max_pool2d, x, **_windows(pool_param))


def _average_pool(x: Array, pool_param: Dictionary) -> Array:
    return computed(F.avg_pool2d, x, **_windows(pool_param))


def _pool_param(height: int, width: int, stride: int) -> Dictionary:
    return {"pool_height": height, "pool_width": width, "stride": stride}


def _pool_cases(rng: np.random.Generator) -> list[Arguments]:
    n, c = (int(k) for k in rng.permutation([1, 2, 3])[:2])
    return [
        [rng.standard_normal((n, c, 6, 4)), _pool_param(2, 2, 2)],
        [rng.standard_normal((2, 3, 5, 6)), _pool_param(3, 2, 1)],  # overlapping windows
        [rng.standard_normal((2, 2, 7, 6)), _pool_param(2, 3, 3)],  # pixels that no window covers
        [rng.standard_normal((1, 2, 4, 5)) - 9, _pool_param(2, 3, 2)],  # nothing is positive
        [rng.integers(0, 3, (2, 1, 5, 4)).astype(float), _pool_param(2, 2, 1)],  # ties
    ]


def _all_windows(x: Array, pool_param: Dictionary) -> Array:
    size, step = (pool_param["pool_height"], pool_param["pool_width"]), pool_param["stride"]
    return np.lib.stride_tricks.sliding_window_view(x, size, (2, 3))[:, :, ::step, ::step]


_STRIDE_IGNORED = "the stride is ignored: these are the first windows at stride 1"

MAX_POOL = Exercise(
    name="max_pool",
    teaches="the gradient goes where the maximum came from; ties",
    arguments=("x", "pool_param"),
    gradients=("dx",),
    reference=_max_pool,
    cases=_pool_cases,
    mistakes=(
        ("that is the mean of each window", _average_pool),
        ("that is the minimum of each window", lambda x, p: _all_windows(x, p).min((-2, -1))),
        (
            "negative windows give 0: start from -inf or from a pixel, not from 0",
            lambda x, p: np.maximum(_max_pool(x, p), 0),
        ),
        ("the maximum is taken of absolute values", lambda x, p: np.abs(_all_windows(x, p)).max((-2, -1))),
        (
            "the maximum runs over all channels",
            lambda x, p: np.broadcast_to(_all_windows(x, p).max((1, -2, -1))[:, None], _max_pool(x, p).shape),
        ),
        (_STRIDE_IGNORED, lambda x, p: _first(_max_pool(x, {**p, "stride": 1}), _max_pool(x, p))),
    ),
)

AVERAGE_POOL = Exercise(
    name="average_pool",
    teaches="a gradient that is shared out; overlapping windows",
    arguments=("x", "pool_param"),
    gradients=("dx",),
    reference=_average_pool,
    cases=_pool_cases,
    mistakes=(
        ("that is the sum of each window, needs the mean", lambda x, p: _all_windows(x, p).sum((-2, -1))),
        ("that is the maximum of each window", _max_pool),
        (
            "the sum is divided by the window's height only",
            lambda x, p: _all_windows(x, p).sum((-2, -1)) / p["pool_height"],
        ),
        (
            "the sum is divided by the window's width only",
            lambda x, p: _all_windows(x, p).sum((-2, -1)) / p["pool_width"],
        ),
        (
            "the mean runs over all channels",
            lambda x, p: np.broadcast_to(_all_windows(x, p).mean((1, -2, -1))[:, None], _average_pool(x, p).shape),
        ),
        (_STRIDE_IGNORED, lambda x, p: _first(_average_pool(x, {**p, "stride": 1}), _average_pool(x, p))),
    ),
)


def _same_conv(x: Array, w: Array, b: Array) -> Array:
    return computed(F.conv2d, x, w, b, padding=1)


def _relu(x: Array) -> Array:
    return computed(F.relu, x)


def _residual_block(x: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> Array:
    return _relu(_same_conv(_relu(_same_conv(x, w1, b1)), w2, b2) + x)


def _residual_cases(rng: np.random.Generator) -> list[Arguments]:
    cases = []
    for n, c, h, w in ((2, 3, 4, 5), (3, 2, 5, 3), (1, 1, 4, 4)):
        arrays = [rng.standard_normal(s) / 2 for s in ((c, c, 3, 3), (c,), (c, c, 3, 3), (c,))]
        cases.append([rng.standard_normal((n, c, h, w)), *arrays])
    return cases


def _block(
    x: Tensor,
    w1: Tensor,
    b1: Tensor,
    w2: Tensor,
    b2: Tensor,
    shortcut: bool = True,
    middle: bool = True,
    last: bool = True,
) -> Tensor:
    """Return the block, in whose gradient the shortcut or the mask of a ReLU is left out."""
    inner = F.conv2d(x, w1, b1, padding=1)
    inner = F.relu(inner) if middle else inner + (F.relu(inner) - inner).detach()
    total = F.conv2d(inner, w2, b2, padding=1) + (x if shortcut else x.detach())
    return F.relu(total) if last else total


def _shortcut_before_the_relu(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    return _block(x, w1, b1, w2, b2, shortcut=False) + x


RESIDUAL_BLOCK = Exercise(
    name="residual_block",
    teaches="layers put together; a value used twice has a gradient of two terms",
    arguments=("x", "w1", "b1", "w2", "b2"),
    gradients=("dx", "dw1", "db1", "dw2", "db2"),
    reference=_residual_block,
    cases=_residual_cases,
    mistakes=(
        (
            "the shortcut is missing: x is not added",
            lambda x, w1, b1, w2, b2: _relu(_same_conv(_relu(_same_conv(x, w1, b1)), w2, b2)),
        ),
        ("the last ReLU is missing", lambda x, w1, b1, w2, b2: _same_conv(_relu(_same_conv(x, w1, b1)), w2, b2) + x),
        (
            "the last ReLU comes before x is added, needs to come after",
            lambda x, w1, b1, w2, b2: _relu(_same_conv(_relu(_same_conv(x, w1, b1)), w2, b2)) + x,
        ),
        ("the first ReLU is missing", lambda x, w1, b1, w2, b2: _relu(_same_conv(_same_conv(x, w1, b1), w2, b2) + x)),
        ("the first convolution is used twice", lambda x, w1, b1, w2, b2: _residual_block(x, w1, b1, w1, b1)),
        ("the biases are not added", lambda x, w1, b1, w2, b2: _residual_block(x, w1, 0 * b1, w2, 0 * b2)),
        (
            "x is multiplied, needs to be added",
            lambda x, w1, b1, w2, b2: _relu(_same_conv(_relu(_same_conv(x, w1, b1)), w2, b2) * x),
        ),
    ),
    slips=(
        ("the shortcut's share of the gradient is missing", partial(_block, shortcut=False)),
        ("dout is not masked by the last ReLU", partial(_block, last=False)),
        ("the gradient is not masked by the ReLU in the middle", partial(_block, middle=False)),
        ("neither ReLU masks the gradient", partial(_block, middle=False, last=False)),
        (
            "the shortcut's share is missing, and dout is not masked by the last ReLU",
            partial(_block, shortcut=False, last=False),
        ),
        ("the shortcut brings dout itself, needs dout masked by the last ReLU", _shortcut_before_the_relu),
    ),
)

"""Correct functions at easy and at hard points: what a checker must not blame.

Every function of `minicnn.functional`, the definitions in the course form, layers, small networks; each at normal
values, at ties and on kinks, at large, tiny and mixed scales, far from zero, in float32, in other memory layouts, with
one image or none. All of them are right: the functions agree with PyTorch's, which the tests of `ops` show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import minicnn as mc
import minicnn.functional as F
from minicnn import nn
from minicnn.ops import activation, conv, elementwise, matmul, norm, pool, reduce, shape, softmax

from ..mutants import Example, examples, right

Array = Any
Shapes = tuple[tuple[int, ...], ...]
Kind = Callable[[Any, tuple[int, ...]], Array]

# What a function takes: any number; not too large ones (what it computes overflows or is flat there); positive ones;
# probabilities. Each has its kinds of points.
MODERATE: dict[str, Kind] = {
    "normal": lambda rng, s: rng.standard_normal(s),
    "even": lambda rng, s: rng.uniform(-3, 3, s),
    "whole numbers": lambda rng, s: rng.integers(-2, 3, s).astype(float),
    "half zeros": lambda rng, s: np.where(rng.random(s) < 0.5, 0.0, rng.standard_normal(s)),
    "one value": lambda rng, s: np.full(s, 0.5),
    "tiny": lambda rng, s: 1e-12 * rng.standard_normal(s),
    "mixed scales": lambda rng, s: rng.standard_normal(s) * 10.0 ** rng.uniform(-5, 0.5, s),
    "float32": lambda rng, s: rng.standard_normal(s).astype(np.float32),
    "turned in memory": lambda rng, s: np.asfortranarray(rng.standard_normal(s)),
    "with gaps, backwards": lambda rng, s: (
        rng.standard_normal((*s[:-1], 2 * s[-1]) if s else s)[..., ::-2] if s else rng.standard_normal(s)
    ),
}
ANY: dict[str, Kind] = {
    **MODERATE,
    "huge": lambda rng, s: 1e12 * rng.standard_normal(s),
    "far from zero": lambda rng, s: 1e4 + rng.standard_normal(s),
}
POSITIVE: dict[str, Kind] = {
    "even": lambda rng, s: rng.uniform(0.3, 3, s),
    "whole numbers": lambda rng, s: rng.integers(1, 4, s).astype(float),
    "one value": lambda rng, s: np.full(s, 0.5),
    "tiny": lambda rng, s: 1e-9 * rng.uniform(0.3, 3, s),
    "huge": lambda rng, s: 1e9 * rng.uniform(0.3, 3, s),
    "mixed scales": lambda rng, s: 10.0 ** rng.uniform(-6, 6, s),
    "float32": lambda rng, s: rng.uniform(0.3, 3, s).astype(np.float32),
}
POSITIVE_MODERATE = {k: POSITIVE[k] for k in ("even", "whole numbers", "one value")}
PROBABLE: dict[str, Kind] = {
    "even": lambda rng, s: rng.uniform(0.05, 0.95, s),
    "near the ends": lambda rng, s: np.where(rng.random(s) < 0.5, 1e-4, 1 - 1e-4) + 1e-5 * rng.random(s),
    "one value": lambda rng, s: np.full(s, 0.5),
    "float32": lambda rng, s: rng.uniform(0.05, 0.95, s).astype(np.float32),
}


def evaluated(x: Any, w: Any, b: Any) -> Any:
    """Batch normalisation with given statistics."""
    mean, var = (mc.tensor(a).to(x.dtype) for a in (np.array([0.1, -0.2, 0.3]), np.array([1.0, 2.0, 0.5])))
    return F.batch_norm(x, mean, var, w, b)


PLANE, IMAGE = ((4, 5),), ((2, 3, 5, 4),)
HALVES = (np.arange(20.0) % 2).reshape(4, 5)
LABELS = np.array([1, 0, 3, 2])

# name, function of Tensors, kinds of points, shapes
FUNCTIONS: list[tuple[str, Any, dict[str, Kind], Shapes]] = [
    ("add", F.add, ANY, ((4, 5), (5,))),
    ("sub", F.sub, ANY, ((4, 1), (4, 5))),
    ("mul", F.mul, ANY, ((4, 5), (4, 5))),
    ("mul by itself", lambda x: x * x, ANY, PLANE),
    ("div", F.div, POSITIVE, ((4, 5), (5,))),
    ("neg", F.neg, ANY, PLANE),
    ("square", lambda x: F.pow(x, 2), ANY, PLANE),
    ("cube", lambda x: x**3, MODERATE, PLANE),
    ("pow", F.pow, POSITIVE_MODERATE, ((4, 5), (4, 5))),
    ("root", lambda x: x**0.5, POSITIVE, PLANE),
    ("exp", F.exp, MODERATE, PLANE),
    ("log", F.log, POSITIVE, PLANE),
    ("sqrt", F.sqrt, POSITIVE, PLANE),
    ("abs", F.abs, ANY, PLANE),
    ("maximum", F.maximum, ANY, ((4, 5), (4, 5))),
    ("minimum", F.minimum, ANY, ((4, 5), (5,))),
    ("clamp", lambda x: F.clamp(x, -0.5, 0.7), ANY, PLANE),
    ("where", lambda x, y: F.where(mc.tensor(np.arange(20).reshape(4, 5) % 3 == 0), x, y), ANY, ((4, 5), (4, 5))),
    ("relu", F.relu, ANY, PLANE),
    ("leaky relu", lambda x: F.leaky_relu(x, 0.2), ANY, PLANE),
    ("sigmoid", F.sigmoid, MODERATE, PLANE),
    ("tanh", F.tanh, MODERATE, PLANE),
    ("softmax", lambda x: F.softmax(x, 1), MODERATE, PLANE),
    ("softmax over rows", lambda x: F.softmax(x, 0), MODERATE, PLANE),
    ("log softmax", lambda x: F.log_softmax(x, 1), MODERATE, PLANE),
    ("logsigmoid", F.logsigmoid, MODERATE, PLANE),
    ("softplus", F.softplus, MODERATE, PLANE),
    ("silu", F.silu, MODERATE, PLANE),
    ("gelu", F.gelu, MODERATE, PLANE),
    ("gelu by tanh", lambda x: F.gelu(x, approximate="tanh"), MODERATE, PLANE),
    ("sum", F.sum, ANY, PLANE),
    ("sum over rows", lambda x: F.sum(x, 0), ANY, PLANE),
    ("mean", lambda x: F.mean(x, 1, keepdim=True), ANY, PLANE),
    ("var", lambda x: F.var(x, 1), MODERATE, PLANE),
    ("var without correction", lambda x: F.var(x, correction=0), MODERATE, PLANE),
    ("max", lambda x: F.max(x, 1), ANY, PLANE),
    ("min", lambda x: F.min(x, 0), ANY, PLANE),
    ("amax", lambda x: F.amax(x, (0, 1)), ANY, PLANE),
    ("amin", lambda x: F.amin(x, 1), ANY, PLANE),
    ("logsumexp", lambda x: F.logsumexp(x, 1), MODERATE, PLANE),
    ("reshape", lambda x: F.reshape(x, (2, 10)), ANY, PLANE),
    ("flatten", lambda x: F.flatten(x, 1), ANY, IMAGE),
    ("permute", lambda x: F.permute(x, (2, 0, 3, 1)), ANY, IMAGE),
    ("transpose", lambda x: F.transpose(x, 0, 1), ANY, PLANE),
    ("expand", lambda x: F.expand(x, (3, 4, 5)), ANY, PLANE),
    ("squeeze", lambda x: F.squeeze(F.unsqueeze(x, 1), 1), ANY, PLANE),
    ("pad", lambda x: F.pad(x, (1, 2, 0, 1)), ANY, PLANE),
    ("pad, reflected", lambda x: F.pad(x, (1, 2, 1, 1), mode="reflect"), ANY, IMAGE),
    ("pad, repeated", lambda x: F.pad(x, (1, 2, 1, 1), mode="replicate"), ANY, IMAGE),
    ("pad, round", lambda x: F.pad(x, (1, 2, 1, 1), mode="circular"), ANY, IMAGE),
    ("cat", lambda x, y: F.cat([x, y], 1), ANY, ((4, 5), (4, 2))),
    ("stack", lambda x, y: F.stack([x, y], 1), ANY, ((4, 5), (4, 5))),
    ("split", lambda x: F.split(x, 2, 1), ANY, PLANE),
    ("flip", lambda x: F.flip(x, (0, 1)), ANY, PLANE),
    ("index with repeats", lambda x: x[[0, 2, 2, 1]], ANY, PLANE),
    ("slices", lambda x: x[1:, ::2], ANY, PLANE),
    ("matmul", F.matmul, ANY, ((4, 5), (5, 3))),
    ("matmul in batches", F.matmul, ANY, ((2, 3, 4), (2, 4, 2))),
    ("einsum", lambda x, y: F.einsum("bij,jk->bki", x, y), ANY, ((2, 3, 4), (4, 2))),
    ("linear", F.linear, ANY, ((4, 5), (3, 5), (3,))),
    ("conv2d", F.conv2d, ANY, ((2, 2, 5, 4), (3, 2, 3, 3), (3,))),
    ("conv2d, strides", lambda x, w: F.conv2d(x, w, stride=(2, 1), padding=1), ANY, ((2, 2, 5, 4), (3, 2, 3, 2))),
    ("conv2d, groups", lambda x, w: F.conv2d(x, w, padding=1, groups=2), ANY, ((2, 4, 4, 4), (4, 2, 3, 3))),
    ("conv2d, dilated", lambda x, w: F.conv2d(x, w, padding=2, dilation=2), ANY, ((1, 2, 5, 5), (2, 2, 3, 3))),
    ("conv_transpose2d", lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1), ANY,
     ((2, 2, 3, 3), (2, 3, 3, 3))),
    ("unfold", lambda x: F.unfold(x, 2, padding=1), ANY, IMAGE),
    ("fold", lambda x: F.fold(x, (4, 3), 2), ANY, ((2, 8, 6),)),
    ("max_pool2d", lambda x: F.max_pool2d(x, 2), ANY, IMAGE),
    ("max_pool2d, overlapping", lambda x: F.max_pool2d(x, 3, 2, 1), ANY, IMAGE),
    ("avg_pool2d", lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), ANY, IMAGE),
    ("adaptive_avg_pool2d", lambda x: F.adaptive_avg_pool2d(x, (2, 3)), ANY, IMAGE),
    ("adaptive_max_pool2d", lambda x: F.adaptive_max_pool2d(x, (2, 3)), ANY, IMAGE),
    ("lp_pool2d", lambda x: F.lp_pool2d(x, 3, 2), POSITIVE_MODERATE, ((2, 2, 4, 4),)),
    ("batch_norm", lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), MODERATE,
     ((4, 3, 2, 2), (3,), (3,))),
    ("batch_norm, evaluated", evaluated, ANY,
     ((4, 3, 2, 2), (3,), (3,))),
    ("group_norm", lambda x, w, b: F.group_norm(x, 2, w, b), MODERATE, ((2, 4, 3, 2), (4,), (4,))),
    ("layer_norm", lambda x, w, b: F.layer_norm(x, (5,), w, b), MODERATE, ((4, 5), (5,), (5,))),
    ("local_response_norm", lambda x: F.local_response_norm(x, 3, 0.5, 0.75, 2.0), MODERATE, IMAGE),
    ("normalize", lambda x: F.normalize(x, dim=1), {k: MODERATE[k] for k in MODERATE if k != "half zeros"}, PLANE),
    ("dropout", lambda x: F.dropout(x, 0.4), ANY, PLANE),
    ("dropout2d", lambda x: F.dropout2d(x, 0.4), ANY, IMAGE),
    ("cross_entropy", lambda x: F.cross_entropy(x, mc.tensor(LABELS)), MODERATE, PLANE),
    ("cross_entropy, smoothed", lambda x: F.cross_entropy(x, mc.tensor(LABELS), label_smoothing=0.1, reduction="sum"),
     MODERATE, PLANE),
    ("nll_loss", lambda x: F.nll_loss(x, mc.tensor(LABELS)), ANY, PLANE),
    ("mse_loss", F.mse_loss, ANY, ((4, 5), (4, 5))),
    ("l1_loss", F.l1_loss, ANY, ((4, 5), (4, 5))),
    ("smooth_l1_loss", F.smooth_l1_loss, MODERATE, ((4, 5), (4, 5))),
    ("binary_cross_entropy", lambda x: F.binary_cross_entropy(x, mc.tensor(HALVES).to(x.dtype)), PROBABLE, PLANE),
    ("binary_cross_entropy_with_logits", lambda x, t: F.binary_cross_entropy_with_logits(x, t), MODERATE,
     ((4, 5), (4, 5))),
    ("triplet_margin_loss", F.triplet_margin_loss, {k: MODERATE[k] for k in ("normal", "even", "float32")},
     ((4, 5), (4, 5), (4, 5))),
    ("cosine_similarity", F.cosine_similarity,
     {k: MODERATE[k] for k in ("normal", "even", "one value", "mixed scales", "float32")}, ((4, 5), (4, 5))),
    ("a chain of kinks", lambda x: F.abs(F.relu(x) - 0.5 * F.abs(x)), ANY, PLANE),
    ("relu of maxima", lambda x: F.relu(F.amax(x, 1)) + F.relu(-F.amin(x, 1)), ANY, PLANE),
    ("attention", lambda q, k, v: F.matmul(F.softmax(F.matmul(q, k.T), 1), v), MODERATE, ((4, 3), (5, 3), (5, 3))),
    ("standardised", lambda x: (x - x.mean(0)) / F.sqrt(F.var(x, 0) + 1e-3), MODERATE, PLANE),
]  # fmt: skip

# The definitions, in the course form: name, forward, backward, kinds, shapes, further arguments
PAIRS: list[tuple[str, Any, Any, dict[str, Kind], Shapes, tuple[Any, ...]]] = [
    ("relu", activation.relu_forward, activation.relu_backward, ANY, PLANE, ()),
    ("leaky relu", activation.leaky_relu_forward, activation.leaky_relu_backward, ANY, PLANE, (0.1,)),
    ("sigmoid", activation.sigmoid_forward, activation.sigmoid_backward, MODERATE, PLANE, ()),
    ("tanh", activation.tanh_forward, activation.tanh_backward, MODERATE, PLANE, ()),
    ("erf", activation.erf_forward, activation.erf_backward, MODERATE, PLANE, ()),
    ("softmax", softmax.softmax_forward, softmax.softmax_backward, MODERATE, PLANE, (1,)),
    ("log softmax", softmax.log_softmax_forward, softmax.log_softmax_backward, MODERATE, PLANE, (1,)),
    ("logsumexp", softmax.logsumexp_forward, softmax.logsumexp_backward, MODERATE, PLANE, ((1,), False)),
    ("mul", elementwise.mul_forward, elementwise.mul_backward, ANY, ((4, 5), (5,)), ()),
    ("maximum", elementwise.maximum_forward, elementwise.maximum_backward, ANY, ((4, 5), (4, 5)), ()),
    ("matmul", matmul.matmul_forward, matmul.matmul_backward, ANY, ((4, 5), (5, 3)), ()),
    ("linear", matmul.linear_forward, matmul.linear_backward, ANY, ((4, 5), (3, 5), (3,)), ()),
    ("amax", reduce.amax_forward, reduce.amax_backward, ANY, PLANE, ((1,), False, True)),
    ("var", reduce.var_forward, reduce.var_backward, MODERATE, PLANE, ((1,), 1, False)),
    ("flip", shape.flip_forward, shape.flip_backward, ANY, PLANE, ((1,),)),
    ("conv2d", conv.conv2d_forward, conv.conv2d_backward, ANY, ((2, 2, 5, 4), (4, 1, 3, 3), (4,)),
     ((2, 1), ((1, 1), (0, 1)), (1, 1), 2)),
    ("adaptive average", pool.adaptive_avg_pool2d_forward, pool.adaptive_avg_pool2d_backward, ANY, IMAGE, ((3, 2),)),
    ("group norm", norm.group_norm_forward, norm.group_norm_backward, MODERATE, ((2, 4, 3, 2),), (2, None, None, 1e-5)),
    ("local response norm", norm.local_response_norm_forward, norm.local_response_norm_backward, MODERATE, IMAGE,
     (3, 0.5, 0.75, 1.0)),
]  # fmt: skip


def layers(*parts: Any) -> Any:
    """Return a maker of a Sequential, as a class is."""

    class Made(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(*(part() for part in parts))

    return Made


class Skip(nn.Module):
    """x + relu(norm(conv(x)))."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)

    def forward(self, x: Any) -> Any:
        return x + F.relu(self.norm(self.conv(x)))


MODULES: list[tuple[str, Any, tuple[int, ...]]] = [
    ("Linear", layers(lambda: nn.Linear(5, 3)), (4, 5)),
    ("Conv2d", layers(lambda: nn.Conv2d(3, 4, 3, padding=1)), (2, 3, 4, 4)),
    ("ConvTranspose2d", layers(lambda: nn.ConvTranspose2d(3, 2, 3, stride=2)), (2, 3, 3, 3)),
    ("BatchNorm2d", layers(lambda: nn.BatchNorm2d(3)), (3, 3, 3, 2)),
    ("GroupNorm", layers(lambda: nn.GroupNorm(3, 6)), (2, 6, 2, 2)),
    ("LayerNorm", layers(lambda: nn.LayerNorm(5)), (4, 5)),
    ("Dropout", layers(lambda: nn.Linear(5, 6), lambda: nn.Dropout(0.3)), (4, 5)),
    ("a perceptron", layers(lambda: nn.Linear(5, 6), nn.ReLU, lambda: nn.Linear(6, 3)), (4, 5)),
    ("a small LeNet", layers(lambda: nn.Conv2d(1, 3, 3, padding=1), nn.ReLU, lambda: nn.MaxPool2d(2), nn.Flatten,
                             lambda: nn.Linear(12, 3)), (2, 1, 4, 4)),
    ("a residual block", Skip, (2, 3, 4, 4)),
    ("two blocks", layers(Skip, lambda: nn.AvgPool2d(2), Skip), (2, 3, 4, 4)),
    ("a small AlexNet", layers(lambda: nn.Conv2d(1, 4, 3, padding=1), nn.ReLU, lambda: nn.LocalResponseNorm(3),
                               lambda: nn.MaxPool2d(3, 2), nn.Flatten, nn.Dropout, lambda: nn.Linear(16, 3)),
     (2, 1, 5, 5)),
]  # fmt: skip

# Not 1e-12: beside a bias of 0.1 the rounding of such inputs is all that batch normalisation would see.
_MODULE_KINDS: dict[str, Kind] = {k: MODERATE[k] for k in ("normal", "even", "half zeros", "float32", "mixed scales")}
_MODULE_KINDS["small"] = lambda rng, s: 1e-7 * rng.standard_normal(s)


def cases() -> list[Example]:
    """Return all correct cases."""
    return [*_functions(), *_pairs(), *_modules(), *_planted(), *_empty()]


def _makers(kinds: dict[str, Kind], shapes: Shapes, rest: tuple[Any, ...] = ()) -> Iterator[tuple[str, Any]]:
    for kind, make in kinds.items():
        yield kind, lambda rng, make=make: [*(make(rng, s) for s in shapes), *rest]


def _functions() -> Iterator[Example]:
    for name, function, kinds, shapes in FUNCTIONS:
        for kind, inputs in _makers(kinds, shapes):
            yield right(f"{name}: {kind}", function, None, inputs)


def _pairs() -> Iterator[Example]:
    for name, forward, backward, kinds, shapes, rest in PAIRS:
        for kind, inputs in _makers(kinds, shapes, rest):
            yield right(f"{name}, a pair: {kind}", forward, backward, inputs)


def _modules() -> Iterator[Example]:
    for name, module, size in MODULES:
        for kind, inputs in _makers(_MODULE_KINDS, (size,)):
            yield right(f"{name}: {kind}", module, None, inputs)


def _planted() -> Iterator[Example]:
    """The right ones beside the planted mistakes."""
    yield from (e for e in examples() if not e.cause)


def _empty() -> Iterator[Example]:
    """No image, one image, one element."""
    for name, function, shapes in (
        ("relu", F.relu, ((0, 5),)),
        ("conv2d", F.conv2d, ((0, 2, 5, 4), (3, 2, 3, 3), (3,))),
        ("linear", F.linear, ((0, 5), (3, 5), (3,))),
        ("sum", F.sum, ((0, 3),)),
        ("matmul", F.matmul, ((4, 0), (0, 3))),
        ("tanh", F.tanh, ((),)),
        ("mul", F.mul, ((), (1,))),
        ("softmax", lambda x: F.softmax(x, 0), ((1,),)),
        ("max_pool2d", lambda x: F.max_pool2d(x, 2), ((1, 1, 2, 2),)),
    ):
        yield right(f"{name} of {shapes[0]}", function, None, next(_makers(MODERATE, shapes))[1])

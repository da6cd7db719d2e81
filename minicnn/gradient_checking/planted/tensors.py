"""Functions of Tensors, modules and small networks: mistakes in a `Function`, in a graph, in a layer's parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

import minicnn as mc
import minicnn.functional as F
from minicnn import nn

from ..mutants import right, wrong
from .elementwise import normal

Array = Any


def operation(forward: Any, backward: Any) -> Any:
    """Return a NumPy pair as an operation on Tensors."""

    class Operation(mc.Function):
        @staticmethod
        def forward(ctx: Any, *arrays: Any) -> Any:
            y, ctx.cache = forward(*arrays)
            return y

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return backward(dy, ctx.cache)

    return Operation.apply


def square(x: Array) -> Any:
    return x * x, x


def multiply(x: Array, y: Array) -> Any:
    return x * y, (x, y)


def linear(x: Array, w: Array, b: Array) -> Any:
    return x @ w.T + b, (x, w)


def linear_backward(dy: Array, cache: Any) -> Any:
    x, w = cache
    return dy @ w, dy.T @ x, dy.sum(0)


def relu(x: Array) -> Any:
    return np.maximum(x, 0), x


def hardswish(x: Array) -> Any:
    return x * np.clip(x + 3, 0, 6) / 6, x


def hardswish_backward(dy: Array, x: Array) -> Array:
    return dy * np.where(x < -3, 0, np.where(x > 3, 1, (2 * x + 3) / 6))


half_square = operation(square, lambda d, x: d * x)
right_square = operation(square, lambda d, x: 2 * d * x)
wrong_relu = operation(relu, lambda d, x: d)
swapped = operation(multiply, lambda d, c: (d * c[0], d * c[1]))
turned = operation(linear, lambda d, c: (d @ c[1].T, *linear_backward(d, c)[1:]))
averaged = operation(linear, lambda d, c: (*linear_backward(d, c)[:2], d.mean(0)))
plain = operation(linear, linear_backward)
hard = operation(hardswish, hardswish_backward)
hard_wrong = operation(hardswish, lambda d, x: d * np.where(x < -3, 0, np.where(x > 3, 1, (x + 3) / 6)))
row_max = operation(lambda x: (x.max(1), x), lambda d, x: d[:, None] * (x == x.max(1, keepdims=True)))


def detached_gate(x: Any, w: Any) -> Any:  # squeeze and excitation, the gate cut from the graph
    gate = F.sigmoid(F.matmul(x.mean((2, 3)), w))
    return x * gate.detach().reshape(x.shape[0], x.shape[1], 1, 1)


def gate(x: Any, w: Any) -> Any:
    return x * F.sigmoid(F.matmul(x.mean((2, 3)), w)).reshape(x.shape[0], x.shape[1], 1, 1)


def normalised_by_constant(x: Any) -> Any:  # statistics computed outside the graph
    with mc.no_grad():
        mean, var = x.mean(0, keepdim=True), x.var(0, correction=0, keepdim=True)
    return (x - mean) / F.sqrt(var + 1e-5)


def mean_by_constant(x: Any) -> Any:
    return x - mc.tensor(x.numpy().mean(0, keepdims=True))


def through_numpy(x: Any) -> Any:
    return mc.tensor(np.exp(x.numpy())) * 2.0


def half_through_numpy(x: Any, y: Any) -> Any:
    return mc.tensor(np.exp(x.numpy())) * y


def detached_weights(q: Any, k: Any, v: Any) -> Any:
    p = F.softmax(F.matmul(q, k.T) * 0.5, 1)
    return F.matmul(p.detach(), v)


def attention(q: Any, k: Any, v: Any) -> Any:
    return F.matmul(F.softmax(F.matmul(q, k.T) * 0.5, 1), v)


def counted_once(x: Any) -> Any:  # x used twice, one use through a copy
    return F.tanh(x) * mc.tensor(x.numpy())


def noisy(x: Any) -> Any:
    return x * mc.tensor(np.random.default_rng().random(x.shape))


class Net(nn.Module):
    """Convolution, ReLU, pooling and a linear layer; a `square` to be planted in the middle."""

    square: Any = None
    relu: Any = staticmethod(F.relu)

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv2d(1, 2, 3, padding=1), nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        x = F.max_pool2d(self.relu(self.conv(x)), 2)
        x = F.flatten(x, 1)
        return self.out(self.square(x) if self.square else x)


class NetWithHalfSquare(Net):
    """The square's factor is missing."""

    square = staticmethod(half_square)


class NetWithWrongRelu(Net):
    """ReLU passes everything."""

    relu = staticmethod(wrong_relu)


class NetDetached(Net):
    """Everything before the last layer is cut off."""

    square = staticmethod(lambda x: x.detach())


class Scaled(nn.Module):
    """x · factor + bias, by an operation that is given."""

    backward: Any = staticmethod(lambda d, c: (d * c[1], (d * c[0]).sum(0), d.sum(0)))

    def __init__(self) -> None:
        super().__init__()
        self.factor, self.bias = nn.Parameter(mc.randn(4)), nn.Parameter(mc.randn(4))

    def forward(self, x: Any) -> Any:
        apply = operation(lambda x, f, b: (x * f + b, (x, f)), self.backward)
        return apply(x, self.factor, self.bias)


class ScaledWithoutSum(Scaled):
    """The gradient of the factor is not summed over the batch."""

    backward = staticmethod(lambda d, c: (d * c[1], d * c[0], d.sum(0)))


class ScaledAveraged(Scaled):
    """The gradient of the factor is averaged over the batch."""

    backward = staticmethod(lambda d, c: (d * c[1], (d * c[0]).mean(0), d.sum(0)))


class ScaledSwapped(Scaled):
    """The gradients of factor and bias are exchanged."""

    backward = staticmethod(lambda d, c: (d * c[1], d.sum(0), (d * c[0]).sum(0)))


class ScaledForgotten(Scaled):
    """The factor gets no gradient."""

    backward = staticmethod(lambda d, c: (d * c[1], None, d.sum(0)))


class Block(nn.Module):
    """A residual block with batch normalisation; `skip` is what is added."""

    skip: Any = staticmethod(lambda x: x)

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3)
        self.conv2, self.bn2 = nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3)

    def forward(self, x: Any) -> Any:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.skip(x))


class BlockDetached(Block):
    """The skip is cut from the graph."""

    skip = staticmethod(lambda x: x.detach())


class BlockDoubled(Block):
    """The skip's gradient counts twice."""

    skip = staticmethod(operation(lambda x: (x, None), lambda d, c: 2 * d))


class BlockNegated(Block):
    """The skip's gradient has the wrong sign."""

    skip = staticmethod(operation(lambda x: (x, None), lambda d, c: -d))


class Recurrent(nn.Module):
    """h ← tanh(x_t W + h U), cut after every step or not."""

    cut = False

    def __init__(self) -> None:
        super().__init__()
        self.w, self.u = nn.Parameter(mc.randn(3, 4) * 0.5), nn.Parameter(mc.randn(4, 4) * 0.5)

    def forward(self, x: Any) -> Any:
        h = mc.zeros(x.shape[0], 4, dtype=x.dtype)
        for t in range(x.shape[1]):
            h = F.tanh(F.matmul(x[:, t], self.w) + F.matmul(h.detach() if self.cut else h, self.u))
        return h


class RecurrentCut(Recurrent):
    """The graph is cut between the steps."""

    cut = True


class Counting(nn.Module):
    """The factor grows with every call."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.calls = nn.Linear(3, 3), 0

    def forward(self, x: Any) -> Any:
        self.calls += 1
        return self.linear(x) * (1.0 + 0.1 * self.calls)


PLANE = normal((4, 5))
SMALL = normal((2, 1, 4, 4))
IMAGE = normal((2, 3, 4, 4))
LINEAR = normal((5, 4), (4, 4), (4,))
EXAMPLES = [
    right("Function: square", right_square, None, PLANE),
    right("Function: linear in a composition", lambda x, w, b: F.sum(F.tanh(plain(x, w, b)), 1), None, LINEAR),
    right("Function: hardswish", hard, None, lambda rng: [4 * rng.standard_normal((4, 6))]),
    right("squeeze and excitation", gate,
          None, lambda rng: [rng.standard_normal((2, 3, 2, 2)), rng.standard_normal((3, 3))]),
    right("attention of Tensors", attention, None, normal((4, 3), (5, 3), (5, 3))),
    right("module: convolution, pooling, linear", Net, None, SMALL),
    right("module: residual block", Block, None, IMAGE),
    right("module: recurrent", Recurrent, None, normal((2, 3, 3))),
    right("module: scale", Scaled, None, normal((5, 4))),
    wrong("constant factor", "Function: square without 2", half_square, None, PLANE),
    wrong("branch", "Function: relu passes all", wrong_relu, None, PLANE),
    wrong("swapped", "Function: product with its factors exchanged", swapped, None, normal((4, 5), (4, 5))),
    wrong("transposed", "Function: linear with turned weights", turned, None, LINEAR),
    wrong(("constant factor", "not summed"), "Function: linear with averaged db", averaged, None, LINEAR),
    wrong("branch", "Function: hardswish, 2 forgotten in the middle", hard_wrong, None,
          lambda rng: [4 * rng.standard_normal((4, 6))]),
    wrong("ties", "Function: row maximum to every tied element", row_max, None, PLANE),
    wrong("ties", "row maximum to every tied element, in a sum", lambda x: F.sum(row_max(x) * 2.0), None, PLANE),
    wrong(("error", "wrong shape"), "Function: gradient not summed to its input's shape",
          operation(lambda x, b: (x + b, None), lambda d, c: (d, d)), None, normal((4, 5), (5,))),
    wrong(("error", "wrong number of gradients"), "Function: one gradient too many",
          operation(square, lambda d, x: (2 * d * x, x)), None, PLANE),
    wrong("cut graph", "Function: returns None", operation(square, lambda d, x: None), None, PLANE),
    wrong("ignores dout", "Function: grad_output ignored", operation(square, lambda d, x: 2 * x), None, PLANE),
    wrong(("error",), "Function: backward raises", operation(square, lambda d, x: d @ x), None, PLANE),
    wrong("NaN/Inf", "Function: 0 / 0 in backward",
          operation(relu, lambda d, x: d * np.maximum(x, 0) / np.where(x > 0, x, 0)), None, PLANE),
    wrong("in-place change", "Function: grad_output changed",
          operation(square, lambda d, x: np.multiply(d, 2 * x, out=d)), None, PLANE),
    wrong(("missing term", "cut graph"), "gate detached", detached_gate, None,
          lambda rng: [rng.standard_normal((2, 3, 2, 2)), rng.standard_normal((3, 3))]),
    wrong("batch statistics", "statistics under no_grad", normalised_by_constant, None, normal((5, 4))),
    wrong("batch statistics", "mean through NumPy", mean_by_constant, None, normal((5, 4))),
    wrong("cut graph", "through NumPy", through_numpy, None, PLANE),
    wrong("cut graph", "one factor through NumPy", half_through_numpy, None, normal((4, 5), (4, 5))),
    wrong("cut graph", "attention weights detached", detached_weights, None, normal((4, 3), (5, 3), (5, 3))),
    wrong("missing term", "x used twice, once through NumPy", counted_once, None, PLANE),
    wrong("not deterministic", "noise without a seed", noisy, None, PLANE),
    wrong(("constant factor",), "module: half of the gradient before a layer", NetWithHalfSquare, None, SMALL),
    wrong(("branch", "missing term"), "module: relu passes all", NetWithWrongRelu, None, SMALL),
    wrong("cut graph", "module: detached before the last layer", NetDetached, None, SMALL),
    wrong(("error", "wrong shape", "not summed"), "module: factor's gradient not summed", ScaledWithoutSum,
          None, normal((5, 4))),
    wrong("constant factor", "module: factor's gradient averaged", ScaledAveraged, None, normal((5, 4))),
    wrong("swapped", "module: parameters' gradients exchanged", ScaledSwapped, None, normal((5, 4))),
    wrong("cut graph", "module: factor forgotten", ScaledForgotten, None, normal((5, 4))),
    wrong("missing term", "module: skip detached", BlockDetached, None, IMAGE),
    wrong("missing term", "module: skip's gradient twice", BlockDoubled, None, IMAGE),
    wrong("missing term", "module: skip's gradient negative", BlockNegated, None, IMAGE),
    wrong(("missing term", "overwritten"), "module: recurrent, cut between the steps", RecurrentCut, None,
          normal((2, 3, 3))),
    wrong("depends on the call count", "module: factor grows", Counting, None, normal((4, 3))),
]  # fmt: skip

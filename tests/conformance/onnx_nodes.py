"""ONNX's own test cases for its nodes, each written with the operations of `minicnn.functional` and compared."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

import minicnn as mc
import minicnn.functional as F
from minicnn.errors import MinicnnError
from tests.conformance.refusals import LIMITS, Outside, reason
from tests.conformance.table import Outcome
from tests.ops.test_operations import assert_close

TYPES = {
    np.float16, np.float32, np.float64, np.int8, np.int16, np.int32, np.int64,
    np.uint8, np.uint16, np.uint32, np.uint64, np.bool_,
}  # fmt: skip
Inputs = list[Any]  # Tensors; None for an optional input that is left out
Attributes = dict[str, Any]


@dataclass
class Node:
    """A node as an adapter sees it: its inputs, its attributes and how many outputs are asked for."""

    inputs: Inputs
    attributes: Attributes = field(default_factory=dict)
    outputs: int = 1

    def __getitem__(self, position: int) -> Any:
        return self.inputs[position] if position < len(self.inputs) else None

    def get(self, name: str, default: Any = None) -> Any:
        return self.attributes.get(name, default)

    def numbers(self, position: int) -> list[int] | None:
        """Return an input that holds whole numbers as a list, or None where it is left out."""
        value = self[position]
        return None if value is None else [int(v) for v in np.atleast_1d(value.numpy())]

    def only(self, **allowed: Any) -> None:
        """Refuse attributes with another value than the one that minicnn's operation has."""
        for name, value in allowed.items():
            if self.get(name, value) != value:
                raise Outside(f"attribute {name} has no counterpart")


ADAPTERS: dict[str, Callable[[Node], Any]] = {}


def adapter(*names: str) -> Callable[[Callable[[Node], Any]], Callable[[Node], Any]]:
    """Name the ONNX operators that a function writes with minicnn's operations."""

    def register(function: Callable[[Node], Any]) -> Callable[[Node], Any]:
        ADAPTERS.update(dict.fromkeys(names, function))
        return function

    return register


def unary(**operations: Callable[..., Any]) -> None:
    ADAPTERS.update({name: lambda n, f=f: f(n[0]) for name, f in operations.items()})


def binary(**operations: Callable[..., Any]) -> None:
    ADAPTERS.update({name: lambda n, f=f: f(n[0], n[1]) for name, f in operations.items()})


def of_many(**operations: Callable[..., Any]) -> None:
    """Register operators that take any number of inputs, two by two."""
    ADAPTERS.update(
        {
            name: lambda n, f=f: functools.reduce(f, n.inputs) if n.inputs[1:] else F.clone(n[0])
            for name, f in operations.items()
        }
    )


unary(
    Abs=F.abs, Erf=F.erf, Exp=F.exp, Identity=F.clone, Log=F.log, Neg=F.neg, Relu=F.relu, Sigmoid=F.sigmoid,
    Softplus=F.softplus, Sqrt=F.sqrt, Tanh=F.tanh, Not=F.bitwise_not, BitwiseNot=F.bitwise_not, IsNaN=F.isnan,
    Reciprocal=lambda x: 1 / x,
)  # fmt: skip
binary(
    Add=F.add, Sub=F.sub, Mul=F.mul, Equal=F.eq, Less=F.lt, LessOrEqual=F.le, Greater=F.gt, GreaterOrEqual=F.ge,
    And=F.bitwise_and, Or=F.bitwise_or, Xor=F.bitwise_xor, BitwiseAnd=F.bitwise_and, BitwiseOr=F.bitwise_or,
    BitwiseXor=F.bitwise_xor, MatMul=F.matmul,
)  # fmt: skip
of_many(Max=F.maximum, Min=F.minimum, Sum=F.add)


@adapter("Mean")
def mean(n: Node) -> Any:
    return functools.reduce(F.add, n.inputs) / len(n.inputs)


@adapter("Div")
def div(n: Node) -> Any:
    return F.div(n[0], n[1], rounding_mode=None if n[0].dtype.kind == "f" else "trunc")


@adapter("Mod")
def mod(n: Node) -> Any:
    if n.get("fmod", 0):  # the sign of the dividend
        return n[0] - n[1] * F.div(n[0], n[1], rounding_mode="trunc")
    return F.remainder(n[0], n[1])


@adapter("Pow")
def pow(n: Node) -> Any:
    return F.pow(n[0], n[1]).to(n[0].dtype)  # ONNX gives the type of the base


@adapter("Clip")
def clip(n: Node) -> Any:
    return F.clone(n[0]) if n[1] is None and n[2] is None else F.clamp(n[0], n[1], n[2])


@adapter("Where")
def where(n: Node) -> Any:
    return F.where(n[0], n[1], n[2])


@adapter("IsInf")
def isinf(n: Node) -> Any:
    found = F.isinf(n[0])
    if not n.get("detect_negative", 1):
        found = found & (n[0] > 0)
    return found if n.get("detect_positive", 1) else found & (n[0] < 0)


def onnx_type(number: int) -> np.dtype[Any]:
    name = onnx.TensorProto.DataType.Name(number)
    dtype = helper.tensor_dtype_to_np_dtype(number)
    if dtype.type not in TYPES:
        raise Outside(f"type {name} is not one of minicnn")
    return dtype


@adapter("Cast")
def cast(n: Node) -> Any:
    return F.to(n[0], onnx_type(n.get("to")))


@adapter("CastLike")
def cast_like(n: Node) -> Any:
    return F.to(n[0], n[1].dtype)


# Activations


@adapter("LeakyRelu")
def leaky_relu(n: Node) -> Any:
    return F.leaky_relu(n[0], n.get("alpha", 0.01))


@adapter("Gelu")
def gelu(n: Node) -> Any:
    return F.gelu(n[0], n.get("approximate", b"none").decode())


@adapter("Swish")
def swish(n: Node) -> Any:
    alpha = n.get("alpha", 1.0)
    return F.silu(alpha * n[0]) / alpha


@adapter("Softmax")
def softmax(n: Node) -> Any:
    return F.softmax(n[0], n.get("axis", -1))


@adapter("LogSoftmax")
def log_softmax(n: Node) -> Any:
    return F.log_softmax(n[0], n.get("axis", -1))


# Reductions


def reduction(**operations: Callable[[Any, Any, bool], Any]) -> None:
    """Register operators that take axes as attribute or second input; no axes are all, or none if the node says so."""

    def register(name: str, operation: Callable[[Any, Any, bool], Any], unreduced: Callable[[Any], Any]) -> None:
        def reduce(n: Node) -> Any:
            axes = n.get("axes") or n.numbers(1)
            if not axes and n.get("noop_with_empty_axes", 0):
                return unreduced(n[0])
            return operation(n[0], tuple(axes) if axes else None, bool(n.get("keepdims", 1)))

        ADAPTERS[name] = reduce

    for name, operation in operations.items():
        register(name, operation, lambda x, f=operation: f(F.unsqueeze(x, 0), 0, False))


reduction(
    ReduceSum=lambda x, axes, keep: F.sum(x, axes, keep).to(x.dtype),  # ONNX keeps the type of whole numbers
    ReduceMean=F.mean,
    ReduceMax=F.amax,
    ReduceMin=F.amin,
    ReduceLogSumExp=lambda x, axes, keep: F.logsumexp(x, axes, keep),
    ReduceLogSum=lambda x, axes, keep: F.log(F.sum(x, axes, keep)),
    ReduceL1=lambda x, axes, keep: F.sum(F.abs(x), axes, keep),
    ReduceL2=lambda x, axes, keep: F.sqrt(F.sum(x * x, axes, keep)),
    ReduceSumSquare=lambda x, axes, keep: F.sum(x * x, axes, keep),
)


def choose(operation: Callable[..., Any]) -> Callable[[Node], Any]:
    def choice(n: Node) -> Any:
        axis, keep = n.get("axis", 0), bool(n.get("keepdims", 1))
        if n.get("select_last_index", 0):
            return n[0].shape[axis] - 1 - operation(F.flip(n[0], axis), axis, keep)
        return operation(n[0], axis, keep)

    return choice


ADAPTERS |= {"ArgMax": choose(F.argmax), "ArgMin": choose(F.argmin)}


# Shape


@adapter("Reshape")
def reshape(n: Node) -> Any:
    shape = n.numbers(1) or []
    if not n.get("allowzero", 0):
        shape = [n[0].shape[i] if s == 0 else s for i, s in enumerate(shape)]
    return F.reshape(n[0], shape)


@adapter("Flatten")
def flatten(n: Node) -> Any:
    axis = n.get("axis", 1)
    axis += n[0].ndim if axis < 0 else 0
    return F.reshape(n[0], (math.prod(n[0].shape[:axis]), math.prod(n[0].shape[axis:])))


@adapter("Transpose")
def transpose(n: Node) -> Any:
    return F.permute(n[0], n.get("perm", list(range(n[0].ndim))[::-1]))


@adapter("Expand")
def expand(n: Node) -> Any:
    return F.expand(n[0], np.broadcast_shapes(n[0].shape, tuple(n.numbers(1) or ())))


@adapter("Squeeze")
def squeeze(n: Node) -> Any:
    return F.squeeze(n[0], n.numbers(1))


@adapter("Unsqueeze")
def unsqueeze(n: Node) -> Any:
    axes = n.numbers(1) or []
    result = n[0]
    for axis in sorted(a % (n[0].ndim + len(axes)) for a in axes):
        result = F.unsqueeze(result, axis)
    return result


@adapter("Pad")
def pad(n: Node) -> Any:
    widths, axes = n.numbers(1) or [], n.numbers(3)
    axes = list(range(n[0].ndim)) if axes is None else [a % n[0].ndim for a in axes]
    before, after = dict(zip(axes, widths)), dict(zip(axes, widths[len(axes) :]))
    flat = [w for a in reversed(range(n[0].ndim)) for w in (before.get(a, 0), after.get(a, 0))]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}[
        n.get("mode", b"constant").decode()
    ]
    if mode != "constant":  # those pad the last axes; widths of 0 before them say nothing
        while len(flat) > 2 and not any(flat[-2:]):
            flat = flat[:-2]
    value = None if n[2] is None or mode != "constant" else n[2].item()
    return F.pad(n[0], flat, mode, value)


@adapter("Concat")
def concat(n: Node) -> Any:
    return F.cat(n.inputs, n.get("axis"))


@adapter("Split")
def split(n: Node) -> Any:
    axis, sizes = n.get("axis", 0), n.numbers(1)
    if sizes is None:
        return F.split(n[0], -(-n[0].shape[axis] // n.outputs), axis)
    return F.split(n[0], sizes, axis)


@adapter("Slice")
def slice_(n: Node) -> Any:
    starts, ends = n.numbers(1) or [], n.numbers(2) or []
    axes, steps = n.numbers(3) or list(range(len(starts))), n.numbers(4) or [1] * len(starts)
    key = [slice(None)] * n[0].ndim
    for start, end, axis, step in zip(starts, ends, axes, steps):
        # NumPy's None is ONNX's end before the first element.
        key[axis] = slice(start, None if step < 0 and end < -n[0].shape[axis] else end, step)
    return n[0][tuple(key)]


@adapter("Gather")
def gather(n: Node) -> Any:
    axis = n.get("axis", 0) % n[0].ndim
    return n[0][(slice(None),) * axis + (n[1],)]


# Products


@adapter("Gemm")
def gemm(n: Node) -> Any:
    a = n[0].T if n.get("transA", 0) else n[0]
    b = n[1].T if n.get("transB", 0) else n[1]
    product = n.get("alpha", 1.0) * F.matmul(a, b)
    return product if n[2] is None else product + n.get("beta", 1.0) * n[2]


@adapter("Einsum")
def einsum(n: Node) -> Any:
    return F.einsum(n.get("equation").decode(), *n.inputs)


# Windows: ONNX's pads are (top, left, bottom, right) and may differ from side to side


def windows(n: Node, kernel: list[int]) -> dict[str, Any]:
    """Return kernel, stride, dilation and the padding of each side: ((top, bottom), (left, right))."""
    axes = len(kernel)
    if axes != n[0].ndim - 2:
        raise Outside(f"a kernel of {axes} axes on an input of shape {n[0].shape}")
    strides, dilations = n.get("strides", [1] * axes), n.get("dilations", [1] * axes)
    pads = n.get("pads", [0] * 2 * axes)
    sides = [*zip(pads[:axes], pads[axes:])]
    auto = n.get("auto_pad", b"NOTSET").decode()
    if auto.startswith("SAME"):
        sides = []
        for size, k, s, d in zip(n[0].shape[2:], kernel, strides, dilations):
            total = max((-(-size // s) - 1) * s + d * (k - 1) + 1 - size, 0)
            sides.append((total // 2, total - total // 2) if auto == "SAME_UPPER" else (total - total // 2, total // 2))
    return {"kernel": tuple(kernel), "stride": tuple(strides), "dilation": tuple(dilations), "sides": sides}


def padded(x: Any, w: dict[str, Any], value: float = 0.0, half: bool = True) -> tuple[Any, Any]:
    """Return the input and the padding left to do: what no argument can say is padded here.

    That is padding which differs from side to side or, in pooling (`half`), is more than half of the kernel.
    """
    sides = w["sides"]
    limits = [k // 2 if half else max(side) for k, side in zip(w["kernel"], sides)]
    if all(before == after <= limit for (before, after), limit in zip(sides, limits)):
        return x, tuple(before for before, _ in sides)
    return F.pad(x, [w for side in reversed(sides) for w in side], value=value), (0,) * len(sides)


@adapter("Conv")
def conv(n: Node) -> Any:
    w = windows(n, n.get("kernel_shape", list(n[1].shape[2:])))
    x, padding = padded(n[0], w, half=False)
    return F.conv2d(x, n[1], n[2], w["stride"], padding, w["dilation"], n.get("group", 1))


@adapter("ConvTranspose")
def conv_transpose(n: Node) -> Any:
    axes = n[0].ndim - 2
    stride, dilation = n.get("strides", [1] * axes), n.get("dilations", [1] * axes)
    extra = n.get("output_padding", [0] * axes)
    pads = n.get("pads", [0] * 2 * axes)
    sides = [*zip(pads[:axes], pads[axes:])]
    auto, shape = n.get("auto_pad", b"NOTSET").decode(), n.get("output_shape")
    if shape is None and auto.startswith("SAME"):
        shape = [size * s for size, s in zip(n[0].shape[2:], stride)]
    if shape is not None:
        full = [
            s * (i - 1) + e + d * (k - 1) + 1
            for s, i, e, d, k in zip(stride, n[0].shape[2:], extra, dilation, n[1].shape[2:])
        ]
        total = [f - o for f, o in zip(full, shape)]
        # A result larger than the windows reach gets zeros behind, which output_padding gives.
        extra = [e + max(-t, 0) for e, t in zip(extra, total)]
        total = [max(t, 0) for t in total]
        sides = [(t // 2, t - t // 2) if auto == "SAME_UPPER" else (t - t // 2, t // 2) for t in total]
    y = F.conv_transpose2d(
        n[0], n[1], n[2], tuple(stride), 0, tuple(extra), n.get("group", 1), tuple(dilation)
    )  # padding cuts the result's border off
    return y[(..., *(slice(b, size - a) for (b, a), size in zip(sides, y.shape[2:])))]


@adapter("MaxPool")
def max_pool(n: Node) -> Any:
    n.only(storage_order=0)
    w = windows(n, n.get("kernel_shape"))
    x, padding = padded(n[0], w, -math.inf)
    arguments = (w["kernel"], w["stride"], padding, w["dilation"], bool(n.get("ceil_mode", 0)))
    if n.outputs == 1:
        return F.max_pool2d(x, *arguments)
    y, indices = F.max_pool2d(x, *arguments, return_indices=True)
    if x is not n[0]:
        raise Outside("indices count through the input, whose sides are padded differently")
    planes = mc.tensor(np.arange(math.prod(y.shape[:2])).reshape(*y.shape[:2], 1, 1), device=y.device)
    return y, indices + planes * math.prod(x.shape[2:])  # ONNX counts through the whole batch


@adapter("AveragePool")
def average_pool(n: Node) -> Any:
    w = windows(n, n.get("kernel_shape"))
    if set(w["dilation"]) != {1}:
        raise Outside("avg_pool2d has no dilation")
    ceil, count = bool(n.get("ceil_mode", 0)), bool(n.get("count_include_pad", 0))
    x, padding = padded(n[0], w)
    y = F.avg_pool2d(x, w["kernel"], w["stride"], padding, ceil, count)
    if x is n[0] or count:
        return y
    inside, _ = padded(mc.ones_like(n[0]), w)
    return y / F.avg_pool2d(inside, w["kernel"], w["stride"], 0, ceil)  # each window's share of true pixels


@adapter("LpPool")
def lp_pool(n: Node) -> Any:
    w = windows(n, n.get("kernel_shape"))
    if set(w["dilation"]) != {1}:
        raise Outside("lp_pool2d has no dilation")
    x = F.pad(F.abs(n[0]), [width for side in reversed(w["sides"]) for width in side])
    return F.lp_pool2d(x, n.get("p", 2), w["kernel"], w["stride"], bool(n.get("ceil_mode", 0)))


@adapter("GlobalAveragePool")
def global_average_pool(n: Node) -> Any:
    return F.adaptive_avg_pool2d(n[0], 1)


@adapter("GlobalMaxPool")
def global_max_pool(n: Node) -> Any:
    return F.adaptive_max_pool2d(n[0], 1)


@adapter("Col2Im")
def col2im(n: Node) -> Any:
    image, block = n.numbers(1) or [], n.numbers(2) or []
    axes = len(image)
    pads = n.get("pads", [0] * 2 * axes)
    if pads[:axes] != pads[axes:]:
        raise Outside("fold pads both sides alike")
    return F.fold(
        n[0], tuple(image), tuple(block), tuple(n.get("dilations", [1] * axes)), tuple(pads[:axes]),
        tuple(n.get("strides", [1] * axes)),
    )  # fmt: skip


# Normalisation


@adapter("BatchNormalization")
def batch_normalization(n: Node) -> Any:
    x, weight, bias, mean, variance = n.inputs
    keep, training = n.get("momentum", 0.9), bool(n.get("training_mode", 0))
    running_mean, running_var = F.clone(mean), F.clone(variance)
    y = F.batch_norm(x, running_mean, running_var, weight, bias, training, 1 - keep, n.get("epsilon", 1e-5))
    if not training:
        return y
    # ONNX averages the batch's own variance, PyTorch the estimate of the distribution's, with N − 1.
    count = math.prod(x.shape) // x.shape[1]
    return y, running_mean, variance * keep + (running_var - variance * keep) * ((count - 1) / count)


@adapter("InstanceNormalization")
def instance_normalization(n: Node) -> Any:
    return F.group_norm(n[0], n[0].shape[1], n[1], n[2], n.get("epsilon", 1e-5))


@adapter("GroupNormalization")
def group_normalization(n: Node) -> Any:
    return F.group_norm(n[0], n.get("num_groups"), n[1], n[2], n.get("epsilon", 1e-5))


@adapter("LayerNormalization")
def layer_normalization(n: Node) -> Any:
    axis, eps = n.get("axis", -1) % n[0].ndim, n.get("epsilon", 1e-5)
    axes = tuple(range(axis, n[0].ndim))
    weight, bias = (None if v is None else F.expand(v, n[0].shape[axis:]) for v in (n[1], n[2]))
    y = F.layer_norm(n[0], n[0].shape[axis:], weight, bias, eps)
    mean, variance = F.mean(n[0], axes, True), F.var(n[0], axes, correction=0, keepdim=True)
    return (y, mean, 1 / F.sqrt(variance + eps))[: n.outputs]


@adapter("LRN")
def lrn(n: Node) -> Any:
    return F.local_response_norm(n[0], n.get("size"), n.get("alpha", 1e-4), n.get("beta", 0.75), n.get("bias", 1.0))


@adapter("LpNormalization")
def lp_normalization(n: Node) -> Any:
    return F.normalize(n[0], n.get("p", 2), n.get("axis", -1))


@adapter("Dropout")
def dropout(n: Node) -> Any:
    ratio = 0.5 if n[1] is None else n[1].item()
    training = n[2] is not None and bool(n[2].item())
    if training and ratio > 0:
        raise Outside("the expected mask is drawn by NumPy's generator, minicnn's by Philox 4×32-10")
    y = F.dropout(n[0], ratio, training)
    return (y, mc.ones_like(y, dtype=bool))[: n.outputs]


# Losses and labels


@adapter("NegativeLogLikelihoodLoss")
def nll_loss(n: Node) -> Any:
    return F.nll_loss(n[0], n[1], n[2], n.get("ignore_index", -100), n.get("reduction", b"mean").decode())


@adapter("SoftmaxCrossEntropyLoss")
def cross_entropy(n: Node) -> Any:
    loss = F.cross_entropy(n[0], n[1], n[2], n.get("ignore_index", -100), n.get("reduction", b"mean").decode())
    return (loss, F.log_softmax(n[0], 1))[: n.outputs]


@adapter("OneHot")
def one_hot(n: Node) -> Any:
    depth = int(n[1].item())
    labels = F.to(n[0], np.int64)
    if (labels.numpy() < -depth).any() or (labels.numpy() >= depth).any():
        raise Outside("labels outside of the depth, for which ONNX gives a row without a one")
    axis = n.get("axis", -1)
    hot = F.one_hot(F.where(labels < 0, labels + depth, labels), depth).bool()
    last = hot.ndim - 1
    order = list(range(last))
    order.insert(axis % hot.ndim, last)
    return F.where(F.permute(hot, order), n[2][1], n[2][0])


# The cases

FOUR_DIGITS = ("test_averagepool_2d_ceil_last_window_starts_on_pad",)
"""Cases whose results ONNX gives to four digits only."""


@dataclass(frozen=True)
class NodeCase:
    """A test case of ONNX of whose nodes minicnn has all operations."""

    operation: str
    name: str
    model: Any
    data: Any


@cache
def collected() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        return list(collect_testcases(None))


def cases() -> list[NodeCase]:
    """Return every case all of whose nodes have an adapter, named after its first node, or after the whole graph."""
    found = []
    for case in collected():
        kinds = [node.op_type for node in case.model.graph.node]
        if all(kind in ADAPTERS for kind in kinds):
            found += [
                NodeCase(kinds[0] if len(kinds) == 1 else "graphs of these", case.name, case.model, data)
                for data in case.data_sets
            ]
    return sorted(found, key=lambda c: (c.operation == "graphs of these", c.operation))


def as_array(value: Any) -> Any:
    """Return an input or output of a case, which may be written as a protocol buffer, as an array."""
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def attribute(value: Any) -> Any:
    found = helper.get_attribute_value(value)
    return list(found) if value.type in (value.INTS, value.FLOATS) else found


def evaluate(model: Any, inputs: list[Any], device: str) -> list[Any]:
    """Return the outputs of a graph of nodes."""
    graph = model.graph
    values: dict[str, Any] = {"": None}
    for name, value in [
        *zip([i.name for i in graph.input], inputs),
        *((t.name, numpy_helper.to_array(t)) for t in graph.initializer),
    ]:
        array = as_array(value)
        if array is not None and (not hasattr(array, "dtype") or array.dtype.type not in TYPES):
            raise Outside(
                f"an input of type {getattr(array, 'dtype', type(array).__name__)} is not a tensor of minicnn"
            )
        values[name] = None if array is None else mc.tensor(array, device=device)
    for node in graph.node:
        given = Node(
            [values[name] for name in node.input],
            {a.name: attribute(a) for a in node.attribute},
            len(node.output),
        )
        result = ADAPTERS[node.op_type](given)
        results = list(result) if isinstance(result, (tuple, list)) else [result]
        values.update(zip(node.output, results))
    return [values[o.name].numpy() for o in graph.output]


def judge(case: NodeCase, device: str) -> Outcome:
    """Run a case and return how it ended."""
    outcome = functools.partial(Outcome, "ONNX", case.operation, f"{case.name} on {device}")
    inputs, expected = case.data
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            with mc.use_device(device):
                actual = evaluate(case.model, inputs, device)
        except (MinicnnError, Outside) as error:
            why = reason(LIMITS, case.operation, str(error))
            return outcome("refused" if why else "wrong", str(error), why)
        except Exception as error:  # whatever it is, it is the finding
            return outcome("wrong", f"{type(error).__name__}: {error}")
    try:
        assert len(actual) == len(expected), f"{len(actual)} outputs, expected {len(expected)}"
        for i, (ours, theirs) in enumerate(zip(actual, expected)):
            theirs = np.asarray(as_array(theirs))
            if case.name in FOUR_DIGITS:
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
            else:
                assert_close(f"output {i}", ours, theirs)
    except AssertionError as error:
        return outcome("wrong", " ".join(str(error).split())[:300])
    return outcome("passed")


def without_adapter() -> Iterator[str]:
    """Yield the operators of ONNX's cases that minicnn does not have; a graph that needs one is not run."""
    yield from sorted({n.op_type for c in collected() for n in c.model.graph.node} - set(ADAPTERS))

"""How each of minicnn's operations is written in ONNX: one function for each class of `minicnn.ops`.

An operation may need several ONNX operators, where ONNX defines something else: its average pooling counts the
padding differently, its local response normalisation has its window on the other side for an even size, and so on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..ops.conv import window_span
from ..ops.pool import adaptive_windows, avg_pool2d_divisor
from .tape import Constant, Step, Value

Array = Any
_END = 2**63 - 1
_BEGIN = -(2**63)


@dataclass
class Node:
    """One ONNX operator, its inputs and outputs by name."""

    operator: str
    inputs: list[str]
    outputs: list[str]
    name: str
    attributes: dict[str, Any]


@dataclass
class Graph:
    """The nodes so far, and the constants by name."""

    nodes: list[Node] = field(default_factory=list)
    initialisers: dict[str, Array] = field(default_factory=dict)
    names: dict[Value, str] = field(default_factory=lambda: {Value(0): "input"})
    _constants: dict[int, str] = field(default_factory=dict)
    _alive: list[Array] = field(default_factory=list)

    def name(self, argument: Any) -> str:
        """Return the ONNX name of a value on the tape or of a constant; '' for None, an input left out."""
        if argument is None:
            return ""
        if isinstance(argument, Value):
            return self.names[argument]
        if isinstance(argument, Constant):
            if id(argument.array) not in self._constants:
                self._constants[id(argument.array)] = self.constant(argument.array, argument.name)
                self._alive.append(argument.array)
            return self._constants[id(argument.array)]
        if isinstance(argument, (int, float, np.generic)):
            return self.constant(np.float32(argument))
        raise NotImplementedError(f"it gets a {type(argument).__name__} where an array belongs")

    def constant(self, array: Any, name: str = "") -> str:
        """Add an array, or whole numbers as int64, to the file."""
        name = name or f"constant_{len(self.initialisers)}"
        array = np.asarray(array)
        self.initialisers[name] = np.ascontiguousarray(array).reshape(array.shape)
        return name

    def numbers(self, *numbers: int) -> str:
        """Add a list of whole numbers, as axes, shapes and positions are given."""
        return self.constant(np.array(numbers, np.int64))

    def add(self, step: Step, operator: str, *inputs: str, output: Value | None = None, **attributes: Any) -> str:
        """Add a node and return its output's name; with `output` that is this value of the tape."""
        name = f"{step.place or 'model'}/{operator}_{len(self.nodes)}"
        self.nodes.append(Node(operator, list(inputs), [name], name, attributes))
        if output is not None:
            self.names[output] = name
        return name

    def name_output(self, value: Value, name: str) -> None:
        """Give a value the name of an output of the whole model."""
        self.nodes.append(Node("Identity", [self.names[value]], [name], f"model/{name}", {}))


Writer = Callable[[Graph, Step], None]


def _same(operator: str, count: int = 1) -> Writer:
    """Return how to write an operation that ONNX has, too, with `count` arrays as its only arguments."""

    def write(graph: Graph, step: Step) -> None:
        graph.add(step, operator, *map(graph.name, step.arguments[:count]), output=step.made[0])

    return write


def _leaky_relu(graph: Graph, step: Step) -> None:
    x, slope = step.arguments
    graph.add(step, "LeakyRelu", graph.name(x), output=step.made[0], alpha=float(slope))


def _log1p(graph: Graph, step: Step) -> None:
    one = graph.constant(np.float32(1))
    graph.add(step, "Log", graph.add(step, "Add", graph.name(step.arguments[0]), one), output=step.made[0])


def _clamp(graph: Graph, step: Step) -> None:
    x, low, high = step.arguments
    bounds = [graph.constant(np.float32(bound)) for bound in (low, high)]
    graph.add(step, "Clip", graph.name(x), *bounds, output=step.made[0])


def _compare(graph: Graph, step: Step) -> None:
    x, y, ufunc = step.arguments
    operators = {
        "greater": "Greater", "greater_equal": "GreaterOrEqual", "less": "Less", "less_equal": "LessOrEqual",
        "equal": "Equal", "not_equal": "Equal",
    }  # fmt: skip
    name = getattr(ufunc, "__name__", "")
    if name not in operators:
        raise NotImplementedError(f"it compares by {name}")
    if name == "not_equal":
        graph.add(step, "Not", graph.add(step, "Equal", graph.name(x), graph.name(y)), output=step.made[0])
    else:
        graph.add(step, operators[name], graph.name(x), graph.name(y), output=step.made[0])


def _cast(graph: Graph, step: Step) -> None:
    x, dtype = step.arguments
    codes = {"float32": 1, "uint8": 2, "int8": 3, "int16": 5, "int32": 6, "int64": 7, "bool": 9, "float16": 10}
    name = np.dtype(dtype).name
    if name not in codes:
        raise NotImplementedError(f"it converts to {name}")
    graph.add(step, "Cast", graph.name(x), output=step.made[0], to=codes[name])


# Convolution, matrices


def _conv2d(graph: Graph, step: Step) -> None:
    x, w, b, stride, ((top, bottom), (left, right)), dilation, groups = step.arguments
    inputs = [graph.name(x), graph.name(w)] + ([graph.name(b)] if b is not None else [])
    graph.add(
        step, "Conv", *inputs, output=step.made[0],
        strides=list(stride), pads=[top, left, bottom, right], dilations=list(dilation), group=groups,
    )  # fmt: skip


def _conv_transpose2d(graph: Graph, step: Step) -> None:
    x, w, b, stride, padding, output_padding, groups, dilation = step.arguments
    inputs = [graph.name(x), graph.name(w)] + ([graph.name(b)] if b is not None else [])
    graph.add(
        step, "ConvTranspose", *inputs, output=step.made[0], strides=list(stride), pads=[*padding, *padding],
        output_padding=list(output_padding), dilations=list(dilation), group=groups,
    )  # fmt: skip


def _linear(graph: Graph, step: Step) -> None:
    x, w, b = step.arguments
    shape = step.shapes[0]
    assert shape is not None
    if len(shape) == 2:
        inputs = [graph.name(x), graph.name(w)] + ([graph.name(b)] if b is not None else [])
        graph.add(step, "Gemm", *inputs, output=step.made[0], transB=1)
        return
    turned = graph.add(step, "Transpose", graph.name(w), perm=[1, 0])
    if b is None:
        graph.add(step, "MatMul", graph.name(x), turned, output=step.made[0])
    else:
        product = graph.add(step, "MatMul", graph.name(x), turned)
        graph.add(step, "Add", product, graph.name(b), output=step.made[0])


# Pooling


def _missing(size: int, count: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Return the padding behind an axis with which ⌊(size + padding − span) / stride⌋ + 1 is `count`."""
    return max(0, (count - 1) * stride + window_span(kernel, dilation) - size - padding)


def _pooled_pads(step: Step, kernel: Any, stride: Any, padding: Any, dilation: Any, output: Any) -> list[int]:
    shape = step.shapes[0]
    assert shape is not None
    return [*padding, *(_missing(*a) for a in zip(shape[2:], output, kernel, stride, padding, dilation))]


def _max_pool2d(graph: Graph, step: Step) -> None:
    x, kernel, stride, padding, dilation, output, return_indices = step.arguments
    if return_indices:
        raise NotImplementedError("return_indices=True")
    pads = _pooled_pads(step, kernel, stride, padding, dilation, output)
    y = graph.name(x)
    if any(after >= k for after, k in zip(pads[2:], kernel)):  # ONNX Runtime refuses that, though a dilated window fits
        widths = graph.numbers(0, 0, *pads[:2], 0, 0, *pads[2:])
        y = graph.add(step, "Pad", y, widths, graph.constant(np.float32(-np.inf)), mode="constant")
        pads = [0, 0, 0, 0]
    graph.add(
        step, "MaxPool", y, output=step.made[0],
        kernel_shape=list(kernel), strides=list(stride), pads=pads, dilations=list(dilation),
    )  # fmt: skip


def _avg_pool2d(graph: Graph, step: Step) -> None:
    x, kernel, stride, padding, output, count_include_pad, divisor_override = step.arguments
    shape = step.shapes[0]
    assert shape is not None
    divisor = avg_pool2d_divisor(
        (shape[2], shape[3]), kernel, stride, padding, output, count_include_pad, divisor_override
    )
    share = kernel[0] * kernel[1] / np.asarray(divisor)[:, :, 0]
    settings: dict[str, Any] = {
        "kernel_shape": list(kernel), "strides": list(stride), "count_include_pad": 1,
        "pads": _pooled_pads(step, kernel, stride, padding, (1, 1), output),
    }  # fmt: skip
    if (share == 1).all():
        graph.add(step, "AveragePool", graph.name(x), output=step.made[0], **settings)
        return
    whole = graph.add(step, "AveragePool", graph.name(x), **settings)  # the sum divided by all the kernel's pixels
    graph.add(step, "Mul", whole, graph.constant(share.astype(np.float32)), output=step.made[0])


def _windows_are_equal(image: Any, output: Any) -> bool:
    return 0 not in output and all(size % count == 0 for size, count in zip(image, output))


def _adaptive_avg_pool2d(graph: Graph, step: Step) -> None:
    x, output = step.arguments
    shape = step.shapes[0]
    assert shape is not None
    if tuple(output) == (1, 1):
        graph.add(step, "GlobalAveragePool", graph.name(x), output=step.made[0])
        return
    if _windows_are_equal(shape[2:], output):
        kernel = [size // count for size, count in zip(shape[2:], output)]
        graph.add(step, "AveragePool", graph.name(x), output=step.made[0], kernel_shape=kernel, strides=kernel)
        return
    # Windows of different sizes: a matrix of shares from the left, and one from the right.
    rows, columns = (_shares(size, count) for size, count in zip(shape[2:], output))
    half = graph.add(step, "MatMul", graph.constant(rows), graph.name(x))
    graph.add(step, "MatMul", half, graph.constant(columns.T), output=step.made[0])


def _shares(size: int, count: int) -> Array:
    """Return the matrix (count, size) whose rows average the windows along an axis."""
    shares = np.zeros((count, size), np.float32)
    for row, window in zip(shares, adaptive_windows(size, count)):
        row[window] = 1 / (window.stop - window.start)
    return shares


def _adaptive_max_pool2d(graph: Graph, step: Step) -> None:
    x, output = step.arguments[:2]
    if len(step.made) > 1:
        raise NotImplementedError("return_indices=True")
    shape = step.shapes[0]
    assert shape is not None
    if _windows_are_equal(shape[2:], output):
        kernel = [size // count for size, count in zip(shape[2:], output)]
        graph.add(step, "MaxPool", graph.name(x), output=step.made[0], kernel_shape=kernel, strides=kernel)
        return
    if 0 in output:
        raise NotImplementedError("its output has no pixels")
    half = _largest_in_windows(graph, step, graph.name(x), shape[2], output[0], 2)
    graph.names[step.made[0]] = _largest_in_windows(graph, step, half, shape[3], output[1], 3)


def _largest_in_windows(graph: Graph, step: Step, x: str, size: int, count: int, axis: int) -> str:
    parts = []
    for window in adaptive_windows(size, count):
        bounds = [graph.numbers(window.start), graph.numbers(window.stop), graph.numbers(axis)]
        part = graph.add(step, "Slice", x, *bounds)
        parts.append(graph.add(step, "ReduceMax", part, graph.numbers(axis), keepdims=1))
    return graph.add(step, "Concat", *parts, axis=axis)


# Normalisation


def _vector(graph: Graph, argument: Any, channels: int, fill: float) -> str:
    return graph.constant(np.full(channels, fill, np.float32)) if argument is None else graph.name(argument)


def _batch_norm_eval(graph: Graph, step: Step) -> None:
    x, w, b, mean, variance, eps = step.arguments
    shape = step.shapes[0]
    assert shape is not None
    graph.add(
        step, "BatchNormalization", graph.name(x), _vector(graph, w, shape[1], 1), _vector(graph, b, shape[1], 0),
        graph.name(mean), graph.name(variance), output=step.made[0], epsilon=float(eps),
    )  # fmt: skip


def _group_norm(graph: Graph, step: Step) -> None:
    x, w, b, groups, eps = step.arguments
    shape = step.shapes[0]
    assert shape is not None
    ones, zeros = (graph.constant(np.full(groups, fill, np.float32)) for fill in (1, 0))
    grouped = graph.add(step, "Reshape", graph.name(x), graph.numbers(0, groups, -1))
    normal = graph.add(step, "InstanceNormalization", grouped, ones, zeros, epsilon=float(eps))
    y = graph.add(step, "Reshape", normal, graph.numbers(-1, *shape[1:]))
    for operator, vector in (("Mul", w), ("Add", b)):
        if vector is not None:
            column = graph.numbers(shape[1], *(1 for _ in shape[2:]))
            y = graph.add(step, operator, y, graph.add(step, "Reshape", graph.name(vector), column))
    graph.names[step.made[0]] = y


def _layer_norm(graph: Graph, step: Step) -> None:
    x, w, b, normalized, eps = step.arguments
    scale = graph.constant(np.ones(normalized, np.float32)) if w is None else graph.name(w)
    inputs = [graph.name(x), scale] + ([graph.name(b)] if b is not None else [])
    graph.add(
        step, "LayerNormalization", *inputs, output=step.made[0], axis=-len(normalized), epsilon=float(eps)
    )  # fmt: skip


def _local_response_norm(graph: Graph, step: Step) -> None:
    x, size, alpha, beta, k = step.arguments
    shape = step.shapes[0]
    assert shape is not None
    if size % 2 and len(shape) == 4:
        graph.add(
            step, "LRN", graph.name(x), output=step.made[0],
            size=size, alpha=float(alpha), beta=float(beta), bias=float(k),
        )  # fmt: skip
        return
    if len(shape) != 4:
        raise NotImplementedError(f"its input has shape {shape}, needs (N, C, H, W)")
    # The sum over neighbouring channels as a 1 × 1 convolution: ONNX Runtime knows odd sizes only.
    channels = np.arange(shape[1])
    distance = channels[None, :] - channels[:, None]  # of the summed channel from the output's
    near = (distance >= -(size // 2)) & (distance <= (size - 1) // 2)
    weight = graph.constant((near * (alpha / size)).astype(np.float32)[:, :, None, None])
    square = graph.add(step, "Mul", graph.name(x), graph.name(x))
    total = graph.add(step, "Add", graph.add(step, "Conv", square, weight), graph.constant(np.float32(k)))
    power = graph.add(step, "Pow", total, graph.constant(np.float32(beta)))
    graph.add(step, "Div", graph.name(x), power, output=step.made[0])


def _normalize(graph: Graph, step: Step) -> None:
    x, p, axes, eps = step.arguments
    if p not in (1, 2):
        raise NotImplementedError(f"p is {p}, needs 1 or 2")
    norm = graph.add(step, f"ReduceL{int(p)}", graph.name(x), graph.numbers(*axes), keepdims=1)
    limited = graph.add(step, "Max", norm, graph.constant(np.float32(eps)))
    graph.add(step, "Div", graph.name(x), limited, output=step.made[0])


def _softmax(operator: str) -> Writer:
    def write(graph: Graph, step: Step) -> None:
        x, axis = step.arguments
        if axis is None:
            raise NotImplementedError("its input has no axes")
        graph.add(step, operator, graph.name(x), output=step.made[0], axis=axis)

    return write


# Reductions


def _reduce(operator: str) -> Writer:
    def write(graph: Graph, step: Step) -> None:
        x, axes, keepdim = step.arguments[:3]
        if not axes:
            graph.add(step, "Identity", graph.name(x), output=step.made[0])
            return
        graph.add(step, operator, graph.name(x), graph.numbers(*axes), output=step.made[0], keepdims=int(keepdim))

    return write


def _var(graph: Graph, step: Step) -> None:
    x, axes, correction, keepdim = step.arguments
    shape = step.shapes[0]
    assert shape is not None
    if 0 in axes:  # the batch's size would stand in the file
        raise NotImplementedError("it reduces the batch")
    count = 1
    for axis in axes:
        count *= shape[axis]
    mean = graph.add(step, "ReduceMean", graph.name(x), graph.numbers(*axes), keepdims=1)
    deviation = graph.add(step, "Sub", graph.name(x), mean)
    square = graph.add(step, "Mul", deviation, deviation)
    total = graph.add(step, "ReduceSum", square, graph.numbers(*axes), keepdims=int(keepdim))
    y = graph.add(step, "Div", total, graph.constant(np.float32(count - correction)))
    graph.names[step.made[0]] = graph.add(step, "Sqrt", y) if step.operation == "Std" else y


def _extremum(operator: str, position: str) -> Writer:
    """Values and indices along one axis."""

    def write(graph: Graph, step: Step) -> None:
        x, axis, keepdim = step.arguments
        settings: dict[str, Any] = {"keepdims": int(keepdim)}
        graph.add(step, operator, graph.name(x), graph.numbers(axis), output=step.made[0], **settings)
        graph.add(step, position, graph.name(x), output=step.made[1], axis=axis, **settings)

    return write


def _position(operator: str) -> Writer:
    def write(graph: Graph, step: Step) -> None:
        x, axis, keepdim = step.arguments
        if axis is None:
            raise NotImplementedError("it has no dim")
        graph.add(step, operator, graph.name(x), output=step.made[0], axis=axis, keepdims=int(keepdim))

    return write


# Shapes


def _reshape(graph: Graph, step: Step) -> None:
    x, shape = step.arguments
    if list(shape).count(-1) > 1:
        raise NotImplementedError("two of its axes depend on the size of the batch")
    # A 0 would mean "as the input's" to ONNX, hence allowzero; it excludes −1.
    if 0 in shape:
        raise NotImplementedError(f"its result {shape} is empty")
    graph.add(step, "Reshape", graph.name(x), graph.numbers(*shape), output=step.made[0])


def _expand(graph: Graph, step: Step) -> None:
    x, shape = step.arguments
    source = step.shapes[0]
    assert source is not None
    sizes = []
    for position, size in enumerate(shape):
        own = position - (len(shape) - len(source))
        if size == -1 and (own < 0 or source[own] == 1):
            raise NotImplementedError("it repeats its input as often as the batch has items")
        sizes.append(1 if size == -1 else size)  # 1 leaves the axis as it is
    graph.add(step, "Expand", graph.name(x), graph.numbers(*sizes), output=step.made[0])


def _permute(graph: Graph, step: Step) -> None:
    x, dims = step.arguments
    graph.add(step, "Transpose", graph.name(x), output=step.made[0], perm=list(dims))


def _pad(graph: Graph, step: Step) -> None:
    x, widths, mode, value = step.arguments
    pads = graph.numbers(*(before for before, _ in widths), *(after for _, after in widths))
    modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    inputs = [graph.name(x), pads] + ([graph.constant(np.float32(value))] if mode == "constant" else [])
    graph.add(step, "Pad", *inputs, output=step.made[0], mode=modes[mode])


def _cat(graph: Graph, step: Step) -> None:
    axis, *xs = step.arguments
    graph.add(step, "Concat", *map(graph.name, xs), output=step.made[0], axis=axis)


def _split(graph: Graph, step: Step) -> None:
    x, sizes, axis = step.arguments
    start = 0
    for size, part in zip(sizes, step.made):
        bounds = [graph.numbers(number) for number in (start, start + size, axis)]
        graph.add(step, "Slice", graph.name(x), *bounds, output=part)
        start += size


def _flip(graph: Graph, step: Step) -> None:
    x, axes = step.arguments
    each = [graph.numbers(*(number for _ in axes)) for number in (-1, _BEGIN)]
    backwards = graph.numbers(*(-1 for _ in axes))
    graph.add(step, "Slice", graph.name(x), *each, graph.numbers(*axes), backwards, output=step.made[0])


def _index(graph: Graph, step: Step) -> None:
    """Slices in one step, then numbers taken out and new axes put in, then an array that chooses along one axis."""
    x, first, then = step.arguments
    y = graph.name(x)
    items = [item for item in first if item is not Ellipsis]
    old = [item for item in items if item is not None]
    slices = [(axis, item) for axis, item in enumerate(old) if isinstance(item, slice) and item != slice(None)]
    if slices:
        columns: list[list[int]] = [[], [], [], []]
        for axis, item in slices:
            step_size = 1 if item.step is None else item.step
            start = item.start if item.start is not None else 0 if step_size > 0 else _END
            stop = item.stop if item.stop is not None else _END if step_size > 0 else _BEGIN
            for column, number in zip(columns, (start, stop, axis, step_size)):
                column.append(number)
        y = graph.add(step, "Slice", y, *(graph.numbers(*column) for column in columns))
    for axis, item in reversed([*enumerate(old)]):
        if isinstance(item, int):
            y = graph.add(step, "Gather", y, graph.constant(np.array(item, np.int64)), axis=axis)
    added = [axis for axis, item in enumerate(i for i in items if not isinstance(i, int)) if item is None]
    if added:
        y = graph.add(step, "Unsqueeze", y, graph.numbers(*added))
    if then is not None:
        arrays = [(axis, item) for axis, item in enumerate(then) if isinstance(item, np.ndarray)]
        if len(arrays) != 1 or arrays[0][1].dtype.kind == "b":
            raise NotImplementedError("masks, and several arrays of indices")
        axis, chosen = arrays[0]
        y = graph.add(step, "Gather", y, graph.constant(chosen.astype(np.int64)), axis=axis)
    graph.names[step.made[0]] = y


OPERATIONS: dict[str, Writer] = {
    "Abs": _same("Abs"),
    "AdaptiveAvgPool2d": _adaptive_avg_pool2d,
    "AdaptiveMaxPool2d": _adaptive_max_pool2d,
    "Add": _same("Add", 2),
    "Amax": _reduce("ReduceMax"),
    "Amin": _reduce("ReduceMin"),
    "Argmax": _position("ArgMax"),
    "Argmin": _position("ArgMin"),
    "AvgPool2d": _avg_pool2d,
    "BatchNormEval": _batch_norm_eval,
    "Cast": _cast,
    "Cat": _cat,
    "Clamp": _clamp,
    "Clone": _same("Identity"),
    "Compare": _compare,
    "Conv2d": _conv2d,
    "ConvTranspose2d": _conv_transpose2d,
    "Div": _same("Div", 2),
    "Erf": _same("Erf"),
    "Exp": _same("Exp"),
    "Expand": _expand,
    "Flip": _flip,
    "GroupNorm": _group_norm,
    "Index": _index,
    "LayerNorm": _layer_norm,
    "LeakyReLU": _leaky_relu,
    "Linear": _linear,
    "LocalResponseNorm": _local_response_norm,
    "Log": _same("Log"),
    "Log1p": _log1p,
    "LogSoftmax": _softmax("LogSoftmax"),
    "LogSumExp": _reduce("ReduceLogSumExp"),
    "Matmul": _same("MatMul", 2),
    "Max": _extremum("ReduceMax", "ArgMax"),
    "MaxPool2d": _max_pool2d,
    "Maximum": _same("Max", 2),
    "Mean": _reduce("ReduceMean"),
    "Min": _extremum("ReduceMin", "ArgMin"),
    "Minimum": _same("Min", 2),
    "Mul": _same("Mul", 2),
    "Neg": _same("Neg"),
    "Normalize": _normalize,
    "Pad": _pad,
    "Permute": _permute,
    "Pow": _same("Pow", 2),
    "ReLU": _same("Relu"),
    "Reshape": _reshape,
    "Sigmoid": _same("Sigmoid"),
    "Softmax": _softmax("Softmax"),
    "Split": _split,
    "Sqrt": _same("Sqrt"),
    "Std": _var,
    "Sub": _same("Sub", 2),
    "Sum": _reduce("ReduceSum"),
    "Tanh": _same("Tanh"),
    "Var": _var,
    "Where": _same("Where", 3),
}

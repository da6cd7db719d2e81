"""`export_onnx`: a model as an ONNX file, which other programs run.

The model is run twice on the device that it is on, with batches of two and three, while its operations are recorded
(`tape.py`); each is then written as the ONNX operators that compute the same (`onnx_operations.py`). The axis whose
size differs is the batch, and stays open in the file.

Source: ONNX operator set 20, https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from .._files import write_atomically
from .._tensor import Tensor
from ..errors import CheckpointError, DTypeError, MinicnnError, ShapeError
from ..nn import Module
from .files import checked_path
from .onnx_operations import OPERATIONS, Graph
from .tape import Constant, Recording, Step, Value, record

OPERATOR_SET = 20
FORMAT_VERSION = 9  # the oldest that has this operator set
BATCH = "N"


def export_onnx(model: Module, example_input: Tensor, path: str | os.PathLike[str]) -> None:
    """Write a model in eval mode, with its weights, as an ONNX file, whole or not at all.

    `example_input` is a batch (N, …) of float32, of any N ≥ 1; the file takes batches of any size, and pictures of
    the example's. Input and output are called "input" and "output" ("output_0", … of several). Modes and weights of
    the model stay as they are. Needs the package onnx: `pip install minicnn[onnx]`.
    Raises CheckpointError, naming the operation, for one that cannot be written, for a model that computes with numbers
    behind the tape's back, and when the disk refuses; DTypeError for an input that is not float32.
    """
    try:
        import onnx
    except ImportError:
        raise CheckpointError("export_onnx: needs the package onnx; pip install minicnn[onnx]") from None
    where = checked_path("export_onnx", path)
    batches = _batches(model, example_input)
    first, second = (record(model, batch, _error) for batch in batches)
    graph = _graph(first, second)
    inputs = [onnx.helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, [BATCH, *batches[0].shape[1:]])]
    outputs = []
    for position, (value, shapes) in enumerate(zip(first.outputs, zip(first.shapes, second.shapes))):
        name = "output" if len(first.outputs) == 1 else f"output_{position}"
        if isinstance(value, Constant):
            raise _error("an output does not depend on the input")
        graph.name_output(value, name)
        sizes = [BATCH if a != b else a for a, b in zip(*shapes)]
        outputs.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sizes))
    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            [onnx.helper.make_node(n.operator, n.inputs, n.outputs, n.name, **n.attributes) for n in graph.nodes],
            type(model).__name__, inputs, outputs,
            [onnx.numpy_helper.from_array(array, name) for name, array in graph.initialisers.items()],
        ),
        producer_name="minicnn", ir_version=FORMAT_VERSION,
        opset_imports=[onnx.helper.make_operatorsetid("", OPERATOR_SET)],
    )  # fmt: skip
    try:
        onnx.checker.check_model(made, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        text = str(error).strip().splitlines()[0]
        raise _error(f"the operations of this model do not make a valid ONNX graph: {text}"[:400]) from None
    try:
        write_atomically(where, made.SerializeToString(), sync=True)
    except OSError as error:
        raise CheckpointError(f"export_onnx: cannot write {where}: {error.strerror or error}") from None


def _error(text: str) -> MinicnnError:
    return CheckpointError(f"export_onnx: {text}")


def _batches(model: Module, example: Tensor) -> tuple[Any, Any]:
    """Return a batch of two and one of three with other numbers, both made of the example."""
    if not isinstance(model, Module):
        raise DTypeError(f"export_onnx: model must be an nn.Module, got {type(model).__name__}")
    if not isinstance(example, Tensor):
        raise DTypeError(f"export_onnx: example_input must be a Tensor, got {type(example).__name__}")
    if example.ndim == 0 or example.shape[0] < 1:
        raise ShapeError(f"export_onnx: example_input has shape {example.shape}, needs a batch (N, …)")
    for name, tensor in (("example_input", example), *model.named_parameters()):
        if tensor.dtype != np.float32:
            raise DTypeError(f"export_onnx: {name} is {tensor.dtype}, needs float32; convert it with .float()")
        if tensor.device not in ("cpu", "reference"):
            raise DTypeError(f"export_onnx: {name} is on {tensor.device}, needs cpu; move it with .to('cpu')")
    first = example.numpy()[:1]
    return np.repeat(first, 2, axis=0), np.repeat(first[..., ::-1] * np.float32(0.75), 3, axis=0)


def _graph(first: Recording, second: Recording) -> Graph:
    """Return the ONNX nodes for what both recordings have in common."""
    graph = Graph()
    names = [step.operation for step in first.steps]
    if names != [step.operation for step in second.steps]:
        raise _error("the model does not run the same operations for every batch")
    for step, other in zip(first.steps, second.steps):
        write: Callable[[Graph, Step], None] | None = OPERATIONS.get(step.operation)
        place = f" ({step.place})" if step.place else ""
        if write is None:
            raise _error(f"the operation {step.operation}{place} has no counterpart in ONNX here")
        for position, (a, b) in enumerate(zip(step.arguments, other.arguments)):
            step.arguments[position] = _common(a, b, f"{step.operation}{place}")
        try:
            write(graph, step)
        except NotImplementedError as reason:
            raise _error(f"the operation {step.operation}{place} cannot be written: {reason}") from None
    return graph


def _common(a: Any, b: Any, where: str) -> Any:
    """Return an argument as it is for both batches, −1 in a shape where they differ. Raises what `_error` gives."""
    if isinstance(a, Constant) and isinstance(b, Constant):
        if a.array.shape == b.array.shape and np.array_equal(a.array, b.array, equal_nan=a.array.dtype.kind == "f"):
            return a
        raise _error(f"{where} gets numbers that depend on the input, but were not computed on the tape")
    if isinstance(a, Value) or isinstance(b, Value) or isinstance(a, Constant) or isinstance(b, Constant):
        if a == b:
            return a
        raise _error(f"{where} does not get the same values for every batch")
    if (
        isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b)
        and all(type(n) is int for n in (*a, *b)) and where.startswith(("Reshape", "Expand"))
    ):  # fmt: skip
        return tuple(m if m == n else -1 for m, n in zip(a, b))
    if repr(a) != repr(b):  # slices and arrays in tuples compare badly
        raise _error(f"{where} has an argument that depends on the size of the batch")
    return a

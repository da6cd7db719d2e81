"""`mc.summary(model, input_shape)`: what a model is made of, layer by layer, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _inplace, _watch
from ._receptive import Tracker
from ._tensor import Tensor
from .autograd import no_grad
from .errors import DTypeError
from .ops import arguments

if TYPE_CHECKING:
    from .nn import Module

Shape = tuple[int, ...]


@dataclass
class Row:
    """One layer: a module that has parameters of its own or computes something itself."""

    name: str  # layers.0.conv1; the model itself is ""
    kind: str  # Conv2d
    output_shape: Shape = ()  # of its last call
    parameters: int = 0
    multiply_adds: int = 0  # of all calls together
    bytes: int = 0  # of its output, 0 if that is its input's memory
    receptive_field: tuple[int, int] | None = None  # rows and columns of the picture that an output can depend on


@dataclass
class Summary:
    """What `mc.summary` found; `print` shows it as a table.

    `parameters` counts a shared parameter once; `parameter_bytes` holds the buffers, too; `output_bytes` is what a
    training step keeps of the layers' outputs at least.
    """

    model: str
    input_shape: Shape
    rows: list[Row] = field(default_factory=list)
    parameters: int = 0
    trainable: int = 0
    parameter_bytes: int = 0

    @property
    def multiply_adds(self) -> int:
        """Multiplications and additions (one of each counts as one) of a forward pass of the whole batch."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def output_bytes(self) -> int:
        """The memory of all outputs together."""
        return sum(row.bytes for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON knows it."""
        return {
            "model": self.model, "input_shape": list(self.input_shape), "parameters": self.parameters,
            "trainable": self.trainable, "multiply_adds": self.multiply_adds,
            "parameter_bytes": self.parameter_bytes, "output_bytes": self.output_bytes,
            "layers": [
                {**vars(row), "output_shape": list(row.output_shape),
                 "receptive_field": None if row.receptive_field is None else list(row.receptive_field)}
                for row in self.rows
            ],
        }  # fmt: skip

    def __str__(self) -> str:
        head = ("layer", "output shape", "parameters", "multiply-adds", "memory", "receptive field")
        body = [
            (f"{r.name} ({r.kind})" if r.name else r.kind, str(r.output_shape), f"{r.parameters:,}",
             f"{r.multiply_adds:,}", _megabytes(r.bytes), _field(r.receptive_field))
            for r in self.rows
        ]  # fmt: skip
        widths = [max(len(line[i]) for line in (head, *body)) for i in range(len(head))]

        def line(cells: Sequence[str]) -> str:
            left = [cell.ljust(width) for cell, width in zip(cells[:2], widths)]
            return "  ".join([*left, *(cell.rjust(width) for cell, width in zip(cells[2:], widths[2:]))])

        rule = "-" * len(line(head))
        return "\n".join([
            f"{self.model}, input {self.input_shape}", rule, line(head), rule, *map(line, body), rule,
            f"parameters {self.parameters:,} (trainable {self.trainable:,}), {_megabytes(self.parameter_bytes)}; "
            f"multiply-adds {self.multiply_adds:,}; outputs {_megabytes(self.output_bytes)}",
        ])  # fmt: skip


def summary(model: Module, input_shape: Sequence[int]) -> Summary:
    """Return the layers of a model, in the order of their first call, for an input of this shape.

    `input_shape` is that of a batch, (N, C, H, W), or of one picture, (C, H, W), which becomes a batch of 1. The
    model is called once with zeros in eval mode; nothing of it changes. Multiply-adds are those of convolutions
    and matrix products, which are all but a few percent of the work. The receptive field is how many rows and columns
    of pictures (N, C, H, W) one output can depend on; near a border a part of them lies outside the picture, and it is
    None behind an operation through which it is not followed, such as one of your own.
    Raises DTypeError for what is no module, and what the layers raise for a shape that does not fit.
    """
    from .nn import Module

    if not isinstance(model, Module):
        raise DTypeError(f"summary: model must be an nn.Module, got {type(model).__name__}")
    shape = arguments.sizes("summary", "input_shape", (input_shape,))
    shape = (1, *shape) if len(shape) == 3 else shape
    parameters = list(model.parameters())
    first = parameters[0] if parameters else Tensor(0.0)
    x = Tensor(np.zeros(shape, first.dtype), device=first.device)
    counter = _Counter(model, Tracker(x.data) if x.ndim == 4 else None)
    modes = [(module, module.training) for module in model.modules()]
    handles = [module.register_forward_hook(counter.called) for module in model.modules()]
    _watch.watchers.append(counter)
    try:
        with no_grad():
            model.eval()(x)
    finally:
        _watch.watchers.remove(counter)
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training
    return Summary(
        type(model).__name__, shape, list(counter.rows.values()),
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        parameter_bytes=sum(t.data.nbytes for t in (*parameters, *model.buffers())),
    )  # fmt: skip


# Operation -> multiply-adds, from the arrays that go in and the one that comes out
MULTIPLY_ADDS: dict[str, Callable[[tuple[Any, ...], Any], int]] = {
    # each output number is a sum over a window of C/G · KH · KW
    "Conv2d": lambda arrays, y: y.size * math.prod(arrays[1].shape[1:]),
    # each input number goes into O/G · KH · KW places
    "ConvTranspose2d": lambda arrays, y: arrays[0].size * math.prod(arrays[1].shape[1:]),
    "Linear": lambda arrays, y: y.size * arrays[1].shape[1],
    "Matmul": lambda arrays, y: y.size * arrays[0].shape[-1],
}


class _Counter:
    """A watcher of the tape and a forward hook: gives every operation to the innermost module at work."""

    def __init__(self, model: Module, fields: Tracker | None) -> None:
        self.fields = fields
        self.names = {module: name for name, module in model.named_modules()}
        self.rows: dict[Module, Row] = {}

    def forward(self, ctx: Any, arrays: tuple[Any, ...], run: Callable[[], Any]) -> Any:
        """Count an operation."""
        y = run()
        row = self._row(_watch.modules[-1])
        count = MULTIPLY_ADDS.get(type(ctx).__name__)
        if count is not None:
            row.multiply_adds += count(arrays, y)
        if self.fields is not None:
            self.fields.operation(type(ctx).__name__, arrays, y)
        return y

    def backward(self, ctx: Any, gradients: tuple[Any, ...], run: Callable[[], Any]) -> Any:
        """There is no backward pass here."""
        return run()

    def called(self, module: Module, inputs: tuple[Any, ...], output: Any) -> None:
        """Note what a module returned, if it is a layer."""
        has_parts = any(True for _ in module.children())
        if has_parts and module not in self.rows and not any(True for _ in module.parameters(recurse=False)):
            return
        row = self._row(module)
        if isinstance(output, Tensor):
            memory = [_inplace.owner(x.data) for x in inputs if isinstance(x, Tensor)]
            is_new = all(_inplace.owner(output.data) is not array for array in memory)  # Flatten's is a view
            row.output_shape, row.bytes = output.shape, output.data.nbytes if is_new else 0
            row.receptive_field = None if self.fields is None else self.fields.field(output.data)

    def _row(self, module: Module) -> Row:
        if module not in self.rows:
            own = sum(p.numel() for p in module.parameters(recurse=False))
            self.rows[module] = Row(self.names[module], type(module).__name__, parameters=own)
        return self.rows[module]


def _field(field: tuple[int, int] | None) -> str:
    return "-" if field is None else f"{field[0]} x {field[1]}"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.2f} MB"

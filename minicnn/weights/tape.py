"""Recording which operations a model runs, and on what: the tape as a list, for writing it in another language.

A model is run on two batches of different sizes and different numbers. What is the same in both is written down as it
is; a size that differs is the batch's; a constant that differs was computed from the input behind the tape's back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _inplace, _watch
from .._tensor import Tensor, wrap
from ..autograd import no_grad
from ..errors import MinicnnError
from ..nn import Module

Array = Any


@dataclass(frozen=True)
class Value:
    """An array on the tape: the input (`number` 0), or what a step has made."""

    number: int


@dataclass(frozen=True)
class Constant:
    """An array that nothing on the tape has made; `name` is its name in the state dict, or ''."""

    array: Array
    name: str


@dataclass
class Step:
    """One operation: its class's name, its arguments, and the values it makes; shapes of arrays stand beside."""

    operation: str
    place: str
    arguments: list[Any]
    shapes: list[tuple[int, ...] | None]
    made: list[Value]


class Recorder:
    """A watcher of the tape that keeps its steps."""

    def __init__(self, input: Array, names: dict[int, str]) -> None:
        self.steps: list[Step] = []
        self._values: dict[int, Value] = {id(input): Value(0)}
        self._names = names
        self._alive: list[Any] = [input]  # an id stands for an object only as long as that lives
        self._count = 1

    def forward(self, ctx: Any, arrays: tuple[Any, ...], run: Callable[[], Any]) -> Any:
        """Run an operation and write it down."""
        arguments = [self.known(array) for array in arrays]
        shapes = [getattr(array, "shape", None) for array in arrays]
        result = run()
        outputs = result if isinstance(result, tuple) else (result,)
        made = []
        for output in outputs:
            made.append(Value(self._count))
            self._values[id(output)] = made[-1]
            self._alive.append(output)
            self._count += 1
        place = _watch.module_path().partition(" ")[0]
        name = type(ctx).__name__
        self.steps.append(Step(name, place, arguments, shapes, made))
        return result

    def backward(self, ctx: Any, gradients: tuple[Any, ...], run: Callable[[], Any]) -> Any:
        """Run an operation's backward pass."""
        return run()

    def known(self, argument: Any) -> Any:
        """Return an array as Value or Constant, anything else as it is."""
        if not isinstance(argument, np.ndarray):
            return argument
        if id(argument) in self._values:
            return self._values[id(argument)]
        self._alive.append(argument)
        return Constant(argument, self._names.get(id(argument), ""))


@dataclass
class Recording:
    """What a model did with one batch."""

    steps: list[Step]
    outputs: list[Any]
    shapes: list[tuple[int, ...]]


def record(model: Module, input: Array, error: Callable[[str], MinicnnError]) -> Recording:
    """Run a model in eval mode on a batch and return its steps. Raises `error(text)` for what is no tape."""
    names: dict[int, str] = {}
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        names.setdefault(id(tensor.data), name)
    recorder = Recorder(input, names)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    clock = _inplace.clock
    _watch.watchers.append(recorder)
    try:
        with no_grad():
            result = model(wrap(input, _device_of(model), None, 0))
    finally:
        _watch.watchers.remove(recorder)
        for module, mode in modes:
            module.training = mode
    if _inplace.clock != clock:
        raise error("the model changes a tensor in place, which cannot be written down")
    outputs: Sequence[Any] = result if isinstance(result, (tuple, list)) else (result,)
    if not outputs or not all(isinstance(output, Tensor) for output in outputs):
        raise error(f"the model returns {type(result).__name__}, needs a tensor or a tuple of tensors")
    known = [recorder.known(output.data) for output in outputs]
    return Recording(recorder.steps, known, [output.shape for output in outputs])


def _device_of(model: Module) -> Any:
    tensors = [*model.parameters(), *model.buffers()]
    if tensors:
        return tensors[0].device
    from .._device import current_device

    return current_device()

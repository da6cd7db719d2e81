"""What an exercise consists of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import _device
from .._tensor import Tensor, tensor
from ..autograd import no_grad

Array = Any
Arguments = list[Any]


def _whole(_: Arguments) -> str:
    return "forward"


def _nothing(_: Arguments) -> None:
    return None


def _no_idea(_: Array, __: Arguments) -> str:
    return ""


def _always(_: Arguments) -> bool:
    return True


@dataclass(frozen=True)
class Exercise:
    """A layer to be written, and what is known about it.

    `mistakes` are usual wrong results, in words: (what was done, what would come out), for telling a student which
    one it was; `recognise` finds those that depend on what came. `slips` are usual wrong gradients, each as a function
    of Tensors that has this gradient: one in which a part counts as constant. `part` names what a case is a test of,
    `updates` gives the entries that forward must write into its dictionary, and `differentiated` says whether the
    backward pass is asked for a case.
    """

    name: str
    teaches: str
    arguments: tuple[str, ...]
    gradients: tuple[str, ...]
    reference: Callable[..., Array]
    cases: Callable[[np.random.Generator], list[Arguments]]
    mistakes: tuple[tuple[str, Callable[..., Array]], ...] = ()
    parts: tuple[str, ...] = ("forward",)
    part: Callable[[Arguments], str] = _whole
    updates: Callable[[Arguments], dict[str, Array] | None] = _nothing
    differentiated: Callable[[Arguments], bool] = _always
    single: bool = False  # one function that gives the loss and its gradient, instead of a pair
    recognise: Callable[[Array, Arguments], str] = _no_idea
    slips: tuple[tuple[str, Callable[..., Tensor]], ...] = ()

    @property
    def forward(self) -> str:
        """The name of the student's forward function."""
        return self.name if self.single else f"{self.name}_forward"

    @property
    def backward(self) -> str:
        """The name of the student's backward function; the forward function's own if there is one function."""
        return self.name if self.single else f"{self.name}_backward"

    @property
    def all_parts(self) -> tuple[str, ...]:
        """The parts of the mark, a point for each."""
        return (*self.parts, *self.gradients)

    @property
    def stub(self) -> str:
        """The text of the file that a student gets."""
        return (Path(__file__).parent / "stubs" / f"{self.name}.py").read_text(encoding="utf-8")


def computed(operation: Callable[..., Tensor], *arrays: Array, **options: Any) -> Array:
    """Return what an operation of minicnn gives for arrays, by its definition in plain NumPy."""
    with _device.use_device("reference"), no_grad():
        return operation(*(a if a is None else tensor(a) for a in arrays), **options).numpy()


def slopes(function: Callable[..., Tensor], arguments: Arguments, dout: Array) -> list[Array]:
    """Return the gradients of a function of Tensors with respect to the arrays of floats among its arguments."""
    with _device.use_device("reference"):
        given = [tensor(a, requires_grad=True) if _is_float(a) else a for a in arguments]
        out = function(*given)
        out.backward(tensor(np.asarray(dout).reshape(out.shape)))
        return [np.zeros(t.shape) if t.grad is None else t.grad.numpy() for t in given if isinstance(t, Tensor)]


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"

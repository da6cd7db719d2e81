"""What is checked, brought to one form: arrays in, arrays out, and gradients.

Three forms come in: a function of Tensors, an `nn.Module` (known by its `named_parameters`), and a plain NumPy
pair. All become a `Subject`, and the rest of the checker knows nothing else. A `Subject` never lets the caller's
arrays out of its hands: every call gets copies, in the memory layout of the given arrays.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

import numpy as np

from .report import Diagnosis
from .state import Replay

Array = Any


class Fault(Exception):
    """What is checked did something wrong that leaves no numbers to compare."""

    def __init__(self, kind: str, text: str, gradient: str = "", evidence: str = "") -> None:
        super().__init__(text)
        self.diagnosis = Diagnosis(kind, text, evidence, gradient)


class Subject:
    """The base of the three forms: values in float64, outputs and gradients at other values.

    `faults` collects what is wrong in itself (an input changed in place), `notes` what is worth saying.
    """

    names: list[str]
    values: list[Array]  # as given, in their own type and layout
    wide = True  # the numbers are computed in float64, whatever came
    composed = False  # whether it is known to be made of several operations
    backward_draws = False  # whether the backward pass has used a random generator

    def __init__(self, *replayed: Any) -> None:
        self._native = False
        self.faults: list[Diagnosis] = []
        self.notes: list[str] = []
        self.state = Replay(*replayed)

    def outputs(self, values: Sequence[Array]) -> list[Array]:
        """Return the float outputs at these values, in float64."""
        raise NotImplementedError

    def gradients(self, values: Sequence[Array], cotangents: Sequence[Array]) -> list[Any]:
        """Return what the backward pass gives for each value: an array, or None for no path."""
        raise NotImplementedError

    def primitives(self, values: Sequence[Array]) -> list[tuple[str, Subject]]:
        """Return the single operations of a composition, as subjects at the values that they get; none if unknown."""
        return []

    def blame(self, kind: str, text: str, gradient: str = "", evidence: str = "") -> None:
        """Remember a fault, once."""
        fault = Diagnosis(kind, text, evidence, gradient)
        if fault not in self.faults:
            self.faults.append(fault)

    def note(self, text: str) -> None:
        """Remember something worth saying, once."""
        if text not in self.notes:
            self.notes.append(text)

    @property
    def epsilon(self) -> float:
        """The relative rounding error of one operation."""
        return float(np.finfo(np.float64 if self.wide else np.float32).eps)

    def cast(self, value: Array, former: Array) -> Array:
        """Return a value in the type in which it is computed; `former` is the array that it stands for."""
        return np.asarray(value, former.dtype if self._native else np.float64 if self.wide else np.float32)

    @contextmanager
    def as_given(self) -> Iterator[None]:
        """Compute in the types that came, not in float64."""
        self._native = True
        try:
            yield
        finally:
            self._native = False


def is_float(value: Any) -> bool:
    """Return whether a value is an array of floats."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def as_list(result: Any) -> list[Any]:
    """Return one result or several as a list."""
    if isinstance(result, dict):
        return list(result.values())
    return list(result) if isinstance(result, (tuple, list)) else [result]


def float_outputs(outputs: Sequence[Any]) -> list[Array]:
    """Return the float outputs among all, in float64; whole numbers and bools have no gradient."""
    arrays = [np.asarray(o.get() if hasattr(o, "get") else o) for o in outputs if o is not None]
    for a in arrays:
        if a.dtype.kind not in "fiub":
            raise Fault("wrong type", f"the function returned {a.dtype}, an output must be an array of numbers")
    return [a.astype(np.float64, copy=False) for a in arrays if a.dtype.kind == "f"]


@contextmanager
def blamed(what: str) -> Iterator[None]:
    """Turn an error inside what is checked into a finding."""
    try:
        with np.errstate(all="ignore"):
            yield
    except Fault:
        raise
    except (Exception, SystemExit) as error:  # a student's file may call exit()
        text = str(error).strip() or "no message"
        raise Fault("error", f"{what} raised {type(error).__name__}: {text}", evidence=_line(error)) from error


def _line(error: BaseException) -> str:
    """Return the last line of the user's own code that an error went through."""
    trace, found = error.__traceback__, ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if "site-packages" not in file and "gradient_checking" not in file:
            found = f"{PurePath(file).name}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return found


def input_names(function: Callable[..., Any], count: int) -> list[str]:
    """Return what the function calls its arguments, or `inputs[i]`; for people to read only."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    plain = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return plain[:count] if len(plain) >= count else [f"inputs[{i}]" for i in range(count)]

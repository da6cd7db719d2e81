"""What is checked, brought to one form: arrays in, arrays out, and gradients.

Three forms come in: a function of Tensors, an `nn.Module` (known by its `named_parameters`), and a plain NumPy
pair. All become a `Subject`, and the rest of the checker knows nothing else.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from .layout import like
from .report import Diagnosis

Array = Any


class Fault(Exception):
    """What is checked did something that is wrong before any number is compared."""

    def __init__(self, kind: str, text: str, gradient: str = "") -> None:
        super().__init__(text)
        self.diagnosis = Diagnosis(kind, text, gradient=gradient)


class Subject(Protocol):
    """Something with values, outputs and gradients, all in float64."""

    names: list[str]
    values: list[Array]

    def outputs(self, values: Sequence[Array]) -> list[Array]:
        """Return the float outputs at these values."""

    def gradients(self, values: Sequence[Array], cotangents: Sequence[Array]) -> list[Any]:
        """Return what the backward pass gives for each value: an array, or None for no path."""


def subject(function: Any, inputs: Any, backward: Any) -> Subject:
    """Return the one form for whatever is checked."""
    given = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    return Recorded(function, given) if backward is None else Pair(function, given, backward)


def _is_float(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.floating)) and value.dtype.kind == "f"


@contextmanager
def _blamed(what: str) -> Iterator[None]:
    """Turn an error inside what is checked into a finding."""
    try:
        yield
    except Fault:
        raise
    except Exception as error:
        raise Fault("error", f"{what} raised {type(error).__name__}: {error}") from error


class Pair:
    """A plain NumPy pair, in either course style.

    function(*arrays) → out          with backward(dout, *arrays) → gradients
    forward(*arrays) → (out, cache)  with backward(dout, cache) → gradients
    """

    def __init__(self, function: Callable[..., Any], given: list[Any], backward: Callable[..., Any]) -> None:
        self.function, self.backward, self.given = function, backward, given
        self.places = [i for i, value in enumerate(given) if _is_float(value)]
        self.names = [f"inputs[{i}]" for i in self.places]
        self.values = [np.asarray(given[i]) for i in self.places]
        self._cached: bool | None = None

    def _arguments(self, values: Sequence[Array]) -> list[Any]:
        arguments = [copy.deepcopy(g) for g in self.given]
        for place, value, former in zip(self.places, values, self.values):
            arguments[place] = like(np.asarray(value, np.float64), former)
        return arguments

    def _forward(self, arguments: list[Any]) -> tuple[list[Any], Any]:
        with _blamed("the function"):
            result = self.function(*arguments)
        if isinstance(result, (tuple, list)) and len(result) == 2:
            return [result[0]], result[1]
        return [result], None

    def outputs(self, values: Sequence[Array]) -> list[Array]:
        outputs, _ = self._forward(self._arguments(values))
        return _float_outputs(outputs)

    def gradients(self, values: Sequence[Array], cotangents: Sequence[Array]) -> list[Any]:
        arguments = self._arguments(values)
        with _blamed("the function"):
            result = self.function(*arguments)
        with _blamed("backward"):
            if isinstance(result, (tuple, list)) and len(result) == 2:
                found = self.backward(cotangents[0].copy(), result[1])
            else:
                found = self.backward(cotangents[0].copy(), *arguments)
        gradients = list(found) if isinstance(found, (tuple, list)) else [found]
        if len(gradients) == len(self.places):
            return gradients
        if len(gradients) == len(self.given) > len(self.places):
            return [gradients[i] for i in self.places]
        raise Fault(
            "wrong shape",
            f"backward returned {len(gradients)} gradients, there are {len(self.places)} float inputs",
        )


class Recorded:
    """A function of Tensors or an `nn.Module`, whose gradients come from the tape."""

    def __init__(self, function: Any, given: list[Any]) -> None:
        from .. import _tensor

        self.function = function
        self.given = [g if not _is_float(g) else _tensor.Tensor(g) for g in given]
        self.inputs = [i for i, g in enumerate(self.given) if isinstance(g, _tensor.Tensor) and g.dtype.kind == "f"]
        parameters = list(function.named_parameters()) if hasattr(function, "named_parameters") else []
        self.parameters = [(n, p) for n, p in parameters if p.requires_grad]
        self.names = [f"inputs[{i}]" for i in self.inputs] + [n for n, _ in self.parameters]
        self.values = [self.given[i].numpy() for i in self.inputs] + [p.numpy() for _, p in self.parameters]

    @contextmanager
    def _at(self, values: Sequence[Array]) -> Iterator[tuple[list[Any], list[Any]]]:
        """Give the arguments at these values, and the leaves among them; parameters come back afterwards."""
        from .._device import put
        from .._tensor import wrap

        arguments, leaves = list(self.given), []
        arrays = [like(np.asarray(v, np.float64), former) for v, former in zip(values, self.values)]
        for place, array in zip(self.inputs, arrays):
            where = self.given[place].device
            leaf = arguments[place] = wrap(put(array, where), where, None, 0)
            leaf.requires_grad = True
            leaves.append(leaf)
        former_data = [p.data for _, p in self.parameters]
        try:
            for (_, p), array in zip(self.parameters, arrays[len(self.inputs) :]):
                p.data = put(array, p.device)
                leaves.append(p)
            yield arguments, leaves
        finally:
            for (_, p), data in zip(self.parameters, former_data):
                p.data = data

    def outputs(self, values: Sequence[Array]) -> list[Array]:
        from ..autograd import no_grad

        with self._at(values) as (arguments, _), no_grad(), _blamed("the function"):
            outputs = _listed(self.function(*arguments))
            return _float_outputs([getattr(o, "data", o) for o in outputs])

    def gradients(self, values: Sequence[Array], cotangents: Sequence[Array]) -> list[Any]:
        from .._device import put
        from .._tensor import wrap
        from ..autograd import grad

        with self._at(values) as (arguments, leaves):
            with _blamed("the function"):
                outputs = _listed(self.function(*arguments))
            floats = [o for o in outputs if o.dtype.kind == "f"]
            seeds = [wrap(put(c, o.device), o.device, None, 0) for o, c in zip(floats, cotangents)]
            recorded = [(o, s) for o, s in zip(floats, seeds) if o.requires_grad]
            if not recorded:
                return [None] * len(leaves)
            with _blamed("backward"):
                found = grad([o for o, _ in recorded], leaves, [s for _, s in recorded], allow_unused=True)
        return [None if g is None else g.numpy() for g in found]


def _listed(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (tuple, list)) else [result]


def _float_outputs(outputs: list[Any]) -> list[Array]:
    arrays = [np.asarray(o.get() if hasattr(o, "get") else o) for o in outputs]
    return [np.asarray(a, np.float64) for a in arrays if a.dtype.kind == "f"]

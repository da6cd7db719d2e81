"""Plain NumPy pairs, in both course styles."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .layout import like
from .nested import Nesting, flattened
from .subject import Fault, Subject, as_list, blamed, float_outputs, input_names, is_float

Array = Any


class Pair(Subject):
    """A forward and a backward function of arrays.

    function(*arrays) → out          with backward(dout, *arrays) → gradients
    forward(*arrays) → (out, cache)  with backward(dout, cache) → gradients

    Arguments that are no float arrays (strides, labels, dictionaries) go along unchanged, as copies.
    """

    def __init__(self, function: Callable[..., Any], given: list[Any], backward: Callable[..., Any]) -> None:
        super().__init__(function, backward, given)
        self.nesting = Nesting(given)
        names = self.nesting.names(input_names(function, len(given)))
        self.takes = len(given)
        self.function, self.backward, self.given = function, backward, self.nesting.flat(given)
        given = self.given
        self.places = [i for i, value in enumerate(given) if is_float(value)]
        self.names = [names[i] for i in self.places]
        self.values = [given[i] for i in self.places]
        self._watched_calls = 8  # in-place changes show in the first calls; then looking for them is left out

    def outputs(self, values: Sequence[Array]) -> list[Array]:
        out, _, _ = self._forward(values)
        return float_outputs(out)

    def gradients(self, values: Sequence[Array], cotangents: Sequence[Array]) -> list[Any]:
        self.state.rewind()
        watched = self._watched_calls > 0
        out, cache, arguments = self._forward(values, rewind=False)
        before = copy.deepcopy(arguments)
        queue = list(cotangents)
        douts = [self._cotangent(o, queue) for o in out]
        sent = [d.copy() for d in douts]
        states = self.state.states() if watched else []
        with blamed("backward"):
            found = self.backward(*self._sent(douts, cache, arguments))
        self.backward_draws |= watched and self.state.moved_since(states)
        for former, now in zip(sent, douts):
            if not _equal(former, now):
                text = "backward changes dout in place; work on a copy"
                self.blame("in-place change", text, evidence="dout differs after the call")
        self._compare_arguments("backward", before, arguments)
        return self._matched(found)

    def _sent(self, douts: list[Array], cache: Any, arguments: list[Any]) -> list[Any]:
        """Return the arguments for backward: dout (several as a tuple, or one by one), then the inputs or the cache.

        A backward pass of dout alone belongs to an object that keeps what it needs.
        """
        rest = self.nesting.build(arguments) if cache is _NONE else [cache[0]]
        takes = _required(self.backward)
        if takes == 1 and rest and _most(self.backward) == 1:
            rest = []
        if len(douts) > 1 and takes == len(douts) + len(rest):
            return [*douts, *rest]
        return [douts[0] if len(douts) == 1 else tuple(douts), *rest]

    def _forward(self, values: Sequence[Array], rewind: bool = True) -> tuple[list[Any], Any, list[Any]]:
        if rewind:
            self.state.rewind()
        arguments = [copy.deepcopy(g) if not is_float(g) else g for g in self.given]
        for place, value, former in zip(self.places, values, self.values):
            arguments[place] = like(self.cast(value, former), former)
        watched, self._watched_calls = self._watched_calls > 0, self._watched_calls - 1
        before = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments] if watched else []
        with blamed("the function"):
            result = self.function(*self.nesting.build(arguments))
        self._compare_arguments("the function", before, arguments)
        if result is None:
            raise Fault("error", "the function returned None; it must return its result (or result and cache)")
        if isinstance(result, (tuple, list)) and len(result) == 2 and not self._two_outputs(result):
            return as_list(result[0]), (result[1],), arguments
        return as_list(result), _NONE, arguments

    def _two_outputs(self, result: Any) -> bool:
        """Return whether a tuple of two is two outputs, and not a result with its cache."""
        if not all(isinstance(r, np.ndarray) and r.dtype.kind in "fiub" for r in result):
            return False
        needs = _required(self.backward)
        return needs is not None and needs > 2 and needs in (1 + self.takes, 2 + self.takes)

    def _cotangent(self, out: Any, queue: list[Array]) -> Array:
        array = np.asarray(out)
        if array.dtype.kind == "f" and queue:
            return self.cast(queue.pop(0), array).copy()
        return np.zeros(array.shape)

    def _compare_arguments(self, who: str, before: list[Any], after: list[Any]) -> None:
        for i, (former, now) in enumerate(zip(before, after)):
            if isinstance(former, np.ndarray) and not _equal(former, now):
                name = self.names[self.places.index(i)] if i in self.places else f"inputs[{i}]"
                self.blame(
                    "in-place change",
                    f"{who} changes its input {name} in place; work on a copy",
                    evidence=f"{name} differs after the call",
                )

    def _matched(self, found: Any) -> list[Any]:
        """Return one gradient for each float input."""
        if isinstance(found, dict):
            found = self._by_name(found)
        gradients = list(found) if isinstance(found, Iterator) else as_list(found)
        if self.nesting:
            gradients = flattened(gradients)
        if len(gradients) == len(self.places):
            return gradients
        arrays = [i for i, g in enumerate(self.given) if isinstance(g, np.ndarray)]
        for owners in (range(len(self.given)), arrays):
            if len(gradients) == len(owners):
                return [g for i, g in zip(owners, gradients) if i in self.places]
        extra = gradients[len(self.places) :]
        if len(gradients) > len(self.places) and all(g is None for g in extra):
            return gradients[: len(self.places)]
        if len(gradients) < len(self.places):  # the last ones may be constants, like targets
            return gradients + [_MISSING] * (len(self.places) - len(gradients))
        raise Fault(
            "wrong number of gradients",
            f"backward returned {len(gradients)} gradients, the function has {len(self.places)} float inputs",
        )

    def _by_name(self, found: dict[Any, Any]) -> list[Any]:
        """Return the gradients of a dictionary whose keys are the inputs' names, dx, d_x, grad_x or x_grad."""
        keys = {str(key).lower(): gradient for key, gradient in found.items()}
        forms = ("{}", "d{}", "d_{}", "grad_{}", "{}_grad", "grad{}")
        gradients = []
        for name in self.names:
            fitting = [form.format(name.lower()) for form in forms if form.format(name.lower()) in keys]
            gradients.append(keys[fitting[0]] if fitting else None)
        if all(g is None for g in gradients) and len(found) == len(self.names):
            return list(found.values())
        return gradients


_NONE = object()  # no cache
_MISSING = object()  # a gradient that backward does not give at all


def is_missing(gradient: Any) -> bool:
    """Return whether backward gave fewer gradients than there are inputs, and this one is among the rest."""
    return gradient is _MISSING


def _required(function: Callable[..., Any]) -> int | None:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind == p.VAR_POSITIONAL for p in parameters):
        return None
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty for p in parameters)


def _most(function: Callable[..., Any]) -> int | None:
    """Return how many positional arguments a function takes at most, None if any number."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind == p.VAR_POSITIONAL for p in parameters):
        return None
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


def _equal(one: Array, other: Any) -> bool:
    return (
        isinstance(other, np.ndarray)
        and one.shape == other.shape
        and one.dtype == other.dtype
        and bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))
    )

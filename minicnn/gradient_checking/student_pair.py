"""A plain NumPy pair that runs in a student's process, as the checker calls it.

The checker calls two functions like any others. What they were given goes there, what comes back are numbers; the
cache never leaves the student's process.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from .student import Ended, Student, clean
from .student_process import MOST_ELEMENTS, Other
from .subject import Fault, as_list

Array = Any
KINDS = (
    inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD,
)  # fmt: skip
WATCHED = 8  # calls in which the use of random generators is looked for


class Half:
    """One half of a pair. Its generator stands for those in the other process, and moves when they do.

    So the checker, which looks for generators within reach, sees that random numbers are drawn.
    """

    def __init__(self, pair: StudentPair, name: str, signature: inspect.Signature | None) -> None:
        self.pair, self.name, self.generator = pair, name, random.Random(0)
        self.watched = WATCHED
        if signature is not None:
            self.__signature__ = signature

    def ask(self, request: dict[str, Any], values: dict[str, Any], who: str) -> dict[str, Any]:
        """Return the answer. Raises Fault if the function raised an error."""
        request |= {"function": self.name, "watched": self.watched > 0, "values": values}
        self.watched -= 1
        answer = self.pair.student.ask(request, f"in {self.name}")
        error = answer.get("error")
        if error:
            text = clean(error["text"]) or "no message"
            raise Fault("error", f"{who} raised {clean(error['type'])}: {text}", evidence=clean(error.get("place", "")))
        if answer.get("moved"):
            self.generator.random()
        return answer


class Forward(Half):
    """The forward function."""

    def __call__(self, *arguments: Any) -> Any:
        answer = self.ask({"call": "first", "both": self.pair.both}, {"arguments": list(arguments)}, "the function")
        values = answer["values"]
        _write_changes(values, arguments, "the function")
        out = _output(values.get("out"))
        self.pair.arguments, self.pair.cache = arguments, None
        if not answer.get("two"):
            return out
        self.pair.cache = values["other"] if isinstance(values.get("other"), np.ndarray) else object()
        return out, self.pair.cache


class Backward(Half):
    """The backward function; it is called right after the forward function."""

    def __call__(self, *sent: Any) -> Any:
        pair, douts, rest = self.pair, list(sent), "nothing"
        if len(sent) > 1 and pair.cache is not None and sent[-1] is pair.cache:
            douts, rest = list(sent[:-1]), "cache"
        elif len(sent) > 1:
            douts, rest = list(sent[: -len(pair.arguments)]), "arguments"
        values = self.ask({"call": "second", "with": rest}, {"douts": douts}, "backward")["values"]
        _write_changes(values, pair.arguments, "backward")
        if "douts" in values:
            _write(douts, values["douts"], "backward", "dout")
        return _gradient(values.get("result"))


class StudentPair:
    """Both halves, in one process. `both`: whether backward takes so many arguments that forward may have two outputs.

    It has no `__dict__`, so that what it keeps is not taken for what the student's functions keep.
    """

    __slots__ = ("arguments", "backward", "both", "cache", "forward", "student")

    def __init__(self, student: Student, forward: str, backward: str) -> None:
        answer = student.ask({"call": "parameters", "functions": [forward, backward]}, "while the file was read")
        found = answer.get("parameters")
        found = found if isinstance(found, dict) else {}
        self.student = student
        self.arguments: tuple[Any, ...] = ()
        self.cache: Any = None
        self.both = len(found.get(backward) or ()) > 2
        self.forward = Forward(self, forward, _signature(found.get(forward)))
        self.backward = Backward(self, backward, _signature(found.get(backward)))


def inputs_from(student: Student, name: str, seed: tuple[int, int]) -> Any:
    """Return the inputs that a function in the student's file makes. Raises DataError if it makes none."""
    answer = student.ask({"call": "inputs", "function": name, "seed": list(seed)}, f"in {name}")
    if answer.get("error"):
        error = answer["error"]
        raise DataError(f"gradcheck: {name} raised {clean(error['type'])}: {clean(error['text'])}")
    inputs = answer["values"].get("result")
    return fit_to_send(inputs)


def fit_to_send(inputs: Any) -> list[Any]:
    """Return inputs as a list. Raises DataError if one is nothing that can be handed to another process."""
    given = list(inputs) if isinstance(inputs, (tuple, list)) and not isinstance(inputs, Other) else [inputs]
    for i, value in enumerate(given):
        _look(value, i)
    return given


def _look(value: Any, i: int, depth: int = 0) -> None:
    if isinstance(value, Other):
        raise DataError(f"gradcheck: inputs[{i}] is of type {clean(value.kind)}, needs arrays, numbers or texts")
    if isinstance(value, (list, tuple, dict)) and depth < 6:
        for inner in value.values() if isinstance(value, dict) else value:
            _look(inner, i, depth + 1)
    elif isinstance(value, np.ndarray) and value.size > MOST_ELEMENTS:
        raise DataError(f"gradcheck: inputs[{i}] has {value.size} elements, needs at most {MOST_ELEMENTS}")
    elif not isinstance(value, (np.ndarray, np.generic, str, int, float, type(None))):
        raise DataError(f"gradcheck: inputs[{i}] is of type {type(value).__name__}, needs arrays, numbers or texts")


def _signature(listed: Any) -> inspect.Signature | None:
    try:
        parameters = [
            inspect.Parameter(str(name), KINDS[kind], default=None if has else inspect.Parameter.empty)
            for name, kind, has in listed
        ]
        return inspect.Signature(parameters)
    except (TypeError, ValueError, IndexError):  # unknown, or made up
        return None


def _output(out: Any) -> Any:
    """Return what forward returned, if it can be differentiated."""
    found = [out] if isinstance(out, Other) else as_list(out)
    for value in found:
        if isinstance(value, Other) and value.shape is not None and np.prod(value.shape, dtype=object) > MOST_ELEMENTS:
            raise Ended(f"an output has shape {value.shape}, needs at most {MOST_ELEMENTS} elements")
        if isinstance(value, Other):
            kind = clean(value.kind).removeprefix("array of ")
            raise Fault("wrong type", f"the function returned {kind}, an output must be an array of numbers")
    if all(value is None for value in found):
        raise Fault("error", "the function returned None; it must return its result (or result and cache)")
    try:
        kinds = {np.asarray(value).dtype.kind for value in found if value is not None}
    except ValueError:  # lists of unequal length
        kinds = {"O"}
    if "f" not in kinds:
        raise Fault("wrong type", "the function returned no floats, so there is nothing to differentiate")
    return out


def _gradient(found: Any) -> Any:
    """Return gradients with something in the place of each that did not come."""
    if isinstance(found, Other):
        kind = clean(found.kind)
        name = kind.removeprefix("array of ")
        try:
            if found.shape is not None and name.startswith(("float", "int", "complex")):
                return np.broadcast_to(np.zeros((), complex if name.startswith("complex") else float), found.shape)
        except ValueError:
            pass
        return type(kind, (), {})()
    if isinstance(found, (list, tuple)):
        return type(found)(map(_gradient, found))
    return {k: _gradient(v) for k, v in found.items()} if isinstance(found, dict) else found


def _write_changes(values: dict[str, Any], arguments: Sequence[Any], who: str) -> None:
    for i, before in enumerate(arguments):
        if f"changed {i}" in values:
            _write(before, values[f"changed {i}"], who, f"input {i}")


def _write(before: Any, now: Any, who: str, what: str) -> None:
    """Change arrays here as they were changed in the other process; the checker looks at what is here."""
    if isinstance(before, (list, tuple)) and isinstance(now, (list, tuple)):
        for inner, changed in zip(before, now):
            _write(inner, changed, who, what)
    elif isinstance(before, np.ndarray):
        if not isinstance(now, np.ndarray) or now.shape != before.shape or now.dtype != before.dtype:
            raise Fault("in-place change", f"{who} changes its {what} in place; work on a copy")
        before[...] = now

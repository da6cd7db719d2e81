"""The student's functions as the grader calls them: with their results in the agreed form, or a Fault in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..gradient_checking.student import Student, described
from ..gradient_checking.student_process import Other
from ..gradient_checking.subject import Fault
from .compare import difference
from .exercise import Arguments, Exercise
from .result import shapes

Array = Any

OWN_CALLS = 4  # a backward pass that calls its forward pass more often measures slopes


class Unwritten(Exception):
    """A function raised NotImplementedError, as the stubs do."""


class Functions:
    """The forward and backward function of one exercise in a student's file."""

    def __init__(self, exercise: Exercise, student: Student) -> None:
        self.exercise, self.student = exercise, student

    def forward(self, arguments: Arguments, seed: int = 1) -> tuple[Any, dict[int, Any]]:
        """Return the student's result, and the arguments that were changed. Raises Fault if there is no result."""
        name = self.exercise.forward
        needs = "(loss, dx)" if self.exercise.single else "(out, cache)"
        values = self._ask({"call": "forward", "function": name, "seed": seed}, {"arguments": arguments}, arguments)
        result = values.pop("result")
        if result is None:
            raise Fault("result", f"{name} returned None, needs {needs}: is the return missing?")
        if isinstance(result, Other) or not isinstance(result, (tuple, list)):
            raise Fault("result", f"{name} returned one value (of type {_kind(result)}), needs two: {needs}")
        if len(result) != 2:
            raise Fault("result", f"{name} returned {len(result)} values, needs two: {needs}")
        right = self.exercise.reference(*arguments)
        if isinstance(result[0], (np.ndarray, Other, type(None))) and _swapped(result, right):
            raise Fault("result", f"{name} returned its two values in reverse order, needs {needs}")
        changed = {int(k.split()[1]): v for k, v in values.items() if k.startswith("changed ")}
        return result[0], changed

    def backward(self, dout: Array, arguments: Arguments, watched: bool, apply: bool = False) -> list[Any]:
        """Return the student's gradients. Raises Fault if there are none; `apply` copies in-place changes to here."""
        exercise, names = self.exercise, self.exercise.gradients
        request = {"call": "forward", "function": exercise.forward, "seed": 1, "watched": watched}
        values: dict[str, Any] = {"arguments": arguments}
        if not exercise.single:
            request |= {"call": "backward", "backward": exercise.backward}
            values["dout"] = np.asarray(dout)
        found = self._ask(request, values, arguments)
        result = found.pop("result")
        if exercise.single:
            if not isinstance(result, (tuple, list)) or len(result) != 2:
                raise Fault("result", f"{exercise.forward} does not return (loss, dx)")
            dx = result[1]
            result = dx * dout if isinstance(dx, np.ndarray) and dx.dtype.kind == "f" else dx
        elif apply:
            self._apply(found, arguments, dout)
        needs = f"({', '.join(names)})" if len(names) > 1 else names[0]
        if result is None:
            raise Fault("result", f"{exercise.backward} returned None, needs {needs}: is the return missing?")
        if isinstance(result, dict) and set(result) == set(names):
            result = [result[name] for name in names]
        if len(names) == 1 and not (isinstance(result, (tuple, list)) and len(result) == 1):
            result = [result]
        if not isinstance(result, (tuple, list)):
            raise Fault("result", f"{exercise.backward} returned one value, needs {len(names)}: {needs}")
        if len(result) != len(names):
            raise Fault("result", f"{exercise.backward} returned {len(result)} values, needs {len(names)}: {needs}")
        missing = next((n for n, g in zip(names, result) if g is None), None)
        if missing:
            raise Fault("result", f"{exercise.backward} returned None for {missing}, needs {needs}")
        return list(result)

    def _apply(self, found: dict[str, Any], arguments: Arguments, dout: Array) -> None:
        for key, value in found.items():
            which = key.split()[1]
            before = dout if which == "dout" else arguments[int(which)]
            if isinstance(before, np.ndarray) and isinstance(value, np.ndarray) and before.shape == value.shape:
                before[...] = value

    def _ask(self, request: dict[str, Any], values: dict[str, Any], arguments: Arguments) -> dict[str, Any]:
        name = request.get("backward", request["function"])
        answer = self.student.ask(
            {"watched": False, **request, "values": values}, f"in {name}, case {shapes(self.exercise, arguments)}"
        )
        if answer.get("no_cache"):
            raise Fault(
                "result", f"{request['function']} does not return (out, cache), so there is no cache for backward"
            )
        error = answer.get("error")
        if error:
            if error["unwritten"]:
                raise Unwritten
            who = request["function"] if error["stage"] == "forward" else name
            raise Fault("error", f"{who} raised {described(error)}")
        if answer["calls"] > OWN_CALLS:
            raise Fault(
                "measured",
                f"{name} calls {request['function']} {answer['calls']} times: it measures slopes, the exercise is to "
                "derive the gradient",
            )
        found: dict[str, Any] = answer["values"]
        return found


def _kind(value: Any) -> str:
    if isinstance(value, Other):
        return value.kind
    return "array" if isinstance(value, np.ndarray) else type(value).__name__


def _swapped(result: Sequence[Any], right: Array) -> bool:
    """Return whether the second value is the result, and the first is not."""
    return bool(difference("out", result[0], right)) and not difference("out", result[1], right)

"""Grading a forward pass: its results, what it changes, and the entries that it must write."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..gradient_checking.student_process import same
from ..gradient_checking.subject import Fault
from .compare import difference
from .exercise import Arguments, Exercise
from .functions import Functions, Unwritten
from .result import Part, shapes

Array = Any


class Forward:
    """The forward pass of one exercise."""

    def __init__(self, exercise: Exercise, functions: Functions, parts: dict[str, Part]) -> None:
        self.exercise, self.functions, self.parts = exercise, functions, parts

    def check(self, arguments: Arguments, part: str, again: bool) -> None:
        """Check one case, which counts for a part of the mark; `again`: twice, with the same numbers."""
        updates = self.exercise.updates(arguments)
        also = [p for p in self.exercise.parts if updates is not None and not p.startswith("forward")]
        try:
            out, changed = self.functions.forward(arguments)
            text = self._difference(out, arguments)
            text = text or self._changes(arguments, changed, updates or {})
            if not text and again and not same(out, self.functions.forward(arguments, 2)[0]):
                text = (
                    "a second call with the same input gives another result: draw no random numbers, and keep nothing "
                    "from one call to the next"
                )
            for name in also:
                self.parts[name].enter(self._updated(arguments, changed, updates or {}))
        except Unwritten:
            then = "" if self.exercise.single else f"; then {self.exercise.backward}, which needs its cache"
            self.parts[part].leave_unwritten(f"write {self.exercise.forward}, which raises NotImplementedError{then}")
            for name in also:
                self.parts[name].leave_unwritten()
            return
        except Fault as fault:
            text = fault.diagnosis.text
            for name in also:
                self.parts[name].enter(f"forward gives no result, case {shapes(self.exercise, arguments)}")
        self.parts[part].enter(f"{text}; case {shapes(self.exercise, arguments)}" if text else "")

    def _difference(self, out: Any, arguments: Arguments) -> str:
        exercise = self.exercise
        name, right = "loss" if exercise.single else "out", exercise.reference(*arguments)
        found = difference(name, out, right, arguments, exercise.arguments, exercise.mistakes)
        if found and isinstance(out, np.ndarray) and out.shape == np.shape(right) and out.dtype.kind == "f":
            why = exercise.recognise(out, arguments)
            return f"{difference(name, out, right)}: {why}" if why else found
        return found

    def _changes(self, arguments: Arguments, changed: dict[int, Any], updates: dict[str, Array]) -> str:
        """Return which argument was changed that should not have been."""
        for i, now in changed.items():
            name, before = self.exercise.arguments[i], arguments[i]
            if not isinstance(before, dict):
                return f"{self.exercise.forward} changes its argument {name} in place; work on a copy"
            now = now if isinstance(now, dict) else {}
            for key, value in before.items():
                if key not in updates and not same(now.get(key), value):
                    return f"{self.exercise.forward} changes {name}[{key!r}], which is to be left as it is"
        return ""

    def _updated(self, arguments: Arguments, changed: dict[int, Any], updates: dict[str, Array]) -> str:
        """Return what is wrong with the entries that forward must write into its dictionary."""
        i, given = next((i, a) for i, a in enumerate(arguments) if isinstance(a, dict))
        now = changed.get(i, given)
        now = now if isinstance(now, dict) else {}
        for key, right in updates.items():
            name = f"{self.exercise.arguments[i]}[{key!r}]"
            if same(now.get(key), given[key]):
                return f"{name} is not updated; case {shapes(self.exercise, arguments)}"
            text = difference(name, now.get(key), right)
            if text:
                found = next(
                    (w for w, v in _wrong_updates(arguments, given, key, right) if same_numbers(now[key], v)), ""
                )
                why = f": {found}" if found else ""
                return f"{text}{why}; case {shapes(self.exercise, arguments)}"
        return ""


def _wrong_updates(arguments: Arguments, given: dict[str, Any], key: str, right: Array) -> list[tuple[str, Array]]:
    """Return usual mistakes in running statistics: in words, and what they give."""
    momentum, count, before = given["momentum"], len(arguments[0]), given[key]
    unbiased = count / max(count - 1, 1)
    now = (right - momentum * before) / (1 - momentum)
    return [
        ("momentum and 1 - momentum have changed places", (1 - momentum) * before + momentum * now),
        ("the batch's own value is stored, without the old one", now),
        ("the variance is divided by N - 1, needs N", momentum * before + (1 - momentum) * unbiased * now),
        ("the standard deviation is kept, needs the variance", momentum * before + (1 - momentum) * abs(now) ** 0.5),
        ("the old value is not multiplied by momentum", before + (1 - momentum) * now),
    ]  # fmt: skip


def same_numbers(one: Any, other: Array) -> bool:
    """Return whether two arrays are equal to rounding."""
    return isinstance(one, np.ndarray) and one.shape == other.shape and bool(np.allclose(one, other, 1e-9, 1e-12))

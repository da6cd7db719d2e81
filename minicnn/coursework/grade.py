"""The grader: a student's results against the right ones, then the gradients by the gradient checker."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..gradient_checking import gradcheck, heatmap
from ..gradient_checking.report import Gradient, Report
from ..gradient_checking.subject import Fault
from ..gradient_checking.target import given_cases
from .catalogue import EXERCISES
from .compare import difference
from .exercise import Arguments, Exercise, slopes
from .student import Ended, Student, clean
from .student_process import Other, same

Array = Any

RIGHT, WRONG, UNWRITTEN, UNDECIDED = "right", "WRONG", "not written yet", "not checked"
MOST_SOURCE = 1 << 20
BUDGET = 20.0  # seconds for the checker's own work on a case; it takes less than one where nothing is wrong
OWN_CALLS = 4  # a backward pass that calls its forward pass more often measures slopes


@dataclass(frozen=True)
class Limits:
    """What a submission may use for each exercise, and where its inputs come from."""

    seconds: float = 30.0
    memory: int = 4096  # MiB
    seed: int = 0
    cases: str | None = None


@dataclass
class Part:
    """A part of the mark: worth a point."""

    name: str
    state: str = UNDECIDED
    texts: list[str] = field(default_factory=list)
    right: int = 0  # cases
    cases: int = 0  # those that were checked; of a gradient none after the first wrong one

    def enter(self, text: str) -> None:
        """Enter the finding about one case, nothing if it is right; of wrong cases the first is described."""
        self.cases += 1
        self.right += not text
        if text and not self.texts:
            self.texts.append(text)
            self.state = WRONG
        elif self.state == UNDECIDED:
            self.state = RIGHT


@dataclass
class Result:
    """What was found about one exercise."""

    name: str
    parts: dict[str, Part]
    verdict: str = ""  # how the process ended, if it did not live to the end
    reports: list[Report] = field(default_factory=list)

    @property
    def points(self) -> int:
        """How many parts are right."""
        return sum(p.state == RIGHT for p in self.parts.values())

    @property
    def passed(self) -> bool:
        """Whether all are."""
        return self.points == len(self.parts) and not self.verdict


class Unwritten(Exception):
    """A function raised NotImplementedError, as the stubs do."""


def grade(file: Path, limits: Limits, wanted: Sequence[Exercise] = ()) -> tuple[list[Result], list[str]]:
    """Return the results of the exercises in a file, and notes about names in it.

    `wanted` exercises are graded even if nothing of them is there. Raises DataError if the file cannot be read or
    holds no exercise.
    """
    written = _functions_in(file)
    try:
        student = Student(file, limits.seconds, limits.memory)
    except Ended as ended:
        found = _present(written, wanted)
        if not found:
            raise DataError(f"coursework: {file} holds no exercise, and: {ended}") from None
        return [_lost(e, str(ended)) for e in found], []
    student.close()
    if student.error and student.error["left"]:
        text = f"the file ends the process while it is read: {_error_text(student.error)}"
        return [_lost(e, text) for e in _present(written, wanted) or list(wanted)], []
    if student.error:
        raise DataError(f"coursework: {file} cannot be read: {_error_text(student.error)}")
    found, notes = _present(student.names, wanted), _misspelt(student.names, written)
    if not found:
        known = ", ".join(e.name for e in EXERCISES)
        raise DataError("; ".join([f"coursework: {file} holds no function of an exercise (of {known})", *notes]))
    return [_grade_one(e, file, limits, student.names) for e in found], notes


def _functions_in(file: Path) -> set[str]:
    """Return the names of functions by the file's text, without running it. Raises DataError if it is no Python."""
    if not file.is_file():
        raise DataError(f"coursework: there is no file {file}")
    if file.stat().st_size > MOST_SOURCE:
        raise DataError(f"coursework: {file} has more than {MOST_SOURCE >> 20} MiB, which no exercise needs")
    try:
        tree = ast.parse(file.read_bytes(), file.name)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"coursework: {file} cannot be read: {type(error).__name__}: {clean(error)}") from None
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def _present(names: set[str], wanted: Sequence[Exercise]) -> list[Exercise]:
    return [e for e in EXERCISES if e in wanted or (not wanted and {e.forward, e.backward} & names)]


def _misspelt(names: set[str], written: set[str]) -> list[str]:
    """Return a note for each function of the file whose name is nearly one that is asked for, and not there."""
    known = {name for e in EXERCISES for name in (e.forward, e.backward)}
    notes = []
    for name in sorted(names & written - known):
        near = _near(name, known - names)
        if near:
            notes.append(f"{clean(name)} is not asked for; is {near} meant?")
    return notes


def _near(name: str, others: set[str]) -> str:
    words = sorted(name.lower().split("_"))
    found = [o for o in sorted(others) if sorted(o.split("_")) == words] or get_close_matches(
        name, sorted(others), 1, 0.8
    )
    return found[0] if found else ""


def _lost(exercise: Exercise, verdict: str) -> Result:
    return Result(exercise.name, {p: Part(p) for p in exercise.all_parts}, verdict)


def _error_text(error: dict[str, Any]) -> str:
    text = clean(error["text"])
    place = f" ({clean(error['place'])})" if error.get("place") else ""
    return f"{clean(error['type'])}{': ' if text else ''}{text}{place}"


def _grade_one(exercise: Exercise, file: Path, limits: Limits, names: set[str]) -> Result:
    """Return the result of one exercise, in a process of its own."""
    result = _lost(exercise, "")
    cases = _cases(exercise, limits)
    for what, parts in ((exercise.forward, exercise.parts), (exercise.backward, exercise.gradients)):
        if what not in names:
            near = _near(what, names)
            text = f"there is no function {what} in the file" + (f"; is {clean(near)} meant to be it?" if near else "")
            for part in parts:
                result.parts[part].state, result.parts[part].texts = UNWRITTEN, [text]
    if exercise.forward not in names:
        return _without_forward(exercise, result)
    try:
        student = Student(file, limits.seconds, limits.memory)
        try:
            _Grading(exercise, student, limits, result).run(cases, exercise.backward in names)
        finally:
            student.close()
    except Ended as ended:
        result.verdict = str(ended)
        if ended.refused:
            for lost in result.parts.values():
                lost.state = UNDECIDED
    return result


def _without_forward(exercise: Exercise, result: Result) -> Result:
    for name in exercise.gradients:
        if result.parts[name].state == UNDECIDED:
            result.parts[name].texts = [f"to check it, {exercise.forward} is needed"]
    return result


def _cases(exercise: Exercise, limits: Limits) -> list[Arguments]:
    """Return the inputs: those of the file of cases if it has any for this exercise, else the exercise's own."""
    makers = given_cases(Path(limits.cases), exercise.name, needed=False) if limits.cases else []
    rng = np.random.default_rng((limits.seed, EXERCISES.index(exercise)))
    if not makers:
        return exercise.cases(rng)
    found = []
    for number, make in enumerate(makers):
        try:
            arguments = list(make(np.random.default_rng((limits.seed, number))))
            arguments = [a.astype(float) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in arguments]
            exercise.reference(*arguments)
            exercise.part(arguments)
        except Exception as error:  # whatever is wrong with a case is its author's to know
            text = f"{type(error).__name__}: {error}"
            raise DataError(f"coursework: case {number} of {exercise.name} does not fit: {text}") from error
        found.append(arguments)
    return found


class _Grading:
    """One exercise of one student."""

    def __init__(self, exercise: Exercise, student: Student, limits: Limits, result: Result) -> None:
        self.exercise, self.student, self.limits, self.result = exercise, student, limits, result
        self.parts = result.parts

    def run(self, cases: list[Arguments], has_backward: bool) -> None:
        """Grade forward, then the gradients."""
        seen: set[str] = set()
        for arguments in cases:
            part = self.exercise.part(arguments)
            self._forward(arguments, part, again=part not in seen)
            seen.add(part)
        if not has_backward:
            return
        if all(self.parts[p].state == UNWRITTEN for p in self.exercise.parts):
            for name in self.exercise.gradients:
                self._unwritten(name)
            return
        for arguments in filter(self.exercise.differentiated, cases):
            with np.errstate(all="ignore"):
                self._gradients(arguments)
        wrong = [self.parts[g] for g in self.exercise.gradients if self.parts[g].state == WRONG]
        if wrong and not self._forward_is_right():
            wrong[0].texts.append("forward is wrong, so this may only follow from it: put forward right first")

    def _forward_is_right(self) -> bool:
        return all(self.parts[p].state == RIGHT for p in self.exercise.parts)

    # forward

    def _forward(self, arguments: Arguments, part: str, again: bool) -> None:
        updates = self.exercise.updates(arguments)
        also = [p for p in self.exercise.parts if updates is not None and not p.startswith("forward")]
        try:
            out, changed = self._out(arguments)
            text = self._difference(out, arguments)
            text = text or self._changes(arguments, changed, updates or {})
            if not text and again and not same(out, self._out(arguments, 2)[0]):
                text = (
                    "a second call with the same input gives another result: draw no random numbers, and keep nothing "
                    "from one call to the next"
                )
            for name in also:
                self.parts[name].enter(self._updated(arguments, changed, updates or {}))
        except Unwritten:
            then = "" if self.exercise.single else f"; then {self.exercise.backward}, which needs its cache"
            self._unwritten(part, f"write {self.exercise.forward}, which raises NotImplementedError{then}")
            for name in also:
                self._unwritten(name)
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

    def _unwritten(self, name: str, text: str = "") -> None:
        part = self.parts[name]
        if part.state in (UNDECIDED, RIGHT):
            part.state, part.texts = UNWRITTEN, [text] if text else []

    def _out(self, arguments: Arguments, seed: int = 1) -> tuple[Any, dict[int, Any]]:
        """Return the student's result, and the arguments that were changed. Raises Fault if there is no result."""
        name = self.exercise.forward
        needs = "(loss, dx)" if self.exercise.single else "(out, cache)"
        values = self._ask({"call": "forward", "function": name, "seed": seed}, {"arguments": arguments}, arguments)
        result = values.pop("result")
        if result is None:
            raise Fault("result", f"{name} returned None, needs {needs}: is the return missing?")
        if isinstance(result, Other) or not isinstance(result, (tuple, list)):
            kind = (
                result.kind
                if isinstance(result, Other)
                else "array"
                if isinstance(result, np.ndarray)
                else type(result).__name__
            )
            raise Fault("result", f"{name} returned one value (of type {kind}), needs two: {needs}")
        if len(result) != 2:
            raise Fault("result", f"{name} returned {len(result)} values, needs two: {needs}")
        right = self.exercise.reference(*arguments)
        if isinstance(result[0], (np.ndarray, Other, type(None))) and _swapped(result, right):
            raise Fault("result", f"{name} returned its two values in reverse order, needs {needs}")
        changed = {int(k.split()[1]): v for k, v in values.items() if k.startswith("changed ")}
        return result[0], changed

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

    # gradients

    def _gradients(self, arguments: Arguments) -> None:
        """Check the gradients for one case, those that were not wrong before."""
        everything, case = self.exercise.gradients, shapes(self.exercise, arguments)
        names = [n for n in everything if self.parts[n].state != WRONG]
        if not names:
            return
        dout = self._dout(arguments)
        try:
            first = self._backward(dout, arguments, watched=True)
        except Unwritten:
            self._unwritten(names[0], f"write {self.exercise.backward}, which raises NotImplementedError")
            for name in names[1:]:
                self._unwritten(name)
            return
        except Fault as fault:
            for name in names:
                self.parts[name].enter(f"{fault.diagnosis.text}; case {case}")
            return
        unusable = {
            n: f"{n} is of type {g.kind}, needs an array" for n, g in zip(everything, first) if isinstance(g, Other)
        }
        order = self._order(first, arguments)
        report = self._check(arguments, [everything.index(n) for n in names])
        self.result.reports.append(report)
        if not report.gradients:
            texts = [str(f) for f in report.faults] or ["the gradients cannot be checked"]
            for name in names:
                self.parts[name].enter(f"{texts[0]}; case {case}")
            return
        general = [d for d in report.faults if not d.gradient] if all(g.passed for g in report.gradients) else []
        for name, gradient in zip(names, report.gradients):
            i = everything.index(name)
            lines = [unusable[name]] if name in unusable else [str(f) for f in general]
            if not lines and not gradient.passed:
                lines = [str(e) for e in gradient.elements[:2]]
                known = (
                    order
                    or self._exchanged(name, dict(zip(names, report.gradients)))
                    or self._slip(i, first[i], arguments, dout)
                )
                lines += [f"cause: {known}"] if known else _causes(report, gradient, self._forward_is_right())
            self.parts[name].enter("\n".join([*(lines or [str(gradient)]), f"case {case}"]) if lines else "")

    def _dout(self, arguments: Arguments) -> Array:
        shape = np.shape(self.exercise.reference(*arguments))
        return np.asarray(np.random.default_rng((self.limits.seed, 1)).standard_normal(shape))

    def _slip(self, i: int, got: Any, arguments: Arguments, dout: Array) -> str:
        """Return the usual mistake that gives this gradient."""
        for text, function in self.exercise.slips:
            found = slopes(function, arguments, dout)[i]
            size = float(np.abs(found).max(initial=0))
            fits = isinstance(got, np.ndarray) and got.shape == found.shape and size > 0
            if fits and np.abs(got - found).max(initial=0) <= 1e-9 * size:
                return text
        return ""

    def _exchanged(self, name: str, found: dict[str, Gradient]) -> str:
        """Return whether one gradient was returned in another's place."""
        got = found[name].analytic
        for other, gradient in found.items():
            numeric = gradient.numeric
            if other == name or numeric is None or np.shape(got) != numeric.shape or not np.isfinite(numeric).all():
                continue
            if np.abs(got - numeric).max(initial=0) <= 1e-6 * np.abs(numeric).max(initial=0):
                return f"what comes as {name} is {other}: the order must be ({', '.join(self.exercise.gradients)})"
        return ""

    def _check(self, arguments: Arguments, which: list[int]) -> Report:
        """Return the checker's report about some gradients: the right function's slopes against the student's.

        The student's forward pass gives the cache, the reference gives the numbers: so a backward pass cannot be
        credited for agreeing with a wrong forward pass, and slow loops are not run for every slope.
        """
        exercise, student, last = self.exercise, self._backward, len(self.exercise.arguments)

        def function(*given: Any) -> tuple[Array, tuple[Any, ...]]:
            return np.asarray(exercise.reference(*given)), given

        def backward(dout: Array, cache: tuple[Any, ...]) -> list[Any]:
            gradients = student(dout, list(cache), False, apply=True)
            return [np.zeros(a.shape) if isinstance(g, Other) else g for g, a in zip(gradients, cache)]

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        names = inspect.Signature([inspect.Parameter(n, kind) for n in exercise.arguments[:last]])
        function.__signature__ = names  # type: ignore[attr-defined]  # the checker calls the gradients by these names
        return gradcheck(
            function, arguments, backward=backward, wrt=which, mode="full", seed=self.limits.seed, budget=BUDGET
        )

    def _backward(self, dout: Array, arguments: Arguments, watched: bool, apply: bool = False) -> list[Any]:
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

    def _order(self, found: list[Any], arguments: Arguments) -> str:
        """Return whether the gradients' shapes fit in another order than the right one."""
        names = self.exercise.gradients
        got = [g.shape if isinstance(g, np.ndarray) else () for g in found]
        needed = [a.shape for a in arguments if isinstance(a, np.ndarray)][: len(names)]
        if len(names) < 2 or got == needed or sorted(got) != sorted(needed):
            return ""
        order = ", ".join(names[needed.index(shape)] for shape in got)
        return f"the shapes are those of ({order}): the order must be ({', '.join(names)})"

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
            raise Fault("error", f"{who} raised {_error_text(error)}")
        if answer["calls"] > OWN_CALLS:
            raise Fault(
                "measured",
                f"{name} calls {request['function']} {answer['calls']} times: it measures slopes, the exercise is to "
                "derive the gradient",
            )
        found: dict[str, Any] = answer["values"]
        return found


def _causes(report: Report, gradient: Gradient, alone: bool) -> list[str]:
    """Return the checker's diagnosis; without one, and if this is wrong `alone`, a map of where it is wrong."""
    causes = [d for d in report.diagnosis if d.gradient in ("", gradient.name)]
    likely = [d for d in causes if d.certainty >= 0.5][:1] or causes[:1]
    if likely:
        return [f"cause: {d}" for d in likely]
    if not alone:
        return []
    return ["no usual mistake fits; where it is wrong:", *heatmap.text(gradient).splitlines()[:12]]


def _swapped(result: Sequence[Any], right: Array) -> bool:
    """Return whether the second value is the result, and the first is not."""
    return bool(difference("out", result[0], right)) and not difference("out", result[1], right)


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


def shapes(exercise: Exercise, arguments: Arguments) -> str:
    """Return a case in words: shapes of arrays, and settings."""
    words = []
    for name, a in zip(exercise.arguments, arguments):
        if isinstance(a, np.ndarray):
            words.append(f"{name} {a.shape}")
        elif isinstance(a, dict):
            words += [f"{k}={v}" for k, v in a.items() if not isinstance(v, np.ndarray)]
        else:
            words.append(f"{name}={a}")
    return ", ".join(words)

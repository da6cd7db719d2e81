"""The grader: a student's results against the right ones, then the gradients by the gradient checker."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..gradient_checking.student import Ended, Student, clean, described
from ..gradient_checking.target import given_cases
from .catalogue import EXERCISES
from .exercise import Arguments, Exercise
from .forward import Forward
from .functions import Functions
from .gradients import Gradients
from .result import UNDECIDED, UNWRITTEN, WRONG, Limits, Part, Result

MOST_SOURCE = 1 << 20  # bytes


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
        text = f"the file ends the process while it is read: {described(student.error)}"
        return [_lost(e, text) for e in _present(written, wanted) or list(wanted)], []
    if student.error:
        raise DataError(f"coursework: {file} cannot be read: {described(student.error)}")
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
        for name in exercise.gradients:
            if result.parts[name].state == UNDECIDED:
                result.parts[name].texts = [f"to check it, {exercise.forward} is needed"]
        return result
    try:
        student = Student(file, limits.seconds, limits.memory)
        try:
            _examine(exercise, student, limits, result, cases, exercise.backward in names)
        finally:
            student.close()
    except Ended as ended:
        result.verdict = str(ended)
        if ended.refused:
            for lost in result.parts.values():
                lost.state = UNDECIDED
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


def _examine(
    exercise: Exercise, student: Student, limits: Limits, result: Result, cases: list[Arguments], has_backward: bool
) -> None:
    """Grade forward, then the gradients."""
    functions = Functions(exercise, student)
    forward, seen = Forward(exercise, functions, result.parts), set()
    for arguments in cases:
        part = exercise.part(arguments)
        forward.check(arguments, part, again=part not in seen)
        seen.add(part)
    if not has_backward:
        return
    if all(result.parts[p].state == UNWRITTEN for p in exercise.parts):
        for name in exercise.gradients:
            result.parts[name].leave_unwritten()
        return
    gradients = Gradients(exercise, functions, result, limits.seed)
    for arguments in filter(exercise.differentiated, cases):
        with np.errstate(all="ignore"):
            gradients.check(arguments)
    wrong = [result.parts[g] for g in exercise.gradients if result.parts[g].state == WRONG]
    if wrong and not gradients.forward_is_right():
        wrong[0].texts.append("forward is wrong, so this may only follow from it: put forward right first")

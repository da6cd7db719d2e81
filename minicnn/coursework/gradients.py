"""Grading a backward pass, by the gradient checker."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from ..gradient_checking import gradcheck, heatmap
from ..gradient_checking.report import Gradient, Report
from ..gradient_checking.student_process import Other
from ..gradient_checking.subject import Fault
from .exercise import Arguments, Exercise, slopes
from .functions import Functions, Unwritten
from .result import RIGHT, WRONG, Result, shapes

Array = Any


class Gradients:
    """The gradients of one exercise."""

    def __init__(self, exercise: Exercise, functions: Functions, result: Result, seed: int) -> None:
        self.exercise, self.functions, self.result, self.seed = exercise, functions, result, seed
        self.parts = result.parts

    def check(self, arguments: Arguments) -> None:
        """Check the gradients for one case, those that were not wrong before."""
        everything, case = self.exercise.gradients, shapes(self.exercise, arguments)
        names = [n for n in everything if self.parts[n].state != WRONG]
        if not names:
            return
        dout = self._dout(arguments)
        try:
            first = self.functions.backward(dout, arguments, watched=True)
        except Unwritten:
            self.parts[names[0]].leave_unwritten(f"write {self.exercise.backward}, which raises NotImplementedError")
            for name in names[1:]:
                self.parts[name].leave_unwritten()
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
                lines += [f"cause: {known}"] if known else _causes(report, gradient, self.forward_is_right())
            self.parts[name].enter("\n".join([*(lines or [str(gradient)]), f"case {case}"]) if lines else "")

    def _dout(self, arguments: Arguments) -> Array:
        shape = np.shape(self.exercise.reference(*arguments))
        return np.asarray(np.random.default_rng((self.seed, 1)).standard_normal(shape))

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
        exercise, student = self.exercise, self.functions.backward

        def function(*given: Any) -> tuple[Array, tuple[Any, ...]]:
            return np.asarray(exercise.reference(*given)), given

        def backward(dout: Array, cache: tuple[Any, ...]) -> list[Any]:
            gradients = student(dout, list(cache), False, apply=True)
            return [np.zeros(a.shape) if isinstance(g, Other) else g for g, a in zip(gradients, cache)]

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        names = inspect.Signature([inspect.Parameter(n, kind) for n in exercise.arguments])
        function.__signature__ = names  # type: ignore[attr-defined]  # the checker calls the gradients by these names
        return gradcheck(function, arguments, backward=backward, wrt=which, mode="full", seed=self.seed)

    def forward_is_right(self) -> bool:
        """Return whether every part of the forward pass is right."""
        return all(self.parts[p].state == RIGHT for p in self.exercise.parts)

    def _order(self, found: list[Any], arguments: Arguments) -> str:
        """Return whether the gradients' shapes fit in another order than the right one."""
        names = self.exercise.gradients
        got = [g.shape if isinstance(g, np.ndarray) else () for g in found]
        needed = [a.shape for a in arguments if isinstance(a, np.ndarray)][: len(names)]
        if len(names) < 2 or got == needed or sorted(got) != sorted(needed):
            return ""
        order = ", ".join(names[needed.index(shape)] for shape in got)
        return f"the shapes are those of ({order}): the order must be ({', '.join(names)})"


def _causes(report: Report, gradient: Gradient, alone: bool) -> list[str]:
    """Return the checker's diagnosis; without one, and if this is wrong `alone`, a map of where it is wrong."""
    causes = [d for d in report.diagnosis if d.gradient in ("", gradient.name)]
    likely = [d for d in causes if d.certainty >= 0.5][:1] or causes[:1]
    if likely:
        return [f"cause: {d}" for d in likely]
    if not alone:
        return []
    return ["no usual mistake fits; where it is wrong:", *heatmap.text(gradient).splitlines()[:12]]

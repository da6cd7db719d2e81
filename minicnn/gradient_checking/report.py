"""What a check found, in the forms that people and programs read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = Any


@dataclass(frozen=True)
class Element:
    """One element of a gradient that was compared."""

    gradient: str
    index: tuple[int, ...]
    analytic: float
    numeric: float
    error: float  # of the numeric value, measured
    kink: tuple[float, float] | None = None  # at a kink: the least and the greatest right value
    tied: int = 0  # how many tied elements these numbers are the sum of

    @property
    def relative(self) -> float:
        """|analytic − numeric| / max(|analytic|, |numeric|)."""
        size = max(abs(self.analytic), abs(self.numeric))
        return abs(self.analytic - self.numeric) / size if size else 0.0

    @property
    def badness(self) -> float:
        """|analytic − numeric|, infinite for nan."""
        difference = abs(self.analytic - self.numeric)
        return difference if np.isfinite(difference) else float("inf")

    def __str__(self) -> str:
        place = "[" + ", ".join(map(str, self.index)) + "]" if self.index else ""
        if self.kink is not None:
            low, high = self.kink
            right = f"{low:.8g}" if high - low <= 1e-6 * max(abs(low), abs(high)) else f"{low:.8g} to {high:.8g}"
            what = f"{self.tied} tied elements from {self.gradient}{place} together"
            return f"{what}: backward says {self.analytic:.8g} of one output's gradient, right is {right}"
        return (
            f"{self.gradient}{place}: backward says {self.analytic:.8g}, the function {self.numeric:.8g} "
            f"(relative error {self.relative:.2g})"
        )


@dataclass(frozen=True)
class Diagnosis:
    """A probable cause, with what speaks for it."""

    kind: str
    text: str
    evidence: str = ""
    gradient: str = ""

    def __str__(self) -> str:
        where = f"{self.gradient}: " if self.gradient else ""
        return f"{where}{self.text}" + (f" ({self.evidence})" if self.evidence else "")


class Diagnoses(list[Diagnosis]):
    """The probable causes, the most probable first; as text one a line."""

    def __str__(self) -> str:
        return "\n".join(map(str, self))


@dataclass
class Gradient:
    """The comparison of one gradient, of an input or a parameter."""

    name: str
    shape: tuple[int, ...]
    passed: bool = True
    elements: list[Element] = field(default_factory=list)  # those that are wrong, the worst first
    how: str = ""
    where: str = ""  # if not at the given values
    analytic: Any = None  # as backward gave it
    numeric: Array | None = None  # nan where no single element was measured
    wrong: Array | None = None

    def __str__(self) -> str:
        if self.passed:
            return f"{self.name} {self.shape}: right ({self.how})"
        count = f", {len(self.elements)} of {int(np.prod(self.shape))} elements" if self.elements else ""
        return f"{self.name} {self.shape}: WRONG{count}" + (f" {self.where}" if self.where else "")


@dataclass
class Report:
    """The verdict of `gradcheck`; true if everything agrees."""

    gradients: list[Gradient] = field(default_factory=list)
    faults: Diagnoses = field(default_factory=Diagnoses)  # what is wrong besides numbers: errors, shapes, changes
    diagnosis: Diagnoses = field(default_factory=Diagnoses)
    notes: list[str] = field(default_factory=list)
    seed: int = 0

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults and all(g.passed for g in self.gradients)

    def __bool__(self) -> bool:
        return self.passed

    def worst(self, k: int = 5) -> list[Element]:
        """Return the k elements that are furthest off, the worst first."""
        return sorted((e for g in self.gradients for e in g.elements), key=lambda e: -e.badness)[:k]

    def __str__(self) -> str:
        lines = ["gradients agree" if self.passed else "gradients are WRONG"]
        lines += [f"  {gradient}" for gradient in self.gradients]
        if not self.passed:
            lines += [f"  {element}" for element in self.worst(5)]
            lines += [f"  cause: {d}" for d in self.diagnosis[:3]]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

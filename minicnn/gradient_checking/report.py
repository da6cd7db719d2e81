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

    @property
    def relative(self) -> float:
        """|analytic − numeric| / max(|analytic|, |numeric|)."""
        size = max(abs(self.analytic), abs(self.numeric))
        return abs(self.analytic - self.numeric) / size if size else 0.0

    def __str__(self) -> str:
        place = "".join(f"[{i}]" for i in self.index) if self.index else ""
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


@dataclass
class Report:
    """The verdict of `gradcheck`; true if everything agrees."""

    gradients: list[Gradient] = field(default_factory=list)
    faults: Diagnoses = field(default_factory=Diagnoses)  # what is wrong besides numbers: errors, shapes, changes
    diagnosis: Diagnoses = field(default_factory=Diagnoses)
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults and all(g.passed for g in self.gradients)

    def __bool__(self) -> bool:
        return self.passed

    def worst(self, k: int = 5) -> list[Element]:
        """Return the k elements that are furthest off, the worst first."""
        elements = [e for g in self.gradients for e in g.elements]
        return sorted(elements, key=lambda e: -_badness(e))[:k]

    def __str__(self) -> str:
        lines = ["gradients agree" if self.passed else "gradients are wrong"]
        lines += [f"  {g.name} {g.shape}: {'right' if g.passed else 'WRONG'}{g.how and ', ' + g.how}" for g in self.gradients]
        lines += [f"  {fault}" for fault in self.faults]
        if not self.passed:
            lines += [f"  {element}" for element in self.worst(5)]
            lines += [f"  probably: {d}" for d in self.diagnosis if d not in self.faults][:3]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


def _badness(element: Element) -> float:
    difference = abs(element.analytic - element.numeric)
    return difference if np.isfinite(difference) else float("inf")

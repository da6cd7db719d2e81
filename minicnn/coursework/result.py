"""What was found: parts of a mark, the result of an exercise."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..gradient_checking.report import Report
from .exercise import Arguments, Exercise

RIGHT, WRONG, UNWRITTEN, UNDECIDED = "right", "WRONG", "not written yet", "not checked"


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

    def leave_unwritten(self, text: str = "") -> None:
        """Enter that a function raised NotImplementedError, as the stubs do, and what is to be done."""
        if self.state in (UNDECIDED, RIGHT):
            self.state, self.texts = UNWRITTEN, [text] if text else []


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

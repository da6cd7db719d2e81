"""What a check found, in the forms that people and programs read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from . import heatmap

Array = Any

# CS231n's reading of its rel_error = max |a − n| / max(1e−8, |a| + |n|), "Gradient checks" in its notes.
BANDS = ((1e-2, "usually means that the gradient is wrong"), (1e-4, "should make you uncomfortable"),
         (1e-7, "is usually okay for functions with kinks, too high for smooth ones"))  # fmt: skip


def rel_error(a: Array, n: Array) -> float:
    """Return CS231n's relative error of two arrays: max |a − n| / max(1e−8, |a| + |n|)."""
    a, n = np.asarray(a, np.float64), np.asarray(n, np.float64)
    return float(np.max(np.abs(a - n) / np.maximum(1e-8, np.abs(a) + np.abs(n)), initial=0.0))


def band(error: float) -> str:
    """Return how CS231n reads a relative error."""
    return next((text for limit, text in BANDS if error > limit), "you should be happy")


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
    certainty: float = 1.0  # from 0 to 1

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

    @property
    def rel_error(self) -> float | None:
        """CS231n's rel_error over the elements that were measured one by one, None if there are none."""
        found = heatmap.differences(self)
        if found is None or self.numeric is None:
            return None
        known = np.isfinite(self.numeric)
        return rel_error(np.broadcast_to(np.asarray(self.analytic), self.shape)[known], self.numeric[known])

    def as_dict(self) -> dict[str, Any]:
        """Return what `to_json` writes."""
        worst = [
            {"index": list(e.index), "analytic": _number(e.analytic), "numeric": _number(e.numeric),
             "relative_error": _number(e.relative)}
            for e in self.elements[:10]
        ]  # fmt: skip
        error = self.rel_error
        return {
            "name": self.name, "shape": list(self.shape), "passed": self.passed, "how": self.how, "where": self.where,
            "wrong_elements": len(self.elements), "rel_error": None if error is None else _number(error),
            "worst": worst,
        }  # fmt: skip

    def __str__(self) -> str:
        if self.passed:
            return f"{self.name} {self.shape}: right ({self.how})"
        size = int(np.prod(self.shape))
        measured = size if self.numeric is None else int(np.isfinite(self.numeric).sum()) or size
        of = f"{size} elements" if measured == size else f"the {measured} elements measured one by one, of {size}"
        count = f", {len(self.elements)} of {of}" if self.elements else ""
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

    def plot(self) -> Any:
        """Return a Matplotlib figure: analytic, numeric, difference of the wrong gradients (of all, if none is)."""
        return heatmap.figure([g for g in self.gradients if not g.passed] or self.gradients)

    def heat_map(self) -> str:
        """Return the wrong gradients as maps of characters."""
        return "\n".join(filter(None, (heatmap.text(g) for g in self.gradients if not g.passed)))

    def as_dict(self) -> dict[str, Any]:
        """Return what `to_json` writes."""
        return {
            "passed": self.passed,
            "seed": self.seed,
            "gradients": [g.as_dict() for g in self.gradients],
            "diagnosis": [asdict(d) for d in self.diagnosis],
            "faults": [str(f) for f in self.faults],
            "notes": self.notes,
        }

    def to_json(self, **options: Any) -> str:
        """Return everything as JSON; numbers that JSON does not know (nan) become strings."""
        return json.dumps(self.as_dict(), **{"ensure_ascii": False, "allow_nan": False, **options})

    def summary(self) -> str:
        """Return the verdict in a few lines, without a map."""
        lines = ["gradients agree" if self.passed else "gradients are WRONG"]
        lines += [f"  {gradient}" for gradient in self.gradients]
        if not self.passed:
            lines += [f"  {element}" for element in self.worst(5)]
            likely = [d for d in self.diagnosis if d.certainty >= 0.5][:3] or self.diagnosis[:1]
            lines += [f"  cause: {d}" for d in likely]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    def __str__(self) -> str:
        drawn = next((m for g in self.gradients if not g.passed and (m := heatmap.text(g))), "")
        return self.summary() + ("\n" + drawn if drawn else "")


def _number(value: float) -> float | str:
    return float(value) if np.isfinite(value) else str(float(value))

"""A training step, or one forward pass, of minicnn against PyTorch's NCHW and channels-last layouts.

Each side runs in its own process, in turns, while the others sleep; same threads for all, NumPy's BLAS settings
taken out of the environment for all. Before the time is taken, all sides must give the same logits.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..ops import arguments
from .networks import WORKS
from .sides import SIDES, check_equal, ratio, started

WARM_UP = 3


@dataclass
class Result:
    """The seconds of each side's steps, and its memory in bytes."""

    work: str
    seconds: dict[str, list[float]]
    memory: dict[str, int]

    @property
    def ratio(self) -> float:
        """Median of minicnn over that of the faster PyTorch layout."""
        return ratio(self.seconds)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON knows it."""
        return {"work": self.work, "ratio": self.ratio, "seconds": self.seconds, "memory": self.memory}

    def __str__(self) -> str:
        lines = [f"{WORKS[self.work].title}: ratio {self.ratio:.2f}"]
        for side, seconds in self.seconds.items():
            low, high = min(seconds), max(seconds)
            lines.append(
                f"  {side:<20} {1e3 * statistics.median(seconds):8.1f} ms ({1e3 * low:.1f}–{1e3 * high:.1f})"
                f"   {self.memory[side] / 1e6:8.0f} MB"
            )
        return "\n".join(lines)


@dataclass
class Results:
    """The results of all works."""

    results: list[Result] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the results as JSON knows them."""
        return {"results": [result.to_dict() for result in self.results]}

    def __str__(self) -> str:
        return "\n".join(map(str, self.results))

    def plot(self, path: str) -> None:
        """Draw each side's time as a bar, PyTorch's faster layout being 1, and write the picture."""
        from ..training.plots import figure

        drawn = figure(8, 0.5 + 0.6 * len(self.results))
        axes = drawn.subplots()
        for i, side in enumerate(SIDES):
            heights = [statistics.median(r.seconds[side]) / statistics.median(_faster(r.seconds)) for r in self.results]
            places = [row + 0.27 * (i - 1) for row in range(len(self.results))]
            axes.barh(places, heights, 0.25, label=side, color=("tab:blue", "0.6", "0.8")[i])
        axes.set_yticks(range(len(self.results)), [WORKS[r.work].title for r in self.results])
        axes.invert_yaxis()
        axes.axvline(1, color="black", linewidth=0.5)
        axes.set_xlabel("time of a step, PyTorch's faster layout = 1")
        axes.legend()
        drawn.savefig(path, dpi=120)


def _faster(seconds: dict[str, list[float]]) -> list[float]:
    """Return the seconds of PyTorch's faster layout."""
    return min((s for side, s in seconds.items() if side.startswith("torch")), key=statistics.median)


def run(works: Sequence[str] = tuple(WORKS), rounds: int = 12, threads: int = 2) -> Results:
    """Time the works. Raises ShapeError for an unknown one, NumericsError when the sides disagree."""
    for name in works:
        arguments.choice("bench", "work", name, list(WORKS))
    return Results([_compare(name, rounds, threads) for name in works])


def _compare(name: str, rounds: int, threads: int) -> Result:
    with started(name, threads) as sides:
        check_equal(name, {side: process.ask("check") for side, process in sides.items()})
        for process in sides.values():
            process.ask(f"run {WARM_UP}")
        seconds: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(rounds):
            for side, process in sides.items():
                seconds[side] += process.ask("run 2")
        return Result(name, seconds, {side: process.ask("memory") for side, process in sides.items()})

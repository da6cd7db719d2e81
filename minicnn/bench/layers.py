"""Each layer of the networks alone, forward and backward, against PyTorch's NCHW and channels-last layouts.

The layers stand in the network as it is timed by `step.py`: the inputs are those which they meet there. The share of
the multiply-add peak is that of the convolution's or linear layer's own multiply-adds (twice as many backward), as if
it were computed directly: Winograd may show more than 1.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..ops import arguments
from .networks import WORKS
from .peak import multiply_adds_per_second
from .sides import check_equal, ratio, started


@dataclass
class Layer:
    """The seconds of one layer on each side."""

    title: str
    multiply_adds: int  # of all its passes
    seconds: dict[str, list[float]]


@dataclass
class Results:
    """The layers of all works, and the multiply-adds per second that the machine can do."""

    peak: float
    works: dict[str, list[Layer]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the results as JSON knows them."""
        works = {
            name: [{**vars(layer), "ratio": ratio(layer.seconds)} for layer in layers]
            for name, layers in self.works.items()
        }
        return {"multiply_adds_per_second": self.peak, "works": works}

    def __str__(self) -> str:
        lines = [f"peak: {self.peak / 1e9:.0f} · 10⁹ multiply-adds per second"]
        for name, layers in self.works.items():
            total = sum(statistics.median(layer.seconds["minicnn"]) for layer in layers)
            lines.append(f"{WORKS[name].title}: {1e3 * total:.1f} ms in all layers")
            lines += [line(layer.title, layer.multiply_adds, layer.seconds, self.peak, total) for layer in layers]
        return "\n".join(lines)


def line(title: str, multiply_adds: int, seconds: dict[str, list[float]], peak: float, total: float) -> str:
    """Return a row: ratio, minicnn's time, its share of a step, PyTorch's times, the share of the peak."""
    own, nchw, last = (1e3 * statistics.median(s) for s in seconds.values())
    share = f"{multiply_adds / (own / 1e3) / peak:6.2f}" if multiply_adds else "      "
    return (
        f"  {title:<48} {ratio(seconds):5.2f}   {own:8.2f} ms {own / 1e3 / total:5.1%}"
        f"   PyTorch {nchw:8.2f} {last:8.2f} ms   of the peak {share}"
    )


def run(works: Sequence[str] = tuple(WORKS), rounds: int = 5, threads: int = 2) -> Results:
    """Time the layers of the works. Raises ShapeError for an unknown one, NumericsError when the sides disagree."""
    for name in works:
        arguments.choice("bench", "work", name, list(WORKS))
    results = Results(multiply_adds_per_second(threads))
    for name in works:
        results.works[name] = measure(name, rounds, threads, 3 if WORKS[name].training else 1)
    return results


def measure(work: str, rounds: int, threads: int, passes: int) -> list[Layer]:
    """Time all pieces of a work, each side in turns."""
    with started(work, threads) as sides:
        listed = {side: process.ask("pieces") for side, process in sides.items()}["minicnn"]
        layers = []
        for i, (title, count) in enumerate(listed):
            check_equal(title, {side: process.ask(f"values {i}") for side, process in sides.items()})
            seconds: dict[str, list[float]] = {side: [] for side in sides}
            for _ in range(rounds):
                for side, process in sides.items():
                    seconds[side] += process.ask(f"piece {i} 5")
            layers.append(Layer(title, passes * count, seconds))
        return layers

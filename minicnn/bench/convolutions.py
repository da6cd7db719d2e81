"""Convolutions drawn from a seed (groups, dilation, odd channel counts), forward and backward, against PyTorch."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from .layers import Layer, line, measure
from .peak import multiply_adds_per_second
from .sides import ratio


@dataclass
class Results:
    """The convolutions of one seed."""

    seed: int
    peak: float
    layers: list[Layer]

    @property
    def mean(self) -> float:
        """The geometric mean of the ratios."""
        return statistics.geometric_mean(ratio(layer.seconds) for layer in self.layers)

    @property
    def worst(self) -> float:
        """The largest of the ratios."""
        return max(ratio(layer.seconds) for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Return the results as JSON knows them."""
        layers = [{**vars(layer), "ratio": ratio(layer.seconds)} for layer in self.layers]
        return {"seed": self.seed, "geometric_mean": self.mean, "worst": self.worst, "convolutions": layers}

    def __str__(self) -> str:
        total = sum(statistics.median(layer.seconds["minicnn"]) for layer in self.layers)
        lines = [line(layer.title, layer.multiply_adds, layer.seconds, self.peak, total) for layer in self.layers]
        lines.append(f"seed {self.seed}: geometric mean {self.mean:.2f}, worst {self.worst:.2f}")
        return "\n".join(lines)


def run(seed: int = 0, count: int = 40, rounds: int = 5, threads: int = 2) -> Results:
    """Time the convolutions. Raises NumericsError when the sides disagree."""
    return Results(seed, multiply_adds_per_second(threads), measure(f"convolutions:{seed}:{count}", rounds, threads, 3))

"""A training step, or one forward pass, of minicnn against PyTorch's NCHW and channels-last layouts.

Each side runs in its own process, in turns, while the others sleep; same threads for all, NumPy's BLAS settings
taken out of the environment for all. Before the time is taken, all sides must give the same logits.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import NumericsError
from .networks import WORKS

SIDES = ("minicnn", "torch-nchw", "torch-channels_last")
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
        medians = {side: statistics.median(s) for side, s in self.seconds.items()}
        return medians["minicnn"] / min(m for side, m in medians.items() if side.startswith("torch"))

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


def run(works: Sequence[str] = tuple(WORKS), rounds: int = 15, threads: int = 2) -> Results:
    """Time the works. Raises NumericsError when the sides disagree."""
    return Results([_compare(name, rounds, threads) for name in works])


def _compare(name: str, rounds: int, threads: int) -> Result:
    contenders = {side: _Contender(side, name, threads) for side in SIDES}
    try:
        _check_logits(name, {side: contender.ask("check") for side, contender in contenders.items()})
        for contender in contenders.values():
            contender.ask(f"run {WARM_UP}")
        seconds: dict[str, list[float]] = {side: [] for side in SIDES}
        for _ in range(rounds):
            for side, contender in contenders.items():
                seconds[side] += contender.ask("run 2")[1:]  # the first wakes the threads
        return Result(name, seconds, {side: contender.ask("memory") for side, contender in contenders.items()})
    finally:
        for contender in contenders.values():
            contender.close()


def _check_logits(name: str, logits: dict[str, list[float]]) -> None:
    expected = np.array(logits["torch-nchw"])
    for side, values in logits.items():
        error = np.abs(np.array(values) - expected).max() / np.abs(expected).max()
        if not error < 1e-3:
            raise NumericsError(f"bench: {side} and PyTorch differ by {error:.2g} of the largest logit in {name}")


class _Contender:
    """A process that runs one side when it is asked."""

    def __init__(self, side: str, work: str, threads: int) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
        environment |= {"OMP_NUM_THREADS": str(threads), "MINICNN_NUM_THREADS": str(threads)}
        command = [sys.executable, "-m", "minicnn.bench.contender", side, work]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, command: str) -> Any:
        """Send a command and wait for its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise NumericsError(f"bench: {' '.join(map(str, self.process.args))} ended with {self.process.wait()}")  # type: ignore[arg-type]  # a list
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)

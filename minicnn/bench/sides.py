"""The parent's end of a comparison: each side in its own process, in turns, while the others sleep.

Two libraries' idle threads in one process take the cores from each other, which falsifies the ratio. NumPy's BLAS
settings are taken out of the environment for all, and all use the same number of threads.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import NumericsError

SIDES = ("minicnn", "torch-nchw", "torch-channels_last")


class Side:
    """A process of `contender.py` that does one thing when it is asked."""

    def __init__(self, side: str, work: str, threads: int) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
        environment |= {"OMP_NUM_THREADS": str(threads), "MINICNN_NUM_THREADS": str(threads)}
        self.command = [sys.executable, "-m", "minicnn.bench.contender", side, work]
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, command: str) -> Any:
        """Send a command and wait for its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise NumericsError(f"bench: {' '.join(self.command)} ended with {self.process.wait()}")
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self.process.wait(10)


@contextmanager
def started(work: str, threads: int) -> Iterator[dict[str, Side]]:
    """Start all sides of a work, and end them afterwards."""
    sides = {side: Side(side, work, threads) for side in SIDES}
    try:
        yield sides
    finally:
        for side in sides.values():
            side.close()


def check_equal(what: str, values: Mapping[str, Sequence[float]]) -> None:
    """Raise NumericsError unless all sides give the same numbers, to a thousandth of the largest."""
    expected = np.array(values["torch-nchw"])
    for side, found in values.items():
        error = np.abs(np.array(found) - expected).max() / max(float(np.abs(expected).max()), 1e-30)
        if not error < 1e-3:
            raise NumericsError(f"bench: {side} and PyTorch differ by {error:.2g} of the largest number in {what}")


def ratio(seconds: Mapping[str, Sequence[float]]) -> float:
    """Return the median of minicnn over that of the faster PyTorch layout."""
    medians = {side: statistics.median(s) for side, s in seconds.items()}
    return medians["minicnn"] / min(m for side, m in medians.items() if side.startswith("torch"))

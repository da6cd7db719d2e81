"""How time is measured: many short blocks of each candidate, in turns, and their median."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds per call: the median of the blocks, and the smallest and largest."""

    median: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """Return the numbers as JSON knows them."""
        return dict(vars(self))

    def __str__(self) -> str:
        return f"{1e6 * self.median:.2f} µs ({1e6 * self.low:.2f}–{1e6 * self.high:.2f})"


def measure(
    candidates: Mapping[str, Callable[[], object]], blocks: int = 101, block_seconds: float = 0.002
) -> dict[str, Timing]:
    """Return the time per call of each candidate.

    A block is as many calls as take about `block_seconds`. The candidates' blocks alternate, so that whatever
    else the machine does falls on all of them; the garbage collector is off meanwhile, as in `timeit`.
    """
    calls = {name: _calls(call, block_seconds) for name, call in candidates.items()}
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    collects = gc.isenabled()
    gc.disable()
    try:
        for _ in range(blocks):
            for name, call in candidates.items():
                seconds[name].append(_block(call, calls[name]) / calls[name])
    finally:
        if collects:
            gc.enable()
    return {name: Timing(statistics.median(s), min(s), max(s)) for name, s in seconds.items()}


def _calls(call: Callable[[], object], seconds: float) -> int:
    """Return how many calls take about so long, after warming up."""
    count = 1
    while (took := _block(call, count)) < seconds / 2:
        count *= 2
    return max(1, round(count * seconds / took))


def _block(call: Callable[[], object], count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - begin

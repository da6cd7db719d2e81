"""What one launch did, as counted by the emulation."""

from __future__ import annotations

from typing import NamedTuple

from ..launch import Dims
from .arithmetic import KINDS

NAMES = (  # the order of `struct Counts` in counting.h
    "threads", "warps", "blocks", "read_bytes", "written_bytes", "global_accesses", "sectors", "least_sectors",
    "block_sectors", "shared_bytes", "shared_accesses", "wavefronts", "least_wavefronts", "atomics", "branches",
    "divergent",
)  # fmt: skip


class Counted(NamedTuple):
    """One launch: how, and what its blocks did (all of them, or the `sampled` ones in the middle of the grid)."""

    kernel: str
    grid: Dims
    block: Dims
    dynamic_shared: int
    static_shared: int
    number: dict[str, int]

    @property
    def blocks(self) -> int:
        """The number of blocks of the whole grid."""
        return self.grid[0] * self.grid[1] * self.grid[2]

    def whole(self, name: str) -> float:
        """Return a count for the whole grid, from the blocks that ran."""
        return self.number[name] * self.blocks / self.number["blocks"]

    @property
    def flops(self) -> int:
        """Floating-point operations of the blocks that ran; a multiply-add is two."""
        return sum(self.number[kind] * (2 if kind.startswith("fma") else 1) for kind in KINDS)

    @property
    def coalescing(self) -> float:
        """The fewest sectors that the bytes of the accesses fit in, by those touched."""
        return self.number["least_sectors"] / self.number["sectors"] if self.number["sectors"] else 1.0

    @property
    def bank_conflicts(self) -> int:
        """The wavefronts of shared memory beyond those that the bytes need."""
        return self.number["wavefronts"] - self.number["least_wavefronts"]


def named(numbers: list[int]) -> dict[str, int]:
    """Return the numbers that the runtime counted, by their names."""
    return dict(zip((*NAMES, *KINDS), numbers))

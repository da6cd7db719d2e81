"""What a kernel could take at least on a GPU, from what was counted and compiled: no measurement is in it.

The time is the largest of five, each the time that one unit needs if nothing else holds it up:
    multiply-adds   floating-point operations / lanes (special ones: 16 lanes)
    issue           instructions of all warps / 4 per cycle and multiprocessor
    shared memory   wavefronts / 1 per cycle and multiprocessor
    L1              32-byte sectors of all accesses / 4 per cycle and multiprocessor
    memory          32-byte sectors that each block touches, counted once for each block, / bandwidth: caches help
                    inside a block only, which is pessimistic where blocks share what they read
divided by two efficiencies:
    grid            blocks / (multiprocessors · ⌈blocks / multiprocessors⌉): the last round leaves some idle
    occupancy       warps of a multiprocessor · independent multiply-adds / 16, at most 1: an instruction's result is
                    there after 4 cycles, and 4 are issued per cycle

Instructions per warp: those outside the innermost loops once, those inside as often as the counted multiply-adds or
accesses ask for (`machine_code.Code.per_warp`). The latency of memory is not in it, nor clocks below the boost clock.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from ..cuda.emulation.counts import Counted
from ..cuda.machine_code import Code
from ..cuda.nvrtc import Resources

WARP, SECTOR, ISSUE, SECTORS_PER_CYCLE, SPECIAL_LANES, LATENCY = 32, 32, 4, 4, 16, 4
REGISTERS, MOST_WARPS, MOST_BLOCKS, RESERVED = (
    65536,
    64,
    32,
    1024,
)  # of a multiprocessor, compute capability 8.0 and 9.0


class Gpu(NamedTuple):
    """A GPU's data sheet: NVIDIA A100 (2021) and H100 (2023) Tensor Core GPU, SXM; lanes are per multiprocessor."""

    name: str
    architecture: str
    multiprocessors: int
    clock: float  # Hz, boost
    lanes32: int
    lanes64: int
    bandwidth: float  # bytes per second
    shared: int  # bytes per multiprocessor

    @property
    def peak(self) -> float:
        """Floating-point operations per second in float32, without tensor cores."""
        return 2 * self.lanes32 * self.multiprocessors * self.clock


A100 = Gpu("A100", "sm_80", 108, 1.41e9, 64, 32, 2.039e12, 164 << 10)
H100 = Gpu("H100", "sm_90", 132, 1.98e9, 128, 64, 3.35e12, 228 << 10)


class Estimate(NamedTuple):
    """The estimated time of a launch, what bounds it, and what share of the GPU's peak and bandwidth it reaches."""

    seconds: float
    bound: str
    grid: float
    occupancy: float
    of_peak: float
    of_bandwidth: float


def estimate(c: Counted, resources: Resources, code: Code, gpu: Gpu) -> Estimate:
    """Return the estimate for the whole grid of a launch."""
    cycles = gpu.multiprocessors * gpu.clock
    number = c.number
    multiply_adds = (number["fma32"] + number["fma64"]) / WARP / number["warps"]
    accesses = (number["global_accesses"] + number["shared_accesses"]) / number["warps"]
    instructions = code.per_warp(accesses, multiply_adds) * c.whole("warps")
    special = c.whole("special32") + c.whole("special64")
    times = {
        "multiply-adds": (
            (c.whole("fma32") + c.whole("add32")) / gpu.lanes32
            + (c.whole("fma64") + c.whole("add64")) / gpu.lanes64
            + special / SPECIAL_LANES
        )
        / cycles,
        "issue": instructions / ISSUE / cycles,
        "shared memory": c.whole("wavefronts") / cycles,
        "L1": c.whole("sectors") / SECTORS_PER_CYCLE / cycles,
        "memory": c.whole("block_sectors") * SECTOR / gpu.bandwidth,
    }
    bound = max(times, key=lambda name: times[name])
    rounds = math.ceil(c.blocks / gpu.multiprocessors)
    grid = c.blocks / (gpu.multiprocessors * rounds)
    occupancy = min(
        1.0, min(resident_warps(c, resources, gpu), rounds * _warps(c)) * code.independent / ISSUE / LATENCY
    )
    seconds = times[bound] / grid / occupancy
    useful = min(number["read_bytes"] + number["written_bytes"], number["block_sectors"] * SECTOR)
    scale = c.blocks / number["blocks"]
    return Estimate(
        seconds, bound, grid, occupancy, c.flops * scale / seconds / gpu.peak, useful * scale / seconds / gpu.bandwidth
    )


def _warps(c: Counted) -> int:
    return math.ceil(math.prod(c.block) / WARP)


def resident_warps(c: Counted, resources: Resources, gpu: Gpu) -> int:
    """Return how many warps of a kernel a multiprocessor holds at once."""
    warps = _warps(c)
    registers = math.ceil(resources.registers * WARP / 256) * 256 * warps
    shared = resources.shared + c.dynamic_shared + RESERVED
    return warps * min(MOST_BLOCKS, MOST_WARPS // warps, REGISTERS // registers, gpu.shared // shared)

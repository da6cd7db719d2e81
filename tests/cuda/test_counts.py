"""What the emulation counts, held against numbers worked out by hand."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn.cuda import emulation, source
from minicnn.cuda.emulation.counts import Counted
from minicnn.cuda.launch import Argument


@pytest.fixture(autouse=True)
def _on_the_simulator() -> Iterator[None]:
    with mc.use_device("cuda:sim"):
        yield


def counted(f: Callable[[], Any], blocks: int | None = None) -> list[Counted]:
    with emulation.counting(blocks) as found:
        f()
    return found


def test_a_sum_moves_three_numbers_and_adds_once() -> None:
    x, y = mc.ones((4, 100)), mc.ones((4, 100))
    (c,) = counted(lambda: F.add(x, y))
    assert (c.kernel, c.grid, c.block) == ("add_forward<float>", (2, 1, 1), (256, 1, 1))
    assert (c.number["read_bytes"], c.number["written_bytes"], c.flops) == (2 * 1600, 1600, 400)
    assert c.number["sectors"] == c.number["least_sectors"] == 3 * 400 / 8
    assert c.number["divergent"] == 1  # the guard i < n, in the warp of elements 384 to 415
    assert (c.coalescing, c.bank_conflicts) == (1.0, 0)


def test_functions_and_divisions_count_as_special() -> None:
    x = mc.ones(64)
    assert counted(lambda: F.exp(x))[0].number["special32"] == 64
    assert counted(lambda: F.div(x, x))[0].number["special32"] == 64


def test_of_a_large_grid_the_middle_runs() -> None:
    x = mc.ones(256 * 101)
    (c,) = counted(lambda: F.neg(x), blocks=3)
    assert (c.blocks, c.number["blocks"], c.number["threads"]) == (101, 3, 768)
    assert c.whole("read_bytes") == 4 * 256 * 101


PATTERNS = """
#include "common.cuh"
template <typename T>
__global__ void patterns(const T* x, T* y, int step) {
    __shared__ T tile[32 * 33];
    int i = threadIdx.x;
    tile[i * step % (32 * 33)] = x[i * step];
    __syncthreads();
    y[i] = tile[i * step % (32 * 33)] * T(3) + T(1);
}
template <typename T>
__global__ void four_at_a_time(const T* x, T* y) {
    float4 v = reinterpret_cast<const float4*>(x)[threadIdx.x];
    reinterpret_cast<float4*>(y)[threadIdx.x] = make_float4(v.w, v.z, v.y, v.x);
}
template <typename T>
__global__ void half_branches(const T* x, T* y) {
    if (threadIdx.x < 16) y[threadIdx.x] = exp(x[threadIdx.x]);
    else y[threadIdx.x] = log(x[threadIdx.x]);
}
"""


def launched(folder: Path, kernel: str, x: np.ndarray, size: int, **numbers: int) -> Counted:
    (folder / "p.cu").write_text(PATTERNS)
    text = source.parsed(folder / "p.cu", source.shipped() / "common.cuh")
    arguments = [Argument("x", x, True, True, False), Argument("y", np.empty(size, np.float32), True, False, True)]
    arguments += [Argument(name, np.int32(value), False, False, False) for name, value in numbers.items()]
    return counted(lambda: emulation.launch(text, f"{kernel}<float>", (1, 1, 1), (min(size, 32), 1, 1), 0, arguments))[
        0
    ]


@pytest.mark.parametrize(
    ("step", "sectors", "wavefronts"),
    [
        (1, 4, 1),  # 32 neighbouring floats
        (2, 8, 2),  # every other: two words of each second bank
        (8, 32, 8),  # each its own sector; 4 banks
        (32, 32, 32),  # one bank for all
        (33, 32, 1),  # a row of padding: no conflict
        (0, 1, 1),  # one word for all
    ],
)
def test_sectors_and_bank_conflicts_of_steps(tmp_path: Path, step: int, sectors: int, wavefronts: int) -> None:
    c = launched(tmp_path, "patterns", np.ones(32 * 33, np.float32), 32, step=step)
    assert c.number["sectors"] == sectors + 4  # and y
    assert c.number["shared_accesses"] == 2
    assert c.number["wavefronts"] == 2 * wavefronts
    assert c.bank_conflicts == 2 * (wavefronts - 1)
    assert (c.number["fma32"], c.flops) == (32, 64)  # fused, as nvcc does


def test_vector_loads_are_one_access(tmp_path: Path) -> None:
    c = launched(tmp_path, "four_at_a_time", np.ones(128, np.float32), 128)
    assert (c.number["global_accesses"], c.number["sectors"]) == (2, 2 * 16)
    assert (c.number["read_bytes"], c.coalescing) == (512, 1.0)


def test_a_branch_that_halves_a_warp_diverges(tmp_path: Path) -> None:
    c = launched(tmp_path, "half_branches", np.ones(32, np.float32), 32)
    assert (c.number["divergent"], c.number["special32"]) == (1, 32)
    assert c.number["sectors"] == 2 * 4  # two halves of two sectors each, twice

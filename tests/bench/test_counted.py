"""The estimates that follow from counted figures, held against numbers worked out by hand."""

import pytest

from minicnn.bench import counted, roofline
from minicnn.cuda import nvrtc
from minicnn.cuda.emulation.counts import Counted, named
from minicnn.cuda.machine_code import Code, Instruction
from minicnn.cuda.nvrtc import Resources

STRAIGHT = Code([], [], [Instruction(16 * k, 0x210, 0, None) for k in range(20)])


def of_one_block(grid: int, block: int = 256, **number: int) -> Counted:
    counts = named([0] * 22) | {"threads": block, "warps": block // 32, "blocks": 1} | number
    return Counted("k<float>", (grid, 1, 1), (block, 1, 1), 0, 0, counts)


def test_a_kernel_that_only_copies_reaches_the_bandwidth() -> None:
    c = of_one_block(108 * 100, read_bytes=1024, written_bytes=1024, sectors=64, block_sectors=64)
    e = roofline.estimate(c, Resources(16, 0, 0, 0), STRAIGHT, roofline.A100)
    assert e.bound == "memory"
    assert e.seconds == pytest.approx(10800 * 2048 / 2.039e12)
    assert (e.grid, e.occupancy, e.of_bandwidth) == (1.0, 1.0, pytest.approx(1.0))


def test_half_a_round_of_blocks_costs_half() -> None:
    c = of_one_block(108 + 54, read_bytes=1024, sectors=32, block_sectors=32)
    assert roofline.estimate(c, Resources(16, 0, 0, 0), STRAIGHT, roofline.A100).grid == 0.75


def test_multiply_adds_at_full_rate_are_the_peak_of_the_data_sheet() -> None:
    assert roofline.A100.peak == pytest.approx(19.5e12, rel=1e-2)
    assert roofline.H100.peak == pytest.approx(66.9e12, rel=1e-2)
    c = of_one_block(108, fma32=256 * 1000)
    fused = Code([Instruction(16 * k, 0x223, k, None) for k in range(64)], [], [])
    e = roofline.estimate(c, Resources(128, 0, 0, 0), fused, roofline.A100)
    assert (e.bound, e.of_peak) == ("multiply-adds", pytest.approx(1.0))


def test_warps_that_a_multiprocessor_holds() -> None:
    c = of_one_block(1000)
    assert roofline.resident_warps(c, Resources(32, 0, 0, 0), roofline.A100) == 64  # 8 blocks of 8 warps
    assert roofline.resident_warps(c, Resources(128, 0, 0, 0), roofline.A100) == 16  # 65536 / (128 · 256) blocks
    assert roofline.resident_warps(c, Resources(32, 0, 48 << 10, 0), roofline.A100) == 24  # 164 KiB / 49 KiB blocks


def test_what_loops_run_follows_from_what_was_counted() -> None:
    fma, load, other = (Instruction(0, operation, 1, None) for operation in (0x223, 0x984, 0x210))
    inner, outer = [fma] * 8 + [load] * 2 + [other] * 2, [load] * 3 + [other] * 7
    code = Code(inner, outer, [load] + [other] * 9)
    assert code.per_warp(accesses=1 + 2 * 50 + 3 * 5, multiply_adds=8 * 50) == 10 + 50 * 12 + 5 * 10
    assert Code([], [load, other], [other]).per_warp(accesses=7, multiply_adds=0) == 1 + 7 * 2
    divides = Code([fma, load], [], [other])  # the compiler's multiply-adds of a division are not counted as such
    assert divides.per_warp(accesses=7, multiply_adds=0) == 1 + 7 * 2


@pytest.mark.skipif(bool(nvrtc.missing()), reason=nvrtc.missing() or "NVRTC is there")
def test_elementwise_kernels_reach_the_bandwidth_and_have_no_conflict() -> None:
    results = counted.run(["add", "exp", "relu"])
    assert [row.kernel for row in results.rows][:2] == ["add_forward<float>", "exp_forward<float>"]
    for row in results.rows:
        assert (row.bank_conflicts, row.spilled) == (0.0, 0)
        assert all(e.of_bandwidth >= 0.85 for e in row.estimates.values()), row
    text = str(results)
    assert "add_forward<float>" in text
    assert "Times are estimates" in text
    assert results.to_dict()["rows"][0]["estimates"]["A100"]


@pytest.mark.full
@pytest.mark.skipif(bool(nvrtc.missing()), reason=nvrtc.missing() or "NVRTC is there")
@pytest.mark.parametrize("channels", [256, 512])
def test_convolutions_reach_the_peak_by_their_design(channels: int) -> None:
    rows = counted.run([f"conv2d 3 x 3, {channels} channels"]).rows
    products = [row for row in rows if row.kernel != "conv_weight_sum<float>"]
    assert {row.kernel for row in products} == {"conv_128x128<float>", "conv_weight_128x128<float>"}
    for row in products:
        assert row.coalescing >= 0.99
        assert row.bank_conflicts <= 0.01
        assert row.spilled == 0
        assert all(e.of_peak >= 0.6 for e in row.estimates.values()), row

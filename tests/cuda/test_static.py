"""What NVIDIA's own compiler says of the kernels, without a GPU."""

import shutil
import subprocess
from pathlib import Path

import pytest

from minicnn.cuda import machine_code, nvrtc, source
from minicnn.cuda.emulation.build import build
from minicnn.cuda.gpu import OPTIONS
from minicnn.errors import DeviceError
from tests.cuda.resources import ARCHITECTURES, FAMILIES, committed, measured

OTHERS = [a for a in nvrtc.ARCHITECTURES if a not in ("sm_75", "sm_90")]
needs_nvrtc = pytest.mark.skipif(bool(nvrtc.missing()), reason=nvrtc.missing() or "NVRTC is there")


def check(family: str, architecture: str) -> None:
    compiled = nvrtc.compile_kernels(source.read(family), architecture)
    assert compiled.warnings == ""
    assert len(compiled.resources) >= len(source.read(family).kernels)
    for kernel, r in compiled.resources.items():
        assert (kernel, r.spilled) == (kernel, 0)


@needs_nvrtc
@pytest.mark.parametrize("architecture", ["sm_75", "sm_90"])
@pytest.mark.parametrize("family", FAMILIES)
def test_nvrtc_compiles_without_a_warning_or_a_spill(family: str, architecture: str) -> None:
    check(family, architecture)


@needs_nvrtc
@pytest.mark.full
@pytest.mark.parametrize("architecture", OTHERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_nvrtc_compiles_for_the_other_architectures(family: str, architecture: str) -> None:
    check(family, architecture)


@needs_nvrtc
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("family", FAMILIES)
def test_registers_and_shared_memory_are_as_committed(family: str, architecture: str) -> None:
    table = committed()
    for kernel, (registers, shared) in measured(family, architecture).items():
        assert (kernel, architecture) in table, f"{kernel}: new? python -m tests.cuda.resources writes the table"
        most, exactly = table[kernel, architecture]
        assert registers <= most, f"{kernel}: {registers} registers on {architecture}, the table has {most}"
        assert shared == exactly, f"{kernel}: {shared} bytes of shared memory, the table has {exactly}"


@needs_nvrtc
@pytest.mark.parametrize("family", FAMILIES)
def test_the_emulation_knows_the_shared_memory(family: str) -> None:
    text = source.read(family)
    emulated, compiled = build(text, "fast").shared, nvrtc.compile_kernels(text, "sm_80").resources
    for kernel, r in compiled.items():
        assert r.shared <= emulated[kernel] <= r.shared + 1024, kernel


def test_the_table_has_no_kernel_that_is_gone() -> None:
    there = {expression for family in FAMILIES for expression in source.read(family).expressions}
    there |= {kernel for family in FAMILIES for kernel in source.read(family).kernels}
    assert {kernel for kernel, _ in committed()} <= there


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not installed")
@pytest.mark.parametrize("family", FAMILIES)
def test_nvcc_compiles_without_a_warning(family: str, tmp_path: Path) -> None:
    text = source.read(family)
    unit = [f'#include "{text.path}"', *(f"template __global__ decltype({e}) {e};" for e in text.expressions)]
    (tmp_path / "all.cu").write_text("\n".join(unit) + "\n")
    words = ["nvcc", "-std=c++17", "-Werror", "all-warnings", "-arch=sm_80", "-cubin", "all.cu"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@needs_nvrtc
def test_nvrtc_and_cupy_get_the_same_options() -> None:
    assert set(OPTIONS) <= set(nvrtc.OPTIONS)


@needs_nvrtc
def test_a_mistake_is_reported_with_its_file_and_line(tmp_path: Path) -> None:
    kernel = '// one\n#include "common.cuh"\n\n__global__ void f(float* y) { y[0] = unknown; }\n'
    (tmp_path / "f.cu").write_text(kernel)
    text = source.parsed(tmp_path / "f.cu", source.shipped() / "common.cuh")
    with pytest.raises(DeviceError, match=r'NVRTC rejects .*f\.cu for sm_80:\nf\.cu\(4\): error: .*"unknown"'):
        nvrtc.compile_kernels(text, "sm_80")
    (tmp_path / "f.cu").write_text(kernel.replace("unknown", "1").replace("y[0]", "int unused; y[0]"))
    text = source.parsed(tmp_path / "f.cu", source.shipped() / "common.cuh")
    assert 'f.cu(4): warning #177-D: variable "unused"' in nvrtc.compile_kernels(text, "sm_80").warnings


@needs_nvrtc
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_loops_are_found_in_the_machine_code(architecture: str) -> None:
    compiled = nvrtc.compile_kernels(source.read("reduce"), architecture)
    code = machine_code.read(compiled.cubin, compiled.names["sum_rows<float>"], architecture)
    instructions = [i for part in code for i in part]
    assert any(i.accesses_memory for i in code.moving)
    assert all(i.target in {j.address for j in instructions} for i in instructions if i.target is not None)
    straight = machine_code.read(compiled.cubin, compiled.names["spread_rows<float>"], architecture)
    assert straight.multiplying == straight.moving == []
    assert straight.per_warp(2, 0) == len(straight.others)

"""What a user reads where something is missing: CuPy, a driver, a GPU, g++, memory, a platform."""

import platform
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn._device import device, on, usable
from minicnn.cuda import gpu, launch
from minicnn.cuda.emulation import build
from minicnn.errors import DeviceError
from tests import stand_in


class CUDARuntimeError(RuntimeError):
    """CuPy's, of the same name."""


class OutOfMemoryError(MemoryError):
    """CuPy's, of the same name."""


class CompileException(Exception):  # CuPy's, of the same name
    """CuPy's, of the same name."""


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Any:
    found = stand_in.module()
    monkeypatch.setitem(sys.modules, "cupy", found)
    return found


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    yield
    build.compiler.cache_clear()


def raising(error: Exception) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        raise error

    return call


def said(where: str = "cuda") -> str:
    with pytest.raises(DeviceError) as caught:
        usable(device(where))
    return str(caught.value)


def test_no_cupy() -> None:
    text = said()
    assert "needs CuPy, which is not installed: pip install 'minicnn[cuda12]' (CUDA 12) or 'minicnn[cuda13]'" in text


def test_a_cupy_that_cannot_be_imported(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "import_module", raising(ImportError("libcudart.so.12: cannot open shared object file")))
    text = said()
    assert "CuPy cannot be imported (libcudart.so.12: cannot open shared object file)" in text
    assert "pip install" in text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version",
         "the NVIDIA driver is missing or older than CuPy's CUDA"),
        ("cudaErrorNoDevice: no CUDA-capable device is detected", "no NVIDIA GPU is visible"),
        ("cudaErrorUnknown: unknown error", "device 'cuda': cudaErrorUnknown: unknown error"),
    ],
)  # fmt: skip
def test_no_driver_and_no_gpu(cupy: Any, error: str, words: str) -> None:
    cupy.cuda.runtime.getDeviceCount = raising(CUDARuntimeError(error))
    text = said()
    assert words in text
    assert error in text


def test_a_machine_without_gpus(cupy: Any) -> None:
    cupy.cuda.runtime.getDeviceCount = lambda: 0
    assert "there is no NVIDIA GPU in this machine; device 'cuda:sim' needs none" in said()


def test_a_gpu_that_is_too_old(cupy: Any) -> None:
    cupy.cuda.Device = lambda number: type("Device", (), {"compute_capability": "61"})
    assert "GPU 0 has compute capability 6.1, the kernels need 7.5 (Turing, 2018) or later; use device 'cpu'" in said()


def test_a_gpu_that_can_be_used(cupy: Any) -> None:
    assert usable(device("cuda")) == "cuda"


def test_out_of_memory_says_what_was_asked_and_what_is_free(cupy: Any) -> None:
    x = mc.ones((3, 5))
    cupy.asarray = raising(OutOfMemoryError("Out of memory allocating 512 bytes (allocated so far: 0 bytes)."))
    with pytest.raises(DeviceError) as caught:
        x.to("cuda")
    assert "an array (3, 5) for device 'cuda': out of GPU memory: 0.00 GiB asked, 30.00 GiB of 80.00 GiB free" in str(
        caught.value
    )


def test_out_of_memory_of_a_result(cupy: Any) -> None:
    x = mc.ones((1 << 14, 1 << 10)).to("cuda")
    cupy.empty = raising(OutOfMemoryError("Out of memory allocating 67,108,864 bytes."))
    with pytest.raises(DeviceError) as caught:
        F.relu(x)
    text = str(caught.value)
    assert "an array (16384, 1024): out of GPU memory: 0.06 GiB asked, 30.00 GiB of 80.00 GiB free" in text
    assert "use a smaller batch or network" in text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (CompileException("relu.cu(3): error: expected a ';'"), "NVRTC rejects the kernel:\nrelu.cu(3): error"),
        (CUDARuntimeError("CUDA_ERROR_NO_BINARY_FOR_GPU: no kernel image"), "does not know this GPU's architecture"),
        (OutOfMemoryError("Out of memory allocating 512 bytes"), "Out of memory allocating 512 bytes, 30.00 GiB of"),
    ],
)
def test_a_kernel_that_cannot_be_launched(cupy: Any, error: Exception, words: str) -> None:
    x = mc.ones((3, 5)).to("cuda")
    gpu._module.cache_clear()
    cupy.RawModule = raising(error)
    with pytest.raises(DeviceError) as caught:
        F.relu(x)
    text = str(caught.value)
    assert text.startswith("relu_forward<float>: ")
    assert words in text


def test_other_errors_stay_what_they_are(cupy: Any) -> None:
    x = mc.ones((3, 5)).to("cuda")
    gpu._module.cache_clear()
    cupy.RawModule = raising(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError, match="a bug"):
        F.relu(x)


def test_the_gpu_gets_the_kernel_with_its_header_and_exact_types(cupy: Any) -> None:
    made, calls = {}, []

    class RawModule:
        def __init__(self, **options: Any) -> None:
            made.update(options)

        def get_function(self, name: str) -> Any:
            return lambda grid, block, arguments, shared_mem: calls.append((name, grid, block, arguments, shared_mem))

    x = mc.ones((3, 100)).to("cuda")
    gpu._module.cache_clear()
    cupy.RawModule = RawModule
    launch.launched.clear()
    F.leaky_relu(x, 0.25)
    assert '#include "common.cuh"' not in made["code"]
    assert '#line 1 "common.cuh"' in made["code"]
    assert "relu_forward<float>" in made["name_expressions"]
    ((name, grid, block, arguments, shared),) = calls
    assert (name, grid, block, shared) == ("leaky_relu_forward<float>", (2, 1, 1), (256, 1, 1), 0)
    assert (arguments[2].dtype, arguments[3].dtype) == (np.float32, np.int64)
    assert launch.launched == {"leaky_relu_forward": 1}
    gpu._module.cache_clear()


@pytest.mark.parametrize("name", ["cuda", "cuda:sim"])
def test_an_operation_without_kernels_is_named(name: str) -> None:
    def median_forward(x: Any) -> Any:
        return x

    median_forward.__module__ = "minicnn.ops.order"
    with pytest.raises(
        DeviceError, match=r"median_forward has no CUDA version: write it in minicnn/cuda/order\.py and"
    ):
        on(device(name), median_forward)


def test_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    build.compiler.cache_clear()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "compiles the kernels with g++, which is not installed: apt install g++" in said("cuda:sim")


@pytest.mark.parametrize(("system", "machine"), [("Darwin", "arm64"), ("Windows", "AMD64"), ("Linux", "aarch64")])
def test_another_platform(monkeypatch: pytest.MonkeyPatch, system: str, machine: str) -> None:
    build.compiler.cache_clear()
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    text = said("cuda:sim")
    assert text == f"device 'cuda:sim' needs Linux on x86-64, this is {system} on {machine}; use 'cpu'"

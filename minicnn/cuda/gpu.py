"""Runs kernels on an NVIDIA GPU through CuPy's RawModule. Not yet run on a GPU: written from CuPy's documentation."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any

from ..errors import DeviceError
from .launch import Argument, Dims
from .source import Source

OPTIONS = ("-std=c++17",)
OLDEST = 75  # compute capability 7.5, Turing: the oldest that NVRTC 13 compiles for


def launch(text: Source, symbol: str, grid: Dims, block: Dims, shared: int, arguments: list[Argument]) -> None:
    """Launch a kernel; it runs while Python goes on. Raises DeviceError where it cannot be compiled or launched."""
    try:
        function = _module(text, device_number()).get_function(symbol)
        function(grid, block, tuple(a.value for a in arguments), shared_mem=shared)
    except Exception as error:
        raise explained(error, symbol) from None


def device_number() -> int:
    """Return the number of CuPy's current GPU; raises DeviceError where there is none that can be used."""
    cupy: Any = import_module("cupy")
    try:
        if cupy.cuda.runtime.getDeviceCount() == 0:
            raise DeviceError("device 'cuda': there is no NVIDIA GPU in this machine; device 'cuda:sim' needs none")
        number = int(cupy.cuda.runtime.getDevice())
        return _supported(number, int(cupy.cuda.Device(number).compute_capability))
    except DeviceError:
        raise
    except Exception as error:
        raise explained(error, "device 'cuda'") from None


@lru_cache
def _supported(number: int, capability: int) -> int:
    if capability < OLDEST:
        raise DeviceError(
            f"device 'cuda': GPU {number} has compute capability {capability // 10}.{capability % 10}, the kernels "
            f"need {OLDEST // 10}.{OLDEST % 10} (Turing, 2018) or later; use device 'cpu'"
        )
    return number


def explained(error: Exception, what: str) -> Exception:
    """Return what to raise for an error of CuPy: a DeviceError that says what to do, or the error itself."""
    kind, text = type(error).__name__, str(error)
    if kind == "OutOfMemoryError":
        return DeviceError(f"{what}: {_memory(text)}; use a smaller batch, or free what is not needed")
    if kind == "CompileException":
        return DeviceError(f"{what}: NVRTC rejects the kernel:\n{text}")
    if "cudaErrorInsufficientDriver" in text or "CUDA_ERROR_NO_DEVICE" in text or "insufficient" in text:
        return DeviceError(
            f"{what}: the NVIDIA driver is missing or older than this CUDA ({text}); install a current driver "
            "(nvidia-smi shows it), or use device 'cuda:sim'"
        )
    if "cudaErrorNoDevice" in text or "no CUDA-capable device" in text:
        return DeviceError(
            f"{what}: no NVIDIA GPU is visible (is CUDA_VISIBLE_DEVICES set?); device 'cuda:sim' needs none"
        )
    if kind in ("CUDARuntimeError", "CUDADriverError", "NVRTCError"):
        return DeviceError(f"{what}: {text}")
    return error


def _memory(text: str) -> str:
    """Return what was asked for and what is free; CuPy's own text has the first."""
    cupy: Any = import_module("cupy")
    free, total = (f"{n / 2**30:.2f}" for n in cupy.cuda.runtime.memGetInfo())
    return f"out of GPU memory ({text}); {free} of {total} GiB are free"


@lru_cache(maxsize=64)
def _module(text: Source, device: int) -> Any:
    # The header's text in the kernel's, not its name: CuPy caches what it compiled under the text, and an edited header
    # must count. A module belongs to one GPU.
    return import_module("cupy").RawModule(code=text.whole, options=OPTIONS, name_expressions=text.expressions)

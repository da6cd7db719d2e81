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
        function = _module(text).get_function(symbol)
        function(grid, block, tuple(a.value for a in arguments), shared_mem=shared)
    except Exception as error:
        raise explained(error, symbol) from None


@lru_cache(maxsize=64)
def _module(text: Source) -> Any:
    # The header's text in the kernel's, not its name: CuPy caches what it compiled under the text, and an edited header
    # must count.
    return import_module("cupy").RawModule(code=text.whole, options=OPTIONS, name_expressions=text.expressions)


def check() -> None:
    """Raise DeviceError, with what to do, unless there are CuPy, a driver and a GPU that the kernels run on."""
    try:
        cupy = import_module("cupy")
    except ImportError as error:
        raise DeviceError(
            f"device 'cuda': CuPy cannot be imported ({error}); it must fit the CUDA of this machine: "
            "pip install 'minicnn[cuda12]' (CUDA 12) or 'minicnn[cuda13]' (CUDA 13)"
        ) from None
    _check(cupy)


@lru_cache(maxsize=1)
def _check(cupy: Any) -> None:
    runtime = cupy.cuda.runtime
    try:
        count, number = int(runtime.getDeviceCount()), 0
        if count:
            number = int(runtime.getDevice())
            capability = int(cupy.cuda.Device(number).compute_capability)
    except Exception as error:
        raise explained(error, "device 'cuda'") from None
    if count == 0:
        raise DeviceError("device 'cuda': there is no NVIDIA GPU in this machine; device 'cuda:sim' needs none")
    if capability < OLDEST:
        raise DeviceError(
            f"device 'cuda': GPU {number} has compute capability {capability / 10}, the kernels need {OLDEST / 10} "
            "(Turing, 2018) or later; use device 'cpu'"
        )


def explained(error: Exception, what: str, asked: int | None = None) -> Exception:
    """Return what to raise for an error of CuPy: a DeviceError that says what to do, or the error itself.

    asked: the bytes of the array that was to be made, where that is known.
    """
    kind, text = type(error).__name__, str(error)
    if kind == "OutOfMemoryError" or "cudaErrorMemoryAllocation" in text:
        free, total = import_module("cupy").cuda.runtime.memGetInfo()
        wanted = text if asked is None else f"{_gib(asked)} asked"
        return DeviceError(
            f"{what}: out of GPU memory: {wanted}, {_gib(free)} of {_gib(total)} free; use a smaller batch or network, "
            "or end what else uses this GPU (nvidia-smi lists it)"
        )
    if kind == "CompileException":
        return DeviceError(f"{what}: NVRTC rejects the kernel:\n{text}")
    if any(word in text for word in ("cudaErrorInsufficientDriver", "cudaErrorNoDriver", "libcuda.so")):
        return DeviceError(
            f"{what}: the NVIDIA driver is missing or older than CuPy's CUDA ({text}); install a current driver, "
            "or use device 'cuda:sim', which needs none"
        )
    if "cudaErrorNoDevice" in text:
        return DeviceError(
            f"{what}: no NVIDIA GPU is visible ({text}); is CUDA_VISIBLE_DEVICES set? Device 'cuda:sim' needs no GPU"
        )
    if any(word in text for word in ("CUDA_ERROR_NO_BINARY_FOR_GPU", "cudaErrorUnsupportedPtxVersion", "INVALID_PTX")):
        return DeviceError(
            f"{what}: CuPy's CUDA does not know this GPU's architecture ({text}); install a newer one: "
            "pip install 'minicnn[cuda13]'"
        )
    if kind in ("CUDARuntimeError", "CUDADriverError", "NVRTCError"):
        return DeviceError(f"{what}: {text}")
    return error


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"

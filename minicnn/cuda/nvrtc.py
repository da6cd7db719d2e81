"""Compiles the kernels for NVIDIA's GPUs with NVRTC, which needs neither a GPU nor a driver.

    compiled = nvrtc.compile_kernels(source.read("reduce"), "sm_80")
    compiled.resources["sum_rows<float>"]     # registers, spilled bytes, shared memory, stack

The compiler is the wheel nvidia-cuda-nvrtc, called through the wheel cuda-bindings: `pip install 'minicnn[nvrtc]'`.
(CuPy compiles with NVRTC, too, but asks the driver for a device first.)
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from ..errors import DeviceError
from . import gpu
from .source import Source

ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")
OPTIONS = (*gpu.OPTIONS, "--ptxas-options=-v")
_ENTRY = re.compile(
    r"Compiling entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads"
    r".*?Used (\d+) registers([^\n]*)",
    re.S,
)


class Resources(NamedTuple):
    """What one thread and block of a kernel take: registers per thread, bytes of the rest."""

    registers: int
    spilled: int
    shared: int
    stack: int


class Compiled(NamedTuple):
    """A kernel file compiled for one architecture; `warnings` are the compiler's, `names` the linker's of kernels."""

    cubin: bytes
    warnings: str
    resources: dict[str, Resources]
    names: dict[str, str]


def missing() -> str:
    """Return what to install so that `compile_kernels` works, or ""."""
    if find_spec("cuda") is None or find_spec("cuda.bindings") is None or find_spec("nvidia") is None:
        return "NVRTC is not installed: pip install 'minicnn[nvrtc]' (Linux x86-64)"
    return ""


@lru_cache(maxsize=64)
def compile_kernels(text: Source, architecture: str) -> Compiled:
    """Compile all kernels of a file, in float and double. Raises DeviceError without NVRTC, and with its words."""
    if lack := missing():
        raise DeviceError(lack)
    nvrtc: Any = import_module("cuda.bindings.nvrtc")
    program = _call(nvrtc, "nvrtcCreateProgram", text.whole.encode(), text.path.name.encode(), 0, [], [])
    try:
        kernels = (*text.expressions, *sorted(set(text.kernels) - text.templates))
        for kernel in kernels:
            _call(nvrtc, "nvrtcAddNameExpression", program, kernel.encode())
        options = [option.encode() for option in (f"--gpu-architecture={architecture}", *OPTIONS)]
        status = nvrtc.nvrtcCompileProgram(program, len(options), options)[0]
        log = _bytes(nvrtc, "nvrtcGetProgramLog", program).decode().strip("\0 \n")
        if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            raise DeviceError(f"NVRTC rejects {text.path} for {architecture}:\n{log}")
        names = {k: _call(nvrtc, "nvrtcGetLoweredName", program, k.encode()).decode() for k in kernels}
        found = {name: _resources(*numbers) for name, *numbers in _ENTRY.findall(log)}
        return Compiled(
            _bytes(nvrtc, "nvrtcGetCUBIN", program), _warnings(log), {k: found[n] for k, n in names.items()}, names
        )
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _resources(stack: str, stores: str, loads: str, registers: str, rest: str) -> Resources:
    shared = re.search(r"(\d+) bytes smem", rest)
    return Resources(int(registers), int(stores) + int(loads), int(shared[1]) if shared else 0, int(stack))


def _warnings(log: str) -> str:
    return "\n".join(line for line in log.splitlines() if not re.match(r"ptxas (info|  +\.)|\s*$", line))


def _call(nvrtc: Any, function: str, *arguments: Any) -> Any:
    status, *results = getattr(nvrtc, function)(*arguments)
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise DeviceError(f"NVRTC: {function} failed: {status.name}")
    return results[0] if results else None


def _bytes(nvrtc: Any, function: str, program: Any) -> bytes:
    buffer: bytes = b" " * _call(nvrtc, f"{function}Size", program)
    _call(nvrtc, function, program, buffer)
    return buffer

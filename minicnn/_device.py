"""Devices: where a tensor lives, and which implementation of an operation runs there.

An operation is defined once, in `minicnn/ops/<family>.py`, as plain NumPy functions. A device may
have a twin of such a function: the same name in the file of the same name, for instance
`minicnn/cpu/conv.py: conv2d_forward`. `on(device, conv2d_forward)` finds it. That is all the
dispatch there is: searching the source for `conv2d_forward` shows every implementation.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from .errors import DeviceError

F = TypeVar("F", bound=Callable[..., Any])

NAMES = ("reference", "cpu", "cuda", "cuda:sim")
KERNELS_ONLY = ("cuda", "cuda:sim")  # where what has no kernel is an error
_FOLDERS = {"cpu": "cpu", "cuda": "cuda", "cuda:sim": "cuda"}
_EVERYWHERE = ("shape",)  # families whose definitions take any kind of array


class Device(str):
    """One of the names `reference`, `cpu`, `cuda`, `cuda:sim`; equal to the plain string."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"device({str.__repr__(self)})"


_devices = {name: Device(name) for name in NAMES}


def device(name: str) -> Device:
    """Return the device of this name.

    Raises DeviceError for a name that is not one of `reference`, `cpu`, `cuda`, `cuda:sim`.
    """
    found = _devices.get(name) if isinstance(name, str) else None
    if found is None:
        raise DeviceError(f"device: {name!r} is unknown; there are {', '.join(map(repr, NAMES))}")
    return found


class _Current(threading.local):
    device = _devices["cpu"]


_current = _Current()


def current_device() -> Device:
    """Return the device on which new tensors of this thread are made."""
    return _current.device


class use_device:
    """Make new tensors on this device from now on, or inside a `with` block.

    mc.use_device("reference")            # until changed
    with mc.use_device("reference"): ...  # the former device comes back at the end
    """

    def __init__(self, name: str) -> None:
        self._former, self._device = _current.device, usable(device(name))
        _current.device = self._device

    def __enter__(self) -> Device:
        _current.device = self._device  # a switch may be kept and entered again
        return self._device

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current.device = self._former


def usable(where: Device) -> Device:
    """Return the device if arrays can be put there, else raise a DeviceError that says what is missing."""
    if where == "cuda" and find_spec("cupy") is None:
        raise DeviceError(
            "device 'cuda' needs CuPy, which is not installed: pip install 'minicnn[cuda12]' (CUDA 12) "
            "or 'minicnn[cuda13]' (CUDA 13)"
        )
    if where == "cuda":
        import_module("minicnn.cuda.gpu").check()
    if where == "cuda:sim":
        import_module("minicnn.cuda.emulation.build").compiler()
    return where


def put(array: Any, where: Device) -> Any:
    """Return an array's values as an array of the kind that a device computes with, copying only if it must."""
    if where == "cuda":
        try:
            return import_module("cupy").asarray(array)
        except Exception as error:
            explained = import_module("minicnn.cuda.gpu").explained
            raise explained(error, f"an array {tuple(array.shape)} for device 'cuda'", array.nbytes) from None
    return array.get() if hasattr(array, "get") else array


def array_module(array: Any) -> Any:
    """Return the module that an array belongs to, NumPy or CuPy; code for both calls it xp."""
    return np if isinstance(array, np.ndarray) else import_module(type(array).__module__.partition(".")[0])


chosen: deque[Callable[..., Any]] = deque(maxlen=16)
"""The functions that `on` returned last; `mc.profile()` reads it after each operation."""

_implementations: dict[tuple[str, Callable[..., Any]], Callable[..., Any]] = {}


def on(where: Device, function: F) -> F:
    """Return this device's twin of a function of `minicnn.ops`, or the function itself.

    `reference` always runs the definition, `cpu` runs it where it has no twin; on `cuda` and `cuda:sim` a missing
    twin is an error, except for the bookkeeping of `shape`.
    """
    found = _implementations.get((where, function))
    if found is None:
        found = _implementations[where, function] = _find(where, function)
    chosen.append(found)
    return found  # type: ignore[return-value]  # a twin has its definition's signature


def _find(where: Device, function: Callable[..., Any]) -> Callable[..., Any]:
    folder = _FOLDERS.get(where)
    package, _, family = function.__module__.rpartition(".")
    if folder is None or package != "minicnn.ops" or family in _EVERYWHERE:
        return function
    name = f"minicnn.{folder}.{family}"
    there = find_spec(f"minicnn.{folder}") and find_spec(name)
    twin = getattr(import_module(name), function.__name__, None) if there else None
    if twin is None and where in KERNELS_ONLY:
        raise DeviceError(
            f"{function.__name__} has no CUDA version: write it in minicnn/cuda/{family}.py and "
            f"kernels/{family}.cu, or use device 'cpu'"
        )
    return twin or function

"""`mc.detect_anomaly()`: stop at the first NaN or infinity, and at a saved array that somebody changed."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from . import _watch
from .autograd import arrays_in
from .errors import NumericsError

_PACKAGE = Path(__file__).parent
# What a traceback is not interested in: the way from a line of a model to the operation.
_MACHINERY = tuple(
    str(_PACKAGE / name)
    for name in ("_anomaly.py", "_methods.py", "_profile.py", "_tensor.py", "_watch.py", "autograd.py", "nn", "ops")
)


class detect_anomaly:
    """Check every operation, forward and backward, from now on, or inside a `with` block.

        mc.detect_anomaly()            # until mc.detect_anomaly(False)
        with mc.detect_anomaly(): ...  # what was before comes back at the end

    Raises NumericsError that names the operation, the layer and the line which first gave a NaN or an infinity,
    or whose saved arrays were changed before backward, by whatever means (writes through `.data` are found by
    checksum). For finding faults, not for training: every array is read twice.
    """

    def __init__(self, mode: bool = True) -> None:
        self._mode, self._former = mode, _watcher in _watch.watchers
        _switch(mode)

    def __enter__(self) -> None:
        _switch(self._mode)

    def __exit__(self, *exception: object) -> None:
        _switch(self._former)


def _switch(on: bool) -> None:
    if on and _watcher not in _watch.watchers:
        _watch.watchers.append(_watcher)
    elif not on and _watcher in _watch.watchers:
        _watch.watchers.remove(_watcher)


class _Watcher:
    """What the tape calls around each operation."""

    def forward(self, ctx: Any, arrays: tuple[Any, ...], run: Callable[[], Any]) -> Any:
        """Run the operation, check its result, and remember what it saved."""
        ctx.anomaly_where = _where()
        result = run()
        _refuse_non_finite(ctx, "forward", result, arrays)
        ctx.anomaly_sums = _checksums(ctx)
        return result

    def backward(self, ctx: Any, gradients: tuple[Any, ...], run: Callable[[], Any]) -> Any:
        """Check what was saved, run the operation's backward pass, and check its gradients."""
        where = getattr(ctx, "anomaly_where", None)
        if where is None:  # the forward pass was not watched
            ctx.anomaly_where = ", called before detect_anomaly"
        elif _checksums(ctx) != ctx.anomaly_sums:
            raise NumericsError(
                f"{type(ctx).__name__}: an array that it saved for backward was changed after the forward pass"
                f"{where}; write into a copy, or after backward"
            )
        result = run()
        _refuse_non_finite(ctx, "backward", result, gradients)
        return result


_watcher = _Watcher()


def _where() -> str:
    """Return the layer and the line from which the current operation was called."""
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_MACHINERY):
        frame = frame.f_back
    layer = _watch.module_path()
    line = f", line {frame.f_lineno} of {Path(frame.f_code.co_filename).name}"
    return (f" in layer {layer}" if layer else "") + line


def _refuse_non_finite(ctx: Any, direction: str, result: Any, inputs: Iterable[Any]) -> None:
    for array in result if isinstance(result, tuple) else (result,):
        place = _first_non_finite(array)
        if place is None:
            continue
        bad = next((_named(a, i) for i, a in enumerate(inputs) if _first_non_finite(a) is not None), "")
        raise NumericsError(
            f"{type(ctx).__name__}: {direction} gave {float(array[place])} at index {place}{ctx.anomaly_where}; "
            + (f"its {bad} has such a number already" if bad else "what it was given was finite")
        )


def _first_non_finite(array: Any) -> tuple[int, ...] | None:
    """Return the index of the first NaN or infinity in an array of floats, if there is one."""
    if not hasattr(array, "dtype") or array.dtype.kind != "f":
        return None
    wrong = ~np.isfinite(array)
    return tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.any() else None


def _named(array: Any, position: int) -> str:
    """Return which argument this is: a parameter of the model by its name, others by position and shape."""
    if _watch.modules:
        for name, parameter in _watch.modules[0].named_parameters():
            if parameter.data is array:
                return f"parameter {name}"
    return f"argument {position + 1}, of shape {array.shape},"


def _checksums(ctx: Any) -> list[int]:
    return [zlib.crc32(np.ascontiguousarray(_on_host(array)).data) for array in arrays_in(ctx.saved)]


def _on_host(array: Any) -> Any:
    return array.get() if hasattr(array, "get") else array

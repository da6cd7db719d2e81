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

_PACKAGE = str(Path(__file__).parent)


class detect_anomaly:
    """Check every operation inside a `with mc.detect_anomaly():` block, forward and backward.

    Raises NumericsError that names the operation, the layer and the line of the user's code which first gave a
    NaN or an infinity, or whose saved arrays were changed before backward, by whatever means. Slow: it reads
    every array twice.
    """

    def __enter__(self) -> detect_anomaly:
        _watch.watchers.append(self)
        return self

    def __exit__(self, *exception: object) -> None:
        _watch.watchers.remove(self)

    def forward(self, ctx: Any, arrays: tuple[Any, ...], run: Callable[[], Any]) -> Any:
        """Run the operation, check its result, and remember what it saved."""
        ctx.anomaly_where = _where()
        result = run()
        outputs = result if isinstance(result, tuple) else (result,)
        _refuse_non_finite(ctx, "forward gave", outputs, arrays)
        ctx.anomaly_sums = [_checksum(a) for a in arrays_in(ctx.saved)]
        return result

    def backward(self, ctx: Any, gradients: tuple[Any, ...], run: Callable[[], Any]) -> Any:
        """Check what was saved, run the operation's backward pass, and check its gradients."""
        if [_checksum(a) for a in arrays_in(ctx.saved)] != getattr(ctx, "anomaly_sums", None):
            raise NumericsError(
                f"{type(ctx).__name__}: an array saved for backward was changed after the forward pass"
                f"{ctx.anomaly_where}; it is needed as it was: write into a copy"
            )
        result = run()
        outputs = result if isinstance(result, tuple) else (result,)
        _refuse_non_finite(ctx, "backward gave", outputs, gradients)
        return result


def _where() -> str:
    """Return the layer and the line outside minicnn from which the current operation was called."""
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    layer = _watch.module_path()
    line = f", line {frame.f_lineno} of {Path(frame.f_code.co_filename).name}"
    return (f" in layer {layer}" if layer else "") + line


def _refuse_non_finite(ctx: Any, did: str, outputs: Iterable[Any], inputs: Iterable[Any]) -> None:
    for array in outputs:
        if array is None or not hasattr(array, "dtype") or array.dtype.kind != "f" or np.isfinite(array).all():
            continue
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        came = "; an input held one already" if any(not _finite(a) for a in inputs) else "; its inputs were finite"
        raise NumericsError(
            f"{type(ctx).__name__}: {did} {np.asarray(array)[index]} at index {index}{ctx.anomaly_where}{came}"
        )


def _finite(array: Any) -> bool:
    return not hasattr(array, "dtype") or array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _checksum(array: Any) -> int:
    return zlib.crc32(np.asarray(array.get() if hasattr(array, "get") else array).tobytes())

"""Switches of the CPU kernels, kept here so that setting one does not import Numba."""

from __future__ import annotations

from types import TracebackType

winograd = True
"""Whether float32 3 × 3 and 5 × 5 convolutions may run as Winograd; read at each call."""

kept_weights = True
"""Whether passes over few pixels may keep their packed weights from call to call, see `kept_weights.py`."""


class use_winograd:
    """Let `cpu` convolutions use Winograd where it is faster (the default), or never; for all threads.

        mc.use_winograd(False)            # until changed
        with mc.use_winograd(False): ...  # the former setting comes back at the end

    Winograd rounds to about 1e-5 of the largest value, the direct kernels to about 1e-6. float64 never uses it. A nan
    or an infinity spreads over the block of 4 × 4 (5 × 5 filters: 2 × 2) pixels that is computed from one patch.
    """

    def __init__(self, enabled: bool) -> None:
        global winograd
        self._former = winograd
        winograd = bool(enabled)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global winograd
        winograd = self._former

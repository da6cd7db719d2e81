"""`mc.profile()`: how often each operation ran, how long, how much it made, and which implementation it was."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import _device, _watch


@dataclass
class Row:
    """One operation, forward or backward, in one implementation."""

    name: str
    implementation: str
    calls: int = 0
    seconds: float = 0.0
    bytes: int = 0


@dataclass
class Profile:
    """What `mc.profile()` measured; `print` shows it as a table, slowest first."""

    _rows: dict[tuple[str, str], Row] = field(default_factory=dict)

    @property
    def rows(self) -> list[Row]:
        """One row per operation, direction and implementation, slowest first."""
        return sorted(self._rows.values(), key=lambda row: -row.seconds)

    def __str__(self) -> str:
        total = sum(row.seconds for row in self.rows) or 1.0
        lines = [f"{'operation':<32}{'calls':>7}{'ms':>10}{'share':>8}{'MB made':>10}  implementation"]
        lines += [
            f"{r.name:<32}{r.calls:>7}{1e3 * r.seconds:>10.2f}{100 * r.seconds / total:>7.1f}%{r.bytes / 1e6:>10.2f}"
            f"  {r.implementation}"
            for r in self.rows
        ]
        return "\n".join(lines)


class profile:
    """Measure every operation inside a block: `with mc.profile() as p: …`, then `print(p)`.

    Seconds are wall-clock time of the operation itself; bytes are those of the arrays it returned.
    The implementation is the file of the function that the device chose, or the Function's own.
    """

    def __init__(self) -> None:
        self.result = Profile()

    def __enter__(self) -> Profile:
        _watch.watchers.append(self)
        return self.result

    def __exit__(self, *exception: object) -> None:
        _watch.watchers.remove(self)

    def forward(self, ctx: Any, arrays: tuple[Any, ...], run: Callable[[], Any]) -> Any:
        """Run and measure an operation's forward pass."""
        return self._measured(type(ctx), type(ctx).__name__, run)

    def backward(self, ctx: Any, gradients: tuple[Any, ...], run: Callable[[], Any]) -> Any:
        """Run and measure an operation's backward pass."""
        return self._measured(type(ctx), f"{type(ctx).__name__} backward", run)

    def _measured(self, cls: type, name: str, run: Callable[[], Any]) -> Any:
        _device.chosen.clear()
        begin = time.perf_counter()
        result = run()
        seconds = time.perf_counter() - begin
        used = _device.chosen[0] if _device.chosen else cls
        row = self.result._rows.setdefault((name, used.__module__), Row(name, used.__module__))
        row.calls += 1
        row.seconds += seconds
        outputs = result if isinstance(result, tuple) else (result,)
        row.bytes += sum(getattr(array, "nbytes", 0) for array in outputs if array is not None)
        return result

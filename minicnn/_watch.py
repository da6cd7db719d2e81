"""Watching the tape: `mc.detect_anomaly()` and `mc.profile()` see each operation through these two lists.

A watcher has the methods `forward(ctx, arrays, run)` and `backward(ctx, gradients, run)`: each calls
`run()` for the work itself and returns its result. With no watcher the tape does not look further.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Watcher(Protocol):
    """What a watcher offers to the tape."""

    def forward(self, ctx: Any, arrays: tuple[Any, ...], run: Callable[[], Any]) -> Any:
        """Call run() for the operation's result and return it."""

    def backward(self, ctx: Any, gradients: tuple[Any, ...], run: Callable[[], Any]) -> Any:
        """Call run() for the operation's gradients and return them."""


watchers: list[Watcher] = []
modules: list[Any] = []
"""The stack of `nn.Module`s being called, outermost first; kept only while somebody watches."""


def forward(ctx: Any, arrays: tuple[Any, ...], run: Callable[[], Any]) -> Any:
    """Run an operation's forward pass inside all watchers, the newest outermost."""
    for watcher in watchers:
        run = _bind(watcher.forward, ctx, arrays, run)
    return run()


def backward(ctx: Any, gradients: tuple[Any, ...], run: Callable[[], Any]) -> Any:
    """Run an operation's backward pass inside all watchers, the newest outermost."""
    for watcher in watchers:
        run = _bind(watcher.backward, ctx, gradients, run)
    return run()


def _bind(method: Callable[..., Any], *args: Any) -> Callable[[], Any]:
    return lambda: method(*args)


def module_path() -> str:
    """Return where in the model the current operation stands, as `layers.0.conv1 (Conv2d)`, or ''."""
    if not modules:
        return ""
    root, inner = modules[0], modules[-1]
    name = next((name for name, module in root.named_modules() if module is inner), "")
    return f"{name} ({type(inner).__name__})" if name else type(inner).__name__

"""Planted mistakes: backward passes that are wrong in a known way, and right ones beside them.

The checker is judged by them: how many it catches, whether its first diagnosis is the cause that was planted, and
whether it leaves the right ones alone. They are written as students write: forward and backward in plain NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

FAMILIES = ("elementwise", "dense", "images", "norms", "losses", "state")


@dataclass(frozen=True)
class Example:
    """A pair to check. `cause` is the kind of the mistake, or () if there is none; any of several is right."""

    name: str
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    inputs: Callable[[Any], Sequence[Any]]  # of a NumPy generator
    cause: tuple[str, ...] = ()


def examples(family: str | None = None) -> list[Example]:
    """Return all examples, or those of one family."""
    chosen = FAMILIES if family is None else (family,)
    return [e for name in chosen for e in import_module(f"{__package__}.planted.{name}").EXAMPLES]


def right(name: str, forward: Any, backward: Any, inputs: Any) -> Example:
    """Return an example of a right pair."""
    return Example(name, forward, backward, inputs)


def wrong(cause: str | tuple[str, ...], name: str, forward: Any, backward: Any, inputs: Any) -> Example:
    """Return an example of a mistake."""
    return Example(name, forward, backward, inputs, (cause,) if isinstance(cause, str) else cause)

"""Planted mistakes: backward passes that are wrong in a known way, and right ones beside them.

The checker is judged by them: how many it catches, whether its first diagnosis is the cause that was planted, and
whether it leaves the right ones alone. They are written as students write: forward and backward in plain NumPy,
`Function`s and modules of Tensors. Each mistake's cause was written down with the mistake, from what was changed in the
code, not from what the checker says of it.

Two parts: the rules of diagnosis were made with the first in view; the second, `UNSEEN`, was written without trying
the rules on it, and they are not fitted to it. Its rates are those that a new mistake may expect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

SEEN = (
    "elementwise", "dense", "images", "norms", "losses", "state", "activations", "reductions", "shapes", "layers",
    "convolutions", "pooling", "normalising", "criteria", "tensors",
)  # fmt: skip
UNSEEN = ("unseen_functions", "unseen_layers", "unseen_images", "unseen_losses", "unseen_tensors")
FAMILIES = SEEN + UNSEEN


@dataclass(frozen=True)
class Example:
    """What to check. `cause` is the kind of the mistake, or () if there is none; any of several is right.

    With a `backward` it is a NumPy pair. Without one, `forward` is a function of Tensors, or a class of modules, of
    which one is made; `inputs` gives arrays in any case.
    """

    name: str
    forward: Callable[..., Any]
    backward: Callable[..., Any] | None
    inputs: Callable[[Any], Sequence[Any]]  # of a NumPy generator
    cause: tuple[str, ...] = ()

    def arguments(self, seed: int) -> tuple[Any, list[Any], Any]:
        """Return what `gradcheck` takes: the function, its inputs, its backward pass."""
        inputs = list(self.inputs(np.random.default_rng(seed)))
        if self.backward is not None:
            return self.forward, inputs, self.backward
        import minicnn as mc

        mc.manual_seed(seed)
        function = self.forward() if isinstance(self.forward, type) else self.forward
        return function, [mc.tensor(a) if isinstance(a, np.ndarray) else a for a in inputs], None


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

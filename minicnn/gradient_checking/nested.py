"""Lists of arrays among the inputs, like `concatenate([a, b])`: every array in them is an input of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Array = Any


class Nesting:
    """Which inputs were lists or tuples of arrays; `flat` takes them apart, `build` puts them together again."""

    def __init__(self, given: Sequence[Any]) -> None:
        self.lengths = [len(g) if _of_arrays(g) else None for g in given]
        self.types = [type(g) for g in given]

    def __bool__(self) -> bool:
        """Return whether there is any list of arrays."""
        return any(n is not None for n in self.lengths)

    def flat(self, given: Sequence[Any]) -> list[Any]:
        """Return the inputs with the arrays of each list beside one another."""
        found: list[Any] = []
        for item, length in zip(given, self.lengths):
            found += [item] if length is None else list(item)
        return found

    def build(self, flat: Sequence[Any]) -> list[Any]:
        """Return the inputs as the function takes them."""
        rest, found = list(flat), []
        for length, kind in zip(self.lengths, self.types):
            if length is None:
                found.append(rest.pop(0))
            else:
                found.append(tuple(rest[:length]) if kind is tuple else rest[:length])
                del rest[:length]
        return found

    def names(self, names: Sequence[str]) -> list[str]:
        """Return a name for each array: of the third in `xs` xs[2]."""
        return [
            name if length is None else f"{name}[{i}]"
            for name, length in zip(names, self.lengths)
            for i in range(length or 1)
        ]


def _of_arrays(given: Any) -> bool:
    """Return whether this is a list of arrays or Tensors of floats."""
    if not isinstance(given, (list, tuple)) or not given:
        return False
    return all(hasattr(g, "shape") and getattr(getattr(g, "dtype", None), "kind", "") == "f" for g in given)


def flattened(gradients: Sequence[Any]) -> list[Any]:
    """Return gradients with those of a list beside one another."""
    found: list[Any] = []
    for g in gradients:
        found += list(g) if isinstance(g, (list, tuple)) else [g]
    return found

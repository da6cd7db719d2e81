"""Randomness and state: what a function remembers between calls, and how to put it back.

A function that draws random numbers can be checked if it draws the same ones in every call. So the states of all
generators within its reach are put back before each call: NumPy's and Python's global ones, minicnn's, and those that
hang on the function, its arguments, its closure or the globals it uses.
"""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from .. import random as philox

Take = Callable[[], Any]
Put = Callable[[Any], None]


class Replay:
    """The generators within reach of some functions; `rewind()` puts back those that have moved."""

    def __init__(self, *roots: Any) -> None:
        self.roots = roots
        self._sources = list(_sources(roots))
        self._start = [take() for take, _ in self._sources]
        self._used: list[int] | None = None

    def rewind(self) -> None:
        """Put every generator back to where it was when the check began."""
        which = range(len(self._sources)) if self._used is None else self._used
        for i in which:
            self._sources[i][1](self._start[i])

    def learn(self) -> None:
        """See which generators a call has moved; from now on only those are put back."""
        moved = [i for i, (take, _) in enumerate(self._sources) if not _same(take(), self._start[i])]
        self._used = sorted({*moved, *(self._used or ())})

    def states(self) -> list[Any]:
        """Return the states of all generators as they are now."""
        return [take() for take, _ in self._sources]

    def moved_since(self, states: list[Any]) -> bool:
        """Return whether a generator has been used since."""
        return not all(_same(now, then) for now, then in zip(self.states(), states))

    @property
    def random(self) -> bool:
        """Whether a generator has been used."""
        return bool(self._used)

    def memory(self) -> list[bytes]:
        """Return a fingerprint of everything changeable within reach that is no generator."""
        return [_fingerprint(thing) for thing in reachable(self.roots) if not _is_generator(thing)]


def _sources(roots: Any) -> Iterator[tuple[Take, Put]]:
    """Yield, for every generator, how to take its state and how to put it back."""
    yield np.random.get_state, np.random.set_state
    yield random.getstate, random.setstate
    yield philox.get_state, philox.set_state
    for thing in reachable(roots):
        if isinstance(thing, np.random.Generator):
            bits = thing.bit_generator
            yield lambda b=bits: b.state, lambda state, b=bits: setattr(b, "state", state)  # type: ignore[misc]  # b
        elif isinstance(thing, np.random.RandomState):
            yield thing.get_state, thing.set_state
        elif isinstance(thing, random.Random):
            yield thing.getstate, thing.setstate
        elif isinstance(thing, philox.Generator):
            yield lambda g=thing: g.position, lambda at, g=thing: setattr(g, "position", at)  # type: ignore[misc]  # g


def _is_generator(thing: Any) -> bool:
    kinds = (np.random.Generator, np.random.RandomState, random.Random, philox.Generator)
    return isinstance(thing, kinds)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(v, other[k]) for k, v in one.items())
    return bool(np.array_equal(one, other)) if isinstance(one, np.ndarray) else bool(one == other)


def reachable(roots: Any, depth: int = 5) -> Iterator[Any]:
    """Yield the objects that functions can reach by closures, defaults, attributes and the globals they use."""
    seen: set[int] = set()
    stack = [(root, depth) for root in roots]
    while stack:
        thing, left = stack.pop()
        plain = (str, bytes, int, float, complex, bool, type(None), ModuleType, type)
        if id(thing) in seen or isinstance(thing, plain):
            continue
        seen.add(id(thing))
        yield thing
        if left:
            stack += [(inner, left - 1) for inner in _inside(thing)]


def _inside(thing: Any) -> list[Any]:
    if isinstance(thing, MethodType):
        return [thing.__self__, thing.__func__]
    if isinstance(thing, FunctionType):
        cells = [c.cell_contents for c in thing.__closure__ or () if _filled(c)]
        used = [thing.__globals__[n] for n in thing.__code__.co_names if n in thing.__globals__]
        defaults = [*(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values()]
        return [*cells, *defaults, *used, *vars(thing).values()]
    if isinstance(thing, dict):
        return list(thing.values())
    if isinstance(thing, (list, tuple, set)):
        return list(thing)[:1000]
    if isinstance(thing, np.ndarray) or _is_generator(thing):
        return []
    return list(getattr(thing, "__dict__", {}).values())


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - an empty cell raises here
    except ValueError:
        return False
    return True


def _fingerprint(thing: Any) -> bytes:
    if isinstance(thing, FunctionType):  # numbers among the globals and closure cells it uses: a counter, a flag
        thing = [x for x in _inside(thing) if isinstance(x, (int, float, bool))]
    elif not isinstance(thing, (list, dict, set, np.ndarray)):
        thing = [v for v in getattr(thing, "__dict__", {}).values() if isinstance(v, (int, float, bool))]
    try:
        return pickle.dumps(thing)
    except Exception:  # what cannot be pickled has no fingerprint
        return b""

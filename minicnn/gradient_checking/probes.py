"""Other points at which the same gradients must be right, made of the given values.

Ties are rare among random numbers and common among pixels. So the given values are permuted, some are copied over
others, and a few are repeated everywhere. Arrays whose values obey a law (rows that sum to 1, unit vectors, symmetric
matrices) stay as they are: outside the law the function need not be what its backward pass takes it for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Array = Any


def points(
    values: Sequence[Array], free: Sequence[bool], rng: np.random.Generator
) -> Iterator[tuple[str, list[Array]]]:
    """Yield what was done and the new values; only arrays that are `free` change."""
    movable = [f and v.size > 1 and not obeys_a_law(v) for v, f in zip(values, free)]
    if not any(movable):
        return
    makers = (("permuted", _permuted), ("duplicated", _duplicated), ("repeated", _repeated))
    for text, make in makers:
        yield text, make(values, movable, rng)


def nudged(values: Sequence[Array], free: Sequence[bool], rng: np.random.Generator) -> list[Array]:
    """Return values moved by a thousandth: off every kink, but not into another region."""
    moved = []
    for value, is_free in zip(values, free):
        typical = np.abs(value[np.isfinite(value) & (value != 0)])
        size = np.where(value == 0, 1e-2 * (float(np.median(typical)) if typical.size else 1.0), np.abs(value))
        shift = 1e-3 * size * rng.uniform(0.5, 1.5, value.shape) * rng.choice((-1.0, 1.0), value.shape)
        moved.append(value + shift if is_free else value)
    return moved


def obeys_a_law(value: Array) -> bool:
    """Return whether sums, norms or symmetry of an array's rows look intended."""
    if value.ndim == 0 or value.size < 2 or np.ptp(value) == 0 or not np.isfinite(value).all():
        return bool(value.size and not np.isfinite(value).all())
    with np.errstate(all="ignore"):
        for axis in range(value.ndim):
            if value.shape[axis] > 1:
                for total in (value.sum(axis), (value**2).sum(axis)):
                    if np.allclose(total, 1.0, rtol=1e-6):
                        return True
    if value.ndim >= 2 and value.shape[-1] == value.shape[-2]:
        return bool(np.allclose(value, np.swapaxes(value, -1, -2)))
    return False


def _permuted(values: Sequence[Array], movable: Sequence[bool], rng: np.random.Generator) -> list[Array]:
    return [rng.permutation(v.ravel()).reshape(v.shape) if m else v for v, m in zip(values, movable)]


def _duplicated(values: Sequence[Array], movable: Sequence[bool], rng: np.random.Generator) -> list[Array]:
    """Half of the elements become copies of others; between arrays that fit, some are copied across."""
    made: list[Array] = []
    for v, m in zip(values, movable):
        new = v.copy()
        if m:
            flat = new.reshape(-1)
            change = rng.random(flat.size) < 0.5
            flat[change] = rng.choice(flat, int(change.sum()))
            for other in made:
                if other.shape == v.shape:
                    same = rng.random(v.shape) < 0.4
                    new = np.where(same, other, new)
        made.append(new)
    return made


def _repeated(values: Sequence[Array], movable: Sequence[bool], rng: np.random.Generator) -> list[Array]:
    made = []
    for v, m in zip(values, movable):
        few = rng.choice(v.ravel(), min(3, v.size), replace=False) if m else None
        made.append(v if few is None else rng.choice(few, v.shape))
    return made

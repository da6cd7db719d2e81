"""A point at which a subject is examined: all its values as one long vector, and its outputs as another."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .numeric import STEPS, WIDE_STEPS, Derivative, along
from .subject import Fault, Subject

Array = Any


class Point:
    """Values of a subject, the outputs there, their rounding errors, and derivatives along any direction."""

    def __init__(self, subject: Subject, values: Sequence[Array], rng: np.random.Generator) -> None:
        self.subject = subject
        self.values = [np.array(v, np.float64) for v in values]
        self.shapes = [v.shape for v in self.values]
        ends = np.cumsum([0, *(v.size for v in self.values)])
        self.slices = [slice(a, b) for a, b in pairwise(ends)]
        self.x = np.concatenate([v.ravel() for v in self.values]) if self.values else np.zeros(0)
        self.size = np.concatenate([_size(v) for v in self.values]) if self.values else np.zeros(0)
        began, busy = time.perf_counter(), time.process_time()
        outputs = subject.outputs(self.values)
        self.output_shapes = [o.shape for o in outputs]
        self.base = _flat(outputs)
        self.noise = self._measure_noise(rng)
        # One evaluation, by the processor's time: a busy machine does not count, a function that waits does.
        self.seconds = max(time.process_time() - busy, 0.2 * (time.perf_counter() - began)) / 3

    def outputs(self, x: Array) -> Array:
        """Return all outputs at other values; nan where the function cannot be evaluated."""
        try:
            outputs = self.subject.outputs([x[s].reshape(shape) for s, shape in zip(self.slices, self.shapes)])
        except Fault:
            return np.full(self.base.shape, np.nan)
        flat = _flat(outputs)
        return flat if flat.shape == self.base.shape else np.full(self.base.shape, np.nan)

    def move(self, direction: Array, t: float) -> Array:
        """Return the outputs at x + t · direction."""
        return self.outputs(self.x + t * direction)

    def split_outputs(self, flat: Array) -> list[Array]:
        """Return a vector over all outputs in the outputs' shapes."""
        ends = np.cumsum([0, *(int(np.prod(s)) for s in self.output_shapes)])
        return [flat[a:b].reshape(s) for (a, b), s in zip(pairwise(ends), self.output_shapes)]

    def gradients(self, cotangent: Array) -> list[Any]:
        """Return what the backward pass gives for this cotangent, as it gives it."""
        return self.subject.gradients(self.values, self.split_outputs(cotangent))

    def gradient(self, cotangent: Array) -> Array:
        """Return it as one vector; zeros where there is no path or no usable array."""
        parts = []
        for found, shape in zip(self.gradients(cotangent), self.shapes):
            usable = isinstance(found, (np.ndarray, np.generic)) and found.shape == shape and found.dtype.kind in "fiu"
            parts.append(np.asarray(found, np.float64).ravel() if usable else np.zeros(int(np.prod(shape))))
        return np.concatenate(parts) if parts else np.zeros(0)

    def along(self, direction: Array, cotangent: Array, enough: float) -> Derivative:
        """Return the derivative of cotangent · outputs along a direction in units of the values' sizes."""
        steps = STEPS if self.subject.wide else WIDE_STEPS
        return along(lambda t: self.move(direction, t), cotangent, 1.0, self.noise, enough, steps)

    def place(self, j: int) -> tuple[int, tuple[int, ...]]:
        """Return which value an element of x belongs to, and its index there."""
        k = next(k for k, s in enumerate(self.slices) if j < s.stop)
        index = np.unravel_index(j - self.slices[k].start, self.shapes[k])
        return k, tuple(int(i) for i in index)

    def output_index(self, i: int) -> tuple[int, ...]:
        """Return the index of an output element (with the output's number before it if there are several)."""
        for number, shape in enumerate(self.output_shapes):
            count = int(np.prod(shape))
            if i < count:
                index = tuple(int(n) for n in np.unravel_index(i, shape))
                return (number, *index) if len(self.output_shapes) > 1 else index
            i -= count
        raise IndexError(i)

    def _measure_noise(self, rng: np.random.Generator) -> Array:
        """Return how far each output moves when all values move by a few units in their last place."""
        epsilon = self.subject.epsilon
        with np.errstate(all="ignore"):
            noise = 2 * epsilon * np.abs(self.base)
            for _ in range(2):
                shaken = self.outputs(self.x * (1 + 3 * epsilon * rng.uniform(-1, 1, self.x.shape)))
                noise = np.fmax(noise, np.abs(shaken - self.base))
        return np.where(np.isfinite(noise), noise, 0.0)


def _flat(outputs: Sequence[Array]) -> Array:
    # A single output may be a view of the function's own memory: a copy, so that it stays what it was.
    return np.concatenate([o.ravel() for o in outputs]) if outputs else np.zeros(0)


def _size(value: Array) -> Array:
    """Return for each element what counts as its size: its own, but not less than the array's typical one."""
    flat = np.abs(value.ravel())
    usable = flat[np.isfinite(flat) & (flat > 0)]
    typical = float(np.median(usable)) if usable.size else 1.0
    return np.where(np.isfinite(flat), np.maximum(flat, typical), typical)

"""The cases of every operation, shared by all devices, and how they are written.

`tests/cases/<family>.py` lists CASES and REFUSALS for the operations of `minicnn/ops/<family>.py`. The tests in
`tests/ops/` run each case on every device and memory layout against PyTorch and against central differences.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch

INF, NAN = float("inf"), float("nan")
SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, INF, -INF, NAN, 1e-30, -1e30)


@dataclass(frozen=True)
class Given:
    """An array argument: how to draw it. `grad` says whether its gradient is compared (floats only)."""

    draw: Callable[[np.random.Generator], np.ndarray]
    text: str
    grad: bool = True
    shape: tuple[int, ...] = ()

    def build(self, rng: np.random.Generator, dtype: Any) -> np.ndarray:
        array = np.asarray(self.draw(rng))
        return array.astype(dtype) if array.dtype.kind == "f" else array

    def __repr__(self) -> str:
        return self.text


def normal(*shape: int, grad: bool = True) -> Given:
    """Standard normal numbers."""
    return Given(lambda rng: rng.standard_normal(shape), f"normal{shape}", grad, shape)


def uniform(low: float, high: float, *shape: int, grad: bool = True) -> Given:
    """Numbers evenly in [low, high)."""
    return Given(lambda rng: rng.uniform(low, high, shape), f"uniform[{low},{high}]{shape}", grad, shape)


def distinct(*shape: int, grad: bool = True) -> Given:
    """Numbers that are at least 0.1 apart and 0.05 away from 0, in random order: no ties, no kinks nearby."""
    count = int(np.prod(shape))

    def draw(rng: np.random.Generator) -> np.ndarray:
        return (0.1 * (rng.permutation(count) - count // 2) + 0.05).reshape(shape)

    return Given(draw, f"distinct{shape}", grad, shape)


def ties(*shape: int) -> Given:
    """Whole numbers −1, 0, 1: many are equal."""
    return Given(lambda rng: rng.integers(-1, 2, shape).astype(float), f"ties{shape}", True, shape)


def exact(values: Any, grad: bool = True) -> Given:
    """Exactly these floats."""
    array = np.array(values, dtype=np.float64)
    return Given(lambda rng: array.copy(), f"exact{array.tolist()}", grad, array.shape)


def integers(low: int, high: int, *shape: int) -> Given:
    """int64 numbers in [low, high)."""
    return Given(lambda rng: rng.integers(low, high, shape), f"integers[{low},{high}]{shape}", False, shape)


def whole(values: Any) -> Given:
    """Exactly these int64 numbers."""
    array = np.array(values, dtype=np.int64)
    return Given(lambda rng: array.copy(), f"whole{array.tolist()}", False, array.shape)


def booleans(*shape: int) -> Given:
    """Random bools."""
    return Given(lambda rng: rng.integers(0, 2, shape).astype(bool), f"booleans{shape}", False, shape)


@dataclass(frozen=True)
class Case:
    """One call of an operation of `minicnn.functional`.

    `smooth=False` leaves out the check by central differences (kinks, ties, inf, nan). `torch` replaces the
    PyTorch function of the same name, where there is none or where it takes its arguments otherwise.
    """

    op: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    smooth: bool = True
    torch: Callable[..., Any] | None = None

    def __str__(self) -> str:
        words = [*map(str, self.args), *(f"{k}={v}" for k, v in self.kwargs.items())]
        return f"{self.op}({', '.join(words)})"[:150]

    @property
    def arrays(self) -> list[Given]:
        return [a for a in [*self.args, *self.kwargs.values()] if isinstance(a, Given)]


@dataclass(frozen=True)
class Refusal:
    """A call that must raise `error` with a text that contains `text`; `torch_allows` where PyTorch takes it."""

    op: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    error: type[Exception]
    text: str
    torch_allows: bool = False
    torch: Callable[..., Any] | None = None

    def __str__(self) -> str:
        words = [*map(str, self.args), *(f"{k}={v}" for k, v in self.kwargs.items())]
        return f"{self.op}({', '.join(words)})"[:150]


def case(op: str, *args: Any, smooth: bool = True, torch: Callable[..., Any] | None = None, **kwargs: Any) -> Case:
    """Write a case as the call itself."""
    return Case(op, args, kwargs, smooth, torch)


def refusal(
    error: type[Exception], text: str, op: str, *args: Any, torch_allows: bool = False,
    torch: Callable[..., Any] | None = None, **kwargs: Any,
) -> Refusal:  # fmt: skip
    """Write a refusal: the error and its text, then the call."""
    return Refusal(op, args, kwargs, error, text, torch_allows, torch)


def torch_function(item: Case | Refusal) -> Callable[..., Any]:
    """Return PyTorch's function for a case."""
    found = item.torch or getattr(torch.nn.functional, item.op, None) or getattr(torch, item.op, None)
    assert found is not None, f"{item.op}: PyTorch has no function of this name; give torch="
    return found


@cache
def _modules() -> list[Any]:
    return [importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]


def all_cases() -> list[Case]:
    return [c for module in _modules() for c in module.CASES]


def all_refusals() -> list[Refusal]:
    return [r for module in _modules() for r in module.REFUSALS]

from collections.abc import Iterator

import numpy as np
import pytest

from minicnn import random


@pytest.fixture
def quick_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw first values with NumPy's generator: a VGG's 140 million take a second instead of ten."""
    numbers = np.random.default_rng(0)

    def uniform(shape, *, low=0.0, high=1.0, dtype=np.float32, **_):
        return low + (high - low) * numbers.random(shape, np.float32).astype(dtype)

    def normal(shape, *, mean=0.0, std=1.0, dtype=np.float32, **_):
        return mean + std * numbers.standard_normal(shape, np.float32).astype(dtype)

    monkeypatch.setattr(random, "uniform", uniform)
    monkeypatch.setattr(random, "normal", normal)


@pytest.fixture
def no_draws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start every network with zeros, where only its shapes matter."""
    for name in ("uniform", "normal"):
        monkeypatch.setattr(random, name, lambda shape, *, dtype=np.float32, **_: np.zeros(shape, dtype))

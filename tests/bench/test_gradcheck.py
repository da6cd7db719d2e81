"""The benchmark of the gradient checker: what it counts."""

from typing import Any

import numpy as np
import pytest

import minicnn as mc
from minicnn import nn
from minicnn.bench import gradcheck
from minicnn.gradient_checking.mutants import right, wrong

pytest.importorskip("torch")
PAIR = lambda x: (x * x, x)
PLANE = lambda rng: [rng.standard_normal((3, 2))]
EXAMPLES = [
    right("square", PAIR, lambda d, x: 2 * d * x, PLANE),
    wrong("constant factor", "without 2", PAIR, lambda d, x: d * x, PLANE),
    wrong("branch", "labelled otherwise", PAIR, lambda d, x: -2 * d * x, PLANE),
]


def test_counts() -> None:
    part = gradcheck.check(EXAMPLES)
    assert (part.mistakes, part.caught, part.first, part.right, part.false_alarms) == (2, 2, 1, 1, 0)
    assert (part.torch_caught, part.torch_false_alarms) == (2, 0)
    text = str(gradcheck.Results({"mistakes": part}, {"a layer": 0.5}))
    assert "2 of 2 (100.0 %)" in text
    assert "a layer: 0.50 s" in text
    assert "diagnosed otherwise: labelled otherwise: planted branch, said constant factor" in text


def test_pytorch_sees_the_same_pair() -> None:
    assert gradcheck.torch_says(EXAMPLES[0])[0]
    assert not gradcheck.torch_says(EXAMPLES[1])[0]
    raising = wrong("error", "raises", PAIR, lambda d, x: np.linalg.inv(d), PLANE)
    assert not gradcheck.torch_says(raising)[0]


def test_pytorch_sees_the_same_function_and_module() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 3)

        def forward(self, x: Any) -> Any:
            return mc.functional.tanh(self.layer(x))

    class Cut(Net):
        def forward(self, x: Any) -> Any:
            return super().forward(x.detach())

    assert gradcheck.torch_says(right("sigmoid", mc.functional.sigmoid, None, PLANE))[0]
    assert gradcheck.torch_says(right("net", Net, None, PLANE))[0]
    assert not gradcheck.torch_says(wrong("cut graph", "cut", Cut, None, PLANE))[0]


@pytest.mark.full
def test_large_ones_are_right() -> None:
    assert all("blamed" not in what for what in gradcheck.speed())

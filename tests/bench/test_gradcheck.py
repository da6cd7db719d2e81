"""The benchmark of the gradient checker: what it counts."""

import numpy as np
import pytest

from minicnn.bench import gradcheck
from minicnn.gradient_checking.mutants import right, wrong

PAIR = lambda x: (x * x, x)
PLANE = lambda rng: [rng.standard_normal((3, 2))]
EXAMPLES = [
    right("square", PAIR, lambda d, x: 2 * d * x, PLANE),
    wrong("constant factor", "without 2", PAIR, lambda d, x: d * x, PLANE),
    wrong("branch", "labelled otherwise", PAIR, lambda d, x: -2 * d * x, PLANE),
]


def test_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradcheck, "examples", lambda: EXAMPLES)
    results = gradcheck.run()
    assert (results.mistakes, results.caught, results.first, results.right, results.false_alarms) == (2, 2, 1, 1, 0)
    assert (results.torch_caught, results.torch_false_alarms) == (2, 0)
    assert "2 of 2 (100.0 %)" in str(results)
    assert "diagnosed otherwise: labelled otherwise: planted branch, said constant factor" in str(results)


def test_pytorch_sees_the_same_pair() -> None:
    assert gradcheck.torch_says(EXAMPLES[0])[0]
    assert not gradcheck.torch_says(EXAMPLES[1])[0]
    raising = wrong("error", "raises", PAIR, lambda d, x: np.linalg.inv(d), PLANE)
    assert not gradcheck.torch_says(raising)[0]

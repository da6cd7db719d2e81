"""The checker against mistakes planted in known ways, and against right pairs."""

import numpy as np
import pytest

import minicnn as mc
from minicnn.gradient_checking.mutants import Example, examples

RIGHT = [e for e in examples() if not e.cause]
WRONG = [e for e in examples() if e.cause]
SLOW = ("filters", "dw ", "dx ", "conv", "padding", "last row", "x padded", "db of", "db over", "db averaged")


def ids(example: Example) -> str:
    return example.name


@pytest.mark.parametrize("example", RIGHT, ids=ids)
@pytest.mark.parametrize("seed", [3, 4])
def test_right_pairs_pass(example: Example, seed: int) -> None:
    report = mc.gradcheck(
        example.forward, example.inputs(np.random.default_rng(seed)), backward=example.backward, seed=seed
    )
    assert report, str(report)
    assert not report.diagnosis


@pytest.mark.parametrize("example", [e for e in WRONG if not e.name.startswith(SLOW)], ids=ids)
def test_planted_mistakes_are_caught(example: Example) -> None:
    report = mc.gradcheck(example.forward, example.inputs(np.random.default_rng(3)), backward=example.backward)
    assert not report
    assert report.diagnosis


def test_diagnosis_names_the_planted_cause() -> None:
    """The share promised: first in 85 %, among the first two in 95 % of the cases."""
    first = second = 0
    chosen = [e for e in WRONG if not e.name.startswith(SLOW)]
    for example in chosen:
        report = mc.gradcheck(example.forward, example.inputs(np.random.default_rng(5)), backward=example.backward)
        kinds = [d.kind for d in report.diagnosis]
        first += bool(set(kinds[:1]) & set(example.cause))
        second += bool(set(kinds[:2]) & set(example.cause))
    assert len(chosen) >= 100
    assert first >= 0.85 * len(chosen)
    assert second >= 0.95 * len(chosen)


@pytest.mark.full
@pytest.mark.parametrize("example", WRONG, ids=ids)
@pytest.mark.parametrize("mode", ["full", "stratified", "directional"])
def test_every_mode_catches(example: Example, mode: str) -> None:
    report = mc.gradcheck(
        example.forward, example.inputs(np.random.default_rng(6)), backward=example.backward, mode=mode
    )
    assert not report

"""Correct functions at hard points are not blamed."""

import pytest

import minicnn as mc
from minicnn.gradient_checking.mutants import Example
from minicnn.gradient_checking.planted.correct import cases

CASES = cases()
PARTS = 20  # of all cases, one part is tried always, the rest by `make test-full`


def blamed(chosen: list[Example], seed: int) -> list[str]:
    found = []
    for example in chosen:
        function, inputs, backward = example.arguments(seed)
        report = mc.gradcheck(function, inputs, backward=backward, seed=seed)
        found += [] if report else [f"{example.name}: {report.diagnosis}"]
    return found


def test_there_are_enough() -> None:
    assert len(CASES) >= 1000
    assert len({e.name.partition(":")[0] for e in CASES}) >= 60
    assert len({e.name for e in CASES}) == len(CASES)


def test_a_part_passes() -> None:
    assert blamed(CASES[7::PARTS], 3) == []


@pytest.mark.full
@pytest.mark.parametrize("seed", [3, 12])
@pytest.mark.parametrize("part", range(PARTS))
def test_all_pass(part: int, seed: int) -> None:
    assert blamed(CASES[part::PARTS], seed) == []

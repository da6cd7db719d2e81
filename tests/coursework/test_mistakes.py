"""Planted mistakes of students: each is found, in the right part, and named in words that teach."""

from collections import Counter
from pathlib import Path

import pytest

from minicnn.coursework.catalogue import EXERCISES

from .grading import graded
from .mistakes import MISTAKES, Mistake

OFTEN = 4  # of each exercise; the others are in the whole grid


def _number(mistake: Mistake) -> int:
    return [m for m in MISTAKES if m.exercise == mistake.exercise].index(mistake)


def test_every_exercise_has_mistakes_of_both_kinds() -> None:
    counts = Counter((m.exercise, m.part.startswith(("forward", "running"))) for m in MISTAKES)
    for exercise in EXERCISES:
        assert counts[exercise.name, True] >= 1
        assert counts[exercise.name, False] >= 3


@pytest.mark.parametrize("seed", [0, pytest.param(7, marks=pytest.mark.full)])
@pytest.mark.parametrize(
    "mistake",
    [pytest.param(m, marks=[pytest.mark.full] if _number(m) >= OFTEN else []) for m in MISTAKES],
    ids=lambda m: f"{m.exercise}-{_number(m)}",
)
def test_mistake_is_found_and_named(mistake: Mistake, seed: int, tmp_path: Path) -> None:
    result = graded(mistake.source, mistake.exercise, tmp_path, seed=seed)
    part = result.parts[mistake.part]
    assert part.state == "WRONG"
    assert mistake.says in "\n".join(part.texts)
    assert not result.verdict

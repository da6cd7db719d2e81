"""Right solutions get full marks in whatever form; the untouched files say what is to do."""

import doctest
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from minicnn.coursework.catalogue import EXERCISES
from minicnn.coursework.exercise import Exercise
from minicnn.coursework.grade import grade
from minicnn.coursework.result import Limits

from .grading import graded, relu, said, states
from .mistakes import SOLUTIONS
from .solutions import loops, vectorised

NAMES = ("loops", "vectorised", "unusual")


@pytest.mark.parametrize("solution", NAMES)
def test_full_marks(solution: str) -> None:
    results, notes = grade(SOLUTIONS / f"{solution}.py", Limits(seconds=300))
    assert not notes
    assert [r.name for r in results] == [e.name for e in EXERCISES]
    assert {r.name: said(r) for r in results if not r.passed} == {}
    assert sum(r.points for r in results) == sum(len(e.all_parts) for e in EXERCISES) == 39


@pytest.mark.full
@pytest.mark.parametrize("seed", range(1, 11))
@pytest.mark.parametrize("solution", NAMES)
def test_full_marks_for_other_inputs(solution: str, seed: int) -> None:
    results, _ = grade(SOLUTIONS / f"{solution}.py", Limits(seconds=300, seed=seed))
    assert {r.name: said(r) for r in results if not r.passed} == {}


@pytest.mark.parametrize("module", [loops, vectorised], ids=NAMES[:2])
@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_the_example_of_a_stub_is_what_solutions_give(exercise: Exercise, module: ModuleType) -> None:
    found: list[str] = []
    stub: dict[str, Any] = {}
    exec(exercise.stub, stub)
    text, solution = stub[exercise.forward].__doc__, {"np": np, **vars(module)}
    example = doctest.DocTestParser().get_doctest(text, solution, exercise.name, None, 0)
    assert len(example.examples) >= 2
    doctest.DocTestRunner().run(example, out=found.append)
    assert found == []


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_a_stub_says_what_is_to_be_written(exercise: Exercise) -> None:
    for name in (exercise.forward, exercise.backward):
        assert f"def {name}(" in exercise.stub
    for word in (*exercise.arguments, *exercise.gradients, "Returns", "Hint"):
        assert word in exercise.stub
    assert exercise.stub.count("raise NotImplementedError") == (1 if exercise.single else 2)
    assert "minicnn" not in exercise.stub.replace("minicnn coursework grade THIS_FILE", "")


def test_untouched_stubs_are_not_wrong_but_not_written_yet(tmp_path: Path) -> None:
    imports, *bodies = ["import numpy as np\n", *(e.stub.split("import numpy as np\n")[1] for e in EXERCISES)]
    file = tmp_path / "all.py"
    file.write_text(imports + "".join(bodies))
    results, _ = grade(file, Limits())
    assert [(r.points, r.verdict) for r in results] == [(0, "")] * len(EXERCISES)
    assert {p.state for r in results for p in r.parts.values()} == {"not written yet"}


def test_forward_alone_has_its_points(tmp_path: Path) -> None:
    result = graded(relu(backward="raise NotImplementedError"), "relu", tmp_path)
    assert states(result) == {"forward": "right", "dx": "not written yet"}
    result = graded(relu().split("def relu_backward")[0], "relu", tmp_path)
    assert states(result) == {"forward": "right", "dx": "not written yet"}
    assert "there is no function relu_backward in the file" in said(result)


def test_a_right_gradient_has_its_points_beside_a_wrong_one(tmp_path: Path) -> None:
    text = (SOLUTIONS / "vectorised.py").read_text().replace("db = dout.sum(axis=0)", "db = 2 * dout.sum(axis=0)", 1)
    result = graded(text, "affine", tmp_path)
    assert states(result) == {"forward": "right", "dx": "right", "dw": "right", "db": "WRONG"}
    assert (result.points, result.passed) == (3, False)


@pytest.mark.parametrize("at_zero", ["0", "dout", "dout / 2"])
def test_every_subgradient_at_a_kink_is_right(at_zero: str, tmp_path: Path) -> None:
    text = relu(backward=f"return np.where(cache > 0, dout, np.where(cache < 0, 0, {at_zero}))")
    assert graded(text, "relu", tmp_path).passed


@pytest.mark.parametrize("at_zero", ["2 * dout", "-dout"])
def test_what_is_no_subgradient_is_wrong(at_zero: str, tmp_path: Path) -> None:
    text = relu(backward=f"return np.where(cache > 0, dout, np.where(cache < 0, 0, {at_zero}))")
    assert states(graded(text, "relu", tmp_path)) == {"forward": "right", "dx": "WRONG"}


def test_other_files_beside_it_may_be_imported(tmp_path: Path) -> None:
    (tmp_path / "layers.py").write_text((SOLUTIONS / "vectorised.py").read_text())
    text = "from layers import residual_block_forward, residual_block_backward\n"
    assert graded(text, "residual_block", tmp_path).passed

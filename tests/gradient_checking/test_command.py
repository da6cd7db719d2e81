"""The grader: processes with limits, exit codes, the table, JSON and partial credit."""

import json
from pathlib import Path

import pytest

from minicnn.gradient_checking import command

SUBMISSION = """
import os
import numpy as np

def relu_forward(x):
    return np.maximum(x, 0), x
def relu_backward(dout, x):
    print("students print")
    return dout * (x > 0)

def affine_forward(x, w, b):
    return x @ w + b, (x, w)
def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.mean(0)

def odd_forward(x, table):
    return x * table["scale"], table["scale"]
def odd_backward(dout, scale):
    return dout * scale
def odd_inputs(rng):
    return [rng.standard_normal((3, 2)), {"scale": 3.0}]

def twice_forward(x):
    return 2 * x, x
def endless(dout, x):
    while True:
        pass
def crash(dout, x):
    os.abort()
def leave(dout, x):
    os._exit(0)
def memory(dout, x):
    return np.ones(1 << 40)
"""
ENDINGS = [
    ("endless", "out of time: not done after 3 s"),
    ("crash", "crashed: ended by signal SIGABRT"),
    ("leave", "ended with code 0 without a result"),
    ("memory", "out of memory: more than 4096 MiB"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "student.py"
    path.write_text(SUBMISSION)
    return path


def test_right_submissions(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([f"{file}::relu_backward", f"{file}::odd", "--json", str(file.parent / "r.json")]) == 0
    shown = capsys.readouterr().out
    assert "students print" not in shown
    assert "you should be happy" in shown
    assert "2 of 2 gradients are right" in shown
    read = json.loads((file.parent / "r.json").read_text())
    assert [t["passed"] for t in read["targets"]] == [True, True]


def test_partial_credit_and_cause(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([f"{file}::affine_backward", "--seed", "7"]) == 1
    shown = capsys.readouterr().out
    assert "2 of 3 gradients are right" in shown
    assert "b" in shown
    assert "constant factor" in shown
    assert "a mean where a sum is right" in shown


@pytest.mark.parametrize(("name", "text"), ENDINGS)
def test_how_a_submission_may_end(file: Path, name: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(SUBMISSION + f"\ntwice_backward = {name}\n")
    assert command.main([f"{file}::twice", "--time", "3" if name == "endless" else "30"]) == 1
    assert text in capsys.readouterr().out


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("student.py", "target is 'student.py', needs FILE::NAME"),
        ("nowhere.py::relu", "there is no file nowhere.py"),
        ("student.py::absent", "student.py has no absent"),
        ("student.py::absent_backward", "student.py has no absent_forward and absent_backward"),
        ("broken.py::relu", "broken.py cannot be read: SyntaxError"),
    ],
)
def test_what_cannot_be_read(
    file: Path, target: str, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    Path("broken.py").write_text("def relu(:\n")
    assert command.main([target]) == 2
    assert text in capsys.readouterr().out


def test_hidden_cases(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = file.parent / "cases.json"
    cases.write_text(json.dumps({"relu": [[{"shape": [7, 3]}], [{"shape": [2, 1, 5, 2]}]]}))
    assert command.main([f"{file}::relu", "--cases", str(cases)]) == 0
    written = file.parent / "cases.py"
    written.write_text("CASES = {'relu': [lambda rng: [rng.standard_normal((2, 2))]]}")
    assert command.main([f"{file}::relu", "--cases", str(written)]) == 0
    assert command.main([f"{file}::affine", "--cases", str(cases)]) == 2
    assert "has no cases for 'affine'" in capsys.readouterr().out
    cases.write_text("{")
    assert command.main([f"{file}::relu", "--cases", str(cases)]) == 2

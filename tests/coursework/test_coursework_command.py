"""`minicnn coursework` as a course calls it: in processes of its own, with exit codes and JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minicnn.cli import main
from minicnn.coursework.catalogue import EXERCISES

from .grading import relu
from .mistakes import SOLUTIONS


def coursework(*arguments: str | Path, folder: Path, code: int) -> str:
    """Run the command in a folder; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "minicnn", "coursework", *map(str, arguments)],
        cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if code == 2 else done.stdout


def test_from_an_empty_file_to_full_marks(tmp_path: Path) -> None:
    """New, graded untouched, forward alone, all of it."""
    assert "wrote affine.py; when you have filled it in:  minicnn coursework grade affine.py" in coursework(
        "new", "affine", folder=tmp_path, code=0
    )
    shown = coursework("grade", "affine.py", folder=tmp_path, code=1)
    assert shown.splitlines() == [
        "affine, forward: not written yet",
        "    write affine_forward, which raises NotImplementedError; then affine_backward, which needs its cache",
        "",
        "exercise  part     points  verdict",
        *(f"affine    {part:7}  0 of 1  not written yet" for part in ("forward", "dx", "dw", "db")),
        "0 of 4 points",
    ]
    written = (tmp_path / "affine.py").read_text(encoding="utf-8")
    forward = written.replace("    raise NotImplementedError", "    return x.reshape(len(x), -1) @ w + b, (x, w)", 1)
    (tmp_path / "affine.py").write_text(forward, encoding="utf-8")
    shown = coursework("grade", "affine.py", folder=tmp_path, code=1)
    assert shown.startswith(
        "affine, dx: not written yet\n    write affine_backward, which raises NotImplementedError\n"
    )
    assert shown.endswith("1 of 4 points\n")
    body = (
        "    x, w = cache\n    dx = (dout @ w.T).reshape(x.shape)\n"
        "    return dx, x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)"
    )
    whole = forward.replace("    raise NotImplementedError", body)
    (tmp_path / "affine.py").write_text(whole, encoding="utf-8")
    assert coursework("grade", "affine.py", folder=tmp_path, code=0).endswith("4 of 4 points\n")


def test_json_has_partial_credit_texts_and_the_checkers_reports(tmp_path: Path) -> None:
    (tmp_path / "s.py").write_text(relu(backward="return 2 * np.where(cache > 0, dout, 0)"))
    shown = coursework("grade", "s.py", "--json", "r.json", "--seed", "3", folder=tmp_path, code=1)
    assert "1 of 2 points" in shown
    found = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert {k: found[k] for k in ("file", "seed", "passed", "points", "possible", "notes")} == {
        "file": "s.py", "seed": 3, "passed": False, "points": 1, "possible": 2, "notes": [],
    }  # fmt: skip
    (exercise,) = found["exercises"]
    forward, dx = exercise["parts"]
    assert (forward["part"], forward["points"], forward["state"], forward["texts"]) == ("forward", 1, "right", [])
    assert (dx["part"], dx["points"], dx["state"], dx["cases"]) == ("dx", 0, "wrong", 1)
    assert "every element is 2 times the right one" in dx["texts"][0]
    assert len(exercise["reports"]) == 1  # nothing is left to be checked in the other cases
    assert not exercise["reports"][0]["passed"]


def test_the_list_is_the_order_of_teaching(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["coursework", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [e.name for e in EXERCISES]
    assert main(["coursework", "list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [e["exercise"] for e in found] == [
        "affine", "relu", "sigmoid", "softmax_loss", "conv_naive", "conv_im2col", "max_pool", "average_pool",
        "batch_norm", "dropout", "residual_block", "lrn",
    ]  # fmt: skip
    assert found[3]["functions"] == ["softmax_loss"]
    assert found[8]["parts"] == ["forward (train)", "running statistics", "forward (test)", "dx", "dgamma", "dbeta"]
    assert sum(e["points"] for e in found) == 39


def test_new_overwrites_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("relu.py").write_text("my work")
    assert main(["coursework", "new", "relu"]) == 2
    assert "relu.py exists and is left as it is" in capsys.readouterr().err
    assert Path("relu.py").read_text() == "my work"
    assert main(["coursework", "new", "relu", "--out", "other.py"]) == 0
    assert main(["coursework", "new", "relu", "--force"]) == 0
    assert Path("relu.py").read_text() == Path("other.py").read_text() != "my work"


def test_new_for_all_exercises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lrn.py").write_text("my work")
    assert main(["coursework", "new", "--all"]) == 2
    assert "lrn.py exists and is left as it is" in capsys.readouterr().err
    assert os.listdir() == ["lrn.py"]  # all or none
    Path("lrn.py").unlink()
    assert main(["coursework", "new", "--all"]) == 0
    assert sorted(os.listdir()) == sorted(f"{e.name}.py" for e in EXERCISES)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["new", "conv"], "there is no exercise 'conv'; there are affine, relu"),
        (["new", "max_pol"], "there is no exercise 'max_pol' (is max_pool meant?)"),
        (["new"], "new: needs the NAME of an exercise, or --all"),
        (["new", "relu", "--all"], "new: needs the NAME of an exercise, or --all"),
        (["new", "--all", "--out", "x.py"], "--out takes one exercise"),
        (["new", "relu", "--out", "nowhere/relu.py"], "nowhere/relu.py cannot be written"),
        (["grade", "nothing.py"], "there is no file nothing.py"),
        (["grade", "."], "there is no file ."),
        (["grade", "s.py", "--time", "0"], "needs --seed 0 or more, --time above 0 and --memory of at least 64"),
        (["grade", "s.py", "--exercise", "conv"], "there is no exercise 'conv'"),
        (["grade", "s.py", "--cases", "nothing.json"], "the cases in nothing.json cannot be read"),
        (["grade", "s.py", "--cases", "wrong.json"], "case 0 of relu does not fit"),
        (["grade", "s.py", "--json", "nowhere/r.json"], "nowhere/r.json cannot be written"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_no_use_exits_with_2_and_one_sentence(
    arguments: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.py").write_text(relu())
    Path("wrong.json").write_text('{"relu": [[{"shape": [2, 3]}, 7]]}')
    assert main(["coursework", *arguments]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("minicnn coursework: ")
    assert text in shown
    assert shown.count("\n") == 1


def test_own_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A pass that is right for matrices alone is found by a case of another shape only."""
    monkeypatch.chdir(tmp_path)
    source = (SOLUTIONS / "vectorised.py").read_text()
    Path("s.py").write_text(source.replace("x.reshape(len(x), -1) @ w + b", "x @ w + b"))
    Path("cases.json").write_text('{"affine": [[{"shape": [3, 4]}, {"shape": [4, 2]}, {"shape": [2]}]]}')
    grading = ["coursework", "grade", "s.py", "--exercise", "affine"]
    assert main([*grading, "--cases", "cases.json"]) == 0
    assert main(grading) == 1
    shown = capsys.readouterr().out
    assert "affine, forward: WRONG; right in 3 other cases" in shown


def test_an_exercise_that_is_not_there_has_no_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.py").write_text(relu())
    assert main(["coursework", "grade", "s.py", "--exercise", "relu", "--exercise", "sigmoid"]) == 1
    shown = capsys.readouterr().out
    assert "2 of 4 points" in shown
    assert "there is no function sigmoid_forward in the file" in shown


@pytest.mark.parametrize(
    ("backward", "verdict", "states"),
    [
        ("return dout * np.nan", "", ["right", "wrong"]),
        ("import os; os._exit(0)", "crashed: the process ended with code 0 without a result", ["right", "not checked"]),
        ("import minicnn", "imports minicnn; the exercise is to write it with NumPy", ["not checked"] * 2),
    ],
)
def test_json_is_strict_and_has_every_verdict(
    backward: str, verdict: str, states: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.py").write_text(relu(backward=backward))
    assert main(["coursework", "grade", "s.py", "--json", "r.json"]) == 1
    found = json.loads(Path("r.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    (exercise,) = found["exercises"]
    assert exercise["verdict"].startswith(verdict)
    assert bool(exercise["verdict"]) == bool(verdict)
    assert [part["state"] for part in exercise["parts"]] == states
    assert found["points"] == states.count("right")

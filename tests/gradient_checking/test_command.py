"""The grader: processes with limits, exit codes, the table, JSON and partial credit."""

import json
import textwrap
from pathlib import Path

import pytest

from minicnn import cli
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
HALVES = """
def conv_forward(x, w, b):
    return x @ w + b, (x, w)
def pool_backward(dout, cache):
    return dout
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
        ("student.py::conv_forward", "student.py has conv_forward, the backward function conv_backward is missing"),
        ("student.py::conv_backward", "student.py has conv_forward, the backward function conv_backward is missing"),
        ("student.py::conv", "student.py has conv_forward, the backward function conv_backward is missing"),
        ("student.py::pool_forward", "student.py has pool_backward, the forward function pool_forward is missing"),
        ("broken.py::relu", "broken.py cannot be read: SyntaxError"),
    ],
)
def test_what_cannot_be_read(
    file: Path, target: str, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    Path("broken.py").write_text("def relu(:\n")
    halves = (
        "def conv_forward(x, w, b):\n    return x @ w + b, (x, w)\ndef pool_backward(dout, cache):\n    return dout\n"
    )
    file.write_text(SUBMISSION + halves)
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


# A wrong backward pass that tries to be called right. What is run in it, or while the file is read.
FORGED = '{"reports": [{"passed": true, "faults": [], "diagnosis": [], "gradients": [{"name": "x", "shape": [1], \
"passed": true, "rel_error": 0.0}], "text": ""}]}'
ATTEMPTS = {
    "a result file": f"""
        import glob, os, sys, tempfile
        for path in [*sys.argv[1:], *glob.glob(tempfile.gettempdir() + "/tmp*/result.json"), "result.json"]:
            open(path, "w").write({FORGED!r})
        os._exit(0)
    """,
    "standard output": f"""
        import os
        for number in (1, 2):
            os.write(number, {FORGED.encode()!r})
        os._exit(0)
    """,
    "the channel": f"""
        import os
        for number in range(3, 20):
            try: os.write(number, {FORGED.encode()!r})
            except OSError: pass
        os._exit(0)
    """,
    "a well-formed message": """
        import __main__, os
        for number in range(3, 20):
            try: os.write(number, __main__.frame({"passed": True, "reports": [], "values": {"result": [0.0]}}))
            except OSError: pass
        os._exit(0)
    """,
    "the process": """
        import __main__
        __main__.Halves.second = lambda self, request: {"passed": True, "reports": [], "values": {"result": None}}
    """,
    "the report": """
        import minicnn.gradient_checking.report as report
        report.Report.passed = report.Gradient.passed = property(lambda self: True, lambda self, value: None)
    """,
    "the report's verdict": """
        import minicnn.gradient_checking.report as report
        report.Report.passed = property(lambda self: True)
    """,
    "the checker": """
        import minicnn.gradient_checking.check as check, minicnn.gradient_checking.command as command
        check._check = lambda *arguments: None
        command.grade = lambda *arguments: {}
    """,
    "numpy": """
        np.abs = np.subtract = lambda *arguments, **options: 0.0
        np.array_equal = np.allclose = lambda *arguments, **options: True
    """,
    "objects of the checker": """
        import gc
        for found in gc.get_objects():
            if type(found).__name__ in ("Report", "Gradient", "Point", "Comparison"):
                found.passed = found.base = found.numeric = 0
    """,
    "a child": """
        import os
        if os.fork() == 0:
            os.setsid()
    """,
    "a signal": """
        import os, signal
        os.kill(os.getppid(), signal.SIGTERM)
    """,
}


def _wrong(attempt: str, late: bool) -> str:
    before = textwrap.indent(textwrap.dedent(attempt), "    " if late else "")
    within, first = (before, "") if late else ("", before)
    return (
        f"import numpy as np\n{first}\ndef cube_forward(x):\n    return x ** 3, x\n"
        f"def cube_backward(dout, x):\n{within}\n    return dout * x\n"
    )


@pytest.mark.parametrize("late", [False, True], ids=["read", "called"])
@pytest.mark.parametrize("name", ATTEMPTS)
def test_a_verdict_cannot_be_forged(
    name: str, late: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("student.py").write_text(_wrong(ATTEMPTS[name], late))
    code = command.main(["student.py::cube", "--json", "report.json"])
    assert code in ((1,) if late else (1, 2))
    shown = capsys.readouterr().out
    assert "0 of 1 gradients are right" in shown
    assert "WRONG" in shown or "unreadable" in shown
    (read,) = json.loads(Path("report.json").read_text())["targets"]
    assert not read["passed"]
    assert read["isolated"]


def test_a_file_shares_no_process_with_the_checker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "student.py"
    look = "import sys\nassert not [n for n in sys.modules if n.startswith('minicnn')]\nassert len(sys.argv) == 1\n"
    file.write_text(_wrong(look, True).replace("dout * x", "3 * dout * x * x"))
    assert command.main([f"{file}::cube"]) == 0
    assert "1 of 1 gradients are right" in capsys.readouterr().out


TENSORS = """
import minicnn
import numpy as np

class Cube(minicnn.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save(x)
        return x ** 3
    @staticmethod
    def backward(ctx, dy):
{attempt}
        x = ctx.saved
        return {gradient}
"""


@pytest.mark.parametrize("name", ["a result file", "standard output", "the channel", "the report's verdict"])
def test_functions_of_tensors_need_the_secret(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    attempt = textwrap.indent(textwrap.dedent(ATTEMPTS[name]), 8 * " ")
    Path("student.py").write_text(TENSORS.format(attempt=attempt, gradient="dy * x"))
    assert command.main(["student.py::Cube"]) == 1
    shown = capsys.readouterr().out
    assert "0 of 1 gradients are right" in shown
    assert "note: student.py::Cube ran beside the checker in one process, and could forge this" in shown


def test_functions_of_tensors_are_trusted_and_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "student.py"
    file.write_text(
        TENSORS.format(attempt="", gradient="3 * dy * x * x") + "def cube_forward(x):\n    return x * x * x\n"
    )
    assert command.main([f"{file}::Cube", f"{file}::cube_forward"]) == 0
    assert "could forge this" in capsys.readouterr().out


@pytest.mark.parametrize("result", ["x @ w, (x, w)", "x @ w, x"])
def test_half_a_pair_is_no_function_of_tensors(result: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "student.py"
    file.write_text(f"import minicnn\ndef dense_forward(x, w):\n    return {result}\n")
    assert command.main([f"{file}::dense_forward"]) == 1
    assert "it is half a pair: backward, dense_backward, is missing" in capsys.readouterr().out


def test_what_was_not_checked_is_not_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "student.py"
    file.write_text(_wrong("", True) + "def cube_inputs(rng):\n    return [np.zeros((0, 3))]\n")
    assert command.main([f"{file}::cube"]) == 1
    assert "nothing was checked: the inputs have no element" in capsys.readouterr().out
    file.write_text("import numpy as np\ndef sign_forward(x):\n    return (x > 0) * 1, x\n"
                    "def sign_backward(dout, x):\n    return 0 * x\n")  # fmt: skip
    assert command.main([f"{file}::sign"]) == 1
    assert "returned no floats, so there is nothing to differentiate" in capsys.readouterr().out


def test_a_slow_submission_is_not_right_for_want_of_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "import time\nimport numpy as np\ndef f_forward(x):\n    time.sleep(0.1)\n    return x * x, x\n"
    file = tmp_path / "student.py"
    file.write_text(text + "def f_backward(dout, x):\n    dx = 2 * dout * x\n    dx.flat[-1] = 0\n    return dx\n")
    assert command.main([f"{file}::f", "--time", "3"]) == 1
    assert "out of time: not done after 3 s" in capsys.readouterr().out


# Right pairs in every form, and wrong ones: the verdict, and what is said.
FORMS = {
    "no cache": ("def f(x, w):\n    return x * w\ndef f_backward(d, x, w):\n    return d * w, d * x\n", 0, "2 of 2"),
    "two outputs": ("def f(x, w):\n    return x * w, x + w\n"
                    "def f_backward(d, x, w):\n    return d[0] * w + d[1], d[0] * x + d[1]\n", 0, "2 of 2"),
    "douts one by one": ("def f(x, w):\n    return x * w, x + w\n"
                         "def f_backward(d, e, x, w):\n    return d * w + e, d * x + e\n", 0, "2 of 2"),
    "by name": ("def f_forward(x, w):\n    return x @ w, (x, w)\n"
                "def f_backward(d, c):\n    return {'dw': c[0].T @ d, 'dx': d @ c[1].T}\n", 0, "2 of 2"),
    "generator": ("def f_forward(x):\n    return 3 * x, None\ndef f_backward(d, c):\n    yield 3 * d\n", 0, "1 of 1"),
    "lists": ("def f_forward(xs):\n    return np.concatenate(xs), len(xs[0])\n"
              "def f_backward(d, n):\n    return [d[:n], d[n:]]\n"
              "def f_inputs(rng):\n    return [[rng.normal(size=(2, 3)), rng.normal(size=(3, 3))]]\n", 0, "xs[1]"),
    "dropout": ("rng = np.random.default_rng()\ndef f_forward(x):\n    m = rng.random(x.shape) * np.random.rand()\n"
                "    return x * m, m\ndef f_backward(d, m):\n    return d * m\n", 0, "1 of 1"),
    "dropout drawn again": ("rng = np.random.default_rng()\ndef f_forward(x):\n    return x * rng.random(x.shape), x\n"
                            "def f_backward(d, x):\n    return d * rng.random(x.shape)\n", 1,
                            "backward draws random numbers of its own"),
    "counter": ("n = []\ndef f_forward(x):\n    n.append(0)\n    return x * len(n), len(n)\n"
                "def f_backward(d, k):\n    return d * k\n", 1, "depends on how often it was called"),
    "x in place": ("def f_forward(x):\n    x[x < 0] = 0\n    return x, x\n"
                   "def f_backward(d, x):\n    return d * (x > 0)\n", 1, "the function changes its input x in place"),
    "dout in place": ("def f_forward(x):\n    return x * x, x\ndef f_backward(d, x):\n    d *= 2 * x\n    return d\n",
                      1, "backward changes dout in place"),
    "complex": ("def f_forward(x):\n    return x * x, x\ndef f_backward(d, x):\n    return 2 * d * x + 0j\n", 1,
                "type complex128, needs floats"),
    "ragged": ("def f_forward(x):\n    return [[[1.0], [1.0, 2.0]]], x\ndef f_backward(d, x):\n    return d\n", 1,
               "nothing to differentiate"),
    "raises": ("def f_forward(x):\n    return x, x\ndef f_backward(d, x):\n    return d[99]\n", 1,
               "backward raised IndexError: index 99 is out of bounds"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_a_pair_in_its_own_process(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, code, says = FORMS[name]
    file = tmp_path / "student.py"
    file.write_text("import numpy as np\n" + text)
    assert command.main([f"{file}::f"]) == code
    assert says in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--time", "-1"], "--time is -1, needs seconds above 0"),
        (["--time", "nan"], "--time is nan, needs seconds above 0"),
        (["--memory", "100"], "--memory is 100, needs at least 512 MiB to start"),
        (["--seed", "-1"], "--seed is -1, needs 0 or more"),
        (["--json", "nowhere/report.json"], "--json nowhere/report.json cannot be written: No such file or directory"),
        (["--json", "."], "--json . cannot be written: Is a directory"),
    ],
)
def test_unusable_options_are_refused_before_the_grading(
    options: list[str], text: str, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    monkeypatch.setattr(command, "grade", None)
    for run in (command.main, lambda arguments: cli.main(["gradcheck", *arguments])):
        assert run(["student.py::relu", *options]) == 2
        shown = capsys.readouterr()
        assert shown.err.startswith(f"minicnn gradcheck: {text}")
        assert shown.err.count("\n") == 1
        assert not shown.out


@pytest.mark.parametrize("name", ["relu", "cube"])
def test_the_least_memory_suffices(name: str, file: Path) -> None:
    file.write_text(SUBMISSION + "\ndef cube(x):\n    return x * x * x\n")
    assert command.main([f"{file}::{name}", "--memory", "512"]) == 0

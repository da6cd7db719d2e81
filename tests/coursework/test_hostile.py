"""Files that misbehave, by accident or on purpose: each gets a verdict, and none fools the grader."""

from pathlib import Path

import pytest

from minicnn.coursework.grade import grade
from minicnn.coursework.result import Limits
from minicnn.errors import DataError

from .grading import graded, relu, said, states

RIGHT = "return np.maximum(x, 0), x"

# How a process may end: in which function, and what is said.
ENDINGS = {
    "endless": ("forward", "while True: pass", "out of time: not done after 4 s; stopped in relu_forward"),
    "deaf": (
        "forward",
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass",
        "out of time: not done after 4 s",
    ),
    "os._exit": ("backward", "import os; os._exit(0)", "crashed: the process ended with code 0 without a result"),
    "segfault": (
        "backward",
        "import ctypes; ctypes.string_at(0)",
        "crashed: ended by signal SIGSEGV, in relu_backward",
    ),
    "abort": ("forward", "import os; os.abort()", "crashed: ended by signal SIGABRT, in relu_forward, case x"),
    "memory": ("backward", "return np.ones(1 << 40)", "out of memory: more than 4096 MiB in relu_backward"),
    "closed": ("forward", "import os; os.closerange(0, 100)", "crashed"),
}

# What is refused, whatever the results are: nothing in the file counts.
REFUSED = {
    "minicnn": ("import minicnn.functional as F", "imports minicnn; the exercise is to write it with NumPy"),
    "torch": ("try:\n    import torch\nexcept BaseException: pass", "imports torch; the exercise is to write it"),
    "by name": ("import importlib; importlib.import_module('mini' + 'cnn')", "imports minicnn"),
    "program": ("import subprocess; subprocess.run(['true'])", "starts another program, which no exercise needs"),
    "fork": ("import os; os.fork()", "starts another program"),
    "signal": ("import os; os.kill(os.getppid(), 15)", "sends signals to processes, which no exercise needs"),
    "channel": (
        "import os\nfor n in range(3, 20):\n    try: os.write(n, b'rubbish' * 100)\n    except OSError: pass",
        "writes into the grader's own channel, instead of returning results",
    ),
}

# Results of a wrong form: what forward does, and what is said.
FORMS = {
    "shape": ("return np.maximum(x, 0).ravel(), x", "out has shape (18,), needs (3, 6): the elements are there"),
    "float32": ("return np.maximum(x, 0).astype(np.float32), x", "has type float32, needs float64"),
    "inside": ("return np.maximum(x.astype('f'), 0).astype(float), x", "right to a few digits only"),
    "integers": ("return np.maximum(x, 0).astype(int), x", "whole numbers cut off fractions"),
    "list": ("return np.maximum(x, 0).tolist(), x", "out is a list, needs an array of shape (3, 6)"),
    "complex": ("return np.maximum(x, 0) + 0j, x", "out is of type array of complex128, needs an array"),
    "one value": ("return np.maximum(x, 0)", "returned one value (of type array), needs two: (out, cache)"),
    "no return": ("np.maximum(x, 0)", "returned None, needs (out, cache): is the return missing?"),
    "reversed": ("return x, np.maximum(x, 0)", "returned its two values in reverse order, needs (out, cache)"),
    "generator": ("yield np.maximum(x, 0)\nyield x", "returned one value (of type generator)"),
    "raises": ("return x[7], x", "relu_forward raised IndexError: index 7 is out of bounds for axis 0 with size 3"),
    "exit": ("import sys; sys.exit(0)", "relu_forward raised SystemExit: 0 (student.py, line 5)"),
    "recursion": ("return relu_forward(x)", "raised RecursionError: maximum recursion depth exceeded"),
    "input": ("input('x? ')", "raised EOFError: EOF when reading a line"),
    "in place": ("x[x < 0] = 0; return x, x", "relu_forward changes its argument x in place; work on a copy"),
    "random": ("return np.maximum(x, 0) * np.random.rand(), x", "relu, forward"),
    "writes much": (
        "open(__file__ + '.log', 'wb').write(bytes(1 << 25)); " + RIGHT,
        "raised OSError: [Errno 27] File too large",
    ),
    "frames": (
        "import sys\nframe = sys._getframe()\nwhile frame:\n    found = [v for v in frame.f_locals.values() if "
        "isinstance(v, np.ndarray) and v is not x]\n    if found: return found[0], x\n    frame = frame.f_back\n"
        "raise ValueError('nothing found')",
        "nothing found",
    ),
}

# Attempts to be judged by something else than the numbers; all leave the result 0 where it is not.
ZERO = "return 0 * x, x"
TRICKS = {
    "numpy": "import numpy as np\nnp.abs = np.subtract = lambda *a, **k: 0.0\nnp.allclose = lambda *a, **k: True\n",
    "builtins": "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.float = lambda x: 0.0\n",
    "the process": "import __main__\n__main__.same = lambda a, b: True\n__main__.pack = None\n",
    "an answer": (
        "import __main__\n__main__.called = lambda request, names: {'values': {'result': (0, 0)}, 'calls': 0}\n"
    ),
    "a class": (
        "import numpy as np\nclass Equal(np.ndarray):\n    __eq__ = __le__ = lambda a, b: True\n"
        "    __sub__ = lambda a, b: np.zeros(a.shape)\n    tobytes = lambda a: bytes(a.nbytes)\n"
    ),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_how_a_process_may_end(name: str, tmp_path: Path) -> None:
    where, body, text = ENDINGS[name]
    seconds = 4 if "4 s" in text else 60
    result = graded(relu(**{where: body}), "relu", tmp_path, seconds)
    assert text in result.verdict
    assert states(result)["dx"] == "not checked"
    assert result.points == (where == "backward")  # what was right before stays right


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("late", [False, pytest.param(True, marks=pytest.mark.full)], ids=["read", "called"])
def test_what_is_refused(name: str, late: bool, tmp_path: Path) -> None:
    code, text = REFUSED[name]
    result = graded(relu(backward=f"{code}\nreturn np.where(cache > 0, dout, 0)") if late else relu(before=code + "\n"),
                    "relu", tmp_path)  # fmt: skip
    assert text in result.verdict
    assert result.points == 0


@pytest.mark.parametrize("name", FORMS)
def test_results_of_a_wrong_form(name: str, tmp_path: Path) -> None:
    body, text = FORMS[name]
    result = graded(relu(body), "relu", tmp_path)
    assert states(result)["forward"] == "WRONG"
    assert text in f"relu, forward: {said(result)}"


@pytest.mark.parametrize("name", TRICKS)
def test_only_numbers_count(name: str, tmp_path: Path) -> None:
    body = "return (0 * x).view(Equal), x" if name == "a class" else ZERO
    result = graded(relu(body, "return 0 * dout", TRICKS[name]), "relu", tmp_path)
    assert result.points == 0


def test_a_backward_pass_that_measures_slopes_is_no_derivation(tmp_path: Path) -> None:
    body = (
        "dx = np.zeros(cache.shape)\nfor i in np.ndindex(*cache.shape):\n    step = np.zeros(cache.shape)\n"
        "    step[i] = 1e-6\n    change = relu_forward(cache + step)[0] - relu_forward(cache - step)[0]\n"
        "    dx[i] = (change * dout).sum() / 2e-6\nreturn dx"
    )
    result = graded(relu(backward=body), "relu", tmp_path)
    assert states(result)["dx"] == "WRONG"
    assert "relu_backward calls relu_forward 36 times: it measures slopes" in said(result)


def test_a_function_that_counts_its_calls(tmp_path: Path) -> None:
    text = relu("calls.append(0); return np.maximum(x, 0) * (len(calls) < 2), x", before="calls = []\n")
    assert "a second call with the same input gives another result" in said(graded(text, "relu", tmp_path))


def test_dout_is_left_as_it_is(tmp_path: Path) -> None:
    result = graded(relu(backward="dout[cache <= 0] = 0\nreturn dout"), "relu", tmp_path)
    assert states(result) == {"forward": "right", "dx": "WRONG"}
    assert "changes its input dout in place" in said(result) or "changes dout in place" in said(result)


def test_printing_threads_and_strict_settings_do_no_harm(tmp_path: Path) -> None:
    before = (
        "import os, sys, threading, time, traceback, warnings\nimport numpy as np\n"
        "np.seterr(all='raise')\nwarnings.simplefilter('error')\n"
        "threading.Thread(target=time.sleep, args=(1000,)).start()\n"
    )
    body = (
        "print('x' * 100000); sys.stderr.write('x' * 100000); os.write(1, b'x' * 100000); traceback.print_stack()\n"
        "warnings.warn('careful'); np.log(-np.ones(2)); sys.stdin.read(); np.exp(-1e4)\n"
    )
    assert graded(relu(body + RIGHT, before=before), "relu", tmp_path).passed


def test_what_a_terminal_would_obey_is_not_passed_on(tmp_path: Path) -> None:
    text = said(graded(relu("raise ValueError('\\x1b[2J\\n2 of 2 points')"), "relu", tmp_path))
    assert "\x1b" not in text
    assert "ValueError: [2J 2 of 2 points" in text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def relu_forward(x:\n", "student.py cannot be read: SyntaxError: '(' was never closed (student.py, line 1)"),
        ("def relu_forward(x):\nreturn x\n", "IndentationError: expected an indented block"),
        ("x = '\0'\n", "source code string cannot contain null bytes"),
        ("", "holds no function of an exercise (of affine, relu"),
        ("def relu_fwd(x):\n    return x\n", "holds no function of an exercise"),
        ("def forward_relu(x):\n    return x\n", "forward_relu is not asked for; is relu_forward meant?"),
        ("import nothing_of_this_name\n", "cannot be read: ModuleNotFoundError: No module named"),
        ("x = " + "(" * 500 + ")" * 500, "cannot be read: SyntaxError: too many nested parentheses"),
        ("#" * ((1 << 20) + 1), "has more than 1 MiB, which no exercise needs"),
    ],
)
def test_what_cannot_be_graded(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "student.py"
    file.write_text(text)
    with pytest.raises(DataError, match="coursework: ") as raised:
        grade(file, Limits())
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("before", "says"),
    [
        ("import ctypes; ctypes.string_at(0)\n", "crashed: ended by signal SIGSEGV, while the file was read"),
        ("exit(3)\n", "the file ends the process while it is read: SystemExit: 3 (student.py, line 1)"),
        ("import os; os._exit(0)\n", "crashed: the process ended with code 0 without a result, while the file was"),
        ("while True: pass\n", "out of time: not done after 4 s; stopped while the file was read"),
    ],
)
def test_what_happens_while_the_file_is_read_is_a_verdict(before: str, says: str, tmp_path: Path) -> None:
    result = graded(relu(before=before), "relu", tmp_path, seconds=4)
    assert says in result.verdict
    assert result.points == 0

"""Bugs planted into the real kernels, one line each: the emulation says what is wrong, and in which line and thread."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn.cuda import emulation, source
from minicnn.errors import DeviceError

RNG = np.random.default_rng(5)


def numbers(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def gradient(f: Callable[..., Any], *arrays: np.ndarray) -> np.ndarray:
    leaves = [mc.tensor(a, requires_grad=True) for a in arrays]
    y = f(*leaves)
    y.backward(mc.tensor(np.ones(y.shape, y.dtype)))
    return leaves[0].grad.numpy()


RUNS: dict[str, Callable[[], Any]] = {
    "relu": lambda: F.relu(mc.tensor(numbers(7, 43))).numpy(),
    "relu gradient": lambda: gradient(F.relu, numbers(7, 43)),
    "add": lambda: F.add(mc.tensor(numbers(7, 43)), mc.tensor(numbers(7, 43))).numpy(),
    "bias gradient": lambda: gradient(lambda b, x: F.add(x, b), numbers(35), numbers(19, 35)),
    "sum": lambda: F.sum(mc.tensor(numbers(3, 299)), 1).numpy(),
    "var": lambda: F.var(mc.tensor(numbers(3, 299)), 1).numpy(),
    "argmax": lambda: F.argmax(mc.tensor(numbers(3, 299)), 1).numpy(),
    "amax gradient": lambda: gradient(lambda x: F.amax(x, 1), numbers(3, 299)),
    "softmax": lambda: F.softmax(mc.tensor(numbers(3, 299)), 1).numpy(),
    "log_softmax gradient": lambda: gradient(lambda x: F.log_softmax(x, 1), numbers(3, 299)),
}
BARRIER = "    __syncthreads();\n"
BUGS = [  # what runs, file, text, replacement, what the report says
    ("relu", "activation.cu", "if (i < n) y[i] = x[i] > T(0)", "if (i <= n) y[i] = x[i] > T(0)", "out-of-bounds read"),
    ("relu gradient", "activation.cu", "if (i < n) dx[i] = y[i]", "if (i < n + 9) dx[i] = y[i]",
     "out-of-bounds read"),
    ("add", "elementwise.cu", "z[i] = x[i] + y[i]", "z[i + 1] = x[i] + y[i]", "out-of-bounds write"),
    ("bias gradient", "reduce.cu", "y[column] = T(sum)", "y[column + 1] = T(sum)", "out-of-bounds write"),
    ("bias gradient", "reduce.cu", "for (int k = 1; k < 8; ++k)", "for (int k = 1; k <= 8; ++k)",
     "out-of-bounds array index"),
    ("softmax", "common.cuh", "largest[thread / 32] = v", "largest[thread / 32 + 30] = v", "out-of-bounds array index"),
    ("argmax", "reduce.cu", "int half = 64", "int half = 128", "out-of-bounds array index"),
    ("bias gradient", "reduce.cu", "= sum;\n" + BARRIER, "= sum;\n", "uninitialised"),
    ("bias gradient", "reduce.cu", "T(sum);\n    }", "T(sum);\n    }\n    part[0][threadIdx.x] = 0;",
     "race on 'shared memory'"),
    ("argmax", "reduce.cu", "    " + BARRIER, "", "uninitialised memory: 'shared memory'"),
    ("var", "common.cuh", BARRIER, "", "race on 'shared memory'"),
    ("sum", "reduce.cu", "threadIdx.x == 0 && row < rows) y[row]", "row < rows) y[row]", "race on 'y'"),
    ("sum", "reduce.cu", "&& row < rows) y[row]", "&& row < rows) y[row / 2]", "of another block wrote"),
    ("softmax", "common.cuh", "v = largest[0];", "v = largest[5];", "of uninitialised memory: 'shared memory'"),
    ("softmax", "common.cuh", "v += sums[w]", "v += sums[w + 1]", "of uninitialised memory: 'shared memory'"),
    ("relu", "activation.cu", "y[i] = x[i] > T(0)", "y[i] = y[i] > T(0)", "read of uninitialised memory: 'y'"),
    ("add", "elementwise.cu", "z[i] = x[i] + y[i]", "z[i] += x[i] + y[i]", "read of uninitialised memory: 'z'"),
    ("sum", "reduce.cu", "    double sum = 0;\n", "    if (threadIdx.x >= 96) return;\n    double sum = 0;\n",
     "not reached by all"),
    ("argmax", "reduce.cu", "        __syncthreads();\n", "        if (t < half) __syncthreads();\n",
     "barrier not reached by all threads"),
    ("bias gradient", "reduce.cu", BARRIER, "    if (threadIdx.y < 4) __syncthreads();\n",
     "barrier not reached by all"),
    ("add", "elementwise.cu", "z[i] = x[i] + y[i]", "z[i] = ((const float2*)(x + (i & 1)))->x + y[i]", "misaligned"),
    ("relu", "activation.cu", "if (i < n) y[i] = x[i] > T(0)",
     "if (i < n) y[i] = T(((const double2*)(x + 2 * (i & 1)))->x) + x[i] > T(0)", "misaligned"),
    ("add", "elementwise.cu", "z[i] = x[i] + y[i]", "z[i + (int(i) * (int(n) << 17) == 7)] = x[i] + y[i]",
     "signed overflow in *"),
    ("relu", "activation.cu", "y[i] = x[i] > T(0)", "y[i + (int(i) + 2147483600 == 7)] = x[i] > T(0)",
     "signed overflow in +"),
]  # fmt: skip


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A student's copy of the kernels, which the device takes."""
    folder = tmp_path / "kernels"
    shutil.copytree(source.shipped(), folder)
    monkeypatch.setenv("MINICNN_KERNELS", str(folder))
    return folder


def edit(folder: Path, name: str, old: str, new: str) -> None:
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{name} has no {old!r}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(("run", "name", "old", "new", "report"), BUGS)
def test_planted_bugs_are_reported(copy: Path, run: str, name: str, old: str, new: str, report: str) -> None:
    edit(copy, name, old, new)
    with emulation.checking(), mc.use_device("cuda:sim"), pytest.raises(DeviceError) as caught:
        RUNS[run]()
    text = str(caught.value)
    assert report in text
    assert all(word in text for word in (".cu", "block (", "thread ("))


@pytest.mark.parametrize("order", [0, 1, 7])
@pytest.mark.parametrize("run", RUNS)
def test_the_kernels_themselves_are_clean(run: str, order: int) -> None:
    with emulation.checking(order=order), mc.use_device("cuda:sim"):
        assert np.isfinite(RUNS[run]()).all()


def test_an_edited_kernel_and_an_edited_header_count(copy: Path) -> None:
    x = mc.tensor(np.array([-1.0, 2.0]), device="cuda:sim")
    assert F.relu(x).tolist() == [0.0, 2.0]
    edit(copy, "activation.cu", "is_nan(x[i]) ? x[i] : T(0)", "is_nan(x[i]) ? x[i] : T(5)")
    assert F.relu(x).tolist() == [5.0, 2.0]
    edit(copy, "common.cuh", "return x != x;", "return x < T(0);")
    assert F.relu(x).tolist() == [-1.0, 2.0]


def test_a_kernel_that_does_not_compile_says_so(copy: Path) -> None:
    edit(copy, "activation.cu", "is_nan(x[i]) ?", "is_nan(x[i] ?")
    with pytest.raises(DeviceError, match=r"g\+\+ rejects .*activation\.cu"):
        F.relu(mc.tensor([1.0], device="cuda:sim"))


def test_an_endless_loop_ends_in_a_message(copy: Path) -> None:
    edit(copy, "activation.cu", "if (i < n) y[i] = x[i] > T(0)", "while (n) if (i < n) y[i] = x[i] > T(0)")
    x = mc.tensor([1.0], device="cuda:sim")
    with emulation.checking(False, seconds=0.5), pytest.raises(DeviceError) as caught:
        F.relu(x)
    assert "activation.cu" in str(caught.value)
    assert "still running at the time limit: an endless loop? [block (0,0,0) thread (0,0,0)]" in str(caught.value)


def test_a_wild_address_leaves_python_alive(copy: Path) -> None:
    edit(copy, "activation.cu", "y[i] = x[i] > T(0)", "y[i + (1LL << 50)] = x[i] > T(0)")
    x = mc.tensor([1.0], device="cuda:sim")
    for check, report in ((False, "wild address"), (True, "out-of-bounds write")):
        with emulation.checking(check), pytest.raises(DeviceError) as caught:
            F.relu(x)
        assert report in str(caught.value)
    with emulation.checking(False), pytest.raises(DeviceError):
        F.relu(x)  # the helper is there again, or still


def test_a_stray_write_is_noticed_without_checks(copy: Path) -> None:
    edit(copy, "activation.cu", "y[i] = x[i] > T(0)", "y[i + 1] = x[i] > T(0)")
    with emulation.checking(False), pytest.raises(DeviceError, match="something was written outside 'y'"):
        F.relu(mc.tensor([1.0, 2.0], device="cuda:sim"))


def test_a_folder_that_is_wrong_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = mc.tensor([1.0], device="cuda:sim")
    monkeypatch.setenv("MINICNN_KERNELS", str(tmp_path / "none"))
    with pytest.raises(DeviceError, match="which is no folder"):
        F.relu(x)
    monkeypatch.setenv("MINICNN_KERNELS", str(tmp_path))
    (tmp_path / "activations.cu").write_text("")
    with pytest.raises(DeviceError, match=r"activations\.cu in .* is used by no operation"):
        F.relu(x)


def test_an_operation_without_kernels_is_named() -> None:
    x = mc.tensor(np.ones((1, 1, 3, 3)), device="cuda:sim")
    with pytest.raises(DeviceError, match=r"conv2d_forward has no CUDA version: write it in minicnn/cuda/conv"):
        F.conv2d(x, x)

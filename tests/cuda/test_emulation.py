"""How kernels are compiled and run on the CPU: edited copies, endless loops, wild addresses, reports."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn.cuda import emulation, source
from minicnn.errors import DeviceError


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

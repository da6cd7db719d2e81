"""Launch tables and kernel files belong together, and arguments are checked before any device sees them."""

import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

from minicnn import ops
from minicnn._device import device, on
from minicnn.cuda import launch, source
from minicnn.errors import DeviceError, DTypeError, ShapeError

FILES = sorted(source.shipped().glob("*.cu"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_kernel_has_its_launch(path: Path) -> None:
    table = importlib.import_module(f"minicnn.cuda.{path.stem}").LAUNCHES
    assert set(table) == set(source.read(path.stem).kernels)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_kernel_says_which_numpy_lines_it_equals(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for kernel in source.read(path.stem).kernels:
        before = r"((?://[^\n]*\n)+)(?:template[^\n]*\n)?__global__ void (?:__launch_bounds__\([^)]*\)\s*)?"
        comment = re.search(rf"{before}{kernel}\(", text)
        assert "NumPy:" in (comment[1] if comment else ""), kernel
    head = text[: text.index("#include")]
    assert all(word in head for word in ("Grid", "hared memory", "Bytes per element", "Limit")), path.name


def prepared(**changes: object) -> object:
    x = np.zeros((2, 3), np.float32)
    arguments = {"x": x, "y": x.copy(), "n": 6} | changes
    return launch.prepare("relu_forward", source.read("activation").kernels["relu_forward"], arguments)


def test_arguments_get_the_kernels_types() -> None:
    _, _, n = prepared()[0]
    assert n.value.dtype == np.int64
    assert prepared()[1] == np.float32


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"y": np.zeros(6)}, DTypeError, "relu_forward: arrays of float32, float64; needs all float32 or all float64"),
        ({"x": np.zeros((3, 2), np.float32).T}, ShapeError, "relu_forward: x has strides (4, 8), needs a C-contiguous"),
        ({"n": 1.5}, ShapeError, "relu_forward: n is 1.5, needs a whole number from"),
        ({"n": 2**63}, ShapeError, "relu_forward: n is 9223372036854775808, needs a whole number from"),
        ({"m": 1}, DeviceError, "relu_forward: the kernel's parameters are x, y, n; m do not match"),
    ],
)
def test_wrong_arguments_are_refused(changes: dict[str, object], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        prepared(**changes)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("grid", "block", "shared", "text"),
    [
        ((1, 1, 1), (1025, 1, 1), 0, "a block of (1025, 1, 1) has 1025 threads, a GPU takes 1 to 1024"),
        ((1, 1, 1), (1, 1, 65), 0, "at most 64 along z"),
        ((1, 65536, 1), (1, 1, 1), 0, "a grid of (1, 65536, 1) blocks"),
        ((2**31, 1, 1), (1, 1, 1), 0, "a grid of (2147483648, 1, 1) blocks"),
        ((1, 1, 1), (1, 1, 1), 49153, "49153 bytes of shared memory in a block, a GPU takes 49152"),
    ],
)
def test_launches_beyond_a_gpu_are_refused(grid, block, shared, text) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DeviceError) as caught:
        launch.check_limits("k", grid, block, shared)
    assert text in str(caught.value)


OPERATIONS = {
    (family, name)
    for family in sorted(path.stem for path in Path(ops.__file__).parent.glob("*.py"))
    if family not in ("shape", "__init__")
    for path in Path(ops.__file__).parents[1].rglob("*.py")
    for name in re.findall(r"\bon\([\w.]+, (\w+)\)", path.read_text(encoding="utf-8"))
    if hasattr(module := importlib.import_module(f"minicnn.ops.{family}"), name)
    and getattr(module, name).__module__ == module.__name__
}


@pytest.mark.parametrize(("family", "name"), sorted(OPERATIONS), ids=str)
def test_every_operation_has_a_twin_with_its_definitions_parameters(family: str, name: str) -> None:
    definition = getattr(importlib.import_module(f"minicnn.ops.{family}"), name)
    twin = on(device("cuda:sim"), definition)
    assert twin.__module__ == f"minicnn.cuda.{family}"
    assert list(inspect.signature(twin).parameters) == list(inspect.signature(definition).parameters)

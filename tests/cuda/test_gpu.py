"""The kernels on an NVIDIA GPU. Skipped, and counted as skipped, where there is none; not yet run on one."""

from importlib import import_module
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn._device import device, usable
from minicnn.cuda import activation
from minicnn.errors import DeviceError
from tests.cases import Case, all_cases
from tests.cuda import runs
from tests.ops.test_operations import arguments, assert_close, laid_out, mapped, minicnn_results, torch_results


def lack() -> str:
    """Return why there is no GPU to test on, or ""."""
    if find_spec("cupy") is None:
        return "no GPU: CuPy is not installed"
    try:
        usable(device("cuda"))
    except DeviceError as error:
        return str(error)
    return ""


pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(lack()), reason=lack() or "there is a GPU")]


@pytest.mark.parametrize("run", runs.RUNS)
def test_values_are_the_definitions(run: str) -> None:
    for found, right in zip(runs.arrays_of(run, "cuda"), runs.arrays_of(run, "reference"), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("run", runs.RUNS)
def test_the_emulation_does_what_the_gpu_does(run: str) -> None:
    for found, emulated in zip(runs.arrays_of(run, "cuda"), runs.arrays_of(run, "cuda:sim"), strict=True):
        np.testing.assert_allclose(found, emulated, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("op", sorted({case.op for case in all_cases()}))
def test_the_shared_cases(op: str) -> None:
    for case in all_cases():
        if case.op == op:
            for layout, dtype in product(("row-major", "channels-last", "strided"), (np.float32, np.float64)):
                compare(case, layout, dtype)


def compare(case: Case, layout: str, dtype: Any) -> None:
    args, kwargs = arguments(case, dtype)
    expected, expected_gradients, cotangents = torch_results(case, args, kwargs)
    args, kwargs = mapped(args, lambda a: laid_out(a, layout)), mapped(kwargs, lambda a: laid_out(a, layout))
    outputs, gradients = minicnn_results(case, args, kwargs, "cuda", cotangents)
    for i, (actual, wanted) in enumerate(zip(outputs, expected, strict=True)):
        assert_close(f"{case} {layout} output {i}", actual.numpy(), wanted.detach().numpy())
    for i, (actual, wanted) in enumerate(zip(gradients, expected_gradients, strict=True)):
        if actual is not None and wanted is not None:
            assert_close(f"{case} {layout} gradient {i}", actual, wanted)


@pytest.mark.parametrize("shape", [(7, 43), (3, 5, 1021), (1, 1), (256, 4096)])
def test_masks_of_dropout_are_the_same_bits(shape: tuple[int, ...]) -> None:
    """Philox: whole numbers, so nothing may differ between the definition, the emulation and the GPU."""
    kept = []
    for name in ("reference", "cuda:sim", "cuda"):
        mc.manual_seed(11)
        with mc.use_device(name):
            kept.append(F.dropout(mc.ones(shape), 0.3).numpy() != 0)
    np.testing.assert_array_equal(kept[1], kept[0])
    np.testing.assert_array_equal(kept[2], kept[0])


@pytest.mark.parametrize("rows", [1, 107, 70_001])  # 70 001 blocks: many rounds on every GPU
def test_grids_of_many_rounds(rows: int) -> None:
    x = np.random.default_rng(1).standard_normal((rows, 515)).astype(np.float32)
    t = mc.tensor(x, device="cuda")
    e = np.exp(x - x.max(1, keepdims=True))
    np.testing.assert_allclose(F.softmax(t, 1).numpy(), e / e.sum(1, keepdims=True), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(F.sum(t, 0).numpy(), x.sum(0, dtype=np.float64), rtol=1e-4, atol=1e-2)
    np.testing.assert_array_equal(F.relu(t).numpy(), np.maximum(x, 0))
    np.testing.assert_array_equal(F.add(t, t).numpy(), x + x)


def test_runs_are_bit_for_bit_the_same() -> None:
    x = np.random.default_rng(2).standard_normal((32, 48, 28, 23)).astype(np.float32)
    results = []
    for _ in range(3):
        t = mc.tensor(x, device="cuda", requires_grad=True)
        with mc.use_device("cuda"):
            y = F.max_pool2d(F.batch_norm(t, None, None, training=True), 3, stride=2)
            y.sum().backward()
        results.append((y.numpy(), t.grad.numpy()))
    for y, dx in results[1:]:
        np.testing.assert_array_equal(y, results[0][0])
        np.testing.assert_array_equal(dx, results[0][1])


def test_indices_over_two_to_the_31() -> None:
    cupy, n = import_module("cupy"), 2**31 + 77
    free, _ = cupy.cuda.runtime.memGetInfo()
    if free < 2.2 * 4 * n:
        pytest.skip(f"needs {2.2 * 4 * n / 2**30:.0f} GiB of GPU memory, {free / 2**30:.0f} are free")
    x, y = cupy.full(n, -1, "float32"), cupy.full(n, np.nan, "float32")
    x[-77:] = cupy.arange(77)
    activation.kernels("relu_forward", x=x, y=y, n=n)
    np.testing.assert_array_equal(y[-77:].get(), np.arange(77))
    assert not y[:1000].get().any()
    assert not bool(cupy.isnan(y).any())


@pytest.mark.parametrize("make", [lambda x: x[::2, 1::3], lambda x: x.T, lambda x: x[::-1], lambda x: x[:, 4:5]])
def test_inputs_that_are_not_contiguous(make: Any) -> None:
    whole = np.random.default_rng(3).standard_normal((46, 90)).astype(np.float32)
    with mc.use_device("cuda"):
        t = mc.tensor(whole)
        t.data = make(t.data)
        for f in (F.relu, lambda x: F.softmax(x, 1), lambda x: F.sum(x, 0), lambda x: F.add(x, x)):
            np.testing.assert_allclose(
                f(t).numpy(), f(mc.tensor(make(whole), device="reference")).numpy(), rtol=1e-5, atol=1e-6
            )

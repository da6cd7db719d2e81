"""The shared cases of the operations that have kernels, run thread by thread on `cuda:sim` with every check on."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn.cuda import emulation, loss
from tests.cases import Case, all_cases
from tests.ops.test_operations import arguments, assert_close, laid_out, mapped, minicnn_results, torch_results

FAMILIES = {
    "elementwise", "activation", "reduce", "softmax", "pool", "norm", "dropout", "loss", "logic", "matmul", "conv"
}  # fmt: skip
CASES = [c for c in all_cases() if getattr(F, c.op).__module__.removeprefix("minicnn.ops.") in FAMILIES]


@pytest.fixture(autouse=True)
def _checked() -> Iterator[None]:
    with emulation.checking(), mc.use_device("cuda:sim"):
        yield


def compare(item: Case, dtype: Any, layout: str) -> None:
    args, kwargs = arguments(item, dtype)
    expected, expected_gradients, cotangents = torch_results(item, args, kwargs)
    args, kwargs = mapped(args, lambda a: laid_out(a, layout)), mapped(kwargs, lambda a: laid_out(a, layout))
    outputs, gradients = minicnn_results(item, args, kwargs, "cuda:sim", cotangents)
    assert len(outputs) == len(expected)
    for i, (actual, wanted) in enumerate(zip(outputs, expected)):
        assert_close(f"output {i}", actual.numpy(), wanted.detach().numpy())
    for i, (actual, wanted) in enumerate(zip(gradients, expected_gradients)):
        if actual is None or wanted is None:
            assert not np.any(wanted if actual is None else actual), f"gradient {i} exists on one side only"
        else:
            assert_close(f"gradient {i}", actual, wanted)


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")  # PyTorch's
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of inf − inf in a sum
@pytest.mark.parametrize("item", CASES, ids=str)
def test_values_and_gradients_are_pytorchs(item: Case) -> None:
    compare(item, np.float32, "row-major")


@pytest.mark.full
@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("layout", ["row-major", "channels-last", "strided"])
@pytest.mark.parametrize("item", CASES, ids=str)
def test_in_float64_and_any_layout(item: Case, layout: str) -> None:
    compare(item, np.float64, layout)


@pytest.mark.parametrize("ignored", [-100, 1])
@pytest.mark.parametrize("weight", [None, np.linspace(1, 2, 5, dtype=np.float32)])
def test_a_label_outside_makes_the_loss_nan_and_reads_nothing_outside(ignored: int, weight: Any) -> None:
    """On a GPU the labels are not looked at before: the kernel itself must be safe."""
    x = np.random.default_rng(1).standard_normal((4, 5)).astype(np.float32)
    labels = np.array([1, 5, -1, 4])
    losses, _ = loss.cross_entropy_forward(x, labels, weight, ignored, "none", 0.0)
    np.testing.assert_array_equal(np.isnan(losses), [False, True, True, False])
    losses, _ = loss.nll_loss_forward(x, labels, weight, ignored, "none")
    np.testing.assert_array_equal(np.isnan(losses), [False, True, True, False])

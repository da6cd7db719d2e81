"""The code that will run on `cuda` runs on the stand-in for CuPy, and the stand-in refuses what CuPy refuses."""

import sys
from typing import Any

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn import layout
from minicnn._device import device
from minicnn._tensor import wrap
from minicnn.cuda import emulation
from tests import stand_in
from tests.cases import Case, all_cases
from tests.ops.test_operations import arguments, mapped, minicnn_results

SHAPE_CASES = [c for c in all_cases() if getattr(F, c.op).__module__ == "minicnn.ops.shape"]


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Any:
    found = stand_in.module()
    monkeypatch.setitem(sys.modules, "cupy", found)
    monkeypatch.setattr("minicnn.cuda.gpu.launch", emulated)
    return found


def emulated(text: Any, symbol: str, grid: Any, block: Any, shared: int, arguments: list[Any]) -> None:
    """What a GPU would do, done by the emulation on the arrays behind the stand-in's."""
    host = [a._replace(value=a.value._host) if a.is_array else a for a in arguments]
    emulation.launch(text, symbol, grid, block, shared, host)


def on_device(array: np.ndarray, requires_grad: bool = False) -> mc.Tensor:
    tensor = wrap(stand_in.ndarray(array.copy()), device("cuda"), None, 0)
    tensor.requires_grad = requires_grad
    return tensor


@pytest.mark.parametrize("item", SHAPE_CASES, ids=str)
def test_bookkeeping_runs_on_foreign_arrays(item: Case, cupy: Any) -> None:
    args, kwargs = arguments(item, np.float64)
    outputs, _ = minicnn_results(item, args, kwargs, "reference", None)
    rng = np.random.default_rng(3)
    cotangents = [np.asarray(rng.standard_normal(o.shape)).astype(o.dtype) for o in outputs]
    expected, expected_gradients = minicnn_results(item, args, kwargs, "reference", cotangents)

    leaves: list[mc.Tensor] = []

    def lift(array: np.ndarray) -> mc.Tensor:
        tensor = on_device(array, array.dtype.kind == "f")
        leaves.extend([tensor] if tensor.requires_grad else [])
        return tensor

    result = getattr(F, item.op)(*mapped(args, lift), **mapped(kwargs, lift))
    results = list(result) if isinstance(result, tuple | list) else [result]
    for actual, wanted in zip(results, expected, strict=True):
        assert isinstance(actual.data, stand_in.ndarray)
        np.testing.assert_array_equal(actual.numpy(), wanted.numpy())
    chosen = [(o, on_device(c)) for o, c in zip(results, cotangents) if o.requires_grad]
    if chosen:
        gradients = mc.grad([o for o, _ in chosen], leaves, [c for _, c in chosen], allow_unused=True)
        for gradient, wanted in zip(gradients, expected_gradients, strict=True):
            assert (gradient is None) == (wanted is None)
            if gradient is not None:
                np.testing.assert_allclose(gradient.numpy(), wanted, rtol=1e-12)


def test_the_tape_never_takes_values_to_the_host(cupy: Any) -> None:
    x = on_device(np.arange(24.0).reshape(2, 3, 4), requires_grad=True)
    before = stand_in.transfers
    first, second = F.split(x.permute(2, 0, 1), 2)
    y = F.cat([first, second, first]).reshape(-1)
    y.backward(on_device(np.ones(36)))
    assert stand_in.transfers == before
    np.testing.assert_array_equal(x.grad.numpy(), np.broadcast_to([2.0, 2.0, 1.0, 1.0], (2, 3, 4)))


def test_layout_works_on_foreign_arrays() -> None:
    x = stand_in.ndarray(np.arange(120.0).reshape(2, 3, 4, 5))
    y = layout.channels_last(x)
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous
    np.testing.assert_array_equal(y.get(), x.get())


def test_the_stand_in_refuses_what_cupy_refuses(cupy: Any) -> None:
    x = cupy.asarray(np.arange(3.0))
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(x)
    with pytest.raises(TypeError):
        x + np.ones(3)
    with pytest.raises(TypeError):
        np.add.at(x, [0], 1.0)
    with pytest.raises(TypeError):
        np.add.reduce(x)
    with pytest.raises(TypeError):
        np.lib.stride_tricks.as_strided(x, (2,), (8,))
    with pytest.raises(TypeError):
        np.cross(x, x)
    assert isinstance(x.sum(), stand_in.ndarray)
    assert isinstance(np.exp(x), stand_in.ndarray)
    assert x[cupy.asarray([1, 4])].get().tolist() == [1.0, 1.0]  # 4 wraps around to 1, in silence

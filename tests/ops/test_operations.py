"""Each case of each operation, on each device and in each memory layout, against PyTorch and central differences."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
import minicnn.functional as F
from minicnn.testing import assert_gradients
from tests.cases import Case, Given, Refusal, all_cases, all_refusals, torch_function

LAYOUTS = ("row-major", "channels-last", "strided")
# What interface.md promises of one operation, as max|Δ| / max|reference|.
ACCURACY = {np.dtype(np.float64): 1e-8, np.dtype(np.float32): 2e-5}
VIEWS = {"reshape", "flatten", "permute", "transpose", "expand", "squeeze", "unsqueeze", "split", "index", "einsum"}
"""Operations documented to return a view of their input where they can."""


def laid_out(array: np.ndarray, layout: str) -> np.ndarray:
    """Return an array of the same values in another memory layout."""
    if layout == "channels-last" and array.ndim == 4:
        return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    if layout == "strided" and array.ndim:
        wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1] + 1), array.dtype)
        view = wide[..., 2 * array.shape[-1] - 1 :: -2] if array.shape[-1] else wide[..., :0]
        view[...] = array
        return view
    return array


def arguments(item: Case | Refusal, dtype: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return a case's arguments with its arrays drawn."""
    rng = np.random.default_rng(7)

    def build(value: Any) -> Any:
        if isinstance(value, Given):
            return value.build(rng, dtype)
        return type(value)(map(build, value)) if isinstance(value, (list, tuple)) else value

    return [build(a) for a in item.args], {k: build(v) for k, v in item.kwargs.items()}


def mapped(value: Any, f: Any) -> Any:
    """Apply f to the arrays in nested arguments."""
    if isinstance(value, np.ndarray):
        return f(value)
    if isinstance(value, dict):
        return {k: mapped(v, f) for k, v in value.items()}
    return type(value)(mapped(v, f) for v in value) if isinstance(value, (list, tuple)) else value


def differentiable(item: Case) -> Iterator[bool]:
    """Yield for each array of a case, in order, whether its gradient is compared."""

    def walk(value: Any) -> Iterator[bool]:
        if isinstance(value, Given):
            yield value.grad
        elif isinstance(value, (list, tuple)):
            for v in value:
                yield from walk(v)

    return walk([*item.args, *item.kwargs.values()])


def minicnn_results(item: Case, args: Any, kwargs: Any, device: str, cotangents: list[np.ndarray] | None):
    """Return outputs and gradients of a call; None for a float input that the outputs do not depend on."""
    leaves: list[mc.Tensor] = []
    differentiated = differentiable(item)

    def lift(array: np.ndarray) -> mc.Tensor:
        tensor = mc.tensor(0.0, device=device)
        tensor.data = array  # as it lies in memory
        if next(differentiated) and array.dtype.kind == "f":
            tensor.requires_grad = True
            leaves.append(tensor)
        return tensor

    result = getattr(F, item.op)(*mapped(args, lift), **mapped(kwargs, lift))
    outputs = list(result) if isinstance(result, tuple | list) else [result]
    if cotangents is None:
        return outputs, []
    chosen = [(o, mc.tensor(c, device=device)) for o, c in zip(outputs, cotangents) if o.requires_grad]
    if not chosen:
        return outputs, [None] * len(leaves)
    gradients = mc.grad([o for o, _ in chosen], leaves, [c for _, c in chosen], allow_unused=True)
    return outputs, [None if g is None else g.numpy() for g in gradients]


def torch_results(item: Case, args: Any, kwargs: Any):
    """Return PyTorch's outputs, gradients, and the random cotangents they were made with."""
    leaves: list[torch.Tensor] = []
    differentiated = differentiable(item)

    def lift(array: np.ndarray) -> torch.Tensor:
        tensor = torch.tensor(np.array(array, order="C"))
        if next(differentiated) and array.dtype.kind == "f":
            leaves.append(tensor.requires_grad_())
        return tensor

    result = torch_function(item)(*mapped(args, lift), **mapped(kwargs, lift))
    outputs = list(result) if isinstance(result, tuple | list) else [result]
    rng = np.random.default_rng(11)
    cotangents = [np.asarray(rng.standard_normal(tuple(o.shape)), o.detach().numpy().dtype) for o in outputs]
    chosen = [(o, torch.tensor(c)) for o, c in zip(outputs, cotangents) if o.requires_grad]
    gradients: Any = [None] * len(leaves)
    if chosen:
        gradients = torch.autograd.grad([o for o, _ in chosen], leaves, [c for _, c in chosen], allow_unused=True)
    return outputs, [None if g is None else g.numpy() for g in gradients], cotangents


def assert_close(name: str, actual: np.ndarray, expected: np.ndarray, smallest_scale: float = 0.0) -> None:
    """Compare two arrays in the largest error over the largest value; nan and inf must stand in the same places.

    `smallest_scale` stands in for the largest value where large terms may cancel to nearly nothing.
    """
    assert actual.shape == expected.shape, f"{name}: shape {actual.shape}, expected {expected.shape}"
    assert actual.dtype == expected.dtype, f"{name}: type {actual.dtype}, expected {expected.dtype}"
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(actual[~finite], expected[~finite], err_msg=name)
    assert np.isfinite(actual[finite]).all(), f"{name}: not finite where PyTorch is"
    if finite.any():
        a, e = actual[finite].astype(np.float64), expected[finite].astype(np.float64)
        error, scale = np.abs(a - e).max(), max(np.abs(e).max(), smallest_scale)
        assert error <= ACCURACY.get(actual.dtype, 0) * scale, (
            f"{name}: off by {error:.3g}, the largest value is {scale:.3g}"
        )


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of inf − inf in a sum
@pytest.mark.filterwarnings("ignore:Using padding='same'")  # PyTorch speaks of a copy it makes
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("item", all_cases(), ids=str)
def test_values_and_gradients_are_pytorchs(item: Case, dtype: Any, layout: str, device: str) -> None:
    args, kwargs = arguments(item, dtype)
    expected, expected_gradients, cotangents = torch_results(item, args, kwargs)
    args, kwargs = mapped(args, lambda a: laid_out(a, layout)), mapped(kwargs, lambda a: laid_out(a, layout))
    outputs, gradients = minicnn_results(item, args, kwargs, device, cotangents)
    assert len(outputs) == len(expected)
    for i, (actual, wanted) in enumerate(zip(outputs, expected)):
        assert_close(f"output {i}", actual.numpy(), wanted.detach().numpy())
    for i, (actual, wanted) in enumerate(zip(gradients, expected_gradients)):
        if actual is None or wanted is None:  # one says "no path", the other zeros
            assert not np.any(wanted if actual is None else actual), f"gradient {i} exists on one side only"
        else:
            assert_close(f"gradient {i}", actual, wanted)


@pytest.mark.parametrize("item", [c for c in all_cases() if c.smooth], ids=str)
def test_gradients_are_central_differences(item: Case, device: str) -> None:
    args, kwargs = arguments(item, np.float64)
    flags = differentiable(item)
    inputs: list[np.ndarray] = []
    mapped([args, kwargs], lambda a: inputs.append(a) if next(flags) and a.dtype.kind == "f" else None)

    def call(*tensors: mc.Tensor) -> Any:
        queue, differentiated = list(tensors), differentiable(item)

        def lift(array: np.ndarray) -> mc.Tensor:
            chosen = next(differentiated) and array.dtype.kind == "f"
            return queue.pop(0) if chosen else mc.tensor(array, device=device)

        return getattr(F, item.op)(*mapped(args, lift), **mapped(kwargs, lift))

    if inputs:
        assert_gradients(call, [mc.tensor(a, device=device) for a in inputs])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("item", all_cases(), ids=str)
def test_inputs_stay_and_results_have_their_own_memory(item: Case, device: str) -> None:
    args, kwargs = arguments(item, np.float64)
    inputs: list[np.ndarray] = []
    mapped([args, kwargs], inputs.append)
    before = [a.copy() for a in inputs]
    outputs, _ = minicnn_results(item, args, kwargs, device, None)
    for former, array in zip(before, inputs):
        np.testing.assert_array_equal(array, former)
    if item.op not in VIEWS:
        assert not any(np.shares_memory(o.data, a) for o in outputs for a in inputs)


@pytest.mark.parametrize("item", all_refusals(), ids=str)
def test_refusals(item: Refusal, device: str) -> None:
    args, kwargs = arguments(item, np.float64)

    def lift(array: np.ndarray) -> mc.Tensor:
        return mc.tensor(array, device=device)

    with pytest.raises(item.error) as caught:
        getattr(F, item.op)(*mapped(args, lift), **mapped(kwargs, lift))
    assert item.text in str(caught.value)
    if not item.torch_allows:
        with pytest.raises((RuntimeError, ValueError, TypeError, IndexError, AttributeError)):
            torch_function(item)(*mapped(args, torch.tensor), **mapped(kwargs, torch.tensor))

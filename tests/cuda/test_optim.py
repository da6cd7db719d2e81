"""The optimisers on `cuda:sim` go the same way as PyTorch's; clipping finds the same norm."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn import optim
from minicnn.cuda import emulation

SHAPES = [(7, 43), (1,), (5, 3, 2, 3), (0, 4), ()]
OPTIMIZERS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.3, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "dampening": 0.4, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "betas": (0.5, 0.8), "eps": 1e-3, "weight_decay": 0.2, "amsgrad": True}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.2, "maximize": True}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.7, "momentum": 0.6, "weight_decay": 0.2}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.7, "centered": True, "maximize": True}),
    ("RMSprop", {"lr": 0.01, "centered": True, "momentum": 0.5}),
]


@pytest.fixture(autouse=True)
def _checked() -> Iterator[None]:
    with emulation.checking(), mc.use_device("cuda:sim"):
        yield


def strided(array: np.ndarray) -> np.ndarray:
    """Return the same numbers in memory that has gaps."""
    wide = np.zeros((*array.shape, 2), array.dtype)
    wide[..., 0] = array
    return wide[..., 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "options"), OPTIMIZERS, ids=str)
def test_steps_are_pytorchs(name: str, options: dict[str, Any], dtype: Any) -> None:
    rng = np.random.default_rng(3)
    starts = [np.asarray(rng.standard_normal(shape)).astype(dtype) for shape in SHAPES]
    ours = [mc.tensor(a, requires_grad=True) for a in starts]
    ours[0].data = strided(ours[0].data)
    ours[2].data = np.ascontiguousarray(ours[2].data.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    theirs = [torch.tensor(a, requires_grad=True) for a in starts]
    optimizer, other = getattr(optim, name)(ours, **options), getattr(torch.optim, name)(theirs, **options)
    for _ in range(3):
        for p, q in zip(ours, theirs):
            gradient = np.asarray(rng.standard_normal(p.shape)).astype(dtype)
            p.grad, q.grad = mc.tensor(gradient), torch.tensor(gradient)
        optimizer.step()
        other.step()
    for p, q in zip(ours, theirs):
        np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=0, atol=3e-6 if dtype == np.float32 else 1e-13)


@pytest.mark.parametrize("p", [2.0, 1.0, 3.5, float("inf")])
@pytest.mark.parametrize("limit", [0.5, 1e6])
def test_clipping_is_pytorchs(p: float, limit: float) -> None:
    rng = np.random.default_rng(4)
    shapes = [(3000,), (7, 5), (2, 3, 4, 5)]
    gradients = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    ours, theirs = [], [torch.zeros(shape, requires_grad=True) for shape in shapes]
    for g, q in zip(gradients, theirs):
        ours.append(mc.zeros(g.shape, requires_grad=True))
        ours[-1].grad, q.grad = mc.tensor(g), torch.tensor(g)
    ours[1].grad.data = strided(ours[1].grad.data)
    norm = optim.clip_grad_norm_(ours, limit, p)
    expected = torch.nn.utils.clip_grad_norm_(theirs, limit, p)
    assert norm.device == "cuda:sim"
    np.testing.assert_allclose(norm.item(), expected.item(), rtol=1e-6)
    for mine, q in zip(ours, theirs):
        np.testing.assert_allclose(mine.grad.numpy(), q.grad.numpy(), rtol=3e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_norm_that_is_no_number(value: float) -> None:
    x = mc.zeros(300, requires_grad=True)
    x.grad = mc.tensor(np.where(np.arange(300) == 77, np.float32(value), np.float32(1)))
    norm = optim.clip_grad_norm_([x], 1.0).item()
    np.testing.assert_equal(norm, value)
    assert np.isnan(x.grad.numpy()[77])


def test_gradients_of_a_tensor_used_twice_are_added_by_our_kernel() -> None:
    from minicnn.cuda.launch import launched

    x = mc.tensor(np.arange(5.0), requires_grad=True)
    y = (x * 2.0 + x).sum()
    before = launched["add_forward"]
    y.backward()
    assert launched["add_forward"] == before + 1
    assert x.grad.tolist() == [3.0] * 5
    (x * 2.0).sum().backward()  # and one more on top of what is there
    assert launched["add_forward"] == before + 2
    assert x.grad.tolist() == [5.0] * 5

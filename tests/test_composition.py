"""Layers put together: every pair of types, shared and frozen and replaced parts, very deep models; against PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn import nn, optim
from tests.ops.test_operations import assert_close

Shape = tuple[int, ...]
# Each type of layer, with arguments that fit an input (C, H, W); (C,) after Flatten.
LAYERS: dict[str, Callable[[Shape], tuple[Any, ...]]] = {
    "Conv2d": lambda s: (s[0], 3, 2, 1, 1),
    "ConvTranspose2d": lambda s: (s[0], 3, 3, 2),
    "BatchNorm2d": lambda s: (s[0],),
    "GroupNorm": lambda s: (1, s[0]),
    "LayerNorm": lambda s: (list(s),),
    "LocalResponseNorm": lambda s: (3,),
    "MaxPool2d": lambda s: (2, 1, 1),
    "AvgPool2d": lambda s: (3, 2, 1),
    "AdaptiveAvgPool2d": lambda s: ((3, 4),),
    "AdaptiveMaxPool2d": lambda s: ((4, 3),),
    "Linear": lambda s: (s[-1], 5),
    "Flatten": lambda s: (),
    "BatchNorm1d": lambda s: (s[0],),
    "ReLU": lambda s: (),
    "LeakyReLU": lambda s: (0.1,),
    "Sigmoid": lambda s: (),
    "Tanh": lambda s: (),
    "SiLU": lambda s: (),
    "GELU": lambda s: (),
    "Softmax": lambda s: (1,),
    "LogSoftmax": lambda s: (1,),
    "Dropout": lambda s: (0.0,),  # p > 0 draws other numbers than PyTorch; its gradient has tests of its own
    "Dropout2d": lambda s: (0.0,),
    "Identity": lambda s: (),
}
FLAT_ONLY = {"BatchNorm1d"}
FLAT_TOO = {"Linear", "Flatten", "LayerNorm", "GroupNorm", "Softmax", "LogSoftmax", "Dropout", "Identity"} | {
    "ReLU", "LeakyReLU", "Sigmoid", "Tanh", "SiLU", "GELU",
}  # fmt: skip


def pair(first: str, second: str) -> tuple[nn.Sequential, torch.nn.Sequential, Shape] | None:
    """Return two layers in both libraries, with the same state, or None where the shapes cannot fit."""
    shape: Shape = (20,) if first in FLAT_ONLY else (4, 7, 6)
    theirs = torch.nn.Sequential(getattr(torch.nn, first)(*LAYERS[first](shape)).double())
    with torch.no_grad():
        between = tuple(theirs.eval()(torch.zeros(2, *shape, dtype=torch.float64)).shape[1:])
    if (second in FLAT_ONLY) != (len(between) == 1) and not (len(between) == 1 and second in FLAT_TOO):
        return None
    theirs.append(getattr(torch.nn, second)(*LAYERS[second](between)).double())
    ours = nn.Sequential(getattr(nn, first)(*LAYERS[first](shape)), getattr(nn, second)(*LAYERS[second](between)))
    ours.double()
    copy_state(theirs, ours)
    return ours, theirs, shape


def copy_state(theirs: torch.nn.Module, ours: nn.Module) -> None:
    ours.load_state_dict({k: mc.tensor(v.numpy()) for k, v in theirs.state_dict().items()})


def assert_same_gradients(ours: nn.Module, theirs: torch.nn.Module) -> None:
    for (name, p), (their_name, q) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert name == their_name
        assert (p.grad is None) == (q.grad is None), name
        if q.grad is not None:
            assert_close(name, p.grad.numpy(), q.grad.numpy(), smallest_scale=1e-3)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("first", LAYERS)
def test_every_pair_of_layers(first, training, device):
    rng = np.random.default_rng(3)
    tried = 0
    for second in LAYERS:
        made = pair(first, second)
        if made is None:
            continue
        tried += 1
        ours, theirs, shape = made
        ours.to(device)
        for model in (ours, theirs):
            model.train(training)
        x = rng.standard_normal((3, *shape))
        ty = theirs(tx := torch.tensor(x, requires_grad=True))
        y = ours(mx := mc.tensor(x, requires_grad=True))
        dy = rng.standard_normal(tuple(ty.shape))
        ty.backward(torch.tensor(dy))
        y.backward(mc.tensor(dy))
        assert_close(f"{first} → {second}", y.numpy(), ty.detach().numpy())
        assert_close(f"{first} → {second}: dx", mx.grad.numpy(), tx.grad.numpy(), smallest_scale=1e-3)
        assert_same_gradients(ours, theirs)
        for (name, a), b in zip(ours.named_buffers(), theirs.buffers(), strict=True):
            label = f"{first} → {second}: {name}"
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10, atol=1e-15, err_msg=label)
    assert tried >= 10


def twin_nets() -> tuple[nn.Sequential, torch.nn.Sequential]:
    def build(lib: Any) -> Any:
        return lib.Sequential(
            lib.Conv2d(1, 4, 3, padding=1), lib.BatchNorm2d(4), lib.ReLU(), lib.MaxPool2d(2),
            lib.Conv2d(4, 6, 3), lib.ReLU(), lib.Flatten(), lib.Linear(6 * 3 * 2, 5),
        )  # fmt: skip

    ours, theirs = build(nn).double(), build(torch.nn).double()
    copy_state(theirs, ours)
    return ours, theirs


def step(ours: nn.Module, theirs: torch.nn.Module, optimizers: tuple[Any, Any], seed: int) -> None:
    """Train both nets by one step on the same pictures."""
    rng = np.random.default_rng(seed)
    x, labels = rng.standard_normal((4, 1, 10, 8)), rng.integers(0, 5, 4)
    for model, optimizer, loss in (
        (ours, optimizers[0], lambda m: nn.CrossEntropyLoss()(m(mc.tensor(x)), mc.tensor(labels))),
        (theirs, optimizers[1], lambda m: torch.nn.CrossEntropyLoss()(m(torch.tensor(x)), torch.tensor(labels))),
    ):
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()


def assert_same_state(ours: nn.Module, theirs: torch.nn.Module) -> None:
    for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_layer_used_twice_gets_both_gradients(device):
    rng = np.random.default_rng(0)
    ours, theirs = nn.Conv2d(3, 3, 3, padding=1).double(), torch.nn.Conv2d(3, 3, 3, padding=1).double()
    copy_state(theirs, ours)
    ours.to(device)
    x = rng.standard_normal((2, 3, 5, 4))
    y, ty = ours(ours(mc.tensor(x))), theirs(theirs(torch.tensor(x)))
    dy = rng.standard_normal(y.shape)
    y.backward(mc.tensor(dy))
    ty.backward(torch.tensor(dy))
    assert_same_gradients(ours, theirs)


def test_tied_weights_stay_tied_while_training():
    ours, theirs = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), torch.nn.Sequential(*[torch.nn.Linear(4, 4)] * 2)
    ours[1].weight, ours[1].bias = ours[0].weight, ours[0].bias
    ours.double(), theirs.double()
    with mc.no_grad():
        ours[0].weight.copy_(theirs[0].weight.detach().numpy())
        ours[0].bias.copy_(theirs[0].bias.detach().numpy())
    assert len(list(ours.parameters())) == 2
    optimizers = (
        optim.SGD(ours.parameters(), 0.1, momentum=0.9),
        torch.optim.SGD(theirs.parameters(), 0.1, momentum=0.9),
    )
    for _ in range(3):
        for optimizer, loss in zip(
            optimizers,
            ((ours(mc.ones(2, 4, dtype=mc.float64)) ** 2).sum(), (theirs(torch.ones(2, 4).double()) ** 2).sum()),
        ):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    np.testing.assert_allclose(ours[1].weight.numpy(), theirs[1].weight.detach().numpy(), rtol=1e-12)


def test_frozen_layers_stay_and_get_no_gradient(device):
    ours, theirs = twin_nets()
    ours.to(device)
    frozen = ours[0].weight.numpy().copy()
    for model in (ours, theirs):
        model[0].requires_grad_(False)
        model[1].requires_grad_(False)
    optimizers = optim.SGD(ours.parameters(), 0.1), torch.optim.SGD(theirs.parameters(), 0.1)
    for seed in range(2):
        step(ours, theirs, optimizers, seed)
    assert ours[0].weight.grad is None
    np.testing.assert_array_equal(ours[0].weight.numpy(), frozen)
    assert_same_state(ours, theirs)


def test_fine_tuning_with_a_new_last_layer(device):
    ours, theirs = twin_nets()
    ours.to(device)
    for model in (ours, theirs):
        model.requires_grad_(False)
    ours[7], theirs[7] = nn.Linear(36, 5).double().to(device), torch.nn.Linear(36, 5).double()
    copy_state(theirs, ours)
    optimizers = optim.AdamW(ours[7].parameters(), 0.01), torch.optim.AdamW(theirs[7].parameters(), 0.01)
    for seed in range(3):
        step(ours, theirs, optimizers, seed)
    assert [name for name, p in ours.named_parameters() if p.requires_grad] == ["7.weight", "7.bias"]
    assert_same_state(ours, theirs)


def test_a_model_of_more_than_1000_layers():
    depth = 600
    ours = nn.Sequential(*(layer for _ in range(depth) for layer in (nn.Linear(3, 3), nn.Tanh()))).double()
    theirs = torch.nn.Sequential(
        *(layer for _ in range(depth) for layer in (torch.nn.Linear(3, 3), torch.nn.Tanh()))
    ).double()
    copy_state(theirs, ours)
    assert len(ours) > 1000
    x = np.random.default_rng(0).standard_normal((2, 3))
    y, ty = ours(mc.tensor(x)), theirs(torch.tensor(x))
    np.testing.assert_allclose(y.detach().numpy(), ty.detach().numpy(), rtol=1e-10)
    y.sum().backward()
    ty.sum().backward()
    for p, q in list(zip(ours.parameters(), theirs.parameters()))[-20:]:
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-9, atol=1e-300)


def test_modules_within_modules():
    model: nn.Module = nn.ReLU()
    for _ in range(100):  # Python's own stack is used here, as in PyTorch
        model = nn.Sequential(model)
    assert sum(1 for _ in model.modules()) == 101
    assert model(mc.tensor([-1.0, 2.0])).tolist() == [0.0, 2.0]

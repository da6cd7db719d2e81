"""Every layer after every other, in training and in evaluation: outputs, gradients and state as PyTorch's."""

from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn import nn
from tests.ops.test_operations import assert_close

CHANNELS = 4
LAYERS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "conv": ("Conv2d", (CHANNELS, CHANNELS, 3), {"padding": 1}),
    "grouped": ("Conv2d", (CHANNELS, CHANNELS, (2, 3)), {"groups": 2, "stride": (2, 1), "padding": 1, "bias": False}),
    "circular": ("Conv2d", (CHANNELS, CHANNELS, 3), {"padding": 1, "padding_mode": "circular"}),
    "transposed": ("ConvTranspose2d", (CHANNELS, CHANNELS, 2), {"stride": 2}),
    "batch_norm": ("BatchNorm2d", (CHANNELS,), {}),
    "group_norm": ("GroupNorm", (2, CHANNELS), {}),
    "response_norm": ("LocalResponseNorm", (3,), {"alpha": 0.1}),
    "relu": ("ReLU", (), {}),
    "leaky": ("LeakyReLU", (0.1,), {}),
    "sigmoid": ("Sigmoid", (), {}),
    "tanh": ("Tanh", (), {}),
    "silu": ("SiLU", (), {}),
    "gelu": ("GELU", (), {}),
    "softmax": ("Softmax", (1,), {}),
    "log_softmax": ("LogSoftmax", (1,), {}),
    "max_pool": ("MaxPool2d", (3, 2, 1), {}),
    "avg_pool": ("AvgPool2d", (2, 1), {}),
    "adaptive_avg": ("AdaptiveAvgPool2d", ((4, 3),), {}),
    "adaptive_max": ("AdaptiveMaxPool2d", ((4, 3),), {}),
    "dropout": ("Dropout", (0.0,), {}),
    "identity": ("Identity", (), {}),
}


def chain(package: Any, *names: str) -> Any:
    """Return the layers in a row, with a classifier behind them."""
    layers = [getattr(package, LAYERS[n][0])(*LAYERS[n][1], **LAYERS[n][2]) for n in names]
    end = [package.AdaptiveAvgPool2d(2), package.Flatten(), package.Linear(4 * CHANNELS, 3)]
    return package.Sequential(*layers, *end).double()


def assert_near(name: str, actual: np.ndarray, expected: np.ndarray) -> None:
    """Compare in the largest error; what is 0 but for rounding (a bias before a normalisation) need only be tiny."""
    if max(np.abs(actual).max(), np.abs(expected).max()) > 1e-14:
        assert_close(name, actual, expected)


MAIN = [
    "conv", "grouped", "transposed", "batch_norm", "group_norm", "response_norm", "relu", "max_pool", "avg_pool",
    "adaptive_max",
]  # fmt: skip
OTHERS = [name for name in LAYERS if name not in MAIN]
PAIRS = [
    *(pytest.param(name, MAIN, id=f"{name}-main") for name in MAIN),
    *(pytest.param(name, OTHERS, id=f"{name}-others", marks=pytest.mark.full) for name in MAIN),
    *(pytest.param(name, list(LAYERS), id=f"{name}-all", marks=pytest.mark.full) for name in OTHERS),
]


@pytest.mark.parametrize(("first", "others"), PAIRS)
def test_every_pair_is_pytorchs(first: str, others: list[str], device: str) -> None:
    rng = np.random.default_rng(5)
    for second in others:
        ours, theirs = chain(nn, first, second), chain(torch.nn, first, second)
        ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
        for training in (True, False):
            ours.train(training)
            theirs.train(training)
            x, labels = rng.standard_normal((3, CHANNELS, 8, 7)), np.array([0, 2, 1])
            x_ours, x_theirs = mc.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
            ours.zero_grad()
            theirs.zero_grad()
            nn.CrossEntropyLoss()(ours(x_ours), mc.tensor(labels)).backward()
            torch.nn.CrossEntropyLoss()(theirs(x_theirs), torch.tensor(labels)).backward()
            where = f"{first}, {second}, training={training}"
            assert_near(f"{where}: dx", x_ours.grad.numpy(), x_theirs.grad.numpy())
            for (name, parameter), expected in zip(ours.named_parameters(), theirs.parameters()):
                assert_near(f"{where}: d{name}", parameter.grad.numpy(), expected.grad.numpy())
        for (name, value), expected in zip(ours.state_dict().items(), theirs.state_dict().values()):
            assert_near(f"{first}, {second}: {name}", value.numpy(), expected.numpy())


def test_fine_tuning_a_frozen_network_with_a_new_last_layer() -> None:
    def build(package: Any) -> Any:
        net = chain(package, "conv", "relu", "max_pool")
        net.requires_grad_(False)
        net[-1] = package.Linear(4 * CHANNELS, 5).double()
        return net

    ours, theirs = build(nn), build(torch.nn)
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    frozen = ours[0].weight.numpy().copy()
    adam = mc.optim.Adam(ours.parameters(), lr=0.1)
    expected_adam = torch.optim.Adam(theirs.parameters(), lr=0.1)
    rng = np.random.default_rng(0)
    for _ in range(3):
        x, labels = rng.standard_normal((4, CHANNELS, 8, 7)), rng.integers(0, 5, 4)
        adam.zero_grad()
        expected_adam.zero_grad()
        nn.CrossEntropyLoss()(ours(mc.tensor(x)), mc.tensor(labels)).backward()
        torch.nn.CrossEntropyLoss()(theirs(torch.tensor(x)), torch.tensor(labels)).backward()
        adam.step()
        expected_adam.step()
    np.testing.assert_array_equal(ours[0].weight.numpy(), frozen)
    assert_close("weight", ours[-1].weight.numpy(), theirs[-1].weight.detach().numpy())
    assert len(adam.state_dict()["state"]) == 2

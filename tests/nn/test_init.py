"""First values: gains, fans, and the distributions over at least 10^5 numbers, as PyTorch's."""

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn import nn
from minicnn.errors import DTypeError, ShapeError

SHAPE = (64, 32, 7, 9)  # 129,024 numbers
FLAT = (500, 300)

DRAWN: list[tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = [
    ("uniform_", (), {}, SHAPE),
    ("uniform_", (-3.0, 0.5), {}, SHAPE),
    ("normal_", (), {}, SHAPE),
    ("normal_", (), {"mean": 2.0, "std": 0.1}, SHAPE),
    ("kaiming_uniform_", (), {}, SHAPE),
    ("kaiming_uniform_", (), {"a": math.sqrt(5)}, FLAT),
    ("kaiming_uniform_", (0, "fan_out", "relu"), {}, SHAPE),
    ("kaiming_normal_", (), {}, SHAPE),
    ("kaiming_normal_", (), {"mode": "fan_out", "nonlinearity": "relu"}, SHAPE),
    ("kaiming_normal_", (), {"a": 0.2}, FLAT),
    ("xavier_uniform_", (), {}, SHAPE),
    ("xavier_uniform_", (2.5,), {}, FLAT),
    ("xavier_normal_", (), {}, SHAPE),
    ("xavier_normal_", (), {"gain": 0.5}, FLAT),
    ("trunc_normal_", (), {}, SHAPE),
    ("trunc_normal_", (), {"std": 0.02}, SHAPE),
    ("trunc_normal_", (0.5, 1.5, -1.0, 3.0), {}, SHAPE),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("item", DRAWN, ids=lambda item: f"{item[0]}{item[1]}{item[2]}")
def test_distributions_are_pytorchs(item: tuple[Any, ...], dtype: str) -> None:
    name, args, kwargs, shape = item
    torch.manual_seed(0)
    tensor = mc.tensor(np.zeros(shape, dtype))
    memory = tensor.data
    assert getattr(nn.init, name)(tensor, *args, **kwargs) is tensor
    ours = tensor.numpy()
    assert ours is memory
    theirs = getattr(torch.nn.init, name)(torch.zeros(shape, dtype=torch.float64), *args, **kwargs).numpy()
    count, std = ours.size, theirs.std()
    assert count >= 1e5
    assert abs(ours.mean(dtype=np.float64) - theirs.mean()) < 5 * std * math.sqrt(2 / count)
    assert abs(ours.std(dtype=np.float64) / std - 1) < 5 / math.sqrt(count)
    if "uniform" in name or (name == "trunc_normal_" and "std" not in kwargs):  # the bounds are reached and kept
        width = np.ptp(theirs)
        assert abs(ours.min() - theirs.min()) < 1e-3 * width
        assert abs(ours.max() - theirs.max()) < 1e-3 * width
    for share in (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99):  # the shape, not only two moments
        value = np.quantile(theirs, share)
        assert abs((ours <= value).mean() - share) < 5 * math.sqrt(2 * share * (1 - share) / count)


def test_truncated_normal_far_from_the_mean() -> None:
    tensor = nn.init.trunc_normal_(mc.tensor(np.zeros(100_000)), a=5.0, b=9.0)
    values = tensor.numpy()
    assert values.min() >= 5
    assert values.max() <= 9
    normal = NormalDist()
    mass = normal.cdf(-5) - normal.cdf(-9)
    assert values.mean() == pytest.approx((normal.pdf(5) - normal.pdf(9)) / mass, rel=1e-3)
    mirrored = nn.init.trunc_normal_(mc.tensor(np.zeros(100_000)), a=-9.0, b=-5.0).numpy()
    assert mirrored.mean() == pytest.approx(-values.mean(), rel=1e-3)


@pytest.mark.parametrize("name", ["linear", "conv2d", "conv_transpose3d", "sigmoid", "tanh", "relu", "selu"])
def test_gains_are_pytorchs(name: str) -> None:
    assert nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert nn.init.calculate_gain("leaky_relu") == torch.nn.init.calculate_gain("leaky_relu")
    assert nn.init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


def test_constants() -> None:
    tensor = mc.tensor([[1.0, 2.0]], requires_grad=True)
    assert nn.init.constant_(tensor, 0.3) is tensor
    assert tensor.tolist() == [[pytest.approx(0.3), pytest.approx(0.3)]]
    assert nn.init.ones_(tensor).tolist() == [[1.0, 1.0]]
    assert nn.init.zeros_(tensor).tolist() == [[0.0, 0.0]]
    assert nn.init.ones_(mc.tensor([3, 4])).tolist() == [1, 1]


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 2, 3, 2), (6, 6)])
def test_orthogonal_rows_or_columns(shape: tuple[int, ...]) -> None:
    matrix = nn.init.orthogonal_(mc.tensor(np.zeros(shape)), gain=2).numpy().reshape(shape[0], -1)
    small = matrix.T @ matrix if matrix.shape[0] > matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


@pytest.mark.parametrize(("shape", "groups"), [((4, 4, 3, 3), 1), ((6, 2, 2, 3), 1), ((6, 2, 3, 1), 3), ((2, 5, 3), 2)])
def test_dirac_is_pytorchs(shape: tuple[int, ...], groups: int) -> None:
    ours = nn.init.dirac_(mc.tensor(np.ones(shape)), groups).numpy()
    np.testing.assert_array_equal(ours, torch.nn.init.dirac_(torch.ones(shape), groups).numpy())


def test_the_seed_decides() -> None:
    def draw() -> list[float]:
        return nn.init.normal_(mc.tensor([0.0] * 5)).tolist()

    mc.manual_seed(1)
    first, second = draw(), draw()
    mc.manual_seed(1)
    assert [draw(), draw()] == [first, second]
    assert first != second
    mc.manual_seed(2)
    assert draw() != first


def test_filling_is_announced_to_the_tape() -> None:
    weight = nn.Parameter([[1.0, 2.0]])
    loss = (weight * weight).sum()
    nn.init.zeros_(weight)
    with pytest.raises(ArithmeticError, match="changed in place by zeros_"):
        loss.backward()


def test_refusals() -> None:
    vector, matrix = mc.tensor([1.0]), mc.tensor([[1.0]])
    for call, error, text in [
        (lambda: nn.init.kaiming_normal_(vector), ShapeError,
         "kaiming_normal_: tensor has shape (1,), fan-in and fan-out need at least two axes"),
        (lambda: nn.init.kaiming_uniform_(matrix, mode="in"), ShapeError,
         "kaiming_uniform_: mode is 'in', needs one of 'fan_in', 'fan_out'"),
        (lambda: nn.init.xavier_normal_(np.ones((2, 2))), DTypeError, "xavier_normal_: tensor must be a Tensor"),
        (lambda: nn.init.normal_(mc.tensor([1])), DTypeError, "normal_: tensor is int64, needs float32 or float64"),
        (lambda: nn.init.normal_(vector, std=-1), ShapeError, "normal: std is -1, needs a number in [0, inf]"),
        (lambda: nn.init.uniform_(vector, 2.0, 1.0), ShapeError, "uniform: low is 2.0, high is 1.0; needs"),
        (lambda: nn.init.trunc_normal_(vector, a=1, b=0), ShapeError, "trunc_normal_: no normal number of mean 0.0"),
        (lambda: nn.init.trunc_normal_(vector, a=50, b=60), ShapeError, "lies in [a, b] = [50.0, 60.0]"),
        (lambda: nn.init.calculate_gain("sine"), ShapeError, "calculate_gain: nonlinearity is 'sine', needs one of"),
        (lambda: nn.init.orthogonal_(vector), ShapeError, "orthogonal_: tensor has shape (1,)"),
        (lambda: nn.init.dirac_(matrix), ShapeError, "dirac_: tensor has shape (1, 1), needs a convolution's weight"),
        (lambda: nn.init.dirac_(mc.tensor(np.ones((3, 1, 2, 2))), 2), ShapeError,
         "dirac_: weight (3, 1, 2, 2) has 3 filters, they must divide into groups=2"),
    ]:  # fmt: skip
        with pytest.raises(error) as caught:
            call()
        assert text in str(caught.value)

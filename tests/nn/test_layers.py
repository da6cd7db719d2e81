"""Each layer with PyTorch's weights gives PyTorch's results, gradients, state and text."""

from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn import nn
from minicnn.errors import DTypeError, ShapeError
from tests.ops.test_operations import assert_close

IMAGES = (3, 4, 7, 6)
LAYERS: list[tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = [
    ("Conv2d", (4, 6, 3), {}, IMAGES),
    ("Conv2d", (4, 6, (3, 2)), {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2}, IMAGES),
    ("Conv2d", (4, 6, (2, 3), 1, "same"), {"bias": False}, IMAGES),
    ("Conv2d", (4, 2, 3), {"padding": "valid"}, IMAGES),
    ("Conv2d", (4, 2, (3, 2)), {"padding": (1, 2), "padding_mode": "reflect", "stride": 2}, IMAGES),
    ("Conv2d", (4, 2, (3, 2)), {"padding": 2, "padding_mode": "replicate"}, IMAGES),
    ("Conv2d", (4, 2, (4, 3)), {"padding": "same", "padding_mode": "circular", "dilation": (1, 2)}, IMAGES),
    ("Conv2d", (4, 2, 3), {"padding": "valid", "padding_mode": "reflect"}, IMAGES),
    ("ConvTranspose2d", (4, 6, 3), {}, IMAGES),
    ("ConvTranspose2d", (4, 6, (3, 2), 2, (1, 0), (0, 1), 2, False, 2), {}, IMAGES),
    ("Linear", (6, 5), {}, (3, 6)),
    ("Linear", (6, 5, False), {}, (2, 3, 6)),
    ("BatchNorm1d", (4,), {}, (5, 4)),
    ("BatchNorm1d", (4,), {"momentum": None, "eps": 0.01}, (3, 4, 5)),
    ("BatchNorm2d", (4,), {}, IMAGES),
    ("BatchNorm2d", (4,), {"momentum": None}, IMAGES),
    ("BatchNorm2d", (4, 1e-3, 0.3), {"affine": False}, IMAGES),
    ("BatchNorm2d", (4,), {"track_running_stats": False}, IMAGES),
    ("BatchNorm2d", (4,), {"track_running_stats": False, "affine": False}, IMAGES),
    ("GroupNorm", (2, 4), {"eps": 1e-3}, IMAGES),
    ("GroupNorm", (1, 4), {"affine": False}, IMAGES),
    ("LayerNorm", (6,), {}, IMAGES),
    ("LayerNorm", ((7, 6),), {"bias": False, "eps": 1e-3}, IMAGES),
    ("LayerNorm", ([7, 6],), {"elementwise_affine": False}, IMAGES),
    ("LocalResponseNorm", (3,), {"alpha": 0.1, "beta": 0.6, "k": 2.0}, IMAGES),
    ("LocalResponseNorm", (2,), {}, IMAGES),
    ("ReLU", (), {}, IMAGES),
    ("ReLU", (), {"inplace": True}, IMAGES),
    ("LeakyReLU", (), {}, IMAGES),
    ("LeakyReLU", (0.2, True), {}, IMAGES),
    ("Sigmoid", (), {}, IMAGES),
    ("Tanh", (), {}, IMAGES),
    ("SiLU", (), {}, IMAGES),
    ("GELU", (), {}, IMAGES),
    ("GELU", (), {"approximate": "tanh"}, IMAGES),
    ("Softmax", (1,), {}, IMAGES),
    ("LogSoftmax", (-1,), {}, IMAGES),
    ("MaxPool2d", (2,), {}, IMAGES),
    ("MaxPool2d", ((3, 2), 2, 1, (1, 2)), {"ceil_mode": True}, IMAGES),
    ("AvgPool2d", ((3, 2),), {}, IMAGES),
    ("AvgPool2d", (3, 2, 1), {"ceil_mode": True, "count_include_pad": False}, IMAGES),
    ("AvgPool2d", (2,), {"divisor_override": 3}, IMAGES),
    ("AdaptiveAvgPool2d", ((3, None),), {}, IMAGES),
    ("AdaptiveAvgPool2d", (1,), {}, IMAGES),
    ("AdaptiveMaxPool2d", ((2, 4),), {}, IMAGES),
    ("Dropout", (0.0,), {}, IMAGES),
    ("Dropout2d", (), {"p": 0.0, "inplace": True}, IMAGES),
    ("Flatten", (), {}, IMAGES),
    ("Flatten", (0, 2), {}, IMAGES),
    ("Identity", (54,), {"unused": 0.1}, IMAGES),
]
VERSIONED_TEXT = {"BatchNorm1d", "BatchNorm2d", "GroupNorm", "LayerNorm"}
"""Layers whose text has grown an argument between PyTorch's versions."""


def named(layer: tuple[Any, ...]) -> str:
    """Return a layer as it is written."""
    name, args, kwargs, _ = layer
    return f"{name}({', '.join([*map(str, args), *(f'{k}={v}' for k, v in kwargs.items())])})"


def pair(layer: tuple[Any, ...], dtype: Any) -> tuple[nn.Module, torch.nn.Module]:
    """Return the layer and PyTorch's, with the same parameters."""
    name, args, kwargs, _ = layer
    torch.manual_seed(1)
    theirs = getattr(torch.nn, name)(*args, **kwargs).to(getattr(torch, dtype))
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    ours = getattr(nn, name)(*args, **kwargs).to(dtype)
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    return ours, theirs


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # PyTorch's, where it pads unevenly
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("layer", LAYERS, ids=named)
def test_training_and_evaluation_are_pytorchs(layer: tuple[Any, ...], dtype: str, device: str) -> None:
    ours, theirs = pair(layer, dtype)
    rng = np.random.default_rng(3)
    for training in (True, True, False):
        ours.train(training)
        theirs.train(training)
        x = rng.standard_normal(layer[3]).astype(dtype)
        x_ours = mc.tensor(x, requires_grad=True)
        x_theirs = torch.tensor(x, requires_grad=True)
        y_ours, y_theirs = ours(x_ours), theirs(x_theirs * 1)
        dy = rng.standard_normal(y_theirs.shape).astype(dtype)
        ours.zero_grad()
        theirs.zero_grad()
        y_ours.backward(mc.tensor(dy))
        y_theirs.backward(torch.tensor(dy))
        assert_close("output", y_ours.numpy(), y_theirs.detach().numpy())
        assert_close("dx", x_ours.grad.numpy(), x_theirs.grad.numpy())
        for (key, parameter), expected in zip(ours.named_parameters(), theirs.parameters()):
            assert_close(f"d{key}", parameter.grad.numpy(), expected.grad.numpy())
    expected_state = theirs.state_dict()
    assert list(ours.state_dict()) == list(expected_state)
    for key, value in ours.state_dict().items():
        assert_close(key, value.numpy(), expected_state[key].numpy(), 1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("layer", LAYERS, ids=named)
def test_text_is_pytorchs(layer: tuple[Any, ...]) -> None:
    name, args, kwargs, _ = layer
    if name not in VERSIONED_TEXT:
        assert repr(getattr(nn, name)(*args, **kwargs)) == repr(getattr(torch.nn, name)(*args, **kwargs))


def test_text_of_normalisation() -> None:
    assert repr(nn.BatchNorm2d(3, momentum=None)) == (
        "BatchNorm2d(3, eps=1e-05, momentum=None, affine=True, track_running_stats=True)"
    )
    assert repr(nn.GroupNorm(2, 4)) == "GroupNorm(2, 4, eps=1e-05, affine=True)"
    assert repr(nn.LayerNorm((2, 3), bias=False)) == "LayerNorm((2, 3), eps=1e-05, elementwise_affine=True, bias=False)"


@pytest.mark.parametrize("name", ["Conv2d", "ConvTranspose2d", "Linear"])
@pytest.mark.parametrize("seed", [0, 1])
def test_first_values_are_spread_as_pytorchs(name: str, seed: int) -> None:
    args = {"Conv2d": (24, 90, (7, 8)), "ConvTranspose2d": (24, 90, (7, 8)), "Linear": (300, 400)}[name]
    mc.manual_seed(seed)
    torch.manual_seed(seed)
    ours, theirs = getattr(nn, name)(*args), getattr(torch.nn, name)(*args)
    weight, expected = ours.weight.numpy(), theirs.weight.detach().numpy()
    assert weight.size >= 1e5
    assert np.isclose(np.abs(weight).max(), np.abs(expected).max(), rtol=1e-3)
    assert abs(weight.mean()) < 4 * expected.std() / np.sqrt(weight.size)
    assert np.isclose(weight.std(), expected.std(), rtol=5e-3)
    bias, bound = ours.bias.numpy(), np.abs(expected).max()
    assert 0.8 * bound < np.abs(bias).max() <= bound * 1.001
    assert np.isclose(bias.std(), bound / np.sqrt(3), rtol=0.15)


def test_layers_are_made_where_and_as_asked() -> None:
    layer = nn.Conv2d(2, 3, 1, device="reference", dtype=np.float64)
    assert (layer.weight.device, layer.bias.device) == ("reference", "reference")
    assert layer.weight.dtype == np.float64
    norm = nn.BatchNorm2d(3, device="reference", dtype="float64")
    assert {str(t.device) for t in norm.state_dict().values()} == {"reference"}
    assert [str(t.dtype) for t in norm.state_dict().values()] == ["float64"] * 4 + ["int64"]
    assert norm.num_batches_tracked.shape == ()
    assert not norm.running_mean.requires_grad


def test_first_values_do_not_depend_on_the_device() -> None:
    values = []
    for device in ("reference", "cpu"):
        mc.manual_seed(5)
        values.append(nn.Conv2d(3, 4, 5, device=device).weight.numpy())
    np.testing.assert_array_equal(*values)
    assert not np.array_equal(nn.Conv2d(3, 4, 5).weight.numpy(), values[0])


def test_max_pool_returns_indices_on_request() -> None:
    x = mc.tensor([[[[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 8.0, 7.0]]]])
    y, where = nn.MaxPool2d(2, return_indices=True)(x)
    assert (y.tolist(), where.tolist()) == ([[[[5.0, 8.0]]]], [[[[1, 6]]]])
    y, where = nn.AdaptiveMaxPool2d(1, return_indices=True)(x)
    assert (y.tolist(), where.tolist()) == ([[[[8.0]]]], [[[[6]]]])


def test_dropout_only_in_training() -> None:
    x = mc.tensor(np.ones((200, 50, 2, 2), np.float32))
    for layer in (nn.Dropout(0.25), nn.Dropout2d(0.25)):
        y = layer(x).numpy()
        assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}
        assert abs((y == 0).mean() - 0.25) < 0.02
        np.testing.assert_array_equal(layer.eval()(x).numpy(), x.numpy())


def test_transposed_convolution_to_a_given_size() -> None:
    args = (2, 3, 3, (3, 4))
    ours, theirs = nn.ConvTranspose2d(*args), torch.nn.ConvTranspose2d(*args)
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((1, 2, 5, 4)).astype(np.float32)
    expected = theirs(torch.tensor(x), output_size=[16, 17])
    assert_close("output", ours(mc.tensor(x), output_size=(16, 17)).numpy(), expected.detach().numpy())
    text = r"ConvTranspose2d: output_size is \(16, 19\), an input of \(5, 4\) can give \(15, 15\) … \(17, 18\)"
    with pytest.raises(ShapeError, match=text):
        ours(mc.tensor(x), output_size=(16, 19))


def test_cumulative_average_of_three_batches_by_hand() -> None:
    norm = nn.BatchNorm1d(1, momentum=None)
    for values in ([1.0, 3.0], [2.0, 6.0], [6.0, 6.0]):  # means 2, 4, 6 and unbiased variances 2, 8, 0
        norm(mc.tensor([[v] for v in values]))
    assert norm.running_mean.item() == pytest.approx(4)
    assert norm.running_var.item() == pytest.approx(10 / 3)
    assert norm.num_batches_tracked.item() == 3


def test_a_refused_batch_does_not_count() -> None:
    norm = nn.BatchNorm2d(2)
    with pytest.raises(ShapeError):
        norm(mc.tensor(np.ones((1, 2, 1, 1), np.float32)))
    assert norm.num_batches_tracked.item() == 0


REFUSALS = [
    (lambda: nn.Conv2d(3, 4, 0), ShapeError, "Conv2d: kernel_size is 0, needs at least 1"),
    (lambda: nn.Conv2d(3, 4, 3, stride=0), ShapeError, "Conv2d: stride is 0, needs at least 1"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), ShapeError, "Conv2d: in_channels is 3, it must divide into groups=2"),
    (lambda: nn.Conv2d(4, 3, 3, groups=2), ShapeError, "Conv2d: out_channels is 3, it must divide into groups=2"),
    (lambda: nn.Conv2d(0, 4, 3), ShapeError, "Conv2d: in_channels is 0, needs at least 1"),
    (lambda: nn.Conv2d(3.5, 4, 3), DTypeError, "Conv2d: in_channels must be a whole number, got 3.5"),
    (lambda: nn.Conv2d(3, 4, 3, padding="full"), ShapeError,
     "Conv2d: padding is 'full', needs one of 'same', 'valid'"),
    (lambda: nn.Conv2d(3, 4, 3, 2, "same"), ShapeError, 'Conv2d: padding="same" needs stride 1, got (2, 2)'),
    (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), ShapeError, "Conv2d: padding_mode is 'mirror', needs one of"),
    (lambda: nn.Conv2d(3, 4, 3, bias=1), DTypeError, "Conv2d: bias must be True or False, got 1"),
    (lambda: nn.Conv2d(3, 4, 3, dtype="int64"), DTypeError, "Conv2d: dtype is int64, needs float32 or float64"),
    (lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"), ShapeError,
     "ConvTranspose2d: padding_mode is 'reflect', only 'zeros' is possible"),
    (lambda: nn.Linear(0, 4), ShapeError, "Linear: in_features is 0, needs at least 1"),
    (lambda: nn.MaxPool2d(0), ShapeError, "MaxPool2d: kernel_size is 0, needs at least 1"),
    (lambda: nn.MaxPool2d(3, padding=2), ShapeError, "MaxPool2d: padding is 2, needs at most half of kernel_size 3"),
    (lambda: nn.AvgPool2d(3, stride=0), ShapeError, "AvgPool2d: stride is 0, needs at least 1"),
    (lambda: nn.AvgPool2d(3, divisor_override=0), ShapeError, "AvgPool2d: divisor_override is 0, needs at least 1"),
    (lambda: nn.AdaptiveAvgPool2d((1, 2, 3)), ShapeError, "AdaptiveAvgPool2d: output_size is (1, 2, 3), needs one"),
    (lambda: nn.Dropout(1.5), ShapeError, "Dropout: p is 1.5, needs a number in [0, 1]"),
    (lambda: nn.Dropout(float("nan")), ShapeError, "Dropout: p is nan, needs a number in [0, 1]"),
    (lambda: nn.BatchNorm2d(0), ShapeError, "BatchNorm2d: num_features is 0, needs at least 1"),
    (lambda: nn.BatchNorm2d(3, momentum=2), ShapeError, "BatchNorm2d: momentum is 2, needs a number in [0, 1]"),
    (lambda: nn.BatchNorm2d(3)(mc.tensor(np.ones((2, 3), np.float32))), ShapeError,
     "BatchNorm2d: input has shape (2, 3), needs four axes (N, C, H, W)"),
    (lambda: nn.BatchNorm1d(3)(mc.tensor(np.ones((2, 3, 4, 4), np.float32))), ShapeError,
     "BatchNorm1d: input has shape (2, 3, 4, 4), needs (N, C) or (N, C, L)"),
    (lambda: nn.GroupNorm(3, 4), ShapeError, "GroupNorm: num_channels is 4, it must divide into num_groups=3"),
    (lambda: nn.LayerNorm(()), ShapeError, "LayerNorm: normalized_shape is (), needs at least one axis"),
    (lambda: nn.LocalResponseNorm(0), ShapeError, "LocalResponseNorm: size is 0, needs at least 1"),
    (lambda: nn.GELU("erf"), ShapeError, "GELU: approximate is 'erf', needs one of 'none', 'tanh'"),
    (lambda: nn.ReLU(3), DTypeError, "ReLU: inplace must be True or False, got 3"),
    (lambda: nn.CrossEntropyLoss(reduction="max"), ShapeError,
     "CrossEntropyLoss: reduction is 'max', needs one of 'none', 'mean', 'sum'"),
    (lambda: nn.CrossEntropyLoss(label_smoothing=2), ShapeError, "CrossEntropyLoss: label_smoothing is 2"),
    (lambda: nn.CrossEntropyLoss(weight=[1, 2]), DTypeError,
     "register_buffer: weight must be a Tensor or None, got list"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "text"), REFUSALS, ids=[r[2] for r in REFUSALS])
def test_refusals(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert text in str(caught.value)


LOSSES = [
    ("CrossEntropyLoss", {}, "classes"),
    ("CrossEntropyLoss", {"reduction": "sum", "ignore_index": 1, "label_smoothing": 0.1}, "classes"),
    ("CrossEntropyLoss", {"reduction": "none", "weight": [0.5, 2.0, 1.0]}, "classes"),
    ("MSELoss", {}, "numbers"),
    ("MSELoss", {"reduction": "sum"}, "numbers"),
    ("BCEWithLogitsLoss", {}, "shares"),
    ("BCEWithLogitsLoss", {"weight": [0.5, 2.0, 1.0], "pos_weight": [1.0, 3.0, 2.0], "reduction": "none"}, "shares"),
    ("TripletMarginLoss", {}, "triplets"),
    ("TripletMarginLoss", {"margin": 0.7, "p": 1.5, "eps": 1e-3, "swap": True, "reduction": "sum"}, "triplets"),
]


@pytest.mark.parametrize(("name", "options", "kind"), LOSSES, ids=lambda value: str(value))
def test_losses_are_pytorchs(name: str, options: dict[str, Any], kind: str, device: str) -> None:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((5, 3))
    others = {
        "classes": [np.array([0, 2, 1, 1, 0])],
        "numbers": [rng.standard_normal((5, 3))],
        "shares": [rng.uniform(0, 1, (5, 3))],
        "triplets": [rng.standard_normal((5, 3)), rng.standard_normal((5, 3))],
    }[kind]

    def options_as(make: Any) -> dict[str, Any]:
        return {k: make(np.array(v)) if isinstance(v, list) else v for k, v in options.items()}

    x_ours, x_theirs = mc.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    loss = getattr(nn, name)(**options_as(mc.tensor))(x_ours, *map(mc.tensor, others))
    expected = getattr(torch.nn, name)(**options_as(torch.tensor))(x_theirs, *map(torch.tensor, others))
    loss.sum().backward()
    expected.sum().backward()
    assert_close("loss", loss.numpy(), expected.detach().numpy())
    assert_close("gradient", x_ours.grad.numpy(), x_theirs.grad.numpy())

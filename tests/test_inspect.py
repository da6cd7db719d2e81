"""Seeing inside a network, against PyTorch's hooks and autograd, and against networks whose answer is known."""

import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import minicnn as mc
import minicnn.functional as F
from minicnn import inspect, nn
from minicnn.errors import DTypeError, ShapeError

pytestmark = pytest.mark.usefixtures("device")


def network() -> nn.Sequential:
    """Two convolutions, batch normalisation, pooling, and one linear layer."""
    return nn.Sequential({
        "conv1": nn.Conv2d(2, 4, 3, padding=1), "bn": nn.BatchNorm2d(4), "relu1": nn.ReLU(),
        "pool": nn.MaxPool2d(2), "conv2": nn.Conv2d(4, 5, 3), "relu2": nn.ReLU(), "dropout": nn.Dropout(0.5),
        "flatten": nn.Flatten(), "fc": nn.Linear(5 * 2 * 3, 3),
    })  # fmt: skip


def twin(model: nn.Sequential) -> torch.nn.Sequential:
    """The same in PyTorch, with the same weights, in float64."""
    layers = {
        "conv1": torch.nn.Conv2d(2, 4, 3, padding=1), "bn": torch.nn.BatchNorm2d(4), "relu1": torch.nn.ReLU(),
        "pool": torch.nn.MaxPool2d(2), "conv2": torch.nn.Conv2d(4, 5, 3), "relu2": torch.nn.ReLU(),
        "dropout": torch.nn.Dropout(0.5), "flatten": torch.nn.Flatten(), "fc": torch.nn.Linear(5 * 2 * 3, 3),
    }  # fmt: skip
    theirs = torch.nn.Sequential()
    for name, layer in layers.items():
        theirs.add_module(name, layer)
    theirs.double().load_state_dict({name: torch.from_numpy(v.numpy()) for name, v in model.state_dict().items()})
    return theirs


@pytest.fixture
def model(device) -> nn.Sequential:
    made = network().double()
    rng = np.random.default_rng(0)
    with mc.no_grad():
        made.bn.running_mean.copy_(rng.normal(0, 0.3, 4))
        made.bn.running_var.copy_(rng.uniform(0.5, 2, 4))
        made.bn.weight.copy_(rng.uniform(0.5, 2, 4))
    return made


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(3, 2, 9, 10))


class Hooks:
    """PyTorch's outputs of every layer, and the gradients of these."""

    def __init__(self, module: torch.nn.Sequential) -> None:
        self.outputs: dict[str, torch.Tensor] = {}
        for name, layer in module.named_children():
            layer.register_forward_hook(lambda layer, inputs, output, name=name: self.keep(name, output))

    def keep(self, name: str, output: torch.Tensor) -> None:
        if output.requires_grad:
            output.retain_grad()
        self.outputs[name] = output


def close(ours: object, theirs: torch.Tensor) -> None:
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("layer", ["conv1", "bn", "relu1", "pool", "conv2", "flatten", "fc"])
def test_feature_maps(model, x, layer):
    theirs = twin(model).eval()
    hooks = Hooks(theirs)
    theirs(torch.from_numpy(x))
    close(inspect.feature_maps(model, mc.tensor(x), layer).values, hooks.outputs[layer])
    close(inspect.feature_maps(model, mc.tensor(x), getattr(model, layer)).values, hooks.outputs[layer])


def test_filters(model):
    found = inspect.filters(model.conv2)
    np.testing.assert_array_equal(found.values, model.conv2.weight.numpy())
    found.values[:] = 0  # it is a copy
    assert model.conv2.weight.numpy().any()


@pytest.mark.parametrize("layer", ["conv1", "relu1", "conv2", "relu2"])
@pytest.mark.parametrize("classes", [1, [2, 0, 1], None])
def test_grad_cam(model, x, layer, classes):
    theirs = twin(model).eval()
    hooks = Hooks(theirs)
    logits = theirs(torch.from_numpy(x))
    chosen = logits.argmax(1) if classes is None else torch.tensor(classes).expand(3)
    logits[torch.arange(3), chosen].sum().backward()
    maps = hooks.outputs[layer]
    alpha = maps.grad.mean((2, 3), keepdim=True)
    close(inspect.grad_cam(model, mc.tensor(x), classes, layer).values, torch.relu((alpha * maps).sum(1)))


def test_grad_cam_of_a_planted_square(device):
    """One channel is the picture, and class 1 counts it: the map is where the square is."""
    model = nn.Sequential({"conv": nn.Conv2d(1, 2, 1, bias=False), "mean": Mean()})
    with mc.no_grad():
        model.conv.weight.copy_(np.array([0.0, 1]).reshape(2, 1, 1, 1))
    x = np.zeros((1, 1, 6, 6), np.float32)
    x[0, 0, 1:3, 3:5] = 1
    values = inspect.grad_cam(model, mc.tensor(x), 1, "conv").values
    np.testing.assert_allclose(values, x[0] / 36, rtol=1e-6)
    np.testing.assert_array_equal(inspect.grad_cam(model, mc.tensor(x), 0, "conv").values, 0)


class Mean(nn.Module):
    """(N, C, H, W) → (N, C)."""

    def forward(self, x: mc.Tensor) -> mc.Tensor:
        return x.mean((2, 3))


@pytest.mark.parametrize("classes", [1, [2, 0, 1], None])
def test_saliency(model, x, classes):
    pixels = torch.from_numpy(x).requires_grad_()
    logits = twin(model).eval()(pixels)
    chosen = logits.argmax(1) if classes is None else torch.tensor(classes).expand(3)
    logits[torch.arange(3), chosen].sum().backward()
    close(inspect.saliency(model, mc.tensor(x), classes).values, pixels.grad.abs().amax(1))


def test_frozen_networks_can_be_seen_into(model, x):
    before = inspect.grad_cam(model, mc.tensor(x), 1, "conv1").values, inspect.saliency(model, mc.tensor(x), 1).values
    model.requires_grad_(False)
    after = inspect.grad_cam(model, mc.tensor(x), 1, "conv1").values, inspect.saliency(model, mc.tensor(x), 1).values
    for a, b in zip(before, after):
        np.testing.assert_array_equal(a, b)


def test_an_output_that_does_not_depend_on_the_layer(device):
    class Side(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.side = nn.Conv2d(1, 2, 1), nn.Conv2d(1, 2, 1)

        def forward(self, x: mc.Tensor) -> mc.Tensor:
            self.side(x)
            return self.used(x).mean((2, 3))

    np.testing.assert_array_equal(inspect.grad_cam(Side(), mc.ones(1, 1, 4, 4), 0, "side").values, np.zeros((1, 4, 4)))


# Receptive field


def rectangle(height: int, width: int, rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[rows, columns] = True
    return mask


@pytest.mark.parametrize(
    ("layer", "position", "rows", "columns"),
    [
        ("conv1", (0, 0), slice(0, 2), slice(0, 2)),  # 3 × 3 with padding 1
        ("conv1", (4, 9), slice(3, 6), slice(8, 10)),
        ("bn", (4, 4), slice(3, 6), slice(3, 6)),
        ("pool", (1, 2), slice(1, 5), slice(3, 7)),  # pixels 2, 3 and 4, 5 of conv1, one more on each side
        ("conv2", (0, 0), slice(0, 7), slice(0, 7)),  # pooled pixels 0 … 2: pixels 0 … 5 of conv1
        ("conv2", (1, 2), slice(1, 9), slice(3, 10)),
        ("fc", None, slice(0, 9), slice(0, 10)),
    ],
)
def test_receptive_field_by_hand(model, layer, position, rows, columns):
    values = inspect.receptive_field(model, mc.zeros(1, 2, 9, 10, dtype=mc.float64), layer, position).values
    np.testing.assert_array_equal(values, rectangle(9, 10, rows, columns))


def test_receptive_field_does_not_depend_on_weights(device):
    """Neither on weights that are 0, nor on dead ReLUs, and holes of dilated filters are left out."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3, dilation=2), nn.ReLU(), nn.Conv2d(2, 2, 3, stride=2))
    with mc.no_grad():
        for parameter in model.parameters():
            parameter.copy_(mc.zeros_like(parameter) - 1)
        model[2].weight.copy_(mc.zeros_like(model[2].weight))
    values = inspect.receptive_field(model, mc.zeros(1, 1, 20, 20), "0", (3, 5)).values
    assert np.argwhere(values).tolist() == [[row, column] for row in (3, 5, 7) for column in (5, 7, 9)]
    values = inspect.receptive_field(model, mc.zeros(1, 1, 20, 20), "2", (1, 2)).values
    np.testing.assert_array_equal(values, rectangle(20, 20, slice(2, 9), slice(4, 11)))


def test_receptive_field_holds_what_autograd_finds(device):
    """A whole network: whatever pixel has a gradient in PyTorch lies in it, and its border is reached."""
    model = mc.models.resnet_orl()
    x = mc.zeros(1, 1, 56, 46)
    values = inspect.receptive_field(model, x, "conv1", (0, 3)).values
    weight = torch.ones(1, 1, 5, 5)
    pixels = torch.zeros(1, 1, 56, 46, requires_grad=True)
    TF.conv2d(pixels, weight, stride=2, padding=2)[0, 0, 0, 3].backward()
    np.testing.assert_array_equal(values, pixels.grad[0, 0].numpy() != 0)


# Distributions


def test_activation_histograms(model, x):
    theirs = twin(model).eval()
    hooks = Hooks(theirs)
    theirs(torch.from_numpy(x))
    found = inspect.activation_histograms(model, mc.tensor(x), bins=7).values
    assert list(found) == list(hooks.outputs)
    for name, (counts, edges) in found.items():
        expected = hooks.outputs[name].detach().numpy().ravel()
        assert counts.sum() == expected.size
        np.testing.assert_allclose(edges[[0, -1]], [expected.min(), expected.max()], rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(np.cumsum(counts)[:-1], [(expected < e - 1e-12).sum() for e in edges[1:-1]])


def test_gradient_histograms(model, x):
    theirs = twin(model).eval()
    labels = np.array([0, 2, 1])
    TF.cross_entropy(theirs(torch.from_numpy(x)), torch.from_numpy(labels)).backward()
    found = inspect.gradient_histograms(model.eval(), mc.tensor(x), mc.tensor(labels), bins=7).values
    assert list(found) == [name for name, _ in theirs.named_parameters()]
    for name, parameter in theirs.named_parameters():
        counts, edges = found[name]
        assert counts.sum() == parameter.numel()
        expected = parameter.grad.numpy()
        scale = np.abs(expected).max()
        np.testing.assert_allclose(edges[[0, -1]], [expected.min(), expected.max()], atol=1e-9 * scale)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_gradient_histograms_by_another_loss_and_of_frozen_parameters(model, x):
    model.conv1.requires_grad_(False)
    found = inspect.gradient_histograms(model, mc.tensor(x), mc.zeros(3, 3, dtype=mc.float64), F.mse_loss).values
    assert "conv1.weight" not in found
    assert "conv2.weight" in found


def test_dead_relus_that_were_planted(model, x):
    with mc.no_grad():
        bias = model.conv2.bias.numpy().copy()
        bias[[1, 3]] = -1e6
        model.conv2.bias.copy_(bias)
    theirs = twin(model).eval()
    hooks = Hooks(theirs)
    theirs(torch.from_numpy(x))
    found = inspect.dead_relus(model, mc.tensor(x)).values
    assert list(found) == ["relu1", "relu2"]
    assert found["relu2"][[1, 3]].all()
    for name, dead in found.items():
        expected = (hooks.outputs[name] <= 0).all(0).flatten(1).all(1).numpy()
        np.testing.assert_array_equal(dead, expected)


def test_dead_relus_over_several_batches(device):
    """A channel that one batch alone wakes is not dead; functions and layers that are called twice count, too."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x: mc.Tensor) -> mc.Tensor:
            return F.relu(self.relu(self.relu(x) - 1) - 1)

    batches = [np.array([[0.5, -1, 0, -3]]), np.array([[1.5, -2, 0, -3]]), np.array([[0.5, 3, 0, -3]])]
    data = [(mc.tensor(batch), mc.tensor([0])) for batch in batches]
    found = inspect.dead_relus(Twice(), data).values
    assert {name: dead.tolist() for name, dead in found.items()} == {
        "relu": [False, False, True, True],
        "relu, call 2": [False, False, True, True],
        "Twice": [True, False, True, True],
    }


# What stays, what is drawn, what is refused


def everything(model: nn.Module, x: mc.Tensor) -> dict[str, inspect.Seen]:
    return {
        "maps": inspect.feature_maps(model, x, "conv1"),
        "features": inspect.feature_maps(model, x, "fc"),
        "filters": inspect.filters(model.conv1),
        "grad_cam": inspect.grad_cam(model, x, 1, "conv2"),
        "saliency": inspect.saliency(model, x, 1),
        "receptive_field": inspect.receptive_field(model, x, "conv2"),
        "activations": inspect.activation_histograms(model, x),
        "gradients": inspect.gradient_histograms(model, x, mc.tensor([0, 1, 2])),
        "dead": inspect.dead_relus(model, x),
    }


def test_nothing_of_the_model_changes(model, x):
    model.train()
    model.relu1.eval()
    state = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    numbers = mc.random.get_state()
    everything(model, mc.tensor(x))
    assert [module.training for module in model.modules()] == modes
    assert mc.random.get_state() == numbers
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state[name])


def test_pictures(model, x, tmp_path):
    from PIL import Image

    colour = {"colour": inspect.filters(nn.Conv2d(3, 8, 5)), "flat": inspect.filters(nn.Conv2d(3, 8, 1))}
    for name, seen in {**everything(model, mc.tensor(x)), **colour}.items():
        seen.plot(tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert min(picture.size) > 60
            assert np.asarray(picture.convert("L")).std() > 1
        assert type(seen.plot()).__name__ == "Figure"


def test_a_sheet_shows_each_map_in_its_place(device):
    """The drawn sheet, not its pixels: map 1 is right of map 0, each scaled by itself."""
    model = nn.Sequential({"conv": nn.Conv2d(1, 2, 1, bias=False)})
    with mc.no_grad():
        model.conv.weight.copy_(np.array([1.0, -7]).reshape(2, 1, 1, 1))
    figure = inspect.feature_maps(model, mc.tensor([[[[0.0, 1], [2, 4]]]]), "conv").plot()
    sheet = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_allclose(sheet, [[0, 0.25, 1, 1, 0.75, 1], [0.5, 1, 1, 0.5, 0, 1], [1] * 6])


def test_no_matplotlib_before_a_picture_is_asked_for():
    code = (
        "import sys, minicnn as mc; m = mc.nn.Sequential(mc.nn.Conv2d(1, 2, 3));"
        "mc.inspect.feature_maps(m, mc.ones(1, 1, 4, 4), '0'); sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_example_in_the_docstring(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [line[4:] for line in (inspect.__doc__ or "").splitlines() if line.startswith("    ")]
    assert len(lines) == 6
    names: dict[str, object] = {"mc": mc}
    exec("\n".join(lines), names)
    assert names["maps"].values.shape == (2, 32, 56, 46)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["maps.png", "why_class_3.png"]


REFUSED = {
    "unknown layer": (
        lambda m, x: inspect.feature_maps(m, x, "conv9"),
        "feature_maps: the model has no layer 'conv9', it has 'conv1', 'bn', 'relu1', 'pool', 'conv2', 'relu2', "
        "'dropout', 'flatten', 'fc'",
    ),
    "foreign layer": (
        lambda m, x: inspect.grad_cam(m, x, 0, nn.ReLU()),
        "grad_cam: the layer, a ReLU, is not in the model",
    ),
    "no maps": (
        lambda m, x: inspect.grad_cam(m, x, 0, "fc"),
        "grad_cam: layer fc gives (3, 3), needs maps (N, C, H, W)",
    ),
    "a class too high": (
        lambda m, x: inspect.grad_cam(m, x, 3, "conv1"),
        "grad_cam: class_index is 3, needs whole numbers from 0 to 2",
    ),
    "a class below 0": (
        lambda m, x: inspect.saliency(m, x, [0, -1, 1]),
        "saliency: class_index is [0, -1, 1], needs whole numbers from 0 to 2",
    ),
    "a class of halves": (
        lambda m, x: inspect.saliency(m, x, 0.5),
        "saliency: class_index is 0.5, needs whole numbers from 0 to 2",
    ),
    "two classes": (
        lambda m, x: inspect.saliency(m, x, [0, 1]),
        "saliency: class_index is [0, 1], needs one class, or 3",
    ),
    "no logits": (
        lambda m, x: inspect.saliency(nn.Conv2d(2, 2, 3).double(), x, 0),
        "saliency: the model returns (3, 2, 7, 8), needs logits (N, classes)",
    ),
    "outside": (
        lambda m, x: inspect.receptive_field(m, x, "pool", (4, 0)),
        "receptive_field: position is (4, 0), the layer's output has 4 x 5 pixels",
    ),
    "a position of features": (
        lambda m, x: inspect.receptive_field(m, x, "fc", (0, 0)),
        "receptive_field: the layer gives (9, 3), which has no positions",
    ),
    "no filters": (
        lambda m, x: inspect.filters(m.fc),
        "filters: layer is a Linear, needs one with a weight (O, C, KH, KW)",
    ),
    "no data": (lambda m, x: inspect.dead_relus(m, []), "dead_relus: there are no data"),
    "no relus": (
        lambda m, x: inspect.dead_relus(m.conv1, x),
        "dead_relus: the model calls no ReLU",
    ),
    "frozen": (
        lambda m, x: inspect.gradient_histograms(m.requires_grad_(False), x, mc.tensor([0, 1, 2])),
        "gradient_histograms: no parameter of the model requires a gradient",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case, model, x):
    call, text = REFUSED[case]
    with pytest.raises(ShapeError) as caught:
        call(model, mc.tensor(x))
    assert str(caught.value) == text
    assert not any(module._forward_hooks for module in model.modules())


def test_a_layer_that_is_not_called(device):
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.idle = nn.ReLU()

        def forward(self, x: mc.Tensor) -> mc.Tensor:
            return x

    for call in (
        lambda: inspect.feature_maps(Idle(), mc.ones(1, 3), "idle"),
        lambda: inspect.grad_cam(Idle(), mc.ones(1, 3), 0, "idle"),
        lambda: inspect.receptive_field(Idle(), mc.ones(1, 1, 3, 3), "idle"),
    ):
        with pytest.raises(ShapeError, match=r"layer idle was not called"):
            call()


def test_what_is_no_model(device):
    with pytest.raises(DTypeError, match=r"^inspect: model must be an nn\.Module, got int$"):
        inspect.saliency(3, mc.ones(1, 1, 3, 3))

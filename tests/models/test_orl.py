from collections import OrderedDict

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn import models, nn
from minicnn.errors import ShapeError
from minicnn.models.residual import BasicBlock, ZeroPadding


@pytest.fixture(autouse=True)
def _reference():
    with mc.use_device("reference"):
        yield


class TorchBlock(torch.nn.Module):
    def __init__(self, block: BasicBlock) -> None:
        super().__init__()
        for name, module in block.named_children():
            setattr(self, name, twin(module))
        self.has_shortcut = block.downsample is not None

    def forward(self, x):
        y = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        return self.act2(y + self.downsample(x) if self.has_shortcut else y)


class TorchZeroPadding(torch.nn.Module):
    def __init__(self, module: ZeroPadding) -> None:
        super().__init__()
        self.added, self.stride = module.added, module.stride

    def forward(self, x):
        return torch.nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))


def twin(module: nn.Module) -> torch.nn.Module:
    """Build the same network of PyTorch's layers, from the text of ours."""
    if isinstance(module, BasicBlock):
        return TorchBlock(module)
    if isinstance(module, ZeroPadding):
        return TorchZeroPadding(module)
    if isinstance(module, nn.Sequential):
        return torch.nn.Sequential(OrderedDict((name, twin(part)) for name, part in module.named_children()))
    kind = getattr(torch.nn, type(module).__name__)
    return eval(f"kind({module.extra_repr()})", {"kind": kind})


NETWORKS = {
    "alexnet": lambda: models.alexnet_orl(dropout=0.0),
    "alexnet, other options": lambda: models.alexnet_orl(
        7, 3, activation="tanh", dropout=0.0, overlapping=False, local_response_norm=False
    ),
    "vgg": lambda: models.vgg_orl(dropout=0.0, widths=(4, 6, 8)),
    "vgg, other options": lambda: models.vgg_orl(
        9, 2, activation="leaky_relu", dropout=0.0, batch_norm=False, depth=10
    ),
    "resnet A": lambda: models.resnet_orl(shortcut="A", widths=(4, 6, 8)),
    "resnet B": lambda: models.resnet_orl(5, 2, shortcut="B", widths=(4, 6), depth=10, activation="silu"),
    "resnet C": lambda: models.resnet_orl(shortcut="C", widths=(4, 6), depth=6),
    "resnet none": lambda: models.resnet_orl(shortcut="none", widths=(4, 4), depth=6, activation="sigmoid"),
    "mlp": lambda: models.mlp_orl(dropout=0.0, activation="gelu"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_and_gradients_are_those_of_the_same_layers_in_pytorch(name):
    model = NETWORKS[name]().double()
    theirs = twin(model).double()
    theirs.load_state_dict({name: torch.tensor(value.numpy()) for name, value in model.state_dict().items()})
    first = next(m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear)))
    channels = first.in_channels if isinstance(first, nn.Conv2d) else 1
    x = np.random.default_rng(0).standard_normal((3, channels, 40, 37))

    y = model(mc.tensor(x))
    expected = theirs(torch.tensor(x))
    np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), rtol=1e-8, atol=1e-10)
    (y * y).sum().backward()
    (expected * expected).sum().backward()
    gradients = dict(theirs.named_parameters())
    for parameter_name, parameter in model.named_parameters():
        np.testing.assert_allclose(
            parameter.grad.numpy(), gradients[parameter_name].grad.numpy(), rtol=1e-6, atol=1e-9, err_msg=parameter_name
        )


@pytest.mark.parametrize("name", sorted(name for name in models.MODELS if name.endswith("_orl")))
@pytest.mark.parametrize("size", [(112, 92), (56, 46), (33, 35)])
def test_pictures_of_any_size_give_logits_of_each_class(name, size):
    model = models.build(name, num_classes=6, in_channels=2).eval()
    with mc.no_grad():
        assert model(mc.zeros(2, 2, *size)).shape == (2, 6)


@pytest.mark.parametrize("depth", [8, 14, 20])
def test_the_depth_of_a_resnet_counts_its_layers_with_weights(depth):
    model = models.resnet_orl(depth=depth, shortcut="A", widths=(2, 3, 4))
    assert sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in model.modules()) == depth


@pytest.mark.parametrize("depth", [6, 7, 9, 14])
def test_the_depth_of_a_vgg_counts_its_layers_with_weights(depth):
    model = models.vgg_orl(depth=depth, widths=(2, 3, 4, 5))
    assert sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in model.modules()) == depth


def test_shortcut_a_has_no_parameters_and_c_has_them_everywhere():
    counts = {
        kind: sum(p.numel() for p in models.resnet_orl(depth=14, shortcut=kind).parameters())
        for kind in ("none", "A", "B", "C")
    }
    assert counts["none"] == counts["A"] < counts["B"] < counts["C"]


def test_a_residual_block_of_zeros_is_its_shortcut():
    block = BasicBlock(3, 3)
    with mc.no_grad():
        block.bn2.weight.fill_(0)
    x = mc.rand(2, 3, 5, 4)
    np.testing.assert_array_equal(block(x).numpy(), x.numpy())


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: models.build("resnet"), "build: model is 'resnet', needs one of 'alexnet"),
        (lambda: models.build("mlp_orl", depth=3), "mlp_orl: there is no option 'depth', there are num_classes"),
        (lambda: models.resnet_orl(depth=9), "resnet_orl: depth is 9, 3 stages need 2 + 6n: 8, 14, …"),
        (lambda: models.resnet_orl(shortcut="D"), "resnet_orl: shortcut is 'D', needs one of 'A', 'B', 'C', 'none'"),
        (lambda: models.resnet_orl(activation="swish"), "resnet_orl: activation is 'swish', needs one of 'relu'"),
        (lambda: models.vgg_orl(depth=5), "vgg_orl: depth is 5, 4 widths need at least 6"),
        (lambda: models.resnet_orl(dropout=1.5), "Dropout: p is 1.5, needs a number in [0, 1]"),
        (lambda: models.resnet_orl(num_classes=0), "Linear: out_features is 0, needs at least 1"),
    ],
)
def test_refusals(build, text):
    with pytest.raises(ShapeError) as caught:
        build()
    assert str(caught.value).startswith(text)

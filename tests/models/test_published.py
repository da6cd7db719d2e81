"""Sizes, costs, names and receptive fields as the papers and PyTorch's model collection state them; first values."""

import hashlib

import numpy as np
import pytest

import minicnn as mc
from minicnn import models, nn
from minicnn.errors import ShapeError

# parameters, thousand millions of multiply-adds, the start of the SHA-256 of the lines "name (shape)" of the state;
# all from torchvision 0.28: meta["num_params"], meta["_ops"], and its state dicts
TORCHVISION = {
    "alexnet": (61100840, 0.714, "214045a0c08ffc98"),
    "resnet18": (11689512, 1.814, "761022b221a39ceb"),
    "resnet34": (21797672, 3.664, "1a060acae7a42530"),
    "resnet50": (25557032, 4.089, "3fa57287149b51c4"),
    "resnet101": (44549160, 7.801, "0e9191dd134cb07d"),
    "resnet152": (60192808, 11.514, "47360b6062c7afaa"),
    "vgg11": (132863336, 7.609, "a4a2a4a84e73de05"),
    "vgg11_bn": (132868840, 7.609, "6aaf84aad4159200"),
    "vgg13": (133047848, 11.308, "9dc9518e7646fe47"),
    "vgg13_bn": (133053736, 11.308, "9a11dd9903f0e3cf"),
    "vgg16": (138357544, 15.47, "6f36a6fd49b61819"),
    "vgg16_bn": (138365992, 15.47, "5f99e428d932f79e"),
    "vgg19": (143667240, 19.632, "e05a894c9ad13251"),
    "vgg19_bn": (143678248, 19.632, "4c042cc97e1d6342"),
}


@pytest.mark.usefixtures("no_draws")
@pytest.mark.parametrize("name", TORCHVISION)
def test_as_in_torchvision(name):
    parameters, multiply_adds, digest = TORCHVISION[name]
    model = models.build(name)
    listed = "".join(f"{key} {tuple(value.shape)}\n" for key, value in model.state_dict().items())
    assert hashlib.sha256(listed.encode()).hexdigest()[:16] == digest
    found = mc.summary(model, models.input_shape(name))
    assert found.parameters == found.trainable == parameters
    assert round(found.multiply_adds / 1e9, 3) == multiply_adds
    assert found.rows[-1].output_shape == (1, 1000)


@pytest.mark.usefixtures("no_draws")
def test_alexnet_2012():
    """60,965,224 parameters; 5 convolutions of two halves: 105.4 + 223.9 + 149.5 + 112.1 + 74.8 million, and 58.6."""
    by_hand = 55 * 55 * 96 * 363 + 27 * 27 * 256 * 48 * 25 + 13 * 13 * (384 * 256 + 384 * 192 + 256 * 192) * 9
    by_hand += 9216 * 4096 + 4096 * 4096 + 4096 * 1000
    found = mc.summary(models.alexnet_2012(), (3, 224, 224))
    assert (found.parameters, found.multiply_adds) == (60965224, by_hand)
    shapes = [row.output_shape[1:] for row in found.rows if row.kind in ("Conv2d", "MaxPool2d")]
    assert shapes == [
        (96, 55, 55), (96, 27, 27), (256, 27, 27), (256, 13, 13), (384, 13, 13), (384, 13, 13), (256, 13, 13),
        (256, 6, 6),
    ]  # fmt: skip
    assert mc.summary(models.alexnet_2012(padding=0), (3, 227, 227)).multiply_adds == by_hand


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_cifar_networks_have_the_sizes_of_table_6(depth, millions):
    model = models.resnet_cifar(depth)
    count = sum(p.numel() for p in model.parameters())
    assert round(count / 1e6, 1 if depth == 110 else 2) == millions
    assert sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in model.modules()) == depth


@pytest.mark.parametrize("design", ["basic", "bottleneck", "preactivation"])
def test_the_depth_of_a_cifar_network_counts_its_layers_with_weights(design):
    depth = 29 if design == "bottleneck" else 20
    model = models.resnet_cifar(depth, design=design)
    assert sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in model.modules()) == depth


@pytest.mark.usefixtures("no_draws")
@pytest.mark.parametrize(
    ("model", "layer", "field"),
    [
        # Araujo, Norris, Sim 2019, Computing Receptive Fields of Convolutional Neural Networks
        (lambda: models.alexnet(2), "features", 195),
        (lambda: models.vgg16(2), "features", 212),
        (lambda: models.resnet50(2, stride_in="1x1"), "layer4", 483),
        pytest.param(lambda: models.resnet101(2, stride_in="1x1"), "layer4", 1027, marks=pytest.mark.full),
        (lambda: models.resnet152(2, stride_in="1x1"), "layer4", 1507),
        # by hand: 11 before layer1; a 3×3 convolution adds twice the distance of the pixels it reads
        (lambda: models.resnet18(2), "layer4", 11 + 4 * 8 + (8 + 3 * 16) + (16 + 3 * 32) + (32 + 3 * 64)),
        (lambda: models.resnet50(2), "layer4", 11 + 3 * 8 + (8 + 3 * 16) + (16 + 5 * 32) + (32 + 2 * 64)),
    ],
)
def test_receptive_fields(model, layer, field):
    found = mc.summary(model(), (1, 3, 224, 224))
    assert max(row.receptive_field for row in found.rows if row.name.startswith(layer)) == (field, field)


# First values


def spread(tensor):
    """Return the mean and the deviation of a tensor's numbers."""
    return float(tensor.numpy().mean()), float(tensor.numpy().std())


def test_first_values_of_a_resnet():
    model = models.resnet50()
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            mean, deviation = spread(module.weight)
            fan_out = module.out_channels * module.kernel_size[0] ** 2
            assert deviation == pytest.approx((2 / fan_out) ** 0.5, rel=0.05), name
            assert abs(mean) < 0.05 * deviation, name
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.weight.numpy() == 1).all()
            assert (module.bias.numpy() == 0).all()
    assert np.abs(model.fc.weight.numpy()).max() <= 2048**-0.5


@pytest.mark.parametrize(("name", "last"), [("resnet18", "bn2"), ("resnet50", "bn3")])
def test_residual_branches_can_start_at_zero(name, last):
    model = models.build(name, zero_init_residual=True, num_classes=2)
    for key, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight.numpy() == (0 if key.endswith(last) else 1)).all(), key
    # each block without a projection returns the relu of its input
    x = mc.rand(2, model.layer2[1].conv1.in_channels, 5, 5)
    np.testing.assert_array_equal(model.layer2[1](x).numpy(), x.numpy())


@pytest.mark.full
@pytest.mark.usefixtures("quick_draws")
def test_first_values_of_a_vgg():
    model = models.vgg11_bn(num_classes=2)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = 9 * module.out_channels
            assert spread(module.weight)[1] == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
        elif isinstance(module, nn.Linear):
            assert spread(module.weight)[1] == pytest.approx(0.01, rel=0.05)
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            assert (module.bias.numpy() == 0).all()


@pytest.mark.usefixtures("quick_draws")
def test_first_values_of_the_alexnets():
    model = models.alexnet_2012(num_classes=5)
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert [set(layer.bias.numpy().tolist()) for layer in layers] == [{0}, {1}, {0}, {1}, {1}, {1}, {1}, {0}]
    for layer in layers:
        mean, deviation = spread(layer.weight)
        assert deviation == pytest.approx(0.01, rel=0.05)
        assert abs(mean) < 1e-3
    conv = models.alexnet(num_classes=5).features[0]
    assert np.abs(conv.weight.numpy()).max() <= 363**-0.5  # PyTorch's own start


def test_first_values_of_a_cifar_network():
    for module in models.resnet_cifar(14).modules():
        if isinstance(module, nn.Conv2d):
            fan_in = 9 * module.in_channels
            assert spread(module.weight)[1] == pytest.approx((2 / fan_in) ** 0.5, rel=0.1)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: models.resnet_cifar(21), "resnet_cifar: depth is 21, basic blocks need 6n + 2, such as 8, 14, 20"),
        (
            lambda: models.resnet_cifar(21, design="bottleneck"),
            "resnet_cifar: depth is 21, bottleneck blocks need 9n + 2, such as 11, 20",
        ),
        (lambda: models.resnet_cifar(design="dense"), "resnet_cifar: design is 'dense', needs one of 'basic'"),
        (lambda: models.resnet_cifar(shortcut="D"), "resnet_cifar: shortcut is 'D', needs one of 'A'"),
        (lambda: models.resnet50(stride_in="5x5"), "Bottleneck: stride_in is '5x5', needs one of '1x1', '3x3'"),
        (lambda: models.resnet18(shortcut="x"), "residual block: shortcut is 'x', needs one of 'A', 'B', 'C', 'none'"),
        (
            lambda: models.BasicBlock(8, 4, shortcut="A"),
            "residual block: shortcut 'A' adds channels, it cannot make 4 of 8",
        ),
        (lambda: models.Bottleneck(4, 6), "Bottleneck: out_channels is 6, needs a multiple of 4"),
        (lambda: models.build("resnet18", dropout=0.1), "resnet18: there is no option 'dropout', there are num_cla"),
        (lambda: models.input_shape("resnet"), "input_shape: model is 'resnet', needs one of 'alexnet_orl'"),
    ],
)
def test_refusals(build, text):
    with pytest.raises(ShapeError) as caught:
        build()
    assert str(caught.value).startswith(text)

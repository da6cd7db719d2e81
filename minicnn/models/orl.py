"""Small networks for the ORL faces: an AlexNet, a VGG, a ResNet and a multilayer perceptron.

All take pictures (N, in_channels, H, W) of any size of at least 32 × 32, for instance the originals of
112 × 92 or halved ones, and return (N, num_classes) logits. Their options are what the studies vary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .. import nn
from ..errors import ShapeError
from ..ops import arguments
from .residual import SHORTCUTS, BasicBlock, stage

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}


def alexnet_orl(
    num_classes: int = 40,
    in_channels: int = 1,
    activation: str = "relu",
    dropout: float = 0.5,
    overlapping: bool = True,
    local_response_norm: bool = True,
) -> nn.Sequential:
    """Return AlexNet in small: five convolutions and three linear layers, in the original's order.

    5×5/2 32 – LRN – pool – 5×5 64 – LRN – pool – 3×3 128 – 3×3 128 – 3×3 64 – pool – 512 – 512 – num_classes.
    `overlapping`: windows of 3 with stride 2 as published, else of 2. `dropout` before the first two linear layers.
    Source: Krizhevsky, Sutskever, Hinton 2012, sections 3.1 (ReLU), 3.3 (LRN), 3.4 (pooling), 4.2 (dropout).
    """
    act = _activation("alexnet_orl", activation)

    def pool() -> nn.Module:
        return nn.MaxPool2d(3 if overlapping else 2, stride=2)

    def norm() -> list[nn.Module]:
        return [nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)] if local_response_norm else []

    features = nn.Sequential(
        nn.Conv2d(in_channels, 32, 5, stride=2, padding=2), act(), *norm(), pool(),
        nn.Conv2d(32, 64, 5, padding=2), act(), *norm(), pool(),
        nn.Conv2d(64, 128, 3, padding=1), act(),
        nn.Conv2d(128, 128, 3, padding=1), act(),
        nn.Conv2d(128, 64, 3, padding=1), act(),
    )  # fmt: skip
    classifier = nn.Sequential(
        nn.Dropout(dropout), nn.Linear(64 * 6 * 4, 512), act(),
        nn.Dropout(dropout), nn.Linear(512, 512), act(),
        nn.Linear(512, num_classes),
    )  # fmt: skip
    # The last pooling makes 6 × 4 pixels of any size.
    return nn.Sequential(
        {"features": features, "pool": nn.AdaptiveAvgPool2d((6, 4)), "flatten": nn.Flatten(), "classifier": classifier}
    )


def vgg_orl(
    num_classes: int = 40,
    in_channels: int = 1,
    activation: str = "relu",
    dropout: float = 0.5,
    batch_norm: bool = True,
    widths: Sequence[int] = (16, 32, 64, 128),
    depth: int = 8,
) -> nn.Sequential:
    """Return a VGG in small: stacks of 3×3 convolutions, each stack ended by 2×2 max pooling.

    `depth` counts the layers with weights: two linear ones, and convolutions spread over the stacks, the later
    stacks having one more where that does not come out even.
    Source: Simonyan, Zisserman 2014, section 2.1.
    """
    act = _activation("vgg_orl", activation)
    per_stack, rest = divmod(depth - 2, len(widths))
    if per_stack < 1:
        raise ShapeError(f"vgg_orl: depth is {depth}, {len(widths)} widths need at least {len(widths) + 2}")
    features: list[nn.Module] = []
    channels = in_channels
    for stack, width in enumerate(widths):
        for _ in range(per_stack + (stack >= len(widths) - rest)):
            features.append(nn.Conv2d(channels, width, 3, padding=1, bias=not batch_norm))
            features += [nn.BatchNorm2d(width)] if batch_norm else []
            features.append(act())
            channels = width
        features.append(nn.MaxPool2d(2))
    classifier = nn.Sequential(
        nn.Linear(channels * 3 * 2, 256), act(), nn.Dropout(dropout), nn.Linear(256, num_classes)
    )
    return nn.Sequential({
        "features": nn.Sequential(*features),
        "pool": nn.AdaptiveAvgPool2d((3, 2)), "flatten": nn.Flatten(), "classifier": classifier,
    })  # fmt: skip


def resnet_orl(
    num_classes: int = 40,
    in_channels: int = 1,
    activation: str = "relu",
    dropout: float = 0.0,
    shortcut: str = "B",
    depth: int = 8,
    widths: Sequence[int] = (32, 64, 128),
) -> nn.Sequential:
    """Return a ResNet in small: a 5×5/2 stem, stages of basic blocks, global average pooling, one linear layer.

    There is a stage for each of the `widths`; each after the first halves height and width. `depth` counts the
    layers with weights, 2 + 2 per block, the blocks spread evenly over the stages: 8, 14, 20, … for three.
    `shortcut` is "A" (zero padding), "B" (a projection where the shape changes), "C" (projections everywhere) or
    "none": the plain network that degrades with depth. `dropout` before the linear layer.
    Source: He, Zhang, Ren, Sun 2015, sections 3.3 and 4.2.
    """
    arguments.choice("resnet_orl", "shortcut", shortcut, SHORTCUTS)
    act = _activation("resnet_orl", activation)
    blocks, rest = divmod(depth - 2, 2 * len(widths))
    if blocks < 1 or rest:
        raise ShapeError(
            f"resnet_orl: depth is {depth}, {len(widths)} stages need 2 + {2 * len(widths)}n: "
            f"{2 + 2 * len(widths)}, {2 + 4 * len(widths)}, …"
        )
    channels = widths[0]
    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(in_channels, channels, 5, stride=2, padding=2, bias=False),
        "bn1": nn.BatchNorm2d(channels),
        "act1": act(),
    }
    for number, width in enumerate(widths, 1):
        stride = 1 if number == 1 else 2
        layers[f"layer{number}"] = stage(BasicBlock, channels, width, blocks, stride, shortcut=shortcut, activation=act)
        channels = width
    layers |= {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), "dropout": nn.Dropout(dropout)}
    return nn.Sequential({**layers, "fc": nn.Linear(channels, num_classes)})


def mlp_orl(
    num_classes: int = 40,
    in_channels: int = 1,
    activation: str = "relu",
    dropout: float = 0.5,
    widths: Sequence[int] = (256, 256),
) -> nn.Sequential:
    """Return a multilayer perceptron on pixels averaged to 28 × 23: what a network without convolutions can do."""
    act = _activation("mlp_orl", activation)
    layers: list[nn.Module] = [nn.AdaptiveAvgPool2d((28, 23)), nn.Flatten()]
    features = in_channels * 28 * 23
    for width in widths:
        layers += [nn.Linear(features, width), act(), nn.Dropout(dropout)]
        features = width
    return nn.Sequential(*layers, nn.Linear(features, num_classes))


def _activation(name: str, activation: str) -> Callable[[], nn.Module]:
    return ACTIVATIONS[arguments.choice(name, "activation", activation, tuple(ACTIVATIONS))]

"""The architectures that are compared with PyTorch: ours, its twin, a batch to try them with, whether it takes long.

Dropout is off, since its masks are not PyTorch's; the batches are as small as the architecture allows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from minicnn import models, nn

from . import twins


@dataclass
class Network:
    ours: Callable[[], nn.Module]
    theirs: Callable[[nn.Module], torch.nn.Module]  # gets ours, for its text
    shape: tuple[int, ...] = (2, 3, 64, 64)
    full: bool = False  # whether only `make test-full` has time for it
    scale: float = 1.0  # of the pictures' numbers
    triplet: bool = False  # whether it returns an embedding, of which the loss is a triplet's


def _network(name: str, twin: Callable[..., torch.nn.Module], options: dict, **rest) -> Network:
    return Network(partial(models.build, name, **options), lambda _: twin(**options), **rest)


def _cifar(n: int, per_block: int = 2, **options) -> Network:
    ours = partial(models.resnet_cifar, 3 * per_block * n + 2, **options)
    return Network(ours, lambda _: twins.resnet_cifar(n, **options), (4, 3, 32, 32), full=n > 3)


def _orl(name: str, full: bool = False, **options) -> Network:
    ours = partial(models.build, name, dropout=0.0, **options)
    return Network(ours, twins.of_layers, (4, 1, 56, 46), full=full)


FEW = {"num_classes": 10, "dropout": 0.0}  # the last layer's size proves nothing, and costs time

NETWORKS = {
    "alexnet": _network("alexnet", twins.alexnet, FEW, full=True),
    "alexnet_2012": _network("alexnet_2012", twins.alexnet_2012, FEW, shape=(2, 3, 224, 224), full=True),
    "alexnet_2012, 227 pixels": _network(
        "alexnet_2012", twins.alexnet_2012, {**FEW, "padding": 0}, shape=(1, 3, 227, 227), full=True
    ),
    **{
        name: _network(name, partial(twins.vgg, name), FEW, shape=(2, 3, 32, 32), full=True)
        for plain in twins.VGG
        for name in (plain, f"{plain}_bn")
    },
    **{
        name: _network(name, partial(twins.resnet, name), {"num_classes": 10}, shape=shape, full=full)
        for name, shape, full in (
            ("resnet18", (2, 3, 64, 64), False),
            ("resnet34", (2, 3, 64, 64), True),
            ("resnet50", (2, 3, 64, 64), True),
            ("resnet101", (4, 3, 96, 96), True),
            ("resnet152", (4, 3, 96, 96), True),
        )
    },
    "resnet50, stride in 1x1": _network(
        "resnet50", partial(twins.resnet, "resnet50"), {"num_classes": 10, "stride_in": "1x1"}, full=True
    ),
    "resnet34, shortcut A": _network(
        "resnet34", partial(twins.resnet, "resnet34"), {"num_classes": 10, "shortcut": "A"}, full=True
    ),
    "resnet_cifar 20": _cifar(3),
    "resnet_cifar 32": _cifar(5),
    "resnet_cifar 44": _cifar(7),
    "resnet_cifar 56": _cifar(9),
    "resnet_cifar 110": _cifar(18),
    "resnet_cifar 14, B": _cifar(2, shortcut="B"),
    "resnet_cifar 8, C": _cifar(1, shortcut="C"),
    "resnet_cifar 8, none": _cifar(1, shortcut="none"),
    "resnet_cifar 11, bottleneck": _cifar(1, 3, design="bottleneck", shortcut="B"),
    "resnet_cifar 20, pre-activation, A": _cifar(3, design="preactivation"),
    "resnet_cifar 14, pre-activation, B": _cifar(2, design="preactivation", shortcut="B"),
    "resnet_cifar 8, pre-activation, C": _cifar(1, design="preactivation", shortcut="C"),
    "face_resnet29": Network(
        models.face_resnet29, lambda _: twins.FaceResNet29(), (3, 3, 150, 150), scale=255.0, triplet=True
    ),
    "embedding": Network(
        models.embedding, lambda ours: twins.Embedding(twins.of_layers(ours.backbone)), (6, 1, 56, 46), triplet=True
    ),
    "embedding of a resnet18": Network(
        partial(models.embedding, 128, "resnet18"), lambda _: twins.Embedding(twins.resnet("resnet18", 128)),
        (3, 3, 64, 64), full=True, triplet=True,
    ),
    "alexnet_orl": _orl("alexnet_orl"),
    "vgg_orl": _orl("vgg_orl"),
    "resnet_orl": _orl("resnet_orl"),
    "mlp_orl": _orl("mlp_orl"),
}  # fmt: skip

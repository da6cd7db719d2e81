"""Networks, each a function that returns an `nn.Module`.

Read `residual.py` (the blocks), `orl.py` (small networks for faces), then `alexnet.py`, `vgg.py` and `resnet.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .. import nn
from ..errors import ShapeError
from ..ops import arguments
from .alexnet import alexnet, alexnet_2012
from .embedding import Embedding, embedding, replace_head
from .face_resnet29 import face_resnet29
from .orl import alexnet_orl, mlp_orl, resnet_orl, vgg_orl
from .residual import BasicBlock, Bottleneck, PreActivationBlock, resnet_cifar
from .resnet import resnet18, resnet34, resnet50, resnet101, resnet152
from .vgg import vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn

_ORL = (alexnet_orl, mlp_orl, resnet_orl, vgg_orl)
_FULL_SIZE = (
    alexnet, alexnet_2012, resnet18, resnet34, resnet50, resnet101, resnet152,
    vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn,
)  # fmt: skip

_ALL: tuple[Callable[..., nn.Module], ...] = (*_ORL, *_FULL_SIZE, embedding, face_resnet29, resnet_cifar)
MODELS: dict[str, Callable[..., nn.Module]] = {model.__name__: model for model in _ALL}


def build(name: str, **options: Any) -> nn.Module:
    """Return the model of this name, made with these keyword arguments, as the command line builds it.

    Raises ShapeError for a name or an option that there is not.
    """
    model = MODELS[arguments.choice("build", "model", name, tuple(MODELS))]
    known = inspect.signature(model).parameters
    for option in options:
        if option not in known:
            raise ShapeError(f"{name}: there is no option {option!r}, there are {', '.join(known)}")
    return model(**options)


def input_shape(name: str) -> tuple[int, int, int]:
    """Return (C, H, W) of the pictures that a model is made for; those for the ORL faces take other sizes, too."""
    arguments.choice("input_shape", "model", name, tuple(MODELS))
    others = {"face_resnet29": (3, 150, 150), "resnet_cifar": (3, 32, 32)}
    if name in others:
        return others[name]
    return (3, 224, 224) if MODELS[name] in _FULL_SIZE else (1, 56, 46)


__all__ = [
    "MODELS",
    "BasicBlock",
    "Bottleneck",
    "Embedding",
    "PreActivationBlock",
    "alexnet",
    "alexnet_2012",
    "alexnet_orl",
    "build",
    "embedding",
    "face_resnet29",
    "input_shape",
    "mlp_orl",
    "replace_head",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet_cifar",
    "resnet_orl",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "vgg_orl",
]

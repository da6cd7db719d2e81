"""Networks, each a function that returns an `nn.Module` with PyTorch's initialisation."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .. import nn
from ..errors import ShapeError
from ..ops import arguments
from .face_resnet29 import face_resnet29
from .orl import alexnet_orl, mlp_orl, resnet_orl, vgg_orl
from .residual import BasicBlock

MODELS: dict[str, Callable[..., nn.Module]] = {
    model.__name__: model for model in (alexnet_orl, face_resnet29, mlp_orl, resnet_orl, vgg_orl)
}


def build(name: str, **options: Any) -> nn.Module:
    """Return the model of this name, made with these keyword arguments, as the command line builds it.

    Raises ShapeError for a name or an option that there is not.
    """
    model = MODELS[arguments.choice("build", "model", name, sorted(MODELS))]
    known = inspect.signature(model).parameters
    for option in options:
        if option not in known:
            raise ShapeError(f"{name}: there is no option {option!r}, there are {', '.join(known)}")
    return model(**options)


__all__ = ["MODELS", "BasicBlock", "alexnet_orl", "build", "face_resnet29", "mlp_orl", "resnet_orl", "vgg_orl"]

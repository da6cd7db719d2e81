"""Networks, each a function that returns an `nn.Module` with PyTorch's initialisation."""

from collections.abc import Callable
from typing import Any

from .. import nn
from ..errors import DataError
from .orl import alexnet_orl, mlp_orl, resnet_orl, vgg_orl
from .residual import BasicBlock

MODELS: dict[str, Callable[..., nn.Module]] = {
    model.__name__: model for model in (alexnet_orl, mlp_orl, resnet_orl, vgg_orl)
}


def build(name: str, **options: Any) -> nn.Module:
    """Return the model of this name, as the command line builds it. Raises DataError for an unknown one."""
    if name not in MODELS:
        raise DataError(f"model {name!r} is unknown; there are {', '.join(sorted(MODELS))}")
    return MODELS[name](**options)


__all__ = ["MODELS", "BasicBlock", "alexnet_orl", "build", "mlp_orl", "resnet_orl", "vgg_orl"]

"""minicnn: convolutional networks written to be read."""

from typing import TYPE_CHECKING as _TYPE_CHECKING

from ._anomaly import detect_anomaly
from ._device import device, use_device
from ._profile import profile
from ._tensor import Tensor, tensor
from .autograd import Function, enable_grad, grad, is_grad_enabled, no_grad
from .creation import (
    arange,
    eye,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    rand,
    rand_like,
    randn,
    randn_like,
    zeros,
    zeros_like,
)
from .dtypes import bool_ as bool
from .dtypes import float16, float32, float64, int8, int16, int32, int64, uint8
from .random import manual_seed

if _TYPE_CHECKING:
    from . import data, faces, inspect, models, training, weights
    from ._graph import draw_graph
    from ._summary import summary
    from .checkpoint import load, save
    from .cpu.switches import use_winograd
    from .gradient_checking import gradcheck

# What is loaded when it is first asked for: name -> its module.
_LATER = {
    "draw_graph": "_graph",
    "gradcheck": "gradient_checking",
    "load": "checkpoint",
    "save": "checkpoint",
    "summary": "_summary",
    "use_winograd": "cpu.switches",
}
_MODULES = ("data", "faces", "inspect", "models", "training", "weights")


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module 'minicnn' has no attribute {name!r}")


# Layers need Tensor and the operations, so they come last.
from . import nn, optim  # noqa: E402 - see above

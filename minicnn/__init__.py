"""minicnn: convolutional networks written to be read."""

from typing import TYPE_CHECKING as _TYPE_CHECKING

from ._device import device, use_device
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
    from .gradient_checking import gradcheck


def __getattr__(name: str) -> object:
    if name == "gradcheck":  # the checker is loaded when it is first asked for
        from .gradient_checking import gradcheck

        return gradcheck
    raise AttributeError(f"module 'minicnn' has no attribute {name!r}")


# Layers need Tensor and the operations, so they come last.
from . import nn, optim  # noqa: E402 - see above

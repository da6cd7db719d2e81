"""minicnn: convolutional networks written to be read."""

from ._device import device, use_device
from ._tensor import Tensor, tensor
from .autograd import Function, enable_grad, grad, is_grad_enabled, no_grad
from .random import manual_seed

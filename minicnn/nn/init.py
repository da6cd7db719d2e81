"""First values of parameters: `nn.init`.

Each function fills a tensor in place and returns it. The numbers come from the stream `INIT` of the
counter-based generator: they depend on `mc.manual_seed` and on how many tensors were filled before, not on
the device.

How far from 0 the values should lie follows from one wish: a layer's output should vary as much as its
input. An output sums `fan_in` products, so the variance of the weights must be 1 / fan_in, times the square
of a `gain` that makes up for what the activation takes away. Going backward the same holds for `fan_out`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _inplace, random
from .._device import put
from .._tensor import Tensor
from ..errors import ShapeError
from ..ops import arguments

Array = Any

_GAINS = {
    "linear": 1.0, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0, "conv_transpose1d": 1.0, "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4,
}  # fmt: skip


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor by which weights before this activation are widened; `param` is leaky_relu's slope."""
    arguments.choice("calculate_gain", "nonlinearity", nonlinearity, (*_GAINS, "leaky_relu"))
    if nonlinearity != "leaky_relu":
        return _GAINS[nonlinearity]
    slope = 0.01 if param is None else arguments.number("calculate_gain", "param", param)
    return math.sqrt(2 / (1 + slope**2))


def fans(name: str, tensor: Tensor) -> tuple[int, int]:
    """Return (fan_in, fan_out) of a weight: (O, C, KH, KW) → (C·KH·KW, O·KH·KW), (O, I) → (I, O).

    Raises ShapeError for a tensor with fewer than two axes.
    """
    shape = arguments.tensor(name, "tensor", tensor).shape
    if len(shape) < 2:
        raise ShapeError(f"{name}: tensor has shape {shape}, fan-in and fan-out need at least two axes")
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def _fill(name: str, tensor: Tensor, values: Any) -> Tensor:
    tensor.data[...] = put(values, tensor.device) if isinstance(values, np.ndarray) else values
    _inplace.written(tensor.data, name)
    return tensor


def _draw(name: str, tensor: Tensor, draw: Any, **how: float) -> Tensor:
    """Fill a float tensor with `random.uniform` or `random.normal`."""
    arguments.floats(name, tensor=tensor)
    seed, call = random.next_call(random.INIT)
    return _fill(name, tensor, draw(tensor.shape, seed=seed, stream=random.INIT, call=call, dtype=tensor.dtype, **how))


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Fill with numbers spread evenly over [a, b)."""
    return _draw("uniform_", tensor, random.uniform, low=a, high=b)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Fill with normally distributed numbers."""
    return _draw("normal_", tensor, random.normal, mean=mean, std=std)


def trunc_normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> Tensor:
    """Fill with normally distributed numbers from [a, b] alone: x = mean + std · Φ⁻¹(u), u even in [Φ(a), Φ(b)].

    Raises ShapeError where [a, b] is empty or lies so far out that Φ cannot tell its ends apart.
    """
    from statistics import NormalDist

    name = "trunc_normal_"
    arguments.floats(name, tensor=tensor)
    low, high = arguments.number(name, "a", a), arguments.number(name, "b", b)
    mean, std = arguments.number(name, "mean", mean), arguments.number(name, "std", std, 0, open_low=True)
    standard = NormalDist()
    # Φ is exact near 0 and not near 1: an interval above the mean is drawn as its mirror image.
    mirror = -1.0 if low > mean else 1.0
    ends = sorted(standard.cdf(mirror * (end - mean) / std) for end in (low, high))
    if low >= high or ends[0] == ends[1]:
        raise ShapeError(f"{name}: no normal number of mean {mean} and std {std} lies in [a, b] = [{low}, {high}]")
    smallest = 2.0**-1022
    seed, call = random.next_call(random.INIT)
    u = random.uniform(tensor.shape, seed=seed, stream=random.INIT, call=call, dtype=np.float64)
    u = np.clip(ends[0] + (ends[1] - ends[0]) * u, smallest, 1 - 2.0**-53)
    values = np.frompyfunc(standard.inv_cdf, 1, 1)(u)
    values = np.asarray(values, np.float64) * (mirror * std) + mean
    return _fill(name, tensor, np.clip(values, low, high).astype(tensor.dtype))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one number."""
    arguments.tensor("constant_", "tensor", tensor)
    return _fill("constant_", tensor, arguments.number("constant_", "val", val))


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros."""
    return _fill("zeros_", arguments.tensor("zeros_", "tensor", tensor), 0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones."""
    return _fill("ones_", arguments.tensor("ones_", "tensor", tensor), 1)


def kaiming_uniform_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Tensor:
    """Fill with numbers spread evenly over [−√3 σ, √3 σ), σ = gain / √fan; `a` is leaky_relu's slope.

    Source: He, Zhang, Ren, Sun 2015, section 2.2.
    """
    bound = math.sqrt(3) * _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return _draw("kaiming_uniform_", tensor, random.uniform, low=-bound, high=bound)


def kaiming_normal_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Tensor:
    """Fill with normally distributed numbers of deviation gain / √fan; `a` is leaky_relu's slope.

    Source: He, Zhang, Ren, Sun 2015, section 2.2.
    """
    std = _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity)
    return _draw("kaiming_normal_", tensor, random.normal, std=std)


def _kaiming_std(name: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    arguments.choice(name, "mode", mode, ("fan_in", "fan_out"))
    fan_in, fan_out = fans(name, tensor)
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan_in if mode == "fan_in" else fan_out, 1))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Fill with numbers spread evenly over [−√3 σ, √3 σ), σ = gain · √(2 / (fan_in + fan_out)).

    Source: Glorot, Bengio 2010, section 4.2.
    """
    bound = math.sqrt(3) * _xavier_std("xavier_uniform_", tensor, gain)
    return _draw("xavier_uniform_", tensor, random.uniform, low=-bound, high=bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Fill with normally distributed numbers of deviation gain · √(2 / (fan_in + fan_out)).

    Source: Glorot, Bengio 2010, section 4.2.
    """
    return _draw("xavier_normal_", tensor, random.normal, std=_xavier_std("xavier_normal_", tensor, gain))


def _xavier_std(name: str, tensor: Tensor, gain: float) -> float:
    return arguments.number(name, "gain", gain) * math.sqrt(2 / max(sum(fans(name, tensor)), 1))


def orthogonal_(tensor: Tensor, gain: float = 1) -> Tensor:
    """Fill so that the rows of the weight as a matrix (O, C·KH·KW), or its columns if they are fewer, are
    orthogonal and of length `gain`.

    Source: Saxe, McClelland, Ganguli 2013.
    """
    name = "orthogonal_"
    fans(name, tensor)
    arguments.floats(name, tensor=tensor)
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    seed, call = random.next_call(random.INIT)
    size = (max(rows, columns), min(rows, columns))
    q, r = np.linalg.qr(random.normal(size, seed=seed, stream=random.INIT, call=call, dtype=np.float64))
    q *= np.where(np.diagonal(r) < 0, -1, 1)  # QR leaves the signs open; this choice makes q evenly distributed
    matrix = q.T if rows < columns else q
    values = (arguments.number(name, "gain", gain) * matrix).reshape(tensor.shape)
    return _fill(name, tensor, values.astype(tensor.dtype))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a convolution's weight (O, C/groups, KH, KW) so that it copies as many channels as it can."""
    name = "dirac_"
    shape = arguments.tensor(name, "tensor", tensor).shape
    groups = arguments.integer(name, "groups", groups, 1)
    if len(shape) not in (3, 4, 5):
        raise ShapeError(f"{name}: tensor has shape {shape}, needs a convolution's weight (O, C/groups, KH, KW)")
    if shape[0] % groups:
        raise ShapeError(f"{name}: weight {shape} has {shape[0]} filters, they must divide into groups={groups}")
    values = np.zeros(shape, tensor.dtype)
    centre = tuple(size // 2 for size in shape[2:])
    for group in range(groups):
        first = group * (shape[0] // groups)
        for channel in range(min(shape[0] // groups, shape[1])):
            values[(first + channel, channel, *centre)] = 1
    return _fill(name, tensor, values)

"""Clipping of gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable

from .. import _inplace
from .._device import on
from .._tensor import Tensor, wrap
from ..errors import DTypeError, NumericsError
from ..ops import arguments
from ..ops.optim import clip_gradients, gradient_norm


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Shrink all gradients together, in place, so that their common norm is at most `max_norm`; return the norm.

    The gradients count as one long vector, ‖g‖ = (Σ |gᵢ|^p)^(1/p) with p = `norm_type` (inf: the largest);
    each is multiplied by min(1, max_norm / (‖g‖ + 10⁻⁶)). Parameters without a gradient are left out.
    Raises NumericsError for a norm that is nan or infinite if `error_if_nonfinite`.
    Source: Pascanu, Mikolov, Bengio 2013, section 3.2.
    """
    name = "clip_grad_norm_"
    if not isinstance(parameters, Iterable):
        raise DTypeError(f"{name}: parameters must be a list of tensors, got {type(parameters).__name__}")
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    limit = arguments.number(name, "max_norm", max_norm, 0)
    p = arguments.number(name, "norm_type", norm_type, 0, open_low=True)
    gradients = [arguments.tensor(name, "parameters", t).grad for t in parameters]
    arrays = [g.data for g in gradients if g is not None]
    if not arrays:
        return Tensor(0.0)
    device = next(g.device for g in gradients if g is not None)
    total = on(device, gradient_norm)(arrays, p)
    if error_if_nonfinite and not math.isfinite(float(total)):
        raise NumericsError(f"{name}: the norm of the gradients is {float(total)}")
    if on(device, clip_gradients)(arrays, total, limit):
        for array in arrays:
            _inplace.written(array, name)
    return wrap(total.astype(arrays[0].dtype), device, None, 0)

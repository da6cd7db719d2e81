"""Clipping of gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from .. import _inplace
from .._tensor import Tensor
from ..errors import DTypeError, NumericsError
from ..ops import arguments


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
    with np.errstate(all="ignore"):
        total = _norm([_norm(array, p) for array in arrays], p)
        if error_if_nonfinite and not math.isfinite(total):
            raise NumericsError(f"{name}: the norm of the gradients is {total}")
        factor = min(1.0, limit / (total + 1e-6)) if not math.isnan(total) else total
        if factor != 1:
            for array in arrays:
                array *= factor
                _inplace.written(array, name)
    return Tensor(np.asarray(total, arrays[0].dtype), device=next(g.device for g in gradients if g is not None))


def _norm(values: object, p: float) -> float:
    """Return (Σ |v|^p)^(1/p), summed up in float64."""
    size = np.abs(np.asarray(values, np.float64))
    if math.isinf(p):
        return float(size.max(initial=0))
    return float((size**p).sum() ** (1 / p))

import numpy as np
import torch

from minicnn.errors import DeviceError, DTypeError

from . import SPECIAL, Case, Refusal, booleans, case, exact, integers, normal, refusal


def _in_type(x, dtype, device=None):
    return x.to(getattr(torch, str(np.dtype(dtype))))


CASES: list[Case] = [
    *(case("clone", normal(*shape)) for shape in ((), (7,), (2, 3), (2, 3, 5, 4), (0, 3))),
    case("clone", normal(2, 3, 5, 4), contiguous=True, torch=lambda x, contiguous: x.clone()),
    case("clone", exact(SPECIAL)), case("clone", integers(0, 9, 2, 3)),
    *(case("to", given, dtype, torch=_in_type)
      for given in (integers(0, 9, 2, 3), booleans(2, 3)) for dtype in ("float32", "float64", "int8", "uint8")),
    *(case("to", integers(-9, 9, 2, 3), dtype=dtype, torch=_in_type) for dtype in ("bool", np.int16)),
    case("to", normal(2, 3), "int64", torch=_in_type), case("to", normal(2, 3), "bool", torch=_in_type),
    case("to", integers(0, 9, 2, 3), dtype="float32", device="reference", torch=_in_type),
]  # fmt: skip

REFUSALS: list[Refusal] = [
    refusal(DTypeError, "clone: input must be a Tensor, got list", "clone", [1.0]),
    refusal(DTypeError, "to: input must be a Tensor, got int", "to", 1, "int64", torch=_in_type),
    refusal(DTypeError, "to: dtype 'float99' is unknown; use mc.float32, mc.int64, …", "to", normal(2, 3), "float99",
            torch=_in_type),
    refusal(DTypeError, "to: dtype complex64 is not supported", "to", normal(2, 3), "complex64", torch=_in_type,
            torch_allows=True),
    refusal(DeviceError, "device: 'gpu' is unknown", "to", normal(2, 3), device="gpu",
            torch=lambda x, device: x.to(device)),
]  # fmt: skip

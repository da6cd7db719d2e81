from minicnn.errors import DTypeError

from . import SPECIAL, Case, Refusal, case, distinct, exact, refusal

CASES: list[Case] = [
    *(case("relu", distinct(*shape)) for shape in ((), (7,), (2, 3, 5, 4), (0, 2))),
    case("relu", exact(SPECIAL), smooth=False),
    case("relu", distinct(2, 3), inplace=True, torch=lambda x, inplace: x.relu()),
]

REFUSALS: list[Refusal] = [
    refusal(DTypeError, "relu: input must be a Tensor, got list", "relu", [1.0]),
]

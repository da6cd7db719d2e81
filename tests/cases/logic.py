import numpy as np
import torch

from minicnn.errors import DTypeError, ShapeError

from . import SPECIAL, Case, Given, Refusal, booleans, case, exact, integers, normal, refusal, ties, uniform, whole

GRID = exact([[a] for a in SPECIAL]), exact([list(SPECIAL)])
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
BITWISE = ("bitwise_and", "bitwise_or", "bitwise_xor")
DIVISIONS = ("floor_divide", "remainder")

CASES: list[Case] = [
    *(case(op, ties(3, 5), ties(*shape)) for op in COMPARISONS for shape in ((3, 5), (5,), (), (2, 1, 5))),
    *(case(op, *GRID) for op in COMPARISONS),
    *(case(op, ties(3, 5), 0) for op in COMPARISONS),
    *(case(op, integers(-1, 2, 3, 5), integers(-1, 2, 5)) for op in COMPARISONS),
    *(case(op, integers(-1, 2, 3, 5), 0.5) for op in COMPARISONS),
    *(case(op, integers(-1, 2, 3, 5), ties(5)) for op in COMPARISONS),
    *(case(op, booleans(3, 5), booleans(5)) for op in COMPARISONS),
    *(case(op, given) for op in ("isnan", "isinf", "isfinite")
      for given in (exact(SPECIAL), normal(), normal(0, 3), whole([1, 2]), booleans(3))),
    *(case(op, booleans(3, 5), booleans(3, 1)) for op in BITWISE),
    *(case(op, integers(-9, 9, 3, 5), integers(-9, 9, 5)) for op in BITWISE),
    *(case(op, integers(-9, 9, 3, 5), booleans(5)) for op in BITWISE),
    *(case(op, integers(-9, 9, 3, 5), 6) for op in BITWISE), *(case(op, booleans(3, 5), True) for op in BITWISE),
    case("bitwise_not", booleans(3, 5)), case("bitwise_not", integers(-9, 9, 3, 5)),
    *(case(op, given, *args) for op in ("any", "all") for given in (booleans(2, 3, 5), normal(0, 3, 2))
      for args in ((), (1,), ((0, 2),))),
    *(case(op, ties(2, 3, 5), -1) for op in ("any", "all")),
    *(case(op, Given(lambda rng: rng.integers(0, 3, (2, 5)).astype(np.uint8), "uint8(2, 5)"), 1)
      for op in ("any", "all")),
    *(case(op, booleans(2, 3, 5), dim=dim, keepdim=True) for op in ("any", "all") for dim in (0, (1, 2))),
    *(case(op, exact(SPECIAL)) for op in ("any", "all")), *(case(op, booleans()) for op in ("any", "all")),
    case("floor_divide", uniform(1, 9, 3, 5), uniform(1, 2, 5), smooth=False,
         torch=lambda x, y: torch.floor_divide(x.detach(), y.detach())),
    case("remainder", uniform(1, 9, 3, 5), uniform(1, 2, 5), smooth=False),
    case("remainder", exact([[7.0], [-7.0], [0.5], [-0.0]]), exact([2.0, -2.0, 0.3]), smooth=False),
    case("remainder", exact([7.5, -7.25, 3.1]), 2), case("remainder", exact([7.5, -7.25]), exact([2.0])),
    *(case(op, integers(-9, 9, 3, 5), integers(1, 5, 5)) for op in DIVISIONS),
    *(case(op, integers(-9, 9, 3, 5), integers(-5, 0, 3, 1)) for op in DIVISIONS),
    *(case(op, integers(-9, 9, 3, 5), number) for op in DIVISIONS for number in (3, -3)),
    *(case(op, integers(-9, 9, 3, 5), 2.5) for op in DIVISIONS),
]  # fmt: skip

REFUSALS: list[Refusal] = [
    *(refusal(ShapeError, f"{op}: shapes (2, 3) and (4,) cannot be broadcast to one", op, normal(2, 3), normal(4))
      for op in (*COMPARISONS, *DIVISIONS)),
    *(refusal(ShapeError, f"{op}: shapes (2, 3) and (4,) cannot be broadcast to one", op, booleans(2, 3), booleans(4))
      for op in BITWISE),
    *(refusal(DTypeError, f"{op}: other must be a Tensor or a number, got str", op, normal(2), "1")
      for op in (*COMPARISONS, *BITWISE, *DIVISIONS)),
    *(refusal(DTypeError, f"{op}: needs whole numbers or bools, got floats", op, normal(2), integers(0, 2, 2))
      for op in BITWISE),
    *(refusal(DTypeError, f"{op}: needs whole numbers or bools, got floats", op, integers(0, 2, 2), 1.5)
      for op in BITWISE),
    refusal(DTypeError, "bitwise_not: input is float64, needs whole numbers or bools", "bitwise_not", normal(2)),
    *(refusal(ShapeError, f"{op}: whole numbers cannot be divided by 0", op, integers(1, 5, 3), whole([1, 0, 2]))
      for op in DIVISIONS),
    *(refusal(ShapeError, f"{op}: whole numbers cannot be divided by 0", op, integers(1, 5, 3), 0) for op in DIVISIONS),
    *(refusal(DTypeError, f"{op}: bools cannot be divided; convert them with .int()", op, booleans(3), booleans(3))
      for op in DIVISIONS),
    *(refusal(ShapeError, f"{op}: dim is 2, a tensor of shape (2, 3) needs -2 … 1", op, booleans(2, 3), 2)
      for op in ("any", "all")),
    *(refusal(DTypeError, f"{op}: keepdim must be True or False, got None", op, booleans(2, 3), 1, keepdim=None)
      for op in ("any", "all")),
]  # fmt: skip

import torch

from minicnn.errors import DTypeError, ShapeError

from . import SPECIAL, Case, Refusal, booleans, case, distinct, exact, integers, normal, refusal, ties, uniform

BROADCASTS = [((2, 3), (2, 3)), ((4, 1, 3), (2, 1)), ((), (2, 3)), ((2, 1, 5), (1, 3, 1)), ((0, 3), (1, 3))]
GRID = exact([[a] for a in SPECIAL]), exact([list(SPECIAL)])


def _binary(op: str, x=normal, y=normal) -> list[Case]:
    cases = [case(op, x(*a), y(*b)) for a, b in BROADCASTS] + [case(op, x(*b), y(*a)) for a, b in BROADCASTS[1:]]
    return [*cases, case(op, *GRID, smooth=False)]


def _positive(*shape: int):
    return uniform(0.5, 2, *shape)


def _unary(op: str, x=normal) -> list[Case]:
    return [
        *(case(op, x(*shape)) for shape in ((), (1,), (2, 3), (2, 3, 5, 4), (0, 3))),
        case(op, exact(SPECIAL), smooth=False),
    ]


CASES: list[Case] = [
    *_binary("add"), *_binary("sub"), *_binary("mul"), *_binary("div", normal, _positive),
    *_binary("maximum"), *_binary("minimum"), *_binary("pow", _positive, normal),
    case("add", normal(2, 3), normal(3), alpha=0.5), case("sub", normal(2, 3), normal(3), alpha=-2),
    case("add", normal(2, 3), 2), case("sub", normal(2, 3), 1.5), case("mul", normal(2, 3), -3),
    case("div", normal(2, 3), 4), case("pow", normal(2, 3), 3), case("pow", _positive(2, 3), -0.5),
    case("pow", normal(2, 3), 0), case("pow", exact([0.0, 2.0]), 0, smooth=False),
    case("pow", exact([0.0, -0.0, 2.0]), 2, smooth=False),
    *(case("div", given, other, rounding_mode=mode, smooth=False)
      for given, other in ((normal(4, 3), normal(3)), (normal(4, 3), 0.3), (integers(-9, 9, 4, 3), integers(1, 5, 3)),
                           (integers(-9, 9, 4, 3), -2), (exact(SPECIAL), 0.5), (exact(SPECIAL), 0.0))
      for mode in ("floor", "trunc")),
    case("add", integers(-5, 9, 2, 3), integers(-5, 9, 3)), case("div", integers(-5, 9, 2, 3), integers(1, 9, 3)),
    case("mul", integers(-5, 9, 2, 3), normal(3)), case("pow", integers(-5, 9, 2, 3), 2),
    case("maximum", ties(3, 5), ties(3, 5), smooth=False), case("minimum", ties(3, 5), ties(5), smooth=False),
    *_unary("neg"), *_unary("exp"), *_unary("log", _positive), *_unary("sqrt", _positive), *_unary("abs", distinct),
    case("exp", integers(-3, 4, 2, 3)), case("sqrt", integers(0, 9, 2, 3)), case("abs", integers(-3, 4, 2, 3)),
    case("clamp", distinct(3, 5), min=-0.3), case("clamp", distinct(3, 5), max=0.3),
    case("clamp", distinct(3, 5), -0.3, 0.3), case("clamp", ties(3, 5), -1, 1, smooth=False),
    case("clamp", distinct(3, 5), 0.3, -0.3, smooth=False), case("clamp", exact(SPECIAL), -1.0, 1.0, smooth=False),
    case("clamp", integers(-9, 9, 3, 5), -2, 3), case("clamp", distinct(3, 5), min=normal(5), smooth=False,
         torch=lambda x, min: torch.clamp(x, min=min, max=torch.full_like(x, float("inf")))),
    case("where", booleans(3, 5), normal(3, 5), normal(5)), case("where", booleans(5), normal(3, 1), normal(1, 5)),
    case("where", booleans(3, 5), normal(3, 5), 0.5), case("where", booleans(3, 5), 2.0, normal(3, 5)),
    case("where", booleans(10), exact(SPECIAL), exact(SPECIAL[::-1]), smooth=False),
]  # fmt: skip

REFUSALS: list[Refusal] = [
    *(
        refusal(ShapeError, f"{op}: shapes (2, 3) and (4,) cannot be broadcast to one", op, normal(2, 3), normal(4))
        for op in ("add", "sub", "mul", "div", "pow", "maximum", "minimum")
    ),
    refusal(DTypeError, "add: other must be a Tensor or a number, got str", "add", normal(2), "1"),
    refusal(DTypeError, "where: condition is float64, needs bool", "where", normal(2), normal(2), normal(2)),
    refusal(ShapeError, "clamp: needs min, max or both", "clamp", normal(2)),
    refusal(ShapeError, "pow: an integer to a negative power", "pow", integers(1, 5, 3), -1),
    refusal(DTypeError, "neg: bools have no negative", "neg", booleans(3)),
    refusal(DTypeError, "exp: input must be a Tensor, got float", "exp", 1.0),
]

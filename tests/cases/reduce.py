import warnings

import torch

from minicnn.errors import DTypeError, ShapeError

from . import INF, NAN, SPECIAL, Case, Refusal, booleans, case, distinct, exact, integers, normal, refusal, ties, whole

DIMS = (None, 0, -1, 1, (0, 2), [2, 1], ())
SHAPES = ((), (7,), (2, 3, 5, 4), (1, 1, 1))
WITH_NAN = exact([[1.0, NAN, 2.0], [NAN, INF, NAN], [-INF, -INF, 0.0], [3.0, 3.0, -3.0]])


def _over_all(op: str):
    """PyTorch's amax and amin know `all axes` as () only."""
    function = getattr(torch, op)
    return lambda x, dim=None, keepdim=False: function(x, () if dim is None else dim, keepdim)


def _without_warning(op: str):
    """PyTorch warns of a variance of too few numbers besides returning nan or inf."""

    def quiet(x, **options):
        with warnings.catch_warnings(action="ignore"):
            return getattr(torch, op)(x, **options)

    return quiet


def _sums(op: str, given=normal, function=None) -> list[Case]:
    return [
        *(case(op, given(*shape), torch=function) for shape in SHAPES),
        *(case(op, given(2, 3, 5), dim, torch=function) for dim in DIMS),
        *(case(op, given(2, 3, 5), dim=dim, keepdim=True, torch=function) for dim in (None, -2, (0, 2))),
        case(op, given(), 0, torch=function), case(op, given(), -1, keepdim=True, torch=function),
    ]  # fmt: skip


def _along(op: str) -> list[Case]:
    return [
        *(case(op, distinct(*shape)) for shape in SHAPES),
        *(case(op, distinct(2, 3, 5), dim) for dim in (0, 1, -1)),
        *(case(op, distinct(2, 3, 5), dim=dim, keepdim=True) for dim in (0, -2)),
        case(op, distinct(), 0), case(op, distinct(), -1, keepdim=True), case(op, distinct(0, 3), 1),
        *(case(op, given, smooth=False) for given in (ties(3, 5), exact(SPECIAL), exact(SPECIAL[1:7]))),
        *(case(op, given, dim, smooth=False) for given in (ties(3, 5), WITH_NAN) for dim in (0, 1)),
        case(op, integers(-9, 9, 3, 5)), case(op, integers(-9, 9, 3, 5), 1),
    ]  # fmt: skip


CASES: list[Case] = [
    *_sums("sum"), *_sums("mean"), *_sums("amax", distinct, _over_all("amax")),
    *_sums("amin", distinct, _over_all("amin")), *_along("max"), *_along("min"), *_along("argmax"), *_along("argmin"),
    *(case(op, exact(SPECIAL), smooth=False) for op in ("sum", "mean", "var", "std")),
    *(case(op, exact(SPECIAL[:5] + SPECIAL[8:]), smooth=False) for op in ("sum", "mean", "var", "std")),
    case("sum", exact([-0.0])), case("sum", normal(0, 3)), case("sum", normal(0, 3), 0), case("sum", normal(0, 3), 1),
    case("mean", normal(0, 3), smooth=False), case("mean", normal(3, 0), 0), case("mean", normal(3, 0), 1,
         smooth=False),
    case("sum", integers(-9, 9, 3, 5), 0), case("sum", booleans(3, 5)), case("sum", booleans(3, 5), 1, keepdim=True),
    *(case("amax", given, dim, smooth=False, torch=_over_all("amax"))
      for given in (ties(3, 5), WITH_NAN) for dim in (None, 1)),
    *(case("amin", given, dim, smooth=False, torch=_over_all("amin"))
      for given in (ties(3, 5), WITH_NAN) for dim in (None, 1)),
    case("amax", normal(0, 3), 1), case("amin", normal(0, 3), 1), case("amax", integers(-9, 9, 3, 5), 0),
    case("amax", booleans(3, 5), 1), case("amin", booleans(3, 5), 0), case("max", booleans(3, 5)),
    case("max", booleans(3, 5), 0), case("min", booleans(3, 5), 1, keepdim=True),
    case("max", ties(3, 5), ties(5), smooth=False), case("min", ties(3, 5), ties(3, 1), smooth=False),
    *(case(op, normal(7)) for op in ("var", "std")), *(case(op, normal(2, 3, 5, 4)) for op in ("var", "std")),
    *(case(op, normal(4, 3, 5), dim) for op in ("var", "std") for dim in DIMS if dim != ()),
    *(case(op, normal(4, 3, 5), dim=dim, correction=c, keepdim=k) for op in ("var", "std")
      for dim, c, k in ((None, 0, False), (1, 0, True), ((0, 2), 2, True), ((0, 2), 0.5, False))),
    *(case(op, exact([1.0, 2.0, 4.0][:n]), correction=c, smooth=False, torch=_without_warning(op))
      for op in ("var", "std") for n, c in ((0, 1), (1, 0), (1, 1), (1, 2))),
    *(case(op, normal(4, 3, 5), *args) for op in ("var", "std") for args in ((False,), (True,), (1, False))),
    *(case(op, normal(4, 3, 5), (0, 2), unbiased=unbiased, keepdim=True)
      for op in ("var", "std") for unbiased in (False, True)),
    *(case(op, normal(4, 3, 5), 1, correction=None) for op in ("var", "std")),
    case("var", exact([3.0, 3.0, 3.0])), case("std", exact([3.0, 3.0, 3.0]), smooth=False),
    case("std", exact([[1.0, 1.0, 1.0], [1.0, 2.0, 4.0]]), 1, smooth=False),
]  # fmt: skip

REFUSALS: list[Refusal] = [
    *(refusal(ShapeError, f"{op}: dim is 2, a tensor of shape (3, 5) needs -2 … 1", op, normal(3, 5), 2)
      for op in ("sum", "mean", "var", "std", "max", "min", "amax", "amin", "argmax", "argmin")),
    *(refusal(ShapeError, f"{op}: dim (0, -2) names an axis twice", op, normal(3, 5), (0, -2))
      for op in ("sum", "mean", "var", "std", "amax", "amin")),
    *(refusal(ShapeError, f"{op}: a tensor of shape (0, 3) has no elements along axes (0, 1) to choose from", op,
              normal(0, 3))
      for op in ("max", "min", "argmax", "argmin")),
    *(refusal(ShapeError, f"{op}: a tensor of shape (0, 3) has no elements along axes (0, 1) to choose from", op,
              normal(0, 3), torch=getattr(torch, op))
      for op in ("amax", "amin")),
    *(refusal(ShapeError, f"{op}: a tensor of shape (0, 3) has no elements along axes (0,) to choose from", op,
              normal(0, 3), 0)
      for op in ("max", "min", "amax", "amin", "argmax", "argmin")),
    *(refusal(DTypeError, f"{op}: input is {dtype}, needs floats; convert it with .float()", op, given)
      for op in ("mean", "var", "std")
      for dtype, given in (("int64", whole([[1, 2, 3]])), ("bool", booleans(2, 3)))),
    *(refusal(DTypeError, f"{op}: input is bool, needs numbers", op, booleans(2, 3)) for op in ("argmax", "argmin")),
    *(refusal(DTypeError, f"{op}: input must be a Tensor, got list", op, [1.0])
      for op in ("sum", "mean", "var", "std", "max", "min", "amax", "amin", "argmax", "argmin")),
    *(refusal(DTypeError, f"{op}: keepdim must be True or False, got 1.5", op, normal(2, 3), 1, keepdim=1.5)
      for op in ("sum", "mean", "var", "std", "max", "min", "amax", "amin", "argmax", "argmin")),
    *(refusal(DTypeError, f"{op}: dim must be a whole number, got 0.5", op, normal(2, 3), 0.5)
      for op in ("sum", "mean", "var", "std", "max", "min", "amax", "amin", "argmax", "argmin")),
    *(refusal(DTypeError, f"{op}: dim must be a whole number, got (0, 1)", op, normal(2, 3), (0, 1))
      for op in ("max", "min", "argmax", "argmin")),
    *(refusal(ShapeError, f"{op}: keepdim needs dim", op, normal(2, 3), keepdim=True) for op in ("max", "min")),
    refusal(ShapeError, "var: give unbiased or correction, not both", "var", normal(2, 3), 1, False, correction=0),
    refusal(DTypeError, "std: unbiased must be True or False, got 0", "std", normal(2, 3), 1, 0, torch_allows=True),
    refusal(DTypeError, "var: correction must be a number, got '1'", "var", normal(2, 3), correction="1"),
    refusal(ShapeError, "maximum: shapes (2, 3) and (2,) cannot be broadcast to one", "max", normal(2, 3), normal(2)),
]  # fmt: skip

from minicnn.errors import DTypeError, ShapeError

from . import SPECIAL, Case, Refusal, booleans, case, exact, integers, normal, refusal, whole

ALL = slice(None)
INDICES = [
    0, -1, ALL, slice(1, None), slice(None, None, 2), slice(-2, 99), slice(1, 1), None, ..., True, False, [], (),
    (0, 1), (0, 1, 2), (..., 2), (0, ..., -1), (ALL, None, slice(1, 3)), (None, 0, None), (..., None), (..., ),
    [1, 0, 1], ([[0, 1], [1, 0], [1, 1]],), ([0, 1], [2, 1]), ([[0], [1]], [2, 1]), (ALL, [0, 2, 0]), (..., [3, 0, -1]),
    ([0, 1], ALL, [1, 2]), (0, ALL, [1, 2]), ([0, 1], 0, [1, 2]), (ALL, [0, 1], [1, 2]), (ALL, 0, [1, 1]),
    ([0], None, [1]), (None, [0, 1]), (slice(0, 1), [0, 1]), (0, True, [1]), ([True, False],), ([True, False], [0, 1]),
    (ALL, [True, False, True]), ([[True, False, True], [False, True, True]],), (0, [True, False, True], slice(1, 3)),
    ([[False] * 3, [False] * 3],), (..., [True, False, False, True]),
]  # fmt: skip
WIDTHS = {1: [(2, 1), (0, 3), (1, 0), (-1, 2), (2, -2)], 2: [(2, 1, 1, 0), (0, 2, 2, 1), (-1, 1, 0, 2)],
          3: [(1, 2, 2, 0, 1, 1)]}  # fmt: skip


def _by_method(name: str):
    return lambda x, *args, **kwargs: getattr(x, name)(*args, **kwargs)


def _taken(x, index):
    return x[index]


def _pads(mode: str) -> list[Case]:
    """Pad the last k axes of a tensor that has one or two more."""
    sizes = (2, 5, 4, 3, 5, 4)
    return [
        case("pad", normal(*sizes[5 - k - i % 2 :]), widths, mode=mode)
        for k in WIDTHS for i, widths in enumerate(WIDTHS[k])
    ]  # fmt: skip


CASES: list[Case] = [
    *(case("reshape", normal(2, 3, 4), shape) for shape in ((24,), (4, 6), (-1,), (3, -1, 2), (2, 3, 4), (1, 24, 1))),
    case("reshape", normal(), (1, 1)), case("reshape", normal(1), ()), case("reshape", normal(0, 3), (3, 0)),
    case("reshape", normal(0, 3), (2, 0, 5)), case("reshape", normal(0, 3), (-1, 3)), case("reshape", exact(SPECIAL),
         (5, 2)), case("reshape", normal(2, 3, 5, 4), shape=(5, -1)),
    *(case("flatten", normal(2, 3, 5, 4), *dims) for dims in ((), (1,), (-2,), (0, 1), (1, 2), (2, 2), (0, -2))),
    case("flatten", normal(2, 3, 5), start_dim=1), case("flatten", normal(2, 3, 5), end_dim=1),
    case("flatten", normal()), case("flatten", normal(0, 3, 2), 1), case("flatten", normal(2, 3, 4), start_dim=1,
         end_dim=-1),
    *(case("permute", normal(2, 3, 5), dims) for dims in ((0, 1, 2), (2, 0, 1), [1, 2, 0], (-1, 0, -2))),
    case("permute", normal(), ()), case("permute", normal(2, 3, 5, 4), (0, 2, 3, 1)), case("permute", normal(0, 3),
         dims=(1, 0)),
    *(case("transpose", normal(2, 3, 5), *dims) for dims in ((0, 1), (2, 0), (-1, -2), (1, 1))),
    case("transpose", normal(), 0, -1), case("transpose", normal(2, 3, 5, 4), dim0=1, dim1=3),
    *(case("expand", normal(*shape), size, torch=_by_method("expand")) for shape, size in (
        ((1, 3), (2, 3)), ((3,), (2, 3)), ((2, 1, 3), (2, 5, 3)), ((2, 1, 3), (-1, 4, -1)), ((), (2, 3)), ((), ()),
        ((1, 3), (0, 3)), ((1, 1), (1, 1)), ((3,), (1, 1, 3)), ((0, 1), (0, 4)), ((2, 1), (3, 2, 1)))),
    *(case("squeeze", normal(1, 2, 1, 3, 1), *dim) for dim in ((), (0,), (-1,), (1,), ((0, 2),), ((0, 1),), ((),))),
    case("squeeze", normal()), case("squeeze", normal(), dim=0), case("squeeze", normal(1, 1)),
    case("squeeze", normal(0, 1), dim=1), *(case("unsqueeze", normal(2, 3), dim) for dim in (0, 1, 2, -1, -3)),
    case("unsqueeze", normal(), 0), case("unsqueeze", normal(0, 3), dim=1),
    *(c for mode in ("constant", "reflect", "replicate", "circular") for c in _pads(mode)),
    case("pad", normal(3, 5), (2, 1), "constant", 1.5), case("pad", normal(3, 5), pad=[0, -2, 3, 0], value=-1.0),
    case("pad", booleans(3, 5), (1, 2), value=True),
    case("pad", normal(3, 5), (1, 1), value=float("nan"), smooth=False), case("pad", normal(3, 5), ()),
    case("pad", normal(2, 3, 5, 4), (1, 0), value=-float("inf"), smooth=False),
    case("pad", normal(3, 5), (-3, -2)), case("pad", normal(0, 3), (1, 1, 2, 0), value=2.0),
    case("pad", normal(2, 3, 4), (3, 3), "reflect"), case("pad", normal(2, 3, 4), (4, 4), "circular"),
    case("pad", normal(2, 3, 4), (6, 5), "replicate", None), case("pad", normal(2, 3, 1), (2, 3), mode="replicate"),
    case("pad", normal(2, 3, 4), (1, 2), mode="reflect", value=0.0), case("pad", normal(2, 0, 3), (1, 1), "circular"),
    case("pad", normal(2, 3, 4), (-2, 3), "reflect"), case("pad", normal(2, 3, 4), (-4, 1), "replicate"),
    case("pad", integers(0, 9, 3, 5), (1, 2), value=7), case("pad", booleans(3, 5), (1, 0)),
    case("pad", exact([SPECIAL]), (2, 2), "reflect", smooth=False),
    *(case("cat", [normal(2, 3), normal(2, 3)], dim) for dim in (0, 1, -1)), case("cat", [normal(2, 3)]),
    case("cat", (normal(2, 3, 5), normal(2, 1, 5), normal(2, 4, 5)), dim=1), case("cat", [normal(0, 3), normal(2, 3)]),
    case("cat", [normal(0), normal(2, 3), normal(1, 3)]), case("cat", [normal(0), normal(0)]),
    case("cat", [normal(3), integers(0, 9, 2)]), case("cat", [integers(0, 9, 2), booleans(3)]),
    case("cat", [normal(2, 3, 5, 4), normal(2, 1, 5, 4)], 1), case("cat", [exact(SPECIAL), exact(SPECIAL)]),
    *(case("stack", [normal(2, 3), normal(2, 3), normal(2, 3)], dim) for dim in (0, 1, 2, -1, -2)),
    case("stack", [normal(), normal()]), case("stack", (normal(2),)),
    case("stack", [normal(0, 3), normal(0, 3)], dim=1),
    case("stack", [normal(2), integers(0, 9, 2)]),
    *(case("split", normal(5, 3), size) for size in (1, 2, 5, 9, [2, 3], [1, 0, 4], (5,))),
    *(case("split", normal(2, 7, 3), size, dim=dim) for size, dim in ((3, 1), ([2, 1], -1), ((3, 4), 1))),
    case("split", normal(0, 3), 2), case("split", normal(0, 3), 0), case("split", normal(2, 4, 3, 5), 3, 1),
    *(case("flip", normal(2, 3, 5), dims) for dims in ((0,), (1,), (0, 2), (-1, 0), [1, 2], ())),
    case("flip", normal(), (0,)), case("flip", normal(0, 3), dims=(1,)), case("flip", normal(2, 3, 5, 4), (3,)),
    *(case("index", normal(2, 3, 4), i, torch=_taken) for i in INDICES),
    *(case("index", normal(2, 3, 5, 4), i, torch=_taken) for i in (0, (ALL, 1), (..., [1, 1]), (ALL, [2, 0], 1, ALL))),
    case("index", normal(2, 3, 4), whole([1, 1, 0]), torch=_taken), case("index", normal(2, 3, 4), booleans(2, 3),
         torch=_taken), case("index", normal(2, 3), whole(1), torch=_taken), case("index", normal(), (), torch=_taken),
    case("index", normal(2, 3, 4), (whole([[1], [0]]), ALL, whole([3, 3, 1])), torch=_taken),
    case("index", normal(2, 3, 4), (booleans(2), 1, whole([2])), torch=_taken),
    case("index", normal(), None, torch=_taken), case("index", normal(), True, torch=_taken),
    case("index", normal(7), index=whole([6, -7, 0, 0, 0]), torch=_taken), case("index", integers(0, 9, 3, 4),
         (..., 1), torch=_taken),
    case("index", exact([SPECIAL]), (0, [0, 1, 1, 7, 7]), torch=_taken),
]  # fmt: skip

REFUSALS: list[Refusal] = [
    refusal(ShapeError, "reshape: shape (4, 5) cannot hold the 24 elements of a tensor of shape (2, 3, 4)", "reshape",
            normal(2, 3, 4), (4, 5)),
    refusal(ShapeError, "reshape: shape (5, -1) cannot hold the 24 elements", "reshape", normal(2, 3, 4), (5, -1)),
    refusal(ShapeError, "reshape: shape (-1, -1) needs sizes of at least 0 and at most one -1", "reshape",
            normal(2, 3), (-1, -1)),
    refusal(ShapeError, "reshape: shape (-2, 3) needs sizes of at least 0", "reshape", normal(2, 3), (-2, 3)),
    refusal(ShapeError, "reshape: the -1 in shape (0, -1) could be any size", "reshape", normal(0, 3), (0, -1)),
    refusal(DTypeError, "reshape: shape must be a whole number, got 2.5", "reshape", normal(2, 3), (2.5, 2)),
    refusal(ShapeError, "flatten: start_dim 1 comes after end_dim 0", "flatten", normal(2, 3), 1, 0),
    refusal(ShapeError, "flatten: end_dim is 2, a tensor of shape (2, 3) needs -2 … 1", "flatten", normal(2, 3), 0, 2),
    refusal(ShapeError, "permute: dims (0, 0) must name each axis of shape (2, 3) once", "permute", normal(2, 3),
            (0, 0)),
    refusal(ShapeError, "permute: dims (0,) must name each axis", "permute", normal(2, 3), (0,)),
    refusal(ShapeError, "transpose: dim1 is 2, a tensor of shape (2, 3) needs -2 … 1", "transpose", normal(2, 3), 0, 2),
    *(refusal(ShapeError, f"expand: a tensor of shape (2, 3) cannot be expanded to {size}", "expand", normal(2, 3),
              size, torch=_by_method("expand"))
      for size in ((3,), (4, 3), (-1, 2, 3), (2, -2), (2, 0))),
    refusal(ShapeError, "squeeze: dim is 2, a tensor of shape (1, 3) needs -2 … 1", "squeeze", normal(1, 3), 2),
    refusal(ShapeError, "unsqueeze: dim is 3, a tensor of shape (2, 3) needs -3 … 2", "unsqueeze", normal(2, 3), 3),
    refusal(ShapeError, "pad: pad (1,) has 1 widths, a tensor of shape (2, 3) takes two for each", "pad",
            normal(2, 3), (1,)),
    refusal(ShapeError, "pad: pad (1, 1, 1, 1, 1, 1) has 6 widths, a tensor of shape (2, 3) takes two for each of its "
            "last axes, at most 4", "pad", normal(2, 3), (1,) * 6),
    refusal(ShapeError, "pad: mode is 'mirror', needs one of 'constant', 'reflect', 'replicate', 'circular'", "pad",
            normal(2, 3), (1, 1), "mirror"),
    refusal(ShapeError, "pad: mode 'reflect' adds at most 3 on each side of 4 elements, pad has (4, 0)", "pad",
            normal(2, 3, 4), (4, 0), "reflect"),
    refusal(ShapeError, "pad: mode 'circular' adds at most 4 on each side of 4 elements, pad has (0, 5)", "pad",
            normal(2, 3, 4), (0, 5), "circular"),
    refusal(ShapeError, "pad: mode 'replicate' with widths (-4, 0) leaves nothing of 4 elements", "pad",
            normal(2, 3, 4), (-4, 0), "replicate"),
    refusal(ShapeError, "pad: widths (-2, -3) cut off more than the 4 elements of their axis", "pad", normal(3, 4),
            (-2, -3)),
    refusal(ShapeError, "pad: value belongs to mode 'constant', mode is 'reflect'", "pad", normal(2, 3, 4), (1, 1),
            "reflect", 1.0),
    refusal(ShapeError, "pad: mode 'reflect' pads the last 1, 2 or 3 axes of a tensor with one or two axes before",
            "pad", normal(5), (1, 1), "reflect"),
    refusal(ShapeError, "pad: mode 'circular' pads the last 1, 2 or 3 axes", "pad", normal(2, 3, 4, 5), (1, 1),
            "circular"),
    refusal(ShapeError, "cat: tensors is empty, needs at least one Tensor", "cat", []),
    refusal(ShapeError, "cat: tensors[1] has shape (2, 4), the first (2, 3); they may differ in axis 0 only", "cat",
            [normal(2, 3), normal(2, 4)]),
    refusal(ShapeError, "cat: tensors[1] has shape (3,), the first (2, 3)", "cat", [normal(2, 3), normal(3)]),
    refusal(ShapeError, "cat: tensors[0] has no axes; use F.stack", "cat", [normal(), normal()]),
    refusal(DTypeError, "cat: tensors must be a list or tuple of Tensors, got Tensor", "cat", normal(2, 3)),
    refusal(DTypeError, "cat: tensors[1] must be a Tensor, got int", "cat", [normal(2, 3), 1]),
    refusal(ShapeError, "cat: dim is 2, a tensor of shape (2, 3) needs -2 … 1", "cat", [normal(2, 3)], 2),
    refusal(ShapeError, "stack: tensors[1] has shape (3,), the first (2,); they must be equal", "stack",
            [normal(2), normal(3)]),
    refusal(ShapeError, "stack: tensors is empty", "stack", []),
    refusal(ShapeError, "stack: dim is 2, a tensor of shape (3,) needs -2 … 1", "stack", [normal(3)], 2),
    refusal(ShapeError, "split: the sizes [2, 2] add up to 4, axis 0 has 5", "split", normal(5, 3), [2, 2]),
    refusal(ShapeError, "split: split_size_or_sections is 0, needs at least 1", "split", normal(5, 3), 0),
    refusal(ShapeError, "split: split_size_or_sections is -1, needs at least 0", "split", normal(5), [2, -1, 4]),
    refusal(ShapeError, "split: a tensor without axes cannot be split", "split", normal(), 1),
    refusal(ShapeError, "flip: dims (0, -2) names an axis twice", "flip", normal(2, 3), (0, -2)),
    refusal(ShapeError, "flip: dims is 2, a tensor of shape (2, 3) needs -2 … 1", "flip", normal(2, 3), (2,)),
    *(refusal(ShapeError, text, "index", normal(2, 3, 4), index, torch=_taken) for text, index in (
        ("index: index 2 is out of range for axis 0 of a tensor of shape (2, 3, 4)", 2),
        ("index: index -4 is out of range for axis 1 of a tensor of shape (2, 3, 4)", (0, -4)),
        ("index: index 9 is out of range for axis 2 of a tensor of shape (2, 3, 4)", (..., [0, 9, 1])),
        ("index: index -3 is out of range for axis 0", whole([0, -3])),
        ("index: 4 indices are too many for a tensor of shape (2, 3, 4)", (0, 0, 0, 0)),
        ("index: 4 indices are too many", (booleans(2, 3), 0, 0)),
        ("index: mask (3,) does not fit axes (2,) of a tensor of shape (2, 3, 4)", booleans(3)),
        ("index: shapes (2,) and (3,) cannot be broadcast to one", ([0, 1], [0, 1, 2])),
        ("index: the step of a slice cannot be 0", slice(None, None, 0)),
        ("index: the lists in an index have different lengths", ([[0, 1], [1]],)),
    )),
    *(refusal(DTypeError, text, "index", normal(2, 3, 4), index, torch=_taken) for text, index in (
        ("index: an index is float64, needs whole numbers or bools", normal(2)),
        ("index: an index is made of whole numbers, slices, None, ... and tensors, got 1.5", 1.5),
        ("index: an index is made of whole numbers, slices, None, ... and tensors, got 'a'", "a"),
        ("index: slice must be a whole number, got 1.5", slice(0, 1.5)),
    )),
    refusal(ShapeError, "index: an index may hold ... once, this one holds it 2 times", "index", normal(2, 3),
            (..., ...), torch=_taken, torch_allows=True),
]  # fmt: skip

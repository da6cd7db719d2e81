"""Losses: each keyword with another value than its default, and each two of them together at least once."""

from typing import Any

import numpy as np

from minicnn.errors import DTypeError, ShapeError

from . import (
    INF,
    NAN,
    Case,
    Given,
    Refusal,
    booleans,
    case,
    distinct,
    exact,
    integers,
    normal,
    refusal,
    ties,
    uniform,
    whole,
)


def _probabilities(*shape: int, grad: bool = True) -> Given:
    """Positive numbers that add up to 1 along the axis of the classes."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        p = rng.uniform(0.1, 1, shape)
        return p / p.sum(min(len(shape) - 1, 1), keepdims=True)

    return Given(draw, f"probabilities{shape}", grad, shape)


def _weight(*shape: int) -> Given:
    return uniform(0.5, 2, *shape, grad=False)


SCORES = [  # a row of each kind; the label is 1
    [0.0, 0.0, 0.0, 0.0], [1e4, -1e4, 0.0, 1.0], [-1e4, 1e4, 0.0, 1.0], [1e4, 1e4, 1e4, 1e4], [-INF, 2.0, 1.0, -INF],
    [1.0, -INF, 2.0, 3.0], [-INF, -INF, -INF, -INF], [INF, 1.0, 2.0, 3.0], [1.0, INF, 2.0, 3.0], [NAN, 1.0, 2.0, 3.0],
    [-0.0, 0.0, 1e-30, -1e-30], [88.8, 89.0, 710.0, -710.0],
]  # fmt: skip

CLASSES: list[Case] = [
    *(
        c
        for op in ("cross_entropy", "nll_loss")
        for c in (
            case(op, normal(4, 5), integers(0, 5, 4)),
            case(op, normal(5), whole(3)),
            case(op, normal(1, 7), integers(0, 7, 1)),
            case(op, normal(3, 1), integers(0, 1, 3)),  # one class
            case(op, normal(3, 5, 2), integers(0, 5, 3, 2)),
            case(op, normal(2, 5, 3, 4), integers(0, 5, 2, 3, 4), _weight(5)),
            case(op, normal(2, 5, 3, 4), integers(0, 5, 2, 3, 4), reduction="none"),
            case(op, normal(2, 3, 2, 4, 5), integers(0, 3, 2, 2, 4, 5), reduction="sum"),
            case(op, normal(6, 4), integers(0, 4, 6), _weight(4), ignore_index=2, reduction="mean"),
            case(op, normal(6, 4), integers(0, 4, 6), _weight(4), ignore_index=1, reduction="sum"),
            case(op, normal(6, 4), whole([-100, 3, -100, 0, 2, 3]), weight=_weight(4), reduction="none"),
            case(op, normal(6, 4), whole([-1, 3, -1, 0, 2, 3]), ignore_index=-1, reduction="none"),
            case(op, normal(6, 4, 3), integers(0, 4, 6, 3), ignore_index=3),
            case(op, normal(5), whole(3), _weight(5), reduction="none"),
            case(op, normal(5), whole(3), ignore_index=3, reduction="sum"),
            case(op, normal(0, 3), integers(0, 3, 0), reduction="sum"),
            case(op, normal(0, 3), integers(0, 3, 0), reduction="none"),
            case(op, normal(2, 3), whole([-100, -100]), smooth=False),  # nan: all are ignored
            case(op, normal(2, 3), whole([-100, -100]), reduction="sum", smooth=False),
            case(op, exact(SCORES), whole([1] * len(SCORES)), reduction="none", smooth=False),
            *(case(op, exact([row]), whole([1]), smooth=False) for row in SCORES),
        )
    ),
    case("cross_entropy", normal(4, 5), integers(0, 5, 4), label_smoothing=0.1),
    case("cross_entropy", normal(4, 5), integers(0, 5, 4), label_smoothing=1.0),
    case("cross_entropy", normal(4, 5), integers(0, 5, 4), _weight(5), label_smoothing=0.2),
    case("cross_entropy", normal(6, 5), integers(0, 5, 6), ignore_index=2, label_smoothing=0.2),
    case("cross_entropy", normal(6, 5), integers(0, 5, 6), _weight(5), ignore_index=2, reduction="sum",
         label_smoothing=0.3),
    case("cross_entropy", normal(2, 5, 3, 4), integers(0, 5, 2, 3, 4), _weight(5), ignore_index=2, reduction="none",
         label_smoothing=0.3),
    case("cross_entropy", normal(5), whole(3), label_smoothing=0.3, reduction="none"),
    case("cross_entropy", normal(4, 5), _probabilities(4, 5)),
    case("cross_entropy", normal(5), _probabilities(5)),
    case("cross_entropy", normal(2, 5, 3), _probabilities(2, 5, 3), _weight(5)),
    case("cross_entropy", normal(2, 5, 3, 4), _probabilities(2, 5, 3, 4), _weight(5), reduction="none"),
    case("cross_entropy", normal(2, 5, 3), _probabilities(2, 5, 3), reduction="sum", label_smoothing=0.1),
    case("cross_entropy", normal(2, 5, 3), _probabilities(2, 5, 3), _weight(5), label_smoothing=0.2),
    case("cross_entropy", normal(4, 5), _probabilities(4, 5), ignore_index=-7),
    case("cross_entropy", normal(4, 5), normal(4, 5)),  # need not be probabilities
    case("cross_entropy", exact(SCORES[:3]), _probabilities(3, 4), reduction="none", smooth=False),
]  # fmt: skip


def _pairs(op: str, **kwargs: Any) -> list[Case]:
    return [
        case(op, distinct(2, 3), normal(2, 3), **kwargs),
        case(op, distinct(2, 3, 5, 4), distinct(2, 3, 5, 4), reduction="none", **kwargs),
        case(op, distinct(7), normal(7), reduction="sum", **kwargs),
        case(op, normal(), normal(), **kwargs),
        case(op, normal(0, 3), normal(0, 3), reduction="sum", **kwargs),
        case(op, normal(0, 3), normal(0, 3), reduction="none", **kwargs),
        case(op, ties(3, 5), ties(3, 5), reduction="none", smooth=False, **kwargs),
        case(op, exact([INF, -INF, NAN, 0.0, -0.0, 1e30, 1e-30]), exact([0.0, 1.0, 0.0, -0.0, 0.0, -1.0, 0.0]),
             reduction="none", smooth=False, **kwargs),
    ]  # fmt: skip


def _yes(*shape: int) -> Given:
    return uniform(0.05, 0.95, *shape)


EXPRESSIONS: list[Case] = [
    *_pairs("mse_loss"), *_pairs("l1_loss"), *_pairs("smooth_l1_loss"), *_pairs("smooth_l1_loss", beta=0.3),
    *_pairs("smooth_l1_loss", beta=0),
    *(
        c
        for op, x in (("binary_cross_entropy", _yes), ("binary_cross_entropy_with_logits", normal))
        for c in (
            case(op, x(2, 3), _yes(2, 3)),
            case(op, x(7), exact([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.5])),
            case(op, x(2, 3, 5, 4), _yes(2, 3, 5, 4), reduction="none"),
            case(op, x(2, 3), _yes(2, 3), reduction="sum"),
            case(op, x(2, 3), _yes(2, 3), _weight(2, 3)),
            case(op, x(2, 3), _yes(2, 3), _weight(3), reduction="none"),
            case(op, x(2, 3), _yes(2, 3), _weight(2, 1), reduction="sum"),
            case(op, x(), _yes()),
            case(op, x(0, 3), _yes(0, 3), reduction="sum"),
        )
    ),
    case("binary_cross_entropy", exact([0.0, 1.0, 1e-45, 1.0], grad=False), exact([1.0, 0.0, 1.0, 1.0], grad=False),
         reduction="none"),
    case("binary_cross_entropy_with_logits", normal(2, 3), _yes(2, 3), pos_weight=_weight(3)),
    case("binary_cross_entropy_with_logits", normal(2, 3), _yes(2, 3), _weight(2, 1), reduction="none",
         pos_weight=_weight(3)),
    case("binary_cross_entropy_with_logits", normal(2, 3, 4), _yes(2, 3, 4), reduction="sum", pos_weight=_weight(3, 1)),
    case("binary_cross_entropy_with_logits", exact([1e4, -1e4, 1e4, -1e4, 0.0, -0.0, 90.0, -90.0, NAN, INF, -INF]),
         exact([0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.5, 0.5, 1.0, 0.0, 1.0], grad=False), reduction="none", smooth=False),
    *(
        case("triplet_margin_loss", *(normal(5, 7) for _ in range(3)), **kwargs)
        for kwargs in (
            {}, {"margin": 3.0}, {"p": 1}, {"p": 3.5, "margin": 2.0}, {"eps": 0.1, "margin": 3.0}, {"swap": True},
            {"reduction": "none"}, {"reduction": "sum", "p": 1.5}, {"swap": True, "margin": 5.0, "reduction": "none"},
            {"swap": True, "p": 1, "eps": 0.01, "reduction": "sum"}, {"eps": 0.2, "p": 3, "reduction": "none"},
            {"p": INF, "margin": 2.0},
        )
    ),
    case("triplet_margin_loss", normal(7), normal(7), normal(7)),
    case("triplet_margin_loss", normal(2, 3, 5), normal(2, 3, 5), normal(2, 3, 5), reduction="none"),
    case("triplet_margin_loss", exact([[1.0, 2.0]]), exact([[1.0, 2.0]]), exact([[1.0, 2.0]]), eps=0.0, smooth=False),
    case("triplet_margin_loss", ties(9, 2), ties(9, 2), ties(9, 2), 1.0, 1.0, 0.0, True, reduction="none",
         smooth=False),
    case("cosine_similarity", normal(3, 5), normal(3, 5)), case("cosine_similarity", normal(3, 5), normal(3, 5), 0),
    case("cosine_similarity", normal(2, 3, 5), normal(2, 3, 5), dim=-1, eps=1e-3),
    case("cosine_similarity", normal(2, 3, 5, 4), normal(2, 3, 5, 4)),
    case("cosine_similarity", normal(7), normal(7), dim=0), case("cosine_similarity", normal(3, 5), normal(5)),
    case("cosine_similarity", normal(3, 1, 5), normal(4, 5), 2), case("cosine_similarity", normal(0, 3), normal(0, 3)),
    case("cosine_similarity", exact([[0.0, 0.0], [3.0, 4.0], [INF, 1.0], [1e-30, 0.0]]), normal(4, 2), smooth=False),
    case("one_hot", integers(0, 5, 2, 3), 5), case("one_hot", integers(0, 5, 7)), case("one_hot", whole(2)),
    case("one_hot", whole([0, 0])), case("one_hot", integers(0, 5, 2, 3), num_classes=7),
    case("one_hot", integers(0, 1, 0), 3),
]  # fmt: skip

CASES = [*CLASSES, *EXPRESSIONS]

LABELS = integers(0, 3, 4)
BOTH = ("cross_entropy", "nll_loss")

REFUSALS: list[Refusal] = [
    *(
        r
        for op in BOTH
        for r in (
            refusal(ShapeError, f"{op}: target has shape (3,), input (4, 3) needs labels of shape (4,)",
                    op, normal(4, 3), integers(0, 3, 3)),
            refusal(ShapeError, f"{op}: target has shape (4, 1), input (4, 3) needs labels of shape (4,)",
                    op, normal(4, 3), integers(0, 3, 4, 1)),
            refusal(ShapeError, f"{op}: target has shape (4,), input (4, 3, 2) needs labels of shape (4, 2)",
                    op, normal(4, 3, 2), LABELS),
            refusal(ShapeError, f"{op}: label 3 at 2 is outside 0 … 2: input has 3 classes",
                    op, normal(4, 3), whole([0, 1, 3, 4])),
            refusal(ShapeError, f"{op}: label -1 at (1, 0) is outside 0 … 2: input has 3 classes",
                    op, normal(2, 3, 2), whole([[0, 1], [-1, 2]])),
            refusal(ShapeError, f"{op}: label 7 is outside 0 … 2", op, normal(3), whole(7)),
            refusal(ShapeError, f"{op}: label -100 at 0 is outside 0 … 2", op, normal(1, 3), whole([-100]),
                    ignore_index=1),
            refusal(DTypeError, f"{op}: target is float64, labels must be int64; convert them with .long()",
                    op, normal(4, 3), ties(4)),
            refusal(DTypeError, f"{op}: target is bool, labels must be int64", op, normal(4, 3), booleans(4)),
            refusal(DTypeError, f"{op}: input is int64, needs float32 or float64", op, integers(0, 3, 4, 3), LABELS),
            refusal(DTypeError, f"{op}: target must be a Tensor, got list", op, normal(4, 3), [0, 1, 2, 0]),
            refusal(ShapeError, f"{op}: input is a single number", op, normal(), whole(0)),
            refusal(ShapeError, f"{op}: input has shape (2, 0), needs at least one class",
                    op, normal(2, 0), whole([0, 0])),
            refusal(ShapeError, f"{op}: weight has shape (4,), input (4, 3) needs (3,)",
                    op, normal(4, 3), LABELS, _weight(4)),
            refusal(ShapeError, f"{op}: reduction is 'average', needs one of 'none', 'mean', 'sum'",
                    op, normal(4, 3), LABELS, reduction="average"),
            refusal(ShapeError, f"{op}: input has shape (0, 3): an empty batch has no mean",
                    op, normal(0, 3), integers(0, 3, 0), torch_allows=True),
            refusal(DTypeError, f"{op}: ignore_index must be a whole number, got 1.5",
                    op, normal(4, 3), LABELS, ignore_index=1.5),
        )
    ),
    refusal(DTypeError, "cross_entropy: target is int64 and has the shape of the input (4, 3): probabilities must be "
            "floats", "cross_entropy", normal(4, 3), integers(0, 2, 4, 3)),
    refusal(ShapeError, "or probabilities of shape (4, 3)", "cross_entropy", normal(4, 3), _probabilities(4, 2)),
    refusal(ShapeError, "cross_entropy: label_smoothing is 1.5, needs a number in [0, 1]",
            "cross_entropy", normal(4, 3), LABELS, label_smoothing=1.5),
    refusal(ShapeError, "cross_entropy: ignore_index is 1, but the target holds probabilities",
            "cross_entropy", normal(4, 3), _probabilities(4, 3), ignore_index=1),
    *(
        r
        for op in ("mse_loss", "l1_loss", "smooth_l1_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")
        for free in (op in ("mse_loss", "l1_loss", "smooth_l1_loss"),)  # where PyTorch broadcasts, with a warning
        for r in (
            refusal(ShapeError, f"{op}: target has shape (3,), input has (2, 3); they must be equal, since nothing is "
                    "broadcast here", op, _yes(2, 3), _yes(3), torch_allows=free),
            refusal(ShapeError, f"{op}: target has shape (2, 1), input has (2,)", op, _yes(2), _yes(2, 1),
                    torch_allows=free),
            refusal(ShapeError, f"{op}: input has shape (0, 3): an empty batch has no mean", op, _yes(0, 3), _yes(0, 3),
                    torch_allows=True),
            refusal(DTypeError, f"{op}: target is int64, needs float32 or float64",
                    op, _yes(2), integers(0, 2, 2), torch_allows=True),
            refusal(ShapeError, f"{op}: reduction is 'avg'", op, _yes(2), _yes(2), reduction="avg"),
        )
    ),
    refusal(ShapeError, "smooth_l1_loss: beta is -1, needs a number in [0, inf]",
            "smooth_l1_loss", normal(2), normal(2), beta=-1),
    refusal(ShapeError, "binary_cross_entropy: input holds 1.5, needs probabilities in [0, 1]; for scores use "
            "binary_cross_entropy_with_logits", "binary_cross_entropy", exact([0.5, 1.5]), _yes(2)),
    refusal(ShapeError, "binary_cross_entropy: input holds nan", "binary_cross_entropy", exact([NAN]), _yes(1)),
    refusal(ShapeError, "binary_cross_entropy: target holds -1.0", "binary_cross_entropy", _yes(1), exact([-1.0])),
    *(
        r
        for op in ("binary_cross_entropy", "binary_cross_entropy_with_logits")
        for r in (
            refusal(ShapeError, f"{op}: shapes (2, 3) and (4,) cannot be broadcast", op, _yes(2, 3), _yes(2, 3),
                    _weight(4)),
            refusal(ShapeError, f"{op}: weight has shape (5, 2, 3), must broadcast to (2, 3)", op, _yes(2, 3),
                    _yes(2, 3), _weight(5, 2, 3)),
        )
    ),
    refusal(ShapeError, "binary_cross_entropy_with_logits: pos_weight has shape (4, 1, 1), must broadcast to (2, 3)",
            "binary_cross_entropy_with_logits", normal(2, 3), _yes(2, 3), pos_weight=_weight(4, 1, 1)),
    refusal(ShapeError, "triplet_margin_loss: positive has shape (1, 3), anchor has (2, 3); they must be equal",
            "triplet_margin_loss", normal(2, 3), normal(1, 3), normal(2, 3), torch_allows=True),
    refusal(ShapeError, "triplet_margin_loss: negative has shape (3,), anchor has (2, 3)",
            "triplet_margin_loss", normal(2, 3), normal(2, 3), normal(3)),
    refusal(ShapeError, "triplet_margin_loss: margin is 0, needs a number in (0, inf]",
            "triplet_margin_loss", normal(2, 3), normal(2, 3), normal(2, 3), margin=0),
    refusal(ShapeError, "triplet_margin_loss: p is 0, needs a number in (0, inf]",
            "triplet_margin_loss", normal(2, 3), normal(2, 3), normal(2, 3), p=0, torch_allows=True),
    refusal(ShapeError, "triplet_margin_loss: anchor is a single number",
            "triplet_margin_loss", normal(), normal(), normal(), torch_allows=True),
    refusal(ShapeError, "triplet_margin_loss: input has shape (0, 3): an empty batch",
            "triplet_margin_loss", normal(0, 3), normal(0, 3), normal(0, 3), torch_allows=True),
    refusal(DTypeError, "triplet_margin_loss: swap must be True or False, got 1",
            "triplet_margin_loss", normal(2, 3), normal(2, 3), normal(2, 3), swap=1, torch_allows=True),
    refusal(ShapeError, "cosine_similarity: shapes (2, 3) and (4,) cannot be broadcast",
            "cosine_similarity", normal(2, 3), normal(4)),
    refusal(ShapeError, "cosine_similarity: dim is 2", "cosine_similarity", normal(2, 3), normal(2, 3), 2),
    refusal(ShapeError, "cosine_similarity: eps is -1", "cosine_similarity", normal(2, 3), normal(2, 3), eps=-1),
    refusal(DTypeError, "cosine_similarity: x1 is int64", "cosine_similarity", whole([[1]]), whole([[1]])),
    refusal(ShapeError, "one_hot: label 3 at 1 is outside 0 … 2: there are 3 classes", "one_hot", whole([0, 3]), 3),
    refusal(ShapeError, "one_hot: label -1 at 0 is outside", "one_hot", whole([-1, 3])),
    refusal(ShapeError, "one_hot: no labels to count the classes from", "one_hot", integers(0, 3, 0)),
    refusal(ShapeError, "one_hot: num_classes is 0, needs at least 1", "one_hot", whole([0]), 0),
    refusal(DTypeError, "one_hot: tensor is float64, labels must be int64", "one_hot", ties(3)),
]  # fmt: skip

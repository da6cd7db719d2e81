"""Dropout where nothing is random; what is random is tested in `tests/ops/test_dropout.py`."""

import torch

from minicnn.errors import DTypeError, ShapeError

from . import SPECIAL, Case, Refusal, case, exact, integers, normal, refusal


def _fixed(op: str, *shapes: tuple[int, ...]) -> list[Case]:
    torch_op = getattr(torch.nn.functional, op)
    x = normal(*shapes[0])
    return [
        *(case(op, normal(*shape), 0.0) for shape in shapes),
        *(case(op, normal(*shape), training=False) for shape in shapes),
        *(case(op, normal(*shape), p=1.0) for shape in shapes),
        case(op, x, 0.3, training=False),
        case(op, x, 1, False, True, torch=lambda x, p, training, inplace: torch_op(x, p, training)),
    ]


CASES: list[Case] = [
    *_fixed("dropout", (2, 3, 5, 4), (), (7,), (2, 3), (0, 3)),
    *_fixed("dropout2d", (2, 3, 5, 4), (1, 1, 1, 1), (0, 3, 5, 4), (2, 3, 0, 4)),
    case("dropout", exact(SPECIAL), 0.0, smooth=False),
]

REFUSALS: list[Refusal] = [
    *(
        r
        for op in ("dropout", "dropout2d")
        for r in (
            refusal(ShapeError, f"{op}: p is 1.1, needs a number in [0, 1]", op, normal(1, 2, 3, 4), 1.1),
            refusal(ShapeError, f"{op}: p is -0.1, needs a number in [0, 1]", op, normal(1, 2, 3, 4), p=-0.1),
            refusal(ShapeError, f"{op}: p is 2, needs", op, normal(1, 2, 3, 4), 2, training=False),
            refusal(DTypeError, f"{op}: input is int64, needs float32 or float64", op, integers(0, 9, 1, 2, 3, 4)),
            refusal(DTypeError, f"{op}: input must be a Tensor, got list", op, [1.0]),
            refusal(DTypeError, f"{op}: training must be True or False, got 1", op, normal(1, 2, 3, 4), 0.5, 1,
                    torch_allows=True),
        )
    ),
    refusal(ShapeError, "dropout2d: input has shape (3, 5, 4), needs a batch (N, C, H, W)", "dropout2d",
            normal(3, 5, 4), torch_allows=True),
    refusal(ShapeError, "dropout2d: input has shape (3, 5), needs four axes", "dropout2d", normal(3, 5),
            torch_allows=True),
]  # fmt: skip

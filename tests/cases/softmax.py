import numpy as np
import torch

from minicnn.errors import DTypeError, ShapeError

from . import INF, NAN, Case, Refusal, case, exact, integers, normal, refusal, uniform

ROWS = (  # one row of each kind, along the last axis
    [0.0, 0.0, 0.0, 0.0], [1e4, 1e4 - 1, -1e4, 0.0], [-1e4, -1e4 - 1, -1e4, -1e4], [-INF, 1.0, 2.0, -INF],
    [-INF, -INF, -INF, -INF], [INF, 1.0, 2.0, 3.0], [INF, INF, 0.0, -INF], [NAN, 1.0, 2.0, 3.0],
    [NAN, INF, -INF, 0.0], [-0.0, 0.0, 1e-30, -1e-30], [1e30, -1e30, 0.0, 1.0],
)  # fmt: skip


def _along(op: str) -> list[Case]:
    return [
        case(op, normal(), 0),
        case(op, normal(7), -1),
        case(op, normal(2, 3), 1),
        case(op, normal(3, 5), 0),
        *(case(op, normal(2, 3, 5, 4), dim) for dim in (1, -1, 2)),
        case(op, normal(3, 1), 1),  # one class
        case(op, normal(0, 3), 1),
        case(op, normal(3, 0), 1),
        case(op, normal(0, 3), 0),
        case(op, uniform(-300, 300, 5, 7), 1, smooth=False),
        *(case(op, exact([row]), 1, smooth=False) for row in ROWS),
        case(op, exact(ROWS), dim=1, smooth=False),
        case(op, exact(ROWS), dim=0, smooth=False),
    ]


CASES: list[Case] = [
    *_along("softmax"), *_along("log_softmax"), *_along("logsumexp"),
    *(
        case(op, x, 1, dtype=np.float64, smooth=False,
             torch=lambda x, dim, dtype, op=op: getattr(torch, op)(x, dim, dtype=torch.float64))
        for op in ("softmax", "log_softmax") for x in (normal(2, 3), integers(-3, 4, 2, 3))
    ),
    case("logsumexp", normal(2, 3, 5), (0, 2)),
    case("logsumexp", normal(2, 3, 5), (-1, 0), keepdim=True),
    case("logsumexp", normal(2, 3, 5), 1, True),
    case("logsumexp", normal(2, 3), torch=lambda x: torch.logsumexp(x, (0, 1))),
    case("logsumexp", normal(2, 3), keepdim=True, torch=lambda x, keepdim: torch.logsumexp(x, (0, 1), keepdim)),
    case("logsumexp", integers(-3, 4, 2, 3), 1),
]  # fmt: skip

REFUSALS: list[Refusal] = [
    *(
        r
        for op in ("softmax", "log_softmax")
        for r in (
            refusal(ShapeError, f"{op}: dim is missing", op, normal(2, 3), torch_allows=True),
            refusal(ShapeError, f"{op}: dim is 2, a tensor of shape (2, 3) needs -2 … 1", op, normal(2, 3), 2),
            refusal(DTypeError, f"{op}: input is int64", op, integers(-3, 4, 2, 3), 1),
            refusal(DTypeError, f"{op}: input must be a Tensor, got list", op, [1.0], 0),
            refusal(DTypeError, f"{op}: dim must be a whole number, got 0.5", op, normal(2, 3), 0.5),
        )
    ),
    refusal(DTypeError, "softmax: input is int64", "softmax", normal(2, 3), 1, dtype=np.int64, torch_allows=True),
    refusal(ShapeError, "logsumexp: dim is -3", "logsumexp", normal(2, 3), -3),
    refusal(ShapeError, "logsumexp: dim (1, -1) names an axis twice", "logsumexp", normal(2, 3), (1, -1)),
    refusal(DTypeError, "logsumexp: keepdim must be True or False, got 0", "logsumexp", normal(2, 3), 1, 0,
            torch_allows=True),
    refusal(DTypeError, "logsumexp: input must be a Tensor, got float", "logsumexp", 1.0, 0),
]  # fmt: skip

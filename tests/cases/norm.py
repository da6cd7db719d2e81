from typing import Any

import torch

from minicnn.errors import DTypeError, ShapeError

from . import INF, NAN, Case, Given, Refusal, case, exact, integers, normal, refusal, uniform


def whole_shape(input: Any, normalized_shape: Any, *args: Any, **kwargs: Any) -> Any:
    """PyTorch's layer_norm takes no plain number."""
    return torch.nn.functional.layer_norm(input, (normalized_shape,), *args, **kwargs)


def mean(channels: int) -> Given:
    return normal(channels, grad=False)


def variance(channels: int) -> Given:
    return uniform(0.5, 2, channels, grad=False)


# training that moves running statistics changes its inputs: tests/ops/test_norm.py
CASES: list[Case] = [
    case("batch_norm", normal(5, 3), None, None, training=True),
    case("batch_norm", normal(4, 3, 5), None, None, normal(3), training=True),
    case("batch_norm", normal(2, 3, 5, 4), None, None, normal(3), normal(3), True),
    case("batch_norm", normal(2, 3, 5, 4), None, None, bias=normal(3), training=True, eps=0.5),
    case("batch_norm", normal(2, 3, 5, 4), None, None, weight=normal(3), training=True, momentum=0.5, eps=0.01),
    case("batch_norm", normal(3, 2, 5, 7), None, None, normal(2), normal(2), training=True),
    case("batch_norm", normal(2, 1, 1, 1), None, None, normal(1), training=True, eps=0.1),
    case("batch_norm", normal(1, 37, 3, 5), None, None, normal(37), normal(37), training=True),
    case("batch_norm", normal(0, 3, 5, 4), None, None, normal(3), normal(3), training=True),
    case("batch_norm", exact([[1.0, INF, NAN, 2.0], [3.0, 1.0, 1.0, 2.0], [-1.0, 0.0, -0.0, 2.0]]), None, None,
         normal(4), normal(4), training=True, smooth=False),
    case("batch_norm", normal(5, 3), mean(3), variance(3)),
    case("batch_norm", normal(4, 3, 5), mean(3), variance(3), normal(3)),
    case("batch_norm", normal(2, 3, 5, 4), mean(3), variance(3), normal(3), normal(3)),
    case("batch_norm", normal(2, 3, 5, 4), mean(3), variance(3), bias=normal(3), eps=0.5),
    case("batch_norm", normal(2, 3, 5, 4), mean(3), variance(3), weight=normal(3), momentum=0.5, eps=0.25),
    case("batch_norm", normal(2, 3, 5, 4), mean(3), variance(3), normal(3), normal(3), True, momentum=0.0),
    case("batch_norm", normal(1, 3), mean(3), variance(3), normal(3)),
    case("batch_norm", normal(0, 3, 5, 4), mean(3), variance(3), normal(3), normal(3)),
    case("batch_norm", normal(1, 37, 3, 5), mean(37), variance(37), normal(37), normal(37)),
    case("batch_norm", exact([[1.0, INF, NAN, -0.0, 1.0]]), exact([0.0, 1.0, 1.0, 0.0, NAN], grad=False),
         exact([1.0, 1.0, 1.0, INF, 1.0], grad=False), normal(5), smooth=False),
    case("batch_norm", normal(3, 2), mean(2), exact([4.0, -1.0], grad=False), eps=0.0, smooth=False),
    case("group_norm", normal(2, 6, 5, 4), 3),
    case("group_norm", normal(2, 6, 5, 4), 2, normal(6)),
    case("group_norm", normal(2, 6, 5, 4), 1, normal(6), normal(6)),
    case("group_norm", normal(2, 6, 5, 4), 6, weight=normal(6), bias=normal(6), eps=0.1),
    case("group_norm", normal(3, 6), 2, normal(6), eps=0.5),
    case("group_norm", normal(3, 4, 7), 2, normal(4), normal(4)),
    case("group_norm", normal(1, 4, 3, 5), 2, normal(4), normal(4), 1e-4),
    case("group_norm", normal(2, 4, 2, 1, 3), 2, normal(4)),
    case("group_norm", normal(0, 4, 5, 3), 2, normal(4), normal(4)),
    case("layer_norm", normal(2, 3, 5), (5,)),
    case("layer_norm", normal(2, 3, 5), (3, 5), normal(3, 5)),
    case("layer_norm", normal(2, 3, 5, 4), (3, 5, 4), normal(3, 5, 4), normal(3, 5, 4)),
    case("layer_norm", normal(2, 3, 5, 4), (4,), bias=normal(4), eps=0.1),
    case("layer_norm", normal(5), (5,), normal(5), eps=0.5),
    case("layer_norm", normal(4, 7), 7, normal(7), normal(7), torch=whole_shape),
    case("layer_norm", normal(3, 7), [7], normal(7), normal(7), 1e-4),
    case("layer_norm", normal(0, 3, 5), (5,), normal(5), normal(5)),
    case("layer_norm", normal(3, 0), (0,), smooth=False),
    case("local_response_norm", normal(2, 7, 3, 4), 5),
    case("local_response_norm", normal(2, 7, 3, 4), 5, 5e-4, 0.75, 2.0),
    case("local_response_norm", normal(2, 7, 3, 4), 4, alpha=0.3),
    case("local_response_norm", normal(2, 7, 3, 4), 3, beta=0.5),
    case("local_response_norm", normal(2, 7, 3, 4), 3, k=0.5),
    case("local_response_norm", normal(2, 7, 3, 4), 3, alpha=0.7, beta=1.5),
    case("local_response_norm", normal(2, 7, 3, 4), 2, alpha=0.7, k=3.0),
    case("local_response_norm", normal(2, 7, 3, 4), 3, beta=1.0, k=0.3),
    case("local_response_norm", normal(1, 3, 2, 5), 9, alpha=2.0),  # the window is wider than the channels
    case("local_response_norm", normal(1, 3, 2, 5), 1, alpha=2.0, beta=0.25, k=1.5),
    case("local_response_norm", normal(2, 1, 2, 3), 4, alpha=1.0),
    case("local_response_norm", normal(2, 5, 3), 3, alpha=1.0),
    case("local_response_norm", normal(1, 5, 2, 1, 3), 3, alpha=1.0),
    case("local_response_norm", normal(0, 5, 2, 3), 3),
    case("local_response_norm", exact([[[[INF]], [[1.0]], [[-0.0]], [[0.0]], [[NAN]], [[2.0]]]]), 2, smooth=False),
    case("normalize", normal(4, 3)),
    case("normalize", normal(4, 3), 1.0),
    case("normalize", normal(4, 3), p=3.5, dim=0),
    case("normalize", normal(4, 3, 5), p=INF, dim=-1),
    case("normalize", normal(4, 3, 5), p=0.5),
    case("normalize", normal(4, 3, 5), 2, (0, 2)),
    case("normalize", normal(2, 3, 5, 4)),
    *(case("normalize", normal(2, 3, 5, 4), p=p) for p in (0, -1.0, -float("inf"))),
    case("layer_norm", normal(4, 5, 3), (3,), eps=-0.5, smooth=False),  # where the variance is less: nan
    case("group_norm", normal(3, 4, 5), 2, eps=-0.5, smooth=False),
    case("normalize", normal(2, 3, 5, 4), p=1.5, eps=100.0),  # eps is larger than the norm
    case("normalize", normal(4, 3), dim=0, eps=1.5),
    case("normalize", exact([[0.0, -0.0, 0.0], [1.0, 0.0, -1.0], [1e-20, 0.0, 0.0], [3.0, 4.0, 0.0]]), smooth=False),
    case("normalize", exact([[0.0, -0.0, 0.0], [1.0, 0.0, -1.0], [1e-20, 0.0, 0.0], [3.0, 4.0, 0.0]]), INF,
         smooth=False),
    case("normalize", exact([[0.0, -0.0, 0.0], [1.0, 0.0, -1.0]]), 1, smooth=False),
    case("normalize", exact([[INF, 1.0, 0.0], [NAN, 0.0, -1.0], [3.0, 4.0, 0.0], [0.0, 0.0, 1.0]]), smooth=False),
    case("normalize", normal(0, 3)),
    case("normalize", normal(3, 0), smooth=False),
]  # fmt: skip

REFUSALS: list[Refusal] = [
    refusal(ShapeError, "batch_norm: input has shape (1, 3), training needs more than 1 value per channel",
            "batch_norm", normal(1, 3), None, None, training=True),
    refusal(ShapeError, "batch_norm: input has shape (1, 3, 1, 1), training needs more than 1 value per channel",
            "batch_norm", normal(1, 3, 1, 1), normal(3), normal(3), training=True),
    refusal(ShapeError, "batch_norm: input has shape (3,), needs (N, C), (N, C, L) or (N, C, H, W)",
            "batch_norm", normal(3), normal(3), normal(3)),
    refusal(ShapeError, "batch_norm: running_mean is None, needs the statistics unless training=True",
            "batch_norm", normal(4, 3), None, normal(3)),
    refusal(ShapeError, "batch_norm: running_var is None, needs the statistics unless training=True",
            "batch_norm", normal(4, 3), normal(3), None),
    refusal(ShapeError, "batch_norm: running_mean has shape (2,), the input's channels need (3,)",
            "batch_norm", normal(4, 3), normal(2), normal(3)),
    refusal(ShapeError, "batch_norm: weight has shape (4,), the input's channels need (3,)",
            "batch_norm", normal(4, 3, 2, 5), normal(3), normal(3), normal(4)),
    refusal(ShapeError, "batch_norm: bias has shape (3, 1), the input's channels need (3,)",
            "batch_norm", normal(4, 3, 2, 5), normal(3), normal(3), normal(3), normal(3, 1), torch_allows=True),
    refusal(DTypeError, "batch_norm: running_mean is int64, needs float32 or float64",
            "batch_norm", normal(4, 3), integers(0, 9, 3), normal(3), torch_allows=True),
    refusal(DTypeError, "batch_norm: input is int64, needs float32 or float64",
            "batch_norm", integers(0, 9, 4, 3), None, None, training=True),
    refusal(DTypeError, "batch_norm: training must be True or False, got 2",
            "batch_norm", normal(4, 3), normal(3), normal(3), training=2, torch_allows=True),
    refusal(ShapeError, "batch_norm: eps is 0.0, needs a number in (0, inf]",
            "batch_norm", normal(4, 3), normal(3), normal(3), training=True, eps=0.0),
    refusal(DTypeError, "batch_norm: momentum must be a number, got None",
            "batch_norm", normal(4, 3), normal(3), normal(3), training=True, momentum=None),
    refusal(ShapeError, "group_norm: input has 4 channels, they must divide into num_groups=3",
            "group_norm", normal(2, 4, 5, 6), 3),
    refusal(ShapeError, "group_norm: num_groups is 0, needs at least 1", "group_norm", normal(2, 4, 5, 6), 0,
            torch=lambda input, groups: torch.group_norm(input, groups)),
    refusal(ShapeError, "group_norm: input has shape (1, 4), num_groups=4 needs more than 1 value per group",
            "group_norm", normal(1, 4), 4),
    refusal(ShapeError, "group_norm: weight has shape (3,), the input's channels need (4,)",
            "group_norm", normal(2, 4, 5), 2, normal(3)),
    refusal(ShapeError, "group_norm: input has shape (4,), needs (N, C, …)", "group_norm", normal(4), 2),
    refusal(ShapeError, "layer_norm: input has shape (2, 3, 5), normalized_shape (3,) must be its last axes",
            "layer_norm", normal(2, 3, 5), (3,)),
    refusal(ShapeError, "layer_norm: input has shape (2, 3), normalized_shape () must be its last axes",
            "layer_norm", normal(2, 3), ()),
    refusal(ShapeError, "layer_norm: weight has shape (1, 5), needs normalized_shape (5,)",
            "layer_norm", normal(2, 3, 5), (5,), normal(1, 5)),
    refusal(ShapeError, "local_response_norm: input has shape (2, 3), needs (N, C, …) with at least three axes",
            "local_response_norm", normal(2, 3), 3),
    refusal(ShapeError, "local_response_norm: size is 0, needs at least 1",
            "local_response_norm", normal(2, 3, 4, 5), 0),
    refusal(DTypeError, "local_response_norm: alpha must be a number, got '1'",
            "local_response_norm", normal(2, 3, 4, 5), 3, alpha="1"),
    refusal(ShapeError, "normalize: dim is 2, a tensor of shape (2, 3) needs -2 … 1", "normalize", normal(2, 3), dim=2),
    refusal(ShapeError, "normalize: input (2, 0) has no largest number along dim 1", "normalize", normal(2, 0), INF),
    refusal(DTypeError, "normalize: input is int64, needs float32 or float64", "normalize", integers(0, 9, 2, 3)),
]  # fmt: skip

"""Losses as modules; the formulas stand with the operations in `minicnn/ops/loss.py`."""

from __future__ import annotations

from .. import functional as F
from .._tensor import Tensor
from ..ops import arguments
from .module import Module

REDUCTIONS = ("none", "mean", "sum")


class _Loss(Module):
    """What all losses have: how the losses of the items become one number."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = arguments.choice(type(self).__name__, "reduction", reduction, REDUCTIONS)


class CrossEntropyLoss(_Loss):
    """−log softmax(input)[target], for classifiers: input (N, C), target (N,) classes or (N, C) probabilities.

    See `F.cross_entropy`.
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = arguments.integer("CrossEntropyLoss", "ignore_index", ignore_index)
        self.label_smoothing = arguments.probability("CrossEntropyLoss", label_smoothing, "label_smoothing")

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss."""
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class MSELoss(_Loss):
    """(input − target)². See `F.mse_loss`."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss."""
        return F.mse_loss(input, target, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """−t · log σ(x) − (1 − t) · log(1 − σ(x)), for yes/no questions. See `F.binary_cross_entropy_with_logits`."""

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean", pos_weight: Tensor | None = None) -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss."""
        return F.binary_cross_entropy_with_logits(
            input, target, weight=self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class TripletMarginLoss(_Loss):
    """max(‖anchor − positive‖ − ‖anchor − negative‖ + margin, 0), for embeddings. See `F.triplet_margin_loss`."""

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.margin = arguments.number("TripletMarginLoss", "margin", margin, 0, open_low=True)
        self.p = arguments.number("TripletMarginLoss", "p", p)
        self.eps = arguments.number("TripletMarginLoss", "eps", eps)
        self.swap = arguments.flag("TripletMarginLoss", "swap", swap)

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """Return the loss."""
        return F.triplet_margin_loss(
            anchor,
            positive,
            negative,
            margin=self.margin,
            p=self.p,
            eps=self.eps,
            swap=self.swap,
            reduction=self.reduction,
        )

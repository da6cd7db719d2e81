"""Losses: cross_entropy and nll_loss; the others as expressions of other operations.

Each compares an input with a target of a fixed shape (nothing is broadcast) and reduces the losses of the
examples by `reduction`: "none" keeps them, "sum" adds them up, "mean" divides the sum by their number.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._device import on
from .._tensor import Tensor
from ..autograd import Function
from ..errors import DTypeError, GradientError, ShapeError
from . import arguments
from .arithmetic import ieee
from .softmax import log_softmax_forward

Array = Any
Needs = tuple[bool, ...]

REDUCTIONS = ("none", "mean", "sum")


def class_axis(ndim: int) -> int:
    """Return the axis of the classes: 1 in (N, C, …), 0 in a single example (C,)."""
    return min(ndim - 1, 1)


# nll_loss: loss[n] = −w[t[n]] · logp[n, t[n]] with the label t; "mean" divides by Σ_n w[t[n]]
# dlogp[n, t[n]] = −w[t[n]] · dloss[n], all others 0


@ieee
def nll_loss_forward(
    logp: Array, labels: Array, weight: Array | None, ignore_index: int, reduction: str
) -> tuple[Array, Any]:
    axis = class_axis(logp.ndim)
    kept = labels != ignore_index
    index = np.where(kept, labels, 0)  # some valid label where it is ignored; the result is not used
    w = np.where(kept, np.ones((), logp.dtype) if weight is None else weight[index], np.zeros((), logp.dtype))
    index = np.expand_dims(index, axis)
    losses = np.where(kept, -w * np.take_along_axis(logp, index, axis).squeeze(axis), np.zeros((), logp.dtype))
    total = w.sum()
    return _reduce(losses, total, reduction), (logp.shape, index, kept, w, total, reduction)


@ieee
def nll_loss_backward(dloss: Array, cache: Any) -> Array:
    shape, index, kept, w, total, reduction = cache
    axis = class_axis(len(shape))
    dpicked = np.where(kept, -w * _spread(dloss, total, reduction), np.zeros((), dloss.dtype))
    dlogp = np.zeros(shape, dloss.dtype)
    np.put_along_axis(dlogp, index, np.expand_dims(dpicked, axis), axis)
    return dlogp


def _reduce(losses: Array, total: Array, reduction: str) -> Array:
    if reduction == "none":
        return losses
    return losses.sum() / total if reduction == "mean" else losses.sum()


def _spread(dloss: Array, total: Array, reduction: str) -> Array:
    """Return the gradient of each example's loss."""
    return dloss / total if reduction == "mean" else dloss


class NLLLoss(Function):
    @staticmethod
    def forward(
        ctx: Any, logp: Array, labels: Array, weight: Array | None, ignore_index: int, reduction: str
    ) -> Array:
        loss, cache = on(ctx.device, nll_loss_forward)(logp, labels, weight, ignore_index, reduction)
        ctx.save(cache)
        return loss

    @staticmethod
    def backward(ctx: Any, dloss: Array) -> Any:
        return on(ctx.device, nll_loss_backward)(dloss, ctx.saved)


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """Return the negative log-likelihood −w[t] · input[t] of each label t; input holds log-probabilities.

    Input (N, C), (N, C, d1, …) or (C,), labels int64 of the same shape without C, weight (C,). The mean is
    weighted: Σ loss / Σ w[t]. Labels equal to `ignore_index` count nothing; the mean of none but those is nan.
    Raises ShapeError for shapes that differ, a label outside 0 … C − 1, and the mean of an empty batch;
    DTypeError for labels that are no integers.
    """
    name = "nll_loss"
    _check_scores(name, input, weight, reduction)
    ignore_index = arguments.integer(name, "ignore_index", ignore_index)
    _check_labels(name, input, target, ignore_index)
    result: Tensor = NLLLoss.apply(input, target, weight, ignore_index, reduction)
    return result


# cross_entropy: with p = softmax(x) and the distribution q that is wanted, loss[n] = −Σ_c w[c] · q[n, c] · log p[n, c].
# q is 1 at the label and 0 elsewhere, or given; label smoothing ε turns q into (1 − ε) · q + ε/C.
# "mean" divides by Σ_n w[label[n]] for labels, by N for given distributions.
# dx[n, c] = dloss[n] · (p[n, c] · Σ_k w[k] · q[n, k] − w[c] · q[n, c]): without weights, dloss[n] · (p − q)


@ieee
def cross_entropy_forward(
    x: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str, smoothing: float
) -> tuple[Array, Any]:
    axis, zero = class_axis(x.ndim), np.zeros((), x.dtype)
    column = (-1,) + (1,) * (x.ndim - axis - 1)  # along the axis of the classes
    w = (np.ones(x.shape[axis], x.dtype) if weight is None else weight).reshape(column)
    logp, _ = log_softmax_forward(x, axis)
    if target.dtype.kind == "f":
        kept = np.ones((), bool)
        q = target
        total = np.asarray(x.size // x.shape[axis], x.dtype)
    else:
        labels = np.expand_dims(target, axis)
        kept = labels != ignore_index
        is_label = kept & (labels == np.arange(x.shape[axis]).reshape(column))
        q = is_label.astype(x.dtype)
        total = np.where(is_label, w, zero).sum()
    wq = np.where(kept, w * ((1 - smoothing) * q + smoothing / x.shape[axis]), zero)
    losses = -np.where(wq == 0, zero, wq * logp).sum(axis)  # 0 · log 0 = 0
    return _reduce(losses, total, reduction), (logp, wq, w, kept, total, reduction, smoothing)


@ieee
def cross_entropy_backward(dloss: Array, cache: Any, needs: Needs = (True, False)) -> Any:
    logp, wq, w, kept, total, reduction, smoothing = cache
    axis, zero = class_axis(logp.ndim), np.zeros((), logp.dtype)
    dlosses = _spread(dloss, total, reduction)
    if reduction == "none":
        dlosses = np.expand_dims(dlosses, axis)
    dx = dtarget = None
    if needs[0]:
        dx = np.where(kept, dlosses * (np.exp(logp) * wq.sum(axis, keepdims=True) - wq), zero)
    if needs[1]:
        dtarget = -(1 - smoothing) * dlosses * w * logp
    return dx, dtarget


class CrossEntropy(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str, smoothing: float
    ) -> Array:
        forward = on(ctx.device, cross_entropy_forward)
        loss, cache = forward(x, target, weight, ignore_index, reduction, smoothing)
        ctx.save(cache)
        return loss

    @staticmethod
    def backward(ctx: Any, dloss: Array) -> Any:
        return on(ctx.device, cross_entropy_backward)(dloss, ctx.saved, ctx.needs_input_grad[:2])


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return the cross-entropy −ln softmax(input)[label], the loss of a classifier.

    Input: scores (N, C), (N, C, d1, …) or (C,). Target: int64 labels of that shape without C, or probabilities
    of the input's shape. Weight (C,) counts classes differently; the mean over labels is then weighted, too:
    Σ loss / Σ w[label]. Labels equal to `ignore_index` count nothing; the mean of none but those is nan.
    `label_smoothing` ε moves the share ε of each target evenly to all classes (Szegedy et al. 2016, section 7).
    Raises ShapeError for shapes that differ, a label outside 0 … C − 1, and the mean of an empty batch;
    DTypeError for labels that are no integers and probabilities that are no floats.
    """
    name = "cross_entropy"
    _check_scores(name, input, weight, reduction)
    ignore_index = arguments.integer(name, "ignore_index", ignore_index)
    smoothing = arguments.probability(name, label_smoothing, "label_smoothing")
    if arguments.tensor(name, "target", target).shape == input.shape:
        if target.dtype.kind != "f":
            raise DTypeError(
                f"{name}: target is {target.dtype} and has the shape of the input {input.shape}: probabilities must "
                "be floats; convert them with .float(), or give labels: target.argmax(1)"
            )
        arguments.floats(name, input=input, target=target)
        if ignore_index >= 0:
            raise ShapeError(f"{name}: ignore_index is {ignore_index}, but the target holds probabilities, no labels")
    else:
        _check_labels(name, input, target, ignore_index, f" or probabilities of shape {input.shape}")
    result: Tensor = CrossEntropy.apply(input, target, weight, ignore_index, reduction, smoothing)
    return result


def _check_scores(name: str, input: Tensor, weight: Tensor | None, reduction: str) -> None:
    arguments.floats(name, input=input, weight=weight)
    shape = input.shape
    if not shape:
        raise ShapeError(f"{name}: input is a single number, needs scores (N, C), (N, C, d1, …) or (C,)")
    classes = shape[class_axis(input.ndim)]
    if not classes:
        raise ShapeError(f"{name}: input has shape {shape}, needs at least one class")
    if weight is not None:
        if weight.shape != (classes,):
            raise ShapeError(f"{name}: weight has shape {weight.shape}, input {shape} needs ({classes},)")
        if weight.requires_grad:
            raise GradientError(f"{name}: weight requires a gradient and has none here; use weight.detach()")
    _check_reduction(name, input, reduction)


def _check_reduction(name: str, input: Tensor, reduction: str) -> None:
    arguments.choice(name, "reduction", reduction, REDUCTIONS)
    if reduction == "mean" and input.numel() == 0:
        raise ShapeError(
            f"{name}: input has shape {input.shape}: an empty batch has no mean; leave it out, or use reduction='sum'"
        )


def _check_labels(name: str, input: Tensor, target: Tensor, ignore_index: int, otherwise: str = "") -> None:
    axis = class_axis(input.ndim)
    needed = input.shape[:axis] + input.shape[axis + 1 :]
    if arguments.tensor(name, "target", target).shape != needed:
        raise ShapeError(
            f"{name}: target has shape {target.shape}, input {input.shape} needs labels of shape {needed}{otherwise}"
        )
    if target.dtype not in (np.int64, np.uint8):
        raise DTypeError(f"{name}: target is {target.dtype}, labels must be int64; convert them with .long()")
    labels, classes = target.data, input.shape[axis]
    wrong = (labels != ignore_index) & ((labels < 0) | (labels >= classes))
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        place = f" at {index if len(index) > 1 else index[0]}" if index else ""
        raise ShapeError(
            f"{name}: label {labels[index]}{place} is outside 0 … {classes - 1}: input has {classes} classes"
        )

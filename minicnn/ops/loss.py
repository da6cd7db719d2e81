"""Losses: cross_entropy, nll_loss and binary_cross_entropy; the others as expressions of other operations.

Each compares an input with a target of a fixed shape (nothing is broadcast) and reduces the losses of the
examples by `reduction`: "none" keeps them, "sum" adds them up, "mean" divides the sum by their number.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._device import on
from .._tensor import Tensor
from ..autograd import Function
from ..errors import DTypeError, GradientError, ShapeError
from . import arguments
from .activation import logsigmoid
from .arithmetic import ieee
from .elementwise import abs, add, clamp, div, minimum, mul, pow, sqrt, sub, where
from .reduce import amax, mean, sum
from .shape import expand, unsqueeze
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
    return reduce_losses(losses, total, reduction), (logp.shape, index, kept, w, total, reduction)


@ieee
def nll_loss_backward(dloss: Array, cache: Any) -> Array:
    shape, index, kept, w, total, reduction = cache
    axis = class_axis(len(shape))
    dpicked = np.where(kept, -w * spread(dloss, total, reduction), np.zeros((), dloss.dtype))
    dlogp = np.zeros(shape, dloss.dtype)
    np.put_along_axis(dlogp, index, np.expand_dims(dpicked, axis), axis)
    return dlogp


def reduce_losses(losses: Array, total: Array, reduction: str) -> Array:
    """Return the losses as they are, their sum, or their sum divided by `total`."""
    if reduction == "none":
        return losses
    return losses.sum() / total if reduction == "mean" else losses.sum()


def spread(dloss: Array, total: Array, reduction: str) -> Array:
    """Return the gradient of each example's loss."""
    return dloss / total if reduction == "mean" else dloss


class NLLLoss(Function):
    @staticmethod
    def forward(ctx: Any, logp: Array, labels: Array, weight: Array | None, ignore_index: int, reduction: str) -> Array:
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
    Raises ShapeError for shapes that differ, a label outside 0 … C − 1 (on device `cuda` its loss is nan instead),
    and the mean of an empty batch; DTypeError for labels that are no integers.
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
    return reduce_losses(losses, total, reduction), (logp, wq, w, kept, total, reduction, smoothing)


@ieee
def cross_entropy_backward(dloss: Array, cache: Any, needs: Needs = (True, False)) -> Any:
    logp, wq, w, kept, total, reduction, smoothing = cache
    axis, zero = class_axis(logp.ndim), np.zeros((), logp.dtype)
    dlosses = spread(dloss, total, reduction)
    if reduction == "none":
        dlosses = np.expand_dims(dlosses, axis)
    dx = dtarget = None
    if needs[0]:
        dlosses = np.where(kept, dlosses, zero)  # of an ignored row 0, but a nan in it stays visible
        dx = dlosses * (np.exp(logp) * wq.sum(axis, keepdims=True) - wq)
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
    Raises ShapeError for shapes that differ, a label outside 0 … C − 1 (on device `cuda` its loss is nan instead),
    and the mean of an empty batch; DTypeError for labels that are no integers and probabilities that are no floats.
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
        _check_constant(name, "weight", weight)
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
    classes = input.shape[axis]
    if target.device != "cuda":  # there such a label makes the loss nan: to look would make the host wait for the GPU
        _check_range(name, target, classes, f"input has {classes} classes", ignore_index)


def _check_range(name: str, target: Tensor, classes: int, reason: str, ignore_index: int | None = None) -> None:
    labels = target.data
    wrong = (labels < 0) | (labels >= classes)
    if ignore_index is not None:
        wrong &= labels != ignore_index
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        place = f" at {index if len(index) > 1 else index[0]}" if index else ""
        raise ShapeError(f"{name}: label {labels[index]}{place} is outside 0 … {classes - 1}: {reason}")


# binary_cross_entropy: loss = −(t · ln x + (1 − t) · ln (1 − x)), each logarithm at least −100
# dx = dloss · (x − t) / (x · (1 − x)),  dt = dloss · (ln (1 − x) − ln x)


@ieee
def binary_cross_entropy_forward(x: Array, target: Array) -> tuple[Array, Any]:
    certain, other = (np.maximum(np.log(a), -100) for a in (x, 1 - x))
    return -(target * certain + (1 - target) * other), (x, target)


@ieee
def binary_cross_entropy_backward(dloss: Array, cache: Any, needs: Needs = (True, True)) -> Any:
    x, target = cache
    dx = dloss * (x - target) / np.maximum(x * (1 - x), 1e-12) if needs[0] else None
    return dx, dloss * (np.log(1 - x) - np.log(x)) if needs[1] else None


class BinaryCrossEntropy(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, target: Array) -> Array:
        losses, cache = on(ctx.device, binary_cross_entropy_forward)(x, target)
        ctx.save(cache)
        return losses

    @staticmethod
    def backward(ctx: Any, dloss: Array) -> Any:
        return on(ctx.device, binary_cross_entropy_backward)(dloss, ctx.saved, ctx.needs_input_grad)


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """Return −w · (t · ln x + (1 − t) · ln (1 − x)) for probabilities x of "yes" and targets t from 0 to 1.

    As in PyTorch each logarithm is at least −100, so that the loss of a certain error is finite, and the divisor
    x · (1 − x) of the gradient at least 1e-12. `weight` broadcasts to the input's shape.
    Raises ShapeError for shapes that differ, and for an input or a target outside [0, 1].
    """
    name = "binary_cross_entropy"
    _check_pair(name, input, target, reduction, weight=weight)
    for argument, values in (("input", input.data), ("target", target.data)):
        outside = ~((values >= 0) & (values <= 1))
        if outside.any():
            remedy = "; for scores use binary_cross_entropy_with_logits" if argument == "input" else ""
            raise ShapeError(f"{name}: {argument} holds {values[outside][0]}, needs probabilities in [0, 1]{remedy}")
    losses: Tensor = BinaryCrossEntropy.apply(input, target)
    return _reduced(losses if weight is None else mul(losses, weight), reduction)


# Expressions of other operations


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Return the squared error (x − t)². Raises ShapeError for shapes that differ: nothing is broadcast."""
    _check_pair("mse_loss", input, target, reduction)
    gap = sub(input, target)
    return _reduced(mul(gap, gap), reduction)


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Return the absolute error |x − t|, whose gradient is 0 at x = t.

    Raises ShapeError for shapes that differ: nothing is broadcast.
    """
    _check_pair("l1_loss", input, target, reduction)
    return _reduced(abs(sub(input, target)), reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """Return d² / 2β where d = |x − t| < β, else d − β/2: a parabola with straight ends; β = 0 is `l1_loss`.

    Raises ShapeError for shapes that differ and for β < 0. Source: Girshick 2015, equation 3.
    """
    _check_pair("smooth_l1_loss", input, target, reduction)
    beta = arguments.number("smooth_l1_loss", "beta", beta, 0)
    gap = sub(input, target)
    if beta == 0:
        return _reduced(abs(gap), reduction)
    near = clamp(gap, -beta, beta)
    return _reduced(div(mul(near, sub(gap, mul(near, 0.5))), beta), reduction)  # both cases in one


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Return `binary_cross_entropy` of sigmoid(x), computed from the scores x so that no logarithm overflows.

        loss = w · ((1 − t) · x − (1 + (pos_weight − 1) · t) · ln sigmoid(x))

    `weight` and `pos_weight`, which counts the "yes" part (t = 1), broadcast to the input's shape.
    Raises ShapeError for shapes that differ.
    """
    _check_pair("binary_cross_entropy_with_logits", input, target, reduction, weight=weight, pos_weight=pos_weight)
    yes = logsigmoid(input)
    if pos_weight is not None:
        yes = mul(add(mul(sub(pos_weight, 1), target), 1), yes)
    losses = sub(mul(sub(1, target), input), yes)
    return _reduced(losses if weight is None else mul(losses, weight), reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """Return max(0, margin + ‖a − b‖ − ‖a − n‖): the anchor a is to be nearer to its like b than to n.

    Vectors lie along the last axis: (N, D) → (N,). The p-norm is that of the difference + `eps`. With `swap`,
    ‖b − n‖ counts where it is smaller than ‖a − n‖. Raises ShapeError for shapes that differ, margin ≤ 0 or p ≤ 0.
    Source: Balntas et al. 2016; for faces: Schroff et al. 2015.
    """
    name = "triplet_margin_loss"
    arguments.floats(name, anchor=anchor, positive=positive, negative=negative)
    for argument, value in (("positive", positive), ("negative", negative)):
        _check_same_shape(name, argument, value, "anchor", anchor)
    if not anchor.shape:
        raise ShapeError(f"{name}: anchor is a single number, needs vectors (N, D) or (D,)")
    margin = arguments.number(name, "margin", margin, 0, open_low=True)
    p = arguments.number(name, "p", p, 0, open_low=True)
    eps = arguments.number(name, "eps", eps)
    arguments.flag(name, "swap", swap)
    _check_reduction(name, anchor, reduction)
    far = _distance(anchor, negative, p, eps)
    if swap:
        far = minimum(far, _distance(positive, negative, p, eps))
    return _reduced(clamp(add(sub(_distance(anchor, positive, p, eps), far), margin), min=0), reduction)


def _distance(x: Tensor, y: Tensor, p: float, eps: float) -> Tensor:
    """Return (Σ |x − y + eps|^p)^(1/p) over the last axis; where it is 0 its gradient is 0."""
    gap = abs(add(sub(x, y), eps))
    if p == math.inf:
        return amax(gap, -1)
    total = sum(pow(gap, p), -1)
    zero = total == 0
    return where(zero, 0.0, pow(where(zero, 1.0, total), 1 / p))


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Return the cosine of the angle between vectors, x1 · x2 / (max(‖x1‖, eps) · max(‖x2‖, eps)), along `dim`.

    The two broadcast to one shape first, of which `dim` is an axis. Raises ShapeError where they cannot.
    """
    name = "cosine_similarity"
    arguments.floats(name, x1=x1, x2=x2)
    shape = arguments.broadcast(name, x1.shape, x2.shape)
    x1, x2 = expand(x1, shape), expand(x2, shape)
    axis = arguments.axis(name, x1, dim)
    eps = arguments.number(name, "eps", eps, 0)
    return sum(mul(_directions(x1, axis, eps), _directions(x2, axis, eps)), axis)


def _directions(x: Tensor, axis: int, eps: float) -> Tensor:
    """Return x / max(‖x‖, eps); the gradient of ‖x‖ is 0 where it is 0."""
    total = sum(mul(x, x), axis, keepdim=True)
    zero = total == 0
    return div(x, clamp(where(zero, 0.0, sqrt(where(zero, 1.0, total))), min=eps))


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Return int64 rows that are 1 at the label and 0 elsewhere: labels of any shape (…) → (…, `num_classes`).

    −1 takes the largest label + 1. Raises ShapeError for a label outside 0 … num_classes − 1, and for −1 without
    labels; DTypeError for labels that are not int64.
    """
    name = "one_hot"
    if arguments.tensor(name, "tensor", tensor).dtype != np.int64:
        raise DTypeError(f"{name}: tensor is {tensor.dtype}, labels must be int64; convert them with .long()")
    if num_classes == -1:
        if not tensor.numel():
            raise ShapeError(f"{name}: no labels to count the classes from; give num_classes")
        num_classes = max(int(tensor.data.max()) + 1, 1)
    num_classes = arguments.integer(name, "num_classes", num_classes, 1)
    arguments.possible(name, (*tensor.shape, num_classes))
    _check_range(name, tensor, num_classes, f"there are {num_classes} classes")
    classes = Tensor(np.arange(num_classes), device=tensor.device)
    result: Tensor = (unsqueeze(tensor, -1) == classes).long()
    return result


def _check_pair(name: str, input: Tensor, target: Tensor, reduction: str, **weights: Tensor | None) -> None:
    """Check an input and a target of one shape, and constant weights that broadcast to it."""
    arguments.floats(name, input=input, target=target, **weights)
    _check_same_shape(name, "target", target, "input", input)
    for argument, weight in weights.items():
        if weight is not None:
            if arguments.broadcast(name, input.shape, weight.shape) != input.shape:
                raise ShapeError(f"{name}: {argument} has shape {weight.shape}, must broadcast to {input.shape}")
            _check_constant(name, argument, weight)
    _check_reduction(name, input, reduction)


def _check_same_shape(name: str, argument: str, value: Tensor, other: str, like: Tensor) -> None:
    if value.shape != like.shape:
        raise ShapeError(
            f"{name}: {argument} has shape {value.shape}, {other} has {like.shape}; they must be equal, "
            "since nothing is broadcast here"
        )


def _check_constant(name: str, argument: str, value: Tensor) -> None:
    if value.requires_grad:
        raise GradientError(f"{name}: {argument} requires a gradient and has none here; use {argument}.detach()")


def _reduced(losses: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return losses
    return mean(losses) if reduction == "mean" else sum(losses)

"""The optimisers' update steps on CUDA: launches of `kernels/optim.cu`, one per parameter, on its memory as it lies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .arrays import contiguous, empty, memory_order
from .launch import BLOCK, Family, Launch, ceil_div, per_element

Array = Any
Arrays = Sequence[Array]

MOST_BLOCKS = 128  # that share the sum of one gradient


def _sum_blocks(n: int) -> int:
    return max(1, min(MOST_BLOCKS, ceil_div(n, 4 * BLOCK)))


LAUNCHES = {
    "sgd_update": per_element("n", ("parameter",)),
    "sgd_momentum_update": per_element("n", ("parameter", "buffer")),
    "adam_update": per_element("n", ("parameter", "m", "v", "largest")),
    "rmsprop_update": per_element("n", ("parameter", "v", "average", "buffer")),
    "gradient_powers": Launch(lambda a: (_sum_blocks(a["n"]),)),
    "gradient_norm": Launch(lambda a: (1,)),
    "clip_gradient": per_element("n", ("g",)),
}
kernels = Family("optim", LAUNCHES)


def _update(kernel: str, like: Array, gradient: Array, written: dict[str, Array | None], **numbers: Any) -> None:
    """Launch a kernel that changes `written`, each of like's shape or None where it is not used, in their memory."""
    axes = memory_order(like)
    flat = {
        name: empty(like, (1,)) if a is None else contiguous(a.transpose(axes)) for name, a in written.items()
    }  # fmt: skip
    kernels(kernel, gradient=contiguous(gradient.transpose(axes)), **flat, **numbers, n=like.size)
    for name, a in written.items():
        if a is not None and not a.transpose(axes).flags.c_contiguous:  # the kernel had a copy
            a.transpose(axes)[...] = flat[name]


def sgd_update(
    parameters: Arrays,
    gradients: Arrays,
    momentum_buffers: Arrays,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    common = {"lr": lr, "weight_decay": weight_decay, "maximize": int(maximize)}
    for i, (parameter, gradient) in enumerate(zip(parameters, gradients)):
        if momentum:
            written = {"parameter": parameter, "buffer": momentum_buffers[i]}
            more = {"momentum": momentum, "kept": 1 - dampening, "nesterov": int(nesterov)}
            _update("sgd_momentum_update", parameter, gradient, written, **common, **more)
        else:
            _update("sgd_update", parameter, gradient, {"parameter": parameter}, **common)


def adam_update(
    parameters: Arrays,
    gradients: Arrays,
    exp_avgs: Arrays,
    exp_avg_sqs: Arrays,
    max_exp_avg_sqs: Arrays,
    steps: Sequence[float],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    maximize: bool,
    decoupled: bool,
) -> None:
    for i, (parameter, gradient, m, v, t) in enumerate(zip(parameters, gradients, exp_avgs, exp_avg_sqs, steps)):
        largest = max_exp_avg_sqs[i] if amsgrad else None
        _update(
            "adam_update", parameter, gradient, {"parameter": parameter, "m": m, "v": v, "largest": largest},
            shrink=1 - lr * weight_decay if decoupled else 1.0, rest1=1 - beta1, beta2=beta2, rest2=1 - beta2,
            step=lr / (1 - beta1**t), root=math.sqrt(1 - beta2**t), eps=eps,
            weight_decay=0.0 if decoupled else weight_decay, amsgrad=int(amsgrad), maximize=int(maximize),
        )  # fmt: skip


def rmsprop_update(
    parameters: Arrays,
    gradients: Arrays,
    square_avgs: Arrays,
    grad_avgs: Arrays,
    momentum_buffers: Arrays,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    centered: bool,
    maximize: bool,
) -> None:
    for i, (parameter, gradient, v) in enumerate(zip(parameters, gradients, square_avgs)):
        average, buffer = grad_avgs[i] if centered else None, momentum_buffers[i] if momentum else None
        _update(
            "rmsprop_update", parameter, gradient,
            {"parameter": parameter, "v": v, "average": average, "buffer": buffer}, lr=lr, alpha=alpha,
            rest=1 - alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=int(centered),
            maximize=int(maximize),
        )  # fmt: skip


def gradient_norm(gradients: Arrays, p: float) -> Array:
    blocks = [_sum_blocks(g.size) for g in gradients]
    partial, norm = empty(gradients[0], (sum(blocks),), "float64"), empty(gradients[0], (), "float64")
    how = {"p": 1.0 if math.isinf(p) else p, "largest": int(math.isinf(p))}
    first = 0
    for g, count in zip(gradients, blocks):
        flat = contiguous(g.transpose(memory_order(g)))
        kernels("gradient_powers", g=flat, partial=partial[first : first + count], **how, n=g.size)
        first += count
    kernels("gradient_norm", partial=partial, norm=norm, **how, n=partial.size)
    return norm


def clip_gradients(gradients: Arrays, norm: Array, max_norm: float) -> bool:
    for g in gradients:
        view = g.transpose(memory_order(g))
        flat = contiguous(view)
        kernels("clip_gradient", g=flat, norm=norm, max_norm=max_norm, n=g.size)
        if flat is not view:
            view[...] = flat
    return True

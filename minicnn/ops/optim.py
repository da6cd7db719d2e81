"""The update steps of the optimisers: one function each, over lists of arrays, in place.

Letters: θ a parameter, g its gradient, η the learning rate lr, λ weight_decay, t the number of the step,
counted from 1. The functions write into the parameters and into the state, never into the gradients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .arithmetic import ieee

Array = Any
Arrays = Sequence[Array]


def decayed(parameter: Array, gradient: Array, weight_decay: float, maximize: bool) -> Array:
    """Return g + λ·θ, the gradient of loss + λ/2 · ‖θ‖²; with `maximize` of −loss."""
    if maximize:
        gradient = -gradient
    return gradient + weight_decay * parameter if weight_decay else gradient


# SGD:  b ← μ·b + (1 − dampening)·g,   θ ← θ − η·b;   Nesterov:  θ ← θ − η·(g + μ·b)


@ieee
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
    for i, (parameter, gradient) in enumerate(zip(parameters, gradients)):
        step = decayed(parameter, gradient, weight_decay, maximize)
        if momentum:
            buffer = momentum_buffers[i]
            buffer *= momentum
            buffer += (1 - dampening) * step if dampening else step
            step = step + momentum * buffer if nesterov else buffer
        parameter -= lr * step


# Adam:   m ← m + (1 − β₁)·(g − m),   v ← β₂·v + (1 − β₂)·g²
#         θ ← θ − η · m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε);   amsgrad: the largest v so far instead of v
# AdamW (`decoupled`):  first θ ← (1 − η·λ)·θ, and g without λ·θ


@ieee
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
        if decoupled:
            parameter *= 1 - lr * weight_decay
        g = decayed(parameter, gradient, 0 if decoupled else weight_decay, maximize)
        work = g - m
        work *= 1 - beta1
        m += work
        v *= beta2
        work = np.multiply(g, g, out=np.empty_like(v))
        work *= 1 - beta2
        v += work
        largest = np.maximum(max_exp_avg_sqs[i], v, out=max_exp_avg_sqs[i]) if amsgrad else v
        np.sqrt(largest, out=work)
        work /= math.sqrt(1 - beta2**t)
        work += eps
        np.divide(m, work, out=work)
        work *= lr / (1 - beta1**t)
        parameter -= work


# RMSprop:  v ← α·v + (1 − α)·g²;  centered:  a ← a + (1 − α)·(g − a),  v − a² instead of v
#           θ ← θ − η · g / (√v + ε);   with momentum:  b ← μ·b + g / (√v + ε),  θ ← θ − η·b


@ieee
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
        g = decayed(parameter, gradient, weight_decay, maximize)
        v *= alpha
        work = np.multiply(g, g, out=np.empty_like(v))
        work *= 1 - alpha
        v += work
        if centered:
            average = grad_avgs[i]
            average += (1 - alpha) * (g - average)
            np.multiply(average, average, out=work)
            np.subtract(v, work, out=work)
            np.sqrt(work, out=work)
        else:
            np.sqrt(v, out=work)
        work += eps
        np.divide(g, work, out=work)
        if momentum:
            buffer = momentum_buffers[i]
            buffer *= momentum
            buffer += work
            np.multiply(buffer, lr, out=work)
        else:
            work *= lr
        parameter -= work


# Clipping:  ‖g‖ = (Σ |gᵢ|^p)^(1/p) over all gradients as one long vector,   g ← g · min(1, max_norm / (‖g‖ + 10⁻⁶))


@ieee
def gradient_norm(gradients: Arrays, p: float) -> Array:
    """Return the norm as an array without axes, summed up in float64."""
    return np.asarray(_norm([_norm(gradient, p) for gradient in gradients], p))


def _norm(values: Any, p: float) -> float:
    size = np.abs(np.asarray(values, np.float64))
    if math.isinf(p):
        return float(size.max(initial=0))
    return float((size**p).sum() ** (1 / p))


@ieee
def clip_gradients(gradients: Arrays, norm: Array, max_norm: float) -> bool:
    """Shrink the gradients in place; return whether they may have changed."""
    total = float(norm)
    factor = total if math.isnan(total) else min(1.0, max_norm / (total + 1e-6))
    if factor != 1:
        for gradient in gradients:
            gradient *= factor
    return factor != 1

"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._device import Device, on
from .._tensor import Tensor
from ..errors import ShapeError
from ..ops.optim import adam_update
from .optimizer import Group, Optimizer, at_least_0, below_1, flags


class Adam(Optimizer):
    """θ ← θ − lr · m̂ / (√v̂ + eps), with m̂ and v̂ the running means of the gradient and its square.

    m and v keep the shares betas = (β₁, β₂) of themselves at each step; m̂ = m / (1 − β₁ᵗ) and
    v̂ = v / (1 − β₂ᵗ) make up for their start at 0. `weight_decay` adds weight_decay · θ to the gradient;
    `amsgrad` takes the largest v so far; `maximize` climbs instead. State: step, exp_avg (m), exp_avg_sq (v),
    max_exp_avg_sq.
    Source: Kingma, Ba 2015, algorithm 1; Reddi, Kale, Kumar 2018 (amsgrad).
    """

    _decoupled = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        options = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, options)

    def _check(self, group: Group) -> None:
        name = type(self).__name__
        at_least_0(name, group, "lr", "eps", "weight_decay")
        flags(name, group, "amsgrad", "maximize")
        betas = group["betas"]
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ShapeError(f"{name}: betas is {betas!r}, needs two numbers")
        group["betas"] = tuple(below_1(name, f"betas[{i}]", beta) for i, beta in enumerate(betas))

    def _update(self, device: Device, group: Group, parameters: list[Tensor]) -> None:
        beta1, beta2 = group["betas"]
        on(device, adam_update)(
            [p.data for p in parameters],
            [p.grad.data for p in parameters if p.grad is not None],
            self._arrays(parameters, "exp_avg"),
            self._arrays(parameters, "exp_avg_sq"),
            self._arrays(parameters, "max_exp_avg_sq") if group["amsgrad"] else [],
            self._steps(parameters),  # counted last: nothing after it is refused
            group["lr"],
            beta1,
            beta2,
            group["eps"],
            group["weight_decay"],
            group["amsgrad"],
            group["maximize"],
            self._decoupled,
        )


class AdamW(Adam):
    """Adam whose weight decay does not pass through the running means: first θ ← (1 − lr · weight_decay) · θ.

    Source: Loshchilov, Hutter 2019, algorithm 2.
    """

    _decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)

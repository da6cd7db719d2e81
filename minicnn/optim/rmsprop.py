"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._device import Device, on
from .._tensor import Tensor
from ..ops import arguments
from ..ops.optim import rmsprop_update
from .optimizer import Group, Optimizer, at_least_0, flags


class RMSprop(Optimizer):
    """θ ← θ − lr · g / (√v + eps), with v the running mean of the gradient's square, of which it keeps alpha.

    `centered` subtracts the square of the gradient's running mean from v; `momentum` sums the steps up as SGD
    does; `weight_decay` adds weight_decay · θ to g; `maximize` climbs instead. State: step, square_avg (v),
    momentum_buffer, grad_avg.
    Source: Hinton 2012, lecture 6e; Graves 2013, section 4.2 (centered).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        options = {
            "lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum,
            "centered": centered, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, options)

    def _check(self, group: Group) -> None:
        at_least_0("RMSprop", group, "lr", "eps", "weight_decay", "momentum")
        group["alpha"] = arguments.number("RMSprop", "alpha", group["alpha"], 0, 1)
        flags("RMSprop", group, "centered", "maximize")

    def _update(self, device: Device, group: Group, parameters: list[Tensor]) -> None:
        on(device, rmsprop_update)(
            [p.data for p in parameters],
            [p.grad.data for p in parameters if p.grad is not None],
            self._arrays(parameters, "square_avg"),
            self._arrays(parameters, "grad_avg") if group["centered"] else [],
            self._arrays(parameters, "momentum_buffer") if group["momentum"] else [],
            group["lr"],
            group["alpha"],
            group["eps"],
            group["weight_decay"],
            group["momentum"],
            group["centered"],
            group["maximize"],
        )
        self._steps(parameters)

"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._device import Device, on
from .._tensor import Tensor
from ..errors import ShapeError
from ..ops import arguments
from ..ops.optim import sgd_update
from .optimizer import Group, Optimizer, at_least_0, flags


class SGD(Optimizer):
    """θ ← θ − lr · b with b ← momentum · b + (1 − dampening) · g; without momentum b is the gradient g.

    The first b is g itself. `weight_decay` adds weight_decay · θ to g; `nesterov` takes g + momentum · b in
    place of b; `maximize` climbs instead. State: momentum_buffer.
    Source: Sutskever, Martens, Dahl, Hinton 2013, section 2, with b in units of the gradient.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        options = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, options)

    def _check(self, group: Group) -> None:
        at_least_0("SGD", group, "lr", "momentum", "weight_decay")
        group["dampening"] = arguments.number("SGD", "dampening", group["dampening"])
        flags("SGD", group, "nesterov", "maximize")
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ShapeError("SGD: nesterov=True needs a momentum above 0 and dampening=0")

    def _update(self, device: Device, group: Group, parameters: list[Tensor]) -> None:
        if group["momentum"] == 0:
            self._run(device, group, parameters, [], group["dampening"])
            return
        new = [p for p in parameters if self.state.get(p, {}).get("momentum_buffer") is None]
        for parameter in new:
            self.state.pop(parameter, None)
        old = [p for p in parameters if p in self.state]
        for some, dampening in ((new, 0.0), (old, group["dampening"])):  # the first buffer is the gradient itself
            if some:
                self._run(device, group, some, self._arrays(some, "momentum_buffer"), dampening)

    def _run(self, device: Device, group: Group, parameters: list[Tensor], buffers: list[Any], damp: float) -> None:
        on(device, sgd_update)(
            [p.data for p in parameters],
            [p.grad.data for p in parameters if p.grad is not None],
            buffers,
            group["lr"],
            group["momentum"],
            damp,
            group["weight_decay"],
            group["nesterov"],
            group["maximize"],
        )

"""The loss, the optimiser and the schedule that a config stands for."""

from __future__ import annotations

from typing import Any

from .. import nn, optim
from ..optim import lr_scheduler
from .config import Config


def loss_function(config: Config) -> nn.Module:
    """Return the loss that a run minimises."""
    return nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)


def optimizer(config: Config, parameters: list[Any]) -> optim.Optimizer:
    """Return a run's optimiser."""
    if config.optimizer == "sgd":
        return optim.SGD(parameters, config.lr, momentum=config.momentum, weight_decay=config.weight_decay)
    kinds: dict[str, type[optim.Adam | optim.RMSprop]] = {
        "adamw": optim.AdamW, "adam": optim.Adam, "rmsprop": optim.RMSprop,
    }  # fmt: skip
    return kinds[config.optimizer](parameters, lr=config.lr, weight_decay=config.weight_decay)


def scheduler(config: Config, of: optim.Optimizer, steps: int) -> lr_scheduler.LRScheduler:
    """Return a run's schedule, to be moved on after each of its `steps` steps."""
    if config.schedule == "onecycle":
        # One step more than there are: after the last one a schedule has a next rate, too.
        return lr_scheduler.OneCycleLR(of, max_lr=config.lr, total_steps=steps + 1, cycle_momentum=False)
    if config.schedule == "cosine":
        return lr_scheduler.CosineAnnealingLR(of, T_max=steps)
    return lr_scheduler.LambdaLR(of, lambda step: 1.0)

"""Schedulers: how the learning rate changes from step to step.

A scheduler is made after the optimiser, sets the first learning rate at once, and moves on with each
`scheduler.step()`, called after `optimizer.step()` once per epoch (`OneCycleLR`: once per batch). Most change
the rate that is there by a factor, so several can work on one optimiser; the values are PyTorch's.

Letters in the formulas: η the learning rate, η₀ the first one, e the number of steps made.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from ..errors import CheckpointError, DTypeError, ShapeError
from ..ops import arguments
from .optimizer import Optimizer


class _Scheduler:
    """What all schedulers have: the optimiser, the count of steps, and the state."""

    last_epoch: int
    _not_in_state: tuple[str, ...] = ("optimizer",)

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise DTypeError(f"{type(self).__name__}: optimizer must be an Optimizer, got {type(optimizer).__name__}")
        self.optimizer = optimizer

    def get_last_lr(self) -> list[float]:
        """Return the learning rate of each parameter group, as set by the last step."""
        return list(self._last_lr)

    def _remember(self) -> None:
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return everything but the optimiser, whose own state holds the learning rates."""
        return {name: value for name, value in self.__dict__.items() if name not in self._not_in_state}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue where another scheduler of this kind was; load the optimiser's state as well."""
        name = type(self).__name__
        expected = set(self.state_dict())
        if not isinstance(state_dict, Mapping) or set(state_dict) != expected:
            got = sorted(state_dict) if isinstance(state_dict, Mapping) else type(state_dict).__name__
            raise CheckpointError(f"{name}: load_state_dict got {got}, needs {sorted(expected)}")
        self.__dict__.update(state_dict)

    def _per_group(self, argument: str, value: Any, low: float = -math.inf) -> list[float]:
        """Return one number for each parameter group."""
        name, count = type(self).__name__, len(self.optimizer.param_groups)
        if isinstance(value, (list, tuple)):
            if len(value) != count:
                raise ShapeError(f"{name}: {argument} has {len(value)} numbers, there are {count} parameter groups")
            return [arguments.number(name, argument, v, low) for v in value]
        return [arguments.number(name, argument, value, low)] * count


class LRScheduler(_Scheduler):
    """The base of schedulers that count steps: write one by giving `get_lr`.

    `last_epoch` is the number of the last step when training goes on without a state; then the groups must
    have "initial_lr".
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        super().__init__(optimizer)
        self.last_epoch = arguments.integer(type(self).__name__, "last_epoch", last_epoch, -1)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ShapeError(
                    f'{type(self).__name__}: last_epoch is {last_epoch}, but param_groups[{i}] has no "initial_lr"; '
                    "load the optimiser's state first, or start with last_epoch=-1"
                )
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self._begin()

    def get_lr(self) -> list[float]:
        """Return the learning rate of each group for step `last_epoch`; the groups still have the former."""
        raise NotImplementedError(f"{type(self).__name__} needs a method get_lr(self)")

    def step(self) -> None:
        """Set the next learning rates."""
        self.last_epoch += 1
        self._set(self.get_lr())

    def _set(self, rates: Iterable[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates):
            group["lr"] = rate
        self._remember()

    def _begin(self) -> None:
        """Set the learning rates of the first step, or, with another `last_epoch`, of the one after it."""
        self.last_epoch += 1
        self._set(self._first_lr())

    def _first_lr(self) -> list[float]:
        return self.get_lr()

    def _restart(self) -> None:
        """Go back to step 0."""
        self.last_epoch = 0
        self._set(self.base_lrs)
        self._set(self.get_lr())

    def _undo(self) -> None:
        """Take the first step back, for `SequentialLR`, which sets the learning rates itself."""
        self.last_epoch -= 1

    @property
    def _current(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]


class StepLR(LRScheduler):
    """η = η₀ · gamma^⌊e / step_size⌋."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = arguments.integer("StepLR", "step_size", step_size, 1)
        self.gamma = arguments.number("StepLR", "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the learning rate of each group."""
        if self.last_epoch == 0 or self.last_epoch % self.step_size:
            return self._current
        return [lr * self.gamma for lr in self._current]


class MultiStepLR(LRScheduler):
    """η = η₀ · gamma^(number of milestones ≤ e)."""

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = sorted(arguments.integer("MultiStepLR", "milestones", m, 0) for m in milestones)
        self.gamma = arguments.number("MultiStepLR", "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the learning rate of each group."""
        factor = self.gamma ** self.milestones.count(self.last_epoch)
        return [lr * factor for lr in self._current]


class ConstantLR(LRScheduler):
    """η = η₀ · factor for e < total_iters, then η₀."""

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        self.factor = arguments.number("ConstantLR", "factor", factor, 0, 1, open_low=True)
        self.total_iters = arguments.integer("ConstantLR", "total_iters", total_iters, 0)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the learning rate of each group."""
        if self.last_epoch == 0:
            return [lr * self.factor for lr in self._current]
        if self.last_epoch == self.total_iters:
            return [lr * (1 / self.factor) for lr in self._current]
        return self._current


class LinearLR(LRScheduler):
    """η = η₀ · (a + (b − a) · min(e, T) / T): from a = start_factor straight to b = end_factor in T = total_iters."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = arguments.number("LinearLR", "start_factor", start_factor, 0, 1, open_low=True)
        self.end_factor = arguments.number("LinearLR", "end_factor", end_factor, 0, 1)
        self.total_iters = arguments.integer("LinearLR", "total_iters", total_iters, 1)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the learning rate of each group."""
        if self.last_epoch == 0:
            return [lr * self.start_factor for lr in self._current]
        if self.last_epoch > self.total_iters:
            return self._current
        rise = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return [lr * (1 + rise / before) for lr in self._current]

    def _first_lr(self) -> list[float]:
        return self.get_lr() if self.last_epoch == 0 else self._current


class ExponentialLR(LRScheduler):
    """η = η₀ · gamma^e."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = arguments.number("ExponentialLR", "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the learning rate of each group."""
        return self._current if self.last_epoch == 0 else [lr * self.gamma for lr in self._current]

    def _first_lr(self) -> list[float]:
        return self._current


class LambdaLR(LRScheduler):
    """η = η₀ · lr_lambda(e), with one function, or one for each parameter group."""

    _not_in_state = ("optimizer", "lr_lambdas")  # functions are not saved

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        count = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * count if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != count:
            raise ShapeError(
                f"LambdaLR: lr_lambda has {len(self.lr_lambdas)} functions, there are {count} parameter groups"
            )
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the learning rate of each group."""
        return [lr * function(self.last_epoch) for lr, function in zip(self.base_lrs, self.lr_lambdas)]


class CosineAnnealingLR(LRScheduler):
    """η = eta_min + (η₀ − eta_min) · (1 + cos(π · e / T_max)) / 2: down in T_max steps, up in as many, and so on.

    Source: Loshchilov, Hutter 2017, equation 5, without restarts.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = arguments.integer("CosineAnnealingLR", "T_max", T_max, 1)
        self.eta_min = arguments.number("CosineAnnealingLR", "eta_min", eta_min)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the learning rate of each group."""
        if self.last_epoch == 0:
            return self._current
        angle = math.pi / self.T_max
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:  # from the lowest point there is no ratio
            rise = (1 - math.cos(angle)) / 2
            return [lr + (base - self.eta_min) * rise for lr, base in zip(self._current, self.base_lrs)]
        ratio = (1 + math.cos(angle * self.last_epoch)) / (1 + math.cos(angle * (self.last_epoch - 1)))
        return [self.eta_min + ratio * (lr - self.eta_min) for lr in self._current]

    def _first_lr(self) -> list[float]:
        return self._current


class OneCycleLR(LRScheduler):
    """Up from max_lr / div_factor to max_lr in the first `pct_start` of the steps, then down to almost nothing.

    Between two points the rate goes along half a cosine wave, or straight (`anneal_strategy="linear"`). The end
    is the first rate / final_div_factor; with `three_phase` the way down is as steep as the way up, and from
    the first rate to the end takes the remaining steps. `cycle_momentum` lets the momentum (Adam: β₁) go from
    `max_momentum` down to `base_momentum` and back meanwhile. `max_lr` and the momenta are numbers or one
    number for each parameter group. The number of steps is `total_steps`, or `epochs` · `steps_per_epoch`;
    a step more is refused with ShapeError.
    Source: Smith, Topin 2018, section 3.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        name = "OneCycleLR"
        _Scheduler.__init__(self, optimizer)
        if total_steps is not None:
            self.total_steps = arguments.integer(name, "total_steps", total_steps, 1)
        elif epochs is not None and steps_per_epoch is not None:
            self.total_steps = arguments.integer(name, "epochs", epochs, 1)
            self.total_steps *= arguments.integer(name, "steps_per_epoch", steps_per_epoch, 1)
        else:
            raise ShapeError(f"{name}: needs total_steps, or epochs and steps_per_epoch")
        self.pct_start = arguments.number(name, "pct_start", pct_start, 0, 1)
        self.anneal_strategy = arguments.choice(name, "anneal_strategy", anneal_strategy, ("cos", "linear"))
        self.cycle_momentum = arguments.flag(name, "cycle_momentum", cycle_momentum)
        self.three_phase = arguments.flag(name, "three_phase", three_phase)
        arguments.number(name, "div_factor", div_factor, 0, open_low=True)
        arguments.number(name, "final_div_factor", final_div_factor, 0, open_low=True)
        has = set(optimizer.defaults)
        if self.cycle_momentum and not has & {"momentum", "betas"}:
            raise ShapeError(
                f"{name}: {type(optimizer).__name__} has no momentum and no betas; use cycle_momentum=False"
            )
        self.use_beta1 = "betas" in has
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, self._per_group("max_lr", max_lr, 0)):
                first = rate / div_factor
                group.update(initial_lr=first, max_lr=rate, min_lr=first / final_div_factor)
            if self.cycle_momentum:
                lowest = self._per_group("base_momentum", base_momentum)
                highest = self._per_group("max_momentum", max_momentum)
                for group, low, high in zip(optimizer.param_groups, lowest, highest):
                    group.update(max_momentum=high, base_momentum=low)
        super().__init__(optimizer, last_epoch)

    def _corners(self) -> list[tuple[float, str, str]]:
        """Return the points between which the curves run: the step, and the names of rate and momentum there."""
        top, last = self.pct_start * self.total_steps - 1, self.total_steps - 1
        corners: list[tuple[float, str, str]] = [
            (0, "initial_lr", "max_momentum"),
            (top, "max_lr", "base_momentum"),
            (last, "min_lr", "max_momentum"),
        ]
        if self.three_phase:
            corners.insert(2, (2 * top, "initial_lr", "max_momentum"))
        return corners

    def get_lr(self) -> list[float]:
        """Return the learning rate of each group; set the momenta."""
        if self.last_epoch > self.total_steps:
            raise ShapeError(f"OneCycleLR: step {self.last_epoch} comes after the end, total_steps={self.total_steps}")
        phases = list(pairwise(self._corners()))
        phase = next((p for p in phases if self.last_epoch <= p[1][0]), phases[-1])
        (start, *before), (end, *after) = phase
        progress = (self.last_epoch - start) / (end - start) if end != start else 1.0
        if self.anneal_strategy == "cos":
            progress = (1 - math.cos(math.pi * progress)) / 2

        def between(group: dict[str, Any], corner: int) -> float:
            first, second = group[before[corner]], group[after[corner]]
            value: float = first + (second - first) * progress
            return value

        for group in self.optimizer.param_groups if self.cycle_momentum else ():
            if self.use_beta1:
                group["betas"] = (between(group, 1), *group["betas"][1:])
            else:
                group["momentum"] = between(group, 1)
        return [between(group, 0) for group in self.optimizer.param_groups]


class SequentialLR(LRScheduler):
    """One scheduler after the other: scheduler i + 1 starts, at its step 0, at step milestones[i]."""

    _not_in_state = ("optimizer", "_schedulers")

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        name = "SequentialLR"
        _Scheduler.__init__(self, optimizer)
        for i, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler):
                raise DTypeError(
                    f"{name}: schedulers[{i}] must be a scheduler that counts steps, got {type(scheduler).__name__}"
                )
            if scheduler.optimizer is not optimizer:
                raise ShapeError(f"{name}: schedulers[{i}] belongs to another optimizer")
        if not schedulers or len(milestones) != len(schedulers) - 1:
            raise ShapeError(
                f"{name}: {len(schedulers)} schedulers need {max(len(schedulers) - 1, 0)} milestones between them, "
                f"got {len(milestones)}"
            )
        self.milestones = [arguments.integer(name, "milestones", milestone, 0) for milestone in milestones]
        if self.milestones != sorted(self.milestones):
            raise ShapeError(f"{name}: milestones are {self.milestones}, must ascend")
        self._schedulers = list(schedulers)
        self.last_epoch = arguments.integer(name, "last_epoch", last_epoch, -1)
        # Making the schedulers has made the first step of each; undo that, and make the first one's again.
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self._set(self.base_lrs)
        for scheduler in self._schedulers:
            scheduler._undo()
        self._begin()

    def _begin(self) -> None:
        self.last_epoch += 1
        self._schedulers[bisect_right(self.milestones, 0)]._begin()
        self._remember()

    def _undo(self) -> None:
        super()._undo()
        for scheduler in self._schedulers:
            scheduler._undo()

    def _restart(self) -> None:
        self.last_epoch = 0
        self._schedulers[bisect_right(self.milestones, 0)]._restart()
        self._remember()

    def step(self) -> None:
        """Set the next learning rates."""
        self.last_epoch += 1
        current = bisect_right(self.milestones, self.last_epoch)
        if current and self.milestones[current - 1] == self.last_epoch:
            self._schedulers[current]._restart()
        else:
            self._schedulers[current].step()
        self._remember()

    def state_dict(self) -> dict[str, Any]:
        """Return the state, with that of all its schedulers in a list."""
        return {**super().state_dict(), "_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue where another scheduler of this kind was; load the optimiser's state as well."""
        schedulers = self._schedulers
        super().load_state_dict(state_dict)
        states, self._schedulers = self.__dict__["_schedulers"], schedulers
        for scheduler, state in zip(schedulers, states):
            scheduler.load_state_dict(state)


class ReduceLROnPlateau(_Scheduler):
    """η ← max(η · factor, min_lr) when `step(metric)` has seen no better metric for more than `patience` steps.

    Better means lower (`mode="min"`) or higher ("max") than the best so far by more than `threshold`, as a
    share of it ("rel") or as it is ("abs"). After a reduction nothing counts for `cooldown` steps. A reduction
    by less than `eps` is left out.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        name = "ReduceLROnPlateau"
        super().__init__(optimizer)
        self.mode = arguments.choice(name, "mode", mode, ("min", "max"))
        self.factor = arguments.number(name, "factor", factor)
        if self.factor >= 1:
            raise ShapeError(f"{name}: factor is {factor}, needs a number below 1")
        self.patience = arguments.integer(name, "patience", patience, 0)
        self.threshold = arguments.number(name, "threshold", threshold)
        self.threshold_mode = arguments.choice(name, "threshold_mode", threshold_mode, ("rel", "abs"))
        self.cooldown = arguments.integer(name, "cooldown", cooldown, 0)
        self.min_lrs = self._per_group("min_lr", min_lr, 0)
        self.eps = arguments.number(name, "eps", eps)
        self.last_epoch = 0
        self.best = math.inf if self.mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self._remember()

    def step(self, metrics: Any) -> None:
        """Look at the newest metric, a number or a tensor with one element, and set the learning rates."""
        value = float(metrics)
        self.last_epoch += 1
        if self._is_better(value):
            self.best = value
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group, lowest in zip(self.optimizer.param_groups, self.min_lrs):
                reduced = max(group["lr"] * self.factor, lowest)
                if group["lr"] - reduced > self.eps:
                    group["lr"] = reduced
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._remember()

    def _is_better(self, value: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        margin = sign * self.threshold
        bar = self.best * (1 + margin) if self.threshold_mode == "rel" else self.best + margin
        return value > bar if self.mode == "max" else value < bar

"""Each scheduler with each option gives PyTorch's learning rates and momenta over its whole range."""

import math
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn import nn, optim
from minicnn.errors import CheckpointError, DTypeError, ShapeError
from minicnn.optim import lr_scheduler as ours_module

CASES: list[tuple[str, dict[str, Any], int]] = [
    ("StepLR", {"step_size": 3}, 20),
    ("StepLR", {"step_size": 1, "gamma": 0.7}, 20),
    ("MultiStepLR", {"milestones": [2, 5, 5, 11], "gamma": 0.3}, 15),
    ("MultiStepLR", {"milestones": [0, 7]}, 15),
    ("ConstantLR", {}, 8),
    ("ConstantLR", {"factor": 0.2, "total_iters": 3}, 8),
    ("LinearLR", {}, 10),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.6, "total_iters": 7}, 12),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 4}, 8),
    ("ExponentialLR", {"gamma": 0.8}, 12),
    ("LambdaLR", {"lr_lambda": lambda epoch: 1 / (1 + epoch)}, 12),
    ("LambdaLR", {"lr_lambda": [lambda epoch: 0.5**epoch, lambda epoch: 2.0]}, 12),
    ("CosineAnnealingLR", {"T_max": 10}, 45),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}, 45),
    ("CosineAnnealingLR", {"T_max": 1}, 6),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 30}, 30),
    ("OneCycleLR", {"max_lr": [0.3, 0.1], "epochs": 5, "steps_per_epoch": 7, "pct_start": 0.4}, 35),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 31, "anneal_strategy": "linear", "div_factor": 10.0}, 31),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 40, "three_phase": True, "final_div_factor": 50.0}, 40),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 23, "three_phase": True, "anneal_strategy": "linear"}, 23),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 25, "base_momentum": 0.6, "max_momentum": [0.9, 0.8]}, 25),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 25, "cycle_momentum": False, "pct_start": 0.0}, 25),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 25, "pct_start": 1.0}, 24),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 1}, 1),
]


def optimizers(name: str = "SGD", **options: Any) -> tuple[Any, Any]:
    """Return the optimiser and PyTorch's, with two groups of different learning rates."""

    def build(make: Any, library: Any) -> Any:
        groups = [{"params": [make()]}, {"params": [make()], "lr": 0.02}]
        return getattr(library, name)(groups, lr=0.1, **options)

    return build(lambda: nn.Parameter([1.0]), optim), build(
        lambda: torch.nn.Parameter(torch.tensor([1.0])), torch.optim
    )


def values(optimizer: Any) -> list[float]:
    """Return the learning rates and momenta of all groups."""
    found = []
    for group in optimizer.param_groups:
        found += [group["lr"], *group.get("betas", ()), group.get("momentum", 0.0)]
    return found


def assert_same(ours: Any, theirs: Any, optimizer: Any, expected: Any) -> None:
    np.testing.assert_allclose(values(optimizer), values(expected), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(ours.get_last_lr(), theirs.get_last_lr(), rtol=1e-12, atol=1e-15)
    assert ours.last_epoch == theirs.last_epoch


def assert_same_sequences(make: Callable[[Any, Any], Any], steps: int, name: str = "SGD", **options: Any) -> None:
    """Make the scheduler of both libraries, and compare what it sets."""
    optimizer, expected = optimizers(name, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, about the order of steps
        ours, theirs = make(ours_module, optimizer), make(torch.optim.lr_scheduler, expected)
        assert_same(ours, theirs, optimizer, expected)
        for _ in range(steps):
            ours.step()
            theirs.step()
            assert_same(ours, theirs, optimizer, expected)


@pytest.mark.parametrize("case", CASES, ids=lambda case: re.sub(" at 0x[0-9a-f]+", "", f"{case[0]}-{case[1]}"))
def test_learning_rates_are_pytorchs(case: tuple[str, dict[str, Any], int]) -> None:
    name, options, steps = case
    assert_same_sequences(lambda library, opt: getattr(library, name)(opt, **options), steps, momentum=0.9)


@pytest.mark.parametrize("case", [c for c in CASES if c[0] == "OneCycleLR"], ids=lambda case: str(case[1]))
def test_the_cycle_moves_adams_first_beta_as_pytorch(case: tuple[str, dict[str, Any], int]) -> None:
    _, options, steps = case
    assert_same_sequences(lambda library, opt: library.OneCycleLR(opt, **options), steps, "AdamW")


@pytest.mark.parametrize("case", [c for c in CASES if c[0] not in ("OneCycleLR", "LambdaLR")], ids=str)
def test_going_on_from_a_given_step_is_pytorchs(case: tuple[str, dict[str, Any], int]) -> None:
    name, options, _ = case

    def make(library: Any, optimizer: Any) -> Any:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        return getattr(library, name)(optimizer, **options, last_epoch=4)

    assert_same_sequences(make, 6)


def test_two_schedulers_on_one_optimizer_are_pytorchs() -> None:
    optimizer, expected = optimizers()
    pairs = []
    for library, opt in ((ours_module, optimizer), (torch.optim.lr_scheduler, expected)):
        pairs.append(
            [library.LinearLR(opt, 0.1, total_iters=4), library.ExponentialLR(opt, 0.9), library.StepLR(opt, 3, 0.5)]
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(10):
            for scheduler in (*pairs[0], *pairs[1]):
                scheduler.step()
            for ours, theirs in zip(*pairs):
                assert_same(ours, theirs, optimizer, expected)


@pytest.mark.parametrize(
    "parts",
    [
        ([("LinearLR", {"start_factor": 0.1, "total_iters": 4}), ("CosineAnnealingLR", {"T_max": 12})], [4]),
        ([("ConstantLR", {"factor": 0.1, "total_iters": 2}), ("ExponentialLR", {"gamma": 0.9})], [2]),
        ([("ExponentialLR", {"gamma": 0.5}), ("StepLR", {"step_size": 2}), ("LinearLR", {})], [3, 9]),
        ([("LinearLR", {}), ("MultiStepLR", {"milestones": [0, 2]}), ("OneCycleLR", {"max_lr": 1, "total_steps": 9})],
         [5, 9]),
        ([("LinearLR", {}), ("LambdaLR", {"lr_lambda": lambda e: 0.9**e})], [1]),
        ([("StepLR", {"step_size": 2})], []),
    ],
    ids=lambda parts: "-".join(name for name, _ in parts[0]),
)  # fmt: skip
def test_sequences_are_pytorchs(parts: tuple[list[tuple[str, dict[str, Any]]], list[int]]) -> None:
    schedulers, milestones = parts

    def make(library: Any, optimizer: Any) -> Any:
        built = [getattr(library, name)(optimizer, **options) for name, options in schedulers]
        return library.SequentialLR(optimizer, built, milestones)

    assert_same_sequences(make, 18, momentum=0.9)


def test_a_sequence_in_a_sequence_starts_again_at_its_turn() -> None:
    optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0)
    inner = ours_module.SequentialLR(
        optimizer,
        [ours_module.ConstantLR(optimizer, 0.5, 100), ours_module.ConstantLR(optimizer, 0.25, 100)],
        [2],
    )
    outer = ours_module.SequentialLR(optimizer, [ours_module.ConstantLR(optimizer, 0.125, 100), inner], [3])
    seen = [optimizer.param_groups[0]["lr"]]
    for _ in range(6):
        outer.step()
        seen.append(outer.get_last_lr()[0])
    assert seen == [0.125] * 3 + [0.5] * 2 + [0.25] * 2


PLATEAUS: list[dict[str, Any]] = [
    {},
    {"patience": 2, "factor": 0.5},
    {"patience": 1, "mode": "max"},
    {"patience": 0, "threshold": 0.1, "threshold_mode": "abs"},
    {"patience": 0, "threshold": 0.1, "threshold_mode": "abs", "mode": "max"},
    {"patience": 1, "threshold": 0.2, "mode": "max"},
    {"patience": 0, "cooldown": 3, "min_lr": 1e-3},
    {"patience": 0, "min_lr": [1e-2, 5e-3], "eps": 1e-2},
]


@pytest.mark.parametrize("options", PLATEAUS, ids=str)
def test_plateaus_are_pytorchs(options: dict[str, Any]) -> None:
    optimizer, expected = optimizers()
    ours = ours_module.ReduceLROnPlateau(optimizer, **options)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(expected, **options)
    rng = np.random.default_rng(0)
    metrics = [*np.linspace(3, 1, 10), *rng.uniform(0.5, 1.5, 30), math.nan, math.inf, -1.0, *np.full(15, -1.0)]
    for metric in metrics:
        ours.step(mc.tensor(metric))
        theirs.step(torch.tensor(metric, dtype=torch.float64))
        assert_same(ours, theirs, optimizer, expected)
        assert (ours.best, ours.num_bad_epochs) == (theirs.best, theirs.num_bad_epochs)


@pytest.mark.parametrize("name", ["StepLR", "OneCycleLR", "SequentialLR", "ReduceLROnPlateau", "LambdaLR"])
def test_state_continues(name: str) -> None:
    def make() -> tuple[Any, Any]:
        optimizer = optim.AdamW([nn.Parameter([1.0])], lr=0.1)
        step = [optimizer]
        if name == "SequentialLR":
            parts = [ours_module.LinearLR(optimizer), ours_module.CosineAnnealingLR(optimizer, 9)]
            return optimizer, ours_module.SequentialLR(optimizer, parts, [5])
        options = {"StepLR": {"step_size": 3}, "OneCycleLR": {"max_lr": 0.5, "total_steps": 20},
                   "ReduceLROnPlateau": {"patience": 1}, "LambdaLR": {"lr_lambda": lambda e: 0.9**e}}[name]  # fmt: skip
        return optimizer, getattr(ours_module, name)(*step, **options)

    def step(scheduler: Any) -> None:
        scheduler.step(1.0) if name == "ReduceLROnPlateau" else scheduler.step()

    optimizer, scheduler = make()
    for _ in range(7):
        step(scheduler)
    second_optimizer, second = make()
    second_optimizer.load_state_dict(optimizer.state_dict())
    second.load_state_dict(scheduler.state_dict())
    assert plain(scheduler.state_dict())
    for _ in range(8):
        step(scheduler)
        step(second)
        assert values(optimizer) == values(second_optimizer)
        assert scheduler.get_last_lr() == second.get_last_lr()


def plain(state: Any) -> bool:
    """Return whether a state consists of what a checkpoint can hold."""
    if isinstance(state, dict):
        return all(isinstance(key, str) and plain(value) for key, value in state.items())
    if isinstance(state, (list, tuple)):
        return all(map(plain, state))
    return state is None or isinstance(state, (str, bool, int, float))


def test_a_cycle_whose_first_phase_is_no_step_long() -> None:
    optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0, momentum=0.9)
    scheduler = ours_module.OneCycleLR(optimizer, 0.5, total_steps=10, pct_start=0.1)
    assert scheduler.get_last_lr() == [0.5]  # PyTorch divides by zero here


def test_own_schedulers() -> None:
    class Halving(ours_module.LRScheduler):
        def get_lr(self) -> list[float]:
            return [lr / 2**self.last_epoch for lr in self.base_lrs]

    scheduler = Halving(optim.SGD([nn.Parameter([1.0])], lr=1.0))
    scheduler.step()
    scheduler.step()
    assert scheduler.get_last_lr() == [0.25]
    with pytest.raises(NotImplementedError, match="LRScheduler needs a method get_lr"):
        ours_module.LRScheduler(optim.SGD([nn.Parameter([1.0])]))


def sgd() -> optim.SGD:
    return optim.SGD([nn.Parameter([1.0])], lr=1.0)


class Plain(optim.Optimizer):
    """An optimiser without momentum."""


REFUSALS = [
    (lambda: ours_module.StepLR(3, 1), DTypeError, "StepLR: optimizer must be an Optimizer, got int"),
    (lambda: ours_module.StepLR(sgd(), 0), ShapeError, "StepLR: step_size is 0, needs at least 1"),
    (lambda: ours_module.StepLR(sgd(), 1, last_epoch=3), ShapeError,
     'StepLR: last_epoch is 3, but param_groups[0] has no "initial_lr"'),
    (lambda: ours_module.LinearLR(sgd(), 0), ShapeError, "LinearLR: start_factor is 0, needs a number in (0, 1]"),
    (lambda: ours_module.LinearLR(sgd(), 1, 2), ShapeError, "LinearLR: end_factor is 2, needs a number in [0, 1]"),
    (lambda: ours_module.ConstantLR(sgd(), 2), ShapeError, "ConstantLR: factor is 2, needs a number in (0, 1]"),
    (lambda: ours_module.CosineAnnealingLR(sgd(), 0), ShapeError, "CosineAnnealingLR: T_max is 0, needs at least 1"),
    (lambda: ours_module.LambdaLR(sgd(), [abs, abs]), ShapeError,
     "LambdaLR: lr_lambda has 2 functions, there are 1 parameter groups"),
    (lambda: ours_module.OneCycleLR(sgd(), 1.0), ShapeError,
     "OneCycleLR: needs total_steps, or epochs and steps_per_epoch"),
    (lambda: ours_module.OneCycleLR(sgd(), 1.0, 0), ShapeError, "OneCycleLR: total_steps is 0, needs at least 1"),
    (lambda: ours_module.OneCycleLR(sgd(), [1.0, 2.0], 9), ShapeError,
     "OneCycleLR: max_lr has 2 numbers, there are 1 parameter groups"),
    (lambda: ours_module.OneCycleLR(sgd(), 1.0, 9, pct_start=2), ShapeError, "OneCycleLR: pct_start is 2, needs"),
    (lambda: ours_module.OneCycleLR(sgd(), 1.0, 9, anneal_strategy="sine"), ShapeError,
     "OneCycleLR: anneal_strategy is 'sine', needs one of 'cos', 'linear'"),
    (lambda: ours_module.OneCycleLR(Plain([nn.Parameter([1.0])], {"lr": 1.0}), 1.0, 9), ShapeError,
     "OneCycleLR: Plain has no momentum and no betas; use cycle_momentum=False"),
    (lambda: ours_module.ReduceLROnPlateau(sgd(), factor=1.0), ShapeError,
     "ReduceLROnPlateau: factor is 1.0, needs a number below 1"),
    (lambda: ours_module.ReduceLROnPlateau(sgd(), mode="low"), ShapeError, "ReduceLROnPlateau: mode is 'low', needs"),
    (lambda: ours_module.SequentialLR(sgd(), [], []), ShapeError,
     "SequentialLR: 0 schedulers need 0 milestones between them, got 0"),
    (lambda: ours_module.SequentialLR(sgd(), [ours_module.ReduceLROnPlateau(sgd())], []), DTypeError,
     "SequentialLR: schedulers[0] must be a scheduler that counts steps, got ReduceLROnPlateau"),
    (lambda: ours_module.SequentialLR(sgd(), [ours_module.StepLR(sgd(), 1)], []), ShapeError,
     "SequentialLR: schedulers[0] belongs to another optimizer"),
    (lambda: ours_module.StepLR(sgd(), 1).load_state_dict({"gamma": 1}), CheckpointError,
     "StepLR: load_state_dict got ['gamma'], needs ['_last_lr', 'base_lrs', 'gamma', 'last_epoch', 'step_size']"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "text"), REFUSALS, ids=[r[2] for r in REFUSALS])
def test_refusals(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert text in str(caught.value)


def test_milestones_must_fit_and_ascend() -> None:
    optimizer = sgd()
    parts = [ours_module.StepLR(optimizer, 1) for _ in range(3)]
    with pytest.raises(ShapeError, match="3 schedulers need 2 milestones between them, got 1"):
        ours_module.SequentialLR(optimizer, parts, [4])
    with pytest.raises(ShapeError, match=r"SequentialLR: milestones are \[5, 4\], must ascend"):
        ours_module.SequentialLR(optimizer, parts, [5, 4])


def test_a_step_after_the_end_of_the_cycle_is_refused() -> None:
    optimizer = optim.SGD([nn.Parameter([1.0])], lr=1.0, momentum=0.9)
    scheduler = ours_module.OneCycleLR(optimizer, 1.0, total_steps=3)
    for _ in range(3):
        scheduler.step()
    with pytest.raises(ShapeError, match="OneCycleLR: step 4 comes after the end, total_steps=3"):
        scheduler.step()

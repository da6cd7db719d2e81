"""The training loop: `fit` is what every run of minicnn goes through, and an ordinary loop over batches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .. import nn, optim, random
from .._anomaly import detect_anomaly
from .._tensor import Tensor
from ..checkpoint import load, save
from ..data import DataLoader
from ..errors import CheckpointError, DataError, NumericsError
from ..optim import lr_scheduler
from .config import Config, from_dict, loss_function
from .history import History, Row
from .interrupt import Interruption
from .metrics import accuracy, probabilities

CHECKPOINT = "checkpoint.safetensors"

Report = Callable[[Row, float], None]
Progress = Callable[[int, int], None]


def fit(
    model: nn.Module,
    train_data: Any,
    test_data: Any = None,
    config: Config | Mapping[str, Any] | None = None,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    report: Report | None = None,
    progress: Progress | None = None,
) -> History:
    """Train a model and return one row of numbers per epoch.

    An epoch shows every picture `config.passes` times, in batches of `config.batch_size`; an incomplete last
    batch is left out unless it is the only one. After each epoch, and on Ctrl-C after the step, everything
    is saved in `out`; with `resume` the run goes on from there to the same bytes. `report(row, images per
    second)` is called per epoch, `progress(step, steps)` per step.

    Raises DataError for empty data, CheckpointError when `out` holds another run, and NumericsError that names
    the first operation and layer when the loss or a gradient is no number. KeyboardInterrupt passes through.
    """
    config = config if isinstance(config, Config) else from_dict(config or {})
    if len(train_data) == 0:
        raise DataError("fit: the training data are empty")
    run = _Run(model, train_data, test_data, config, None if out is None else Path(out) / CHECKPOINT)
    if resume:
        run.restore()
    model.train()
    with Interruption() as stop:
        while run.epoch < config.epochs:
            row, speed = run.train_epoch(stop, progress)
            run.history.rows.append(row)
            run.epoch, run.step, run.sums = run.epoch + 1, 0, _no_sums()
            run.save()
            if report is not None:
                report(row, speed)
            if stop.requested:
                raise KeyboardInterrupt
    return run.history


def _no_sums() -> dict[str, float]:
    return {"loss": 0.0, "correct": 0.0, "seen": 0.0, "gradient_norm": 0.0}


class _Run:
    """The state of a run between two steps: all that a checkpoint holds."""

    def __init__(self, model: nn.Module, train: Any, test: Any, config: Config, path: Path | None) -> None:
        self.model, self.test, self.config, self.path = model, test, config, path
        self.epoch, self.step, self.sums, self.history = 0, 0, _no_sums(), History()
        self.loader = DataLoader(
            train, config.batch_size, shuffle=True, seed=config.seed, drop_last=len(train) >= config.batch_size
        )
        self.steps = len(self.loader) * config.passes
        self.loss = loss_function(config)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = _optimizer(self.parameters, config)
        self.scheduler = _scheduler(self.optimizer, config, self.steps * config.epochs)

    def train_epoch(self, stop: Interruption, progress: Progress | None) -> tuple[Row, float]:
        """Train one epoch, or what is left of it."""
        begin, seen = time.perf_counter(), self.sums["seen"]
        for x, y in self._batches():
            self.train_step(x, y)
            self.step += 1
            if progress is not None:
                progress(self.step, self.steps)
            if stop.requested and self.step < self.steps:
                self.save()
                raise KeyboardInterrupt
        speed = (self.sums["seen"] - seen) / (time.perf_counter() - begin)
        lr = self.optimizer.param_groups[0]["lr"]
        test_accuracy = math.nan
        if self.test is not None:
            test_accuracy = accuracy(*probabilities(self.model, self.test, mirror=self.config.mirror))
        return {
            "epoch": float(self.epoch + 1),
            "loss": self.sums["loss"] / self.sums["seen"],
            "train_accuracy": 100 * self.sums["correct"] / self.sums["seen"],
            "test_accuracy": test_accuracy,
            "lr": lr,
            "gradient_norm": self.sums["gradient_norm"] / self.steps,
        }, speed

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of this epoch that have not been used yet."""
        first, skip = divmod(self.step, len(self.loader))
        for i in range(first, self.config.passes):
            self.loader.epoch = self.epoch * self.config.passes + i
            for number, batch in enumerate(self.loader):
                if i > first or number >= skip:
                    yield batch

    def train_step(self, x: Tensor, y: Tensor) -> None:
        """Forward, loss, backward, update: the four lines that all training is."""
        generator = random.get_state()
        self.optimizer.zero_grad()
        logits = self.model(x)
        loss = self.loss(logits, y)
        if not math.isfinite(loss.item()):
            self._explain(x, y, generator, f"the loss is {loss.item()}")
        loss.backward()
        norm = float(optim.clip_grad_norm_(self.parameters, self.config.clip_norm))
        if not math.isfinite(norm):
            self._explain(x, y, generator, f"the norm of the gradients is {norm}")
        self.optimizer.step()
        self.scheduler.step()
        self.sums["loss"] += loss.item() * len(y)
        self.sums["correct"] += float((logits.numpy().argmax(1) == y.numpy()).sum())
        self.sums["seen"] += len(y)
        self.sums["gradient_norm"] += norm

    def _explain(self, x: Tensor, y: Tensor, generator: dict[str, int], what: str) -> None:
        """Repeat the step under watch and raise the error that names the first bad operation."""
        where = f"fit: epoch {self.epoch + 1}, step {self.step + 1}: {what}"
        random.set_state(generator)
        try:
            with detect_anomaly():
                self.loss(self.model(x), y).backward()
        except NumericsError as error:
            raise NumericsError(f"{where}. {error}. A smaller lr ({self.config.lr} now) often helps") from None
        raise NumericsError(f"{where}; every operation alone gave finite numbers, their sum is too large")

    def save(self) -> None:
        """Write the checkpoint, if the run has a folder."""
        if self.path is not None:
            save(self.path, {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scheduler": self.scheduler.state_dict(),
                "random": random.get_state(),
                "epoch": self.epoch,
                "step": self.step,
                "sums": self.sums,
                "history": self.history.rows,
                "config": self.config.to_dict(),
            })  # fmt: skip

    def restore(self) -> None:
        """Continue where the checkpoint was written."""
        if self.path is None:
            raise CheckpointError("fit: resume=True needs out=, the folder of the run")
        state = load(self.path)
        ours = self.config.to_dict()
        for name, value in state["config"].items():
            if name != "epochs" and ours.get(name) != value:
                raise CheckpointError(
                    f"fit: {self.path} belongs to a run with {name}={value!r}, this one has {ours.get(name)!r}"
                )
        if state["config"]["epochs"] != self.config.epochs and self.config.schedule != "constant":
            raise CheckpointError(
                f"fit: {self.path} was planned for {state['config']['epochs']} epochs, its learning rates depend on "
                f"that; this run has {self.config.epochs}"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        random.set_state(state["random"])
        self.epoch, self.step, self.sums = state["epoch"], state["step"], state["sums"]
        self.history = History(state["history"])


def _optimizer(parameters: list[Any], config: Config) -> optim.Optimizer:
    if config.optimizer == "sgd":
        return optim.SGD(parameters, config.lr, momentum=config.momentum, weight_decay=config.weight_decay)
    kind = {"adamw": optim.AdamW, "adam": optim.Adam, "rmsprop": optim.RMSprop}[config.optimizer]
    return kind(parameters, lr=config.lr, weight_decay=config.weight_decay)


def _scheduler(optimizer: optim.Optimizer, config: Config, steps: int) -> Any:
    if config.schedule == "onecycle":
        return lr_scheduler.OneCycleLR(optimizer, max_lr=config.lr, total_steps=steps + 1, cycle_momentum=False)
    if config.schedule == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(steps, 1))
    return lr_scheduler.StepLR(optimizer, step_size=max(steps, 1) + 1)

"""The training loop: `fit` is what every run of minicnn goes through, and an ordinary loop over batches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from .. import functional as F
from .. import nn, optim, random
from .._anomaly import detect_anomaly
from .._device import KERNELS_ONLY
from .._files import write_atomically
from .._tensor import Tensor
from ..autograd import no_grad
from ..checkpoint import load, save
from ..data import DataLoader
from ..errors import CheckpointError, DataError, DTypeError, NumericsError
from .config import Config, from_dict
from .history import History, Row
from .interrupt import Interruption
from .metrics import accuracy, probabilities
from .optimisation import loss_function, optimizer, scheduler

CHECKPOINT = "checkpoint.safetensors"
METRICS = "metrics.csv"
WATCH_STEPS = 16
"""After how many steps the losses are read on a GPU: to read them is to wait until it has done all that was asked."""

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
    """Train a classifier and return one row of numbers per epoch.

    The data are data sets of pairs (input, label), not loaders; `config` is a `Config` or a dict of some of its
    fields. Items come in batches of `batch_size`, in a new order each time all have been seen; what is left over
    after the last whole batch waits for the next time. An epoch is `steps_per_epoch` batches, or one pass.

    With `out`, the folder holds a checkpoint and `metrics.csv` after each epoch, and on Ctrl-C after the step
    under way; `resume=True` goes on from there, and ends with the same bytes as a run that was not interrupted.
    `report(row, items per second)` is called after each epoch, `progress(step, steps)` after each step.
    The same `mc.manual_seed` before the model is made, and the same `seed`, give the same result.

    Raises DataError for empty data or batches, CheckpointError when `out` holds another run, and NumericsError,
    naming the first operation and layer, when the loss or a gradient is no number. Ctrl-C ends in Python's own
    KeyboardInterrupt.
    """
    config = _config(config)
    _check(model, train_data, test_data)
    run = _Run(model, train_data, test_data, config, None if out is None else Path(out))
    if resume:
        run.restore()
    else:
        run.refuse_to_overwrite()
    with Interruption() as stop:
        while run.epoch < config.epochs:
            row, speed = run.train_epoch(stop, progress)
            run.end_epoch(row)
            run.save()
            if report is not None:
                report(row, speed)
            if stop.requested:
                raise KeyboardInterrupt
    return run.history


def _config(config: Any) -> Config:
    if not isinstance(config, (Config, Mapping, type(None))):
        raise DTypeError(f"fit: config must be a Config or a dict of its fields, got {type(config).__name__}")
    return config if isinstance(config, Config) else from_dict(config or {})


def _check(model: Any, train_data: Any, test_data: Any) -> None:
    if not isinstance(model, nn.Module):
        raise DTypeError(f"fit: model must be an nn.Module, got {type(model).__name__}")
    for name, data in (("train_data", train_data), ("test_data", test_data)):
        if isinstance(data, DataLoader):
            raise DTypeError(f"fit: {name} is a DataLoader, needs its data set; batch_size is a field of config")
        if data is not None and not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
            raise DTypeError(f"fit: {name} must be a data set, with a length and items, got {type(data).__name__}")
    if train_data is None or len(train_data) == 0:
        raise DataError("fit: train_data is empty, there is nothing to learn from")
    if test_data is not None and len(test_data) == 0:
        raise DataError("fit: test_data is empty; give None to train without a test")


class _Run:
    """The state of a run between two steps: all that a checkpoint holds."""

    def __init__(self, model: nn.Module, train: Any, test: Any, config: Config, folder: Path | None) -> None:
        self.model, self.test, self.config, self.folder = model, test, config, folder
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.loss = loss_function(config)
        self.optimizer = optimizer(config, self.parameters)
        self.loader = DataLoader(
            train, config.batch_size, shuffle=True, seed=config.seed,
            drop_last=len(train) >= config.batch_size, device=self.parameters[0].device,
        )  # fmt: skip
        self.steps = config.steps_per_epoch or len(self.loader)  # of an epoch
        self.scheduler = scheduler(config, self.optimizer, self.steps * config.epochs)
        self.classes = list(getattr(train, "classes", []))
        self.history = History()
        self.epoch = 0  # epochs done
        self.step = 0  # steps done of the next one
        self.sums = _no_sums()
        self.unread: list[tuple[int, Tensor, Tensor, Tensor, int]] = []  # of steps: their loss, norm, hits, items

    def train_epoch(self, stop: Interruption, progress: Progress | None) -> tuple[Row, float]:
        """Train one epoch, or what is left of it; return its row and how many items a second it took."""
        begin, seen = time.perf_counter(), self.sums["seen"]
        self.model.train()
        for x, y in self._batches():
            lr = self.optimizer.param_groups[0]["lr"]
            self.train_step(x, y)
            self.step += 1
            if progress is not None:
                progress(self.step, self.steps)
            if stop.requested and self.step < self.steps:
                self.read()
                self.save()
                raise KeyboardInterrupt
        self.read()
        speed = (self.sums["seen"] - seen) / (time.perf_counter() - begin)
        test_accuracy = math.nan
        if self.test is not None:
            test_accuracy = accuracy(*probabilities(self.model, self.test, mirror=self.config.mirror))
        return {
            "epoch": self.epoch + 1,
            "loss": self.sums["loss"] / self.sums["seen"],
            "train_accuracy": 100 * self.sums["correct"] / self.sums["seen"],
            "test_accuracy": test_accuracy,
            "lr": lr,
            "gradient_norm": self.sums["gradient_norm"] / self.steps,
        }, speed

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of this epoch that have not been used yet; its epochs are not the loader's passes."""
        while self.step < self.steps:
            self.loader.epoch, used = divmod(self.epoch * self.steps + self.step, len(self.loader))
            left = self.steps - self.step
            for batch in islice(self.loader, used, used + left):
                yield _pair(batch)

    def train_step(self, x: Tensor, y: Tensor) -> None:
        """Forward, loss, backward, update: what all training is."""
        dropout = random.get_state()
        self.optimizer.zero_grad()
        logits = self.model(x)
        loss = self.loss(logits, y)
        at_once = x.device not in KERNELS_ONLY
        if at_once and not math.isfinite(loss.item()):
            self._explain(x, y, dropout, f"the loss is {loss.item()}")
        loss.backward()
        norm = optim.clip_grad_norm_(self.parameters, self.config.clip_norm)
        if at_once and not math.isfinite(norm.item()):
            self._explain(x, y, dropout, f"the norm of the gradients is {norm.item()}")
        self.optimizer.step()
        self.scheduler.step()
        with no_grad():
            correct = (F.argmax(logits, 1) == y).sum()
        self.unread.append((self.step + 1, loss.detach(), norm, correct, len(y)))
        if at_once or len(self.unread) == WATCH_STEPS:
            self.read()

    def read(self) -> None:
        """Add the numbers of the steps that have not been read yet to the sums.

        Raises NumericsError where one is no number: on the devices that are not read at each step, too late to say
        which operation it was.
        """
        for step, loss, norm, correct, count in self.unread:
            for what, value in (("the loss", loss.item()), ("the norm of the gradients", norm.item())):
                if not math.isfinite(value):
                    raise NumericsError(
                        f"fit: epoch {self.epoch + 1}, step {step}: {what} is {value}. Device {loss.device!s} reads "
                        f"them every {WATCH_STEPS} steps; the same run on device cpu names the operation. A smaller lr "
                        f"often helps (it is {self.config.lr})"
                    )
            self.sums["loss"] += loss.item() * count
            self.sums["correct"] += float(correct.item())
            self.sums["seen"] += count
            self.sums["gradient_norm"] += norm.item()
        self.unread.clear()

    def _explain(self, x: Tensor, y: Tensor, dropout: dict[str, int], what: str) -> None:
        """Repeat the step under watch, with the same dropout, and raise an error that names the first bad operation."""
        where = f"fit: epoch {self.epoch + 1}, step {self.step + 1}: {what}"
        random.set_state(dropout)
        try:
            with detect_anomaly():
                self.loss(self.model(x), y).backward()
        except NumericsError as error:
            raise NumericsError(f"{where}. {error}. A smaller lr often helps (it is {self.config.lr})") from None
        raise NumericsError(f"{where}, though every operation alone gave finite numbers")

    def end_epoch(self, row: Row) -> None:
        """Enter the row and begin the next epoch."""
        self.history.rows.append(row)
        self.epoch, self.step, self.sums = self.epoch + 1, 0, _no_sums()

    def save(self) -> None:
        """Write the checkpoint and the table, if the run has a folder."""
        if self.folder is None:
            return
        save(self.folder / CHECKPOINT, {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "random": random.get_state(),
            "epoch": self.epoch,
            "step": self.step,
            "sums": self.sums,
            "history": self.history.rows,
            "classes": self.classes,
            "items": len(self.loader.dataset),
            "config": self.config.to_dict(),
        })  # fmt: skip
        write_atomically(self.folder / METRICS, self.history.to_csv().encode())

    def refuse_to_overwrite(self) -> None:
        """Leave the checkpoint of another run alone."""
        if self.folder is not None and (self.folder / CHECKPOINT).exists():
            raise CheckpointError(
                f"fit: {self.folder} holds the {CHECKPOINT} of a run; go on with it by resume=True, or name another out"
            )

    def restore(self) -> None:
        """Go on where the checkpoint was written."""
        if self.folder is None:
            raise CheckpointError("fit: resume=True needs out=, the folder of the run")
        path = self.folder / CHECKPOINT
        state = load(path)
        if not isinstance(state, dict) or not state.keys() >= {"config", "items", "history", "sums"}:
            raise CheckpointError(f"fit: {path} is not the checkpoint of a run")
        saved = {**state["config"], "train_data": state["items"]}
        ours = {**self.config.to_dict(), "train_data": len(self.loader.dataset)}
        for name, value in saved.items():
            if ours.get(name) != value:
                raise CheckpointError(
                    f"fit: {path} belongs to another run: {name} is {value!r} there and {ours.get(name)!r} here"
                )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        random.set_state(state["random"])
        self.epoch, self.step, self.sums = state["epoch"], state["step"], state["sums"]
        self.history = History(state["history"])


def _no_sums() -> dict[str, float]:
    return {"loss": 0.0, "correct": 0.0, "seen": 0.0, "gradient_norm": 0.0}


def _pair(batch: Any) -> tuple[Tensor, Tensor]:
    """Return a batch as (inputs, labels)."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2 or not all(isinstance(part, Tensor) for part in batch):
        raise DataError("fit: the items of train_data must be pairs (input, label) of arrays or numbers")
    x, y = batch
    if x.shape[0] == 0:
        raise DataError(f"fit: a batch of train_data is empty, its inputs have shape {x.shape}")
    return x, y

"""A run and its folder: `config.json`, the checkpoint, `metrics.csv`, and the pictures that show what came out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import nn, random
from ..checkpoint import load
from ..data import ORLFaces
from ..errors import CheckpointError, DataError
from ..models import build
from . import plots
from .config import Config, from_dict
from .fit import CHECKPOINT, Progress, Report, fit
from .history import History
from .metrics import Array, accuracy, confusion, mistakes, probabilities

CONFIG = "config.json"


@dataclass(frozen=True)
class Result:
    """What a run has given: its record, its model, and its test accuracy in percent."""

    config: Config
    model: nn.Module
    history: History
    accuracy: float


def train(
    config: Config,
    train_data: ORLFaces,
    test_data: ORLFaces,
    out: Path | None = None,
    *,
    resume: bool = False,
    report: Report | None = None,
    progress: Progress | None = None,
) -> Result:
    """Train the model of a config and fill the run's folder; with `resume` go on where the folder ends.

    Raises what `fit` raises, and DataError when the folder already holds a run that is not to be resumed.
    """
    random.manual_seed(config.seed)
    model = network(config, len(train_data.classes))
    if out is not None and not resume:
        begin_folder(out, config)
    history = fit(
        model, train_data, test_data, config, out=out, resume=resume and has_checkpoint(out),
        report=report, progress=progress,
    )  # fmt: skip
    found, labels = probabilities(model, test_data, mirror=config.mirror)
    if out is not None:
        _draw(out, history, found, labels, train_data, test_data)
    return Result(config, model, history, accuracy(found, labels))


def network(config: Config, classes: int) -> nn.Module:
    """Return the untrained model of a config for so many classes, unless its options say how many."""
    return build(config.model, **{"num_classes": classes, **config.options})


def seeds(config: Config, count: int, train_one: Callable[[Config], Result]) -> list[Result]:
    """Return the results of `count` runs that differ in their seed, from the config's own on."""
    return [train_one(dataclasses.replace(config, seed=config.seed + i)) for i in range(count)]


def begin_folder(out: Path, config: Config) -> None:
    """Make a run's folder with its config. Raises DataError if there is a run in it."""
    if (out / CONFIG).exists():
        raise DataError(f"{out} already holds a run; go on with it by --resume {out}, or name another folder")
    out.mkdir(parents=True, exist_ok=True)
    (out / CONFIG).write_text(json.dumps(config.to_dict(), indent=2) + "\n", encoding="utf-8")


def has_checkpoint(folder: Path | None) -> bool:
    """Return whether a run's folder has a state to go on from."""
    return folder is not None and (folder / CHECKPOINT).exists()


def _draw(out: Path, history: History, found: Array, labels: Array, train: ORLFaces, test: ORLFaces) -> None:
    plots.write(plots.curves(history), out / "curves.png")
    plots.write(plots.confusion_matrix(confusion(found, labels)), out / "confusion.png")
    pairs = []
    for number, _, answered, probability in mistakes(found, labels):
        example = int(np.flatnonzero(train.labels == answered)[0])
        text = f"{test.names[number]} – {test.classes[answered]} ({100 * probability:.0f} %)"
        pairs.append((test.images[number, 0], train.images[example, 0], text))
    plots.write(plots.mistake_sheet(pairs), out / "mistakes.png")


def open_run(folder: str | Path) -> tuple[Config, nn.Module, list[str]]:
    """Return the config, the trained model in eval mode, and the names of the classes of a run's folder.

    Raises DataError when the folder is no run, CheckpointError when its checkpoint is damaged.
    """
    folder = Path(folder)
    config = read_config(folder)
    if not has_checkpoint(folder):
        several = sorted(folder.glob(f"seed-*/{CHECKPOINT}"))
        hint = f"name one of its runs, such as {several[0].parent}" if several else "it was not trained yet"
        raise DataError(f"{folder} has no {CHECKPOINT}: {hint}")
    state = load(folder / CHECKPOINT)
    try:
        weights, classes = state["model"], state["classes"]
    except (TypeError, KeyError):
        raise CheckpointError(f"{folder / CHECKPOINT} is not the checkpoint of a run") from None
    model = network(config, len(classes))
    model.load_state_dict(weights)
    return config, model.eval(), classes


def read_config(folder: Path) -> Config:
    """Return the config of a run's folder. Raises DataError when there is none, or it is damaged."""
    path = folder / CONFIG
    if not path.is_file():
        raise DataError(f"{folder} is not the folder of a run: it has no {CONFIG}; `minicnn train --out DIR` makes one")
    return from_dict(read_values(path))


def read_values(path: Path) -> dict[str, Any]:
    """Return the fields in a JSON file. Raises DataError when it cannot be read as such."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    if not isinstance(values, dict):
        raise DataError(f"{path} must hold a JSON object with the fields of a config")
    return values

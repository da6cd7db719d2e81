"""A training run and its folder: `config.json`, `metrics.csv`, pictures, checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import nn, random
from ..checkpoint import load
from ..data import Dataset, ORLFaces
from ..errors import DataError
from ..models import build
from . import plots
from .config import Config, from_dict, test_transform, train_transform
from .fit import CHECKPOINT, Progress, Report, fit
from .history import History
from .metrics import accuracy, confusion, mistakes, probabilities

CONFIG = "config.json"


@dataclass(frozen=True)
class Result:
    """What a run has given: its record, its model, and its test accuracy in percent."""

    config: Config
    model: nn.Module
    history: History
    accuracy: float


def datasets(config: Config, root: str | None = None, download: bool = True) -> tuple[ORLFaces, ORLFaces]:
    """Return the ORL pictures for training and for testing, each with its transform."""
    split: dict[str, Any] = {
        "root": root, "download": download, "train_per_subject": config.train_per_subject, "seed": config.split_seed,
    }  # fmt: skip
    return (
        ORLFaces(split="train", transform=train_transform(config), **split),
        ORLFaces(split="test", transform=test_transform(config), **split),
    )


def train(
    config: Config,
    train_data: Dataset,
    test_data: Dataset,
    out: Path | None = None,
    *,
    resume: bool = False,
    report: Report | None = None,
    progress: Progress | None = None,
) -> Result:
    """Train the model of a config and fill the run's folder.

    Raises what `fit` raises, and DataError when the folder already holds a run that is not to be resumed.
    """
    if out is not None and not resume:
        if (out / CHECKPOINT).exists():
            raise DataError(f"train: {out} already holds a run; continue it with --resume {out}, or name another --out")
        out.mkdir(parents=True, exist_ok=True)
        (out / CONFIG).write_text(json.dumps(config.to_dict(), indent=2) + "\n", encoding="utf-8")
    random.manual_seed(config.seed)
    model = build(config.model, **config.options)

    def record(row: Any, speed: float) -> None:
        if report is not None:
            report(row, speed)

    history = fit(
        model, train_data, test_data, config, out=out, resume=resume, report=record, progress=progress
    )
    found, labels = probabilities(model, test_data, mirror=config.mirror)
    if out is not None:
        _describe(out, history, found, labels, train_data, test_data)
    return Result(config, model, history, accuracy(found, labels))


def _describe(
    out: Path, history: History, found: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], train: Any, test: Any
) -> None:
    """Write the table and the pictures of a finished run."""
    (out / "metrics.csv").write_text(history.to_csv(), encoding="utf-8")
    plots.write(plots.curves(history), out / "curves.png")
    plots.write(plots.confusion_matrix(confusion(found, labels)), out / "confusion.png")
    names = getattr(test, "classes", None) or [str(i) for i in range(found.shape[1])]
    pairs = []
    for number, shown, answered, probability in mistakes(found, labels):
        example = int(np.flatnonzero(train.labels == answered)[0])
        text = f"{names[shown]} – {names[answered]} ({100 * probability:.0f} %)"
        pairs.append((test.images[number, 0], train.images[example, 0], text))
    plots.write(plots.mistake_sheet(pairs), out / "mistakes.png")


def open_run(folder: str | Path) -> tuple[Config, nn.Module]:
    """Return the config and the trained model of a run's folder. Raises DataError or CheckpointError."""
    folder = Path(folder)
    config = read_config(folder)
    model = build(config.model, **config.options)
    model.load_state_dict(load(folder / CHECKPOINT)["model"])
    model.eval()
    return config, model


def read_config(folder: Path) -> Config:
    """Return the config of a run's folder. Raises DataError when there is none or it is damaged."""
    path = folder / CONFIG
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{folder} is not a run: it has no {CONFIG}; `minicnn train --out {folder}` makes one") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    if not isinstance(values, dict):
        raise DataError(f"{path} holds no JSON object")
    return from_dict(values)


def seeds(config: Config, count: int, train_one: Callable[[Config], Result]) -> list[Result]:
    """Return the results of runs with `count` seeds, from the config's own on."""
    changed = ({**config.to_dict(), "seed": config.seed + i} for i in range(count))
    return [train_one(from_dict(values)) for values in changed]

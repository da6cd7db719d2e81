"""Train a network on the ORL faces and fill a run folder.

The folder gets config.json, metrics.csv, curves.png, confusion.png, mistakes.png and the checkpoint. The same
seed gives the same bytes. Ctrl-C saves and stops; --resume goes on, to the same bytes as without a stop.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import options as shared

if TYPE_CHECKING:
    from ..training import Config
    from ..training.run import Result

EXAMPLE = "minicnn train --model resnet_orl --seeds 3 --out runs/resnet"

# options whose value, where one is given, becomes the config's field of the same name
FIELDS = (
    "model", "epochs", "batch_size", "lr", "optimizer", "weight_decay", "seed", "train_per_subject", "split_seed",
)  # fmt: skip

BASELINES = {"nearest neighbour on pixels": 90.0, "LBP histograms": 92.0}
"""Accuracy in percent on the fixed split, first five pictures of each person for training, as measured."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    choices = parser.add_argument_group("what is trained, instead of what the recipe says")
    choices.add_argument("--model", metavar="NAME", help="alexnet_orl, mlp_orl, resnet_orl (default), vgg_orl")
    choices.add_argument("--recipe", metavar="NAME", help="a named set of choices; default: the model's own")
    choices.add_argument("--config", metavar="FILE", help="a config.json to start from instead of a recipe")
    choices.add_argument("--epochs", type=int, metavar="N")
    choices.add_argument("--batch-size", type=int, metavar="N")
    choices.add_argument("--lr", type=float, metavar="X", help="the (highest) learning rate")
    choices.add_argument("--optimizer", metavar="NAME", help="adamw, adam, sgd, rmsprop")
    choices.add_argument("--weight-decay", type=float, metavar="X")
    choices.add_argument("--dropout", type=float, metavar="P", help="of the model, in [0, 1]")
    choices.add_argument("--seed", type=int, metavar="N", help="of initialisation, order, augmentation, dropout")
    choices.add_argument("--train-per-subject", type=int, metavar="N", help="1 … 9 pictures; the others test")
    choices.add_argument("--split-seed", type=int, metavar="N", help="a random split, not the first N pictures")
    choices.add_argument("--no-augment", action="store_true", help="show the pictures as they are")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="train N times, print mean ± sd")
    parser.add_argument("--out", metavar="DIR", help="the run's folder; default: runs/MODEL")
    parser.add_argument("--resume", metavar="DIR", help="go on with the run in this folder")
    shared.add_data(parser)
    shared.add_device(parser)
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Train as the options say."""
    from ..errors import DataError
    from ..training import run as runs
    from ..training.log import Log

    shared.use_device(options)
    if options.seeds < 1:
        raise DataError(f"--seeds is {options.seeds}, needs at least 1")
    config = _resumed(options) if options.resume else _chosen(options)
    train_data, test_data = shared.datasets(options, config)
    runs.network(config, len(train_data.classes))  # what cannot be built is refused before there is a folder
    out = Path(options.resume or options.out or _free(Path("runs") / config.model))
    if options.seeds > 1 and not options.resume:
        runs.begin_folder(out, config)
    if not options.json:
        print(f"{config.model}: {len(train_data)} pictures train, {len(test_data)} test, folder {out}")

    def train_one(config: Config) -> Result:
        folder = out if options.seeds == 1 else out / f"seed-{config.seed}"
        resume = bool(options.resume) and (folder / runs.CONFIG).exists()
        with Log(config.epochs, quiet=options.json) as log:
            return runs.train(
                config, train_data, test_data, folder, resume=resume, report=log.report, progress=log.progress
            )

    try:
        results = runs.seeds(config, options.seeds, train_one)
    except KeyboardInterrupt:
        several = f" --seeds {options.seeds}" if options.seeds > 1 else ""
        hint = f"; go on with: minicnn train --resume {out}{several}" if (out / runs.CONFIG).exists() else ""
        raise KeyboardInterrupt(hint) from None
    _print_result(options, config, results, out)
    return 0


def _chosen(options: argparse.Namespace) -> Config:
    """Return the config of the recipe or file, changed by the options that were given."""
    from ..errors import DataError
    from ..training import config as configs
    from ..training import recipe
    from ..training.run import read_values

    if options.config and options.recipe:
        raise DataError("--config and --recipe both say where the choices come from; give one of them")
    if options.config:
        values = read_values(Path(options.config))
    else:
        values = recipe(options.recipe or options.model or "resnet_orl").to_dict()
    values.update({field: getattr(options, field) for field in FIELDS if getattr(options, field) is not None})
    if options.no_augment:
        values["augment"] = False
    if options.dropout is not None:
        values["options"] = {**values.get("options", {}), "dropout": options.dropout}
    return configs.from_dict(values)


def _resumed(options: argparse.Namespace) -> Config:
    """Return the config of the folder to be resumed; refuse options that would be passed over."""
    from ..errors import DataError
    from ..training.run import has_checkpoint, read_config

    given = [name for name in (*FIELDS, "recipe", "config", "dropout", "out") if getattr(options, name) is not None]
    given += ["no_augment"] if options.no_augment else []
    if given:
        option = given[0].replace("_", "-")
        raise DataError(f"--resume takes all choices from {options.resume}; --{option} does not go with it")
    folder = Path(options.resume)
    config = read_config(folder)
    if options.seeds == 1 and list(folder.glob("seed-*")):
        raise DataError(f"{folder} holds runs of several seeds; go on with all by --seeds N, or with one by its folder")
    if options.seeds > 1 and has_checkpoint(folder):
        raise DataError(f"{folder} holds one run; --seeds does not go with it")
    return config


def _free(folder: Path) -> Path:
    """Return the folder, or the first of folder-2, folder-3, … that does not exist."""
    candidate, number = folder, 1
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def _print_result(options: argparse.Namespace, config: Config, results: list[Result], out: Path) -> None:
    accuracies = [result.accuracy for result in results]
    mean = statistics.fmean(accuracies)
    deviation = statistics.stdev(accuracies) if len(accuracies) > 1 else None
    fixed_split = not options.no_verify and config.train_per_subject == 5 and config.split_seed is None
    baselines = BASELINES if fixed_split else {}
    if options.json:
        answer: dict[str, Any] = {
            "model": config.model, "folder": str(out), "seeds": [result.config.seed for result in results],
            "test_accuracy": accuracies, "mean": mean, "sd": deviation, "baselines": baselines,
        }  # fmt: skip
        print(json.dumps(answer))
        return
    print(f"wrote {out}")
    if deviation is None:
        print(f"test accuracy {mean:.1f} %")
    else:
        listed = ", ".join(f"{accuracy:.1f}" for accuracy in accuracies)
        print(f"test accuracy {mean:.2f} ± {deviation:.2f} % (mean ± sd of {len(results)} seeds: {listed})")
    if baselines:
        print("on the same split: " + ", ".join(f"{name} {value:.1f} %" for name, value in baselines.items()))

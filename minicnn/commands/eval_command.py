"""Test a run's network on the pictures that it has not seen, and list its mistakes.

With --at-least the exit code is 1 below that accuracy.
"""

from __future__ import annotations

import argparse
import json

from . import options as shared

EXAMPLE = "minicnn eval runs/resnet_orl"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run_folder", metavar="RUN", help="the folder that `minicnn train` filled")
    parser.add_argument("--at-least", type=float, metavar="PERCENT", help="exit with 1 below this accuracy")
    shared.add_data(parser)
    shared.add_device(parser)
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Test as the options say."""
    from ..errors import DataError
    from ..training.metrics import accuracy, mistakes, probabilities
    from ..training.run import open_run

    shared.use_device(options)
    config, model, classes = open_run(options.run_folder)
    _, test_data = shared.datasets(options, config)
    if test_data.classes != classes:
        raise DataError(
            f"{options.run_folder} knows {len(classes)} people, {classes[0]} … {classes[-1]}, and the pictures are of "
            f"{len(test_data.classes)}, {test_data.classes[0]} … {test_data.classes[-1]}; give its own with --data"
        )
    found, labels = probabilities(model, test_data, mirror=config.mirror)
    percent, wrong = accuracy(found, labels), mistakes(found, labels)
    listed = [
        {"picture": test_data.names[number], "taken_for": classes[answered], "probability": probability}
        for number, _, answered, probability in wrong
    ]
    if options.json:
        print(json.dumps({"test_accuracy": percent, "pictures": len(labels), "mistakes": listed}))
    else:
        print(f"test accuracy {percent:.1f} % ({len(labels) - len(wrong)} of {len(labels)} pictures)")
        for mistake in listed:
            print(f"  {mistake['picture']} taken for {mistake['taken_for']} ({100 * mistake['probability']:.0f} %)")
    return int(options.at_least is not None and percent < options.at_least)

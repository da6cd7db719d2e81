"""Test a run's network on the pictures it has not seen; exit with 1 if it stays below --at-least."""

from __future__ import annotations

import argparse
import json

EXAMPLE = "minicnn eval runs/resnet_orl"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run_folder", metavar="RUN", help="the folder that `minicnn train` filled")
    parser.add_argument("--data", metavar="DIR", help="the original ORL files; default: the cache")
    parser.add_argument("--device", help="reference, cpu (default), cuda, cuda:sim")
    parser.add_argument("--at-least", type=float, metavar="PERCENT", help="exit with 1 below this accuracy")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def run(options: argparse.Namespace) -> int:
    """Test as the options say."""
    from .._device import use_device
    from ..training import run as runs
    from ..training.metrics import accuracy, mistakes, probabilities

    if options.device:
        use_device(options.device)
    config, model = runs.open_run(options.run_folder)
    _, test_data = runs.datasets(config, options.data)
    found, labels = probabilities(model, test_data, mirror=config.mirror)
    percent, wrong = accuracy(found, labels), mistakes(found, labels)
    if options.json:
        listed = [{"picture": test_data.names[n], "taken_for": f"s{a + 1}", "probability": p} for n, _, a, p in wrong]
        print(json.dumps({"test_accuracy": percent, "pictures": len(labels), "mistakes": listed}))
    else:
        print(f"test accuracy {percent:.1f} % ({len(labels) - len(wrong)} of {len(labels)} pictures)")
        for number, _, answered, probability in wrong:
            print(f"  {test_data.names[number]} taken for s{answered + 1} ({100 * probability:.0f} %)")
    return int(options.at_least is not None and percent < options.at_least)

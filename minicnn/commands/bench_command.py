"""Measure speed. Numbers are the median and (smallest–largest) of several blocks, taken in turns, so that whatever
else the machine does hits all sides alike.
"""

from __future__ import annotations

import argparse
import inspect
import json
from importlib import import_module

from ..bench import BENCHMARKS, BY_DEVICE
from ..errors import ShapeError
from . import options as shared

EXAMPLE = "minicnn bench tape --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    listed = "; ".join(f"{name}: {text}" for name, text in BENCHMARKS.items())
    parser.add_argument("benchmark", metavar="NAME", nargs="?", choices=BENCHMARKS, help=listed)
    chosen = ", ".join(f"{device}: {name}" for device, name in BY_DEVICE.items())
    parser.add_argument("--device", default="cpu", choices=BY_DEVICE, help=f"what runs without a NAME: {chosen}")
    parser.add_argument("--seed", type=int, metavar="N", help="convolutions: draw others")
    parser.add_argument("--works", nargs="+", metavar="WORK", help="step, layers: these networks only")
    parser.add_argument("--plot", metavar="FILE.png", help="step: draw the times as bars, too")
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measure, and print what came out."""
    name = options.benchmark or BY_DEVICE[options.device]
    measure = import_module(f"minicnn.bench.{name}").run
    chosen = {key: value for key in ("seed", "works") if (value := getattr(options, key)) is not None}
    for key in chosen:
        if key not in inspect.signature(measure).parameters:
            raise ShapeError(f"bench: {name} has no --{key}")
    results = measure(**chosen)
    if options.plot is not None:
        if not hasattr(results, "plot"):
            raise ShapeError(f"bench: {name} has no --plot")
        results.plot(options.plot)
    print(json.dumps(results.to_dict()) if options.json else results)
    return 0

"""Measure speed. Numbers are the median and (smallest–largest) of several blocks, taken in turns, so that whatever
else the machine does hits all sides alike.
"""

from __future__ import annotations

import argparse
import json
from importlib import import_module

from ..bench import BENCHMARKS
from . import options as shared

EXAMPLE = "minicnn bench tape --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    listed = "; ".join(f"{name}: {text}" for name, text in BENCHMARKS.items())
    parser.add_argument("benchmark", metavar="NAME", choices=BENCHMARKS, help=listed)
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measure, and print what came out."""
    results = import_module(f"minicnn.bench.{options.benchmark}").run()
    print(json.dumps(results.to_dict()) if options.json else results)
    return 0

"""Measure speed, by the benchmark's name:

  tape   one addition of ten numbers, recorded and swept, against np.add

Numbers are median and (smallest–largest) of several blocks, taken in turns so that a busy machine hits all alike.
"""

from __future__ import annotations

import argparse
import json
from importlib import import_module

from . import options as shared

EXAMPLE = "minicnn bench tape --json"
BENCHMARKS = ("tape",)  # each is a file of minicnn/bench/ with `run() -> results`


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("benchmark", metavar="NAME", choices=BENCHMARKS, help=", ".join(BENCHMARKS))
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measure, and print what came out."""
    results = import_module(f"minicnn.bench.{options.benchmark}").run()
    print(json.dumps(results.to_dict()) if options.json else results)
    return 0

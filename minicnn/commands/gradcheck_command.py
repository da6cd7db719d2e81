"""Check the gradients of what stands in a file: FILE::NAME.

Exit code 0: the gradients are right; 1: they are wrong; 2: the file or the name cannot be read.
"""

from __future__ import annotations

import argparse

EXAMPLE = "minicnn gradcheck my_layer.py::my_layer --json report.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("target", metavar="FILE::NAME")
    parser.add_argument("--json", metavar="FILE", help="write the report there")
    parser.add_argument("--seed", type=int, default=0, metavar="N")


def run(options: argparse.Namespace) -> int:
    """Check as the options say."""
    from ..gradient_checking import command

    arguments = [options.target, "--seed", str(options.seed)]
    return command.main([*arguments, "--json", options.json] if options.json else arguments)

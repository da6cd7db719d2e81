"""Show a model layer by layer: output shape, parameters, multiply-adds, memory of the outputs, receptive field.

A multiplication with an addition counts as one. Nothing is loaded: the model has its first values.
"""

from __future__ import annotations

import argparse
import json

from . import options as shared

EXAMPLE = "minicnn summary resnet152"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="alexnet, resnet_orl …; a wrong name lists them all")
    parser.add_argument(
        "--input", type=int, nargs="+", metavar="N",
        help="shape of the input, batch (N C H W) or one picture (C H W); default: one picture as the model takes it",
    )  # fmt: skip
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Show the model."""
    from .._summary import summary
    from ..models import build, input_shape
    from ..training import RECIPES, recipe

    model = build(options.model)
    channels, *size = input_shape(options.model)
    if options.model in RECIPES:
        size = list(recipe(options.model).image_size)
    found = summary(model, options.input or (channels, *size))
    print(json.dumps(found.to_dict()) if options.json else found)
    return 0

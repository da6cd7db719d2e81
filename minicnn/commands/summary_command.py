"""Show a model layer by layer: output shape, parameters, multiply-adds and memory."""

from __future__ import annotations

import argparse
import json

from . import options as shared

EXAMPLE = "minicnn summary alexnet_orl --input 1 1 112 92"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL", help="alexnet_orl, mlp_orl, resnet_orl, vgg_orl")
    parser.add_argument(
        "--input", type=int, nargs="+", metavar="N",
        help="shape of the input, batch (N C H W) or one picture (C H W); default: one picture as its recipe shows it",
    )  # fmt: skip
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Show the model."""
    from .._summary import summary
    from ..models import build
    from ..training import RECIPES, Config, recipe

    model = build(options.model)
    config = recipe(options.model) if options.model in RECIPES else Config()
    found = summary(model, options.input or (1, *config.image_size))
    print(json.dumps(found.to_dict()) if options.json else found)
    return 0

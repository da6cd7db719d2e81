"""Write a model for other programs: its weights as .safetensors or .npz, or the whole network as .onnx.

The model is a run, a folder that `minicnn train` filled, or a model's name with --weights: a file .pth, .pt (PyTorch),
.safetensors, .npz, .mc, or .dat (dlib). Without --weights a named model is untrained. ONNX needs pip install
minicnn[onnx]; its file takes batches of any size and pictures of one size.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from . import options as shared

EXAMPLE = "minicnn export runs/resnet_orl --to resnet_orl.onnx"
ENDINGS = (".onnx", ".safetensors", ".npz")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="RUN|MODEL", help="a run's folder, or a model's name, such as resnet_orl")
    parser.add_argument("--weights", metavar="FILE", help="the weights of a named model")
    parser.add_argument("--classes", type=int, metavar="N", help="how many classes a named model has; default: its own")
    parser.add_argument("--to", metavar="FILE", required=True, help="what to write: .onnx, .safetensors or .npz")
    parser.add_argument(
        "--input", type=int, nargs="+", metavar="N",
        help="for ONNX: shape of a picture (C H W) or batch (N C H W); default: as the run or its recipe shows it",
    )  # fmt: skip
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Write as the options say."""
    import json

    from ..errors import CheckpointError
    from ..weights import export_onnx, save_npz, save_safetensors

    target = Path(options.to)
    if target.suffix.lower() not in ENDINGS:
        raise CheckpointError(f"--to is {target}, needs a file that ends in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}")
    model, shape = _model(options)
    if target.suffix.lower() == ".onnx":
        from .._tensor import tensor
        from ..random import DATA, Generator

        export_onnx(model, tensor(Generator(0, DATA).uniform(shape)), target)
    else:
        {".safetensors": save_safetensors, ".npz": save_npz}[target.suffix.lower()](target, model.state_dict())
    count, size = sum(p.numel() for p in model.parameters()), target.stat().st_size
    if options.json:
        print(json.dumps({"file": str(target), "parameters": count, "bytes": size}))
    else:
        print(f"{target}: {count:,} parameters, {size / 1e6:.2f} MB")
    return 0


def _model(options: argparse.Namespace) -> tuple[Any, tuple[int, ...]]:
    """Return the model and the shape of a batch of its pictures."""
    from ..errors import CheckpointError
    from ..models import MODELS, build, input_shape
    from ..training import RECIPES, recipe
    from ..training.run import open_run
    from ..weights import load_weights

    if options.model not in MODELS and Path(options.model).is_dir():
        if options.weights is not None or options.classes is not None:
            raise CheckpointError(
                f"{options.model} is a run, which has its weights; --weights goes with a model's name"
            )
        config, model, _ = open_run(options.model)
        shape = (config.options.get("in_channels", 1), *config.image_size)
    else:
        model = build(options.model, **({} if options.classes is None else {"num_classes": options.classes}))
        if options.weights is not None:
            model.load_state_dict(load_weights(options.weights))
        known = options.model in RECIPES
        shape = (1, *recipe(options.model).image_size) if known else input_shape(options.model)
    if options.input is not None:
        shape = tuple(options.input)
    return model, shape if len(shape) == 4 else (1, *shape)

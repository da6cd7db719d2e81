"""Test a run's network on the pictures that it has not seen, and list its mistakes; or any network on ImageNet.

With --imagenet a model with its weights is tested on a folder of pictures, one subfolder for each class, in the
order of the model's classes (ImageNet's are n01440764 … n15075141). The shorter side of each picture becomes 256
pixels, and squares of 224 are cut out: one of the centre, or ten, whose probabilities are averaged. Means and
deviations of the colours are those with which PyTorch's model collection was trained.

With --at-least the exit code is 1 below that accuracy (of --imagenet: top-1 by one crop).
"""

from __future__ import annotations

import argparse
import json

from . import options as shared

EXAMPLE = "minicnn eval runs/resnet_orl"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run_folder", metavar="RUN", nargs="?", help="the folder that `minicnn train` filled")
    parser.add_argument("--imagenet", metavar="FOLDER", help="test --model on a folder of folders of pictures")
    parser.add_argument("--model", metavar="NAME", help="for --imagenet: resnet152, vgg19, alexnet …")
    parser.add_argument("--weights", metavar="FILE", help="for --imagenet: .pth, .pt, .safetensors or .npz")
    parser.add_argument("--resize", type=int, metavar="N", help="for --imagenet: the shorter side; default: 256")
    parser.add_argument("--crop", type=int, metavar="N", help="for --imagenet: the square's side; default: 224")
    parser.add_argument("--one-crop", action="store_true", help="for --imagenet: leave out the ten crops")
    parser.add_argument("--at-least", type=float, metavar="PERCENT", help="exit with 1 below this accuracy")
    shared.add_data(parser)
    shared.add_device(parser)
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Test as the options say."""
    from ..errors import DataError

    shared.use_device(options)
    for_imagenet = {
        "--model": options.model, "--weights": options.weights, "--resize": options.resize, "--crop": options.crop,
        "--one-crop": options.one_crop or None,
    }  # fmt: skip
    if options.imagenet is None:
        given = [name for name, value in for_imagenet.items() if value is not None]
        if given:
            raise DataError(f"{', '.join(given)} goes with --imagenet FOLDER")
        if options.run_folder is None:
            raise DataError("name a run's folder, or a folder of pictures with --imagenet")
        return _run(options)
    if options.run_folder is not None or options.data is not None or options.no_verify:
        raise DataError("--imagenet tests a named model; RUN, --data and --no-verify do not go with it")
    if options.model is None or options.weights is None:
        raise DataError("--imagenet needs --model NAME and --weights FILE")
    return _imagenet(options)


def _run(options: argparse.Namespace) -> int:
    from ..errors import DataError
    from ..training.metrics import accuracy, mistakes, probabilities
    from ..training.run import open_run

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


def _imagenet(options: argparse.Namespace) -> int:
    from ..data import ImageFolder
    from ..errors import DataError
    from ..models import build
    from ..training.imagenet import HOW_PUBLISHED_FIGURES_WERE_COUNTED, evaluate
    from ..training.log import Log
    from ..weights import load_weights

    pictures = ImageFolder(options.imagenet, extensions=(".jpeg", ".jpg", ".png", ".pgm"), channels=3)
    state, classes = load_weights(options.weights), len(pictures.classes)
    known = [tensor.shape[0] for tensor in state.values() if tensor.ndim == 2][-1:]
    if known and known != [classes]:
        raise DataError(f"{options.weights} is for {known[0]} classes, {options.imagenet} has {classes} folders")
    model = build(options.model, num_classes=classes)
    model.load_state_dict(state)
    with Log(1, quiet=options.json) as log:
        scores = evaluate(
            model, pictures,
            256 if options.resize is None else options.resize, 224 if options.crop is None else options.crop,
            not options.one_crop, progress=log.progress,
        )  # fmt: skip
    if options.json:
        found = {name: vars(score) for name, score in scores.items()}
        print(json.dumps({"pictures": len(pictures), "classes": classes, **found}))
    else:
        print(f"{options.model}: {len(pictures)} pictures of {classes} classes")
        for name, score in scores.items():
            top5 = "-" if score.top5 is None else f"{score.top5:.2f} %"
            print(f"{name.replace('_', ' ') + ':':11s} top-1 {score.top1:.2f} %, top-5 {top5}")
        print(HOW_PUBLISHED_FIGURES_WERE_COUNTED)
    return int(options.at_least is not None and scores["one_crop"].top1 < options.at_least)

"""Say who is on pictures, by a run's network: the three most probable people and their probabilities.

Pictures may be PGM files as in the data set, or have another format or size, and are scaled as those were.
"""

from __future__ import annotations

import argparse
import json

from . import options as shared

EXAMPLE = "minicnn predict runs/resnet_orl face1.pgm face2.png"
TOP = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run_folder", metavar="RUN", help="the folder that `minicnn train` filled")
    parser.add_argument("pictures", metavar="IMAGE", nargs="+")
    shared.add_device(parser)
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Predict as the options say."""
    from .._tensor import tensor
    from ..data.folder import read_image
    from ..training.metrics import answer
    from ..training.pictures import test_transform
    from ..training.run import open_run

    shared.use_device(options)
    config, model, classes = open_run(options.run_folder)
    transform = test_transform(config)
    images = [transform(read_image(path, channels=1)) for path in options.pictures]  # all are read before any answer
    answers = []
    for path, image in zip(options.pictures, images):
        found = answer(model, tensor(image[None]), config.mirror)[0]
        best = found.argsort()[::-1][:TOP]
        top = [{"person": classes[i], "probability": float(found[i])} for i in best]
        answers.append({"picture": path, "top": top})
    if options.json:
        print(json.dumps(answers))
    else:
        for one in answers:
            listed = ", ".join(f"{top['person']} {100 * top['probability']:.1f} %" for top in one["top"])
            print(f"{one['picture']}: {listed}")
    return 0

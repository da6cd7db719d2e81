"""Say who is on pictures, by a run's network: the three most probable people and their probabilities.

PGM pictures of 92 × 112 pixels, as in the data set, or other formats and sizes, which are scaled.
"""

from __future__ import annotations

import argparse
import json

EXAMPLE = "minicnn predict runs/resnet_orl face1.pgm face2.png"
TOP = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("run_folder", metavar="RUN", help="the folder that `minicnn train` filled")
    parser.add_argument("pictures", metavar="IMAGE", nargs="+")
    parser.add_argument("--device", help="reference, cpu (default), cuda, cuda:sim")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def run(options: argparse.Namespace) -> int:
    """Predict as the options say."""
    from .. import functional as F
    from .._device import use_device
    from .._tensor import tensor
    from ..autograd import no_grad
    from ..data.folder import read_picture
    from ..training import run as runs
    from ..training.config import test_transform

    if options.device:
        use_device(options.device)
    config, model = runs.open_run(options.run_folder)
    transform = test_transform(config)
    answers = []
    for path in options.pictures:
        x = tensor(transform(read_picture(path, channels=1))[None])
        with no_grad():
            logits = model(x)
            if config.mirror:
                logits = (logits + model(F.flip(x, (3,)))) * 0.5
            chances = F.softmax(logits, 1).numpy()[0]
        best = chances.argsort()[::-1][:TOP]
        answers.append({"picture": path, "top": [{"person": f"s{i + 1}", "probability": float(chances[i])} for i in best]})
    if options.json:
        print(json.dumps(answers))
    else:
        for answer in answers:
            listed = ", ".join(f"{top['person']} {100 * top['probability']:.1f} %" for top in answer["top"])
            print(f"{answer['picture']}: {listed}")
    return 0

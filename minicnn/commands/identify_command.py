"""Say who is on pictures of faces, given at least one of each person, by dlib's trained face network.

Each picture must show one face, cropped as the ORL faces are: no face is looked for in a larger picture. The gallery
has a folder for each person, anna/1.png, ben/1.png …; a face is the person's whose picture is nearest, or nobody's
if that is beyond the threshold. With --orl the first picture of each ORL person is the gallery, and the other nine
are identified. Needs dlib's files: pip install minicnn[faces].
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from . import options as shared

EXAMPLE = "minicnn identify --gallery people face1.pgm face2.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("pictures", metavar="IMAGE", nargs="*", help="pictures of one face each")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--gallery", metavar="DIR", help="a folder of folders, one for each person")
    source.add_argument("--orl", action="store_true", help="identify the ORL faces, one picture of each person known")
    parser.add_argument("--at-least", type=float, metavar="PERCENT", help="with --orl: exit with 1 below this rate")
    shared.add_faces(parser)
    shared.add_data(parser)
    shared.add_device(parser)
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Identify as the options say."""
    from ..errors import DataError

    shared.use_device(options)
    threshold = shared.threshold(options)
    if options.orl:
        if options.pictures:
            raise DataError("--orl identifies the ORL faces; for pictures of your own give --gallery DIR")
        return _orl(options)
    if not options.pictures:
        raise DataError("name the pictures that are to be identified")
    if options.at_least is not None or options.data is not None or options.no_verify:
        raise DataError("--at-least, --data and --no-verify go with --orl")
    return _pictures(options, threshold)


def _pictures(options: argparse.Namespace, threshold: float) -> int:
    from ..data import ImageFolder
    from ..data.folder import read_image
    from ..faces import FaceEmbedder, identify

    gallery = ImageFolder(options.gallery)
    pictures = [read_image(path) for path in options.pictures]  # all are read before any answer
    embed = FaceEmbedder(options.network, options.landmarks)
    known = embed([read_image(path) for path, _ in gallery.samples])
    answers: list[dict[str, Any]] = []
    for path, number, distance in zip(options.pictures, *identify(known, embed(pictures))):
        person = gallery.classes[gallery.labels[number]]
        found = {"person": person if distance <= threshold else None, "nearest": person, "distance": float(distance)}
        answers.append({"picture": path, **found})
    if options.json:
        print(json.dumps(answers))
        return 0
    for answer in answers:
        who = answer["person"] or f"nobody in the gallery; nearest is {answer['nearest']}"
        print(f"{answer['picture']}: {who} (distance {answer['distance']:.3f})")
    return 0


def _orl(options: argparse.Namespace) -> int:
    import numpy as np

    from ..data import ORLFaces
    from ..faces import FaceEmbedder, equal_error_rate, identify

    faces = ORLFaces(options.data, "all", verify=not options.no_verify)
    embedded = FaceEmbedder(options.network, options.landmarks)(list(faces.images))
    _, known = np.unique(faces.labels, return_index=True)
    others = np.setdiff1d(np.arange(len(faces)), known)
    nearest, distance = identify(embedded[known], embedded[others])
    wrong = np.flatnonzero(faces.labels[others] != nearest)
    percent = 100 * (1 - len(wrong) / len(others))
    error = equal_error_rate(embedded, faces.labels)
    mistakes = [
        {"picture": faces.names[others[i]], "taken_for": faces.classes[nearest[i]], "distance": float(distance[i])}
        for i in wrong
    ]
    if options.json:
        found = {"identified": len(others) - len(wrong), "pictures": len(others), "percent": percent}
        rates = {"equal_error_rate": error.rate, "equal_error_threshold": error.threshold}
        print(json.dumps({**found, **rates, "mistakes": mistakes}))
    else:
        print(f"gallery: 1 picture of each of {len(known)} people")
        print(f"identified: {len(others) - len(wrong)} of {len(others)} pictures ({percent:.2f} %)")
        pairs = len(faces) * (len(faces) - 1) // 2
        print(f"equal error rate of all {pairs} pairs: {100 * error.rate:.2f} % at distance {error.threshold:.3f}")
        for mistake in mistakes:
            print(f"  {mistake['picture']} taken for {mistake['taken_for']} (distance {mistake['distance']:.3f})")
    return int(options.at_least is not None and percent < options.at_least)

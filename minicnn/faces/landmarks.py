"""The five points of a face, and the picture turned and scaled so that they lie where dlib's network expects them.

The points are the corners of both eyes and the base of the nose. A cascade of regression trees finds them: from the
mean shape on, each stage compares pixels at places that move with the shape, and each of its trees adds a small step.
Source: Kazemi, Sullivan 2014, One Millisecond Face Alignment with an Ensemble of Regression Trees, section 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

CHIP = 150  # pixels, height and width of what the network sees
FINEST = 8
PADDING = 0.25  # on each side of the face, as a share of its size
# Where the points lie in a face of size 1: outer and inner corner of the eye at the right of the picture, of the eye
# at its left, base of the nose. These and the padding are how dlib's network was trained (get_face_chip_details).
FACE = np.array([
    (0.8595674595992, 0.2134981538014), (0.6460604764104, 0.2289674387677),
    (0.1205750620789, 0.2137274526848), (0.3340850613712, 0.2290642403242),
    (0.4901123135679, 0.6277975316475),
])  # fmt: skip

Box = tuple[float, float, float, float]


def find_points(cascade: Mapping[str, Array], picture: Array, box: Box) -> Array:
    """Return the five points (5, 2) of the face in a grey picture (H, W), as x and y in pixels.

    `box` is left, top, right and bottom of the face, about as a detector frames it: forehead to chin. `cascade` holds
    the arrays that `mc.weights.load_dlib_landmarks` reads. Pixels outside the picture are as those at its border.
    """
    left, top, right, bottom = box
    corner, size = np.array((left, top)), np.array((right - left, bottom - top))
    mean = cascade["shape"].astype(np.float64)
    shape = mean
    stages, trees, questions = cascade["thresholds"].shape
    number = np.arange(trees)
    for stage in range(stages):
        turn, _ = similarity(mean, shape)
        places = shape[cascade["anchors"][stage]] + cascade["offsets"][stage] @ turn.T
        x, y = np.floor(corner + places * size + 0.5).astype(np.int64).T
        pixels = picture[y.clip(0, picture.shape[0] - 1), x.clip(0, picture.shape[1] - 1)].astype(np.float64)
        node = np.zeros(trees, np.int64)
        while node[0] < questions:  # all trees are complete, and so equally deep
            a, b = cascade["pairs"][stage][number, node].T
            node = 2 * node + np.where(pixels[a] - pixels[b] > cascade["thresholds"][stage][number, node], 1, 2)
        shape = shape + cascade["leaves"][stage][number, node - questions].sum(0)
    result: Array = corner + shape * size
    return result


def similarity(source: Array, target: Array) -> tuple[Array, Array]:
    """Return A (2, 2) and t (2,): the turn, scaling and shift with least Σ |A source + t − target|².

    A = [[a, −b], [b, a]]; with both sets of points around their means, a = Σ s·t / Σ |s|², b = Σ s×t / Σ |s|².
    """
    middle, aim = source.mean(0), target.mean(0)
    s, t = source - middle, target - aim
    square = (s**2).sum()
    a, b = (s * t).sum() / square, (s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum() / square
    matrix = np.array([[a, -b], [b, a]])
    return matrix, aim - matrix @ middle


def align(picture: Array, points: Array) -> Array:
    """Return the face (…, 150, 150) in a picture (…, H, W), its points (5, 2) as close as can be to `FACE`.

    Pixels are interpolated linearly; outside the picture they are as those at its border. Where the picture is larger
    than the result each pixel is the mean over as many places as it covers, 8 × 8 at most.
    """
    chip_points = (PADDING + FACE) / (1 + 2 * PADDING) * CHIP
    matrix, shift = similarity(chip_points, points)
    finer = int(np.ceil(np.hypot(matrix[0, 0], matrix[1, 0])).clip(1, FINEST))
    steps = (np.arange(CHIP * finer) + 0.5) / finer  # in the result pixel i reaches from i to i + 1
    columns, rows = np.meshgrid(steps, steps)
    x, y = (matrix @ np.stack((columns.ravel(), rows.ravel()))) + shift[:, None]
    finely = _interpolated(picture, x, y).reshape(*picture.shape[:-2], CHIP, finer, CHIP, finer)
    result: Array = finely.mean((-3, -1))
    return result


def _interpolated(picture: Array, x: Array, y: Array) -> Array:
    """Return the values (…, n) of a picture (…, H, W) at places between its pixels."""
    height, width = picture.shape[-2:]
    x, y = x.clip(0, width - 1), y.clip(0, height - 1)
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    u, v = x - left, y - top
    upper = (1 - u) * picture[..., top, left] + u * picture[..., top, right]
    lower = (1 - u) * picture[..., bottom, left] + u * picture[..., bottom, right]
    result: Array = (1 - v) * upper + v * lower
    return result

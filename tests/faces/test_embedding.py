"""From pictures to embeddings."""

import numpy as np
import pytest

import minicnn as mc
from minicnn.data import ORLFaces
from minicnn.errors import CheckpointError, ShapeError
from minicnn.faces import FaceEmbedder, equal_error_rate, identify
from minicnn.faces.embedding import face_box
from tests.faces.test_landmarks import needs_faces
from tests.weights.dlib_files import cascade, network


@pytest.fixture(scope="module")
def embed() -> FaceEmbedder:
    """With files written here, whose numbers are random."""
    rng = np.random.default_rng(0)
    return FaceEmbedder(network(rng)[0], cascade(rng)[0])


@pytest.mark.parametrize(
    ("height", "width", "box"),
    [(112, 92, (0, 20, 92, 112)), (100, 100, (0, 0, 100, 100)), (90, 120, (15, 0, 105, 90))],
)
def test_where_the_face_is_looked_for(height, width, box):
    assert face_box(height, width) == box


def test_grey_is_a_colour(embed):
    grey = np.random.default_rng(0).uniform(0, 1, (1, 112, 92)).astype(np.float32)
    assert embed.chip(grey).shape == (3, 150, 150)
    np.testing.assert_allclose(embed.chip(grey), embed.chip(np.repeat(grey, 3, 0)), atol=1e-4)
    found = embed([grey, np.repeat(grey, 3, 0)])
    assert found.shape == (2, 128)
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


def test_pictures_of_different_sizes_and_none(embed):
    rng = np.random.default_rng(0)
    pictures = [rng.uniform(0, 1, shape).astype(np.float32) for shape in ((1, 40, 30), (3, 64, 64))]
    both = embed(pictures)
    np.testing.assert_allclose(both[1], embed(pictures[1:])[0], atol=1e-5)
    assert embed([]).shape == (0, 128)


@pytest.mark.parametrize("shape", [(112, 92), (2, 112, 92), (1, 112, 15), (1, 1, 112, 92)])
def test_what_is_no_picture(embed, shape):
    with pytest.raises(ShapeError) as caught:
        embed([np.zeros(shape)])
    assert str(caught.value) == (
        f"FaceEmbedder: a picture has shape {shape}, needs (1, H, W) or (3, H, W), H and W at least 16"
    )


def test_damaged_files():
    with pytest.raises(CheckpointError, match=r"^load_dlib "):
        FaceEmbedder(b"")
    with pytest.raises(CheckpointError, match=r"^load_dlib_landmarks "):
        FaceEmbedder(network(np.random.default_rng(0))[0], b"")


@needs_faces
@pytest.mark.orl
@pytest.mark.full  # the first picture of each person: tests/commands/test_faces_commands.py
def test_one_picture_of_each_person_identifies_the_others(orl_root):
    """At least 99.5 % of 360, whichever picture is the known one; measured: 3598 of 3600 in all, 360 with the first."""
    faces = ORLFaces(orl_root, "all")
    embedded = FaceEmbedder()(list(faces.images))
    right = []
    for known in range(10):
        gallery = np.arange(known, 400, 10)
        others = np.setdiff1d(np.arange(400), gallery)
        nearest, _ = identify(embedded[gallery], embedded[others])
        right.append(int((faces.labels[others] == nearest).sum()))
    assert right[0] == 360
    assert sum(right) >= 0.995 * 3600
    rate, threshold = equal_error_rate(embedded, faces.labels)
    assert rate < 0.005
    assert 0.5 < threshold < 0.6


@needs_faces
@pytest.mark.orl
def test_devices_agree(orl_root):
    faces = ORLFaces(orl_root, "all")
    found = {}
    for name in ("reference", "cpu"):
        with mc.use_device(name):
            found[name] = FaceEmbedder()(list(faces.images[:3]))
    np.testing.assert_allclose(found["reference"], found["cpu"], atol=1e-5)

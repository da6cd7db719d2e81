import io

import matplotlib.image
import numpy as np
import pytest

from minicnn.training import History, plots

ROW = {"epoch": 1, "loss": 2.0, "train_accuracy": 10.0, "test_accuracy": 20.0, "lr": 0.1, "gradient_norm": 1.0}
FACE = np.linspace(0, 1, 120).reshape(12, 10)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.curves(History([ROW])),
        lambda: plots.curves(History([ROW, {**ROW, "epoch": 2, "test_accuracy": float("nan")}])),
        lambda: plots.confusion_matrix(np.eye(3, dtype=int)),
        lambda: plots.mistake_sheet([]),
        lambda: plots.mistake_sheet([(FACE, 1 - FACE, "s1/6 – s2 (71 %)")] * 8),
        lambda: plots.contact_sheet(np.stack([FACE] * 7), 3, "seven faces"),
    ],
    ids=["one epoch", "no test", "confusion", "no mistakes", "mistakes", "contact sheet"],
)
def test_a_picture_is_drawn_with_the_same_bytes_each_time(draw, tmp_path):
    for name in ("a.png", "b.png"):
        plots.write(draw(), tmp_path / name)
    data = (tmp_path / "a.png").read_bytes()
    assert data == (tmp_path / "b.png").read_bytes()
    pixels = matplotlib.image.imread(io.BytesIO(data))
    assert pixels[..., :3].std() > 0.01


def test_a_contact_sheet_shows_the_pictures_row_by_row():
    sheet = plots.contact_sheet(np.stack([np.full((2, 3), i / 10) for i in range(5)]), 2, "").axes[0].images[0]
    expected = np.kron([[0, 0.1], [0.2, 0.3], [0.4, 1]], np.ones((2, 3)))
    np.testing.assert_allclose(sheet.get_array(), expected)


def test_a_mistake_stands_beside_the_person_it_was_taken_for():
    dark, light = np.zeros((12, 10)), np.full((12, 10), 0.5)
    axes = plots.mistake_sheet([(dark, light, "s1/6 – s2 (71 %)")]).axes[0]
    pixels = axes.images[0].get_array()
    left, right = pixels[:, : pixels.shape[1] // 2], pixels[:, pixels.shape[1] // 2 :]
    assert (left == 0).sum() == 120
    assert (right == 0.5).sum() == 120
    assert axes.texts[0].get_text() == "s1/6 – s2 (71 %)"


def test_the_curves_are_those_of_the_history():
    axes = plots.curves(History([ROW, {**ROW, "epoch": 2, "loss": 1.0}])).axes
    assert [a.get_title() for a in axes] == ["training loss", "accuracy in %", "learning rate"]
    np.testing.assert_array_equal(axes[0].lines[0].get_xydata(), [[1, 2.0], [2, 1.0]])
    assert [line.get_label() for line in axes[1].lines] == ["training", "test"]

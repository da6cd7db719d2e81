import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from minicnn.data import ImageFolder, Subset, write_pgm
from minicnn.data.folder import read_image
from minicnn.errors import DataError, ShapeError

GREY = np.array([[0, 51, 102], [153, 204, 255]], np.uint8)  # (H, W) = (2, 3)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=2)  # (H, W, 3)


def picture(path: Path, array: np.ndarray, mode: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".pgm":
        write_pgm(path, array)
    else:
        image = Image.fromarray(array)
        (image.convert(mode) if mode else image).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    picture(tmp_path / "ben" / "1.png", GREY)
    picture(tmp_path / "ben" / "2.PNG", 255 - GREY)
    picture(tmp_path / "anna" / "10.pgm", GREY)
    picture(tmp_path / "anna" / "2.png", GREY)
    picture(tmp_path / "anna" / "old" / "1.pgm", GREY)
    (tmp_path / "anna" / "notes.txt").write_text("no picture")
    picture(tmp_path / "anna" / ".hidden.png", GREY)
    picture(tmp_path / "anna" / ".checkpoints" / "1.png", GREY)
    picture(tmp_path / ".checkpoints" / "1.png", GREY)
    picture(tmp_path / "loose.png", GREY)
    return tmp_path


def test_classes_are_the_subfolders_in_order(folder: Path) -> None:
    data = ImageFolder(folder)
    assert data.classes == ["anna", "ben"]
    assert data.class_to_idx == {"anna": 0, "ben": 1}
    assert data.names == ["anna/10.pgm", "anna/2.png", "anna/old/1.pgm", "ben/1.png", "ben/2.PNG"]
    assert data.samples[3] == (folder / "ben" / "1.png", 1)
    assert data.labels.dtype == np.int64
    assert data.labels.tolist() == [0, 0, 0, 1, 1] == [label for _, label in data]


def test_an_item_is_an_image_in_0_to_1_and_a_label(folder: Path) -> None:
    image, label = ImageFolder(folder)[-1]
    assert label == 1
    assert image.dtype == np.float32
    assert image.shape == (1, 2, 3)
    np.testing.assert_allclose(image[0], [[1, 0.8, 0.6], [0.4, 0.2, 0]], rtol=1e-6)


def test_the_transform_is_applied_to_items_only(folder: Path) -> None:
    data = ImageFolder(folder, transform=lambda image: -image)
    np.testing.assert_array_equal(data[0][0], -ImageFolder(folder)[0][0])
    images, labels = data.batch([4, 0])
    np.testing.assert_array_equal(images, np.stack([-data[4][0], -data[0][0]]))
    assert labels.tolist() == [1, 0]
    np.testing.assert_array_equal(Subset(data, [3, 4]).batch([1])[0], images[:1])


def test_a_batch_of_several_sizes_is_a_list(folder: Path) -> None:
    picture(folder / "ben" / "3.png", COLOUR)
    picture(folder / "ben" / "4.png", GREY.T.copy())
    images, labels = ImageFolder(folder).batch([0, 5, 6])
    assert isinstance(images, list)
    assert [image.shape for image in images] == [(1, 2, 3), (3, 2, 3), (1, 3, 2)]
    assert labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("array", "mode", "shape", "expected"),
    [
        (GREY, None, (1, 2, 3), GREY[np.newaxis] / 255),
        (GREY, "LA", (1, 2, 3), GREY[np.newaxis] / 255),
        (GREY, "RGB", (3, 2, 3), np.stack([GREY] * 3) / 255),
        ((GREY.astype(np.uint16) * 257), None, (1, 2, 3), GREY[np.newaxis] / 255),
        (np.where(GREY > 127, 255, 0).astype(np.uint8), "1", (1, 2, 3), (GREY > 127)[np.newaxis]),
        (COLOUR, None, (3, 2, 3), COLOUR.transpose(2, 0, 1) / 255),
        (COLOUR, "RGBA", (3, 2, 3), COLOUR.transpose(2, 0, 1) / 255),
    ],
)
def test_every_kind_of_png_is_read(
    tmp_path: Path, array: np.ndarray, mode: str | None, shape: tuple[int, ...], expected: np.ndarray
) -> None:
    image = read_image(picture(tmp_path / "a.png", array, mode))
    assert image.shape == shape
    assert image.dtype == np.float32
    assert image.flags.c_contiguous
    np.testing.assert_allclose(image, expected, atol=1e-7)


def test_a_jpeg_is_read(tmp_path: Path) -> None:
    flat = np.full((16, 8, 3), (200, 100, 50), np.uint8)
    image = read_image(picture(tmp_path / "a.jpg", flat))
    np.testing.assert_allclose(image, flat.transpose(2, 0, 1) / 255, atol=3 / 255)


def test_a_pgm_is_scaled_by_its_own_white(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P2 3 1 4 0 1 4")
    np.testing.assert_array_equal(read_image(tmp_path / "a.pgm"), [[[0, 0.25, 1]]])


def test_channels_forces_grey_or_colour(tmp_path: Path) -> None:
    colour, grey = picture(tmp_path / "c.png", COLOUR), picture(tmp_path / "g.png", GREY)
    with Image.open(colour) as image:
        luma = np.asarray(image.convert("L")) / 255  # Pillow rounds to whole levels
    assert read_image(colour, channels=1).shape == (1, 2, 3)
    np.testing.assert_allclose(read_image(colour, channels=1)[0], luma, atol=1 / 255)
    np.testing.assert_array_equal(read_image(grey, channels=3), np.stack([read_image(grey)[0]] * 3))
    np.testing.assert_array_equal(read_image(grey, channels=1), read_image(grey))
    np.testing.assert_array_equal(read_image(colour, channels=3), read_image(colour))


def test_other_extensions_may_be_named(folder: Path) -> None:
    picture(folder / "anna" / "3.bmp", GREY)
    picture(folder / "ben" / "3.bmp", GREY)
    assert ImageFolder(folder, extensions=[".BMP"]).names == ["anna/3.bmp", "ben/3.bmp"]


@pytest.mark.parametrize(
    ("arrange", "message"),
    [
        (lambda root: None, "holds no class folders; needs one subfolder for each class, such as anna/1.png"),
        (lambda root: picture(root / "1.png", GREY), "holds no class folders"),
        (lambda root: (root / "anna").mkdir(), "anna holds no picture (.pgm, .png, .jpg, .jpeg); put some there"),
    ],
)
def test_a_folder_without_classes_or_pictures_is_refused(tmp_path: Path, arrange: Any, message: str) -> None:
    arrange(tmp_path)
    with pytest.raises(DataError, match=re.escape(message)):
        ImageFolder(tmp_path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ImageFolder: .*nowhere is no folder; check the path"):
        ImageFolder(tmp_path / "nowhere")


@pytest.mark.parametrize("channels", [2, "1", 0])
def test_other_numbers_of_channels_are_refused(folder: Path, channels: Any) -> None:
    with pytest.raises(ShapeError, match=re.escape(f"ImageFolder: channels is {channels!r}, needs 1 (grey), 3")):
        ImageFolder(folder, channels=channels)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.9])
def test_an_unreadable_picture_is_named(tmp_path: Path, name: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    path = picture(tmp_path / "anna" / name, noise)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    folder = ImageFolder(tmp_path)
    with pytest.raises(DataError, match=rf"read_image: .*{name}: not a picture that Pillow can read") as error:
        folder[0]
    assert "object at" not in str(error.value)


def test_a_broken_or_missing_pgm_is_named(folder: Path) -> None:
    data = ImageFolder(folder)
    (folder / "anna" / "10.pgm").write_bytes(b"GIF89a")
    with pytest.raises(DataError, match=r"read_image: .*10\.pgm: not a PGM picture"):
        data[0]
    (folder / "anna" / "10.pgm").unlink()
    with pytest.raises(DataError, match=r"read_image: cannot read .*10\.pgm: No such file or directory"):
        data.batch([0])


def test_without_pillow_only_pgm_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    data = ImageFolder(folder)
    assert data[0][0].shape == (1, 2, 3)
    with pytest.raises(DataError, match="only PGM is read without Pillow; pip install pillow, or convert it to PGM"):
        data[1]


def test_an_index_outside_is_an_index_error(folder: Path) -> None:
    with pytest.raises(IndexError, match="ImageFolder: index 5 is out of range, there are 5 items"):
        ImageFolder(folder)[5]

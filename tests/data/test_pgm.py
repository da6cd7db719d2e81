import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minicnn.data import read_pgm, write_pgm
from minicnn.data.pgm import decode_pgm
from minicnn.errors import DataError, DTypeError, ShapeError

TWO_BY_THREE = np.array([[0, 1, 2], [253, 254, 255]], np.uint8)
PIXELS = bytes([0, 1, 2, 253, 254, 255])


@pytest.mark.parametrize(
    "data",
    [
        b"P5\n3 2\n255\n" + PIXELS,
        b"P5 3 2 255 " + PIXELS,
        b"P5\t3\r\n2\n\n255\n" + PIXELS,
        b"P5\n# made by hand\n3 2\n255\n" + PIXELS,
        b"P5#a\n#b\r 3#c\n2 # 9 9 9\n255\n" + PIXELS,
        b"P5\n3 2\n255#the comment's line end ends the header\n" + PIXELS,
        b"P5\n0003 002\n255\n" + PIXELS,
        b"P2\n3 2\n255\n0 1 2\n253 254 255\n",
        b"P2\n3 2\n255\n0 1 2 253 254 255",
        b"P2 3 2 255 0\t1\n2\r\n253 # two are left\n254 000255 \n\n",
    ],
)
def test_every_spelling_of_a_header_gives_the_same_picture(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.pgm").write_bytes(data)
    picture = read_pgm(tmp_path / "a.pgm")
    assert picture.dtype == np.uint8
    assert picture.flags.writeable
    np.testing.assert_array_equal(picture, TWO_BY_THREE)


def test_pixels_that_look_like_white_space_or_a_comment_are_pixels(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5\n5 1\n255\n\n #\r\n")
    np.testing.assert_array_equal(read_pgm(tmp_path / "a.pgm"), [[10, 32, 35, 13, 10]])


@pytest.mark.parametrize("magic", [b"P5", b"P2"])
def test_above_255_a_sample_is_16_bits(tmp_path: Path, magic: bytes) -> None:
    raster = b"\x00\x01\x01\x00\x02\x03" if magic == b"P5" else b"1 256 515"
    (tmp_path / "a.pgm").write_bytes(magic + b"\n3 1\n515\n" + raster)
    picture = read_pgm(tmp_path / "a.pgm")
    assert picture.dtype == np.uint16
    assert picture.dtype.isnative
    np.testing.assert_array_equal(picture, [[1, 256, 515]])


def test_maxval_is_given_for_scaling() -> None:
    assert decode_pgm(b"P5 1 1 7 \x05", "a")[1] == 7


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a PGM picture: starts with b'', needs P5 or P2"),
        (b"\x89PNG\r\n", "not a PGM picture: starts with b'\\x89P', needs P5 or P2"),
        (b"P6\n1 1\n255\nabc", "not a PGM picture: starts with b'P6', needs P5 or P2"),
        (b"P5", "the header has the end of the file where the width should stand"),
        (b"P5\n3", "the header has the end of the file where the height should stand"),
        (b"P5\n3 2\n# 255\n", "the header has the end of the file where the maxval should stand"),
        (b"P53 2 255 ", "the header has b'3 2 255 ' where the width should stand"),
        (b"P5 -3 2 255 ", "the header has b'-3 2 255' where the width should stand"),
        (b"P5 3x2 255 ", "the header has b'x2 255 ' where the height should stand"),
        (b"P5 0 2 255 ", "the picture is 0 × 2, needs at least one pixel"),
        (b"P5 3 0 255 ", "the picture is 3 × 0, needs at least one pixel"),
        (b"P5 3 2 0 " + PIXELS, "maxval is 0, needs 1 … 65535"),
        (b"P5 3 2 65536 " + PIXELS, "maxval is 65536, needs 1 … 65535"),
        (b"P5 " + b"9" * 5000 + b" 2 255 ", "the width has 5000 digits"),
        (b"P5 3 2 255", "no white space between maxval and the pixels"),
        (b"P5 3 2 255#never ends", "no white space between maxval and the pixels"),
        (b"P5 3 2 255 " + PIXELS[:5], "cut short: 5 bytes of pixels, 3 × 2 at 1 a pixel needs 6"),
        (b"P5 3 2 256 " + PIXELS, "cut short: 6 bytes of pixels, 3 × 2 at 2 a pixel needs 12"),
        (b"P5 3 2 255 " + PIXELS + b"\n", "followed by other bytes: 7 bytes of pixels, 3 × 2 at 1 a pixel needs 6"),
        (b"P5\r\n3 2\r\n255\r\n" + PIXELS, "followed by other bytes"),
        (b"P5 9999999999 9999999999 255 a", "cut short: 1 bytes of pixels"),
        (b"P5 3 2 254 " + PIXELS, "a sample is 255, above maxval 254"),
        (b"P2 2 1 255 1", "cut short: 1 samples, 2 × 1 needs 2"),
        (b"P2 2 1 255 1 2 3", "followed by other numbers: 3 samples, 2 × 1 needs 2"),
        (b"P2 9999999999 9999999999 255 1", "cut short: 1 samples"),
        (b"P2 2 1 255 1 256", "a sample is 256, above maxval 255"),
        (b"P2 1 1 255 " + b"9" * 5000, "a sample is 999999999999, above maxval 255"),
        (b"P2 2 1 255 1 -2", "b'-' stands among the samples, needs numbers"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.pgm").write_bytes(data)
    with pytest.raises(DataError, match=re.escape(message)) as error:
        read_pgm(tmp_path / "a.pgm")
    assert str(error.value).startswith(f"read_pgm: {tmp_path / 'a.pgm'}: ")
    assert re.search("; (get the file again|convert it to PGM)$", str(error.value))


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"read_pgm: cannot read .*a\.pgm: No such file or directory; check the path"):
        read_pgm(tmp_path / "a.pgm")


@given(st.binary(max_size=60), st.sampled_from([b"", b"P5", b"P2", b"P5 3 2 255 ", b"P2 3 2 255 "]))
def test_any_bytes_are_a_picture_or_a_data_error(data: bytes, start: bytes) -> None:
    try:
        picture, maxval = decode_pgm(start + data, "a")
    except DataError:
        return
    assert picture.size > 0
    assert picture.max() <= maxval


@pytest.mark.parametrize("magic", [b"P5", b"P2"])
def test_a_huge_claim_costs_no_memory(magic: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="cut short"):
            decode_pgm(magic + b" 65535 65535 65535 " + b"1 " * 100, "a")
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("array", "header", "dtype"),
    [
        (TWO_BY_THREE, b"P5\n3 2\n255\n", np.uint8),
        (TWO_BY_THREE.astype(np.int64), b"P5\n3 2\n255\n", np.uint8),
        (TWO_BY_THREE.astype(np.uint16), b"P5\n3 2\n65535\n", np.uint16),
        (TWO_BY_THREE.T, b"P5\n2 3\n255\n", np.uint8),
        ([[0, 256], [65535, 1]], b"P5\n2 2\n65535\n", np.uint16),
    ],
)
def test_written_numbers_come_back(tmp_path: Path, array: np.ndarray, header: bytes, dtype: type) -> None:
    write_pgm(tmp_path / "a.pgm", array)
    assert (tmp_path / "a.pgm").read_bytes().startswith(header)
    picture = read_pgm(tmp_path / "a.pgm")
    assert picture.dtype == dtype
    np.testing.assert_array_equal(picture, array)
    with Image.open(tmp_path / "a.pgm") as other:
        np.testing.assert_array_equal(np.asarray(other), array)


def test_what_pillow_writes_is_read(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (7, 5), np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.pgm")
    np.testing.assert_array_equal(read_pgm(tmp_path / "a.pgm"), picture)


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.zeros((2, 3), np.float32), DTypeError, "write_pgm: array is float32, needs whole numbers; a picture in"),
        (np.zeros((2, 3), bool), DTypeError, "write_pgm: array is bool, needs whole numbers"),
        (np.zeros((1, 2, 3), int), ShapeError, "write_pgm: array has shape (1, 2, 3), needs two axes (H, W)"),
        (np.zeros((0, 3), int), ShapeError, "write_pgm: array has shape (0, 3), needs two axes (H, W) and at least"),
        ([[-1, 3]], ShapeError, "write_pgm: array holds -1 … 3, a PGM holds 0 … 65535"),
        ([[0, 65536]], ShapeError, "write_pgm: array holds 0 … 65536, a PGM holds 0 … 65535"),
    ],
)
def test_what_is_no_picture_is_not_written(
    tmp_path: Path, array: np.ndarray, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        write_pgm(tmp_path / "a.pgm", array)
    assert not (tmp_path / "a.pgm").exists()


def test_an_unwritable_path_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"write_pgm: cannot write .*b\.pgm: No such file or directory"):
        write_pgm(tmp_path / "a" / "b.pgm", TWO_BY_THREE)

"""PGM: the plainest format of grey pictures, read and written without any library.

    P5            the magic: P5 holds the samples as bytes, P2 as decimal text
    # a comment   from # to the end of the line, anywhere in the header
    92 112        width, height
    255           maxval, the sample that means white: 1 … 65535
    …             the rows from top to bottom; P5 takes one byte a sample, two (the high one first) above 255

A file is not trusted: what its header claims is compared with what the file holds before anything is
allocated, so a broken or hostile file costs no more memory than its own size warrants.

Source: the Netpbm project's pgm(5) manual page.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError, DTypeError, ShapeError

Samples = npt.NDArray[np.uint8 | np.uint16]

_MAXVAL = 65535
_COMMENT = re.compile(rb"#[^\r\n]*[\r\n]?")
_SPACE = re.compile(rb"\s*")
_DIGITS = re.compile(rb"[0-9]+")


def read_pgm(path: str | os.PathLike[str]) -> Samples:
    """Read a PGM file (P5 or P2) as an array of whole numbers.

    Shape (H, W); uint8, or uint16 where maxval is above 255. Samples are as they stand in the file.
    Raises `DataError` if the file cannot be read, is no PGM, is cut short, or has bytes behind the picture.
    """
    return decode_pgm(read_bytes("read_pgm", path), f"read_pgm: {os.fspath(path)}")[0]


def read_bytes(name: str, path: str | os.PathLike[str]) -> bytes:
    """Read a whole file; what goes wrong becomes a `DataError` of the operation `name`."""
    if not isinstance(path, (str, os.PathLike)):
        raise DTypeError(f"{name}: path must be a str or a Path, got {type(path).__name__}")
    try:
        return Path(path).read_bytes()
    except ValueError:
        raise DataError(f"{name}: path {os.fspath(path)!r} holds a NUL character, which no file name has") from None
    except OSError as error:
        raise DataError(f"{name}: cannot read {os.fspath(path)}: {error.strerror}; check the path") from None


def decode_pgm(data: bytes, name: str) -> tuple[Samples, int]:
    """Return the samples (H, W) and the maxval of a PGM file's bytes; `name` opens every error message."""
    if data[:2] not in (b"P5", b"P2"):
        raise DataError(f"{name}: not a PGM picture: starts with {data[:2]!r}, needs P5 or P2; convert it to PGM")
    position = 2
    width, position = _header_number(data, position, name, "width")
    height, position = _header_number(data, position, name, "height")
    maxval, position = _header_number(data, position, name, "maxval")
    if width == 0 or height == 0:
        raise DataError(f"{name}: the picture is {width} × {height}, needs at least one pixel; get the file again")
    if not 1 <= maxval <= _MAXVAL:
        raise DataError(f"{name}: maxval is {maxval}, needs 1 … {_MAXVAL}; get the file again")
    decode = _binary_samples if data[:2] == b"P5" else _plain_samples
    samples = decode(data, position, name, width, height, maxval)
    if maxval != np.iinfo(samples.dtype).max and samples.max() > maxval:
        raise DataError(f"{name}: a sample is {samples.max()}, above maxval {maxval}; get the file again")
    return samples.reshape(height, width), maxval


def _header_number(data: bytes, position: int, name: str, field: str) -> tuple[int, int]:
    """Return the number that comes next and the position behind it; a comment counts as white space."""
    start = position
    while True:
        position = _end(_SPACE, data, position)
        if data[position : position + 1] != b"#":
            break
        position = _end(_COMMENT, data, position)
    end = _end(_DIGITS, data, position)
    if end == position or position == start:
        came = repr(data[position : position + 8]) if position < len(data) else "the end of the file"
        raise DataError(f"{name}: the header has {came} where the {field} should stand; get the file again")
    if end - position > 10:
        raise DataError(f"{name}: the {field} has {end - position} digits, too many for a picture; get the file again")
    return int(data[position:end]), end


def _end(pattern: re.Pattern[bytes], data: bytes, position: int) -> int:
    match = pattern.match(data, position)
    return match.end() if match else position


def _binary_samples(data: bytes, position: int, name: str, width: int, height: int, maxval: int) -> Samples:
    # Exactly one white space ends the header, or a comment with its line end: the next byte is a pixel,
    # even if it looks like white space.
    separator = re.compile(rb"\s|#[^\r\n]*[\r\n]").match(data, position)
    if separator is None:
        raise DataError(f"{name}: no white space between maxval and the pixels; get the file again")
    position = separator.end()
    size = 1 if maxval < 256 else 2
    needed, came = width * height * size, len(data) - position
    if came != needed:
        fault = "cut short" if came < needed else "followed by other bytes"
        raise DataError(
            f"{name}: the picture is {fault}: {came} bytes of pixels, "
            f"{width} × {height} at {size} a pixel needs {needed}; get the file again"
        )
    if size == 1:
        return np.frombuffer(data, np.uint8, offset=position).copy()
    return np.frombuffer(data, ">u2", offset=position).astype(np.uint16)


def _plain_samples(data: bytes, position: int, name: str, width: int, height: int, maxval: int) -> Samples:
    raster = _COMMENT.sub(b"\n", data[position:])
    strange = re.search(rb"[^0-9\s]", raster)
    if strange:
        raise DataError(f"{name}: {strange.group()!r} stands among the samples, needs numbers; get the file again")
    needed, came = width * height, sum(1 for _ in _DIGITS.finditer(raster))
    if came != needed:
        fault = "cut short" if came < needed else "followed by other numbers"
        raise DataError(
            f"{name}: the picture is {fault}: {came} samples, {width} × {height} needs {needed}; get the file again"
        )
    samples: Samples = np.empty(needed, np.uint8 if maxval < 256 else np.uint16)
    for i, match in enumerate(_DIGITS.finditer(raster)):
        digits = match.group().lstrip(b"0")
        if len(digits) > 5 or int(digits or b"0") > maxval:
            raise DataError(f"{name}: a sample is {digits[:12].decode()}, above maxval {maxval}; get the file again")
        samples[i] = int(digits or b"0")
    return samples


def write_pgm(path: str | os.PathLike[str], array: npt.ArrayLike) -> None:
    """Write whole numbers (H, W) as a binary PGM (P5); `read_pgm` gives the same numbers back.

    maxval is 255, or 65535 for a uint16 array and for numbers above 255: no sample is rescaled.
    Raises `DTypeError` for an array of other than whole numbers, `ShapeError` for other than two axes, an
    empty picture or numbers outside 0 … 65535, `DataError` if the file cannot be written.
    """
    try:
        samples: npt.NDArray[Any] = np.asarray(array)
    except ValueError:
        raise ShapeError("write_pgm: the rows of the array have different lengths") from None
    if samples.dtype.kind not in "iu":
        raise DTypeError(
            f"write_pgm: array is {samples.dtype}, needs whole numbers; "
            "a picture in [0, 1] becomes some with np.round(255 * array).astype(np.uint8)"
        )
    if samples.ndim != 2 or samples.size == 0:
        raise ShapeError(f"write_pgm: array has shape {samples.shape}, needs two axes (H, W) and at least one pixel")
    low, high = int(samples.min()), int(samples.max())
    if low < 0 or high > _MAXVAL:
        raise ShapeError(f"write_pgm: array holds {low} … {high}, a PGM holds 0 … {_MAXVAL}")
    wide = samples.dtype == np.uint16 or high > 255
    header = f"P5\n{samples.shape[1]} {samples.shape[0]}\n{_MAXVAL if wide else 255}\n".encode()
    try:
        Path(path).write_bytes(header + samples.astype(">u2" if wide else np.uint8).tobytes())
    except OSError as error:
        raise DataError(f"write_pgm: cannot write {os.fspath(path)}: {error.strerror}; check the path") from None

"""`load_dlib_landmarks`: dlib's trained finder of five points of a face, `shape_predictor_5_face_landmarks.dat`.

The whole file is a row of whole numbers, each one byte (bit 7 the sign, the rest how many bytes follow, 1 … 8) and
then its bytes, the lowest first; a float is two of them, mantissa and exponent: mantissa · 2^exponent. They say:

    1                                               the version
    the mean shape                                  a matrix (2P, 1): x, y of each point
    S, and for each stage T, and for each tree      the stages of the cascade, and their trees:
        n and n × (i, j, threshold)                 the questions, of each the two pixels compared,
        n + 1 and (n + 1) × a matrix (2P, 1)        and the leaves, what each adds to the shape
    S, and for each stage F and F × anchor          the pixels that the trees may ask for: the point nearest to each,
    S, and for each stage F and F × (x, y)          and its distance from there in the mean shape

where a matrix is its negative height, its negative width, and its numbers. All trees have one size here.

Source: the code of dlib 19, `dlib/image_processing/shape_predictor.h`, `dlib/serialize.h`.
"""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np

from .._tensor import Tensor
from ..errors import CheckpointError
from .elements import Array, to_tensor
from .files import Source, read

FILE = "shape_predictor_5_face_landmarks.dat"
POINTS = 5


def load_dlib_landmarks(source: Source) -> dict[str, Tensor]:
    """Return the cascade of regression trees in dlib's file, given its path or bytes, for `minicnn.faces`.

    `shape` (P, 2) is the mean shape in a box of size 1; of stage s, `anchors` (S, F) and `offsets` (S, F, 2) place
    its pixels; of tree t, question n, `pairs` (S, T, n, 2) are the two pixels whose difference is compared with
    `thresholds` (S, T, n); `leaves` (S, T, n + 1, P, 2) are the answers.
    Raises CheckpointError when the file cannot be read, is damaged or holds something else. It has no checksum:
    damage in the numbers may stay unnoticed.
    """
    data, where = read("load_dlib_landmarks", source)
    reader = _Numbers(where, _whole_numbers(where, data))
    reader.expect("version", 1)
    reader.expect("height of the mean shape", -2 * POINTS)
    reader.expect("width of the mean shape", -1)
    state = {"shape": reader.floats(2 * POINTS).reshape(POINTS, 2)}
    stages, trees, questions = reader.look(0), reader.look(1), reader.look(2)
    if min(stages, trees, questions) < 1 or questions & (questions + 1):
        raise CheckpointError(f"{where} holds {stages} stages of {trees} trees of {questions} questions")
    reader.position += 1
    leaf = 2 + 4 * POINTS  # height, width, and two whole numbers for each float
    size = 1 + 4 * questions + 1 + (questions + 1) * leaf
    # The claims are compared with what is there before anything of their size is made.
    block = reader.table("trees", stages, 1 + trees * size)
    reader.same("number of trees", block[:, 0], trees)
    tree = block[:, 1:].reshape(stages, trees, size)
    reader.same("number of questions", tree[:, :, 0], questions)
    split = tree[:, :, 1 : 1 + 4 * questions].reshape(stages, trees, questions, 4)
    reader.same("number of leaves", tree[:, :, 1 + 4 * questions], questions + 1)
    leaves = tree[:, :, 2 + 4 * questions :].reshape(stages, trees, questions + 1, leaf)
    reader.same("height of a leaf", leaves[..., 0], -2 * POINTS)
    reader.same("width of a leaf", leaves[..., 1], -1)
    state["pairs"] = split[..., :2].copy()
    state["thresholds"] = reader.as_floats(split[..., 2:])[..., 0]
    values = reader.as_floats(leaves[..., 2:].reshape(*leaves.shape[:-1], 2 * POINTS, 2))[..., 0]
    state["leaves"] = values.reshape(stages, trees, questions + 1, POINTS, 2)
    reader.expect("number of stages", stages)
    pixels = reader.look(0)
    anchors = reader.table("anchors", stages, 1 + pixels)
    reader.same("number of pixels", anchors[:, 0], pixels)
    reader.expect("number of stages", stages)
    offsets = reader.table("offsets", stages, 1 + 4 * pixels)
    reader.same("number of pixels", offsets[:, 0], pixels)
    state["anchors"] = anchors[:, 1:].copy()
    state["offsets"] = reader.as_floats(offsets[:, 1:].reshape(stages, pixels, 2, 2))[..., 0]
    if reader.position != len(reader.numbers):
        raise CheckpointError(f"{where} has {len(reader.numbers) - reader.position} numbers behind its last")
    for name, limit in (("pairs", pixels), ("anchors", POINTS)):
        if state[name].min() < 0 or state[name].max() >= limit:
            raise CheckpointError(f"{where}: {name} is not in 0 … {limit - 1}")
    return {name: to_tensor(array) for name, array in state.items()}


def _whole_numbers(where: str, data: bytes) -> Array:
    """Return all numbers in the file, (n,) int64."""
    starts = array("q")  # a list would take 36 bytes for each
    position, end = 0, len(data)
    while position < end:
        starts.append(position)
        position += 1 + (data[position] & 0x7F)
    if position != end or not starts:
        raise CheckpointError(f"{where} is cut short: its last number is incomplete")
    content = np.frombuffer(data + bytes(8), np.uint8)
    first = np.frombuffer(starts, np.int64)
    sizes, negative = content[first] & 0x7F, content[first] > 0x7F
    if sizes.min() < 1 or sizes.max() > 8:
        raise CheckpointError(f"{where} holds a whole number of {sizes.max() if sizes.max() > 8 else 0} bytes")
    values = np.zeros(len(first), np.uint64)
    for byte in range(int(sizes.max())):
        used = byte < sizes
        values[used] |= content[first[used] + 1 + byte].astype(np.uint64) << np.uint64(8 * byte)
    if values.max() >= 2**63:
        raise CheckpointError(f"{where} holds the whole number {values.max()}, which is too large")
    numbers = values.astype(np.int64)
    return np.where(negative, -numbers, numbers)


class _Numbers:
    """The numbers of the file, and how far they are read."""

    def __init__(self, where: str, numbers: Array) -> None:
        self.where, self.numbers, self.position = where, numbers, 0

    def look(self, ahead: int) -> int:
        if self.position + ahead >= len(self.numbers):
            raise CheckpointError(f"{self.where} is cut short")
        return int(self.numbers[self.position + ahead])

    def expect(self, what: str, wanted: int) -> None:
        if self.look(0) != wanted:
            raise self.differs(what, self.look(0), wanted)
        self.position += 1

    def table(self, what: str, rows: int, columns: int) -> Array:
        size = rows * columns
        if columns < 1 or size > len(self.numbers) - self.position:
            raise CheckpointError(f"{self.where} is cut short: {what} need {size} numbers")
        self.position += size
        return self.numbers[self.position - size : self.position].reshape(rows, columns)

    def floats(self, count: int) -> Array:
        return self.as_floats(self.table("points", count, 2))[..., 0]

    def as_floats(self, pairs: Array) -> Array:
        """Return mantissa · 2^exponent of (…, 2) as float32 (…, 1)."""
        mantissa, exponent = pairs[..., :1], pairs[..., 1:]
        if np.abs(mantissa).max(initial=0) >= 2**53 or np.abs(exponent).max(initial=0) > 900:
            raise CheckpointError(f"{self.where} holds a float that is infinite, nan or too large")
        with np.errstate(over="ignore", under="ignore"):
            values = np.ldexp(mantissa.astype(np.float64), exponent.astype(np.int32)).astype(np.float32)
        if not np.isfinite(values).all():
            raise CheckpointError(f"{self.where} holds a float that is infinite, nan or too large")
        return values

    def same(self, what: str, found: Array, wanted: int) -> None:
        wrong = found[found != wanted]
        if wrong.size:
            raise self.differs(what, int(wrong[0]), wanted)

    def differs(self, what: str, found: Any, wanted: Any) -> CheckpointError:
        return CheckpointError(
            f"{self.where} is not dlib's finder of {POINTS} points: {what} is {found}, needs {wanted}"
        )

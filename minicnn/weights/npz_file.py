"""Files `.npz` of NumPy: a zip archive with one array `NAME.npy` for each name."""

from __future__ import annotations

import io
import os
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._files import write_atomically
from .._tensor import Tensor
from ..errors import CheckpointError
from .elements import LOADED, STORED, from_bytes, to_tensor
from .files import Archive, Source, checked_path, is_zip, quoted, read
from .safetensors_file import checked_arrays

_LONGEST_HEADER = 2_000


def load_npz(source: Source) -> dict[str, Tensor]:
    """Return the arrays of an `.npz` file, given its path or bytes, as tensors by name.

    float16 becomes float32. Tensors are made on the current device. Files of `numpy.savez_compressed` are refused,
    since a few bytes there may claim to be gigabytes; arrays of Python objects, since they are pickles.
    Raises CheckpointError for these, and when the file cannot be read or is damaged.
    """
    data, where = read("load_npz", source)
    if not is_zip(data):
        raise CheckpointError(f"{where} is no .npz file: it is not a zip archive")
    archive = Archive(where, data)
    found = {}
    for name in archive.entries:
        if not name.endswith(".npy"):
            raise CheckpointError(f"{where}: entry {quoted(name)} is not an array: its name does not end in .npy")
        found[name.removesuffix(".npy")] = _decoded(f"{where}: array {quoted(name)}", archive.read(name))
    return found


def _decoded(where: str, content: bytes) -> Tensor:
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # NumPy and Python warn of what they only just understand
            shape, fortran, dtype = header(stream, max_header_size=_LONGEST_HEADER)
    except Exception as error:  # the header is parsed as Python text, and may fail in as many ways
        raise CheckpointError(f"{where} is damaged: {type(error).__name__}: {error}"[:300]) from None
    if dtype.name not in STORED or dtype.hasobject or dtype.subdtype is not None:
        raise CheckpointError(f"{where} holds {dtype}, known are {', '.join(STORED)}"[:300])
    raw = memoryview(content)[stream.tell() :]
    size = dtype.itemsize
    for n in shape:
        size *= n
    if size != len(raw) or any(n < 0 for n in shape):
        raise CheckpointError(f"{where} has {len(raw)} bytes, the shape {shape} of {dtype} needs {size}"[:300])
    numbers = from_bytes(where, raw, dtype.name, "big" if dtype.byteorder == ">" else "little")
    try:
        array = np.ndarray(shape, LOADED[dtype.name], numbers, order="F" if fortran else "C")
    except (ValueError, TypeError, OverflowError) as error:
        raise CheckpointError(f"{where} has the shape {shape}: {error}"[:300]) from None
    return to_tensor(array)


def save_npz(path: str | os.PathLike[str], state_dict: Mapping[str, Any]) -> None:
    """Write a state dict as an `.npz` file, which `numpy.load` reads, whole or not at all.

    Raises CheckpointError for a value that is no tensor, and when the disk refuses.
    """
    where = checked_path("save_npz", path)
    arrays = checked_arrays("save_npz", state_dict)
    for name in arrays:
        if not name or "\0" in name or "\\" in name or name.startswith("/"):
            raise CheckpointError(f"save_npz: {quoted(name)} cannot be the name of an entry of a zip archive")
    stream = io.BytesIO()
    # numpy.savez keeps some names for itself, and writes the time.
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)
    try:
        write_atomically(where, stream.getvalue(), sync=True)
    except OSError as error:
        raise CheckpointError(f"save_npz: cannot write {where}: {error.strerror or error}") from None

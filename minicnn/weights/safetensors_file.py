"""Files in the safetensors format: a header of names, types, shapes and places as JSON, then the numbers."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._files import write_atomically
from .._tensor import Tensor
from ..errors import CheckpointError, DTypeError
from .elements import STORED, Array, from_bytes, to_tensor
from .files import Source, checked_path, quoted, read

_TYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


def load_safetensors(source: Source) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, given its path or bytes, by name.

    float16 and bfloat16 become float32; the metadata are not read. Tensors are made on the current device. The
    format has no checksum: damage in the numbers stays unnoticed.
    Raises CheckpointError when the file cannot be read, is damaged, or has a type that there is not here.
    """
    from safetensors import SafetensorError, deserialize

    data, where = read("load_safetensors", source)
    try:
        entries = deserialize(data)  # type: ignore[no-untyped-call]  # the library gives no types for it
    except (SafetensorError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise CheckpointError(f"{where} is no safetensors file, or is damaged: {str(error)[:200]}") from None
    _refuse_double_names(where, data)
    found = {}
    while entries:  # each is dropped when it has become a tensor
        name, entry = entries.pop(0)
        if entry["dtype"] not in _TYPES:
            raise CheckpointError(f"{where}: tensor {quoted(name)} is {entry['dtype']}, known are {', '.join(_TYPES)}")
        numbers = from_bytes(f"{where}: tensor {quoted(name)}", entry["data"], _TYPES[entry["dtype"]])
        try:
            found[name] = to_tensor(numbers.reshape(entry["shape"]))
        except (ValueError, OverflowError) as error:
            raise CheckpointError(
                f"{where}: tensor {quoted(name)} has the shape {entry['shape']}: {error}"[:300]
            ) from None
    return found


def _refuse_double_names(where: str, data: bytes) -> None:
    """Raise CheckpointError where the header, a JSON object, has a name twice: the library takes either."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise CheckpointError(f"{where}: its header has the name {quoted(name)} twice")
            found[name] = value
        return found

    json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")], object_pairs_hook=unique)


def save_safetensors(path: str | os.PathLike[str], state_dict: Mapping[str, Any]) -> None:
    """Write a state dict as a safetensors file, whole or not at all.

    Raises CheckpointError for a name or value that the format has not, and when the disk refuses.
    """
    import safetensors.numpy

    where = checked_path("save_safetensors", path)
    arrays = checked_arrays("save_safetensors", state_dict)
    if "__metadata__" in arrays:
        raise CheckpointError("save_safetensors: '__metadata__' is the one name that the format keeps for itself")
    try:
        write_atomically(where, safetensors.numpy.save(arrays), sync=True)
    except OSError as error:
        raise CheckpointError(f"save_safetensors: cannot write {where}: {error.strerror or error}") from None


def checked_arrays(name: str, state_dict: Mapping[str, Any]) -> dict[str, Array]:
    """Return the arrays of a state dict, contiguous. Raises CheckpointError for what is no dict of real arrays."""
    if not isinstance(state_dict, Mapping):
        raise DTypeError(f"{name}: needs a dict of tensors, got {type(state_dict).__name__}")
    arrays = {}
    for key, value in state_dict.items():
        if not isinstance(key, str):
            raise CheckpointError(f"{name}: {key!r} is no name, needs a str")
        if not isinstance(value, (Tensor, np.ndarray)):
            raise CheckpointError(f"{name}: {key} is a {type(value).__name__}, needs a tensor or an array")
        array = np.asarray(value)
        if array.dtype.name not in STORED:
            raise CheckpointError(f"{name}: {key} is an array of {array.dtype}, known are {', '.join(STORED)}")
        arrays[key] = np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(array.shape)
    return arrays

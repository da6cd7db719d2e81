"""`mc.save` and `mc.load`: nested dicts of tensors, arrays, numbers, strings and lists in one safe file.

The file is a safetensors file, so that other tools can read the tensors; nothing in it is ever executed. Its
metadata hold the structure as JSON, the SHA-256 of every tensor, and the SHA-256 of all metadata. So a file
loads exactly as it was saved or not at all. It is written beside its target and renamed when it is complete
and on the disk: a crash leaves the former file.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ._device import current_device, put
from ._files import write_atomically
from ._tensor import Tensor, wrap
from .errors import CheckpointError, DTypeError

FORMAT = "minicnn-1"  # the one key of the metadata: safetensors writes several in random order


def save(path: str | os.PathLike[str], state: Any) -> None:
    """Write nested dicts, lists and tuples of tensors, arrays, numbers, strings, bools and None to a file.

    Raises CheckpointError for anything else in the state, naming where it stands, and when the disk refuses.
    """
    import safetensors.numpy

    path = _path("save", path)
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    try:
        structure = _packed(state, "", arrays)
        content = json.dumps({"structure": structure, "sha256": {k: _digest(a) for k, a in arrays.items()}})
    except RecursionError:
        raise CheckpointError("save: the state is nested too deeply, or holds itself") from None
    except ValueError:  # Python writes no integer of more than sys.get_int_max_str_digits() digits
        raise CheckpointError("save: the state holds a whole number of too many digits") from None
    metadata = {FORMAT: hashlib.sha256(content.encode()).hexdigest() + content}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, safetensors.numpy.save(arrays, metadata), sync=True)
    except OSError as error:
        raise CheckpointError(f"save: cannot write {path}: {error.strerror or error}") from None


def load(path: str | os.PathLike[str]) -> Any:
    """Return what `save` wrote; tensors are made on the current device.

    Raises CheckpointError when the file is missing, is no checkpoint, or is damaged: no altered content loads.
    """
    from safetensors import SafetensorError, safe_open

    path = _path("load", path)
    if not path.is_file():
        raise CheckpointError(f"load: there is no file {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise CheckpointError(f"load: {path} is damaged or is no checkpoint: {str(error)[:200]}") from None
    if FORMAT not in metadata:
        raise CheckpointError(
            f"load: {path} was not written by mc.save; plain weights are read by minicnn.weights.load_safetensors"
        )
    digest, content = metadata[FORMAT][:64], metadata[FORMAT][64:]
    if digest != hashlib.sha256(content.encode()).hexdigest():
        raise CheckpointError(f"load: {path} is damaged: the SHA-256 of its metadata differs")
    # The SHA-256 is no signature: whoever writes a file to do harm gets it right, so what it guards is not trusted.
    try:
        saved = json.loads(content)
        if saved["sha256"].keys() != arrays.keys():
            raise CheckpointError(f"load: {path} is damaged: it does not hold the tensors that were saved")
        for name, array in arrays.items():
            if _digest(array) != saved["sha256"][name]:
                raise CheckpointError(f"load: {path} is damaged: the SHA-256 of tensor {name!r} differs")
        return _unpacked(saved["structure"], arrays)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"load: {path} is no checkpoint: its metadata do not describe a state ({type(error).__name__})"
        ) from None


def _path(name: str, path: Any) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise DTypeError(f"{name}: path must be a str or a Path, got {type(path).__name__}")
    if "\0" in os.fspath(path):
        raise CheckpointError(f"{name}: path {os.fspath(path)!r} holds a NUL character, which no file name has")
    return Path(path)


def _digest(array: np.ndarray[Any, Any]) -> str:
    """Return the SHA-256 of an array's type, shape and bytes."""
    content = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    content.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
    return content.hexdigest()


def _packed(value: Any, path: str, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    """Return the value as JSON; arrays go into `arrays` and leave their name."""
    if isinstance(value, (Tensor, np.ndarray)):
        array = np.asarray(value)
        if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
            raise CheckpointError(f"save: {path or 'the state'} is an array of {array.dtype}, needs real numbers")
        name = path or "tensor"
        if name == "__metadata__":  # the one name that a safetensors file keeps for itself
            name += "'"
        while name in arrays:
            name += "'"
        arrays[name] = np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(array.shape)
        return {"$tensor" if isinstance(value, Tensor) else "$array": name}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, (str, int)) or isinstance(key, bool):
                raise CheckpointError(f"save: {path or 'the state'} has the key {key!r}; keys must be str or int")
        items = [(key, _packed(item, f"{path}.{key}" if path else str(key), arrays)) for key, item in value.items()]
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return dict(items)
        return {"$dict": items}
    if isinstance(value, (list, tuple)):
        packed = [_packed(item, f"{path}.{i}" if path else str(i), arrays) for i, item in enumerate(value)]
        return packed if isinstance(value, list) else {"$tuple": packed}
    raise CheckpointError(
        f"save: {path or 'the state'} is a {type(value).__name__}; only tensors, arrays, numbers, strings, bools, "
        "None, dicts, lists and tuples can be saved"
    )


def _unpacked(value: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    if isinstance(value, list):
        return [_unpacked(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "$tensor" in value:
        where = current_device()
        return wrap(put(arrays[value["$tensor"]], where), where, None, 0)
    if "$array" in value:
        return arrays[value["$array"]]
    if "$dict" in value:
        return {key: _unpacked(item, arrays) for key, item in value["$dict"]}
    if "$tuple" in value:
        return tuple(_unpacked(item, arrays) for item in value["$tuple"])
    return {key: _unpacked(item, arrays) for key, item in value.items()}

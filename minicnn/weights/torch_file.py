"""`load_torch`: files that `torch.save` wrote, read without PyTorch and without executing anything in them.

There are two formats. The zip archive (PyTorch 1.6 and later) has one folder with

    data.pkl        a pickle of the object, in which each tensor refers to its storage by a key
    data/KEY        the numbers of the storage KEY
    byteorder       "little" or "big" (later versions)
    .data/serialization_id   a checksum over all entries' checksums, in their order (later versions)

The format before it ("legacy") is one file: pickles of a magic number, a version and the machine's byte order, the
pickle of the object, the pickle of the list of keys, and for each key how many elements its storage has, as eight
bytes, and then these. It has no checksum: damage in the numbers stays unnoticed.

A tensor is a view of a storage: offset, shape and strides, counted in elements. Tensors that share a storage share
memory here, too.

Source: the code of `torch/serialization.py` and `caffe2/serialize/inline_container.cc` of PyTorch 2.13.
"""

from __future__ import annotations

import io
import math
from functools import partial
from typing import Any

import numpy as np

from .._tensor import Tensor
from ..errors import CheckpointError
from .elements import LOADED, STORED, Array, from_bytes, to_tensor
from .files import Archive, Source, is_zip, little_endian, quoted, read
from .pickled import Named, unpickle

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_MASK = 2**64 - 1


class _Storage(Named):
    """The numbers of a storage, as they are loaded, and their type in the file."""

    def __init__(self, numbers: Array, dtype: str) -> None:
        super().__init__("a storage", None)
        self.numbers = numbers
        self.dtype = dtype


def load_torch(source: Source) -> Any:
    """Return what a `.pth` or `.pt` file holds, given its path or bytes: usually a state dict {name: Tensor}.

    An OrderedDict becomes a dict; dicts, lists and tuples around it, such as {"state_dict": …, "epoch": 3}, stay;
    parameters become plain tensors. float16 and bfloat16 become float32. Tensors are made on the current device.
    No code in the file is executed: what is neither a tensor nor a plain container is refused by its name.
    Raises CheckpointError when the file cannot be read, is none of these, or is damaged or hostile.
    """
    data, where = read("load_torch", source)
    try:
        return _from_zip(where, data) if is_zip(data) else _from_legacy(where, data)
    except MemoryError:
        raise CheckpointError(f"{where}: not enough memory for its {len(data)} bytes") from None


class _Budget:
    """How many bytes may still be copied for tensors whose elements share places in memory."""

    def __init__(self, where: str, size: int) -> None:
        self.where, self.left = where, size

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise CheckpointError(f"{self.where}: tensors claim more elements than the file has bytes")


def _from_zip(where: str, data: bytes) -> Any:
    archive = Archive(where, data)
    pickles = [name for name in archive.entries if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise CheckpointError(f"{where} is a zip archive without a data.pkl: torch.save did not write it")
    prefix = pickles[0].removesuffix("data.pkl")
    _check_identity(where, archive, prefix)
    byteorder = "little"
    if prefix + "byteorder" in archive.entries:
        byteorder = archive.read(prefix + "byteorder").decode("latin-1")
        if byteorder not in ("little", "big"):
            raise CheckpointError(f"{where}: its byte order is {byteorder[:20]!r}, needs 'little' or 'big'")
    storages: dict[str, _Storage] = {}

    def load_storage(reference: Any) -> _Storage:
        dtype, key, count = _reference(where, reference, 5)
        if key in storages:
            if storages[key].dtype != dtype:
                raise CheckpointError(f"{where}: storage {quoted(key)} is {storages[key].dtype} and {dtype}")
            return storages[key]
        raw = archive.read(f"{prefix}data/{key}")
        if len(raw) != count * STORED[dtype].itemsize:
            raise CheckpointError(
                f"{where}: storage {quoted(key)} has {len(raw)} bytes, {count} elements of {dtype} were saved"
            )
        storages[key] = _Storage(from_bytes(f"{where}: storage {quoted(key)}", raw, dtype, byteorder), dtype)
        return storages[key]

    budget = _Budget(where, len(data))
    return unpickle(where, io.BytesIO(archive.read(pickles[0])), _names(where, budget), load_storage)


def _check_identity(where: str, archive: Archive, prefix: str) -> None:
    """Compare the archive's `serialization_id`, if it has one: entries that changed places have each a right CRC.

    Its last 20 digits are h over all other entries that are not empty, in their order, from h = 0 on:
    h ← h xor (crc + 0x9e3779b9 + 64 h + h / 4).
    """
    name = f"{prefix}.data/serialization_id"
    if name not in archive.entries:
        return
    digits = archive.read(name)
    combined = 0
    in_order = sorted(archive.entries.values(), key=lambda entry: entry.header_offset)
    for entry in in_order:
        if entry.filename != name and entry.file_size:
            combined ^= (entry.CRC + 0x9E3779B9 + (combined << 6) + (combined >> 2)) & _MASK
    if len(digits) != 40 or digits[20:] != b"%020d" % combined:
        raise CheckpointError(f"{where} is damaged: its serialization_id does not fit its entries")
    folder = f"{prefix}data/"
    keys = [entry.filename.removeprefix(folder) for entry in in_order if entry.filename.startswith(folder)]
    if keys not in (sorted(keys, key=lambda key: (len(key), key)), sorted(keys)):  # as numbers, formerly as texts
        raise CheckpointError(f"{where} is damaged: its storages are not in the order in which they are written")


def _from_legacy(where: str, data: bytes) -> Any:
    if not data:
        raise CheckpointError(f"{where} is empty")
    if data[:1] not in (b"\x80", b"L"):
        raise CheckpointError(f"{where} is not a file of torch.save: it is neither a zip archive nor a pickle")
    stream = io.BytesIO(data)
    nothing: dict[str, Any] = {}

    def no_storage(reference: Any) -> Any:
        raise CheckpointError(f"{where}: a storage stands before the magic number")

    magic = unpickle(where, stream, nothing, no_storage)
    if magic != _MAGIC or isinstance(magic, bool):
        raise CheckpointError(f"{where} is a pickle, but not a file of torch.save: it lacks the magic number")
    version = unpickle(where, stream, nothing, no_storage)
    system = unpickle(where, stream, nothing, no_storage)
    if version != _VERSION or not isinstance(system, dict):
        raise CheckpointError(f"{where}: its version is {_short(version)}, only {_VERSION} is known")
    byteorder = "little" if system.get("little_endian", True) else "big"
    storages: dict[str, _Storage] = {}
    views: dict[str, tuple[str, int, int]] = {}
    claimed = 0

    def load_storage(reference: Any) -> _Storage:
        nonlocal claimed
        dtype, key, count = _reference(where, reference, 6)
        if key not in storages:
            claimed += count * STORED[dtype].itemsize
            if claimed > len(data):
                raise CheckpointError(f"{where}: storages claim {claimed} bytes, the file has {len(data)}")
            storages[key] = _Storage(np.zeros(count, LOADED[dtype]), dtype)
        root = storages[key]
        if root.dtype != dtype or len(root.numbers) != count:
            raise CheckpointError(f"{where}: storage {quoted(key)} is described in two ways")
        view = reference[5]
        if view is None:
            return root
        if not isinstance(view, tuple) or len(view) != 3 or not isinstance(view[0], str):
            raise CheckpointError(f"{where}: a view of storage {quoted(key)} has no name")
        name, start, length = view
        if not (_is_count(start) and _is_count(length) and start + length <= count):
            raise CheckpointError(f"{where}: a view of storage {quoted(key)} does not lie in it")
        if views.setdefault(name, (key, start, length)) != (key, start, length):
            raise CheckpointError(f"{where}: view {quoted(name)} is described in two ways")
        return _Storage(root.numbers[start : start + length], dtype)

    # Tensors are views of the storages, whose numbers follow.
    result = unpickle(where, stream, _names(where, _Budget(where, len(data)), copy=False), load_storage)
    keys = unpickle(where, stream, nothing, no_storage)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or sorted(keys) != sorted(storages):
        raise CheckpointError(f"{where}: the list of its storages does not fit what the tensors refer to")
    for key in keys:
        numbers, dtype = storages[key].numbers, storages[key].dtype
        head = stream.read(8)
        size = len(numbers) * STORED[dtype].itemsize
        raw = stream.read(size)
        if len(head) != 8 or len(raw) != size:
            raise CheckpointError(f"{where} is cut short: storage {quoted(key)} is incomplete")
        if little_endian(head if byteorder == "little" else head[::-1]) != len(numbers):
            raise CheckpointError(f"{where}: storage {quoted(key)} has another size than its tensors say")
        numbers[...] = from_bytes(f"{where}: storage {quoted(key)}", raw, dtype, byteorder)
    if stream.read(1):
        raise CheckpointError(f"{where} has bytes behind its last storage")
    return result


def _reference(where: str, reference: Any, length: int) -> tuple[str, str, int]:
    """Return type, key and number of elements of a reference to a storage.

    It is ("storage", type, key, location, number), in the legacy format with one more.
    """
    if not isinstance(reference, tuple) or len(reference) != length or reference[0] != "storage":
        raise CheckpointError(f"{where}: the pickle refers to something that is no storage")
    _, kind, key, _, count = reference[:5]
    if not isinstance(kind, Named) or not isinstance(kind.meaning, _Kind) or not isinstance(key, str):
        raise CheckpointError(f"{where}: the pickle refers to a storage without type or key")
    if not _is_count(count):
        raise CheckpointError(f"{where}: storage {quoted(key)} has {_short(count)} elements")
    return kind.meaning.dtype, key, count


def _short(value: Any) -> str:
    """Return a value for a message; that of tuples in tuples, each twice the same, might fill the memory."""
    if isinstance(value, str):
        return repr(value[:40])
    return str(value) if type(value) is int and abs(value) < 2**64 else f"a {type(value).__name__}"


def _is_count(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**62


class _Kind:
    """The type of a storage."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype


def _names(where: str, budget: _Budget, copy: bool = True) -> dict[str, Any]:
    """Return what the globals in a file of tensors stand for."""
    rebuild = partial(_rebuild, where, budget, copy)

    def no_pending(state: Any) -> None:
        """Refuse a tensor whose storage holds other numbers than it has: {"neg": True}."""
        if isinstance(state, dict) and any(value is True for value in state.values()):
            raise CheckpointError(
                f"{where}: a tensor is stored with its sign still to be changed; save its .resolve_neg()"
            )

    def rebuild_v2(
        storage: Any, offset: Any, size: Any, stride: Any, grad: Any = None, hooks: Any = None, state: Any = None
    ) -> Tensor:
        no_pending(state)
        return rebuild(storage, offset, size, stride)

    def parameter(data: Any, grad: Any = None, hooks: Any = None, state: Any = None) -> Tensor:
        if not isinstance(data, Tensor):
            raise CheckpointError(f"{where}: a parameter is made of {type(data).__name__}, needs a tensor")
        return data

    def with_attributes(function: Any, kind: Any, arguments: Any, state: Any) -> Tensor:
        if not isinstance(function, Named) or function.meaning not in (rebuild_v2, parameter):
            raise CheckpointError(f"{where}: a tensor with attributes is made by what makes no tensors")
        if not isinstance(arguments, tuple):
            raise CheckpointError(f"{where}: a tensor with attributes is made of {type(arguments).__name__}")
        result: Tensor = function.meaning(*arguments)
        return result

    def ordered_dict(items: Any = ()) -> dict[Any, Any]:
        if not isinstance(items, (list, tuple)):
            raise CheckpointError(f"{where}: an OrderedDict is made of {type(items).__name__}, needs a list of pairs")
        found = {}
        for item in items:
            if not isinstance(item, (list, tuple)) or len(item) != 2 or not isinstance(item[0], (str, int, float)):
                raise CheckpointError(f"{where}: an OrderedDict is made of what are no pairs of key and value")
            found[item[0]] = item[1]
        return found

    def size(numbers: Any = ()) -> tuple[Any, ...]:
        if not isinstance(numbers, (list, tuple)):
            raise CheckpointError(f"{where}: a size is made of {type(numbers).__name__}")
        return tuple(numbers)

    def device(kind: Any, index: Any = None) -> str:
        if not isinstance(kind, str) or not isinstance(index, (int, type(None))):
            raise CheckpointError(f"{where}: a device has no name")
        return kind if index is None else f"{kind}:{index}"

    storages = {f"torch.{name}": _Kind(dtype) for name, dtype in _STORAGES.items()}
    return {
        **storages,
        **{f"torch.{dtype}": f"torch.{dtype}" for dtype in STORED},
        "collections.OrderedDict": ordered_dict,
        "torch._utils._rebuild_tensor": rebuild_v2,
        "torch._utils._rebuild_tensor_v2": rebuild_v2,
        "torch._utils._rebuild_parameter": parameter,
        "torch._utils._rebuild_parameter_with_state": parameter,
        "torch._tensor._rebuild_from_type_v2": with_attributes,
        "torch.Tensor": None,  # the class of a tensor with attributes; it is not looked at
        "torch.nn.parameter.Parameter": None,
        "torch.Size": size,
        "torch.device": device,
    }


def _rebuild(
    where: str,
    budget: _Budget,
    copy: bool,
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
) -> Tensor:
    """Return the tensor that is this view of a storage, having checked that it lies inside."""
    if not isinstance(storage, _Storage):
        raise CheckpointError(f"{where}: a tensor is made of {type(storage).__name__}, needs a storage")
    numbers = storage.numbers
    size, stride = (tuple(s) if isinstance(s, list) else s for s in (size, stride))
    if not (isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride) <= 64):
        raise CheckpointError(f"{where}: a tensor's size and stride do not fit together")
    if not (_is_count(offset) and all(map(_is_count, size)) and all(map(_is_count, stride))):
        raise CheckpointError(f"{where}: a tensor's offset, size or stride is no whole number from 0 on")
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride)) if count else offset
    if last >= len(numbers) + (count == 0):
        raise CheckpointError(
            f"{where}: a tensor of size {size}, stride {stride} at {offset} does not lie in its storage "
            f"of {len(numbers)} elements"[:400]
        )
    if count == 0:
        if max(size) > len(numbers) + 2**31:
            raise CheckpointError(f"{where}: an empty tensor of size {size} is too large")
        return to_tensor(np.zeros(size, numbers.dtype))
    width = numbers.itemsize
    overlaps = _overlaps(size, stride)
    if overlaps:
        budget.spend(count * width)
        if not copy:  # the numbers come later
            raise CheckpointError(f"{where}: a tensor of size {size}, stride {stride} holds elements several times")
    view = np.ndarray(size, numbers.dtype, numbers, offset * width, tuple(step * width for step in stride))
    return to_tensor(view.copy() if overlaps else view)


def _overlaps(size: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Return whether several elements of such a view may be one in memory."""
    reach = 0
    for step, n in sorted((step, n) for step, n in zip(stride, size) if n > 1):
        if step <= reach:
            return True
        reach += step * (n - 1)
    return False

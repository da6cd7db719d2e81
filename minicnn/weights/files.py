"""Reading a file of weights: its bytes, and the entries of a zip archive, each checked against its checksum."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, DTypeError

_DESCRIPTOR = 24  # bytes that may follow an entry: its CRC-32 and sizes once more

Source = str | os.PathLike[str] | bytes


def read(name: str, source: Source) -> tuple[bytes, str]:
    """Return the bytes of a file, or the bytes that were given, and how messages call them."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source), name
    where = checked_path(name, source)
    try:
        return where.read_bytes(), f"{name}: {where}"
    except OSError as error:
        raise CheckpointError(f"{name}: cannot read {where}: {error.strerror or error}") from None


def checked_path(name: str, path: str | os.PathLike[str]) -> Path:
    """Return the path, refusing what is none."""
    if not isinstance(path, (str, os.PathLike)):
        raise DTypeError(f"{name}: needs the path of a file or its bytes, got {type(path).__name__}")
    if "\0" in os.fspath(path):
        raise CheckpointError(f"{name}: path {os.fspath(path)!r} holds a NUL character, which no file name has")
    return Path(path)


class Archive:
    """The entries of a zip archive that keeps them uncompressed, as PyTorch and NumPy write it.

    A compressed entry is refused: a few bytes could claim to be gigabytes. So what is read has never more bytes
    than the file. Two entries of one name, entries that overlap, and bytes that belong to no entry (so none can be
    hidden) are refused, too; every entry read is compared with its CRC-32, and its name in the directory with that at
    the entry itself.
    """

    def __init__(self, where: str, data: bytes) -> None:
        self.where = where
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            entries = self._zip.infolist()
        except Exception as error:  # zipfile fails with nearly any error of Python's on a damaged directory
            raise CheckpointError(f"{where} is a damaged zip archive: {_reason(error)}") from None
        end = 0
        for entry in sorted(entries, key=lambda entry: entry.header_offset):
            name = entry.filename
            if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
                raise CheckpointError(
                    f"{where}: entry {quoted(name)} is compressed; weights are read uncompressed only"
                )
            if entry.flag_bits & 0x1:
                raise CheckpointError(f"{where}: entry {quoted(name)} is encrypted")
            if entry.header_offset < end:
                raise CheckpointError(f"{where}: entry {quoted(name)} overlaps another")
            if entry.header_offset > end + _DESCRIPTOR:
                raise CheckpointError(f"{where} has bytes before entry {quoted(name)} that belong to no entry")
            lengths = data[entry.header_offset + 26 : entry.header_offset + 30]  # of the name and of what follows it
            head = 30 + sum(struct.unpack("<HH", lengths)) if len(lengths) == 4 else 30
            end = entry.header_offset + head + entry.file_size
        directory = int(self._zip.start_dir)
        if end > directory:
            raise CheckpointError(f"{where}: its entries claim {end} bytes, there are {directory} before the directory")
        if directory > end + _DESCRIPTOR:
            raise CheckpointError(f"{where} has bytes before its directory that belong to no entry")
        self.entries = {entry.filename: entry for entry in entries}
        if len(self.entries) != len(entries):
            raise CheckpointError(f"{where} holds two entries of one name")
        for name in self.entries:  # also those that nobody reads: a wrong name may hide what says how to read others
            self._opened(name).close()

    def read(self, name: str) -> bytes:
        """Return the content of an entry."""
        if name not in self.entries:
            raise CheckpointError(f"{self.where} has no entry {quoted(name)}: it is incomplete")
        try:
            with self._opened(name) as entry:
                content: bytes = entry.read()
        except CheckpointError:
            raise
        except Exception as error:  # as above
            raise CheckpointError(f"{self.where}: entry {quoted(name)} is damaged: {_reason(error)}") from None
        # zipfile compares the CRC only where it reaches the end that the directory names
        if len(content) != self.entries[name].file_size or zlib.crc32(content) != self.entries[name].CRC:
            raise CheckpointError(f"{self.where}: entry {quoted(name)} is damaged: its CRC-32 differs")
        return content

    def _opened(self, name: str) -> Any:
        """Return an entry as a file. Raises CheckpointError if its own header has another name than the directory."""
        try:
            return self._zip.open(self.entries[name])
        except Exception as error:  # as above
            raise CheckpointError(f"{self.where}: entry {quoted(name)} is damaged: {_reason(error)}") from None


def quoted(name: str) -> str:
    """Return a name from a file for a message."""
    return repr(name if len(name) <= 100 else f"{name[:99]}…")


def _reason(error: Exception) -> str:
    return str(error)[:200] or type(error).__name__


def is_zip(data: bytes) -> bool:
    """Return whether a file begins as a zip archive does."""
    return data[:4] in (b"PK\x03\x04", b"PK\x05\x06")


def little_endian(data: bytes) -> int:
    """Return eight bytes as a whole number, the lowest first, with sign."""
    return int(struct.unpack("<q", data)[0])

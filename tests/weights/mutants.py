"""Damaged copies of files of weights in every format, loaded in a process of its own that watches what happens.

`python -m tests.weights.mutants --each N` makes N copies of each file and of each kind of damage, loads them, and
prints as JSON how many were refused, how many loaded, and everything that went wrong:

- an exception other than CheckpointError, or one without a reason;
- anything that code in a file could do: an import, a process, a network connection, an opened file other than the one
  being loaded (by an audit hook of Python's);
- more memory than `allowed`, a fixed sum and a multiple of the file's size (tracemalloc for Python and NumPy, and a
  limit on the whole process for everything);
- of formats with a checksum, content that is not exactly the original's.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import struct
import sys
import tempfile
import time
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import Tensor
from minicnn.checkpoint import FORMAT, load
from minicnn.checkpoint import save as save_checkpoint
from minicnn.errors import CheckpointError
from minicnn.weights import load_dlib, load_dlib_landmarks, load_npz, load_safetensors, load_torch
from tests.weights.dlib_files import cascade, network
from tests.weights.hostile_files import files

Random = np.random.Generator

# Memory: what any load may take, and besides for each byte of the file. A tensor of which a pickle needs 5 bytes
# takes some 500 as an object of Python's.
FIXED, PER_BYTE = 2**18, 150


def allowed(size: int) -> int:
    """Return how much memory a file of this size may need."""
    return FIXED + PER_BYTE * size


# The originals


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {
        "conv.weight": rng.normal(size=(4, 2, 3, 3)).astype(np.float32),
        "conv.bias": rng.normal(size=4),
        "steps": np.array(7),
        "mask": np.array([True, False, True]),
        "half": rng.normal(size=5).astype(np.float16),
        "empty": np.zeros((0, 3), np.float32),
    }


def torch_file(legacy: bool = False) -> bytes:
    import torch

    state = {name: torch.from_numpy(array) for name, array in arrays().items()}
    state["view"] = state["conv.weight"][1:, 0].transpose(0, 1)
    state["parameter"] = torch.nn.Parameter(torch.ones(2))
    stream = io.BytesIO()
    value = {"state_dict": state, "epoch": 3, "lr": 0.1, "names": ["a", ("b", None)]}
    torch.save(value, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


def safetensors_file() -> bytes:
    import safetensors.numpy

    return safetensors.numpy.save(arrays(), {"format": "pt"})


def npz_file() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays())
    return stream.getvalue()


def checkpoint_file() -> bytes:
    state = {
        "model": {name: Tensor(array) for name, array in arrays().items()}, "optimizer": {"groups": [{"b": (0.9, 1)}]},
        1: None, "text": "Å", "array": np.arange(3), "flag": True, "lr": 0.1,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder, "a"), state)
        return Path(folder, "a").read_bytes()


# Kinds of damage


def flip_bit(data: bytes, rng: Random) -> bytes:
    place = int(rng.integers(len(data)))
    return data[:place] + bytes([data[place] ^ 1 << int(rng.integers(8))]) + data[place + 1 :]


def flip_bits(data: bytes, rng: Random) -> bytes:
    for _ in range(int(rng.integers(2, 20))):
        data = flip_bit(data, rng)
    return data


def truncate(data: bytes, rng: Random) -> bytes:
    return data[: int(rng.integers(len(data)))]


def insert(data: bytes, rng: Random) -> bytes:
    place = int(rng.integers(len(data) + 1))
    return data[:place] + rng.bytes(int(rng.integers(1, 40))) + data[place:]


def block(data: bytes, rng: Random) -> tuple[int, int]:
    start = int(rng.integers(len(data)))
    return start, min(len(data), start + int(rng.integers(1, 1 + min(len(data), 400))))


def delete(data: bytes, rng: Random) -> bytes:
    start, end = block(data, rng)
    return data[:start] + data[end:]


def duplicate(data: bytes, rng: Random) -> bytes:
    start, end = block(data, rng)
    return data[:end] + data[start:end] + data[end:]


def move(data: bytes, rng: Random) -> bytes:
    start, end = block(data, rng)
    rest = data[:start] + data[end:]
    place = int(rng.integers(len(rest) + 1))
    return rest[:place] + data[start:end] + rest[place:]


def zero(data: bytes, rng: Random) -> bytes:
    start, end = block(data, rng)
    return data[:start] + bytes(end - start) + data[end:]


CLAIMS = [
    0,
    1,
    2**7 - 1,
    2**7,
    2**8 - 1,
    2**15,
    2**16 - 1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**63 - 1,
    2**63,
    2**64 - 1,
]


def claim(data: bytes, rng: Random) -> bytes:
    """A number of 1, 2, 4 or 8 bytes that claims something large."""
    size = int(rng.choice([1, 2, 4, 8]))
    number = (int(rng.choice(np.array(CLAIMS, np.uint64))) % 2 ** (8 * size)).to_bytes(size, "little")
    place = int(rng.integers(len(data)))
    return data[:place] + number + data[place + size :]


def digits(data: bytes, rng: Random) -> bytes:
    """Replace a run of decimal digits, if there is one, by another number."""
    places = [i for i, byte in enumerate(data[:50_000]) if 48 <= byte <= 57]
    if not places:
        return flip_bits(data, rng)
    start = end = int(rng.choice(places))
    while end < len(data) and 48 <= data[end] <= 57:
        end += 1
    number = rng.choice([b"0", b"-1", b"9999999999", b"9223372036854775808", b"1e400", b"9" * 5000, b"[[[[", b"{}"])
    return data[:start] + bytes(number) + data[end:]


KINDS: dict[str, Callable[[bytes, Random], bytes]] = {
    function.__name__: function
    for function in (flip_bit, flip_bits, truncate, insert, delete, duplicate, move, zero, claim, digits)
}


# Damage inside a file whose checksums are then made right again: what a hostile writer would do


def inside_zip(data: bytes, ending: str, change: Callable[[bytes], bytes], leave_out: str = "\0") -> bytes:
    """Change the entries with this ending, all of them, in a zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            if not name.endswith(leave_out):
                new.writestr(name, change(old.read(name)) if name.endswith(ending) else old.read(name))
    return stream.getvalue()


def inside_checkpoint(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Change the JSON of `mc.save`, and write the SHA-256 that fits."""
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    content = change(header["__metadata__"][FORMAT][64:].encode()).decode("utf-8", "replace")
    header["__metadata__"][FORMAT] = hashlib.sha256(content.encode()).hexdigest() + content
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


@dataclass
class Subject:
    """A file, how it is loaded, and how it is damaged."""

    content: bytes
    load: Callable[[bytes], Any]
    checksum: bool
    damaged: Callable[[bytes, Callable[[bytes], bytes]], bytes] = lambda data, change: change(data)
    share: float = 1.0  # of the number of copies


def from_file(content: bytes) -> Any:
    """Load a checkpoint of `mc.save` from a file."""
    PLACE.write_bytes(content)
    return load(PLACE)


PLACE = Path(tempfile.gettempdir(), "minicnn-mutant")


def subjects() -> dict[str, Subject]:
    """Return the files by name."""
    archive, npz, checkpoint = torch_file(), npz_file(), checkpoint_file()
    return {
        "torch": Subject(archive, load_torch, True),
        "torch, right checksums": Subject(
            archive, load_torch, False,
            lambda data, change: inside_zip(data, "data.pkl", change, leave_out="serialization_id"),
        ),
        "torch, legacy": Subject(torch_file(legacy=True), load_torch, False),
        "safetensors": Subject(safetensors_file(), load_safetensors, False),
        "npz": Subject(npz, load_npz, True),
        "npz, right checksums": Subject(
            npz, load_npz, False, lambda data, change: inside_zip(data, "weight.npy", change)
        ),
        "checkpoint": Subject(checkpoint, from_file, True),
        "checkpoint, right checksums": Subject(checkpoint, from_file, False, inside_checkpoint),
        "dlib's network": Subject(network(np.random.default_rng(0))[0], load_dlib, False, share=0.1),
        "dlib's cascade": Subject(cascade(np.random.default_rng(0))[0], load_dlib_landmarks, False),
    }  # fmt: skip


def fingerprint(value: Any) -> str:
    """Return a text that is the same for the same content only, looking at each object once."""
    content = hashlib.sha256()

    def add(value: Any, depth: int) -> None:
        content.update(f"<{type(value).__name__} ".encode())
        if isinstance(value, (Tensor, np.ndarray)):
            array = np.ascontiguousarray(np.asarray(value))
            content.update(f"{array.dtype} {np.shape(value)} ".encode() + array.tobytes())
        elif isinstance(value, dict):
            for key, item in value.items():
                content.update(repr(key)[:200].encode())
                add(item, depth + 1)
        elif isinstance(value, (list, tuple)):
            for item in value:
                add(item, depth + 1)
        else:
            content.update(repr(value).encode())
        content.update(b">")

    add(value, 0)
    return content.hexdigest()


# Watching


class Watch:
    """An audit hook that notes what loading a file must not do."""

    FORBIDDEN = ("os.", "subprocess.", "socket.", "shutil.", "ctypes.", "pickle.", "import", "exec", "webbrowser.")

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open" and Path(str(arguments[0])) != PLACE:
            self.seen.append(f"open {arguments[0]!r}")
        elif event.startswith(self.FORBIDDEN):
            self.seen.append(f"{event} {arguments!r}"[:200])


def limit_memory(extra: int) -> None:
    """Let this process have so many bytes more than now, where the system knows such limits."""
    try:
        import resource
    except ImportError:
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else None
    if pages is not None:
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + extra,) * 2)


def copies(each: int, seed: int) -> Iterator[tuple[str, str, Subject, bytes]]:
    """Yield name of the file, kind of damage, and the damaged file."""
    for position, (name, subject) in enumerate(subjects().items()):
        for number, (kind, damage) in enumerate(KINDS.items()):
            rng = np.random.default_rng([seed, position, number])
            for _ in range(max(1, round(each * subject.share))):
                yield name, kind, subject, subject.damaged(subject.content, lambda data, d=damage, r=rng: d(data, r))


def every_bit() -> Iterator[tuple[str, str, Subject, bytes]]:
    """Yield each small file with each of its bits flipped, one at a time."""
    for name, subject in subjects().items():
        if subject.share < 1 or "right" in name:
            continue
        for bit in range(8 * len(subject.content)):
            changed = bytearray(subject.content)
            changed[bit // 8] ^= 1 << bit % 8
            yield name, "bit", subject, bytes(changed)


def by_hand() -> Iterator[tuple[str, str, Subject, bytes]]:
    """Yield the files that were written by hand."""
    loaders = {"torch": load_torch, "npz": load_npz, "safetensors": load_safetensors}
    for name, (format, content) in files().items():
        yield name, "by hand", Subject(content, loaders[format], False), content


def examine(damaged: Iterator[tuple[str, str, Subject, bytes]]) -> dict[str, Any]:
    """Load every damaged file and return the counts and what went wrong."""
    warnings.simplefilter("error")
    originals = {name: fingerprint(subject.load(subject.content)) for name, subject in subjects().items()}
    for subject in subjects().values():  # everything that an error needs is loaded
        for data in (b"", b"PK", b"\x80\x02", b"\x80\x02V\\u0041\n.", subject.content[:-20]):
            with contextlib.suppress(CheckpointError):
                subject.load(data)
    watch = Watch()
    limit_memory(2**29)
    tracemalloc.start()
    counts: dict[str, dict[str, int]] = {}
    wrong: list[str] = []
    slowest = 0.0
    largest = 0.0
    for name, kind, subject, content in damaged:
        count = counts.setdefault(name, {"refused": 0, "unchanged": 0, "changed": 0})
        where = f"{name}, {kind}, SHA-256 {hashlib.sha256(content).hexdigest()[:16]}"
        tracemalloc.reset_peak()
        before, start = tracemalloc.get_traced_memory()[0], time.perf_counter()
        value: Any = None
        watch.on = True
        try:
            value = subject.load(content)
            refused = False
        except CheckpointError as error:
            refused = True
            text = str(error)
            if not text.startswith("load") or not 15 < len(text) < 2000:
                wrong.append(f"{where}: the reason is {text[:300]!r}")
        except BaseException as error:
            wrong.append(f"{where}: {type(error).__name__}: {error}"[:300])
            refused = True
        watch.on = False
        slowest = max(slowest, time.perf_counter() - start)
        peak = tracemalloc.get_traced_memory()[1] - before
        largest = max(largest, (peak - FIXED) / max(1, len(content)))
        if peak > allowed(len(content)):
            wrong.append(f"{where}: {peak} bytes of memory for a file of {len(content)}")
        if refused:
            count["refused"] += 1
            continue
        same = fingerprint(value) == originals.get(name)
        count["unchanged" if same else "changed"] += 1
        if subject.checksum and not same:
            wrong.append(f"{where}: altered content was loaded")
    wrong += [f"while loading: {event}" for event in watch.seen]
    files = sum(sum(count.values()) for count in counts.values())
    return {"files": files, "counts": counts, "wrong": wrong, "slowest": slowest, "memory_per_byte": largest}


def main() -> None:
    """Examine as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=30, help="copies of each file and kind of damage")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every-bit", action="store_true", help="every single bit of every small file instead")
    parser.add_argument("--by-hand", action="store_true", help="the files written by hand instead")
    options = parser.parse_args()
    damaged = every_bit() if options.every_bit else by_hand() if options.by_hand else copies(options.each, options.seed)
    print(json.dumps(examine(damaged), indent=1))


if __name__ == "__main__":
    main()

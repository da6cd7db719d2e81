"""Runs compiled kernels in a helper process, with a time limit, on arrays in memory that both processes see."""

from __future__ import annotations

import atexit
import json
import mmap
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DeviceError
from ..launch import MAX_SHARED, Argument, Dims
from ..source import Source
from .build import MODES, build, line_of, symbol
from .counts import Counted, named
from .sparse import Sparse

SIZES = (1 << 40, 1 << 36, 1 << 33)  # of the common memory; only what is touched takes memory
SLOTS = 32  # arrays of one launch at most; far apart, so that a stray address meets none of the others
PAGE = 4096
MARGIN = 1 << 20  # bytes before and after an array that are watched in unchecked runs, too, at most
KEEP = 256 << 20  # bytes that may stay in the common memory after a launch


class Settings:
    """How launches run."""

    check = os.environ.get("MINICNN_SIM_CHECK", "0") == "1"
    order = 0  # 0 forward, 1 reverse, any other number seeds a shuffle of threads and blocks
    seconds = float(os.environ.get("MINICNN_SIM_SECONDS", "60"))
    blocks: Callable[[int], tuple[int, int]] | None = None  # which run of how many: first, end; None: all
    counted: list[Counted] | None = None  # where to put what launches do; None: it is not counted


@contextmanager
def checking(check: bool = True, order: int = 0, seconds: float | None = None) -> Iterator[None]:
    """Watch every load and store of the kernels inside this block; `order` chooses which thread runs first."""
    former = Settings.check, Settings.order, Settings.seconds
    Settings.check, Settings.order = check, order
    Settings.seconds = former[2] if seconds is None else seconds
    try:
        yield
    finally:
        Settings.check, Settings.order, Settings.seconds = former


@contextmanager
def only_blocks(choose: Callable[[int], tuple[int, int]]) -> Iterator[None]:
    """Run the blocks from the first to before the second that `choose(number of blocks)` returns, and no others."""
    former, Settings.blocks = Settings.blocks, choose
    try:
        yield
    finally:
        Settings.blocks = former


def last_block(blocks: int) -> tuple[int, int]:
    """For `only_blocks`: the last one, whose indices are the largest."""
    return blocks - 1, blocks


@contextmanager
def counting(blocks: int | None = None) -> Iterator[list[Counted]]:
    """Count what the kernels inside this block do; of each grid `blocks` in the middle run (None: all of them).

    The results of kernels are then incomplete.
    """
    former, counted = Settings.counted, list[Counted]()
    Settings.counted = counted
    try:
        with only_blocks(Settings.blocks or (lambda n: _middle(n, blocks or n))):
            yield counted
    finally:
        Settings.counted = former


def _middle(blocks: int, most: int) -> tuple[int, int]:
    first = max(0, (blocks - most) // 2)
    return first, min(blocks, first + most)


def launch(text: Source, kernel: str, grid: Dims, block: Dims, shared: int, arguments: list[Argument]) -> None:
    """Run a kernel to its end. Raises DeviceError with kernel, line, block and thread where it goes wrong."""
    mode = "count" if Settings.counted is not None else "check" if Settings.check else "fast"
    library = build(text, mode)
    static = library.shared.get(kernel, 0)
    if static + shared > MAX_SHARED:
        raise DeviceError(
            f"{kernel}: {static} bytes of static and {shared} of dynamic shared memory in a block, "
            f"a GPU takes {MAX_SHARED}"
        )
    with _lock:
        arena = _Helper.get()
        placed = [arena.put(i, a) for i, a in enumerate(a for a in arguments if a.is_array)]
        offsets = iter(placed)
        answer = arena.ask(
            {
                "library": str(library.path), "symbol": symbol(kernel), "grid": grid, "block": block,
                "shared": shared, "shared_max": MAX_SHARED, "mode": list(MODES).index(mode),
                "order": Settings.order if mode != "count" else 0, "seconds": Settings.seconds,
                "blocks": Settings.blocks(grid[0] * grid[1] * grid[2]) if Settings.blocks else (0, 0),
                "arguments": [("array", next(offsets)) if a.is_array else ("number", a.value.tobytes().hex())
                              for a in arguments],
                "regions": [(offset, a.value.nbytes, a.name, a.read)
                            for offset, a in zip(placed, (a for a in arguments if a.is_array))],
            }
        )  # fmt: skip
        error = answer["error"]
        stray = None
        for offset, a in zip(placed, (a for a in arguments if a.is_array)):
            if error is None:
                stray = stray or (a.name if arena.margins_touched(offset, a.value.nbytes) else None)
                for start, values in _windows(a.value) if a.written else ():
                    _flat(values)[...] = arena.bytes(offset + start, values.nbytes)
        arena.shrink(placed, [a.value.nbytes for a in arguments if a.is_array])
    if error is not None:
        place = line_of(library.path, answer["pc"])
        raise DeviceError(
            f"{kernel}: " + (f"{place}: " if place else f"{text.path.name}: " * (".cu:" not in error)) + error
        )
    if Settings.counted is not None:
        Settings.counted.append(Counted(kernel, grid, block, shared, static, named(answer["counts"])))
    if stray is not None:
        raise DeviceError(
            f"{kernel}: {text.path.name}: something was written outside {stray!r}; "
            "a checked run says where: MINICNN_SIM_CHECK=1, or emulation.checking()"
        )


_lock = threading.RLock()


class _Helper:
    """The helper process and the memory that it shares with this one. There is one per process."""

    _current: _Helper | None = None

    @classmethod
    def get(cls) -> _Helper:
        found = cls._current
        if found is None or found.owner != os.getpid() or found.process.poll() is not None:
            if found is not None and found.owner == os.getpid():
                found.close()
            found = cls._current = cls()
        return found

    def __init__(self) -> None:
        self.owner = os.getpid()
        descriptor = os.memfd_create("minicnn-cuda-sim")
        try:
            self.memory, self.size = _mapped(descriptor)
            self.gap = self.size // SLOTS
            self.view = np.frombuffer(self.memory, np.uint8)
            self.process = subprocess.Popen(
                [sys.executable, "-S", "-E", Path(__file__).with_name("worker.py"), str(descriptor), str(self.size)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(descriptor,),
            )  # fmt: skip
        finally:
            os.close(descriptor)

    def put(self, slot: int, a: Argument) -> int:
        """Copy an array into its slot (NaN where the kernel does not read it) between margins of NaN."""
        nbytes = a.value.nbytes
        if slot >= SLOTS or nbytes > self.gap - 4 * MARGIN:
            raise DeviceError(f"cuda:sim: {a.name} has {nbytes} bytes, at most {self.gap - 4 * MARGIN} are possible")
        offset = slot * self.gap + 2 * MARGIN
        margin = _margin(nbytes)
        self.view[offset - margin : offset] = 0xFF
        self.view[offset + nbytes : offset + nbytes + margin] = 0xFF
        for start, values in _windows(a.value):
            self.view[offset + start : offset + start + values.nbytes] = _flat(values) if a.read else 0xFF
        return offset

    def bytes(self, offset: int, nbytes: int) -> Any:
        return self.view[offset : offset + nbytes]

    def margins_touched(self, offset: int, nbytes: int) -> bool:
        margin = _margin(nbytes)
        before, after = self.bytes(offset - margin, margin), self.bytes(offset + nbytes, margin)
        return bool((before != 0xFF).any() or (after != 0xFF).any())

    def shrink(self, offsets: list[int], sizes: list[int]) -> None:
        """Give memory back after a large launch."""
        if sum(sizes) > KEEP:
            for offset, size in zip(offsets, sizes):
                self.memory.madvise(mmap.MADV_REMOVE, offset, -(-size // PAGE) * PAGE)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for the answer; a helper whose own alarm does not end the kernel is killed."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        line = b""
        try:
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
            if select.select([stdout], [], [], request["seconds"] + 10)[0]:
                line = stdout.readline()
        except OSError:
            pass  # it died: the answer below
        except BaseException:
            self.close()  # interrupted: the answer would be taken for the next one's
            raise
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self.close()
        return {"error": f"the helper process ended or hung in it (exit status {self.process.returncode})", "pc": 0}

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def _windows(array: Any) -> list[tuple[int, Any]]:
    """Return the parts of an array that are in memory, with the byte where each starts."""
    if isinstance(array, Sparse):
        return [(start * array.dtype.itemsize, values) for start, values in array.windows.items()]
    return [(0, array)]


def _flat(array: Any) -> Any:
    return array.reshape(-1).view(np.uint8)


def _margin(nbytes: int) -> int:
    return min(max(PAGE, nbytes & -4), MARGIN)


def _mapped(descriptor: int) -> tuple[mmap.mmap, int]:
    for size in SIZES:
        try:
            os.ftruncate(descriptor, size)
            return mmap.mmap(descriptor, size), size
        except (OSError, ValueError):
            continue
    raise DeviceError(f"cuda:sim: no {SIZES[-1] >> 30} GiB of address space; raise the limit (ulimit -v)")


@atexit.register
def _close() -> None:
    if _Helper._current is not None and _Helper._current.owner == os.getpid():
        _Helper._current.close()

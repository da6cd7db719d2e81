"""Compiled kernels on disk, so that only the first run ever waits for the compiler.

One file holds one compiled function for one signature, in a folder named after a hash of *everything* that
went into the machine code: the text of every file of this package, the versions of Python, NumPy, Numba and
llvmlite, the processor and the settings that change code. Numba's own cache looks at the file of the
function alone, so an edited `microkernel.py` would go on running from old code inside `conv.py`'s kernels.

What limits it: loading a kernel takes 5 to 20 ms, most of it linking. Files are written under another name
and then moved, so processes that start together only do the same work twice, and a checksum finds those that a
full disk cut off. A folder that cannot be
written costs a warning and a compilation per process. Old folders are deleted after 30 days without use.
Whoever can write to the folder can run code as the user, as with every compiler's cache.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import sys
import tempfile
import time
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from llvmlite import binding
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from ..data.cache import cache_folder
from . import settings

KEEP_DAYS = 30


def key(package: Path | None = None) -> str:
    """Return the hash of everything that decides what machine code the kernels become."""
    text = hashlib.sha256()
    for source in sorted((package or Path(__file__).parent).glob("*.py")):
        text.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    features = binding.get_host_cpu_features().flatten()
    parts = (sys.version, np.__version__, numba.__version__, llvmlite.__version__, numba.config.CPU_NAME)
    parts += (numba.config.CPU_FEATURES, binding.get_host_cpu_name(), features, numba.config.OPT, settings.vector())
    text.update(repr(parts).encode())
    return text.hexdigest()[:20]


@lru_cache(maxsize=1)
def folder() -> Path | None:
    """Return this process's folder of compiled kernels, or None (after a warning) if it cannot be written."""
    kernels = cache_folder() / "kernels"
    path = kernels / key()
    try:
        path.mkdir(parents=True, exist_ok=True)
        os.utime(path)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        warnings.warn(
            f"minicnn: compiled kernels cannot be kept in {path} ({error.strerror}), so every process compiles "
            "them again; set MINICNN_CACHE to a folder that you can write to",
            stacklevel=2,
        )
        return None
    for old in kernels.iterdir():
        if old != path and old.stat().st_mtime < time.time() - KEEP_DAYS * 86400:
            shutil.rmtree(old, ignore_errors=True)
    return path


class KernelCache(_Cache):  # type: ignore[misc]  # Numba has no types
    """What a Numba function asks for its compiled code, and tells when it has compiled some."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def cache_path(self) -> str:
        return str(folder())

    def _file(self, signature: Any) -> Path | None:
        place = folder()
        return place and place / f"{self._name}-{hashlib.sha256(str(signature).encode()).hexdigest()[:16]}"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        file = self._file(sig)
        if file is None or not file.exists():
            return None
        checksum, code = (content := file.read_bytes())[:32], content[32:]
        if hashlib.sha256(code).digest() != checksum:  # damaged: compile it again
            return None
        target_context.refresh()
        return CompileResult._rebuild(target_context, *pickle.loads(code))

    def save_overload(self, sig: Any, data: Any) -> None:
        file = self._file(sig)
        if file is None:
            return
        if data.library.has_dynamic_globals:
            raise RuntimeError(f"{self._name}: holds an address of this process and must not be cached")
        code = dumps(data._reduce())
        descriptor, unfinished = tempfile.mkstemp(dir=file.parent, prefix=file.name)
        with os.fdopen(descriptor, "wb") as out:
            out.write(hashlib.sha256(code).digest() + code)
        try:
            os.replace(unfinished, file)
        except PermissionError:  # Windows, another process is reading the same code at this moment
            os.unlink(unfinished)

    def enable(self) -> None: ...

    def disable(self) -> None: ...

    def flush(self) -> None: ...

"""Compiles a kernel file for the CPU with g++, once: libraries are kept in the user's cache folder.

The key holds everything that the library is made of: the kernel file, `common.cuh`, this folder's header and runtime,
the options and the compiler's version.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from ...data.cache import cache_folder
from ...errors import DeviceError
from ..launch import MAX_SHARED
from ..source import Source
from . import arithmetic
from .shared_memory import static_bytes

HERE = Path(__file__).parent
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-function")
# Without -fno-gnu-unique the shared arrays of a template would be one object in all loaded libraries.
COMMON = ("-std=c++17", "-fPIC", "-gdwarf-4", "-ffp-contract=off", "-fno-strict-aliasing", "-fno-gnu-unique")
# Without -fno-tree-sra a float4 is read as four floats, which on a GPU is one access.
INSTRUMENTED = ("-O1", "-DEMULATION_INSTRUMENTED", "--param=tsan-instrument-func-entry-exit=0", "-fno-tree-sra")
UNDEFINED = "bounds-strict,signed-integer-overflow,shift,integer-divide-by-zero,alignment"
MODES = {  # the order of `enum Mode` in runtime.cpp
    "fast": ("-O2", "-fno-math-errno"),
    "check": (*INSTRUMENTED, f"-fsanitize=thread,{UNDEFINED}"),
    # -mfma: g++ fuses a multiplication and an addition where nvcc does. No red zone: counting pushes the flags.
    "count": (*INSTRUMENTED, "-fsanitize=thread", "-fsanitize-coverage=trace-pc", "-fno-math-errno", "-mfma",
              "-ffp-contract=fast", "-fexpensive-optimizations", "-mno-red-zone"),
}  # fmt: skip
_DYNAMIC = re.compile(r"extern\s+__shared__\s+([\w ]+?)\s+(\w+)\s*\[\s*\]")


class Library(NamedTuple):
    """A compiled kernel file: where it is, and the bytes of static shared memory of each of its kernels."""

    path: Path
    shared: dict[str, int]


@cache
def compiler() -> str:
    """Return the version of g++. Raises DeviceError where there is none, and on other platforms than Linux x86-64."""
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "AMD64"):
        raise DeviceError(
            f"device 'cuda:sim' needs Linux on x86-64, this is {platform.system()} on {platform.machine()}; use 'cpu'"
        )
    found = shutil.which("g++")
    if found is None:
        raise DeviceError(
            "device 'cuda:sim' compiles the kernels with g++, which is not installed: apt install g++ "
            "(Debian, Ubuntu) or dnf install gcc-c++ (Fedora)"
        )
    return subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


def symbol(kernel: str) -> str:
    """Return a kernel's name as a C identifier: gemm<float> → gemm_float."""
    return re.sub(r"\W+", "_", kernel).strip("_")


@lru_cache(maxsize=256)
def build(text: Source, mode: str) -> Library:
    """Return the library of a kernel file, compiled unless the cache has it. Raises DeviceError with g++'s words.

    mode: one of MODES; "check" watches every load and store, "count" counts them.
    """
    kernels = [*text.expressions, *sorted(set(text.kernels) - text.templates)]
    unit = _unit(text, kernels)
    flags = (*COMMON, *WARNINGS, *MODES[mode])
    own = [_text(name) for name in ("cuda_on_cpu.h", "runtime.cpp", "counting.h", "arithmetic.py", "shared_memory.py")]
    parts = [unit, text.text, text.header, *own, *flags, compiler()]
    folder = cache_folder() / "kernels"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    library = folder / f"{text.path.stem}-{_digest(parts)}.so"
    facts = library.with_suffix(".json")
    if not (library.exists() and facts.exists()):
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            made = Path(temporary)
            (made / text.path.name).write_text(text.text, encoding="utf-8")
            (made / "common.cuh").write_text(text.header, encoding="utf-8")
            (made / "unit.cpp").write_text(unit, encoding="utf-8")
            if mode == "count":
                _gpp(text, *flags, "-S", made / "unit.cpp", "-o", made / "unit.s")
                assembly = (made / "unit.s").read_text(encoding="utf-8")
                (made / "unit.s").write_text(arithmetic.counted(assembly), encoding="utf-8")
                _gpp(text, "-c", made / "unit.s", "-o", made / "unit.o")
            else:
                _gpp(text, *flags, "-c", made / "unit.cpp", "-o", made / "unit.o")
            _gpp(text, "-shared", made / "unit.o", _runtime(folder), "-o", made / "all.so")
            shared = static_bytes(made / "all.so", text.header + text.text, kernels)
            (made / "facts.json").write_text(json.dumps(shared), encoding="utf-8")
            os.replace(made / "facts.json", facts)
            os.replace(made / "all.so", library)
    return Library(library, json.loads(facts.read_text(encoding="utf-8")))


def line_of(library: Path, pc: int) -> str:
    """Return the source line of an address in a library as "file.cu:12", or "" if it is not known."""
    if not pc:
        return ""
    done = subprocess.run(
        ["addr2line", "-se", library, hex(pc - 1)], capture_output=True, text=True, check=False
    ).stdout  # fmt: skip
    place = done.split()[0] if done.split() else ""
    return "" if place.startswith("?") else place


def _unit(text: Source, kernels: list[str]) -> str:
    """Return what g++ compiles: the header, the kernel file, the dynamic shared array, an export of each kernel."""
    arrays = sorted(set(_DYNAMIC.findall(text.text + text.header)))
    if len(arrays) > 1:
        raise DeviceError(f"{text.path.name}: one dynamic shared array per file is possible, there are {arrays}")
    kind, name = arrays[0] if arrays else ("float", "emulation_unused")
    return "\n".join(
        [
            f'#include "{HERE / "cuda_on_cpu.h"}"',
            f'#include "{text.path.name}"',
            f"alignas(16) thread_local {kind} {name}[{MAX_SHARED} / sizeof({kind})];",
            f'extern "C" char* emulation_dynamic() {{ return (char*){name}; }}',
            *(f"EXPORT({symbol(kernel)}, {kernel})" for kernel in kernels),
            "",
        ]
    )


def _runtime(folder: Path) -> Path:
    """Return the compiled runtime, which all libraries share."""
    flags = (*COMMON, "-O2")
    made = folder / f"runtime-{_digest([_text('runtime.cpp'), _text('counting.h'), *flags, compiler()])}.o"
    if not made.exists():
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            _gpp(None, *flags, "-c", HERE / "runtime.cpp", "-o", Path(temporary, "runtime.o"))
            os.replace(Path(temporary, "runtime.o"), made)
    return made


def _gpp(text: Source | None, *words: str | Path) -> None:
    done = subprocess.run(["g++", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        name = text.path if text else "the emulation's runtime"
        raise DeviceError(f"g++ rejects {name}:\n{done.stderr.strip()}")


@cache
def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]

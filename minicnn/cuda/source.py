"""The kernel files: where they are, and which parameters their kernels have."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import DeviceError

HEADER = "common.cuh"
TYPES = {
    "float": "f4", "double": "f8", "bool": "?", "unsigned char": "u1", "int": "i4", "unsigned": "u4",
    "unsigned int": "u4", "long long": "i8", "index_t": "i8", "unsigned long long": "u8",
}  # fmt: skip
_KERNEL = re.compile(
    r"(template\s*<\s*typename\s+T\s*>\s*)?__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(([^)]*)\)"
)
_COMMENT = re.compile(r"//[^\n]*")


class Parameter(NamedTuple):
    """One parameter of a kernel; `dtype` is None for the template's type T."""

    name: str
    dtype: np.dtype[np.generic] | None
    pointer: bool
    const: bool


@dataclass(frozen=True, eq=False)
class Source:
    """One kernel file: its text, that of the header, the parameters of each kernel. One version is one object."""

    path: Path
    text: str
    header: str
    kernels: dict[str, tuple[Parameter, ...]]
    templates: frozenset[str]

    @property
    def whole(self) -> str:
        """The text with the header in its place, for compilers that read no files; lines keep file and number."""
        before, line, after = self.text.partition(f'#include "{HEADER}"')
        number = before.count("\n") + 2
        return (
            f'{before}#line 1 "{HEADER}"\n{self.header}\n#line {number} "{self.path.name}"{after}' if line else before
        )

    @property
    def expressions(self) -> tuple[str, ...]:
        """The instances of the file's templates, as NVRTC and CuPy take them."""
        return tuple(f"{name}<{kind}>" for name in sorted(self.templates) for kind in ("float", "double"))


def shipped() -> Path:
    """Return the folder of the kernels: minicnn/kernels where installed, kernels/ in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "kernels"
    return installed if installed.is_dir() else package.parent / "kernels"


def path_of(name: str) -> Path:
    """Return the path of a kernel file: in the folder that MINICNN_KERNELS names if it is there, else the shipped one.

    Raises DeviceError for a folder that does not exist, and for a .cu file in it that no operation uses.
    """
    chosen = os.environ.get("MINICNN_KERNELS")
    if not chosen:
        return shipped() / name
    folder = Path(chosen).expanduser().absolute()
    if not folder.is_dir():
        raise DeviceError(f"MINICNN_KERNELS is {chosen!r}, which is no folder; copy kernels/ there, or unset it")
    known = {path.name for path in shipped().glob("*.cu")}
    unknown = sorted(path.name for path in folder.glob("*.cu") if path.name not in known)
    if unknown:
        raise DeviceError(
            f"MINICNN_KERNELS: {unknown[0]} in {folder} is used by no operation; there are {', '.join(sorted(known))}"
        )
    return folder / name if (folder / name).is_file() else shipped() / name


def read(family: str) -> Source:
    """Return the kernel file of a family as it is now: an edited one is read again."""
    path, header = path_of(f"{family}.cu"), path_of(HEADER)
    try:
        stamps = (path.stat().st_mtime_ns, header.stat().st_mtime_ns)
    except OSError as error:
        raise DeviceError(f"kernels: {error.filename} cannot be read: {error.strerror}") from None
    return _read(path, header, stamps)


@lru_cache(maxsize=64)
def _read(path: Path, header: Path, stamps: tuple[int, int]) -> Source:
    return parsed(path, header)


def parsed(path: Path, header: Path) -> Source:
    """Return a kernel file with this header."""
    text = path.read_text(encoding="utf-8")
    kernels, templates = {}, set()
    for template, name, parameters in _KERNEL.findall(_COMMENT.sub("", text)):
        kernels[name] = tuple(_parameter(path, name, p) for p in parameters.split(",") if p.strip())
        if template:
            templates.add(name)
    return Source(path, text, header.read_text(encoding="utf-8"), kernels, frozenset(templates))


def _parameter(path: Path, kernel: str, text: str) -> Parameter:
    words = re.findall(r"\w+|\*", text.replace("__restrict__", " "))
    kind = " ".join(w for w in words[:-1] if w not in ("const", "*"))
    if kind != "T" and kind not in TYPES:
        raise DeviceError(
            f"{path.name}: {kernel} has a parameter {text.strip()!r}; needs T or one of {', '.join(TYPES)}"
        )
    dtype = None if kind == "T" else np.dtype(TYPES[kind])
    return Parameter(words[-1], dtype, "*" in words, "const" in words)

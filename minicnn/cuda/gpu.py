"""Runs kernels on an NVIDIA GPU through CuPy's RawModule. Not yet run on a GPU: written from CuPy's documentation."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from .launch import Argument, Dims
from .source import HEADER, Source


def launch(text: Source, symbol: str, grid: Dims, block: Dims, shared: int, arguments: list[Argument]) -> None:
    """Launch a kernel; it runs while Python goes on."""
    function = _module(text.text, text.header, tuple(sorted(_expressions(text)))).get_function(symbol)
    function(grid, block, tuple(a.value for a in arguments), shared_mem=shared)


def _expressions(text: Source) -> list[str]:
    return [f"{name}<{kind}>" for name in text.templates for kind in ("float", "double")]


@lru_cache(maxsize=64)
def _module(text: str, header: str, expressions: tuple[str, ...]) -> Any:
    import cupy

    # The header's text, not its name: CuPy caches what it compiled under the text, and an edited header must count.
    code = text.replace(f'#include "{HEADER}"', f'#line 1 "{HEADER}"\n{header}\n#line 2')
    return cupy.RawModule(code=code, options=("-std=c++17",), name_expressions=expressions)

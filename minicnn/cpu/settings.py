"""What the environment decides for the kernels: vector width and threads. Needs no Numba."""

from __future__ import annotations

import os
import platform
from functools import lru_cache

from ..errors import MinicnnError

VECTORS = ("avx512", "avx2", "neon", "scalar")


@lru_cache(maxsize=1)
def vector() -> str:
    """Return the kind of vector registers that kernels are compiled for: `MINICNN_VECTOR`, or the host's.

    `neon` means 16 bytes and is also right, if not the fastest, on x86; `scalar` uses no vectors and runs
    anywhere.
    """
    chosen = os.environ.get("MINICNN_VECTOR")
    if chosen:
        if chosen not in VECTORS:
            raise MinicnnError(f"MINICNN_VECTOR is {chosen!r}, needs one of {', '.join(VECTORS)}")
        return chosen
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return "avx512"
    if features.get("avx2") and features.get("fma"):
        return "avx2"
    return "neon" if features.get("neon") or features.get("sse2") else "scalar"


@lru_cache(maxsize=1)
def threads() -> int:
    """Return how many threads kernels use: `MINICNN_NUM_THREADS`, or the cores this process may run on."""
    chosen = os.environ.get("MINICNN_NUM_THREADS")
    if chosen:
        if not chosen.isdecimal() or int(chosen) < 1:
            raise MinicnnError(f"MINICNN_NUM_THREADS is {chosen!r}, needs a whole number from 1")
        return int(chosen)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def is_x86() -> bool:
    """Return whether this is an x86 processor, whatever vector registers are chosen."""
    return platform.machine().lower() in ("x86_64", "amd64")

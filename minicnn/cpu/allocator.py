"""Memory that NumPy frees stays with the process, so that the next step finds its pages warm.

The C library's allocator gives arrays of more than some megabytes back to the operating system at once, and every step
pays again for thousands of fresh pages: 4 % of a training step of the small AlexNet, 10 % of the small ResNet's
forward pass. Two numbers tell it not to. The highest use of memory stays the same; what is free is kept for reuse, up
to `KEEP` bytes. Only glibc has these settings; `MINICNN_KEEP_MEMORY=0` leaves them alone.
"""

from __future__ import annotations

import ctypes
import os
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
KEEP = 1 << 29
LARGEST = 44 << 20  # larger arrays come from the operating system: gradients of 150 MB would cut the free memory up


def keep_memory() -> bool:
    """Tell the allocator to keep what is freed; return whether it was told."""
    if os.environ.get("MINICNN_KEEP_MEMORY") == "0" or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_TRIM_THRESHOLD, KEEP) and mallopt(M_MMAP_THRESHOLD, LARGEST))

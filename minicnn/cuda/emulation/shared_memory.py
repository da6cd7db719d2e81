"""How many bytes of static shared memory the blocks of each kernel take."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

_FUNCTION = re.compile(r"__(?:device|global)__[^;{}]*?\b(\w+)\s*\([^;{}]*\)\s*\{")
_ARRAY = re.compile(r"^\w+ (\w+) [bBdDuVW] (?:.* )?(\w+)(<[^()]*>)?\(.*\)(?: const)?::\w+$", re.M)


def static_bytes(library: Path, text: str, kernels: list[str]) -> dict[str, int]:
    """Return the bytes of the shared arrays of each kernel and of the functions that it calls.

    The arrays are the thread-local ones in a library's table of symbols. Who calls whom is read from the text: of a
    template that is called, all instances count, so the number may be a little too large.
    """
    listing = subprocess.run(["nm", "-SC", library], capture_output=True, text=True, check=True).stdout
    own: dict[str, dict[str, int]] = {}
    for size, name, instance in _ARRAY.findall(listing):
        sizes = own.setdefault(name, {})
        sizes[instance] = sizes.get(instance, 0) + int(size, 16)
    calls = _calls(text)
    return {kernel: _bytes(kernel, own, calls) for kernel in kernels}


def _bytes(kernel: str, own: dict[str, dict[str, int]], calls: dict[str, set[str]]) -> int:
    name, bracket, rest = kernel.partition("<")
    called, waiting = set[str](), [name]
    while waiting:
        found = calls.get(waiting.pop(), set()) - called
        called |= found
        waiting += found
    shared_with = sum(sum(own[f].values()) for f in called - {name} if f in own)
    return own.get(name, {}).get(bracket + rest, 0) + shared_with


def _calls(text: str) -> dict[str, set[str]]:
    """Return for each function of a kernel file the functions of the file whose names are in its body."""
    bodies: dict[str, str] = {}
    for found in _FUNCTION.finditer(text):
        depth, end = 1, found.end()
        while depth and end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        bodies[found[1]] = bodies.get(found[1], "") + text[found.end() : end]
    return {name: set(re.findall(r"\w+", body)) & bodies.keys() for name, body in bodies.items()}

"""Counts floating-point arithmetic: a counter is raised before each arithmetic instruction that g++ wrote.

Counting in the compiled program needs nothing of the source: templates, casts and literals are what they are. A
multiplication and an addition that g++ fuses (`-mfma -ffp-contract=fast`, as nvcc does) are one multiply-add.
"""

from __future__ import annotations

import re

KINDS = ("fma32", "add32", "special32", "fma64", "add64", "special64")
"""Multiply-adds; additions, multiplications, comparisons for the larger or smaller; divisions, roots and functions."""

_INSTRUCTION = re.compile(r"\s+v?(fn?m(?:add|sub)\d+|add|sub|mul|max|min|div|sqrt)(ss|sd)\s")
_FUNCTION = re.compile(
    r"\s+(?:call|jmp)\s+(exp|log|log1p|expm1|tanh|erf|erfc|pow|sin|cos|sqrt|sincos|log2|exp2)(f?)@PLT"
)


def counted(assembly: str) -> str:
    """Return the assembly with `emulation_arithmetic[kind] += 1` before each arithmetic instruction."""
    lines = []
    for line in assembly.splitlines():
        kind = _kind(line)
        if kind is not None:  # inc changes the flags that a comparison before may have set
            lines.append(f"\tpushfq\n\tincq\temulation_arithmetic+{8 * KINDS.index(kind)}(%rip)\n\tpopfq")
        lines.append(line)
    return "\n".join(["\t.hidden emulation_arithmetic", *lines, ""])


def _kind(line: str) -> str | None:
    if found := _INSTRUCTION.match(line):
        name, bits = found[1], "32" if found[2] == "ss" else "64"
        return {"f": "fma", "d": "special", "q": "special"}.get(name[0] if name != "sqrt" else "q", "add") + bits
    if found := _FUNCTION.match(line):
        return "special32" if found[2] else "special64"
    return None

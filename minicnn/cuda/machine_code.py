"""Reads the machine code in a cubin, as far as counting instructions needs it.

A cubin is an ELF file; each kernel has a section `.text.<name>` of 16-byte instructions (compute capability 7.0 and
later). The lowest 12 bits are the operation, the next four the predicate, then eight the first register. NVIDIA does
not publish the encoding.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

SIZE = 16
EXIT, BRANCH, NOTHING = 0x94D, 0x947, 0x918
GLOBAL = {0x981, 0x381, 0x986, 0x386, 0x385, 0x980, 0x985, 0x98E, 0x3A8, 0x9A8, 0x3A9, 0x9A9}  # loads, stores, atomics
SHARED = {0x984, 0x388, 0x988}
MULTIPLY_ADD = {0x23, 0x2B}  # in float, double; the lower eight bits: the others say where operands come from


class Instruction(NamedTuple):
    """One instruction: where it is in its kernel, its operation, its first register, where it branches to."""

    address: int
    operation: int
    register: int
    target: int | None

    @property
    def multiplies_and_adds(self) -> bool:
        return self.operation & 0xFF in MULTIPLY_ADD and self.operation >> 8 in (2, 4, 6, 8, 10, 12)

    @property
    def accesses_memory(self) -> bool:
        return self.operation in GLOBAL or self.operation in SHARED


class Code(NamedTuple):
    """A kernel's instructions: those of innermost loops that multiply and add, of other loops, and the rest.

    Loops that neither multiply nor touch memory are in the rest: they divide or search, a few times.
    """

    multiplying: list[Instruction]
    moving: list[Instruction]
    others: list[Instruction]

    def per_warp(self, accesses: float, multiply_adds: float) -> float:
        """Return how many instructions a warp runs, given its accesses to memory and its multiply-adds.

        How often loops run follows from what is in them: the first from the multiply-adds, the others from the accesses
        that are left. Where the compiler multiplies and adds for other reasons (divisions, functions), all loops
        together follow from the accesses.
        """
        fused = sum(i.multiplies_and_adds for i in self.multiplying)
        inner, outer, once = (sum(i.accesses_memory for i in part) for part in self)
        left = max(0.0, accesses - once)
        times = max(multiply_adds / fused if fused else 0.0, left / (inner + outer) if inner + outer else 0.0)
        rest = max(0.0, left - times * inner) / outer if outer else times
        return len(self.others) + times * len(self.multiplying) + rest * len(self.moving)

    @property
    def independent(self) -> int:
        """Return how many chains of multiply-adds the loops keep going: the registers that they add to."""
        return max(1, len({i.register for i in self.multiplying if i.multiplies_and_adds}))


def read(cubin: bytes, name: str, architecture: str) -> Code:
    """Return the code of the kernel that the linker calls `name`."""
    code = decoded(_section(cubin, f".text.{name}"), hopper=int(architecture.removeprefix("sm_")) >= 90)
    last = max(k for k, i in enumerate(code) if i.operation == EXIT)  # functions that are rarely called follow
    code = code[: last + 1]
    spans = [(i.target, i.address) for i in code if i.target is not None and i.target < i.address]
    loops = {span: [i for i in code if span[0] <= i.address <= span[1]] for span in spans}
    multiplying, moving = set[int](), set[int]()
    for span, body in loops.items():
        innermost = not any(t != span and span[0] <= t[0] and t[1] <= span[1] for t in spans)
        if innermost and any(i.multiplies_and_adds for i in body):
            multiplying |= {i.address for i in body}
        elif any(i.multiplies_and_adds or i.accesses_memory for i in body):
            moving |= {i.address for i in body}
    moving -= multiplying
    return Code(
        [i for i in code if i.address in multiplying],
        [i for i in code if i.address in moving],
        [i for i in code if i.address not in multiplying | moving],
    )


def decoded(text: bytes, hopper: bool) -> list[Instruction]:
    """Return the instructions of a section; from Hopper on a branch has the lowest bits of its distance elsewhere."""
    found = []
    for address in range(0, len(text), SIZE):
        low, high = struct.unpack_from("<QQ", text, address)
        operation, target = low & 0xFFF, None
        if operation == BRANCH:  # 48 bits with sign, in units of four bytes, from the next instruction
            offset = (high << 64 | low) >> 34 & (1 << 48) - 1
            offset -= (1 << 48) * (offset >> 47)
            target = address + SIZE + 4 * (offset << 8 | low >> 16 & 0xFF if hopper else offset)
        if operation != NOTHING and target != address:  # the endless branch behind the end stops the prefetch
            found.append(Instruction(address, operation, low >> 16 & 0xFF, target))
    return found


def _section(elf: bytes, name: str) -> bytes:
    (table,) = struct.unpack_from("<Q", elf, 0x28)
    count, names = struct.unpack_from("<HH", elf, 0x3C)
    headers = [struct.unpack_from("<IIQQQQ", elf, table + 64 * k) for k in range(count)]
    strings = headers[names][4]
    for start, _, _, _, offset, size in headers:
        if elf[strings + start : elf.index(b"\0", strings + start)].decode() == name:
            return elf[offset : offset + size]
    raise KeyError(name)

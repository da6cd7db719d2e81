"""Which refusals are right, and why: what PyTorch's and ONNX's samples ask for that is outside of interface.md.

A limit is a pattern of operations (in the names of the table) and one of minicnn's text. A refusal that no limit
covers counts as wrong; a limit that nothing needs any more fails a test.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


class Outside(Exception):
    """An ONNX node that cannot be written with the operations of `minicnn.functional`; the text says why."""


@dataclass(frozen=True)
class Limit:
    """A kind of refusal, and the reason why it is right."""

    operation: str
    text: str
    reason: str


LIMITS: list[Limit] = []

ACCEPTED: list[Limit] = []
"""Calls that PyTorch refuses and minicnn takes; the text is the beginning of PyTorch's."""


def reason(limits: list[Limit], operation: str, text: str) -> str:
    """Return the reason why a refusal is right, or nothing."""
    for limit in limits:
        if re.fullmatch(limit.operation, operation) and re.search(limit.text, text):
            return limit.reason
    return ""

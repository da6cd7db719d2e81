"""The process in which the grader runs what needs minicnn beside it: `python -m minicnn.gradient_checking.worker`.

The request comes as JSON on standard input, the findings go to standard output with the request's secret. What the
submission prints goes nowhere. The submission shares this process with the checker: who writes it can forge what is
found, though not by accident; a NumPy pair has a process of its own (student.py).
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from ..errors import DataError
from .target import load
from .trial import OutOfTime, findings

MIB = 1 << 20


def limit_memory(mebibytes: int) -> None:
    """Bound this process's memory, where the system can (not on Windows)."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (mebibytes * MIB, mebibytes * MIB))


def grade(request: dict[str, Any]) -> dict[str, Any]:
    """Return the findings about one target."""
    try:
        target = load(request["target"], request["cases"])
        return findings(target, request["seed"], request["mode"], request["seconds"])
    except DataError as error:
        return {"unreadable": str(error)}
    except OutOfTime:
        return {"out of time": True}


def main() -> int:
    """Grade as the request says; write the result in one step."""
    request = json.loads(sys.stdin.buffer.read())
    secret, out = request.pop("secret"), os.dup(1)
    limit_memory(request["memory"])
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    result = grade(request)
    with os.fdopen(out, "w", encoding="utf-8") as stream:
        json.dump({**result, "secret": secret}, stream)
    return 0


if __name__ == "__main__":
    sys.exit(main())

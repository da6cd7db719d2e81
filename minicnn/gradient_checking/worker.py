"""The process in which the grader runs a submission: `python -m minicnn.gradient_checking.worker REQUEST RESULT`.

REQUEST is JSON, RESULT is where the findings go. What the submission prints goes nowhere.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from .check import gradcheck
from .report import Report
from .target import Target, load

MIB = 1 << 20


def limit_memory(mebibytes: int) -> None:
    """Bound this process's memory, where the system can (not on Windows)."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (mebibytes * MIB, mebibytes * MIB))


def grade(request: dict[str, Any]) -> dict[str, Any]:
    """Return the findings about one target: a report as a dictionary for every case."""
    try:
        target = load(request["target"], request["cases"])
    except DataError as error:
        return {"unreadable": str(error)}
    guessed = [m for m in target.makers if getattr(m, "guessed", False)]
    if not target.makers:
        return {"unreadable": "gradcheck: no inputs are known; give --cases, or write NAME_inputs(rng) in the file"}
    reports = []
    for number, maker in enumerate(target.makers):
        report = _check(target, maker, request, number)
        if maker in guessed and any(f.kind == "error" and f.text.startswith("the function") for f in report.faults):
            if maker is not guessed[-1]:
                continue
            report.notes.append("no usual shapes were taken; give --cases, or write NAME_inputs(rng) in the file")
        reports.append(report.as_dict() | {"text": report.summary()})
        if maker in guessed:
            break
    return {"reports": reports}


def _check(target: Target, maker: Any, request: dict[str, Any], number: int) -> Report:
    seed = request["seed"]
    try:
        inputs = maker(np.random.default_rng((seed, number)))
    except Exception as error:
        raise DataError(f"gradcheck: the inputs cannot be made: {type(error).__name__}: {error}") from error
    return gradcheck(
        target.function, inputs, backward=target.backward, mode=request["mode"], seed=seed, budget=request["seconds"]
    )


def main(request_path: str, result_path: str) -> int:
    """Grade as the request says; write the result in one step."""
    request = json.loads(Path(request_path).read_text(encoding="utf-8"))
    limit_memory(request["memory"])
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        result = grade(request)
    except DataError as error:
        result = {"unreadable": str(error)}
    part = Path(result_path + ".part")
    part.write_text(json.dumps(result), encoding="utf-8")
    part.replace(result_path)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

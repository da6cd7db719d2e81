"""The grader: `minicnn gradcheck FILE::NAME …`, each target in a process of its own, with limits.

An endless loop, a crash or exhausted memory is a verdict like any other: the gradients are not right.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from .report import band

Row = tuple[str, str, str, str, str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the targets; return 0 if all are right, 1 if one is wrong, 2 if one cannot be read."""
    from ..commands import gradcheck_command

    parser = argparse.ArgumentParser(prog="minicnn gradcheck", description=gradcheck_command.__doc__)
    gradcheck_command.add_arguments(parser)
    return run(parser.parse_args(arguments))


def run(options: argparse.Namespace) -> int:
    """Check as parsed options say, print the table, write the JSON."""
    results = [grade(target, options) for target in options.target]
    for result in results:
        for text in dict.fromkeys([*result["texts"], result["verdict"]] if not result["passed"] else []):
            print(f"{result['target']}: {text}" if text == result["verdict"] else text)
    print(table([row for result in results for row in rows(result)]))
    right, count = (sum(r[key] for r in results) for key in ("right", "gradients"))
    print(f"{right} of {count} gradients are right")
    if options.json:
        Path(options.json).write_text(json.dumps({"targets": results}, ensure_ascii=False, indent=1), encoding="utf-8")
    if any(r["unreadable"] for r in results):
        return 2
    return 0 if all(r["passed"] for r in results) else 1


def grade(target: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the verdict about one target."""
    found = _in_a_process(target, options)
    reports = found.get("reports", [])
    verdict = found.get("unreadable") or found.get("verdict") or ""
    credit: dict[str, bool] = {}
    for report in reports:
        for gradient in report["gradients"]:
            right = gradient["passed"] and not (report["faults"] and all(g["passed"] for g in report["gradients"]))
            credit[gradient["name"]] = credit.get(gradient["name"], True) and right
    passed = not verdict and bool(reports) and all(r["passed"] for r in reports)
    return {
        "target": target,
        "passed": passed,
        "unreadable": "unreadable" in found,
        "verdict": verdict or ("right" if passed else "wrong"),
        "right": sum(credit.values()),
        "gradients": max(len(credit), 0 if passed else 1),
        "credit": credit,
        "texts": [r.pop("text") for r in reports],
        "reports": reports,
    }


def _in_a_process(target: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run the worker within its limits; return its findings, or the verdict about how it ended."""
    with tempfile.TemporaryDirectory() as folder:
        request, result = Path(folder) / "request.json", Path(folder) / "result.json"
        wanted = {
            "target": target, "cases": options.cases, "seed": options.seed, "mode": options.mode,
            "memory": options.memory, "seconds": 0.8 * options.time,
        }  # fmt: skip
        request.write_text(json.dumps(wanted), encoding="utf-8")
        worker = [sys.executable, "-m", f"{__package__}.worker", str(request), str(result)]
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # threads count as memory
        process = subprocess.Popen(
            worker, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=environment, start_new_session=True,
        )  # fmt: skip
        try:
            _, errors = process.communicate(timeout=options.time)
        except subprocess.TimeoutExpired:
            return {"verdict": f"out of time: not done after {options.time:g} s"}
        finally:
            end(process)
        if process.returncode == 0 and result.is_file():
            found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
            if any("MemoryError" in fault for r in found.get("reports", []) for fault in r["faults"]):
                found["verdict"] = f"out of memory: more than {options.memory} MiB"
            return found
        if b"MemoryError" in errors:
            return {"verdict": f"out of memory: more than {options.memory} MiB"}
        return {"verdict": f"crashed: {ending(process.returncode)}"}


def end(process: subprocess.Popen[bytes]) -> None:
    """End the worker and whatever it has started."""
    if os.name == "posix":
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    if process.stderr is not None:
        process.stderr.close()


def ending(code: int) -> str:
    """Return in words how a process ended."""
    if code < 0:
        return f"ended by signal {signal.Signals(-code).name}"
    return f"the process ended with code {code} without a result"


def rows(result: dict[str, Any]) -> list[Row]:
    """Return the table's rows about one target: a row for each gradient, with CS231n's rel_error and its reading."""
    if not result["credit"]:
        return [(result["target"], "", "unreadable" if result["unreadable"] else "WRONG", "", result["verdict"])]
    found = []
    for name, right in result["credit"].items():
        same = [g for r in result["reports"] for g in r["gradients"] if g["name"] == name]
        errors = [float(g["rel_error"]) for g in same if g["rel_error"] is not None]
        error = max(errors) if errors else None
        causes = [d["kind"] for r in result["reports"] for d in r["diagnosis"][:1]] if not right else []
        words = ", ".join(dict.fromkeys(causes)) or (band(error) if error is not None else "")
        shown = "" if error is None else f"{error:.2e}"
        found.append((result["target"], name, "right" if right else "WRONG", shown, words))
    return found


def table(lines: list[Row]) -> str:
    """Return rows as a table with columns of equal width."""
    lines = [("target", "gradient", "verdict", "rel_error", "cause, or CS231n's reading"), *lines]
    widths = [max(len(line[i]) for line in lines) for i in range(5)]
    return "\n".join("  ".join(f"{cell:{width}}" for cell, width in zip(line, widths)).rstrip() for line in lines)


if __name__ == "__main__":
    sys.exit(main())

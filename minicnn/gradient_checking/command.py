"""The grader: `minicnn gradcheck FILE::NAME …`, each target in a process of its own, with limits.

An endless loop, a crash or exhausted memory is a verdict like any other: the gradients are not right. A NumPy pair
runs in a process that sees no more than its arguments, and the checker calls it from outside. What is made of minicnn's
Tensors runs beside the checker, in worker.py.
"""

from __future__ import annotations

import argparse
import hmac
import json
import math
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError
from .report import band
from .student import Ended, Student, clean, described, end, ending
from .student_pair import StudentPair, fit_to_send, inputs_from
from .target import Maker, Target, makers, pair, split
from .trial import OutOfTime, findings

LEAST_MEMORY = 512  # MiB of address space: less does not load NumPy, minicnn and its kernels
MOST_SECONDS = 1e6

Row = tuple[str, str, str, str, str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the targets; return 0 if all are right, 1 if one is wrong, 2 if one cannot be read."""
    from ..commands import gradcheck_command

    parser = argparse.ArgumentParser(prog="minicnn gradcheck", description=gradcheck_command.__doc__)
    gradcheck_command.add_arguments(parser)
    try:
        return run(parser.parse_args(arguments))
    except DataError as error:
        print(f"minicnn gradcheck: {error}", file=sys.stderr)
        return 2


def run(options: argparse.Namespace) -> int:
    """Check as parsed options say, print the table, write the JSON. Raises DataError if an option is unusable."""
    _look_at(options)
    results = [grade(target, options) for target in options.target]
    for result in results:
        for text in dict.fromkeys([*result["texts"], result["verdict"]] if not result["passed"] else []):
            print(f"{result['target']}: {text}" if text == result["verdict"] else text)
    print(table([row for result in results for row in rows(result)]))
    right, count = (sum(r[key] for r in results) for key in ("right", "gradients"))
    print(f"{right} of {count} gradients are right")
    beside = [r["target"] for r in results if not r["isolated"]]
    if beside:
        print(f"note: {', '.join(beside)} ran beside the checker in one process, and could forge this; no pair could")
    if options.json:
        Path(options.json).write_text(json.dumps({"targets": results}, ensure_ascii=False, indent=1), encoding="utf-8")
    if any(r["unreadable"] for r in results):
        return 2
    return 0 if all(r["passed"] for r in results) else 1


def _look_at(options: argparse.Namespace) -> None:
    """Raise DataError if an option is unusable: before anything is graded."""
    if not (math.isfinite(options.time) and 0 < options.time <= MOST_SECONDS):
        raise DataError(f"--time is {options.time:g}, needs seconds above 0, at most {MOST_SECONDS:g}")
    if options.memory < LEAST_MEMORY:
        raise DataError(f"--memory is {options.memory}, needs at least {LEAST_MEMORY} MiB to start")
    if options.seed < 0:
        raise DataError(f"--seed is {options.seed}, needs 0 or more")
    if options.json:
        path = Path(options.json)
        there = path.exists()
        try:
            with path.open("ab"):
                pass
            if not there:
                path.unlink()
        except OSError as error:
            raise DataError(f"--json {path} cannot be written: {error.strerror}") from error


def grade(target: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the verdict about one target."""
    found = {"isolated": True, **_found(target, options)}
    reports = found.get("reports", [])
    verdict = found.get("unreadable") or found.get("verdict") or ""
    faulty = any(r["faults"] for r in reports)
    if reports and not faulty and not any(math.prod(g["shape"]) for r in reports for g in r["gradients"]):
        verdict, reports = "nothing was checked: the inputs have no element", []
    credit: dict[str, bool] = {}
    for report in reports:
        for gradient in report["gradients"]:
            right = gradient["passed"] and not (report["faults"] and all(g["passed"] for g in report["gradients"]))
            credit[gradient["name"]] = credit.get(gradient["name"], True) and right
    passed = not verdict and bool(reports) and all(credit.values()) and not faulty
    return {
        "target": target,
        "passed": passed,
        "unreadable": "unreadable" in found,
        "isolated": found["isolated"],
        "verdict": verdict or ("right" if passed else "wrong"),
        "right": sum(credit.values()),
        "gradients": max(len(credit), 0 if passed else 1),
        "credit": credit,
        "texts": [r.pop("text") for r in reports],
        "reports": reports,
    }


def _found(target: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the findings about a target, or the verdict about how its process ended."""
    try:
        path, name, stem = split(target)
        student = Student(path, options.time, options.memory, exercise=False)
        try:
            if student.error:
                raise DataError(f"gradcheck: {path} cannot be read: {described(student.error)}")
            halves = pair(path, name, stem, student.names, student.uses_minicnn)
            if halves:
                return _check_pair(StudentPair(student, *halves), stem, options)
        finally:
            student.close()
        return {**_in_the_worker(target, options), "isolated": False}
    except DataError as error:
        return {"unreadable": str(error)}
    except Ended as ended:
        return {"verdict": str(ended)}
    except OutOfTime:
        return {"verdict": f"out of time: not done after {options.time:g} s"}
    except Exception as error:  # results that the checker does not know: the other targets are graded all the same
        return {"verdict": f"the checker failed at these results: {type(error).__name__}: {clean(error)}"}


def _check_pair(halves: StudentPair, stem: str, options: argparse.Namespace) -> dict[str, Any]:
    """Check a NumPy pair, which runs in its own process, from here."""
    student, own = halves.student, f"{stem}_inputs"
    if own in student.names and not options.cases:
        count = iter(range(1))
        tried: list[Maker] = [lambda _: fit_to_send(inputs_from(student, own, (options.seed, next(count))))]
    else:
        tried = [_sent(maker) for maker in makers(halves.forward, stem, options.cases, None)]
    return findings(Target(halves.forward, halves.backward, tried), options.seed, options.mode, options.time)


def _sent(maker: Maker) -> Maker:
    def make(rng: Any) -> Any:
        return fit_to_send(maker(rng))

    make.guessed = getattr(maker, "guessed", False)  # type: ignore[attr-defined]  # as of a maker of usual shapes
    return make


def _in_the_worker(target: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run the worker within its limits; return its findings, or the verdict about how it ended."""
    secret = secrets.token_hex()
    wanted = {
        "target": target, "cases": options.cases, "seed": options.seed, "mode": options.mode,
        "memory": options.memory, "seconds": 0.9 * options.time, "secret": secret,
    }  # fmt: skip
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # threads count as memory
    process = subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=environment, start_new_session=True,
    )  # fmt: skip
    try:
        answer, errors = process.communicate(json.dumps(wanted).encode(), timeout=options.time)
    except subprocess.TimeoutExpired:
        raise OutOfTime from None
    finally:
        end(process)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    if process.returncode == 0 and answer:
        found = _with_secret(answer, secret)
        if found is None:
            return {"verdict": "writes into the checker's own channel, instead of returning results"}
        if found.pop("out of time", False):
            raise OutOfTime
        if any("MemoryError" in fault for r in found.get("reports", []) for fault in r["faults"]):
            found["verdict"] = f"out of memory: more than {options.memory} MiB"
        return found
    if b"MemoryError" in errors:
        return {"verdict": f"out of memory: more than {options.memory} MiB"}
    return {"verdict": f"crashed: {ending(process.returncode)}"}


def _with_secret(answer: bytes, secret: str) -> dict[str, Any] | None:
    """Return the worker's findings, None if they do not come from it."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not hmac.compare_digest(str(found.pop("secret", "")), secret):
        return None
    return found


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

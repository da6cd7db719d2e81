"""Exercises for a course: `list` them, get a file to fill in (`new`), and `grade` what was written.

`new NAME` writes NAME.py (`new --all` all of them), a plain NumPy file with formulas, shapes and hints; nothing of
minicnn is needed in it. `grade FILE` compares every forward pass in it with the right results over several inputs, and
checks every gradient.
Each part gives a point. The file runs in a process of its own with limits on time and memory.
Exit code of `grade`: 0 all right; 1 something is wrong, not written yet, crashed, or out of time or memory; 2 the
file or the cases cannot be read, or hold no exercise.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

EXAMPLE = "minicnn coursework new affine"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the exercises, in the order of teaching")
    listing.add_argument("--json", action="store_true", help="print them as JSON")
    new = actions.add_parser("new", help="write an exercise's file to fill in")
    new.add_argument("name", metavar="NAME", nargs="?", help="of an exercise, see `minicnn coursework list`")
    new.add_argument("--all", action="store_true", help="a file for each exercise")
    new.add_argument("--out", metavar="FILE", help="default: NAME.py in this folder")
    new.add_argument("--force", action="store_true", help="overwrite a file that exists")
    grading = actions.add_parser("grade", help="grade the exercises in a file")
    grading.add_argument("file", metavar="FILE")
    grading.add_argument(
        "--exercise", metavar="NAME", action="append", default=[], help="grade this one, even if it is missing (repeat)"
    )
    grading.add_argument("--seed", type=int, default=0, metavar="N", help="of the inputs, their sizes too")
    grading.add_argument("--cases", metavar="FILE", help="own inputs, as for gradcheck: CASES = {name: [...]}")
    grading.add_argument("--json", metavar="FILE", help="write the results there")
    grading.add_argument(
        "--time", type=float, default=30.0, metavar="S", help="of the student's code, per exercise (default 30)"
    )
    grading.add_argument("--memory", type=int, default=4096, metavar="MIB", help="of address space (default 4096)")


def run(options: argparse.Namespace) -> int:
    """List, write or grade."""
    return {"list": _list, "new": _new, "grade": _grade}[options.action](options)


def _list(options: argparse.Namespace) -> int:
    from ..coursework import report

    print(json.dumps(report.catalogue(), ensure_ascii=False) if options.json else report.catalogue_as_text())
    return 0


def _new(options: argparse.Namespace) -> int:
    from ..coursework.catalogue import EXERCISES, exercise
    from ..errors import DataError

    if bool(options.name) == options.all:
        raise DataError("coursework new: needs the NAME of an exercise, or --all")
    if options.all and options.out:
        raise DataError("coursework new: --out takes one exercise, --all writes NAME.py for each")
    files = {Path(options.out or f"{e.name}.py"): e for e in (EXERCISES if options.all else [exercise(options.name)])}
    for path in files:
        if path.exists() and not options.force:
            raise DataError(f"coursework: {path} exists and is left as it is; --out takes another name")
    for path, found in files.items():
        _write(path, found.stub)
        print(f"wrote {path}; when you have filled it in:  minicnn coursework grade {path}")
    return 0


def _write(path: Path, text: str) -> None:
    """Write a file. Raises DataError if that cannot be done."""
    from ..errors import DataError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataError(f"coursework: {path} cannot be written: {error.strerror}") from error


def _grade(options: argparse.Namespace) -> int:
    from ..coursework import report
    from ..coursework.catalogue import exercise
    from ..coursework.grade import grade
    from ..coursework.result import Limits
    from ..errors import DataError

    if options.seed < 0 or not options.time > 0 or options.memory < 64:
        raise DataError("coursework: needs --seed 0 or more, --time above 0 and --memory of at least 64")
    file = Path(options.file)
    limits = Limits(options.time, options.memory, options.seed, options.cases)
    results, notes = grade(file, limits, [exercise(name) for name in options.exercise])
    print(report.as_text(results, notes))
    if options.json:
        found = report.as_dict(file, results, notes, options.seed)
        _write(Path(options.json), json.dumps(found, ensure_ascii=False, indent=1))
    return 0 if all(r.passed for r in results) else 1

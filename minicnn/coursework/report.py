"""What the grader prints and writes."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from .catalogue import EXERCISES
from .result import RIGHT, Part, Result


def as_text(results: list[Result], notes: list[str]) -> str:
    """Return the results for people: what is wrong first, then the table."""
    lines = []
    for result in results:
        if result.verdict:
            lines += [f"{result.name}: {result.verdict}"]
        for part in result.parts.values():
            if part.texts:
                lines += [f"{result.name}, {part.name}: {part.state}{_beside(part)}"]
                lines += [textwrap.indent(text, "    ") for text in part.texts]
    lines += [f"note: {note}" for note in notes]
    lines += [""] if lines else []
    rows = [("exercise", "part", "points", "verdict")]
    for result in results:
        rows += [
            (result.name, p.name, f"{int(p.state == RIGHT)} of 1", _word(p, result)) for p in result.parts.values()
        ]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines += ["  ".join([*(f"{cell:{w}}" for cell, w in zip(row, widths)), row[3]]) for row in rows]
    points, possible = _sums(results)
    return "\n".join([*lines, f"{points} of {possible} points"])


def _beside(part: Part) -> str:
    return f"; right in {part.right} other case{'s' * (part.right > 1)}" if part.right else ""


def _word(part: Part, result: Result) -> str:
    return f"{part.state}: {result.verdict}" if result.verdict and part.state != RIGHT else part.state


def _sums(results: list[Result]) -> tuple[int, int]:
    return sum(r.points for r in results), sum(len(r.parts) for r in results)


def as_dict(file: Path, results: list[Result], notes: list[str], seed: int) -> dict[str, Any]:
    """Return the results for programs."""
    points, possible = _sums(results)
    return {
        "file": str(file),
        "seed": seed,
        "passed": all(r.passed for r in results),
        "points": points,
        "possible": possible,
        "notes": notes,
        "exercises": [
            {
                "exercise": r.name, "passed": r.passed, "points": r.points, "possible": len(r.parts),
                "verdict": r.verdict,
                "parts": [
                    {"part": p.name, "points": int(p.state == RIGHT), "possible": 1, "state": p.state.lower(),
                     "texts": p.texts, "cases": p.cases, "right_cases": p.right}
                    for p in r.parts.values()
                ],
                "reports": [report.as_dict() for report in r.reports],
            }
            for r in results
        ],
    }  # fmt: skip


def catalogue() -> list[dict[str, Any]]:
    """Return what exercises there are, in the order of teaching."""
    return [
        {"exercise": e.name, "teaches": e.teaches, "functions": list(dict.fromkeys((e.forward, e.backward))),
         "parts": list(e.all_parts), "points": len(e.all_parts)}
        for e in EXERCISES
    ]  # fmt: skip


def catalogue_as_text() -> str:
    """Return the catalogue as a table."""
    rows = [(e["exercise"], str(e["points"]), e["teaches"]) for e in catalogue()]
    rows = [("exercise", "points", "what it teaches"), *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    return "\n".join(f"{a:{widths[0]}}  {b:>{widths[1]}}  {c}" for a, b, c in rows)

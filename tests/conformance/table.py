"""The outcome of a sample, and the table of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

VERDICTS = ("passed", "refused", "wrong")


@dataclass(frozen=True)
class Outcome:
    """How one sample ended: `text` is what minicnn said or what differs, `reason` why a refusal is right."""

    source: str
    operation: str
    sample: str
    verdict: str
    text: str = ""
    reason: str = ""


def lines(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Yield the table: counts per operation, then every refusal with its reason, then everything wrong."""
    outcomes = list(outcomes)
    for source in dict.fromkeys(o.source for o in outcomes):
        yield from _counts(source, [o for o in outcomes if o.source == source])
        yield ""
    yield from _refusals([o for o in outcomes if o.verdict == "refused"])
    wrong = Counter((o.source, o.operation, o.sample, o.text) for o in outcomes if o.verdict == "wrong")
    for (source, operation, sample, text), count in wrong.items():
        yield f"WRONG {source} {operation} {sample}: {text}" + (f" ({count} times)" if count > 1 else "")
    total = Counter((o.source, o.verdict) for o in outcomes)
    for source in dict.fromkeys(o.source for o in outcomes):
        yield f"{source}: " + ", ".join(f"{total[source, v]} {v}" for v in VERDICTS)


def _counts(source: str, outcomes: list[Outcome]) -> Iterator[str]:
    counted = Counter((o.operation, o.verdict) for o in outcomes)
    names = list(dict.fromkeys(o.operation for o in outcomes))
    width = max(map(len, [source, *names]))
    yield f"{source:<{width}}" + "".join(f"{v:>9}" for v in VERDICTS)
    for name in names:
        yield f"{name:<{width}}" + "".join(f"{counted[name, v] or '·':>9}" for v in VERDICTS)


def _refusals(outcomes: list[Outcome]) -> Iterator[str]:
    """Yield for each reason its operations, how often it was given, and one text of minicnn as an example."""
    for reason in sorted({o.reason for o in outcomes}):
        given = [o for o in outcomes if o.reason == reason]
        yield f"refused {len(given)} times: {reason}"
        for operation, count in Counter((o.source, o.operation) for o in given).items():
            example = next(o.text for o in given if (o.source, o.operation) == operation)
            yield f"    {count:>5} {' '.join(operation)}: {example}"
        yield ""

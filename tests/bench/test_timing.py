import gc
from importlib import import_module

import pytest

from minicnn.bench import BENCHMARKS, timing


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that stands still but for what the calls take."""
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])
    return now


def test_the_median_and_extremes_of_blocks(clock: list[float]) -> None:
    taken = iter([1.0, 3.0, 1.0, 2.0, 10.0, 4.0])  # one to find the number of calls in a block

    def call() -> None:
        clock[0] += next(taken)

    found = timing.measure({"one": call}, blocks=5, block_seconds=1.0)["one"]
    assert (found.median, found.low, found.high) == (3.0, 1.0, 10.0)
    assert str(found) == "3000000.00 µs (1000000.00–10000000.00)"


def test_blocks_are_as_long_as_asked_and_alternate(clock: list[float]) -> None:
    order: list[str] = []

    def call(name: str, seconds: float) -> None:
        order.append(name)
        clock[0] += seconds

    found = timing.measure(
        {"fast": lambda: call("fast", 0.001), "slow": lambda: call("slow", 0.01)}, blocks=3, block_seconds=0.02
    )
    assert found["fast"].median == pytest.approx(0.001)
    assert found["slow"].median == pytest.approx(0.01)
    assert order[-3 * 22 :] == (["fast"] * 20 + ["slow"] * 2) * 3


def test_the_garbage_collector_is_off_meanwhile() -> None:
    seen = []
    timing.measure({"call": lambda: seen.append(gc.isenabled())}, blocks=1, block_seconds=1e-6)
    assert seen[-1] is False
    assert gc.isenabled()


@pytest.mark.parametrize("name", BENCHMARKS)
def test_what_is_listed_can_be_run(name: str) -> None:
    assert callable(import_module(f"minicnn.bench.{name}").run)

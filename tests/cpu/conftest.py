from collections.abc import Callable, Iterator

import pytest

from minicnn.cpu import settings, threads


@pytest.fixture
def thread_count(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Change the number of threads for the rest of a test."""

    def change(count: int) -> None:
        monkeypatch.setattr(settings, "threads", lambda: count)
        threads._new_pool()

    yield change
    monkeypatch.undo()
    threads._new_pool()

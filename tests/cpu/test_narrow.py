"""The convolution of few filters against PyTorch, forced where the choice would not take it, and the choice itself."""

from typing import Any

import numpy as np
import pytest

from minicnn.cpu import direct, narrow

from .test_conv import check, shapes

PASSES = ("forward", "input_gradient")


@pytest.fixture
def forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(narrow, "wins", lambda s, transpose=False: True)


@pytest.mark.usefixtures("forced")
@pytest.mark.parametrize("shape", shapes(3, 30), ids=str)
def test_every_option(shape):
    check(**shape)


@pytest.mark.usefixtures("forced")
@pytest.mark.parametrize("filters", [1, 2, 15, 16, 17, 35])
@pytest.mark.parametrize("groups", [1, 2])
def test_filters_that_fill_no_whole_register(filters, groups):
    one = ((1, 2), (0, 1))
    check(2, 5 * groups, 9, 11, filters * groups, (3, 3), padding=one, groups=groups)
    check(2, 5 * groups, 9, 11, filters * groups, (3, 2), (2, 3), one, groups=groups, dtype=np.float64)


@pytest.mark.usefixtures("forced")
def test_bands_and_blocks_of_the_reduction():
    check(1, 300, 70, 41, 3, (5, 5), padding=((2, 2), (2, 2)))
    check(3, 3, 70, 41, 150, (5, 5), (2, 2), padding=((2, 2), (2, 2)))


def test_it_runs_where_few_filters_meet_many_channels(monkeypatch):
    called: list[str] = []

    def noted(name: str, f: Any) -> Any:
        return lambda *args: (called.append(name), f(*args))[1]

    for name in PASSES:
        monkeypatch.setattr(narrow, name, noted(name, getattr(narrow, name)))
    check(2, 64, 20, 20, 2, (3, 3))
    assert called == ["forward"]
    check(2, 2, 20, 20, 64, (3, 3))
    assert called == ["forward", "input_gradient"]
    check(2, 40, 9, 9, 40, (3, 3), dilation=(2, 2))
    check(2, 64, 20, 20, 2, (1, 1))
    assert called == ["forward", "input_gradient"]


def test_groups_of_few_filters_do_not_call_the_direct_pass(monkeypatch):
    monkeypatch.setattr(direct, "forward", None)
    check(2, 64, 20, 20, 8, (3, 3), groups=4)

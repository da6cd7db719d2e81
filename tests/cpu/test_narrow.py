"""The convolution of few filters against PyTorch, forced where the choice would not take it, and the choice itself."""

from typing import Any

import numpy as np
import pytest

from minicnn.cpu import conv, narrow
from minicnn.cpu.vectors import lanes_of

from .test_conv import check, normal, rounding_beside_pytorch, shapes

PASSES = ("forward", "input_gradient", "weight_gradient")


@pytest.fixture
def forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(narrow, "wins", lambda s, transpose=False: True)
    monkeypatch.setattr(narrow, "gradient_wins", lambda s: True)


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


@pytest.mark.skipif(lanes_of(np.float32) == 1, reason="a register of one number has no empty lanes")
def test_it_runs_where_few_filters_meet_many_channels(monkeypatch):
    called: list[str] = []

    def noted(name: str, f: Any) -> Any:
        return lambda *args: (called.append(name), f(*args))[1]

    for name in PASSES:
        monkeypatch.setattr(narrow, name, noted(name, getattr(narrow, name)))
    check(2, 64, 20, 20, 2, (3, 3), padding=((1, 1), (1, 1)))
    assert called == ["forward", "weight_gradient"]
    check(2, 2, 20, 20, 64, (3, 3), padding=((1, 1), (1, 1)))
    assert called == ["forward", "weight_gradient", "input_gradient"]
    check(2, 40, 9, 9, 40, (3, 3), dilation=(2, 2))
    check(2, 64, 20, 20, 2, (1, 1))
    assert called == ["forward", "weight_gradient", "input_gradient"]


@pytest.mark.usefixtures("forced")
@pytest.mark.parametrize("threads", [1, 2, 3, 16])
def test_thread_counts_agree_to_rounding(threads, thread_count):
    thread_count(threads)
    check(3, 40, 17, 9, 3, (3, 3), padding=((1, 1), (1, 1)))
    check(1, 6, 30, 9, 10, (3, 2), (2, 1), groups=2)
    check(2, 3, 2, 2, 4, (2, 2))


@pytest.mark.usefixtures("forced")
def test_filters_larger_than_the_stride_and_strides_larger_than_the_filter():
    check(2, 20, 12, 13, 3, (5, 4), (3, 2), ((2, 0), (1, 3)))
    check(2, 20, 12, 13, 3, (1, 2), (3, 4))


@pytest.mark.usefixtures("forced")
def test_each_run_gives_the_same_bits():
    random = np.random.default_rng(0)
    x, w = normal(random, (3, 40, 14, 11), np.float32), normal(random, (2, 40, 3, 3), np.float32)
    runs = []
    for _ in range(5):
        y, cache = conv.conv2d_forward(x, w, None, (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
        runs.append(b"".join(a.tobytes() for a in (y, *conv.conv2d_backward(y, cache)[:2])))
    assert len(set(runs)) == 1


def test_a_forward_pass_rounds_like_pytorch():
    assert rounding_beside_pytorch(2, 512, 2, 3) <= 1.5

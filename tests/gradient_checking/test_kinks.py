"""Kinks and ties: right subgradients pass, wrong ones fail, compositions are judged beside their kinks."""

from typing import Any

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F

RNG = np.random.default_rng(0)
TIED = RNG.integers(-1, 2, (4, 6)).astype(float)


@pytest.mark.parametrize("slope", [0.0, 0.3, 1.0])
def test_any_slope_between_the_sides_is_right_at_a_kink(slope: float) -> None:
    backward = lambda dout, x: dout * np.where(x == 0, slope, x > 0)
    assert mc.gradcheck(lambda x: (np.maximum(x, 0), x), [TIED], backward=backward)


@pytest.mark.parametrize("slope", [-0.2, 1.2, 2.0])
def test_a_slope_beyond_the_sides_is_wrong(slope: float) -> None:
    backward = lambda dout, x: dout * np.where(x == 0, slope, x > 0)
    report = mc.gradcheck(lambda x: (np.maximum(x, 0), x), [TIED], backward=backward)
    assert not report
    assert report.diagnosis[0].kind == "ties"


def row_max(x: Any) -> Any:
    return x.max(1), x


def shares(kind: str) -> Any:
    def backward(dout: Any, x: Any) -> Any:
        tied = (x == x.max(1, keepdims=True)).astype(float)
        if kind == "first":
            tied *= np.cumsum(tied, 1) == 1
        elif kind == "even":
            tied /= tied.sum(1, keepdims=True)
        elif kind == "uneven":
            weight = tied * np.arange(1, x.shape[1] + 1)
            tied = weight / weight.sum(1, keepdims=True)
        elif kind == "negative":
            count = tied.sum(1, keepdims=True)
            first = tied * (np.cumsum(tied, 1) == 1)
            tied = np.where(count > 1, tied * -0.5 / np.maximum(count - 1, 1) * (1 - first) + 1.5 * first, tied)
        elif kind == "little":
            tied *= 0.95 ** (tied.sum(1, keepdims=True) - 1)
        return dout[:, None] * tied

    return backward


@pytest.mark.parametrize("kind", ["first", "even", "uneven"])
def test_shares_that_sum_to_one_are_right(kind: str) -> None:
    report = mc.gradcheck(row_max, [TIED], backward=shares(kind))
    assert report, str(report)


@pytest.mark.parametrize("kind", ["all", "negative", "little"])
def test_other_shares_are_wrong(kind: str) -> None:
    report = mc.gradcheck(row_max, [TIED], backward=shares(kind))
    assert not report
    assert report.diagnosis[0].kind == "ties"


def test_ties_are_made_when_the_values_have_none() -> None:
    x = RNG.permutation(24).reshape(4, 6) / 7.0
    report = mc.gradcheck(row_max, [x], backward=shares("all"))
    assert not report
    assert "duplicated values" in str(report) or "repeated values" in str(report)
    assert "tied elements together get" in str(report.diagnosis)


def test_ties_between_two_values() -> None:
    x, y = RNG.standard_normal((2, 4, 5))
    both = lambda dout, c: (dout * (c[0] >= c[1]), dout * (c[1] >= c[0]))
    one = lambda dout, c: (dout * (c[0] >= c[1]), dout * (c[1] > c[0]))
    maximum = lambda x, y: (np.maximum(x, y), (x, y))
    assert mc.gradcheck(maximum, [x, y], backward=one)
    assert not mc.gradcheck(maximum, [x, y], backward=both)


def test_concave_and_sloped_kinks() -> None:
    minimum = lambda x: (x.min(1), x)
    first = lambda dout, x: dout[:, None] * (np.arange(6) == x.argmin(1)[:, None])
    every = lambda dout, x: dout[:, None] * (x == x.min(1, keepdims=True))
    assert mc.gradcheck(minimum, [TIED], backward=first)
    assert not mc.gradcheck(minimum, [TIED], backward=every)
    leaky = lambda x: (np.where(x > 0, 2 * x, 0.1 * x), x)
    assert mc.gradcheck(leaky, [TIED], backward=lambda dout, x: dout * np.where(x > 0, 2, 0.1))


def test_a_chain_of_right_subgradients_is_judged_beside_the_kink(device: str) -> None:
    report = mc.gradcheck(lambda x: F.relu(x) - F.relu(-x), [mc.tensor(TIED)])  # x, but 0 at 0
    assert report
    assert "judged just beside it" in "".join(report.notes)
    pair = lambda x: (np.maximum(x, 0) - np.maximum(-x, 0), x)
    report = mc.gradcheck(pair, [TIED], backward=lambda dout, x: dout * ((x > 0) + 0.0 + (x < 0)))
    assert report, str(report)


def test_a_mistake_beside_a_kink_is_still_found() -> None:
    pair = lambda x: (np.maximum(x, 0), x)
    assert not mc.gradcheck(pair, [TIED], backward=lambda dout, x: dout * (x > 0) * 1.001)


class MaxToAll(mc.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = x.max(axis=-1, keepdims=True)
        ctx.save(x, y)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        x, y = ctx.saved
        return np.where(x == y, dy, 0)


def test_a_wrong_operation_inside_a_composition_is_named() -> None:
    x = [mc.tensor(RNG.standard_normal((3, 4)))]
    assert not mc.gradcheck(MaxToAll.apply, x)
    report = mc.gradcheck(lambda x: F.sum(MaxToAll.apply(x * 2.0) * 3.0), x)
    assert not report
    assert "MaxToAll, operation 2, is wrong at ties" in str(report)
    assert mc.gradcheck(lambda x: F.sum(F.amax(x * 2.0, -1) * 3.0), x)


def test_rows_that_sum_to_one_are_not_mixed_up() -> None:
    target = RNG.dirichlet(np.ones(4), 5)

    def forward(x: Any, t: Any) -> Any:
        p = np.exp(x - x.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        return -(t * np.log(p)).sum() / len(x), (p, t)

    def backward(dout: Any, cache: Any) -> Any:
        p, t = cache
        return dout * (p - t) / len(p), -dout * np.log(p) / len(p)  # right only for rows of t that sum to 1

    report = mc.gradcheck(forward, [RNG.standard_normal((5, 4)), target], backward=backward)
    assert report, str(report)


def test_a_kink_that_both_branches_leave_out_is_not_blamed() -> None:
    leaky = lambda x: (np.maximum(x, 0) + 0.3 * np.minimum(x, 0), x)
    report = mc.gradcheck(leaky, [TIED], backward=lambda dout, x: dout * ((x > 0) + 0.3 * (x < 0)))
    assert report, str(report)


def test_a_median_is_neither_convex_nor_concave() -> None:
    median = lambda x: (np.sort(x, 1)[:, 2], x.argsort(1)[:, 2])

    def backward(dout: Any, place: Any, factor: float = 1.0) -> Any:
        dx = np.zeros((4, 5))
        dx[np.arange(4), place] = factor * dout
        return dx

    for x in (TIED[:, :5], np.ones((4, 5))):
        report = mc.gradcheck(median, [x], backward=backward)
        assert report, str(report)
        assert not mc.gradcheck(median, [x], backward=lambda dout, place: backward(dout, place, 1.1))

"""Facts of comparisons, logic and division with remainder that the shared cases do not show."""

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F


def test_comparisons_are_bools_and_never_recorded(device):
    x = mc.tensor([1.0, 2.0, 3.0], requires_grad=True)
    for y in (x == 2, x != 2, x < 2, x <= 2, x > 2, x >= 2, x.isnan(), x.isinf(), x.isfinite()):
        assert y.dtype == mc.bool
        assert not y.requires_grad
        assert y.is_leaf


def test_masks(device):
    x = mc.tensor([1.0, 2.0, 3.0, 4.0])
    assert ((x > 1) & (x < 4)).tolist() == [False, True, True, False]
    assert ((x <= 1) | (x >= 4)).tolist() == (~((x > 1) & (x < 4))).tolist()
    assert ((x > 1) ^ (x > 2)).tolist() == [False, True, False, False]
    assert (mc.tensor([6, 5]) & 3).tolist() == [2, 1]


def test_any_and_all_of_nothing(device):
    assert F.any(mc.zeros(0)).item() is False
    assert F.all(mc.zeros(0)).item() is True
    assert F.all(mc.zeros(0, 3), 0).tolist() == [True] * 3


def test_floor_and_remainder_by_hand(device):
    x = mc.tensor([7.0, -7.0, 7.0, -7.0])
    y = mc.tensor([2.0, 2.0, -2.0, -2.0])
    assert (x // y).tolist() == [3.0, -4.0, -4.0, 3.0]
    assert (x % y).tolist() == [1.0, 1.0, -1.0, -1.0]  # the sign of y
    assert (x.long() // 2).tolist() == [3, -4, 3, -4]
    assert ((x.long() % 2).tolist(), (5 % mc.tensor(3)).item()) == ([1, 1, 1, 1], 2)
    zero = mc.tensor([1.0, -1.0, 0.0]) // 0.0
    assert zero[:2].tolist() == [np.inf, -np.inf]
    assert np.isnan(zero[2].item())


def test_gradients_of_floor_and_remainder(device):
    x, y = mc.tensor([7.5], requires_grad=True), mc.tensor([2.0], requires_grad=True)
    (x % y).backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([1.0], [-3.0])
    assert mc.grad(x // y, (x, y), allow_unused=True) == (None, None)


@pytest.mark.parametrize("function", [F.floor_divide, F.remainder])
def test_whole_numbers_are_not_divided_by_zero_in_any_form(function, device):
    for x, y in ((mc.tensor([1, 2]), 0), (5, mc.tensor([1, 0])), (mc.tensor([1]), mc.tensor([0]))):
        with pytest.raises(mc.errors.ShapeError, match="whole numbers cannot be divided by 0"):
            function(x, y)

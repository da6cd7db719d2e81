"""Weights that stay packed from call to call: the same results with the switch on and off, and no change is missed."""

import gc

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn import models
from minicnn.cpu import kept_weights, switches


@pytest.fixture(autouse=True)
def _nothing_kept():
    kept_weights._kept.clear()
    yield
    kept_weights._kept.clear()


def run(x, w, **options):
    with mc.no_grad():
        return F.conv2d(x, w, **options).numpy()


@pytest.mark.parametrize(
    ("channels", "filters", "kernel", "options"),
    [
        (32, 40, 3, {"padding": 1}),
        (32, 40, 5, {"padding": 2}),
        (7, 9, 3, {"stride": 2}),
        (8, 6, 1, {}),
        (6, 9, 3, {"groups": 3}),
    ],
)
def test_on_and_off_agree_to_the_bit(channels, filters, kernel, options, monkeypatch):
    x = mc.randn(2, channels, 17, 15)
    w = mc.randn(filters, channels // options.get("groups", 1), kernel, kernel)
    first, again = run(x, w, **options), run(x, w, **options)
    assert len(kept_weights._kept) == 1
    monkeypatch.setattr(switches, "kept_weights", False)
    kept_weights._kept.clear()
    off = run(x, w, **options)
    assert not kept_weights._kept
    np.testing.assert_array_equal(first, off)
    np.testing.assert_array_equal(again, off)


@pytest.mark.parametrize("change", [lambda a: a.__setitem__((3, 2, 1, 0), 5.0), lambda a: np.negative(a, out=a)])
@pytest.mark.parametrize("kernel", [3, 1])
def test_a_change_behind_the_back_is_seen(change, kernel):
    x, w = mc.randn(1, 32, 20, 20), mc.randn(32, 32, 3, 3)
    if kernel == 1:
        w = mc.randn(32, 32, 4, 1)
    before = run(x, w)
    change(w.data)
    after = run(x, w)
    np.testing.assert_array_equal(after, run(x, mc.tensor(w.data.copy())))
    assert not np.array_equal(after, before)


def test_the_sign_of_a_zero_is_a_change():
    x, w = mc.ones(1, 1, 2, 2), mc.zeros(1, 1, 1, 1)
    run(x, w)
    w.data[...] = -0.0
    assert np.signbit(run(-x, w)).sum() == np.signbit(run(-x, mc.tensor(w.data.copy()))).sum()


def test_nothing_is_kept_of_what_is_recorded_or_large():
    w = mc.randn(16, 16, 3, 3)
    F.conv2d(mc.randn(1, 16, 12, 12), w)
    run(mc.randn(1, 16, 131, 131), w)
    assert not kept_weights._kept


def test_deleted_weights_are_let_go_and_room_is_bounded(monkeypatch):
    x, w = mc.randn(1, 16, 12, 12), mc.randn(16, 16, 3, 3)
    run(x, w)
    assert len(kept_weights._kept) == 1
    del w
    gc.collect()
    assert not kept_weights._kept
    monkeypatch.setattr(kept_weights, "ROOM", 100_000)
    weights = [mc.randn(16, 16, 3, 3) for _ in range(10)]
    results = [run(x, w) for w in weights]
    assert 0 < len(kept_weights._kept) < 10
    for w, result in zip(weights, results):
        np.testing.assert_array_equal(run(x, w), result)


def test_a_network_between_two_steps_of_training():
    model = models.build("resnet_orl")
    x = mc.randn(1, 1, 56, 46)
    optimizer = mc.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        model.eval()
        with mc.no_grad():
            kept = [model(x).numpy() for _ in range(2)]
        with mc.use_device("cpu"):
            recorded = model(x).detach().numpy()
        np.testing.assert_array_equal(kept[0], recorded)
        np.testing.assert_array_equal(kept[1], recorded)
        model.train()
        F.cross_entropy(model(mc.randn(4, 1, 56, 46)), mc.tensor([0, 1, 2, 3])).backward()
        optimizer.step()


@pytest.mark.parametrize("size", [9, 9000, 100_001])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_number_is_compared_by_its_bits(size, dtype):
    a = np.full(size, np.nan, dtype)
    a[0], a[-1] = 0, 1
    b = a.copy()
    assert kept_weights._same_bytes(a, b)
    for place, value in ((0, -0.0), (size - 1, np.nextafter(dtype(1), dtype(2))), (size // 2, 0), (4096 % size, 2)):
        former, b[place] = b[place], value
        assert not kept_weights._same_bytes(a, b)
        b[place] = former

"""What is random about dropout: the mask, its address, its scale, and that nothing else plays a part."""

import threading

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F
from tests.ops.test_operations import LAYOUTS, laid_out

P = 0.3
OPS = ("dropout", "dropout2d")


def philox(counter, key):
    """Philox 4×32-10 with Python's integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c[0], 1 << 32)
        high1, low1 = divmod(0xCD9E8D57 * c[2], 1 << 32)
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
        k = [(k[0] + 0x9E3779B9) % (1 << 32), (k[1] + 0xBB67AE85) % (1 << 32)]
    return c


def expected_mask(count, p, seed, call):
    words = [philox((i // 4, 0, call, 1), (seed % (1 << 32), seed >> 32))[i % 4] for i in range(count)]
    return np.array([word >= round(p * 2**32) for word in words])


def mask(op, x, p=P, **kwargs):
    return getattr(F, op)(mc.tensor(x), p, **kwargs).numpy() != 0


def test_philox_of_this_file_gives_the_published_numbers():
    # The known answers that come with the authors' Random123 library.
    assert philox((0, 0, 0, 0), (0, 0)) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert philox((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


@pytest.mark.parametrize("seed", [0, 7, 2**40 + 5])
def test_mask_is_the_words_of_philox(device, seed):
    mc.manual_seed(seed)
    x = np.ones((2, 3, 5, 7), np.float32)
    for call in range(2):
        np.testing.assert_array_equal(mask("dropout", x).ravel(), expected_mask(x.size, P, seed, call))
    channels = mask("dropout2d", x)
    np.testing.assert_array_equal(channels[:, :, 0, 0].ravel(), expected_mask(6, P, seed, 2))


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_mask_is_the_same_in_any_memory_layout_type_and_device(op, dtype, layout, device):
    ones = np.ones((2, 3, 5, 7), dtype)
    mc.manual_seed(3)
    with mc.use_device("reference"):
        expected = mask(op, np.ones((2, 3, 5, 7), np.float32))
    mc.manual_seed(3)
    x = mc.tensor(0.0)
    x.data = laid_out(ones, layout)
    x.requires_grad = True
    y = getattr(F, op)(x, P)
    np.testing.assert_array_equal(y.numpy() != 0, expected)
    y.backward(mc.tensor(ones))
    np.testing.assert_array_equal(x.grad.numpy() != 0, expected)


@pytest.mark.parametrize("op", OPS)
def test_result_and_gradient_keep_channels_last_memory(op, device):
    x = mc.tensor(laid_out(np.ones((2, 3, 5, 7), np.float32), "channels-last"), requires_grad=True)
    y = getattr(F, op)(x, P)
    assert y.data.strides == x.data.strides
    y.backward(mc.tensor(laid_out(np.ones((2, 3, 5, 7), np.float32), "channels-last")))
    assert x.grad.data.strides == x.data.strides


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("p", [0.1, 0.5, 0.75])
def test_kept_elements_and_their_gradients_are_divided_by_1_minus_p(op, p, device):
    rng = np.random.default_rng(0)
    x = mc.tensor(rng.standard_normal((4, 6, 5, 3)), requires_grad=True)
    dy = rng.standard_normal(x.shape)
    y = getattr(F, op)(x, p)
    y.backward(mc.tensor(dy))
    kept = y.numpy() != 0
    assert 0 < kept.sum() < kept.size
    np.testing.assert_allclose(y.numpy(), np.where(kept, x.numpy() / (1 - p), 0), rtol=1e-15)
    np.testing.assert_allclose(x.grad.numpy(), np.where(kept, dy / (1 - p), 0), rtol=1e-15)


def test_share_of_zeros_and_mean(device):
    n = 200_000
    for p in (0.1, 0.5, 0.9):
        y = F.dropout(mc.tensor(np.ones(n)), p).numpy()
        assert abs((y == 0).mean() - p) < 5 * np.sqrt(p * (1 - p) / n)
        assert abs(y.mean() - 1) < 5 * np.sqrt(p / (1 - p) / n)
    y = F.dropout2d(mc.tensor(np.ones((200, 500, 2, 1))), 0.5).numpy()
    assert abs((y == 0).mean() - 0.5) < 5 * np.sqrt(0.25 / 100_000)


def test_dropout2d_drops_whole_channels_and_dropout_does_not(device):
    x = np.ones((8, 16, 5, 3), np.float32)
    channels = mask("dropout2d", x)
    assert (channels == channels[:, :, :1, :1]).all()
    assert 0 < channels[:, :, 0, 0].sum() < 8 * 16
    assert not (channels[0, :, 0, 0] == channels[1, :, 0, 0]).all()  # each image drops others
    elements = mask("dropout", x)
    assert not (elements == elements[:, :, :1, :1]).all()


@pytest.mark.parametrize("op", OPS)
def test_same_seed_same_mask_and_every_call_another(op, device):
    x = np.ones((4, 8, 3, 5), np.float32)
    mc.manual_seed(11)
    first, second = mask(op, x), mask(op, x)
    assert (first != second).any()
    mc.manual_seed(11)
    np.testing.assert_array_equal(mask(op, x), first)
    np.testing.assert_array_equal(mask(op, x), second)
    mc.manual_seed(12)
    assert (mask(op, x) != first).any()


def test_evaluation_and_p_0_draw_nothing(device):
    x = np.ones((4, 8), np.float32)
    mc.manual_seed(11)
    first = mask("dropout", x)
    mc.manual_seed(11)
    assert mask("dropout", x, training=False).all()
    assert mask("dropout", x, 0.0).all()
    np.testing.assert_array_equal(mask("dropout", x), first)


@pytest.mark.parametrize("op", OPS)
def test_dropped_infinities_and_nan_become_0(op, device):
    x = mc.tensor(np.array([np.inf, np.nan, -np.inf]).reshape(3, 1, 1, 1), requires_grad=True)
    y = getattr(F, op)(x, 1.0)
    y.backward(mc.tensor(np.full((3, 1, 1, 1), np.nan)))
    assert (y.numpy() == 0).all()
    assert (x.grad.numpy() == 0).all()


def test_a_part_of_the_batch_gets_its_part_of_the_mask(device):
    from minicnn._device import on
    from minicnn.ops import dropout as d

    x = np.ones((6, 4, 3, 5), np.float32)
    for f, per_image in ((d.dropout_forward, 60), (d.dropout2d_forward, 4)):
        whole, _ = on(mc.device(device), f)(x, P, (9, 2, 0))
        for first in (1, 3):
            part, _ = on(mc.device(device), f)(x[first:], P, (9, 2, first * per_image))
            np.testing.assert_array_equal(part, whole[first:])


def test_gradient_needs_no_mask_in_memory(device):
    x = mc.tensor(np.ones((64, 1000), np.float32), requires_grad=True)
    y = F.dropout(x, 0.5)
    assert y.grad_fn.saved is None


def test_threads_get_calls_of_their_own():
    masks = []

    def work():
        masks.append(mask("dropout", np.ones(1000, np.float32), 0.5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    mc.manual_seed(0)
    expected = [mask("dropout", np.ones(1000, np.float32), 0.5) for _ in range(4)]
    assert {m.tobytes() for m in masks} == {m.tobytes() for m in expected}

"""Convolution against seven loops, and facts worked out by hand."""

import itertools

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn import layout


def seven_loops(x, w, b, stride, padding, dilation, groups):
    """The sum of the definition, one multiplication at a time."""
    (n_images, _, h, wide), (filters, c_group, kh, kw) = x.shape, w.shape
    oh = (h + 2 * padding[0] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    ow = (wide + 2 * padding[1] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((n_images, filters, oh, ow))
    for n, o, p, q, c, i, j in itertools.product(*map(range, (n_images, filters, oh, ow, c_group, kh, kw))):
        row, column = p * stride[0] + i * dilation[0] - padding[0], q * stride[1] + j * dilation[1] - padding[1]
        if 0 <= row < h and 0 <= column < wide:
            y[n, o, p, q] += w[o, c, i, j] * x[n, o // (filters // groups) * c_group + c, row, column]
    return y + b[:, None, None]


@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"),
    [((1, 1), (0, 0), (1, 1), 1), ((2, 1), (1, 2), (1, 2), 2), ((3, 2), (2, 0), (2, 1), 4)],
)
def test_conv2d_is_the_seven_loops(stride, padding, dilation, groups, device):
    rng = np.random.default_rng(1)
    x, w, b = rng.standard_normal((2, 4, 7, 6)), rng.standard_normal((8, 4 // groups, 3, 2)), rng.standard_normal(8)
    y = F.conv2d(mc.tensor(x), mc.tensor(w), mc.tensor(b), stride, padding, dilation, groups)
    np.testing.assert_allclose(y.numpy(), seven_loops(x, w, b, stride, padding, dilation, groups), rtol=1e-12)


def test_conv2d_by_hand(device):
    x = mc.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
    w = mc.tensor([[[[1.0, 0.0], [0.0, -1.0]]]])  # upper left minus lower right
    assert F.conv2d(x, w).tolist() == [[[[-4.0, -4.0]]]]


def test_the_result_is_channels_last(device):
    rng = np.random.default_rng(1)
    x = mc.tensor(rng.standard_normal((2, 3, 5, 7)), requires_grad=True)
    w = mc.tensor(rng.standard_normal((4, 3, 3, 2)), requires_grad=True)
    y = F.conv2d(x, w, padding=1)
    assert y.data.transpose(0, 2, 3, 1).flags.c_contiguous


def test_a_channels_last_input_is_not_copied():
    x = np.zeros((2, 5, 7, 3)).transpose(0, 3, 1, 2)
    before = layout.copies
    assert layout.channels_last(x) is x
    assert layout.copies == before
    layout.channels_last(np.zeros((2, 3, 5, 7)))
    assert layout.copies == before + 1


def test_fold_undoes_unfold_where_windows_do_not_overlap(device):
    x = mc.tensor(np.arange(2 * 3 * 4 * 6, dtype=np.float64).reshape(2, 3, 4, 6))
    columns = F.unfold(x, (2, 3), stride=(2, 3))
    assert columns.shape == (2, 18, 4)
    assert F.fold(columns, (4, 6), (2, 3), stride=(2, 3)).tolist() == x.tolist()


def test_conv_transpose2d_is_the_input_gradient_of_conv2d(device):
    rng = np.random.default_rng(2)
    x = mc.tensor(rng.standard_normal((2, 4, 9, 8)), requires_grad=True)
    w = mc.tensor(rng.standard_normal((6, 2, 3, 2)))
    y = F.conv2d(x, w, stride=(2, 3), padding=(1, 0), groups=2)
    dy = mc.tensor(rng.standard_normal(y.shape))
    y.backward(dy)
    # (9 + 2 − 3) / 2 leaves no rest, (8 − 2) / 3 neither: no output padding
    back = F.conv_transpose2d(dy, w, stride=(2, 3), padding=(1, 0), groups=2)
    np.testing.assert_allclose(back.numpy(), x.grad.numpy(), rtol=1e-12)

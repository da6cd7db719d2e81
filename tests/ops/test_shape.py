"""Facts of the shape operations that the shared cases do not show."""

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn.errors import ShapeError
from minicnn.ops.shape import pad_forward

VIEWS = {
    "reshape": lambda x: F.reshape(x, (3, 2)),
    "flatten": F.flatten,
    "permute": lambda x: F.permute(x, (1, 0)),
    "transpose": lambda x: F.transpose(x, 0, 1),
    "expand": lambda x: F.expand(x, (4, 2, 3)),
    "expand, nothing repeated": lambda x: F.expand(x, (1, 2, 3)),
    "squeeze": F.squeeze,
    "unsqueeze": lambda x: F.unsqueeze(x, 1),
    "split": lambda x: F.split(x, 1)[0],
    "number": lambda x: x[0],
    "numbers": lambda x: x[0, 0],
    "slice": lambda x: x[:, ::-2],
    "None": lambda x: x[None],
    "tensor of one number": lambda x: x[mc.tensor(0)],
}
COPIES = {
    "pad": lambda x: F.pad(x, (0, 0)),
    "pad in another mode": lambda x: F.pad(x[None], (0, 0), "reflect"),
    "cat": lambda x: F.cat([x]),
    "stack": lambda x: F.stack([x]),
    "flip": lambda x: F.flip(x, ()),
    "list": lambda x: x[[0, 1]],
    "mask": lambda x: x[x > 0],
    "reshape of a transposed matrix": lambda x: x.T.reshape(6),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_share_memory(name, device):
    x = mc.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    y = VIEWS[name](x)
    assert np.shares_memory(x.data, y.data)
    if name != "expand":
        y.fill_(7)
        assert (x == 7).any()


@pytest.mark.parametrize("name", COPIES)
def test_copies_do_not(name, device):
    x = mc.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    COPIES[name](x).fill_(7)
    assert x.tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


def test_an_expanded_tensor_cannot_be_written(device):
    with pytest.raises(ShapeError, match=r"x\[i\] = value: several elements of an expanded tensor are one"):
        mc.zeros(1, 3).expand(2, 3)[0] = 1


def test_pad_modes_by_hand(device):
    x = np.array([[0.0, 1, 2, 3]])
    for mode, expected in (
        ("constant", [9, 9, 0, 1, 2, 3, 9]),
        ("reflect", [2, 1, 0, 1, 2, 3, 2]),
        ("replicate", [0, 0, 0, 1, 2, 3, 3]),
        ("circular", [2, 3, 0, 1, 2, 3, 0]),
    ):
        y, _ = pad_forward(x, ((0, 0), (2, 1)), mode, 9)
        assert y.tolist() == [expected]


def test_pad_names_the_last_axis_first(device):
    y = F.pad(mc.ones(1, 1, 2, 3), (1, 0, 2, 0))
    assert y.shape == (1, 1, 4, 4)
    assert y[0, 0].tolist() == [[0] * 4, [0] * 4, [0, 1, 1, 1], [0, 1, 1, 1]]


def test_pad_gradients_add_up_where_a_pixel_is_shown_twice(device):
    x = mc.tensor([[0.0, 1.0, 2.0, 3.0]], requires_grad=True)
    (F.pad(x, (2, 1), "reflect") * mc.tensor([1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6])).sum().backward()
    assert x.grad.tolist() == [[100.0, 1010.0, 1010001.0, 1e5]]


def test_circular_padding_shows_nothing_that_was_cut_off(device):
    assert F.pad(mc.tensor([[0.0, 1.0, 2.0, 3.0]]), (-1, 2), "circular").tolist() == [[1.0, 2.0, 3.0, 1.0, 2.0]]


def test_index_gradient_counts_repetitions(device):
    x = mc.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (x[[0, 2, 0, -1, 0]] * mc.tensor([1.0, 10.0, 100.0, 1000.0, 1e4])).sum().backward()
    assert x.grad.tolist() == [10101.0, 0.0, 1010.0]


def test_a_number_beside_an_array_is_taken_first(device):
    x = mc.arange(24).reshape(2, 3, 4)
    assert x[0, :, [1, 2]].tolist() == [[1, 2], [5, 6], [9, 10]]
    assert x.numpy()[0, :, [1, 2]].tolist() == [[1, 5, 9], [2, 6, 10]]  # NumPy puts the chosen axis first


def test_parts_that_are_not_used_get_zeros(device):
    x = mc.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]], requires_grad=True)
    first, _, last = F.split(x, [2, 1, 2], dim=1)
    (first.sum() + 3 * last.sum()).backward()
    assert x.grad.tolist() == [[1.0, 1.0, 0.0, 3.0, 3.0]]


def test_the_same_tensor_may_be_joined_with_itself(device):
    x = mc.tensor([[1.0, 2.0]], requires_grad=True)
    (F.cat([x, x]) * mc.tensor([[1.0, 10.0], [100.0, 1000.0]])).sum().backward()
    assert x.grad.tolist() == [[101.0, 1010.0]]


def test_joined_types_meet(device):
    assert F.cat([mc.ones(2), mc.ones(1, dtype=mc.int64)]).dtype == mc.float32
    assert F.stack([mc.ones(2, dtype=mc.float64), mc.ones(2)]).dtype == mc.float64
    assert F.cat([mc.ones(2, dtype=mc.int8), mc.ones(2, dtype=mc.uint8)]).dtype == mc.int16

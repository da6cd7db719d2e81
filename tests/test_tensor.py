"""Tensor itself: what data become, what it looks like, indexing and writing, NumPy, copies, pickles, error texts."""

import copy
import pickle

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn.errors import DeviceError, DTypeError, GradientError, ShapeError

# What data become


@pytest.mark.parametrize(
    "data",
    [1, 1.5, True, [1, 2], [1.0, 2], [True, False], [[1, 2.5, 3], [4, 5, 6]], [], [[]], [[], []], (1, 2), [True, 2],
     [True, 2.5], range(3), [float("nan"), float("inf")], 2**40],
    ids=repr,
)  # fmt: skip
def test_python_data_become_pytorchs_default_types(data):
    result, expected = mc.tensor(data), torch.tensor(data)
    assert str(result.dtype) == str(expected.dtype).removeprefix("torch.")
    assert result.shape == tuple(expected.shape)
    np.testing.assert_array_equal(result.numpy(), expected.numpy())


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64"])
def test_arrays_and_tensors_keep_their_type_and_are_copied(dtype):
    array = np.array([[1, 0, 3], [4, 5, 6]], dtype)
    for x in (mc.tensor(array), mc.tensor(mc.tensor(array)), mc.tensor(array[0, 0]), mc.tensor([array[0], array[1]])):
        assert x.dtype == dtype
        assert not np.shares_memory(x.numpy(), array)
    assert mc.tensor(array, dtype=mc.float64).dtype == mc.float64
    assert mc.tensor(array, "float32").dtype == mc.float32
    assert mc.tensor(array.astype(array.dtype.newbyteorder(">"))).dtype.isnative


def test_python_types_as_dtype_mean_the_defaults():
    assert mc.tensor([1], dtype=float).dtype == mc.float32
    assert mc.tensor([1.5], dtype=int).dtype == mc.int64
    assert mc.tensor([1.5], dtype=bool).dtype == mc.bool


@pytest.mark.parametrize(
    ("data", "options", "error", "text"),
    [
        ([[1, 2], [3]], {}, ShapeError, "tensor: the rows of the data have different lengths"),
        ("abc", {}, DTypeError, "tensor: needs real numbers, got <U3 from str"),
        (["a"], {}, DTypeError, "tensor: needs real numbers, got <U1 from list"),
        (None, {}, DTypeError, "tensor: needs real numbers, got object from NoneType"),
        ([1j], {}, DTypeError, "tensor: needs real numbers, got complex128 from list"),
        ({}, {}, DTypeError, "tensor: needs real numbers, got object from dict"),
        (np.zeros(2, "longdouble"), {}, DTypeError, "tensor: needs real numbers, got float128 from ndarray"),
        ([1], {"dtype": "float99"}, DTypeError, "tensor: dtype 'float99' is unknown; use mc.float32, mc.int64, …"),
        ([1], {"dtype": complex}, DTypeError, "tensor: dtype complex128 is not supported"),
        ([1], {"device": "gpu"}, DeviceError, "device: 'gpu' is unknown; there are 'reference', 'cpu', 'cuda'"),
        ([1], {"requires_grad": True}, DTypeError, "requires_grad: only float tensors have gradients, this one is"),
    ],
    ids=repr,
)
def test_data_that_are_refused(data, options, error, text):
    with pytest.raises(error) as caught:
        mc.tensor(data, **options)
    assert text in str(caught.value)


def test_attributes():
    x = mc.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    assert (x.shape, x.ndim, x.dim(), x.dtype, x.device) == ((2, 3), 2, 2, mc.float32, "cpu")
    assert (x.size(), x.size(1), x.size(-2), x.numel(), len(x)) == ((2, 3), 3, 2, 6, 2)
    assert x.is_leaf
    assert x.requires_grad
    assert x.is_floating_point()
    assert not x.long().is_floating_point()
    assert x.grad is x.grad_fn is None
    y = x * 2
    assert not y.is_leaf
    assert y.requires_grad
    assert type(y.grad_fn).__name__ == "Mul"
    assert y.detach().is_leaf
    assert not y.detach().requires_grad
    assert np.shares_memory(y.detach().data, y.data)
    assert mc.tensor([1.0]).requires_grad_().requires_grad
    assert mc.tensor(1.0, device="reference").device == "reference"


# What it looks like


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (lambda: mc.tensor([1, 2]), "tensor([1, 2])"),
        (lambda: mc.tensor(1.5), "tensor(1.5)"),
        (lambda: mc.tensor([True]), "tensor([ True])"),
        (lambda: mc.tensor([1.0, 2.5], dtype=mc.float64), "tensor([1. , 2.5], dtype=float64)"),
        (lambda: mc.tensor([1.0], requires_grad=True), "tensor([1.], requires_grad=True)"),
        (lambda: mc.tensor([1.0], requires_grad=True) * 2, "tensor([2.], grad_fn=<Mul>)"),
        (lambda: mc.tensor([1.0], device="reference"), "tensor([1.], device='reference')"),
        (lambda: mc.zeros(0, 3), "tensor([], shape=(0, 3))"),
        (lambda: mc.tensor([[1, 2], [3, 4]]), "tensor([[1, 2],\n        [3, 4]])"),
    ],
)
def test_repr(x, text):
    assert repr(x()) == str(x()) == text


def test_repr_of_many_numbers_is_short():
    assert len(repr(mc.zeros(100, 1000))) < 1000


def test_format():
    assert f"{mc.tensor(2.0):.2f} {mc.tensor([3]):d}" == "2.00 3"
    assert f"{mc.tensor([1, 2])}" == "tensor([1, 2])"


# Python's own protocols


def test_one_element_is_a_python_number():
    assert (mc.tensor([[2.5]]).item(), float(mc.tensor(2.5)), int(mc.tensor([7])), bool(mc.tensor(0))) == (
        2.5, 2.5, 7, False,
    )  # fmt: skip
    assert type(mc.tensor(3).item()) is int
    assert [10, 20, 30][mc.tensor(1)] == 20
    assert 2.0 in mc.tensor([1.0, 2.0])
    assert 3.0 not in mc.tensor([1.0, 2.0])
    for function, error, text in (
        (lambda: mc.zeros(2).item(), ShapeError, "item: needs a tensor with one element, this one has shape (2,)"),
        (lambda: bool(mc.zeros(2)), ShapeError, "bool: a tensor of shape (2,) is neither true nor false; use .any()"),
        (lambda: [1][mc.tensor(0.0)], DTypeError, "index: needs an integer tensor, this one is float32"),
        (lambda: len(mc.tensor(1)), DTypeError, "len: a tensor without axes has no length"),
        (lambda: list(mc.tensor(1)), DTypeError, "len: a tensor without axes has no length"),
    ):
        with pytest.raises(error) as caught:
            function()
        assert text in str(caught.value)


def test_iteration_gives_the_parts_along_the_first_axis():
    x = mc.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    first, second = x
    assert (first.tolist(), second.tolist()) == ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    (first * 2 + second).sum().backward()
    assert x.grad.tolist() == [[2.0] * 3, [1.0] * 3]


# NumPy


def test_numpy_shares_memory_and_array_follows_numpys_rules():
    x = mc.tensor([[1.0, 2.0, 3.0]])
    x.numpy()[0, 0] = 7
    assert x.tolist() == [[7.0, 2.0, 3.0]]
    assert np.asarray(x) is not None
    assert np.shares_memory(np.asarray(x), x.data)
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    assert not np.shares_memory(np.array(x), x.data)
    np.testing.assert_array_equal(np.stack([x, x]).shape, (2, 1, 3))
    with pytest.raises(ValueError, match="cannot be seen as float64 without a copy"):
        np.asarray(x, dtype=np.float64, copy=False)


# Copies and pickles


def test_deepcopy_copies_values_gradient_and_switch():
    x = mc.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    y = copy.deepcopy({"a": x, "b": x})
    assert y["a"] is y["b"]
    assert y["a"].tolist() == [1.0, 2.0]
    assert y["a"].grad.tolist() == [2.0, 4.0]
    assert y["a"].requires_grad
    assert not np.shares_memory(y["a"].data, x.data)
    assert not np.shares_memory(y["a"].grad.data, x.grad.data)
    with pytest.raises(GradientError, match="deepcopy: only leaf tensors can be copied"):
        copy.deepcopy(x * 2)


def test_pickle_keeps_values_type_device_and_switch():
    for x in (mc.tensor([1.0, 2.0], requires_grad=True), mc.tensor([[1], [2]], device="reference"), mc.tensor(True)):
        y = pickle.loads(pickle.dumps(x))
        assert (y.tolist(), y.dtype, y.device, y.requires_grad) == (x.tolist(), x.dtype, x.device, x.requires_grad)
    with pytest.raises(GradientError, match="pickle: only leaf tensors can be pickled"):
        pickle.dumps(mc.tensor([1.0], requires_grad=True) * 2)


# Indexing and writing

ALL = slice(None)
INDICES = [
    0, -1, (1, 2), (0, 1, 3), ALL, slice(1, None), (ALL, slice(None, None, 2)), (..., 1), (0, ..., slice(1, 3)), None,
    (ALL, None, 1), [1, 0], ([[1], [0]], [2, 0]), (0, ALL, [1, 2]), ([0, 1], ALL, [1, 2]), ([0, 1], 2, slice(0, 2)),
    True, [True, False], (ALL, [True, False, True]), (1, [False, True, True], [0, 3]), (..., [3, 0, 1]),
]  # fmt: skip


@pytest.mark.parametrize("index", INDICES, ids=str)
@pytest.mark.parametrize("value", ["number", "full", "last", "ones", "array"])
def test_writing_is_pytorchs(index, value):
    x, z = mc.arange(24).reshape(2, 3, 4).float(), torch.arange(24).reshape(2, 3, 4).float()
    shape = tuple(z[index].shape)
    new = {
        "number": np.array(-5.0, np.float32),
        "full": -np.arange(np.prod(shape, dtype=int), dtype=np.float32).reshape(shape) - 1,
        "last": -np.arange(shape[-1] if shape else 1, dtype=np.float32)[-1 if not shape else slice(None)] - 1,
        "ones": np.full((1, *shape), -7, np.float32),
        "array": np.full(shape, -7.0),
    }[value]
    x[index] = new if value == "array" else float(new) if value == "number" else mc.tensor(new)
    z[index] = float(new) if value == "number" else torch.tensor(new).float()
    np.testing.assert_array_equal(x.numpy(), z.numpy())


def test_tensors_as_indices():
    x = mc.arange(24).reshape(2, 3, 4)
    assert x[mc.tensor(1)].tolist() == x[1].tolist()
    assert x[mc.tensor([0, 0]), mc.tensor([1, 2])].tolist() == x.numpy()[[0, 0], [1, 2]].tolist()
    assert x[x > 20].tolist() == [21, 22, 23]
    x[x > 20] = 0
    assert x.sum().item() == sum(range(21))
    x[mc.tensor([[True, False, False], [False, True, True]])] = mc.tensor([1, 2, 3, 4])
    assert x[0, 0].tolist() == x[1, 2].tolist() == [1, 2, 3, 4]


def test_slices_may_run_backwards():
    x = mc.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    y = x[:, ::-1]
    assert y.tolist() == [[3.0, 2.0, 1.0], [6.0, 5.0, 4.0]]
    (y * mc.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [[100.0, 10.0, 1.0]] * 2


def test_basic_indices_are_views_and_arrays_copy():
    x = mc.zeros(2, 3)
    x[0][1] = 5
    x[1:][...] = 7
    x[[0]][...] = 9
    assert x.tolist() == [[0.0, 5.0, 0.0], [7.0, 7.0, 7.0]]
    x[:, 1:] = x[:, :-1]  # source and target overlap
    assert x.tolist() == [[0.0, 0.0, 5.0], [7.0, 7.0, 7.0]]


@pytest.mark.parametrize(
    ("index", "value", "error", "text"),
    [
        (2, 0, ShapeError, "x[i] = value: index 2 is out of range for axis 0 of a tensor of shape (2, 3)"),
        ((0, [0, 3]), 0, ShapeError, "x[i] = value: index 3 is out of range for axis 1 of a tensor of shape (2, 3)"),
        ((0, 0, 0), 0, ShapeError, "x[i] = value: 3 indices are too many for a tensor of shape (2, 3)"),
        (1.5, 0, DTypeError, "x[i] = value: an index is made of whole numbers, slices, None, ... and tensors, got 1.5"),
        (np.array([True] * 3), 0, ShapeError, "x[i] = value: mask (3,) does not fit axes (2,) of a tensor of shape"),
        (np.array([1], np.uint8), 0, DTypeError, "x[i] = value: an index of uint8 may mean numbers or a mask; convert"),
        (0, [1, 2], ShapeError, "x[i] = value: value has shape (2,), the place has (3,)"),
        ([0, 1], np.zeros((3, 3)), ShapeError, "x[i] = value: value has shape (3, 3), the place has (2, 3)"),
        (0, "abc", DTypeError, "x[i] = value: value must be numbers, got <U3 from str"),
        (0, [[1, 2], [3]], ShapeError, "x[i] = value: the rows of the value have different lengths"),
    ],
    ids=str,
)
def test_writes_that_are_refused(index, value, error, text):
    x = mc.zeros(2, 3)
    with pytest.raises(error) as caught:
        x[index] = value
    assert text in str(caught.value)
    assert x.tolist() == [[0.0] * 3] * 2


def test_whole_numbers_in_a_small_type():
    x = mc.zeros(2, dtype=mc.uint8)
    for value in (300, -1, float("nan"), mc.tensor([256.0]), np.inf):
        with pytest.raises(DTypeError, match=r"x\[i\] = value: .* does not fit into uint8"):
            x[0] = value
    x[0] = 255.9
    assert x.tolist() == [255, 0]
    x[:] = [True, 7]
    assert x.tolist() == [1, 7]


def test_other_writes():
    x = mc.zeros(2, 3)
    assert x.fill_(2.5).tolist() == [[2.5] * 3] * 2
    assert x.copy_(mc.tensor([1, 2, 3])).tolist() == [[1.0, 2.0, 3.0]] * 2
    assert x.zero_() is x
    assert x.tolist() == [[0.0] * 3] * 2
    with pytest.raises(ShapeError, match=r"copy_: value has shape \(2,\), the place has \(2, 3\)"):
        x.copy_(mc.zeros(2))
    with pytest.raises(ShapeError, match="fill_: several elements of an expanded tensor are one; write into a copy"):
        mc.zeros(1, 3).expand(2, 3).fill_(1)


def test_writing_into_what_is_recorded_is_refused():
    x = mc.zeros(2, requires_grad=True)
    with pytest.raises(GradientError, match=r"x\[i\] = value: an in-place write into a tensor that requires"):
        x[0] = 1
    with mc.no_grad():
        x[0] = 1
    assert x.tolist() == [1.0, 0.0]
    y = mc.zeros(2)
    with pytest.raises(GradientError, match=r"x\[i\] = value: the value requires a gradient"):
        y[0] = x[1]
    y[0] = x[0].detach()
    assert y.tolist() == [1.0, 0.0]

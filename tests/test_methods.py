"""Operators and methods of Tensor: each is its operation in F, and PyTorch's, in values and in the resulting type."""

import inspect
import operator

import numpy as np
import pytest
import torch

import minicnn as mc
import minicnn.functional as F
from minicnn._methods import Methods
from minicnn.errors import DTypeError, GradientError, ShapeError

TYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64")
ARITHMETIC = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "**": operator.pow,
}  # fmt: skip
COMPARISONS = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
LOGIC = {"&": operator.and_, "|": operator.or_, "^": operator.xor}
BINARY = {**ARITHMETIC, **COMPARISONS, **LOGIC}
IN_PLACE = {
    "+": operator.iadd, "-": operator.isub, "*": operator.imul, "/": operator.itruediv, "//": operator.ifloordiv,
    "%": operator.imod, "**": operator.ipow, "&": operator.iand, "|": operator.ior, "^": operator.ixor,
}  # fmt: skip


def numbers(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return small numbers from 1 on, which every type holds and by which can be divided."""
    return (np.arange(np.prod(shape, dtype=int)) % 3 + 1).reshape(shape).astype(dtype)


def outcome(function, *operands):
    """Return the result as an array, or None where the operation is refused."""
    refused = mc.errors.MinicnnError if any(isinstance(o, mc.Tensor) for o in operands) else (RuntimeError, TypeError)
    try:
        return function(*operands).numpy()
    except refused:
        return None


def assert_same(actual, expected, what: str) -> None:
    assert (actual is None) == (expected is None), f"{what}: one is refused: {actual} and {expected}"
    if actual is not None:
        assert actual.dtype == expected.dtype, what
        assert actual.shape == expected.shape, what
        np.testing.assert_allclose(actual, expected, rtol=1e-6, err_msg=what)


@pytest.mark.parametrize("symbol", BINARY)
@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 3), ()), ((), (3,)), ((), ())], ids=str)
def test_operators_of_every_two_types_are_pytorchs(symbol, shapes):
    function = BINARY[symbol]
    for a in TYPES:
        for b in TYPES:
            x, y = numbers(a, shapes[0]), numbers(b, shapes[1])
            expected = outcome(function, torch.tensor(x), torch.tensor(y))
            assert_same(outcome(function, mc.tensor(x), mc.tensor(y)), expected, f"{a} {symbol} {b}")


@pytest.mark.parametrize("symbol", BINARY)
@pytest.mark.parametrize("number", [2, 2.5, True, 0.0, -1], ids=repr)
def test_operators_with_python_numbers_are_pytorchs(symbol, number):
    function = BINARY[symbol]
    for dtype in TYPES:
        for shape in ((2, 3), ()):
            if dtype == "uint8" and number == -1:
                continue  # refused, where PyTorch takes −1 for 255, even in 1 < −1
            if dtype == "bool" and number is True and symbol == "**":
                continue  # refused as for two tensors, where PyTorch gives bools
            x = numbers(dtype, shape)
            assert_same(
                outcome(function, mc.tensor(x), number), outcome(function, torch.tensor(x), number),
                f"{dtype} {symbol} {number}",
            )  # fmt: skip
            assert_same(
                outcome(function, number, mc.tensor(x)), outcome(function, number, torch.tensor(x)),
                f"{number} {symbol} {dtype}",
            )  # fmt: skip


@pytest.mark.parametrize("symbol", ["+", "-", "*", "/", "//", "%", "**", "<", "=="])
def test_arrays_and_numpy_numbers_beside_a_tensor(symbol):
    function = BINARY[symbol]
    x = mc.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    y = np.array([1.5, 2.0, 4.0], np.float32)
    for result, expected in (
        (function(x, y), function(x.numpy(), y)),
        (function(y, x), function(y, x.numpy())),
        (function(np.float64(3.0), x), function(np.float32(3.0), x.numpy())),
        (function(x, np.int64(3)), function(x.numpy(), np.float32(3))),
    ):
        assert isinstance(result, mc.Tensor)
        assert result.dtype == expected.dtype
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(("number", "dtype"), [(300, "uint8"), (-1, "uint8"), (-129, "int8"), (2**31, "int32")])
def test_a_number_that_the_type_cannot_hold_is_refused(number, dtype):
    with pytest.raises(DTypeError, match=f"add: {number} does not fit into {dtype}"):
        mc.tensor([5], dtype=dtype) + number


def test_unary_operators_are_pytorchs():
    for dtype in TYPES:
        x = numbers(dtype, (2, 3))
        for function in (operator.neg, operator.invert, abs):
            assert_same(
                outcome(function, mc.tensor(x)), outcome(function, torch.tensor(x)), f"{function.__name__} {dtype}"
            )


def test_equality_with_what_is_no_number_is_identity():
    x = mc.tensor([1.0])
    assert (x == None) is False  # noqa: E711 - this is the comparison that is tested
    assert (x != "a") is True
    assert x in {x: 1}
    with pytest.raises(DTypeError, match="lt: other must be a Tensor or a number, got str"):
        _ = x < "a"


def test_matmul_operator():
    x, y = mc.tensor([[1.0, 2.0, 3.0]]), mc.tensor([[1.0], [2.0], [4.0]])
    assert (x @ y).tolist() == [[17.0]]
    with pytest.raises(DTypeError, match="matmul: input must be a Tensor, got int"):
        2 @ x


# Every method that has an operation's name, called with its options, gives the operation's result

ONE_LINERS = [
    ("add", (2.0,), {"alpha": 3}), ("sub", (2.0,), {"alpha": 3}), ("mul", (2.0,), {}), ("div", (2.0,), {}),
    ("neg", (), {}), ("pow", (2,), {}), ("exp", (), {}), ("log", (), {}), ("sqrt", (), {}), ("abs", (), {}),
    ("maximum", (mc.tensor(2.0),), {}), ("minimum", (mc.tensor(2.0),), {}), ("clamp", (), {"min": 1, "max": 4}),
    ("clamp", (2.0, 3.0), {}), ("eq", (2,), {}), ("ne", (2,), {}), ("lt", (2,), {}), ("le", (2,), {}),
    ("gt", (2,), {}), ("ge", (2,), {}), ("isnan", (), {}), ("isinf", (), {}), ("isfinite", (), {}), ("relu", (), {}),
    ("sigmoid", (), {}), ("tanh", (), {}), ("softmax", (1,), {}), ("log_softmax", (0,), {}),
    ("logsumexp", (1, True), {}),
    *((name, args, {}) for name in ("sum", "mean", "max", "min", "amax", "amin", "argmax", "argmin", "any", "all")
      for args in ((), (1,), (0, True))),
    *((name, (1,), {"correction": 0, "keepdim": True}) for name in ("var", "std")), ("var", (), {}), ("std", (), {}),
    ("reshape", ((3, 2),), {}), ("flatten", (), {}), ("flatten", (1, 1), {}), ("permute", ((1, 0),), {}),
    ("transpose", (0, 1), {}), ("expand", ((4, 2, 3),), {}), ("squeeze", (), {}), ("squeeze", (0,), {}),
    ("unsqueeze", (1,), {}), ("split", (2, 1), {}), ("flip", ((0, 1),), {}),
    ("matmul", (mc.tensor([1.0, 2.0, 3.0]),), {}),
    ("clone", (), {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "kwargs"), ONE_LINERS)
def test_a_method_is_its_operation(name, args, kwargs):
    x = mc.tensor([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])
    result, expected = getattr(x, name)(*args, **kwargs), getattr(F, name)(x, *args, **kwargs)
    if isinstance(expected, mc.Tensor):
        result, expected = (result,), (expected,)
    for a, b in zip(result, expected, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_every_method_with_the_name_of_an_operation_was_called_and_has_its_defaults():
    named = {n for n in vars(Methods) if not n.startswith("_") and hasattr(F, n)}
    assert named - {name for name, _, _ in ONE_LINERS} == {"where", "to"}
    for name in named - {"to", "where", "split"}:
        method = inspect.signature(getattr(Methods, name)).parameters
        function = inspect.signature(getattr(F, name)).parameters
        sizes = any(parameter.kind.name == "VAR_POSITIONAL" for parameter in method.values())
        for parameter in method.values():
            if parameter.name in function and parameter.name not in ("self", "input") and not sizes:
                assert parameter.default == function[parameter.name].default, f"{name}: {parameter.name}"
                assert parameter.kind == function[parameter.name].kind


def test_methods_that_are_no_operation():
    x = mc.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert x.reshape(3, -1).tolist() == x.reshape((3, 2)).tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    assert x.permute(1, 0).tolist() == x.T.tolist() == x.t().tolist() == x.mT.tolist()
    assert x.T.tolist() == [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]
    assert mc.zeros(2, 3, 5).T.shape == (5, 3, 2)
    assert mc.zeros(2, 3, 5).mT.shape == (2, 5, 3)
    assert mc.zeros(3).t().shape == (3,)
    assert x.expand(2, -1, -1).shape == x.expand((2, 2, 3)).shape == (2, 2, 3)
    assert mc.ones(3).expand_as(x).shape == (2, 3)
    assert mc.ones(6).reshape_as(x).shape == (2, 3)
    assert x.flip(0, 1).tolist() == x.flip((0, 1)).tolist() == [[6.0, 5.0, 4.0], [3.0, 2.0, 1.0]]
    assert x.where(x > 2, 0.0).tolist() == [[0.0, 0.0, 3.0], [4.0, 5.0, 6.0]]
    assert x.max(0).values.tolist() == [4.0, 5.0, 6.0]
    assert x.min(1).indices.tolist() == [0, 0]
    with pytest.raises(ShapeError, match="t: needs at most two axes, got shape \\(2, 3, 5\\)"):
        mc.zeros(2, 3, 5).t()
    with pytest.raises(ShapeError, match="mT: needs at least two axes, got shape \\(3,\\)"):
        _ = mc.zeros(3).mT


def test_view_shares_memory_or_is_refused():
    x = mc.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    y = x.view(-1)
    y[0] = 7
    assert x[0, 0].item() == 7
    assert x.view((3, 2)).shape == (3, 2)
    assert mc.zeros(0, 3).view(3, 0).shape == (3, 0)
    with pytest.raises(ShapeError, match=r"view: a tensor of shape \(3, 2\) and this memory order needs a copy; use"):
        x.T.view(6)
    with pytest.raises(ShapeError, match=r"view: shape|reshape: shape"):
        x.view(4)


def test_types_and_devices():
    x = mc.tensor([1.6, 0.0])
    assert [x.float().dtype, x.double().dtype, x.long().dtype, x.int().dtype, x.bool().dtype] == [
        mc.float32, mc.float64, mc.int64, mc.int32, mc.bool,
    ]  # fmt: skip
    assert x.float() is x
    assert x.long().tolist() == [1, 0]
    assert x.bool().tolist() == [True, False]
    assert x.to(mc.int8).dtype == x.to(dtype="int8").dtype == x.type_as(mc.zeros(1, dtype=mc.int8)).dtype == mc.int8
    assert x.to("reference").device == x.to(device="reference").device == "reference"
    assert x.to("reference", mc.float64).dtype == mc.float64
    assert x.to("reference").cpu().device == "cpu"
    like = mc.zeros(1, dtype=mc.float64, device="reference")
    assert (x.to(like).device, x.to(like).dtype) == ("reference", mc.float64)
    assert x.contiguous() is x
    z = mc.zeros(2, 3).T
    assert not z.is_contiguous()
    assert z.contiguous().is_contiguous()


# x += y: in place where nothing is recorded, else a new tensor


@pytest.mark.parametrize("symbol", IN_PLACE)
def test_in_place_operators_write_into_the_tensor(symbol):
    dtype = "int64" if symbol in "&|^" else "float32"
    array, other = numbers(dtype, (2, 3)) + 1, numbers(dtype, (3,))
    x = y = mc.tensor(array)
    z = torch.tensor(array)
    x, z = IN_PLACE[symbol](x, mc.tensor(other)), IN_PLACE[symbol](z, torch.tensor(other))
    assert x is y
    np.testing.assert_allclose(x.numpy(), z.numpy(), rtol=1e-6)


def test_in_place_operators_under_no_grad_update_a_parameter():
    w = mc.tensor([1.0, 2.0], requires_grad=True)
    former = w.data
    (w * w).sum().backward()
    with mc.no_grad():
        for p in [w]:
            p -= 0.5 * p.grad
    assert w.data is former
    assert w.tolist() == [0.0, 0.0]
    assert w.requires_grad


def test_in_place_operators_while_recording():
    w = mc.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(GradientError, match=r"x \+= y: x is a leaf that requires a gradient; update it under"):
        w += 1
    y = w * 2
    z = y
    y += w  # out += shortcut
    assert y is not z
    y.sum().backward()
    assert w.grad.tolist() == [3.0, 3.0]
    total = mc.zeros(())
    for _ in range(2):
        total += (w * w).sum()
    w.grad = None
    total.backward()
    assert w.grad.tolist() == [4.0, 8.0]


def test_in_place_operators_refuse_what_does_not_fit():
    x = mc.tensor([1, 2, 3])
    with pytest.raises(DTypeError, match=r"x \*= y: the result is float32, x is int64, which cannot hold it"):
        x *= 1.5
    flags = x > 1
    with pytest.raises(DTypeError, match="the result is int64, x is bool"):
        flags += 1
    with pytest.raises(ShapeError, match=r"x \+= y: the result has shape \(2, 3\), x has \(3,\)"):
        x += mc.ones(2, 3).long()
    y = mc.ones(3)
    y += mc.ones(3, dtype=mc.float64)
    assert y.dtype == mc.float32


def test_backward_notices_an_in_place_operator():
    x, w = mc.tensor([1.0, 2.0]), mc.tensor([3.0, 4.0], requires_grad=True)
    y = (x * w).sum()
    x += 1
    with pytest.raises(mc.errors.NumericsError, match=r"changed in place by x \+= y"):
        y.backward()

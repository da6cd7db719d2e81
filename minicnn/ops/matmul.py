"""Matrix products: matmul, linear, and einsum as an expression of other operations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._device import on
from .._tensor import Tensor
from ..autograd import Function
from ..errors import DTypeError, ShapeError
from . import arguments
from .arithmetic import ieee, unbroadcast
from .reduce import sum
from .shape import index, permute, reshape

Array = Any
Needs = tuple[bool, ...]


# Z = X Y:  dX = dZ Yᵀ, dY = Xᵀ dZ


@ieee
def matmul_forward(x: Array, y: Array) -> tuple[Array, Any]:  # (…, N, K), (…, K, M) → (…, N, M)
    return np.matmul(x, y), (x, y)


@ieee
def matmul_backward(dz: Array, cache: Any, needs: Needs = (True, True)) -> tuple[Array | None, Array | None]:
    x, y = cache
    rows, columns = x, y
    if y.ndim == 1:  # a vector on the right is a matrix of one column
        columns, dz = y[:, None], dz[..., None]
    if x.ndim == 1:  # and on the left one of one row
        rows, dz = x[None, :], dz[..., None, :]
    dx = dy = None
    if needs[0]:
        dx = unbroadcast(np.matmul(dz, columns.swapaxes(-1, -2)), rows.shape).reshape(x.shape)
    if needs[1]:
        dy = unbroadcast(np.matmul(rows.swapaxes(-1, -2), dz), columns.shape).reshape(y.shape)
    return dx, dy


class Matmul(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, y: Array) -> Array:
        z, cache = on(ctx.device, matmul_forward)(x, y)
        ctx.save(cache)
        return z

    @staticmethod
    def backward(ctx: Any, dz: Array) -> Any:
        return on(ctx.device, matmul_backward)(dz, ctx.saved, ctx.needs_input_grad)


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Return the matrix product z = x y over the last two axes: (…, N, K), (…, K, M) → (…, N, M).

    The axes before them broadcast. A vector (K,) is a row on the left, a column on the right, and its axis of
    size 1 does not stay: two vectors give a number. Raises ShapeError when K differs, DTypeError when the types
    do.
    """
    x, y = arguments.tensor("matmul", "input", input), arguments.tensor("matmul", "other", other)
    if x.ndim == 0 or y.ndim == 0:
        raise ShapeError(f"matmul: shapes {x.shape} and {y.shape} need at least one axis each; multiply numbers with *")
    k = y.shape[0] if y.ndim == 1 else y.shape[-2]
    if x.shape[-1] != k:
        raise ShapeError(f"matmul: input {x.shape} has {x.shape[-1]} columns, other {y.shape} has {k} rows")
    arguments.broadcast("matmul", x.shape[:-2], y.shape[:-2])
    _check_one_type("matmul", x, y)
    result: Tensor = Matmul.apply(x, y)
    return result


def _check_one_type(name: str, x: Tensor, y: Tensor) -> None:
    if x.dtype != y.dtype:
        raise DTypeError(f"{name}: input is {x.dtype}, other is {y.dtype}; convert one with .to(dtype)")
    if x.dtype == bool:
        raise DTypeError(f"{name}: bools cannot be multiplied as matrices; convert them with .float()")


# Y = X Wᵀ + b:  dX = dY W, dW = dYᵀ X, db = Σ_n dY[n]


@ieee
def linear_forward(x: Array, w: Array, b: Array | None) -> tuple[Array, Any]:  # (…, K), (O, K), (O,) → (…, O)
    o, k = w.shape
    rows = x.reshape(math.prod(x.shape[:-1]), k)
    y = rows @ w.T
    if b is not None:
        y += b
    return y.reshape(*x.shape[:-1], o), (rows, w, x.shape, b is not None)


@ieee
def linear_backward(dy: Array, cache: Any, needs: Needs = (True, True, True)) -> Any:
    rows, w, shape, has_bias = cache
    dy = dy.reshape(len(rows), len(w))
    return (
        (dy @ w).reshape(shape) if needs[0] else None,
        dy.T @ rows if needs[1] else None,
        dy.sum(axis=0) if has_bias and needs[2] else None,
    )


class Linear(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, w: Array, b: Array | None) -> Array:
        y, cache = on(ctx.device, linear_forward)(x, w, b)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, linear_backward)(dy, ctx.saved, ctx.needs_input_grad)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the fully connected layer y = x Wᵀ + b: (…, K), weight (O, K), bias (O,) → (…, O).

    Raises ShapeError for shapes that do not fit together, DTypeError for integers or mixed types.
    """
    arguments.floats("linear", input=input, weight=weight, bias=bias)
    if weight.ndim != 2:
        raise ShapeError(f"linear: weight has shape {weight.shape}, needs (O, K)")
    if input.ndim == 0 or input.shape[-1] != weight.shape[1]:
        raise ShapeError(
            f"linear: input has shape {input.shape}, weight {weight.shape} needs (…, {weight.shape[1]})"
            + ("; flatten the images with x.flatten(1)" if input.ndim == 4 else "")
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ShapeError(f"linear: bias has shape {bias.shape}, weight {weight.shape} needs {weight.shape[:1]}")
    result: Tensor = Linear.apply(input, weight, bias)
    return result


# einsum


def einsum(equation: str, *operands: Any) -> Tensor:
    """Return a sum of products in Einstein's notation: "nk,km->nm" is the matrix product.

    Each letter names an axis; operands that share a letter are multiplied along it, and what is not named after
    "->" is summed. Without "->" the result has the letters that occur once, in alphabetical order. A letter
    twice in one operand takes the diagonal; "..." stands for axes without names, which broadcast.
    With one operand and nothing to sum the result is a view. Raises ShapeError for an equation that cannot be
    read or does not fit the shapes, DTypeError for operands of several types.
    """
    xs = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else list(operands)
    if not isinstance(equation, str):
        raise DTypeError(f"einsum: equation must be a str such as 'nk,km->nm', got {type(equation).__name__}")
    for i, x in enumerate(xs):
        if arguments.tensor("einsum", f"operands[{i}]", x).dtype != xs[0].dtype:
            raise DTypeError(f"einsum: operands[{i}] is {x.dtype}, the first is {xs[0].dtype}; convert with .to(dtype)")
    terms, output = _parsed(equation, xs)
    result, labels = _diagonal(xs[0], terms[0])
    for i in range(1, len(xs)):
        needed = {*output}.union(*terms[i + 1 :])
        result, labels = _product(result, labels, *_diagonal(xs[i], terms[i]), needed)
    result, labels = _summed(result, labels, [label for label in labels if label not in output])
    return permute(result, [labels.index(label) for label in output])


def _parsed(equation: str, operands: list[Tensor]) -> tuple[list[list[str]], list[str]]:
    """Return the labels of each operand's axes and of the result's; the axes of "..." are .0 .1 … from the right."""
    inputs, arrow, right = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not operands or len(terms) != len(operands):
        raise ShapeError(f"einsum: equation {equation!r} has {len(terms)} operands, got {len(operands)}")
    labels = [_labels(equation, term, x.ndim) for term, x in zip(terms, operands)]
    sizes: dict[str, int] = {}
    for term, x in zip(labels, operands):
        for label, size in zip(term, x.shape):
            if sizes.setdefault(label, size) != size and 1 not in (size, sizes[label]):
                raise ShapeError(f"einsum: {label!r} in {equation!r} has the sizes {sizes[label]} and {size}")
            sizes[label] = size if sizes[label] == 1 else sizes[label]
    unnamed = sorted((label for label in sizes if label.startswith(".")), key=lambda label: -int(label[1:]))
    if not arrow:
        every = [label for term in labels for label in term]
        return labels, unnamed + sorted(label for label in sizes if label.isalpha() and every.count(label) == 1)
    named = len(right.replace("...", "", 1))
    output = _labels(equation, right, named + (len(unnamed) if "..." in right else 0))
    for label in output:
        if label not in sizes or output.count(label) > 1:
            raise ShapeError(
                f"einsum: {label!r} of the result in {equation!r} must occur in an operand, and in the result once"
            )
    return labels, output


def _labels(equation: str, term: str, ndim: int) -> list[str]:
    before, dots, after = term.partition("...")
    unnamed = ndim - len(before) - len(after)
    if not all(c.isascii() and c.isalpha() for c in before + after):
        raise ShapeError(f"einsum: {term!r} in {equation!r} may hold letters and one ...")
    if unnamed < 0 or (unnamed and not dots):
        raise ShapeError(f"einsum: {term!r} in {equation!r} does not name the {ndim} axes of its operand")
    return [*before, *(f".{i}" for i in reversed(range(unnamed))), *after]


def _diagonal(x: Tensor, labels: list[str]) -> tuple[Tensor, list[str]]:
    """Return an operand in which no label occurs twice: x[i, i] for each i, as one axis."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            if x.shape[first] != x.shape[second]:
                raise ShapeError(f"einsum: {label!r} twice in an operand of shape {x.shape} needs axes of one size")
            rest = [i for i in range(x.ndim) if i not in (first, second)]
            both = np.arange(x.shape[first])
            x = index(permute(x, [first, second, *rest]), (both, both))
            labels = [label, *(labels[i] for i in rest)]
    return x, labels


def _summed(x: Tensor, labels: list[str], out: list[str]) -> tuple[Tensor, list[str]]:
    """Return an operand summed over the labels in `out`."""
    if not out:
        return x, labels
    return sum(x, [labels.index(label) for label in out]), [label for label in labels if label not in out]


def _product(
    x: Tensor, x_labels: list[str], y: Tensor, y_labels: list[str], needed: set[str]
) -> tuple[Tensor, list[str]]:
    """Return the product of two operands, summed over the labels that nothing else needs, as a matrix product."""
    x_size, y_size = dict(zip(x_labels, x.shape)), dict(zip(y_labels, y.shape))
    # Where a label is one operand's alone, or has size 1 in one, Σ x y = (Σ x) (Σ y).
    apart = [k for k in (*x_labels, *y_labels) if k not in needed and x_size.get(k) != y_size.get(k)]
    x, x_labels = _summed(x, x_labels, [k for k in x_labels if k in apart])
    y, y_labels = _summed(y, y_labels, [k for k in y_labels if k in apart])
    dtype = np.result_type(x.dtype, y.dtype)  # a sum of narrow whole numbers is int64
    batch = [k for k in x_labels if k in y_labels and k in needed]
    inner = [k for k in x_labels if k in y_labels and k not in needed]
    rows = [k for k in x_labels if k not in y_labels]
    columns = [k for k in y_labels if k not in x_labels]
    z = matmul(
        _matrices(x, x_labels, batch, rows, inner).to(dtype),  # (*batch, rows, inner)
        _matrices(y, y_labels, batch, inner, columns).to(dtype),  # (*batch, inner, columns)
    )
    shape = [*z.shape[:-2], *(x_size[k] for k in rows), *(y_size[k] for k in columns)]
    return reshape(z, shape), [*batch, *rows, *columns]


def _matrices(x: Tensor, labels: list[str], batch: list[str], rows: list[str], columns: list[str]) -> Tensor:
    """Return the operand as matrices, each with the labels `rows` along one axis and `columns` along the other."""
    size = dict(zip(labels, x.shape))
    ordered = permute(x, [labels.index(k) for k in (*batch, *rows, *columns)])
    shape = [*(size[k] for k in batch), math.prod(size[k] for k in rows), math.prod(size[k] for k in columns)]
    return reshape(ordered, shape)

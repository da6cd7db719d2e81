"""Shape: reshape flatten permute transpose expand squeeze unsqueeze, pad cat stack split flip, and indexing.

No number is computed here, only moved, so these definitions run on every device: `xp` is NumPy or CuPy.
Where it can be, a result is a *view*: it shares the memory of its input, and a write into one is seen in the
other. That holds for reshape and flatten (of row-major memory), permute, transpose, expand, squeeze, unsqueeze,
split, and for indices made of numbers, slices, None and ... alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._device import array_module, on
from .._tensor import Tensor
from ..autograd import Function
from ..dtypes import promote
from ..errors import DTypeError, ShapeError
from . import arguments, indexing
from .arithmetic import unbroadcast

Array = Any
Shape = tuple[int, ...]


# reshape: the same numbers in row-major order


def reshape_forward(x: Array, shape: Shape) -> tuple[Array, Any]:
    return x.reshape(shape), x.shape


def reshape_backward(dy: Array, cache: Any) -> Array:
    return dy.reshape(cache)


class Reshape(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, shape: Shape) -> Array:
        y, ctx.shape = on(ctx.device, reshape_forward)(x, shape)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, reshape_backward)(dy, ctx.shape)


def reshape(input: Tensor, shape: Sequence[int]) -> Tensor:
    """Return the elements, in row-major order, in another shape; one size may be −1 and is worked out.

    Raises ShapeError when the numbers of elements differ.
    """
    arguments.tensor("reshape", "input", input)
    sizes = arguments.sizes("reshape", "shape", (shape,))
    result: Tensor = Reshape.apply(input, _filled("reshape", input, sizes))
    return result


def _filled(name: str, input: Tensor, sizes: Shape) -> Shape:
    """Return a shape whose −1 is replaced by the size that makes the numbers of elements equal."""
    count = input.numel()
    rest = math.prod(s for s in sizes if s != -1)
    if any(s < -1 for s in sizes) or sizes.count(-1) > 1:
        raise ShapeError(f"{name}: shape {sizes} needs sizes of at least 0 and at most one -1")
    if -1 in sizes and rest == 0:
        raise ShapeError(f"{name}: the -1 in shape {sizes} could be any size, since nothing has 0 elements")
    if count % rest if -1 in sizes else count != rest:
        raise ShapeError(f"{name}: shape {sizes} cannot hold the {count} elements of a tensor of shape {input.shape}")
    return tuple(count // rest if s == -1 else s for s in sizes)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Return the axes from `start_dim` to `end_dim` as one: (N, C, H, W) → (N, C·H·W) with `start_dim=1`.

    Raises ShapeError when the axes are out of range or in the wrong order.
    """
    arguments.tensor("flatten", "input", input)
    start = arguments.axis("flatten", input, start_dim, "start_dim")
    end = arguments.axis("flatten", input, end_dim, "end_dim")
    if start > end:
        raise ShapeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    shape = input.shape or (1,)
    result: Tensor = Reshape.apply(input, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))
    return result


# permute: y[i_0, i_1, …] = x with axis dims[k] of x as axis k of y


def permute_forward(x: Array, dims: Shape) -> tuple[Array, Any]:
    return x.transpose(dims), dims


def permute_backward(dy: Array, cache: Any) -> Array:
    back = sorted(range(len(cache)), key=cache.__getitem__)
    return dy.transpose(back)


class Permute(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, dims: Shape) -> Array:
        y, ctx.dims = on(ctx.device, permute_forward)(x, dims)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, permute_backward)(dy, ctx.dims)


def permute(input: Tensor, dims: Sequence[int]) -> Tensor:
    """Return the tensor with its axes in another order: `dims=(0, 2, 3, 1)` makes (N, H, W, C) of (N, C, H, W).

    Raises ShapeError when `dims` does not name each axis once.
    """
    arguments.tensor("permute", "input", input)
    named = arguments.sizes("permute", "dims", (dims,))
    order = tuple(arguments.axis("permute", input, d, "dims") for d in named)
    if sorted(order) != list(range(input.ndim)):
        raise ShapeError(f"permute: dims {named} must name each axis of shape {input.shape} once")
    result: Tensor = Permute.apply(input, order)
    return result


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Return the tensor with two axes exchanged."""
    arguments.tensor("transpose", "input", input)
    a = arguments.axis("transpose", input, dim0, "dim0")
    b = arguments.axis("transpose", input, dim1, "dim1")
    order = list(range(input.ndim))
    if order:
        order[a], order[b] = b, a
    result: Tensor = Permute.apply(input, tuple(order))
    return result


# expand: axes of size 1 repeated, y[n, i] = x[0, i];  dx = Σ of dy over the repetitions


def expand_forward(x: Array, shape: Shape) -> tuple[Array, Any]:
    if math.prod(shape) == x.size:  # nothing is repeated, and the view can stay writeable
        return x.reshape(shape), x.shape
    return array_module(x).broadcast_to(x, shape), x.shape


def expand_backward(dy: Array, cache: Any) -> Array:
    return unbroadcast(dy, cache)


class Expand(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, shape: Shape) -> Array:
        y, ctx.shape = on(ctx.device, expand_forward)(x, shape)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, expand_backward)(dy, ctx.shape)


def expand(input: Tensor, size: Sequence[int]) -> Tensor:
    """Return the tensor broadcast to a larger shape, without using more memory; −1 keeps a size.

    The result cannot be written into, since several elements are one. Raises ShapeError when a size other
    than 1 would change.
    """
    shape = arguments.tensor("expand", "input", input).shape
    sizes = arguments.sizes("expand", "size", (size,))
    added = len(sizes) - len(shape)
    target = tuple(shape[i - added] if s == -1 and i >= added else s for i, s in enumerate(sizes))
    if added < 0 or any(s < 0 for s in target) or any(a not in (1, b) for a, b in zip(shape, target[added:])):
        raise ShapeError(f"expand: a tensor of shape {shape} cannot be expanded to {sizes}")
    result: Tensor = Expand.apply(input, arguments.possible("expand", target))
    return result


def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Return the tensor without its axes of size 1, or without those of `dim` that have size 1."""
    axes = arguments.axes("squeeze", arguments.tensor("squeeze", "input", input), dim)
    result: Tensor = Reshape.apply(input, tuple(s for i, s in enumerate(input.shape) if s != 1 or i not in axes))
    return result


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """Return the tensor with one more axis, of size 1, at position `dim`."""
    axis = arguments.axis("unsqueeze", arguments.tensor("unsqueeze", "input", input), dim, extra=1)
    result: Tensor = Reshape.apply(input, (*input.shape[:axis], 1, *input.shape[axis:]))
    return result


# pad: a border around the last axes; a negative width cuts off


def pad_forward(x: Array, widths: tuple[tuple[int, int], ...], mode: str, value: float) -> tuple[Array, Any]:
    """Pad axis i of x by `widths[i]` = (before, after).

    Each axis by itself: with a constant, y = x inside and `value` outside; else y[p] = x[source[p]].
    """
    xp = array_module(x)
    if mode == "constant":
        y = xp.full([n + before + after for n, (before, after) in zip(x.shape, widths)], value, x.dtype)
        inside, kept = _inside(x.shape, widths)
        y[inside] = x[kept]
        return y, (x.shape, widths, mode)
    y = x
    for axis, width in enumerate(widths):
        if width != (0, 0):
            y = xp.take(y, xp.asarray(_source(mode, x.shape[axis], *width)), axis=axis)
    return y.copy() if y is x else y, (x.shape, widths, mode)


def pad_backward(dy: Array, cache: Any) -> Array:
    shape, widths, mode = cache
    xp = array_module(dy)
    if mode == "constant":
        dx = xp.zeros(shape, dy.dtype)
        inside, kept = _inside(shape, widths)
        dx[kept] = dy[inside]
        return dx
    for axis, width in enumerate(widths):
        if width != (0, 0):
            former = xp.moveaxis(dy, axis, 0)
            summed = xp.zeros((shape[axis], *former.shape[1:]), dy.dtype)
            xp.add.at(summed, xp.asarray(_source(mode, shape[axis], *width)), former)
            dy = xp.moveaxis(summed, 0, axis)
    return dy


def _inside(shape: Shape, widths: tuple[tuple[int, int], ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return where the input lies in the padded array, and which part of the input that is (all, unless cut)."""
    inside = tuple(slice(max(a, 0), max(a, 0) + n + min(a, 0) + min(b, 0)) for n, (a, b) in zip(shape, widths))
    kept = tuple(slice(max(-a, 0), n + min(b, 0)) for n, (a, b) in zip(shape, widths))
    return inside, kept


def _source(mode: str, size: int, before: int, after: int) -> Array:
    """Return for each position of a padded axis the position of the input that it shows.

    size 4, widths (2, 2):   reflect 2 1 | 0 1 2 3 | 2 1   replicate 0 0 | 0 1 2 3 | 3 3   circular 2 3 | 0 1 2 3 | 0 1
    """
    position = np.arange(-before, size + after)
    if mode == "reflect":
        return (size - 1) - np.abs((size - 1) - np.abs(position))
    if mode == "replicate":
        return np.clip(position, 0, size - 1)
    start, stop = max(-before, 0), size + min(after, 0)  # what is cut off does not come back at the other end
    return start + (position - start) % (stop - start)


class Pad(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, widths: Any, mode: str, value: float) -> Array:
        y, ctx.cache = on(ctx.device, pad_forward)(x, widths, mode, value)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, pad_backward)(dy, ctx.cache)


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Return the tensor with a border: `pad` = (left, right, top, bottom, …), the last axis first.

    `mode` is "constant" (`value`, 0 by default), "reflect" (mirrored without repeating the edge), "replicate"
    (the edge repeated) or "circular" (the other end). Negative widths cut off. Raises ShapeError for an odd
    number of widths, more than the axes have, a border that the mode cannot fill, and nothing left; `value`
    is refused where the mode has no use for it.
    """
    arguments.tensor("pad", "input", input)
    arguments.choice("pad", "mode", mode, ("constant", "reflect", "replicate", "circular"))
    numbers = arguments.sizes("pad", "pad", (pad,))
    if len(numbers) % 2 or len(numbers) > 2 * input.ndim:
        raise ShapeError(
            f"pad: pad {numbers} has {len(numbers)} widths, a tensor of shape {input.shape} takes two for each of "
            f"its last axes, at most {2 * input.ndim}"
        )
    if value is not None and mode != "constant" and value != 0:
        raise ShapeError(f"pad: value belongs to mode 'constant', mode is {mode!r}")
    if mode != "constant" and not (2 <= len(numbers) <= 6 and input.ndim - len(numbers) // 2 in (1, 2)):
        raise ShapeError(
            f"pad: mode {mode!r} pads the last 1, 2 or 3 axes of a tensor with one or two axes before them (batch, "
            f"channels), got {len(numbers)} widths for shape {input.shape}"
        )
    if mode in ("reflect", "replicate") and 0 in input.shape[input.ndim - len(numbers) // 2 - 1 :]:
        raise ShapeError(
            f"pad: mode {mode!r} finds nothing to repeat in shape {input.shape}; only the batch may be empty"
        )
    widths = [(0, 0)] * (input.ndim - len(numbers) // 2) + [*zip(numbers[::2], numbers[1::2])][::-1]
    for size, width in zip(input.shape, widths):
        _check_width(mode, size, width)
    fill = value if isinstance(value, bool) else 0 if value is None else arguments.number("pad", "value", value)
    arguments.possible("pad", tuple(size + sum(width) for size, width in zip(input.shape, widths)))
    result: Tensor = Pad.apply(input, tuple(widths), mode, fill if input.dtype.kind == "f" else int(fill))
    return result


def _check_width(mode: str, size: int, width: tuple[int, int]) -> None:
    """Refuse to cut off more than there is, and to show what is not there."""
    left = size + min(width[0], 0) + min(width[1], 0)
    if left < 0:
        raise ShapeError(f"pad: widths {width} cut off more than the {size} elements of their axis")
    if mode == "constant" or width == (0, 0):
        return
    if size + sum(width) < 1 and mode != "circular":
        raise ShapeError(f"pad: mode {mode!r} with widths {width} leaves nothing of {size} elements")
    limit = {"reflect": size - 1, "circular": left}.get(mode, max(width))
    if max(width) > limit:
        raise ShapeError(f"pad: mode {mode!r} adds at most {limit} on each side of {size} elements, pad has {width}")


# cat: one after the other along an axis;  each gets back its part of dy


def cat_forward(xs: tuple[Array, ...], axis: int) -> tuple[Array, Any]:
    return array_module(xs[0]).concatenate(xs, axis), ([x.shape[axis] for x in xs], axis)


def cat_backward(dy: Array, cache: Any) -> tuple[Array, ...]:
    parts, _ = split_forward(dy, *cache)
    return parts


class Cat(Function):
    @staticmethod
    def forward(ctx: Any, axis: int, *xs: Array) -> Array:
        y, ctx.cache = on(ctx.device, cat_forward)(xs, axis)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return (None, *on(ctx.device, cat_backward)(dy, ctx.cache))


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Return the tensors one after the other along an axis, in the type in which all of them meet.

    They must agree in the sizes of all other axes; an empty tensor of shape (0,) is passed over, as in PyTorch.
    Raises ShapeError where they do not, without any tensor, and for tensors without axes.
    """
    xs = _several("cat", tensors)
    kept = [x for x in xs if x.shape != (0,)]
    axis = arguments.axis("cat", kept[0], dim) if kept else arguments.integer("cat", "dim", dim) * 0
    xs = kept or xs[:1]
    for i, x in enumerate(xs):
        if x.ndim == 0:
            raise ShapeError(f"cat: tensors[{i}] has no axes; use F.stack")
        if x.ndim != xs[0].ndim or any(a != b for k, (a, b) in enumerate(zip(x.shape, xs[0].shape)) if k != axis):
            raise ShapeError(
                f"cat: tensors[{i}] has shape {x.shape}, the first {xs[0].shape}; they may differ in axis {axis} only"
            )
    result: Tensor = Cat.apply(axis, *xs)
    return result


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Return tensors of one shape side by side along a new axis: three of shape (2, 5) → (3, 2, 5).

    Raises ShapeError where the shapes differ and without any tensor.
    """
    xs = _several("stack", tensors)
    for i, x in enumerate(xs):
        if x.shape != xs[0].shape:
            raise ShapeError(f"stack: tensors[{i}] has shape {x.shape}, the first {xs[0].shape}; they must be equal")
    axis = arguments.axis("stack", xs[0], dim, extra=1)
    result: Tensor = Cat.apply(axis, *(unsqueeze(x, axis) for x in xs))
    return result


def _several(name: str, tensors: Any) -> list[Tensor]:
    """Return a non-empty sequence of tensors in the type in which all of them meet."""
    if isinstance(tensors, Tensor) or not isinstance(tensors, Sequence):
        raise DTypeError(f"{name}: tensors must be a list or tuple of Tensors, got {type(tensors).__name__}")
    xs = [arguments.tensor(name, f"tensors[{i}]", x) for i, x in enumerate(tensors)]
    if not xs:
        raise ShapeError(f"{name}: tensors is empty, needs at least one Tensor")
    dtype, ndim = xs[0].dtype, xs[0].ndim
    for x in xs[1:]:
        dtype, ndim = promote(dtype, ndim, x.dtype, x.ndim), max(ndim, x.ndim)
    return [x.to(dtype) for x in xs]


# split: the reverse of cat


def split_forward(x: Array, sizes: list[int], axis: int) -> tuple[tuple[Array, ...], Any]:
    parts, start = [], 0
    for size in sizes:
        parts.append(x[(slice(None),) * axis + (slice(start, start + size),)])
        start += size
    return tuple(parts), axis


def split_backward(dparts: tuple[Array, ...], cache: Any) -> Array:
    dx, _ = cat_forward(dparts, cache)
    return dx


class Split(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, sizes: list[int], axis: int) -> tuple[Array, ...]:
        parts, ctx.axis = on(ctx.device, split_forward)(x, sizes, axis)
        return parts

    @staticmethod
    def backward(ctx: Any, *dparts: Array) -> Any:
        return on(ctx.device, split_backward)(dparts, ctx.axis)


def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Return the parts of a tensor along an axis: all of one size (the last may be smaller), or of the given sizes.

    Raises ShapeError when the sizes do not add up to the axis.
    """
    arguments.tensor("split", "tensor", tensor)
    if tensor.ndim == 0:
        raise ShapeError("split: a tensor without axes cannot be split")
    axis = arguments.axis("split", tensor, dim)
    count = tensor.shape[axis]
    if isinstance(split_size_or_sections, (tuple, list)):
        sizes = [arguments.integer("split", "split_size_or_sections", s, 0) for s in split_size_or_sections]
        if sum(sizes) != count:
            raise ShapeError(f"split: the sizes {sizes} add up to {sum(sizes)}, axis {axis} has {count}")
    else:
        size = arguments.integer("split", "split_size_or_sections", split_size_or_sections, 1 if count else 0)
        sizes = [min(size, count - start) for start in range(0, count, size)] if count else [0]
    if not sizes:
        return ()
    result: tuple[Tensor, ...] = Split.apply(tensor, sizes, axis)
    return result


# flip: y[i] = x[n − 1 − i]


def flip_forward(x: Array, axes: Shape) -> tuple[Array, Any]:
    return array_module(x).flip(x, axes).copy(), axes


def flip_backward(dy: Array, cache: Any) -> Array:
    return array_module(dy).flip(dy, cache)


class Flip(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, axes: Shape) -> Array:
        y, ctx.axes = on(ctx.device, flip_forward)(x, axes)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, flip_backward)(dy, ctx.axes)


def flip(input: Tensor, dims: int | Sequence[int]) -> Tensor:
    """Return a copy with the order of the elements reversed along the axes `dims`."""
    axes = arguments.axes("flip", arguments.tensor("flip", "input", input), () if dims is None else dims, "dims")
    result: Tensor = Flip.apply(input, axes)
    return result


# index: y = x[index];  dx[index] += dy, all others 0


def index_forward(x: Array, first: indexing.First, then: indexing.Then) -> tuple[Array, Any]:
    y = x[first]
    if then is not None:
        xp = array_module(x)
        then = tuple(i if isinstance(i, slice) else xp.asarray(i) for i in then)
        y = y[then]
    return y, (x.shape, first, then)


def index_backward(dy: Array, cache: Any) -> Array:
    shape, first, then = cache
    xp = array_module(dy)
    dx = xp.zeros(shape, dy.dtype)
    chosen = dx[first]  # a view
    if then is None:
        chosen[...] = dy
    elif all(i.dtype.kind == "b" for i in then if not isinstance(i, slice)):
        chosen[then] = dy
    else:
        xp.add.at(chosen, then, dy)  # a number may stand there twice, and both count
    return dx


class Index(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, first: indexing.First, then: indexing.Then) -> Array:
        y, cache = on(ctx.device, index_forward)(x, first, then)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, index_backward)(dy, ctx.saved)


def index(input: Tensor, index: Any) -> Tensor:
    """Return x[index], where `index` is what may stand in the brackets.

    Numbers, slices (a negative step, too), None and ... give a view; tensors, arrays and lists of whole numbers
    choose elements, bool ones keep those where they are true, and give a copy. Several of them broadcast.
    Raises ShapeError for an index out of range, DTypeError for what is no index.
    """
    first, then = indexing.parsed("index", arguments.tensor("index", "input", input), index)
    result: Tensor = Index.apply(input, first, then)
    return result

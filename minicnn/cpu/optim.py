"""The update steps of the optimisers on the CPU: the twins of `minicnn/ops/optim.py`.

One kernel call updates all parameters, where they are: it gets a table of addresses, one row per array of a
parameter, and the numbers of all parameters count as one long vector, which is cut into equal shares. Each
number is read and written once; the definition passes over memory once for each operation of the formula and
keeps the results in between.

A parameter whose arrays are not all contiguous, of one type and float32 or float64, is the definition's;
so are those of one type if two of them share memory, for then their order matters.

What limits it: memory. Ten million float32 numbers in 54 arrays (2 threads of a Zen 4, a machine in use): SGD 5 ms,
Adam 4, RMSprop 3; the definitions 17, 28 and 25. Each array costs about 1.5 µs, to look up its address.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from ..ops import optim as definition
from . import settings
from .registers import load, store, vsqrt
from .threads import kernel
from .vectors import I64, _select, lanes, vfill

Array = Any
Arrays = Sequence[Array]

# vlarger(a, b): the larger; a NaN in either stays
vlarger = _select(
    lambda builder, a, b: builder.select(
        builder.or_(builder.fcmp_ordered(">", a, b), builder.fcmp_unordered("!=", a, a)), a, b
    ),
    2,
)
# rounded(a, b): a · b, not joined with the subtraction that follows: v − a² with a² unrounded can be below 0, and
# its root nan, where v is a² rounded
rounded = _select(lambda builder, a, b: builder.fmul(a, b), 2)


@intrinsic
def array_at(typingctx: Any, address: Any, like: Any) -> Any:
    """The array that begins at an address, of the type of `like`; its length is not known."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        array = context.make_array(sig.return_type)(context, builder)
        data = builder.inttoptr(args[0], array.data.type)
        itemsize = I64(sig.return_type.dtype.bitwidth // 8)
        shape, strides = cgutils.pack_array(builder, [I64(0)]), cgutils.pack_array(builder, [itemsize])
        populate_array(array, data=data, shape=shape, strides=strides, itemsize=itemsize, meminfo=None)
        return array._getvalue()

    return like(address, like), codegen


@kernel
def sgd_kernel(first, end, shares, starts, table, numbers, momentum_on, decay_on, nesterov, sign):  # type: ignore[no-untyped-def]  # a body  # fmt: skip
    """numbers: lr, momentum, 1 − dampening, weight_decay; rows of the table: θ, g, b."""
    lr, momentum, kept, weight_decay = numbers[0], numbers[1], numbers[2], numbers[3]
    n, total = len(starts) - 1, starts[-1]
    for share in range(first, end):
        low, high = share * total // shares, (share + 1) * total // shares
        for i in range(n):
            i0, i1 = max(low, starts[i]) - starts[i], min(high, starts[i + 1]) - starts[i]
            if i0 >= i1:
                continue
            parameter, gradient = array_at(table[i], numbers), array_at(table[n + i], numbers)
            buffer = array_at(table[2 * n + i], numbers)
            for j in range(i0, i1, lanes(numbers)):
                m = i1 - j
                p, step = load(parameter, j, m), load(gradient, j, m) * sign
                if decay_on:
                    step = step + weight_decay * p
                if momentum_on:
                    b = momentum * load(buffer, j, m) + kept * step
                    store(buffer, j, b, m)
                    step = step + momentum * b if nesterov else b
                store(parameter, j, p - lr * step, m)


@kernel
def adam_kernel(first, end, shares, starts, table, numbers, roots, rates, decay_on, amsgrad, sign):  # type: ignore[no-untyped-def]  # a body  # fmt: skip
    """numbers: 1 − lr·weight_decay if decoupled else 1, 1 − β₁, β₂, 1 − β₂, eps, weight_decay (0 if decoupled)."""
    shrunk, new1, beta2, new2 = numbers[0], numbers[1], numbers[2], numbers[3]
    eps, weight_decay = numbers[4], numbers[5]
    n, total = len(starts) - 1, starts[-1]
    for share in range(first, end):
        low, high = share * total // shares, (share + 1) * total // shares
        for i in range(n):
            i0, i1 = max(low, starts[i]) - starts[i], min(high, starts[i + 1]) - starts[i]
            if i0 >= i1:
                continue
            parameter, gradient = array_at(table[i], numbers), array_at(table[n + i], numbers)
            exp_avg, exp_avg_sq = array_at(table[2 * n + i], numbers), array_at(table[3 * n + i], numbers)
            largest = array_at(table[4 * n + i], numbers)
            root, rate = vfill(numbers, roots[i]), vfill(numbers, rates[i])
            for j in range(i0, i1, lanes(numbers)):
                left = i1 - j
                p, g = load(parameter, j, left) * shrunk, load(gradient, j, left) * sign
                if decay_on:
                    g = g + weight_decay * p
                m, v = load(exp_avg, j, left), load(exp_avg_sq, j, left)
                m = m + new1 * (g - m)
                v = beta2 * v + new2 * (g * g)
                store(exp_avg, j, m, left)
                store(exp_avg_sq, j, v, left)
                if amsgrad:
                    v = vlarger(load(largest, j, left), v)
                    store(largest, j, v, left)
                store(parameter, j, p - rate * (m / (vsqrt(v) / root + eps)), left)


@kernel
def rmsprop_kernel(first, end, shares, starts, table, numbers, momentum_on, decay_on, centered, sign):  # type: ignore[no-untyped-def]  # a body  # fmt: skip
    """numbers: lr, α, 1 − α, eps, weight_decay, momentum; rows of the table: θ, g, v, a, b."""
    lr, alpha, new, eps, weight_decay, momentum = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
    n, total = len(starts) - 1, starts[-1]
    for share in range(first, end):
        low, high = share * total // shares, (share + 1) * total // shares
        for i in range(n):
            i0, i1 = max(low, starts[i]) - starts[i], min(high, starts[i + 1]) - starts[i]
            if i0 >= i1:
                continue
            parameter, gradient = array_at(table[i], numbers), array_at(table[n + i], numbers)
            square_avg, grad_avg = array_at(table[2 * n + i], numbers), array_at(table[3 * n + i], numbers)
            buffer = array_at(table[4 * n + i], numbers)
            for j in range(i0, i1, lanes(numbers)):
                left = i1 - j
                p, g = load(parameter, j, left), load(gradient, j, left) * sign
                if decay_on:
                    g = g + weight_decay * p
                v = alpha * load(square_avg, j, left) + new * (g * g)
                store(square_avg, j, v, left)
                if centered:
                    a = load(grad_avg, j, left)
                    a = a + new * (g - a)
                    store(grad_avg, j, a, left)
                    v = v - rounded(a, a)
                step = g / (vsqrt(v) + eps)
                if momentum_on:
                    step = momentum * load(buffer, j, left) + step
                    store(buffer, j, step, left)
                store(parameter, j, p - lr * step, left)


def sgd_update(
    parameters: Arrays,
    gradients: Arrays,
    momentum_buffers: Arrays,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    def run(dtype: Any, starts: Array, table: Array, _: list[int]) -> None:
        numbers = np.array([lr, momentum, 1 - dampening, weight_decay], dtype)
        flags = int(momentum != 0), int(weight_decay != 0), int(nesterov)
        shares = _shares(starts)
        sgd_kernel(shares, shares, starts, table, numbers, *flags, -1 if maximize else 1)

    def rest(chosen: list[int]) -> None:
        lists = _only(chosen, parameters, gradients, momentum_buffers)
        definition.sgd_update(*lists, lr, momentum, dampening, weight_decay, nesterov, maximize)

    _update(run, rest, parameters, gradients, momentum_buffers if momentum else ())


def adam_update(
    parameters: Arrays,
    gradients: Arrays,
    exp_avgs: Arrays,
    exp_avg_sqs: Arrays,
    max_exp_avg_sqs: Arrays,
    steps: Sequence[float],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    maximize: bool,
    decoupled: bool,
) -> None:
    def run(dtype: Any, starts: Array, table: Array, chosen: list[int]) -> None:
        decay = 0 if decoupled else weight_decay
        shrunk = 1 - lr * weight_decay if decoupled else 1
        numbers = np.array([shrunk, 1 - beta1, beta2, 1 - beta2, eps, decay], dtype)
        roots = np.array([math.sqrt(1 - beta2 ** steps[i]) for i in chosen], dtype)
        rates = np.array([lr / (1 - beta1 ** steps[i]) for i in chosen], dtype)
        shares = _shares(starts)
        flags = int(decay != 0), int(amsgrad), -1 if maximize else 1
        adam_kernel(shares, shares, starts, table, numbers, roots, rates, *flags)

    def rest(chosen: list[int]) -> None:
        lists = _only(chosen, parameters, gradients, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, steps)
        definition.adam_update(*lists, lr, beta1, beta2, eps, weight_decay, amsgrad, maximize, decoupled)

    _update(run, rest, parameters, gradients, exp_avgs, exp_avg_sqs, max_exp_avg_sqs if amsgrad else ())


def rmsprop_update(
    parameters: Arrays,
    gradients: Arrays,
    square_avgs: Arrays,
    grad_avgs: Arrays,
    momentum_buffers: Arrays,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    centered: bool,
    maximize: bool,
) -> None:
    def run(dtype: Any, starts: Array, table: Array, _: list[int]) -> None:
        numbers = np.array([lr, alpha, 1 - alpha, eps, weight_decay, momentum], dtype)
        flags = int(momentum != 0), int(weight_decay != 0), int(centered)
        shares = _shares(starts)
        rmsprop_kernel(shares, shares, starts, table, numbers, *flags, -1 if maximize else 1)

    def rest(chosen: list[int]) -> None:
        lists = _only(chosen, parameters, gradients, square_avgs, grad_avgs, momentum_buffers)
        definition.rmsprop_update(*lists, lr, alpha, eps, weight_decay, momentum, centered, maximize)

    averages, buffers = grad_avgs if centered else (), momentum_buffers if momentum else ()
    _update(run, rest, parameters, gradients, square_avgs, averages, buffers)


def _shares(starts: Array) -> int:
    """Return into how many shares the numbers are cut: no share of less than a few microseconds."""
    return max(1, min(settings.threads(), int(starts[-1]) // 4096))


def _only(chosen: list[int], *lists: Sequence[Any]) -> list[list[Any]]:
    """Return the chosen elements of each list; a list that the options leave unused stays empty."""
    return [[a[i] for i in chosen] if len(a) else [] for a in lists]


def _update(
    run: Callable[[Any, Array, Array, list[int]], None], rest: Callable[[list[int]], None], *lists: Arrays
) -> None:
    """Call `run` for the parameters of each type that the kernels take, and `rest` for those that they do not.

    `lists` are parameters, gradients and state; an empty one is not used, and its addresses are the parameters'.
    """
    parameters = lists[0]
    groups: dict[Any, list[int]] = {}
    for i, arrays in enumerate(zip(*(a for a in lists if len(a)))):
        dtype = parameters[i].dtype
        fits = dtype.char in "fd" and all(_plain(a, dtype) for a in arrays)
        groups.setdefault(dtype if fits else None, []).append(i)
    for dtype, chosen in groups.items():
        starts = np.zeros(len(chosen) + 1, np.int64)
        np.cumsum([parameters[i].size for i in chosen], out=starts[1:])
        table = np.array([[_address(a[i]) for i in chosen] for a in (b if len(b) else parameters for b in lists)])
        if dtype is None or _overlap(table[0], np.diff(starts) * dtype.itemsize):
            rest(chosen)
        else:
            run(dtype, starts, table.reshape(-1), chosen)


def _plain(a: Array, dtype: Any) -> bool:
    flags = a.flags
    return bool(a.dtype == dtype and flags.c_contiguous and flags.aligned)


def _address(a: Array) -> int:
    address: int = a.__array_interface__["data"][0]
    return address


def _overlap(addresses: Array, sizes: Array) -> bool:
    """Return whether two arrays share memory."""
    order = np.argsort(addresses)
    ends = (addresses + sizes)[order]
    return bool((addresses[order][1:] < np.maximum.accumulate(ends)[:-1]).any())

"""The kernels of the optimisers against the definitions, which `tests/ops` compares with PyTorch."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn.cpu import optim as cpu
from minicnn.ops import optim as definition

SHAPES = [(64, 3, 7, 7), (), (1,), (0, 3), (513,), (17, 15), (3, 1, 5)]
DTYPES = [np.float32, np.float64]
Lists = list[list[np.ndarray]]


def make(dtype: Any, count: int, shapes: Any = SHAPES) -> Lists:
    """Return parameters, gradients and `count` more lists; from the third on no number is negative."""
    rng = np.random.default_rng(0)
    lists = [[np.asarray(rng.standard_normal(s), dtype) for s in shapes] for _ in range(count)]
    return [*lists[:2], *([np.abs(a, out=a) for a in arrays] for arrays in lists[2:])]


def sgd(options: tuple[Any, ...]) -> tuple[Any, ...]:
    momentum, dampening, weight_decay, nesterov, maximize = options
    return 0.1, momentum, dampening, weight_decay, nesterov, maximize


SGD = [
    sgd(o) for o in itertools.product((0, 0.9), (0, 0.3), (0, 0.1), (False, True), (False, True))
    if not (o[3] and (o[0] == 0 or o[1]))
]  # fmt: skip
ADAM = [
    (0.1, 0.9, 0.99, 1e-8, weight_decay, amsgrad, maximize, decoupled)
    for weight_decay, amsgrad, maximize, decoupled in itertools.product((0, 0.1), *3 * [(False, True)])
]
RMSPROP = [
    (0.1, 0.9, 1e-8, weight_decay, momentum, centered, maximize)
    for weight_decay, momentum, centered, maximize in itertools.product((0, 0.1), (0, 0.9), *2 * [(False, True)])
]


def sgd_update(functions: Any, lists: Lists, options: tuple[Any, ...]) -> None:
    functions.sgd_update(lists[0], lists[1], lists[2] if options[1] else [], *options)


def adam_update(functions: Any, lists: Lists, options: tuple[Any, ...]) -> None:
    steps = [1.0 + i for i in range(len(lists[0]))]
    functions.adam_update(*lists[:4], lists[4] if options[5] else [], steps, *options)


def rmsprop_update(functions: Any, lists: Lists, options: tuple[Any, ...]) -> None:
    averages = [] if not options[5] else lists[3]
    functions.rmsprop_update(*lists[:3], averages, lists[4] if options[4] else [], *options)


CASES = (
    [(sgd_update, 3, o) for o in SGD] + [(adam_update, 5, o) for o in ADAM] + [(rmsprop_update, 5, o) for o in RMSPROP]
)
SOME = [CASES[len(SGD) - 1], CASES[len(SGD) + len(ADAM) - 4], CASES[-2]]


def prepared(update: Any, lists: Lists) -> Lists:
    if update is rmsprop_update:  # the mean of squares is at least the square of the mean
        for v, a in zip(lists[2], lists[3]):
            v += 1 + a * a
    return lists


def compare(update: Callable[..., None], lists: Lists, options: tuple[Any, ...]) -> None:
    expected = [[a.copy(order="K") for a in arrays] for arrays in lists]
    places = [[a.ctypes.data for a in arrays] for arrays in lists]
    update(cpu, lists, options)
    update(definition, expected, options)
    assert places == [[a.ctypes.data for a in arrays] for arrays in lists]
    for found, wanted in zip(lists, expected):
        for a, e in zip(found, wanted):
            # Ten roundings; the rest is for differences of numbers that are nearly the same.
            near = 10 * np.finfo(a.dtype).eps
            np.testing.assert_allclose(a, e, rtol=near, atol=near)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("update", "count", "options"), CASES)
def test_every_option(update: Any, count: int, options: Any, dtype: Any) -> None:
    compare(update, prepared(update, make(dtype, count)), options)


@pytest.mark.parametrize(("update", "count", "options"), SOME)
def test_every_length(update: Any, count: int, options: Any) -> None:
    compare(update, prepared(update, make(np.float32, count, [(n,) for n in range(70)])), options)
    compare(update, prepared(update, make(np.float32, count, [(30_001,), (5,), (20_003,)])), options)
    compare(update, make(np.float32, count, []), options)


@pytest.mark.parametrize(("update", "count", "options"), SOME)
def test_arrays_that_are_not_contiguous_and_of_several_types(update: Any, count: int, options: Any) -> None:
    for strange in range(count):
        lists = prepared(update, make(np.float32, count, [(6, 10), (4, 4), (3, 5)]))
        whole = lists[strange][0]
        lists[strange][0] = np.repeat(whole, 2, axis=1)[:, ::2]
        lists[strange][1] = np.asfortranarray(lists[strange][1])
        for arrays in lists:
            arrays.append(arrays[2].astype(np.float64))
        compare(update, lists, options)


@pytest.mark.parametrize(("update", "count", "options"), SOME)
def test_special_values(update: Any, count: int, options: Any) -> None:
    for place in range(count):
        lists = prepared(update, make(np.float32, count, [(37,), (20,)]))
        for i, value in enumerate((np.nan, np.inf, -np.inf, 0.0, -0.0, 1e38, 1e-45)):
            lists[place][0][5 * i] = value
        compare(update, lists, options)


def test_the_variance_of_a_number_that_does_not_change_is_0() -> None:
    a = np.random.default_rng(0).uniform(0.1, 10, 1000).astype(np.float32)
    parameters, v = [np.zeros(1000, np.float32)], [a * a]
    cpu.rmsprop_update(parameters, [a], v, [a.copy()], [], 1.0, 1.0, 1e-8, 0, 0, True, False)
    np.testing.assert_array_equal(v, [a * a])
    np.testing.assert_array_equal(parameters[0], -a / np.float32(1e-8))


def test_parameters_that_share_memory_are_updated_one_after_the_other() -> None:
    shared = np.ones(50_000, np.float32)
    parameters = [shared, shared[: shared.size // 2], shared]
    gradients = [np.full(p.shape, 0.5, np.float32) for p in parameters]
    cpu.sgd_update(parameters, gradients, [], 1.0, 0, 0, 0, False, False)
    np.testing.assert_array_equal(shared, [-0.5] * 25_000 + [0.0] * 25_000)


@pytest.mark.parametrize(("update", "count", "options"), SOME)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_no_bit(update: Any, count: int, options: Any, threads: int, thread_count: Any) -> None:
    def results() -> Lists:
        lists = prepared(update, make(np.float32, count, [(30_001,), (5,), (20_003,)]))
        update(cpu, lists, options)
        return lists

    before = results()
    thread_count(threads)
    for a, b in zip(before, results()):
        for found, wanted in zip(a, b):
            np.testing.assert_array_equal(found, wanted)

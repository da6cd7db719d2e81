"""The case lists are complete: read from the signatures of the public operations, not from a list by hand."""

import inspect
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn.functional as F
from tests.cases import SPECIAL, Case, Given, all_cases

OPERATIONS: dict[str, Callable[..., Any]] = {
    name: function for name, function in vars(F).items() if inspect.isfunction(function) and not name.startswith("_")
}
WINDOWS = ("conv2d", "conv_transpose2d", "max_pool2d", "avg_pool2d")


def cases(name: str) -> list[Case]:
    return [c for c in all_cases() if c.op == name]


def changed(item: Case) -> set[str]:
    """Return the parameters with a default to which a case gives another value."""
    signature = inspect.signature(OPERATIONS[item.op])
    given = signature.bind(*item.args, **item.kwargs).arguments
    return {
        name
        for name, value in given.items()
        if signature.parameters[name].default is not inspect.Parameter.empty
        and (isinstance(value, Given) or repr(value) != repr(signature.parameters[name].default))
    }


def options(name: str) -> list[str]:
    parameters = inspect.signature(OPERATIONS[name]).parameters.values()
    return [p.name for p in parameters if p.default is not inspect.Parameter.empty]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_and_every_option_has_a_case(name):
    assert cases(name), f"{name} has no case"
    assert not set(options(name)) - set().union(*map(changed, cases(name)))


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_pair_of_options_has_a_case(name):
    together = [changed(c) for c in cases(name)]
    missing = [
        pair
        for pair in itertools.combinations(options(name), 2)
        if pair not in EXCLUSIVE.get(name, ()) and not any(set(pair) <= both for both in together)
    ]
    assert not missing


EXCLUSIVE: dict[str, tuple[tuple[str, str], ...]] = {
    "var": (("unbiased", "correction"),),
    "std": (("unbiased", "correction"),),
}
"""Pairs of options of an operation of which one has no meaning beside the other."""


@pytest.mark.parametrize("item", [c for c in all_cases() if c.arrays], ids=str)
def test_shapes_are_never_square(item):
    shape = item.arrays[0].shape
    if len(shape) > 1 and shape[-1] > 1:
        assert shape[-1] != shape[-2]


@pytest.mark.parametrize("family", ["elementwise", "activation"])
def test_elementwise_operations_have_zeros_infinities_and_nan(family):
    names = [n for n, f in OPERATIONS.items() if f.__module__ == f"minicnn.ops.{family}"]
    rng = np.random.default_rng(0)
    for name in names:
        values = [a.build(rng, np.float64).ravel() for c in cases(name) for a in c.arrays]
        assert any(np.array_equal(v, SPECIAL, equal_nan=True) for v in values), name


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_have_their_exact_cases(name):
    found = [
        (c.arrays[0].shape, inspect.signature(OPERATIONS[name]).bind(*c.args, **c.kwargs).arguments)
        for c in cases(name)
    ]

    def largest(value: Any) -> int:
        return max(value) if isinstance(value, tuple) else value

    def kernel(arguments: dict[str, Any]) -> int:
        return largest(arguments["kernel_size"] if "kernel_size" in arguments else arguments["weight"].shape[2:])

    primes = {2, 3, 5, 7, 11, 13}
    assert any(shape[2:] == (1, 1) for shape, _ in found), "1 × 1"
    assert any(set(shape[2:]) <= primes for shape, _ in found), "prime sizes"
    assert any(shape[1] == 1 for shape, _ in found), "one channel"
    strides = [(largest(a.get("stride") or 1), kernel(a)) for _, a in found]
    assert any(stride > size for stride, size in strides), "stride larger than the kernel"
    if name.startswith("conv"):
        assert any(a.get("groups", 1) == shape[1] > 1 for shape, a in found), "groups = channels"

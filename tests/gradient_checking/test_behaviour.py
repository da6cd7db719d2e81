"""What goes wrong besides numbers: errors, changes in place, randomness, state, types; and what the report says."""

import json
from typing import Any

import matplotlib
import numpy as np
import pytest

import minicnn as mc
from minicnn.errors import ShapeError
from minicnn.gradient_checking import Report
from minicnn.testing import assert_gradients

matplotlib.use("Agg")
X = np.random.default_rng(0).standard_normal((4, 5))


def check(forward: Any, backward: Any, *inputs: Any) -> Report:
    return mc.gradcheck(forward, inputs or (X,), backward=backward)


def square(x: Any) -> Any:
    return x * x, x


def raising(*_: Any) -> Any:
    raise IndexError("no such place")


@pytest.mark.parametrize(
    ("forward", "backward", "kind", "text"),
    [
        (raising, None, "error", "the function raised IndexError: no such place"),
        (square, raising, "error", "backward raised IndexError: no such place"),
        (lambda x: None, raising, "error", "the function returned None"),
        (square, lambda d, x: None, "cut graph", "no gradient arrives"),
        (square, lambda d, x: "dx", "wrong type", "the gradient is a str, needs an array"),
        (square, lambda d, x: (2 * x * d, x), "wrong number of gradients", "backward returned 2 gradients"),
        (square, lambda d, x: (2 * x * d).T, "transposed", "transposed it is right"),
        (square, lambda d, x: (2 * x * d)[:3], "wrong shape", "shape (3, 5) instead of (4, 5)"),
        (square, lambda d, x: (2 * x * d).astype(np.int64), "integer division", "whole numbers"),
        (square, lambda d, x: 2 * x * d + 1j, "wrong type", "complex128"),
        (square, lambda d, x: np.where(x == x[1, 2], np.nan, 2 * x * d), "NaN/Inf", "the gradient is nan at [1, 2]"),
        (lambda x: (np.log(x), x), lambda d, x: d / x, "NaN/Inf", "the function itself gives nan at output [0, 0]"),
        (lambda x: (x.astype(complex), x), lambda d, x: d, "wrong type", "the function returned complex128"),
        (lambda x: exit(3), raising, "error", "SystemExit"),
    ],
)
def test_never_raises_but_says_so(forward: Any, backward: Any, kind: str, text: str) -> None:
    positive_start = X.copy()
    positive_start[0, 0] = -1
    report = check(forward, backward or raising, positive_start)
    assert not report
    assert report.diagnosis[0].kind == kind
    assert text in str(report)


def test_changes_in_place_are_named() -> None:
    def forward(x: Any) -> Any:
        x[x < 0] = 0
        return x.copy(), x

    report = check(forward, lambda d, x: d * (x > 0))
    assert report.diagnosis[0].kind == "in-place change"
    assert "the function changes its input x in place" in str(report)

    def backward(dout: Any, x: Any) -> Any:
        dout *= 2 * x
        return dout

    report = check(square, backward)
    assert report.diagnosis[0].kind == "in-place change"
    assert "backward changes dout in place" in str(report)


def test_random_and_stateful_functions_are_named() -> None:
    fresh = lambda x: (x * (mask := np.random.default_rng().random(x.shape) < 0.5), mask)
    report = check(fresh, lambda d, mask: d * mask)
    assert report.diagnosis[0].kind == "not deterministic"
    calls = [0]

    def counting(x: Any) -> Any:
        calls[0] += 1
        return x * calls[0], calls[0]

    report = check(counting, lambda d, n: d * n)
    assert report.diagnosis[0].kind == "depends on the call count"

    def late(x: Any) -> Any:
        calls[0] += 1
        return (x, 1) if calls[0] % 1000 < 60 else (2 * x, 2)

    calls[0] = 0
    assert not check(late, lambda d, n: d * n)

    def dropped(x: Any) -> Any:
        mask = np.random.rand(*x.shape) < 0.5  # noqa: NPY002 - what students use
        return x * mask, mask

    assert check(dropped, lambda d, mask: d * mask)
    again = check(dropped, lambda d, mask: d * (np.random.rand(*mask.shape) < 0.5))  # noqa: NPY002 - what students use
    assert again.diagnosis[0].kind == "not deterministic"
    assert "backward draws random numbers" in str(again)


def test_a_dictionary_of_running_values_is_fine() -> None:
    def forward(x: Any, state: Any) -> Any:
        state["mean"] = 0.9 * state.get("mean", 0) + 0.1 * x.mean(0)
        return x - x.mean(0), None

    state: dict[str, Any] = {}
    assert check(forward, lambda d, cache: d - d.mean(0), X, state)
    assert state == {}


@pytest.mark.parametrize("scale", [1e-20, 1e-8, 1e6, 1e20])
def test_large_and_tiny_scales(scale: float) -> None:
    assert check(lambda x: (x * x / scale, x), lambda d, x: 2 * d * x / scale, X * scale)
    assert not check(lambda x: (x * x / scale, x), lambda d, x: 2.0001 * d * x / scale, X * scale)


def test_one_small_mistake_among_many_elements() -> None:
    x = np.random.default_rng(1).standard_normal((50, 60))

    def backward(dout: Any, x: Any) -> Any:
        dx = 2 * x * dout
        dx[31, 17] *= 1 + 1e-5
        return dx

    for mode in ("auto", "directional", "full"):
        report = mc.gradcheck(square, [x], backward=backward, mode=mode)
        assert [e.index for e in report.worst(3)] == [(31, 17)], mode


def test_ill_conditioned_but_right() -> None:
    def forward(x: Any) -> Any:
        hat = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
        return hat, (hat, x.var(0))

    def backward(dout: Any, cache: Any) -> Any:
        hat, var = cache
        return (dout - dout.mean(0) - hat * (dout * hat).mean(0)) / np.sqrt(var + 1e-5)

    for offset in (0, 1e3, 1e6):
        report = check(forward, backward, X + offset)
        assert report, str(report)


def test_a_budget_ends_the_search() -> None:
    report = mc.gradcheck(square, [X], backward=lambda d, x: 2 * x * d, budget=0.0)
    assert isinstance(report, Report)


def test_report_in_all_its_forms() -> None:
    report = check(square, lambda d, x: x * d)
    assert not report
    assert report.passed is False
    worst = report.worst(2)
    assert len(worst) == 2
    assert worst[0].badness >= worst[1].badness
    assert worst[0].analytic == pytest.approx(worst[0].numeric / 2)
    assert worst[0].relative == pytest.approx(0.5)
    read = json.loads(report.to_json())
    assert read["passed"] is False
    assert read["gradients"][0]["wrong_elements"] == 20
    assert read["diagnosis"][0]["kind"] == "constant factor"
    assert "every element is 0.5 times the right one: a factor 1/2" in str(report)
    assert "@" in report.heat_map()
    assert len(report.plot().axes) == 6
    assert json.loads(check(square, lambda d, x: 2 * x * d).to_json())["passed"] is True


def test_assert_gradients_teaches_in_few_lines() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_gradients(square, [X], backward=lambda d, x: x * d)
    text = str(caught.value)
    assert text.startswith("gradients are WRONG\n  x (4, 5): WRONG, 20 of 20 elements")
    assert "cause: x: every element is 0.5 times the right one" in text
    assert len(text.splitlines()) <= 12
    assert_gradients(square, [X], backward=lambda d, x: 2 * x * d)


def test_jumps_of_a_rounded_function_are_not_taken_for_its_derivative() -> None:
    rounded = lambda x: ((x + 1e3) - 1e3, None)  # moves in jumps of 1e-13
    for scale in (1e-4, 1e-6, 1e-9):
        assert check(rounded, lambda d, c: d, scale * X)
    assert not check(rounded, lambda d, c: 1.5 * d, 1e-6 * X)


def test_a_failing_search_for_a_cause_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(evidence: Any) -> Any:
        raise ZeroDivisionError("no cause")

    monkeypatch.setattr("minicnn.gradient_checking.diagnose.CAUSES", (broken,))
    report = check(square, lambda d, x: d * x)
    assert not report
    assert "one cause could not be looked for: ZeroDivisionError: no cause" in "".join(report.notes)


@pytest.mark.parametrize("mode", ["auto", "full", "stratified", "directional"])
def test_a_budget_that_is_over_lets_nothing_pass_unseen(mode: str) -> None:
    x = np.random.default_rng(0).standard_normal((6, 7))
    square = (lambda x: (x * x, x), lambda dout, x: 2 * dout * x)
    report = mc.gradcheck(square[0], (x,), backward=square[1], mode=mode, budget=1e-9)
    assert report, str(report)
    if mode in ("full", "stratified"):
        assert "the budget ended" in report.gradients[0].how
    assert not mc.gradcheck(square[0], (x,), backward=lambda dout, x: 3 * dout * x, mode=mode, budget=1e-9)
    one_wrong = np.where(np.arange(42).reshape(6, 7) == 40, 2.001, 2.0)
    assert not mc.gradcheck(square[0], (x,), backward=lambda dout, x: one_wrong * dout * x, mode=mode, budget=1e-9)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"rtol": np.nan}, "gradcheck: rtol is nan, needs a number in [0, inf]"),
        ({"rtol": -1e-3}, "gradcheck: rtol is -0.001, needs a number in [0, inf]"),
        ({"atol": -1.0}, "gradcheck: atol is -1.0, needs a number in [0, inf]"),
        ({"seed": -1}, "gradcheck: seed is -1, needs at least 0"),
        ({"budget": -1.0}, "gradcheck: budget is -1.0, needs a number in [0, inf]"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ShapeError) as caught:
        mc.gradcheck(lambda x: x * 2.0, [mc.randn(3)], **options)
    assert str(caught.value) == text

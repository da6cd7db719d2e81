"""For tests: assertions about gradients."""

from __future__ import annotations

from typing import Any

from .gradient_checking import gradcheck


def assert_gradients(function: Any, inputs: Any, **options: Any) -> None:
    """Raise an AssertionError that says what is wrong unless the gradients agree with central differences.

    Takes what `mc.gradcheck` takes.
    """
    report = gradcheck(function, inputs, **options)
    assert report, report.summary()

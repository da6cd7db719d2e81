import numpy as np
import pytest

import minicnn as mc
from minicnn.errors import DTypeError, GradientError


def test_each_operation_and_leaf_stands_once_and_each_use_is_an_arrow():
    a = mc.tensor(np.ones((2, 3)), requires_grad=True)
    b = a * a
    y = (b + b).sum()
    text = mc.draw_graph(y, {"weight": a})
    for label in ("Sum", "Add", "Mul", "weight 2 × 3"):
        assert text.count(f'label="{label}"') == 1
    assert text.count("->") == 1 + 1 + 2 + 2  # Sum → result, Add → Sum, Mul twice → Add, a twice → Mul
    assert text.startswith("digraph tape {")


def test_a_deep_tape_is_drawn_without_recursion():
    y = mc.tensor([1.0], requires_grad=True)
    for _ in range(3000):
        y = -y
    assert mc.draw_graph(y).count('label="Neg"') == 3000


def test_what_cannot_be_drawn_is_said():
    a = mc.tensor([1.0], requires_grad=True)
    with pytest.raises(GradientError, match="was not computed by recorded operations"):
        mc.draw_graph(a)
    with pytest.raises(DTypeError, match="needs a Tensor, got list"):
        mc.draw_graph([a])
    y = a * 2
    y.backward()
    with pytest.raises(GradientError, match="backward has freed this tape"):
        mc.draw_graph(y)

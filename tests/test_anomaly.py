import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn import _watch, nn
from minicnn.errors import NumericsError


@pytest.fixture(autouse=True)
def _off():
    with mc.use_device("reference"):
        yield
    assert not _watch.watchers
    assert not _watch.modules


def message(call) -> str:
    with pytest.raises(NumericsError) as caught, mc.detect_anomaly():
        call()
    return str(caught.value)


def here(function, offset: int) -> str:
    return f"line {function.__code__.co_firstlineno + offset} of test_anomaly.py"


def test_the_first_operation_that_gives_a_nan_is_named_with_its_line():
    x = mc.tensor([[1.0, -1.0], [0.0, 4.0]])

    def call():
        y = F.sqrt(x)
        return y * 2

    text = message(call)
    assert text == f"Sqrt: forward gave nan at index (0, 1), {here(call, 1)}; what it was given was finite"


def test_operators_methods_and_infinities_count_too():
    x = mc.tensor([1.0, 0.0])

    def divided():
        return 1 / x

    assert message(divided) == f"Div: forward gave inf at index (1,), {here(divided, 1)}; what it was given was finite"

    def method():
        return x.log()

    assert message(method) == f"Log: forward gave -inf at index (1,), {here(method, 1)}; what it was given was finite"


def test_what_came_in_with_a_nan_is_named_by_its_place():
    x, y = mc.tensor([1.0, 2.0]), mc.tensor([3.0, np.nan])
    assert message(lambda: x + y).endswith("; its argument 2, of shape (2,), has such a number already")
    scalar = mc.tensor(np.nan)
    assert message(lambda: x + scalar).endswith("; its argument 2, of shape (), has such a number already")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.inner = nn.Sequential(nn.ReLU(), nn.Linear(3, 1))

    def forward(self, x):
        return F.log(-(self.inner(self.first(x)) ** 2))


def test_the_layer_is_named_from_the_outermost_module():
    net = Net()
    x = mc.tensor([[1.0, 2.0]])
    number = Net.forward.__code__.co_firstlineno + 1
    text = message(lambda: net(x))
    assert text.startswith(f"Log: forward gave nan at index (0, 0) in layer Net, line {number} of test_anomaly.py")
    with mc.no_grad():
        net.inner[1].weight.fill_(np.inf)
    text = message(lambda: net(x))
    assert "in layer inner.1 (Linear)" in text
    assert text.endswith("its parameter inner.1.weight has such a number already")


def test_backward_names_the_place_of_the_forward_pass():
    x = mc.tensor([4.0, 0.0], requires_grad=True)

    def call():
        y = F.sqrt(x)
        y.sum().backward()

    assert message(call) == (f"Sqrt: backward gave inf at index (1,), {here(call, 1)}; what it was given was finite")


def test_a_gradient_that_comes_in_with_a_nan_is_named():
    x = mc.tensor([4.0, 1.0], requires_grad=True)
    gradient = mc.tensor([np.nan, 1.0])
    assert message(lambda: F.exp(x).backward(gradient)).endswith(
        "its argument 1, of shape (2,), has such a number already"
    )


def test_a_forward_pass_that_was_not_watched_is_watched_backward():
    x = mc.tensor([4.0, 0.0], requires_grad=True)
    y = F.sqrt(x).sum()
    assert message(y.backward).startswith("Sqrt: backward gave inf at index (1,), called before detect_anomaly")


@pytest.mark.parametrize(
    ("operation", "write"),
    [
        (lambda x: x * x, lambda x, y: x.data.__setitem__(0, 7.0)),
        (lambda x: x * x, lambda x, y: x.numpy().fill(2.0)),
        (lambda x: F.exp(x), lambda x, y: y.data.__imul__(2.0)),
    ],
    ids=["input through data", "input through numpy", "output through data"],
)
def test_a_saved_array_that_was_changed_behind_the_tape_is_found(operation, write):
    x = mc.tensor([1.0, 2.0], requires_grad=True)

    def call():
        y = operation(x)
        write(x, y)
        y.sum().backward()

    text = message(call)
    assert ": an array that it saved for backward was changed after the forward pass, line " in text
    assert text.endswith(" of test_anomaly.py; write into a copy, or after backward")


def test_a_change_after_backward_is_nobodys_business():
    x = mc.tensor([1.0, 2.0], requires_grad=True)
    with mc.detect_anomaly():
        y = x * x
        y.sum().backward()
        x.data[0] = 7.0
        (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [16.0, 8.0])


def test_results_are_the_same_under_watch():
    def step() -> tuple[np.ndarray, np.ndarray]:
        mc.manual_seed(3)
        net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.5))
        y = net(mc.randn(2, 1, 7, 9))
        (y * y).sum().backward()
        return y.numpy(), net[0].weight.grad.numpy()

    plain = step()
    with mc.detect_anomaly():
        watched = step()
    for a, b in zip(plain, watched):
        np.testing.assert_array_equal(a, b)


def test_it_is_a_switch_too():
    x = mc.tensor([0.0])
    mc.detect_anomaly()
    try:
        with pytest.raises(NumericsError, match="Log: forward gave -inf"):
            F.log(x)
        with mc.detect_anomaly(False):
            F.log(x)
        with pytest.raises(NumericsError, match="Log: forward gave -inf"):
            F.log(x)
    finally:
        mc.detect_anomaly(False)
    F.log(x)


def test_a_block_in_a_block_ends_where_it_ends():
    x = mc.tensor([0.0])
    with mc.detect_anomaly():
        with mc.detect_anomaly():
            pass
        with pytest.raises(NumericsError, match="Log: forward gave -inf"):
            F.log(x)
    F.log(x)


def test_integers_have_no_nan():
    with mc.detect_anomaly():
        assert (mc.tensor([1, 2]) + mc.tensor([3, 4])).tolist() == [4, 6]
        values, indices = F.max(mc.tensor([[1.0, 3.0, 2.0]]), 1)
    assert (values.item(), indices.item()) == (3.0, 1)

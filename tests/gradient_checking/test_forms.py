"""The forms of what is checked: functions of tensors, modules, NumPy pairs; layouts, types and memory."""

from typing import Any

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn import nn
from minicnn.errors import ShapeError
from minicnn.ops.conv import conv2d_backward, conv2d_forward
from minicnn.testing import assert_gradients

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 6, 5))
W = RNG.standard_normal((4, 3, 3, 3))
B = RNG.standard_normal(4)
STEPS = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)  # stride, padding, dilation, groups


def test_function_of_tensors(device: str) -> None:
    report = mc.gradcheck(lambda x, w: F.conv2d(x, w, padding=1), (mc.tensor(X), mc.tensor(W)))
    assert report
    assert [g.name for g in report.gradients] == ["x", "w"]


def test_the_definition_itself_is_in_the_course_form() -> None:
    assert mc.gradcheck(conv2d_forward, (X, W, B, *STEPS), backward=conv2d_backward)
    assert mc.gradcheck(conv2d_forward, (X, W, None, *STEPS), backward=conv2d_backward)


def test_plain_form() -> None:
    product = lambda a, b: a @ b
    given = (RNG.standard_normal((3, 4)), RNG.standard_normal((4, 2)))
    assert mc.gradcheck(product, given, backward=lambda dout, a, b: (dout @ b.T, a.T @ dout))
    assert not mc.gradcheck(product, given, backward=lambda dout, a, b: (dout @ b.T, b.T @ dout.T))


def test_two_outputs_of_a_plain_pair() -> None:
    both = lambda a, b: (a * b, a + b)
    report = mc.gradcheck(both, (X, X + 1), backward=lambda dout, a, b: (dout[0] * b + dout[1], dout[0] * a + dout[1]))
    assert report, str(report)


def test_module_with_parameters_and_running_statistics() -> None:
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(48, 3)]
    net = nn.Sequential(*layers)
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    labels = mc.tensor([0, 2])
    report = mc.gradcheck(lambda x: F.cross_entropy(net(x), labels), [mc.tensor(X.astype(np.float32))])
    assert report, str(report)
    assert "0.weight" in [g.name for g in report.gradients]
    assert any("running_mean" in note for note in report.notes)
    for key, value in net.state_dict().items():
        assert value.dtype == before[key].dtype
        np.testing.assert_array_equal(value.numpy(), before[key])


def test_a_wrong_parameter_of_a_module_is_named() -> None:
    class Doubled(mc.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, w: Any) -> Any:
            ctx.save(x, w)
            return x * w

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            x, w = ctx.saved
            return dy * w, 2 * (dy * x).sum(0)

    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = nn.Parameter(mc.tensor([1.0, 2.0, 3.0]))

        def forward(self, x: mc.Tensor) -> mc.Tensor:
            return Doubled.apply(x, self.factor)

    report = mc.gradcheck(Scale(), [mc.tensor(RNG.standard_normal((4, 3)).astype(np.float32))])
    assert [(g.name, g.passed) for g in report.gradients] == [("x", True), ("factor", False)]
    assert report.diagnosis[0].kind == "constant factor"


@pytest.mark.parametrize("layout", ["channels-last", "reversed", "gaps", "fortran"])
def test_layouts_reach_the_function(layout: str) -> None:
    wide = np.zeros((2, 3, 6, 11))
    arrays = {
        "channels-last": np.ascontiguousarray(X.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
        "reversed": X[:, :, ::-1, ::-1],
        "gaps": wide[..., 1::2],
        "fortran": np.asfortranarray(X),
    }
    wide[..., 1::2] = X
    given = arrays[layout]
    seen = set()

    def forward(x: Any) -> Any:
        seen.add(x.strides)
        return np.sin(x), x

    assert mc.gradcheck(forward, [given], backward=lambda dout, x: dout * np.cos(x))
    assert seen == {given.strides}


def test_float32_is_checked_in_float64_and_in_its_own_type() -> None:
    seen = set()

    def forward(x: Any) -> Any:
        seen.add(x.dtype.name)
        return np.tanh(x), np.tanh(x)

    x = X.astype(np.float32)
    assert mc.gradcheck(forward, [x], backward=lambda dout, y: dout * (1 - y * y))
    assert seen == {"float32", "float64"}
    broken = lambda dout, y: dout * (1 - y * y) * (1.5 if y.dtype == np.float32 else 1)
    report = mc.gradcheck(forward, [x], backward=broken)
    assert not report
    assert "in float32 the gradient is off" in str(report)


def test_empty_arrays_integers_and_values_without_influence(device: str) -> None:
    assert_gradients(lambda x: F.exp(x), [mc.tensor(np.zeros((0, 3)))])
    assert_gradients(lambda x, i: x[i], [mc.tensor(X), mc.tensor([1, 0, 1])])
    assert_gradients(lambda x, y: F.exp(x), [mc.tensor(X), mc.tensor(W)])
    assert_gradients(lambda x: F.max(x, 1), [mc.tensor(X)])


def test_wrt_leaves_the_rest_alone() -> None:
    wrong_in_second = lambda dout, a, b: (dout * b, dout)
    given = (X, X + 1)
    assert mc.gradcheck(np.multiply, given, backward=wrong_in_second, wrt=[0])
    assert not mc.gradcheck(np.multiply, given, backward=wrong_in_second, wrt=[1])
    assert mc.gradcheck(lambda a, b: a * b, given, backward=wrong_in_second, wrt="a")
    with pytest.raises(ShapeError, match="gradcheck: wrt has 'c'"):
        mc.gradcheck(lambda a, b: a * b, given, backward=wrong_in_second, wrt="c")


def test_unknown_mode_is_refused() -> None:
    with pytest.raises(ShapeError, match="gradcheck: mode is 'quick', needs one of auto, full"):
        mc.gradcheck(np.sin, [X], backward=lambda d, x: d * np.cos(x), mode="quick")


def test_the_callers_arrays_and_generators_stay() -> None:
    x, state = X.copy(), np.random.get_state()  # noqa: NPY002 - what students use
    generator = np.random.default_rng(1)
    before = generator.bit_generator.state

    def forward(x: Any) -> Any:
        mask = generator.random(x.shape) < 0.5 + 0 * np.random.rand()  # noqa: NPY002 - what students use
        return x * mask, mask

    assert mc.gradcheck(forward, [x], backward=lambda dout, mask: dout * mask)
    np.testing.assert_array_equal(x, X)
    assert generator.bit_generator.state == before
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])  # noqa: NPY002 - what students use


def affine(x: Any, w: Any, b: Any, note: str = "", scale: int = 1) -> Any:
    return scale * (x @ w) + b, {"x": x, "w": w, "scale": scale}


PLANE, WEIGHTS, BIAS = RNG.standard_normal((4, 5)), RNG.standard_normal((5, 3)), RNG.standard_normal(3)


@pytest.mark.parametrize("form", ["{}", "d{}", "d_{}", "grad_{}", "{}_grad", "D{}"])
def test_gradients_in_a_dictionary(form: str) -> None:
    def backward(dout: Any, cache: Any, wrong: float = 1.0) -> Any:
        dx, dw = cache["scale"] * dout @ cache["w"].T, wrong * cache["scale"] * cache["x"].T @ dout
        return {form.format("b"): dout.sum(0), form.format("w"): dw, form.format("x"): dx}

    given = (PLANE, WEIGHTS, BIAS, "a note", 3)
    assert mc.gradcheck(affine, given, backward=backward)
    report = mc.gradcheck(affine, given, backward=lambda dout, cache: backward(dout, cache, 2.0))
    assert [(g.name, g.passed) for g in report.gradients] == [("x", True), ("w", False), ("b", True)]


def test_lists_of_arrays() -> None:
    join = lambda xs, times: (times * np.concatenate(xs, 1), ([x.shape[1] for x in xs], times))
    split = lambda dout, c: np.split(c[1] * dout, np.cumsum(c[0])[:-1], 1)
    report = mc.gradcheck(join, ([PLANE, PLANE[:, :2]], 2), backward=split)
    assert report, str(report)
    assert [g.name for g in report.gradients] == ["xs[0]", "xs[1]"]
    assert not mc.gradcheck(join, ([PLANE, PLANE], 2), backward=lambda dout, c: split(dout, c)[::-1])
    report = mc.gradcheck(lambda xs: F.cat(xs, 1), ([mc.tensor(PLANE), mc.tensor(PLANE)],))
    assert [(g.name, g.passed) for g in report.gradients] == [("xs[0]", True), ("xs[1]", True)]


def test_douts_one_by_one_and_a_cache_beside_two_outputs() -> None:
    two = lambda x, y: (x * y, x + y)
    given = (PLANE, PLANE + 1)
    assert mc.gradcheck(two, given, backward=lambda d, e, x, y: (d * y + e, d * x + e))
    assert not mc.gradcheck(two, given, backward=lambda d, e, x, y: (d * y, d * x + e))
    cached = lambda x, y: ((x * y, x + y), (x, y))
    assert mc.gradcheck(cached, given, backward=lambda d, c: (d[0] * c[1] + d[1], d[0] * c[0] + d[1]))


def test_an_object_that_keeps_its_cache() -> None:
    class Layer:
        factor = 1.0

        def forward(self, x: Any, w: Any) -> Any:
            self.x, self.w = x, w
            return x @ w

        def backward(self, dout: Any) -> Any:
            return dout @ self.w.T, self.factor * self.x.T @ dout

    layer = Layer()
    assert mc.gradcheck(layer.forward, (PLANE, WEIGHTS), backward=layer.backward)
    layer.factor = 0.5
    report = mc.gradcheck(layer.forward, (PLANE, WEIGHTS), backward=layer.backward)
    assert report.diagnosis[0].kind == "constant factor"


def test_a_loss_need_not_give_gradients_of_labels() -> None:
    marks, p = np.eye(4)[[0, 2, 1, 3, 0]], RNG.dirichlet(np.ones(4), 5)
    loss = lambda p, t: (-(t * np.log(p)).sum(), (p, t))
    for backward in (lambda d, c: -d * c[1] / c[0], lambda d, c: (-d * c[1] / c[0], None)):
        report = mc.gradcheck(loss, (p, marks), backward=backward)
        assert report, str(report)
        assert "t has no gradient and looks like labels" in "".join(report.notes)
        assert not mc.gradcheck(loss, (p, marks), backward=backward, wrt="t")
    assert not mc.gradcheck(loss, (p, p + 0.1), backward=lambda d, c: -d * c[1] / c[0])


def test_what_a_function_of_tensors_may_return() -> None:
    given = [mc.tensor(PLANE)]
    assert mc.gradcheck(lambda x: {"twice": x * 2.0, "sum": F.sum(x)}, given)
    report = mc.gradcheck(lambda x: None, given)
    assert not report
    assert "the function returned None" in str(report)
    report = mc.gradcheck(lambda i: i, [mc.tensor([1, 2])])
    assert not report
    assert "there was no gradient to check" in str(report)


def test_a_function_class_itself() -> None:
    class Cube(mc.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save(x)
            return x**3

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return 3 * dy * ctx.saved**2

    assert mc.gradcheck(Cube, [mc.tensor(PLANE)])

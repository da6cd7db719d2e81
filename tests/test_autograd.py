"""The tape: order, accumulation, memory, and what it says when it cannot go on."""

import gc
import weakref
from typing import ClassVar

import numpy as np
import pytest
import torch

import minicnn as mc
import minicnn.functional as F
from minicnn.errors import DeviceError, DTypeError, GradientError, NumericsError, ShapeError


def leaf(*values: float) -> mc.Tensor:
    return mc.tensor(np.array(values), requires_grad=True)


class Counted(mc.Function):
    """y = 2x; counts its backward calls."""

    calls = 0

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, dy):
        Counted.calls += 1
        return 2 * dy


# Order and accumulation


def test_each_node_is_visited_once_and_only_with_its_whole_gradient():
    a = leaf(3.0)
    b = a + a
    c = b + b
    c.sum().backward()
    assert a.grad.tolist() == [4.0]


def test_64_chained_doublings_take_64_steps():
    Counted.calls = 0
    a = y = leaf(1.0)
    for _ in range(64):
        y = Counted.apply(y)
        y = (y + y) * 0.25
    y.backward()
    assert Counted.calls == 64
    assert a.grad.item() == 1.0


def test_a_chain_of_10000_operations_works():
    a = y = leaf(1.0)
    for _ in range(10_000):
        y = y + 1.0
    y.backward()
    assert a.grad.item() == 1.0
    del y  # nor may freeing it recurse
    b = z = leaf(1.0)
    for _ in range(10_000):
        z = -z
    del z, b


def test_a_diamond_of_unequal_arms():
    x, tx = leaf(0.5), torch.tensor([0.5], dtype=torch.float64, requires_grad=True)

    def f(x, exp):
        a = exp(x)
        b = a * x
        return (a * b + exp(b)) * a

    f(x, F.exp).backward()
    f(tx, torch.exp).backward()
    assert x.grad.item() == pytest.approx(tx.grad.item(), rel=1e-14)


def test_gradients_accumulate_over_backward_calls():
    a = leaf(1.0, 2.0)
    for _ in range(3):
        (a * a).sum().backward()
    assert a.grad.tolist() == [6.0, 12.0]


def test_broadcast_operands_get_the_sum():
    a, b = mc.tensor(np.ones((4, 1, 3)), requires_grad=True), mc.tensor(np.ones((2, 1)), requires_grad=True)
    (a * b).backward(mc.tensor(np.ones((4, 2, 3))))
    assert a.grad.shape == (4, 1, 3)
    assert b.grad.tolist() == [[12.0], [12.0]]


def test_leaves_do_not_share_their_gradients():
    a, b = leaf(1.0), leaf(1.0)
    seed = mc.tensor(np.array([1.0]))
    (a + b).backward(seed)
    a.grad.data[:] = 7
    assert b.grad.tolist() == [1.0]
    assert seed.tolist() == [1.0]


def test_a_function_that_returns_a_saved_array_keeps_it_from_the_leaf():
    class Dot(mc.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save(x, w)
            return (x * w).sum()

        @staticmethod
        def backward(ctx, dy):
            return ctx.saved[1], ctx.saved[0]

    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    Dot.apply(x, w).backward()
    w.grad.data[:] = 0
    assert x.tolist() == [1.0, 2.0]


# Function: the user's own operations


def test_several_outputs_none_gradients_and_other_arguments():
    class Split(mc.Function):
        @staticmethod
        def forward(ctx, x, at, note):
            ctx.at, ctx.note = at, note
            return x[:at].copy(), x[at:].copy(), np.arange(3)

        @staticmethod
        def backward(ctx, first, second, third):
            assert third is None  # integers have no gradient
            return np.concatenate([first, second]), None, None

    x = leaf(1.0, 2.0, 3.0)
    first, second, numbers = Split.apply(x, 1, "text")
    assert first.requires_grad
    assert not numbers.requires_grad
    (second * second).sum().backward()
    assert x.grad.tolist() == [0.0, 4.0, 6.0]


def test_trailing_nones_may_be_left_out_but_gradients_may_not():
    class Scale(mc.Function):
        @staticmethod
        def forward(ctx, x, k):
            ctx.k = k
            return x * k

        @staticmethod
        def backward(ctx, dy):
            return dy * (ctx.k if isinstance(ctx.k, float) else 1.0)

    x = leaf(1.0)
    Scale.apply(x, 3.0).backward()
    assert x.grad.item() == 3.0
    with pytest.raises(ShapeError, match="Scale: backward returned 1 gradients, forward has 2 arguments"):
        Scale.apply(x, leaf(2.0)).backward()


def test_a_gradient_of_another_shape_is_refused():
    class Wrong(mc.Function):
        @staticmethod
        def forward(ctx, x):
            return x.sum()

        @staticmethod
        def backward(ctx, dy):
            return dy

    with pytest.raises(ShapeError, match=r"Wrong: backward returned a gradient of shape \(\) for an input of \(2,\)"):
        Wrong.apply(leaf(1.0, 2.0)).backward()


@pytest.mark.parametrize("bad", [3, "text", [1.0]])
def test_a_gradient_that_is_no_array_is_refused(bad):
    class Wrong(mc.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, dy):
            return bad

    with pytest.raises(DTypeError, match="Wrong: backward must return arrays or None"):
        Wrong.apply(leaf(1.0, 2.0)).sum().backward()


def test_integer_gradients_are_refused_and_floats_come_in_the_inputs_type():
    class Typed(mc.Function):
        @staticmethod
        def forward(ctx, x, dtype):
            ctx.dtype = dtype
            return x * 1

        @staticmethod
        def backward(ctx, dy):
            return dy.astype(ctx.dtype)

    x = mc.tensor([1.0, 2.0], requires_grad=True)
    Typed.apply(x, np.float64).sum().backward()
    assert x.grad.dtype == mc.float32
    with pytest.raises(DTypeError, match="Typed: backward returned a gradient of type int64"):
        Typed.apply(x, np.int64).sum().backward()


def test_needs_input_grad_tells_who_wants_a_gradient():
    seen = []

    class Spy(mc.Function):
        @staticmethod
        def forward(ctx, x, w, k):
            seen.append(ctx.needs_input_grad)
            return x * w

        @staticmethod
        def backward(ctx, dy):
            return None, dy, None

    Spy.apply(mc.tensor([1.0]), mc.tensor([1.0], requires_grad=True), 5).backward()
    assert seen == [(False, True, False)]


def test_the_first_convolution_computes_no_input_gradient(monkeypatch, device):
    import minicnn.ops.conv as conv

    needs = []
    original = conv.Conv2d.backward
    monkeypatch.setattr(
        conv.Conv2d, "backward", staticmethod(lambda ctx, dy: needs.append(ctx.needs_input_grad) or original(ctx, dy))
    )
    rng = np.random.default_rng(0)
    x = mc.tensor(rng.standard_normal((1, 2, 6, 5)))
    w1, w2 = (mc.tensor(rng.standard_normal((2, 2, 3, 2)), requires_grad=True) for _ in range(2))
    F.conv2d(F.conv2d(x, w1), w2).sum().backward()
    assert [n[:2] for n in needs] == [(True, True), (False, True)]


def test_a_function_without_tensors_is_refused():
    with pytest.raises(DTypeError, match="Counted: at least one argument must be a Tensor"):
        Counted.apply(np.ones(2))


def test_devices_do_not_mix():
    with pytest.raises(DeviceError, match="Add: inputs are on different devices, cpu and reference"):
        mc.tensor([1.0], device="cpu") + mc.tensor([1.0], device="reference")


# no_grad, grad, hooks


def test_no_grad_records_nothing_and_comes_back_after_an_error():
    a = leaf(1.0)
    with mc.no_grad():
        b = a * 2
        with mc.enable_grad():
            c = a * 2
    assert (b.requires_grad, c.requires_grad, (a * 2).requires_grad) == (False, True, True)

    @mc.no_grad()
    def fails():
        assert not mc.is_grad_enabled()
        raise ValueError

    with pytest.raises(ValueError):
        fails()
    assert mc.is_grad_enabled()


def test_no_grad_belongs_to_its_thread():
    import threading

    seen = []
    with mc.no_grad():
        thread = threading.Thread(target=lambda: seen.append((leaf(1.0) * 2).requires_grad))
        thread.start()
        thread.join()
    assert seen == [True]


def test_grad_returns_and_touches_nothing():
    a, b = leaf(2.0), leaf(3.0)
    middle = a * b
    y = middle * middle
    da, dm = mc.grad(y, [a, middle])
    assert (da.item(), dm.item()) == (36.0, 12.0)
    assert a.grad is b.grad is None
    assert middle.grad is None


def test_grad_of_unused_inputs_and_second_order():
    a, b = leaf(2.0), leaf(3.0)
    with pytest.raises(GradientError, match=r"grad: the outputs do not depend on inputs\[1\]"):
        mc.grad(a * 2, [a, b])
    assert mc.grad(a * 2, [a, b], allow_unused=True)[1] is None
    with pytest.raises(GradientError, match="create_graph=True asks for gradients of gradients"):
        mc.grad(a * a, a, create_graph=True)
    with pytest.raises(GradientError, match=r"grad: inputs\[0\] does not require a gradient"):
        mc.grad(a * 2, mc.tensor([1.0]))


def test_hooks_see_the_whole_gradient_once_and_may_replace_it():
    a = leaf(1.0)
    seen = []
    b = a + a
    b.register_hook(lambda g: seen.append(g.item()))
    a.register_hook(lambda g: g * 10)
    c = b * b
    c.backward()
    assert seen == [4.0]
    assert a.grad.item() == 80.0


def test_a_removed_hook_is_silent_and_a_bad_one_refused():
    a = leaf(1.0)
    handle = a.register_hook(lambda g: g * 10)
    handle.remove()
    handle.remove()
    (a * 2).backward()
    assert a.grad.item() == 2.0
    a.register_hook(lambda g: mc.tensor([1.0, 2.0]))
    with pytest.raises(ShapeError, match=r"hook: returned a gradient of shape \(2,\), it got \(1,\)"):
        (a * 2).backward()


def test_retain_grad_keeps_the_gradient_of_a_computed_tensor():
    a = leaf(2.0)
    b, c = a * 3, a * 5
    b.retain_grad()
    (b * c).backward()
    assert b.grad.item() == 10.0
    assert c.grad is None


# What backward refuses


def test_a_second_backward_explains_itself():
    a = leaf(2.0)
    y = a * a
    y.backward()
    with pytest.raises(GradientError, match=r"what Mul saved was freed by an earlier backward pass.*retain_graph=True"):
        y.backward()
    z = a * a
    z.backward(retain_graph=True)
    z.backward()
    assert a.grad.item() == 12.0


def test_backward_on_a_non_scalar_and_off_the_tape():
    a = leaf(1.0, 2.0)
    with pytest.raises(GradientError, match=r"the tensor has shape \(2,\): reduce it, for instance with \.sum\(\)"):
        (a * 2).backward()
    with pytest.raises(GradientError, match="the tensor does not require a gradient"):
        mc.tensor([1.0]).backward()
    with pytest.raises(ShapeError, match=r"gradient has shape \(3,\), the tensor has \(2,\)"):
        (a * 2).backward(mc.tensor([1.0, 1.0, 1.0]))


def test_a_saved_array_that_the_library_changed_is_refused_and_named():
    a = leaf(1.0, 2.0)
    b = a * 2
    y = (b * b).sum()
    with mc.no_grad():
        b[0] = 5.0
    with pytest.raises(NumericsError, match=r"Mul: an array of shape \(2,\) .* changed in place by x\[i\] = value"):
        y.backward()


def test_the_counter_belongs_to_the_storage_not_to_the_view():
    base = mc.tensor(np.arange(6.0))
    view = base.reshape(2, 3)
    w = mc.tensor(np.ones((2, 3)), requires_grad=True)
    y = (w * view).sum()
    base[0] = 9.0
    with pytest.raises(NumericsError, match="changed in place"):
        y.backward()


def test_writes_before_or_elsewhere_do_not_matter():
    other, base = mc.tensor([1.0, 2.0]), mc.tensor([3.0, 4.0])
    base[0] = 1.0
    w = mc.tensor([1.0, 1.0], requires_grad=True)
    y = (w * base).sum()
    other[0] = 7.0
    y.backward()
    assert w.grad.tolist() == [1.0, 4.0]


def test_a_recorded_tensor_is_not_written_silently():
    a = leaf(1.0, 2.0)
    with pytest.raises(GradientError, match="an in-place write into a tensor that requires a gradient is not recorded"):
        a[0] = 5.0


# Memory


class Huge(mc.Function):
    """Saves an array that tells when it is freed."""

    freed: ClassVar[list[int]] = []

    @staticmethod
    def forward(ctx, x, number):
        saved = np.ones(10) * number
        weakref.finalize(saved, Huge.freed.append, number)
        ctx.number = number
        ctx.save(saved)
        return x * 1

    @staticmethod
    def backward(ctx, dy):
        assert Huge.freed == list(range(9, ctx.number, -1))  # those after this node, and no others
        return dy * 1


def test_what_was_saved_is_freed_node_by_node_during_the_sweep():
    Huge.freed.clear()
    a = y = leaf(1.0)
    for number in range(10):
        y = Huge.apply(y, number)
    y.backward()
    assert a.grad.item() == 1.0
    assert Huge.freed == list(range(9, -1, -1))


def test_there_are_no_reference_cycles():
    gc.collect()
    gc.disable()
    try:
        a = leaf(1.0, 2.0)
        b = F.exp(a * a)
        b.retain_grad()
        b.register_hook(lambda g: None)
        alive = [weakref.ref(t) for t in (a, b)]
        nodes = [weakref.ref(b.grad_fn)]
        y = b.sum()
        y.backward()
        del a, b, y
        assert [r() for r in [*alive, *nodes]] == [None, None, None]
        c = leaf(1.0)
        d = F.exp(c * 2)
        node = weakref.ref(d.grad_fn)
        del d, c  # a tape that nobody swept
        assert node() is None
    finally:
        gc.enable()


def test_under_no_grad_nothing_is_kept():
    a = leaf(1.0, 2.0)
    with mc.no_grad():
        b = F.exp(a)
    assert b.grad_fn is None
    assert b.is_leaf


class Turned(mc.autograd.Function):
    """The identity, whose gradient is a view; `held` keeps the memory that it shows."""

    held: ClassVar[list] = []

    @staticmethod
    def forward(ctx, x, keep):
        ctx.keep = keep
        return x.copy()

    @staticmethod
    def backward(ctx, dy):
        memory = np.array(dy.T)
        if ctx.keep == "memory":
            Turned.held.append(memory)
        elif ctx.keep == "another view":
            Turned.held.append(memory[0])
        elif ctx.keep == "a part":
            return np.zeros((2, *memory.shape), memory.dtype)[0].T
        elif ctx.keep == "read only":
            view = memory.T
            view.flags.writeable = False
            return view
        return memory.T


@pytest.mark.parametrize("keep", ["nothing", "memory", "another view", "a part", "read only"])
def test_a_leaf_keeps_a_view_only_if_nobody_else_can_see_it(keep):
    Turned.held.clear()
    x = mc.ones(3, 2, requires_grad=True)
    Turned.apply(x, keep).backward(mc.ones(3, 2))
    assert (x.grad.data.base is not None) == (keep == "nothing")
    x.grad.data[...] = 7
    for other in Turned.held:
        assert (other == 1).all()

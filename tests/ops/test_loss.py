"""Facts about losses that are known without any other implementation, and errors of beginners."""

import math

import numpy as np
import pytest
import torch

import minicnn as mc
import minicnn.functional as F
from minicnn.errors import DeviceError, DTypeError, GradientError, ShapeError


def test_cross_entropy_by_hand(device):
    x = mc.tensor(np.log([[1.0, 2.0, 5.0], [4.0, 2.0, 2.0]]), requires_grad=True)
    labels = mc.tensor([2, 0])
    loss = F.cross_entropy(x, labels)
    assert loss.item() == pytest.approx(-(math.log(5 / 8) + math.log(1 / 2)) / 2, rel=1e-15)
    loss.backward()  # (softmax − one-hot) / N
    np.testing.assert_allclose(
        x.grad.numpy(), np.array([[1 / 8, 2 / 8, 5 / 8 - 1], [1 / 2 - 1, 1 / 4, 1 / 4]]) / 2, rtol=1e-14
    )


def test_label_smoothing_by_hand(device):
    # ε = 0.3 over 3 classes: 0.8 for the label, 0.1 for each of the others.
    x = mc.tensor(np.log([[1.0, 2.0, 5.0]]), requires_grad=True)
    loss = F.cross_entropy(x, mc.tensor([2]), label_smoothing=0.3)
    assert loss.item() == pytest.approx(
        -(0.1 * math.log(1 / 8) + 0.1 * math.log(2 / 8) + 0.8 * math.log(5 / 8)), rel=1e-14
    )
    loss.backward()
    np.testing.assert_allclose(x.grad.numpy(), [[1 / 8 - 0.1, 2 / 8 - 0.1, 5 / 8 - 0.8]], rtol=1e-13)


def test_class_weights_by_hand(device):
    x = mc.tensor(np.zeros((3, 2)))
    weight = mc.tensor(np.array([1.0, 3.0]))
    labels = mc.tensor([0, 1, 1])
    ln2 = math.log(2)
    losses = F.cross_entropy(x, labels, weight, reduction="none").numpy()
    np.testing.assert_allclose(losses, [ln2, 3 * ln2, 3 * ln2], rtol=1e-15)
    assert F.cross_entropy(x, labels, weight).item() == pytest.approx(ln2, rel=1e-15)  # divided by 1 + 3 + 3
    assert F.cross_entropy(x, labels, weight, reduction="sum").item() == pytest.approx(7 * ln2, rel=1e-15)


def test_equal_scores_cost_the_logarithm_of_the_number_of_classes(device):
    for classes in (1, 2, 40):
        x = mc.tensor(np.full((4, classes), 7.0))
        assert F.cross_entropy(x, mc.tensor([0] * 4)).item() == pytest.approx(math.log(classes), rel=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_scores(dtype, device):
    x = mc.tensor(np.array([[1e4, -1e4, 0.0], [1e4, -1e4, 0.0]], dtype), requires_grad=True)
    losses = F.cross_entropy(x, mc.tensor([0, 1]), reduction="none")
    np.testing.assert_array_equal(losses.numpy(), [0, 2e4])
    losses.backward(mc.tensor(np.ones(2, dtype)))
    np.testing.assert_array_equal(x.grad.numpy(), [[0, 0, 0], [1, -1, 0]])


def test_an_excluded_class_is_no_obstacle(device):
    # A score of −inf means probability 0; only the label's own counts.
    x = mc.tensor([[-math.inf, 1.0, 1.0]], requires_grad=True)
    loss = F.cross_entropy(x, mc.tensor([1]))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2), rel=1e-6)
    np.testing.assert_allclose(x.grad.numpy(), [[0, -0.5, 0.5]], rtol=1e-6)
    given = F.cross_entropy(x, mc.tensor([[0.0, 1.0, 0.0]]))  # 0 · ln 0 = 0
    assert given.item() == pytest.approx(math.log(2), rel=1e-6)
    assert F.cross_entropy(x, mc.tensor([0])).item() == math.inf


@pytest.mark.parametrize("op", ["cross_entropy", "nll_loss"])
def test_ignored_labels_count_nothing_whatever_the_scores(op, device):
    x = mc.tensor([[math.nan, math.inf, 0.0], [1.0, 2.0, 3.0], [5.0, 0.0, 0.0]], requires_grad=True)
    labels, ours = mc.tensor([-100, 2, -100]), getattr(F, op)
    loss = ours(x, labels)
    assert loss.item() == ours(x[1:2], labels[1:2]).item()
    loss.backward()
    theirs = torch.tensor(x.numpy(), requires_grad=True)
    getattr(torch.nn.functional, op)(theirs, torch.tensor(labels.numpy())).backward()
    # the softmax of the first row is nan, and stays visible in its gradient
    np.testing.assert_allclose(x.grad.numpy(), theirs.grad.numpy(), rtol=1e-6)
    nothing = ours(x[1:2], mc.tensor([-100]))
    assert math.isnan(nothing.item())
    assert ours(x[1:2], mc.tensor([-100]), reduction="sum").item() == 0


def test_labels_and_their_one_hot_rows_are_the_same_target(device):
    rng = np.random.default_rng(0)
    x = mc.tensor(rng.standard_normal((6, 5)))
    labels = mc.tensor(rng.integers(0, 5, 6))
    rows = F.one_hot(labels, 5)
    for kwargs in ({}, {"label_smoothing": 0.2}, {"reduction": "none"}):
        a, b = F.cross_entropy(x, labels, **kwargs), F.cross_entropy(x, rows.double(), **kwargs)
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-14)


def test_cross_entropy_is_nll_loss_of_log_softmax(device):
    rng = np.random.default_rng(0)
    x = mc.tensor(rng.standard_normal((2, 5, 3, 4)), requires_grad=True)
    labels = mc.tensor(rng.integers(0, 5, (2, 3, 4)))
    fused, chained = F.cross_entropy(x, labels), F.nll_loss(F.log_softmax(x, 1), labels)
    assert fused.item() == pytest.approx(chained.item(), rel=1e-14)
    np.testing.assert_allclose(mc.grad(fused, [x])[0].numpy(), mc.grad(chained, [x])[0].numpy(), atol=1e-16)


def test_target_probabilities_get_a_gradient(device):
    x = mc.tensor(np.log([[1.0, 2.0, 5.0]]))
    q = mc.tensor(np.array([[0.2, 0.3, 0.5]]), requires_grad=True)
    F.cross_entropy(x, q).backward()
    np.testing.assert_allclose(q.grad.numpy(), -np.log([[1 / 8, 2 / 8, 5 / 8]]), rtol=1e-15)


def test_simple_losses_by_hand(device):
    x, t = mc.tensor([1.0, 2.0, 5.0]), mc.tensor([1.0, 4.0, 4.5])
    assert F.mse_loss(x, t).item() == pytest.approx((4 + 0.25) / 3)
    assert F.l1_loss(x, t).item() == pytest.approx(2.5 / 3)
    np.testing.assert_array_equal(F.smooth_l1_loss(x, t, reduction="none").numpy(), [0, 1.5, 0.125])
    np.testing.assert_array_equal(F.smooth_l1_loss(x, t, reduction="none", beta=4.0).numpy(), [0, 0.5, 0.03125])


def test_certain_and_wrong_costs_100(device):
    x = mc.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    losses = F.binary_cross_entropy(x, mc.tensor([1.0, 0.0, 0.0, 1.0]), reduction="none")
    np.testing.assert_array_equal(losses.numpy(), [100, 100, 0, 0])
    losses.backward(mc.tensor([1.0, 1.0, 1.0, 1.0]))
    np.testing.assert_allclose(x.grad.numpy(), [-1e12, 1e12, 0, 0], rtol=1e-6)  # (x − t) / max(x (1 − x), 1e-12)


def test_the_loss_of_scores_is_the_loss_of_their_sigmoid(device):
    rng = np.random.default_rng(0)
    x, t = mc.tensor(rng.uniform(-9, 9, (3, 5))), mc.tensor(rng.uniform(0, 1, (3, 5)))
    a, b = F.binary_cross_entropy_with_logits(x, t), F.binary_cross_entropy(F.sigmoid(x), t)
    assert a.item() == pytest.approx(b.item(), rel=1e-12)
    huge = F.binary_cross_entropy_with_logits(mc.tensor([1e4, -1e4]), mc.tensor([0.0, 1.0]), reduction="none")
    np.testing.assert_array_equal(huge.numpy(), [1e4, 1e4])


def test_triplet_margin_loss_by_hand(device):
    a, b, n = mc.tensor([[0.0, 0.0]]), mc.tensor([[3.0, 4.0]]), mc.tensor([[0.0, 5.5]])
    assert F.triplet_margin_loss(a, b, n).item() == pytest.approx(1 + 5 - 5.5, rel=1e-5)
    assert F.triplet_margin_loss(a, b, n, margin=0.25).item() == 0
    assert F.triplet_margin_loss(a, b, n, p=1).item() == pytest.approx(1 + 7 - 5.5, rel=1e-5)
    # ‖b − n‖ = √(9 + 2.25) is the smaller one
    assert F.triplet_margin_loss(a, b, n, swap=True).item() == pytest.approx(1 + 5 - math.sqrt(11.25), rel=1e-5)


def test_equal_vectors_have_a_gradient_of_0_and_no_nan(device):
    a = mc.tensor([[1.0, 2.0]], requires_grad=True)
    F.triplet_margin_loss(a, a.detach(), a.detach(), eps=0.0).backward()
    np.testing.assert_array_equal(a.grad.numpy(), [[0, 0]])


def test_cosine_similarity_by_hand(device):
    x = mc.tensor([[3.0, 4.0], [0.0, 0.0], [1.0, 0.0]])
    y = mc.tensor([[4.0, 3.0], [1.0, 1.0], [-2.0, 0.0]])
    np.testing.assert_allclose(F.cosine_similarity(x, y).numpy(), [24 / 25, 0, -1], rtol=1e-6)
    # Below eps the denominator is eps, and the gradient is that of x · y / (eps · ‖y‖).
    small = mc.tensor(np.array([0.1, 0.0]), requires_grad=True)
    F.cosine_similarity(small, mc.tensor(np.array([0.6, 0.8])), dim=0, eps=0.5).backward()
    np.testing.assert_allclose(small.grad.numpy(), [1.2, 1.6], rtol=1e-15)


def test_one_hot_by_hand(device):
    rows = F.one_hot(mc.tensor([[2, 0]]))
    assert rows.dtype == np.int64
    assert rows.device == device
    np.testing.assert_array_equal(rows.numpy(), [[[0, 0, 1], [1, 0, 0]]])


def test_weights_that_require_a_gradient_are_refused(device):
    x, labels = mc.tensor([[1.0, 2.0]], requires_grad=True), mc.tensor([0])
    weight = mc.tensor([1.0, 2.0], requires_grad=True)
    for op in (F.cross_entropy, F.nll_loss):
        with pytest.raises(GradientError, match=r"weight requires a gradient and has none here; use weight\.detach"):
            op(x, labels, weight)
    with pytest.raises(GradientError, match="pos_weight requires a gradient"):
        F.binary_cross_entropy_with_logits(x, x.detach(), pos_weight=weight)


def test_mixed_types_and_devices_are_refused():
    x = mc.tensor([[1.0, 2.0]])
    with pytest.raises(DTypeError, match="cross_entropy: weight is float64, input is float32; convert one"):
        F.cross_entropy(x, mc.tensor([0]), mc.tensor(np.ones(2)))
    with pytest.raises(DTypeError, match="mse_loss: target is float64, input is float32"):
        F.mse_loss(x, mc.tensor(np.ones((1, 2))))
    with pytest.raises(DeviceError, match="inputs are on different devices, cpu and reference"):
        F.cross_entropy(x, mc.tensor([0], device="reference"))


def test_unsigned_labels(device):
    x = mc.tensor([[1.0, 2.0, 0.0]])
    labels = mc.tensor(np.array([1], np.uint8))
    assert F.cross_entropy(x, labels).item() == F.cross_entropy(x, labels.long()).item()


def test_arguments_of_former_times_are_refused():
    x, labels = mc.tensor([[1.0, 2.0]]), mc.tensor([0])
    for argument in ("size_average", "reduce"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{argument}'"):
            F.cross_entropy(x, labels, **{argument: True})
    with pytest.raises(ShapeError, match="reduction is True, needs one of 'none', 'mean', 'sum'"):
        F.mse_loss(x, x, True)

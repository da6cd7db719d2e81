import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn import nn
from minicnn.errors import DataError
from minicnn.training import accuracy, answer, confusion, mistakes, probabilities

FOUND = np.array([[0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.1, 0.1, 0.8], [0.3, 0.6, 0.1]])
LABELS = np.array([0, 0, 2, 1])


def test_numbers_by_hand():
    assert accuracy(FOUND, LABELS) == 75.0
    np.testing.assert_array_equal(confusion(FOUND, LABELS), [[1, 1, 0], [0, 1, 0], [0, 0, 1]])
    assert mistakes(FOUND, LABELS) == [(1, 0, 1, 0.5)]


class Left(nn.Module):
    """Two logits, how bright the left and the right half are; counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(mc.tensor([1.0]))
        self.modes = []

    def forward(self, x):
        self.modes.append(self.training)
        halves = [x[..., :2].sum((1, 2, 3)), x[..., 2:].sum((1, 2, 3))]
        return F.stack(halves, 1) * self.scale


def test_logits_are_averaged_over_a_picture_and_its_mirror_image():
    x = np.zeros((1, 1, 1, 4), np.float32)
    x[..., 0] = 1.0
    plain = answer(Left(), mc.tensor(x), mirror=False)
    np.testing.assert_allclose(plain[0], [np.e / (np.e + 1), 1 / (np.e + 1)], rtol=1e-6)
    np.testing.assert_allclose(answer(Left(), mc.tensor(x), mirror=True)[0], [0.5, 0.5], rtol=1e-6)


def test_what_is_no_picture_has_no_mirror_image():
    model = nn.Linear(3, 2)
    x = mc.randn(4, 3)
    np.testing.assert_array_equal(answer(model, x, mirror=True), answer(model, x, mirror=False))


def test_a_data_set_goes_through_in_batches_in_eval_mode_and_order():
    model = Left()
    rng = np.random.default_rng(0)
    data = [(rng.standard_normal((1, 2, 4)).astype(np.float32), i % 2) for i in range(7)]
    found, labels = probabilities(model, data, batch_size=3)
    assert model.training
    assert model.modes == [False] * 3
    np.testing.assert_array_equal(labels, [0, 1, 0, 1, 0, 1, 0])
    whole = answer(model, mc.tensor(np.stack([x for x, _ in data])))
    np.testing.assert_allclose(found, whole, rtol=1e-6)
    model.eval()
    probabilities(model, data)
    assert not model.training


def test_an_empty_data_set_is_refused():
    with pytest.raises(DataError, match="probabilities: the data set is empty"):
        probabilities(nn.Linear(3, 2), [])

import json

import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn import nn
from minicnn.errors import DTypeError, ShapeError


@pytest.fixture(autouse=True)
def _reference():
    with mc.use_device("reference"):
        yield


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=2, padding=1, groups=2), nn.BatchNorm2d(6), nn.ReLU(),
        nn.ConvTranspose2d(6, 3, 2, bias=False), nn.Flatten(), nn.Linear(3 * 6 * 5, 7),
    )  # fmt: skip


def test_numbers_by_hand():
    found = mc.summary(network(), (4, 2, 10, 8))
    assert [(r.name, r.kind) for r in found.rows] == [
        ("0", "Conv2d"), ("1", "BatchNorm2d"), ("2", "ReLU"), ("3", "ConvTranspose2d"), ("4", "Flatten"),
        ("5", "Linear"),
    ]  # fmt: skip
    assert [r.output_shape for r in found.rows] == [
        (4, 6, 5, 4), (4, 6, 5, 4), (4, 6, 5, 4), (4, 3, 6, 5), (4, 90), (4, 7),
    ]  # fmt: skip
    assert [r.parameters for r in found.rows] == [6 * 1 * 9 + 6, 12, 0, 6 * 3 * 4, 0, 90 * 7 + 7]
    assert [r.multiply_adds for r in found.rows] == [
        4 * 6 * 20 * 9, 0, 0, 4 * 6 * 20 * 3 * 4, 0, 4 * 90 * 7,
    ]  # fmt: skip
    assert [r.bytes for r in found.rows if r.kind != "Flatten"] == [4 * 120 * 4] * 3 + [4 * 90 * 4, 4 * 7 * 4]
    assert [r.receptive_field for r in found.rows] == [(3, 3), (3, 3), (3, 3), (5, 5), (5, 5), (15, 13)]
    assert found.parameters == found.trainable == 60 + 12 + 72 + 637
    assert found.parameter_bytes == 4 * (60 + 12 + 72 + 637) + 4 * 12 + 8  # and the running statistics
    assert found.multiply_adds == 4320 + 5760 + 2520


def test_a_view_takes_no_memory():
    found = mc.summary(nn.Sequential(nn.Linear(5, 6), nn.Flatten(), nn.Identity()), (2, 3, 4, 5))
    assert [r.bytes for r in found.rows] == [2 * 3 * 4 * 6 * 4, 0, 0]


def test_a_picture_is_a_batch_of_one():
    assert mc.summary(network(), (2, 10, 8)).input_shape == (1, 2, 10, 8)
    assert mc.summary(nn.Linear(5, 2), (3, 5)).rows[0].output_shape == (3, 2)


class Shared(nn.Module):
    """A layer that is called twice, another with its weight, and an operation without a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 3, bias=False)
        self.b = nn.Linear(3, 3, bias=False)
        self.b.weight = self.a.weight
        self.a.requires_grad_(False)

    def forward(self, x):
        return F.linear(self.b(self.a(self.a(x))), self.a.weight)


def test_calls_add_up_shared_parameters_count_once_and_operations_belong_to_the_module_they_stand_in():
    found = mc.summary(Shared(), (2, 3))
    assert [(r.name, r.kind, r.multiply_adds) for r in found.rows] == [
        ("a", "Linear", 36), ("b", "Linear", 18), ("", "Shared", 18),
    ]  # fmt: skip
    assert (found.parameters, found.trainable) == (9, 0)


def test_nothing_changes():
    model = network()
    model[1].eval()
    modes = [m.training for m in model.modules()]
    statistics = model[1].running_mean.numpy().copy()
    state = mc.random.get_state()
    mc.summary(model, (4, 2, 10, 8))
    assert [m.training for m in model.modules()] == modes
    assert (model[1].running_mean.numpy() == statistics).all()
    assert model[1].num_batches_tracked.item() == 0
    assert mc.random.get_state() == state
    assert all(not m._forward_hooks for m in model.modules())


def test_it_prints_as_a_table_and_writes_as_json():
    found = mc.summary(network(), (2, 10, 8))
    lines = str(found).splitlines()
    assert lines[0] == "Sequential, input (1, 2, 10, 8)"
    assert lines[2].split() == [
        "layer",
        "output",
        "shape",
        "parameters",
        "multiply-adds",
        "memory",
        "receptive",
        "field",
    ]
    assert lines[4].split("  ")[0] == "0 (Conv2d)"
    assert lines[-1].startswith("parameters 781 (trainable 781), 0.00 MB; multiply-adds 3,150; outputs 0.00 MB")
    assert len({len(line) for line in lines[1:-1]}) == 1
    assert json.loads(json.dumps(found.to_dict()))["layers"][0]["multiply_adds"] == 1080
    assert found.to_dict()["layers"][3]["receptive_field"] == [5, 5]
    assert lines[4].endswith("  3 x 3")


def test_float64_models_are_called_with_float64():
    assert mc.summary(nn.Linear(5, 2).double(), (3, 5)).output_bytes == 3 * 2 * 8


def test_refusals():
    with pytest.raises(DTypeError, match=r"summary: model must be an nn\.Module, got function"):
        mc.summary(lambda x: x, (1, 2))
    with pytest.raises(DTypeError, match="summary: input_shape must be a whole number, got 'a'"):
        mc.summary(network(), ("a", 2, 3))
    model = network()
    with pytest.raises(ShapeError, match="conv2d: input has 3 channels"):
        mc.summary(model, (3, 10, 8))
    assert all(not m._forward_hooks for m in model.modules())

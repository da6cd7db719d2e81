"""Where the device cpu runs the plain NumPy definition: a list, and a training step that counts."""

import inspect
import pkgutil
from importlib import import_module

import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn import models, ops, optim
from minicnn._device import on

WITHOUT_A_TWIN = {
    "activation": "leaky_relu sigmoid tanh log1p erf",
    "conv": "fold unfold",
    "dropout": "dropout2d",
    "elementwise": "sub mul div neg pow exp log sqrt abs maximum minimum clamp where",
    "logic": "classify compare floor_divide quantify remainder truncate_divide",
    "loss": "binary_cross_entropy nll_loss",
    "norm": "group_norm layer_norm normalize",
    "pool": "adaptive_max_pool2d",
    "reduce": "amax amin argmax argmin max mean min std sum var",
    "softmax": "log_softmax logsumexp softmax",
}


def definitions(family):
    module = import_module(f"minicnn.ops.{family}")
    return {
        name.removesuffix("_forward"): function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.endswith("_forward") and function.__module__ == module.__name__
    }


def without_a_twin():
    found = {}
    for family in (m.name for m in pkgutil.iter_modules(ops.__path__)):
        names = [name for name, f in definitions(family).items() if on("cpu", f) is f]
        if names and family != "shape":
            found[family] = names
    return found


def test_the_list_of_definitions_that_cpu_runs():
    assert {family: sorted(names) for family, names in without_a_twin().items()} == {
        family: sorted(names.split()) for family, names in WITHOUT_A_TWIN.items()
    }


@pytest.mark.parametrize("name", ["alexnet_orl", "resnet_orl", "vgg_orl"])
def test_a_training_step_runs_kernels(name):
    model = models.build(name)
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    x, labels = mc.randn(4, 1, 56, 46), mc.tensor([0, 1, 2, 3])
    with mc.profile() as profile:
        F.cross_entropy(model(x), labels, label_smoothing=0.1).backward()
        optimizer.step()
    of_numpy = {row.implementation for row in profile.rows if row.implementation.startswith("minicnn.ops")}
    assert {row.implementation for row in profile.rows} >= {"minicnn.cpu.conv", "minicnn.cpu.pool", "minicnn.cpu.loss"}
    # views and copies; and elementwise operations where NumPy is fast enough
    assert of_numpy <= {"minicnn.ops.shape", "minicnn.ops.cast", "minicnn.ops.elementwise"}

"""Whole networks on `cuda:sim`: the numbers of the other devices, the same dropout masks, and our kernels alone."""

import csv
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn import nn, optim
from minicnn.cuda import emulation
from minicnn.cuda.launch import launched
from minicnn.models import build

NETWORKS = {
    "resnet_orl": {"dropout": 0.4},
    "alexnet_orl": {},
    "vgg_orl": {"widths": (8, 16), "depth": 4},
    "mlp_orl": {},
}
LARGE = ("resnet_orl", "alexnet_orl")  # a checked step takes half a minute and more
BOOKKEEPING = ("minicnn.ops.shape", "minicnn.ops.cast")


class Step(NamedTuple):
    """What one training step gave."""

    logits: np.ndarray
    loss: float
    masks: list[np.ndarray]
    gradients: dict[str, np.ndarray]
    afterwards: np.ndarray  # logits in eval mode, after the step
    implementations: set[str]
    launches: int


@cache
def step(name: str, device: str) -> Step:
    """Do one training step of a network with the first values, pictures and masks of every other device."""
    rng = np.random.default_rng(4)
    mc.manual_seed(2)
    model = build(name, num_classes=5, **NETWORKS[name]).to(device)
    x = mc.tensor(rng.standard_normal((2, 1, 32, 32)).astype(np.float32), device=device)
    y = mc.tensor(rng.integers(0, 5, 2), device=device)
    masks = []
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.register_forward_hook(lambda m, args, output: masks.append(output.numpy() == 0))
    steps = optim.SGD(model.parameters(), 0.01, momentum=0.9)
    before = launched.total()
    with mc.profile() as profile:
        logits = model(x)
        loss = F.cross_entropy(logits, y)
        loss.backward()
        gradients = {n: p.grad.numpy().copy() for n, p in model.named_parameters()}
        optim.clip_grad_norm_(model.parameters(), 1.0)
        steps.step()
    launches = launched.total() - before
    model.eval()
    with mc.no_grad():
        afterwards = model(x).numpy()
    used = {row.implementation for row in profile.rows}
    return Step(logits.numpy(), loss.item(), masks, gradients, afterwards, used, launches)


@pytest.mark.parametrize("other", ["reference", "cpu"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_gives_the_numbers_of_the_other_devices(name: str, other: str) -> None:
    ours, theirs = step(name, "cuda:sim"), step(name, other)
    np.testing.assert_allclose(ours.logits, theirs.logits, rtol=0, atol=1e-4)
    np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-5)
    np.testing.assert_allclose(ours.afterwards, theirs.afterwards, rtol=0, atol=1e-4)
    assert len(ours.masks) == len(theirs.masks)
    assert ours.gradients.keys() == theirs.gradients.keys()
    for parameter, gradient in ours.gradients.items():
        scale = max(np.abs(theirs.gradients[parameter]).max(), 1e-3)
        np.testing.assert_allclose(gradient, theirs.gradients[parameter], rtol=0, atol=1e-4 * scale, err_msg=parameter)


@pytest.mark.parametrize("name", ["resnet_orl", "alexnet_orl"])
def test_dropout_masks_are_the_same(name: str) -> None:
    ours, theirs = step(name, "cuda:sim"), step(name, "reference")
    assert ours.masks
    for mask, expected in zip(ours.masks, theirs.masks, strict=True):
        np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_runs_our_kernels_alone(name: str) -> None:
    found = step(name, "cuda:sim")
    others = {i for i in found.implementations if not i.startswith("minicnn.cuda.")} - set(BOOKKEEPING)
    assert not others
    assert found.launches > 3 * len(found.gradients)  # norm, clipping and step of each, and the network's own


@pytest.mark.parametrize("name", [*(pytest.param(n, marks=pytest.mark.full) for n in LARGE), "vgg_orl", "mlp_orl"])
def test_the_checks_report_nothing_in_a_step(name: str) -> None:
    with emulation.checking():
        found = step.__wrapped__(name, "cuda:sim")
    np.testing.assert_array_equal(found.afterwards, step(name, "cuda:sim").afterwards)


def test_the_command_trains_on_the_simulator(small_faces: Path, tmp_path: Path) -> None:
    config = {"model": "resnet_orl", "epochs": 2, "steps_per_epoch": 2, "batch_size": 4, "lr": 0.02, "augment": False}
    options: dict[str, Any] = {"options": {"widths": [8, 16], "depth": 6}}
    (tmp_path / "config.json").write_text(json.dumps({**config, **options}), encoding="utf-8")
    for device in ("cuda:sim", "reference"):
        done = subprocess.run(
            [sys.executable, "-m", "minicnn", "train", "--config", "config.json", "--data", small_faces, "--no-verify",
             "--out", device.replace(":", "_"), "--device", device],
            cwd=tmp_path, check=False, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    rows = [
        list(csv.DictReader((tmp_path / n / "metrics.csv").read_text().splitlines())) for n in ("cuda_sim", "reference")
    ]
    assert len(rows[0]) == len(rows[1]) == 2
    for ours, theirs in zip(*rows):
        for name in ("loss", "train_accuracy", "gradient_norm"):
            np.testing.assert_allclose(float(ours[name]), float(theirs[name]), rtol=1e-3, err_msg=name)

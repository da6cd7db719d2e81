"""docs/fine_tuning.md runs from top to bottom, and does what it says."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import minicnn as mc
import minicnn.functional as F
from minicnn import models
from tests.models import twins

TEXT = (Path(__file__).parents[1] / "docs/fine_tuning.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A folder to work in, with weights that PyTorch saved; random ones, whose features are not useless."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    net = twins.resnet("resnet18")
    with torch.no_grad():
        net.train()(torch.randn(8, 3, 112, 92))
    torch.save(net.state_dict(), "resnet18.pth")
    return {name: value.numpy().copy() for name, value in net.state_dict().items()}


def people(folder):
    """Make pictures of three people, each with stripes of an own direction, in different sizes."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(("anna", "ben", "carla")):
        (folder / "people" / name).mkdir(parents=True)
        for picture in range(6):
            y, x = np.mgrid[: 90 + 5 * picture, :80] / 4
            stripes = np.cos((y, x, x + y)[number] + rng.random() * 6)
            noisy = 128 + 60 * stripes + rng.normal(0, 20, stripes.shape)
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / "people" / name / f"{picture}.png")


def changed(model, weights):
    """Return the names of the parameters that have other values, or another shape, than the file's."""
    own = {name: p.detach().numpy() for name, p in model.named_parameters()}
    return {name for name, p in own.items() if not np.array_equal(p, weights[name])}


def loss_of(names):
    """Return the loss on the first pictures of the training set."""
    x, y = next(iter(names["DataLoader"](names["train"], batch_size=50)))
    with mc.no_grad():
        return F.cross_entropy(names["model"].eval()(x), y).item()


@pytest.mark.orl
@pytest.mark.usefixtures("orl_root")
def test_the_document_runs(weights, tmp_path, capsys):
    people(tmp_path)
    names, before = {}, 0.0
    for number, block in enumerate(CODE):
        exec(compile(block, f"fine_tuning.md, block {number}", "exec"), names)
        model = names["model"]
        if "train_features" in block:
            assert changed(model, weights) == {"fc.weight", "fc.bias"}
            assert all(np.array_equal(value.numpy(), weights[name]) for name, value in model.named_buffers())
        if "head alone" in block:
            first = float(re.search(r"head alone: ([\d.]+) %", capsys.readouterr().out)[1])
            assert first > 10 * 2.5  # ten times chance, by features of a network that has learned nothing
            before = loss_of(names)
        if "last stage" in block:
            below = {name for name in changed(model, weights) if not name.startswith(("layer4", "fc"))}
            assert below == set()
            assert any(name.startswith("layer4") for name in changed(model, weights))
            assert loss_of(names) < 0.5 * before
            assert float(re.search(r"last stage: ([\d.]+) %", capsys.readouterr().out)[1]) > 10 * 2.5
    assert float(re.search(r"own pictures: ([\d.]+) %", capsys.readouterr().out)[1]) > 60
    again = models.build("resnet18", num_classes=3)
    again.load_state_dict(mc.load("people.mc"))
    assert changed(again, {name: p.detach().numpy() for name, p in names["model"].named_parameters()}) == set()

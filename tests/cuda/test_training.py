"""Networks in training on CUDA: the numbers of the other devices, by our kernels alone, without a wait."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn import nn, optim
from minicnn._tensor import wrap
from minicnn.errors import NumericsError
from minicnn.models import build
from minicnn.training import fit
from tests import stand_in
from tests.test_stand_in import emulated

BOOKKEEPING = {"empty", "zeros_like", "ones_like", "reshape", "transpose", "broadcast_to", "copy", "astype"}
"""What may make floats in a training step besides our kernels: new memory, views, the order and type of numbers."""


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    found = stand_in.module()
    monkeypatch.setitem(sys.modules, "cupy", found)
    monkeypatch.setattr("minicnn.cuda.gpu.launch", emulated)
    return found


def small_network() -> nn.Module:
    """A network of every kind of layer but convolution."""
    return nn.Sequential(
        nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.LocalResponseNorm(3), nn.Dropout2d(0.3), nn.GroupNorm(3, 3),
        nn.Sigmoid(), nn.AvgPool2d(2, 1), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(3),
        nn.Dropout(0.3), nn.Linear(3, 7), nn.LeakyReLU(), nn.Linear(7, 3, bias=False),
    )  # fmt: skip


def data(n: int = 6, size: tuple[int, int] = (10, 12)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(8)
    return rng.standard_normal((n, 3, *size)).astype(np.float32), rng.integers(0, 3, n)


def trained(device: str, optimizer: Any) -> tuple[list[float], list[np.ndarray]]:
    """Return the losses of three steps, and the parameters and running statistics after them."""
    mc.manual_seed(5)
    model = small_network().to(device)
    steps = optimizer(model.parameters())
    x, y = (mc.tensor(a).to(device) for a in data())
    losses = []
    for _ in range(3):
        steps.zero_grad()
        loss = F.cross_entropy(model(x), y, label_smoothing=0.1)
        loss.backward()
        optim.clip_grad_norm_(model.parameters(), 0.5)
        steps.step()
        losses.append(loss.item())
    return losses, [v.numpy() for v in model.state_dict().values()]


@pytest.mark.parametrize(
    "optimizer",
    [lambda p: optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01), lambda p: optim.AdamW(p, 0.01)],
    ids=["SGD", "AdamW"],
)
def test_three_steps_are_those_of_the_reference(optimizer: Any) -> None:
    losses, values = trained("cuda:sim", optimizer)
    expected_losses, expected = trained("reference", optimizer)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)
    for value, wanted in zip(values, expected, strict=True):
        np.testing.assert_allclose(value, wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (small_network, (10, 12)),
        (lambda: build("resnet_orl", num_classes=3, in_channels=3, widths=(8, 16), depth=6, dropout=0.2), (10, 12)),
        (lambda: build("vgg_orl", num_classes=3, in_channels=3, widths=(8, 16), depth=4), (10, 12)),
        (lambda: build("alexnet_orl", num_classes=3, in_channels=3), (32, 34)),
    ],
    ids=["small network", "resnet_orl", "vgg_orl", "alexnet_orl"],
)
def test_a_step_on_a_gpu_never_waits_for_it(make: Callable[[], nn.Module], size: tuple[int, int], cupy: Any) -> None:
    """The whole step runs on the stand-in for CuPy, whose arrays count each copy to the host."""
    mc.manual_seed(5)
    model = make().to("cuda")
    steps = optim.SGD(model.parameters(), 0.1, momentum=0.9)
    x, y = (wrap(stand_in.ndarray(a), mc.device("cuda"), None, 0) for a in data(2, size))
    before = stand_in.transfers
    stand_in.calls.clear()
    for _ in range(2):
        steps.zero_grad()
        logits = model(x)
        loss = F.cross_entropy(logits, y)
        loss.backward()
        norm = optim.clip_grad_norm_(model.parameters(), 0.5)
        steps.step()
        correct = (F.argmax(logits.detach(), 1) == y).sum()
    assert stand_in.transfers == before
    assert set(stand_in.calls) <= BOOKKEEPING, "arithmetic that is not a kernel of ours"
    assert isinstance(loss.data, stand_in.ndarray)
    assert isinstance(norm.data, stand_in.ndarray)
    assert isinstance(correct.data, stand_in.ndarray)
    assert np.isfinite(loss.item())


class Items:
    """Pictures and labels as a data set."""

    def __init__(self, bad: int | None = None) -> None:
        self.inputs, self.labels = data(12)
        if bad is not None:
            self.inputs[bad] = np.nan

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.inputs[index], int(self.labels[index])


def test_fit_gives_the_rows_of_the_reference() -> None:
    rows = {}
    for device in ("reference", "cuda:sim"):
        mc.manual_seed(1)
        config = {"epochs": 2, "batch_size": 4, "lr": 0.02, "augment": False}
        rows[device] = fit(small_network().to(device), Items(), None, config).rows
    for row, wanted in zip(rows["cuda:sim"], rows["reference"], strict=True):
        assert row.keys() == wanted.keys()
        for name in row:
            np.testing.assert_allclose(row[name], wanted[name], rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("steps", [1, 2, 16])
def test_a_nan_is_found_some_steps_later(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["minicnn.training.fit"], "WATCH_STEPS", steps)
    reached = []
    with pytest.raises(NumericsError) as caught:
        fit(
            small_network().to("cuda:sim"), Items(bad=3), None, {"epochs": 1, "batch_size": 2},
            progress=lambda done, of: reached.append(done),
        )  # fmt: skip
    text = str(caught.value)
    assert text.startswith("fit: epoch 1, step ")
    assert f"is nan. Device cuda:sim reads them every {steps} steps; the same run on device cpu names" in text
    found = int(text.removeprefix("fit: epoch 1, step ").partition(":")[0])
    assert len(reached) <= found + steps - 1


def test_fit_on_a_gpu_reads_nothing_between_the_steps(cupy: Any) -> None:
    mc.manual_seed(1)
    model = small_network().to("cuda")
    read = []
    config = {"epochs": 1, "batch_size": 2, "optimizer": "adamw"}
    history = fit(model, Items(), None, config, progress=lambda done, of: read.append(stand_in.transfers))
    assert len(read) == 6
    assert len(set(read)) == 1
    assert np.isfinite(history.rows[0]["loss"])


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "rmsprop"])
def test_a_run_on_a_gpu_is_that_of_the_reference_and_is_read_back(cupy: Any, optimizer: str, tmp_path: Path) -> None:
    def run(epochs: int, name: str, resume: bool = False, device: str = "cuda") -> list[Any]:
        mc.manual_seed(1)
        config = {"epochs": epochs, "batch_size": 4, "optimizer": optimizer, "schedule": "constant"}
        model = small_network().to(device)
        rows = fit(model, Items(), Items(), config, out=tmp_path / name, resume=resume).rows
        return [rows, *(v.numpy() for v in model.state_dict().values())]

    whole, other = run(2, "whole"), run(2, "other", device="reference")
    for row, wanted in zip(whole[0], other[0], strict=True):
        for name in row:
            np.testing.assert_allclose(row[name], wanted[name], rtol=1e-3, err_msg=name)
    for value, wanted in zip(whole[1:], other[1:], strict=True):
        np.testing.assert_allclose(value, wanted, atol=1e-4)
    again = run(2, "whole", resume=True)  # all its epochs are done: it is read back, and nothing more
    np.testing.assert_equal(again, whole)


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_on_a_gpu_a_label_outside_makes_the_loss_nan(cupy: Any, loss: Any) -> None:
    """Other devices raise a ShapeError; here to look at the labels would be to wait for the GPU."""
    x, y = (wrap(stand_in.ndarray(a), mc.device("cuda"), None, 0) for a in (np.ones((2, 3)), np.array([1, 3])))
    before = stand_in.transfers
    result = loss(x, y)
    assert stand_in.transfers == before
    assert np.isnan(result.item())

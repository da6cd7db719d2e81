import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn import nn
from minicnn.data import DataLoader
from minicnn.errors import CheckpointError, DataError, DTypeError, NumericsError, ShapeError
from minicnn.models import build
from minicnn.training import fit
from minicnn.training.config import from_dict

FILES = ("checkpoint.safetensors", "metrics.csv")


class Pairs:
    """Items (input, label), one by one, and a record of what was asked for."""

    def __init__(self, inputs: np.ndarray, labels: Any) -> None:
        self.inputs, self.labels, self.asked = inputs, labels, []

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        self.asked.append(index)
        return self.inputs[index], int(self.labels[index])


class Recorded(nn.Linear):
    """A layer that remembers its inputs."""

    def __init__(self) -> None:
        super().__init__(3, 2)
        self.seen = []

    def forward(self, x):
        self.seen.append(x.numpy().copy())
        return super().forward(x)


def blobs(count: int = 12, features: int = 3) -> Pairs:
    rng = np.random.default_rng(3)
    labels = np.arange(count) % 2
    inputs = rng.standard_normal((count, features)) + 2 * labels[:, None]
    return Pairs(inputs.astype(np.float32), labels)


def run(config: dict[str, Any], data: Any, out: Path | None = None, **options: Any) -> Any:
    """Train the config's model from its seed, as a run does."""
    mc.manual_seed(config.get("seed", 0))
    model = build(config["model"], num_classes=5, **config["options"])
    return fit(model, *data, config, out=out, **options)


def bytes_of(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in FILES]


# It learns


def test_it_learns_to_tell_people_apart(tiny, small_data):
    history = run({**tiny, "epochs": 8}, small_data)
    assert history["epoch"] == [*range(1, 9)]
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    assert history["test_accuracy"][-1] >= 90  # by chance 20


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd", "rmsprop"])
@pytest.mark.parametrize("schedule", ["onecycle", "cosine", "constant"])
def test_a_run_computes_what_pytorch_computes(optimizer, schedule):
    # One batch holds all items, so that their order changes nothing but rounding.
    data = blobs()
    choices = {
        "epochs": 4, "steps_per_epoch": 3, "batch_size": 12, "lr": 0.05, "weight_decay": 0.03, "clip_norm": 0.5,
        "label_smoothing": 0.1, "optimizer": optimizer, "schedule": schedule,
    }  # fmt: skip
    mc.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    data.inputs = data.inputs.astype(np.float64)
    twin = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2)).double()
    twin.load_state_dict({name: torch.tensor(value.numpy()) for name, value in model.state_dict().items()})

    history = fit(model, data, None, choices)

    parameters = list(twin.parameters())
    kind = {"adamw": "AdamW", "adam": "Adam", "sgd": "SGD", "rmsprop": "RMSprop"}[optimizer]
    more = {"momentum": 0.9} if optimizer == "sgd" else {}
    steps = getattr(torch.optim, kind)(parameters, lr=0.05, weight_decay=0.03, **more)
    schedules = {
        "onecycle": lambda: torch.optim.lr_scheduler.OneCycleLR(steps, 0.05, total_steps=13, cycle_momentum=False),
        "cosine": lambda: torch.optim.lr_scheduler.CosineAnnealingLR(steps, 12),
        "constant": lambda: torch.optim.lr_scheduler.ConstantLR(steps, 1.0),
    }
    rate = schedules[schedule]()
    x, y = torch.tensor(data.inputs), torch.tensor(data.labels)
    losses, norms, rates = [], [], []
    for _ in range(12):
        loss = torch.nn.functional.cross_entropy(twin(x), y, label_smoothing=0.1)
        steps.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, 0.5).item())
        losses.append(loss.item())
        rates.append(steps.param_groups[0]["lr"])
        steps.step()
        rate.step()
    for name, value in twin.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[name].numpy(), value.numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(history["loss"], np.reshape(losses, (4, 3)).mean(1), rtol=1e-9)
    np.testing.assert_allclose(history["gradient_norm"], np.reshape(norms, (4, 3)).mean(1), rtol=1e-9)
    np.testing.assert_allclose(history["lr"], rates[2::3], rtol=1e-9)


def test_an_epoch_shows_every_item_once_or_has_the_steps_it_is_given():
    data = blobs(12)
    fit(nn.Linear(3, 2), data, None, {"epochs": 2, "batch_size": 4})
    assert sorted(data.asked[:12]) == sorted(data.asked[12:]) == [*range(12)]
    data = blobs(12)
    model = Recorded()
    fit(model, data, None, {"epochs": 3, "steps_per_epoch": 5, "batch_size": 4})
    shown = np.concatenate(model.seen)
    assert len(model.seen) == 15
    for begin in range(0, 60, 12):  # five passes, though an epoch ends in the midst of one
        np.testing.assert_array_equal(np.sort(shown[begin : begin + 12], 0), np.sort(data.inputs, 0))


def test_the_rest_after_the_last_whole_batch_is_left_out_but_not_a_small_set():
    data = blobs(11)
    fit(nn.Linear(3, 2), data, None, {"epochs": 1, "batch_size": 4})
    assert len(set(data.asked)) == 8
    data = blobs(3)
    fit(nn.Linear(3, 2), data, None, {"epochs": 1, "batch_size": 4})
    assert sorted(data.asked) == [0, 1, 2]


def test_reports_and_progress():
    rows, steps = [], []
    history = fit(
        nn.Linear(3, 2), blobs(12), blobs(4), {"epochs": 2, "steps_per_epoch": 4, "batch_size": 5},
        report=lambda row, speed: rows.append((row, speed)), progress=lambda *step: steps.append(step),
    )  # fmt: skip
    assert [row for row, _ in rows] == history.rows
    assert all(speed > 0 for _, speed in rows)
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)] * 2


def test_frozen_parameters_stay_and_batch_norm_keeps_statistics():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    model[0].requires_grad_(False)
    before = model[0].weight.numpy().copy()
    fit(model, blobs(), None, {"epochs": 2, "batch_size": 6})
    np.testing.assert_array_equal(model[0].weight.numpy(), before)
    assert model[1].num_batches_tracked.item() == 4


def test_the_model_decides_the_device():
    model = nn.Linear(3, 2)
    with mc.use_device("cpu"):
        fit(model, blobs(), blobs(), {"epochs": 1})
    assert model.weight.device == "reference"


# The same bytes


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(tiny, small_data, tmp_path, device):
    run(tiny, small_data, tmp_path / "a")
    mc.rand(3)
    run(tiny, small_data, tmp_path / "b")
    run({**tiny, "seed": 1}, small_data, tmp_path / "c")
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")
    assert all(a != c for a, c in zip(bytes_of(tmp_path / "a"), bytes_of(tmp_path / "c")))


# Of the 24 steps: the first, in an epoch's first pass, at a pass's end, in its second pass, an epoch's last, the last.
@pytest.mark.parametrize("stops", [[1], [3], [4], [7], [8], [16, 17], [2, 5, 11, 23], [24]], ids=str)
def test_a_run_interrupted_and_resumed_ends_with_the_same_bytes(tiny, small_data, tmp_path, stops):
    run(tiny, small_data, tmp_path / "whole")
    counted = 0

    def progress(step: int, steps: int) -> None:
        nonlocal counted
        counted += 1
        if counted in stops:
            signal.raise_signal(signal.SIGINT)

    for i in range(len(stops)):
        with pytest.raises(KeyboardInterrupt):
            run(tiny, small_data, tmp_path / "parts", resume=i > 0, progress=progress)
        mc.manual_seed(99)  # what happens between the two does not matter
    history = run(tiny, small_data, tmp_path / "parts", resume=True, progress=progress)
    assert counted == 24
    assert len(history) == 3
    assert bytes_of(tmp_path / "parts") == bytes_of(tmp_path / "whole")


def test_a_data_set_that_augments_its_own_items_is_resumed_to_the_same_bytes(tiny, small_data, tmp_path):
    class OneByOne:
        def __init__(self, data: Any) -> None:
            self.data = data

        def __len__(self) -> int:
            return len(self.data)

        def __getitem__(self, index: int) -> Any:
            return self.data[index]

    def stop(step: int, steps: int) -> None:
        if step == 5:
            signal.raise_signal(signal.SIGINT)

    data = [OneByOne(half) for half in small_data]
    run({**tiny, "epochs": 1}, data, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run({**tiny, "epochs": 1}, data, tmp_path / "parts", progress=stop)
    run({**tiny, "epochs": 1}, data, tmp_path / "parts", resume=True)
    assert bytes_of(tmp_path / "parts") == bytes_of(tmp_path / "whole")


def test_resuming_a_finished_run_changes_nothing(tiny, small_data, tmp_path):
    history = run(tiny, small_data, tmp_path)
    before = bytes_of(tmp_path)
    assert run(tiny, small_data, tmp_path, resume=True) == history
    assert bytes_of(tmp_path) == before


def test_the_table_is_there_after_each_epoch(tiny, small_data, tmp_path):
    lines = []
    run(tiny, small_data, tmp_path, report=lambda *_: lines.append((tmp_path / "metrics.csv").read_text().count("\n")))
    assert lines == [2, 3, 4]
    header, *_, last = (tmp_path / "metrics.csv").read_text().splitlines()
    assert header == "epoch,loss,train_accuracy,test_accuracy,lr,gradient_norm"
    assert last.startswith("3,")


def test_a_second_interrupt_stops_at_once_and_the_former_handler_comes_back(tiny, small_data):
    handler = signal.getsignal(signal.SIGINT)
    steps = []

    def progress(step: int, steps_: int) -> None:
        steps.append(step)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second one must not wait for anything")

    with pytest.raises(KeyboardInterrupt):
        run(tiny, small_data, progress=progress)
    assert steps == [1]
    assert signal.getsignal(signal.SIGINT) is handler


def test_it_trains_in_a_thread_where_signals_cannot_be_caught():
    histories = []
    model = nn.Linear(3, 2)
    thread = threading.Thread(target=lambda: histories.append(fit(model, blobs(), None, {"epochs": 1})))
    thread.start()
    thread.join()
    assert len(histories[0]) == 1


def test_only_the_same_run_is_resumed(tiny, small_data, tmp_path):
    run({**tiny, "epochs": 1}, small_data, tmp_path)
    with pytest.raises(CheckpointError, match=r"belongs to another run: lr is 0\.03 there and 0\.05 here"):
        run({**tiny, "epochs": 1, "lr": 0.05}, small_data, tmp_path, resume=True)
    with pytest.raises(CheckpointError, match="belongs to another run: epochs is 1 there and 3 here"):
        run(tiny, small_data, tmp_path, resume=True)
    _, test = small_data
    with pytest.raises(CheckpointError, match="belongs to another run: train_data is 30 there and 20 here"):
        run({**tiny, "epochs": 1}, (test, test), tmp_path, resume=True)
    with pytest.raises(CheckpointError, match="resume=True needs out=, the folder of the run"):
        run(tiny, small_data, resume=True)
    with pytest.raises(CheckpointError, match=r"load: there is no file .*checkpoint\.safetensors"):
        run(tiny, small_data, tmp_path / "nothing", resume=True)


def test_a_run_is_not_overwritten(tiny, small_data, tmp_path):
    run({**tiny, "epochs": 1}, small_data, tmp_path)
    before = bytes_of(tmp_path)
    with pytest.raises(CheckpointError, match=r"fit: .* holds the checkpoint\.safetensors of a run; go on with it by"):
        run({**tiny, "epochs": 1}, small_data, tmp_path)
    assert bytes_of(tmp_path) == before


def test_a_checkpoint_of_something_else_is_refused(tiny, small_data, tmp_path):
    mc.save(tmp_path / "checkpoint.safetensors", {"model": {}})
    with pytest.raises(CheckpointError, match="is not the checkpoint of a run"):
        run(tiny, small_data, tmp_path, resume=True)


# Refusals


@pytest.mark.parametrize(
    ("model", "train", "test", "error", "text"),
    [
        (lambda x: x, blobs(), None, DTypeError, "fit: model must be an nn.Module, got function"),
        (nn.Linear(3, 2), [], None, DataError, "fit: train_data is empty, there is nothing to learn from"),
        (nn.Linear(3, 2), None, None, DataError, "fit: train_data is empty, there is nothing to learn from"),
        (nn.Linear(3, 2), blobs(), [], DataError, "fit: test_data is empty; give None to train without a test"),
        (
            nn.Linear(3, 2), DataLoader(blobs(), 4), None, DTypeError,
            "fit: train_data is a DataLoader, needs its data set; batch_size is a field of config",
        ),
        (nn.Linear(3, 2), 7, None, DTypeError, "fit: train_data must be a data set, with a length and items, got int"),
        (nn.ReLU(), blobs(), None, ShapeError, "AdamW: params is empty"),
        (
            nn.Linear(3, 2), np.zeros((4, 3), np.float32), None, DataError,
            "fit: the items of train_data must be pairs (input, label) of arrays or numbers",
        ),
        (
            nn.Linear(3, 2), Pairs(np.zeros((4, 3), np.float32), [0, 1, 2, 0]), None, ShapeError,
            "cross_entropy: ",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_refusals(model, train, test, error, text):
    with pytest.raises(error) as caught:
        fit(model, train, test, {"epochs": 1, "batch_size": 2})
    assert str(caught.value).startswith(text)


def test_an_empty_batch_is_refused():
    class Forgetful(Pairs):
        transform = None

        def batch(self, indices: list[int]) -> tuple[np.ndarray, np.ndarray]:
            return self.inputs[:0], np.zeros(0, np.int64)

    data = blobs()
    with pytest.raises(DataError, match=r"fit: a batch of train_data is empty, its inputs have shape \(0, 3\)"):
        fit(nn.Linear(3, 2), Forgetful(data.inputs, data.labels), None, {"epochs": 1})


def test_an_unknown_field_is_refused():
    with pytest.raises(DataError, match="config: 'learning_rate' is unknown; there are model, options"):
        fit(nn.Linear(3, 2), blobs(), None, {"learning_rate": 1})


def test_a_config_of_another_kind_is_refused():
    with pytest.raises(DTypeError, match="fit: config must be a Config or a dict of its fields, got int"):
        fit(nn.Linear(3, 2), blobs(), None, 5)


# NaN


class Reciprocal(mc.Function):
    """1 / x with a fault planted in one direction."""

    where = ""

    @staticmethod
    def forward(ctx, x):
        ctx.save(x)
        y = 1 / x
        if Reciprocal.where == "forward":
            y[1, 2] = np.nan
        return y

    @staticmethod
    def backward(ctx, dy):
        dx = -dy / ctx.saved**2
        if Reciprocal.where == "backward":
            dx[3, 0] = -np.inf
        return dx


class Faulty(nn.Module):
    def forward(self, x):
        return Reciprocal.apply(x)


@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("forward", "the loss is nan. Reciprocal: forward gave nan at index (1, 2)"),
        ("backward", "the norm of the gradients is inf. Reciprocal: backward gave -inf at index (3, 0)"),
    ],
)
def test_a_number_that_is_none_stops_the_run_and_names_operation_layer_and_line(monkeypatch, where, what):
    monkeypatch.setattr(Reciprocal, "where", where)
    model = nn.Sequential(nn.Linear(3, 3), Faulty(), nn.Linear(3, 2), nn.Dropout(0.5))
    with pytest.raises(NumericsError) as caught:
        fit(model, blobs(), None, {"epochs": 1, "lr": 0.25})
    text = str(caught.value)
    assert text.startswith(f"fit: epoch 1, step 1: {what}")
    number = Faulty.forward.__code__.co_firstlineno + 1
    assert f"in layer 1 (Faulty), line {number} of test_fit.py; what it was given was finite" in text
    assert text.endswith("A smaller lr often helps (it is 0.25)")


def test_a_nan_among_the_data_is_named(tmp_path):
    data = blobs()
    data.inputs[4, 1] = np.nan
    with pytest.raises(NumericsError, match=r"forward gave nan .* its argument 1, of shape \(12, 3\), has such"):
        fit(nn.Linear(3, 2), data, None, {"epochs": 1, "batch_size": 12}, out=tmp_path)
    assert not list(tmp_path.iterdir())  # a broken state is not saved


def test_a_parameter_that_has_become_infinite_is_named():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with mc.no_grad():
        model[2].bias.fill_(np.inf)
    with pytest.raises(NumericsError, match=r"in layer 2 \(Linear\).*; its parameter 2\.bias has such a number"):
        fit(model, blobs(), None, {"epochs": 1})


def test_a_learning_rate_that_is_far_too_large_ends_in_one_sentence(tiny, small_data, device):
    with pytest.raises(NumericsError, match=r"fit: epoch 1, step \d: .* A smaller lr often helps \(it is 1e\+36\)$"):
        run({**tiny, "lr": 1e36}, small_data)


def test_the_state_before_a_nan_is_there_to_look_at(tiny, small_data, tmp_path):
    rows = []

    def report(row: dict[str, float], speed: float) -> None:
        rows.append(row)
        if len(rows) == 2:
            small_data[0].images[:] = np.nan

    small_data[0].images = small_data[0].images.copy()
    with pytest.raises(NumericsError, match="fit: epoch 3, step 1: the loss is nan"):
        run(tiny, small_data, tmp_path, report=report)
    assert mc.load(tmp_path / "checkpoint.safetensors")["epoch"] == 2


def test_a_config_and_a_dict_are_the_same(tmp_path):
    for name, config in (("dict", {"epochs": 1}), ("config", from_dict({"epochs": 1}))):
        mc.manual_seed(0)
        fit(nn.Linear(3, 2), blobs(), None, config, out=tmp_path / name)
    assert bytes_of(tmp_path / "dict") == bytes_of(tmp_path / "config")

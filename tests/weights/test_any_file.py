"""`load_weights`: every format by the name of the file, and where in a file the state dict is."""

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn.errors import CheckpointError
from minicnn.weights import load_weights, save_npz, save_safetensors

STATE = {"a.weight": np.arange(3.0, dtype=np.float32), "a.bias": np.ones(1, np.float32)}


def as_torch() -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in STATE.items()}


WRITERS = {
    "a.pth": lambda path: torch.save(as_torch(), path),
    "a.PT": lambda path: torch.save(as_torch(), path),
    "a.safetensors": lambda path: save_safetensors(path, STATE),
    "a.npz": lambda path: save_npz(path, STATE),
    "a.mc": lambda path: mc.save(path, {name: mc.tensor(array) for name, array in STATE.items()}),
    "around.pth": lambda path: torch.save({"epoch": 1, "state_dict": as_torch()}, path),
    "model.pt": lambda path: torch.save({"model": as_torch(), "optimizer": {}}, path),
    "model.mc": lambda path: mc.save(path, {"model_state_dict": {n: mc.tensor(a) for n, a in STATE.items()}}),
    "parallel.pth": lambda path: torch.save({f"module.{name}": x for name, x in as_torch().items()}, path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format(name, tmp_path):
    WRITERS[name](tmp_path / name)
    found = load_weights(tmp_path / name)
    assert sorted(found) == sorted(STATE)
    for key, array in STATE.items():
        np.testing.assert_array_equal(found[key].numpy(), array)


def test_only_one_module_is_taken_off(tmp_path):
    """A name that begins so by itself stays, if others do not."""
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "a.pth")
    assert list(load_weights(tmp_path / "a.pth")) == ["module.a", "b"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"epoch": 1, "weights": {"a": torch.ones(1)}}, "a dict of 'epoch', 'weights'"),
        ({}, "a dict of nothing"),
        ([torch.ones(1)], "a list"),
        (torch.ones(1), "a Tensor"),
        ({10**5000: 1, "x" * 10**6: 2, None: 3}, f"a dict of a int, '{'x' * 40}', a NoneType"),
    ],
)
def test_no_state_dict(value, text, tmp_path):
    torch.save(value, tmp_path / "a.pth")
    with pytest.raises(CheckpointError) as caught:
        load_weights(tmp_path / "a.pth")
    assert str(caught.value) == f"load_weights: {tmp_path / 'a.pth'} holds no state dict, but {text}"


def test_names_that_are_no_texts(tmp_path):
    torch.save({0: torch.ones(1)}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"a name in its state dict is no text$"):
        load_weights(tmp_path / "a.pth")


def test_unknown_endings(tmp_path):
    for name, ending in (("a.bin", r"\.bin"), ("a", "nothing")):
        with pytest.raises(
            CheckpointError, match=rf"ends in {ending}, needs \.pth, \.pt, \.safetensors, \.npz, \.dat or"
        ):
            load_weights(tmp_path / name)

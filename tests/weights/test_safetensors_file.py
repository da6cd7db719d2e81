"""Files that the package safetensors writes and reads."""

import json
import struct

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

import minicnn as mc
from minicnn.errors import CheckpointError, DTypeError
from minicnn.weights import load_safetensors, save_safetensors

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_type(dtype):
    x = {"a": (torch.arange(-6, 6).reshape(3, 4) * 0.37).to(dtype), "0-d": torch.tensor(1).to(dtype)}
    found = load_safetensors(safetensors.torch.save(x, {"format": "pt"}))
    assert sorted(found) == sorted(x)
    for name, tensor in x.items():
        wide = tensor.float() if dtype in (torch.float16, torch.bfloat16) else tensor
        assert found[name].dtype == wide.numpy().dtype
        assert found[name].shape == tuple(wide.shape)
        np.testing.assert_array_equal(found[name].numpy(), wide.numpy())


def state() -> dict[str, mc.Tensor]:
    rng = np.random.default_rng(0)
    return {
        "conv.weight": mc.tensor(rng.normal(size=(3, 2, 2)).astype(np.float32).transpose(2, 0, 1)),
        "counts": mc.tensor(np.arange(5)),
        "0-d": mc.tensor(2.5),
        "empty": mc.zeros(3, 0),
        "mask": mc.tensor([True, False]),
        "double": mc.tensor(rng.normal(size=3)),
    }


def test_round_trip(tmp_path, device):
    save_safetensors(tmp_path / "a.safetensors", state())
    found = load_safetensors(tmp_path / "a.safetensors")
    theirs = safetensors.numpy.load_file(tmp_path / "a.safetensors")
    assert sorted(found) == sorted(theirs) == sorted(state())
    for name, tensor in state().items():
        assert (found[name].dtype, found[name].shape, found[name].device) == (tensor.dtype, tensor.shape, device)
        np.testing.assert_array_equal(found[name].numpy(), tensor.numpy())
        np.testing.assert_array_equal(theirs[name], tensor.numpy())


def test_arrays_of_the_other_byte_order(tmp_path):
    save_safetensors(tmp_path / "a", {"x": np.arange(3, dtype=">i4")})
    np.testing.assert_array_equal(load_safetensors(tmp_path / "a")["x"].numpy(), [0, 1, 2])


def file(header: object, numbers: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


def entry(dtype: str = "F32", shape: object = (1,), begin: int = 0, end: int = 4) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234567",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2**64 - 1) + b"{}",
        struct.pack("<Q", 10**9) + b"{}",
        file(b"{"),
        file(b"\xff\xfe"),
        file([]),
        file({"x": 1}),
        file({"x": entry()}),  # no numbers
        file({"x": entry()}, b"12345678"),  # too many
        file({"x": entry(shape=[2])}, b"1234"),
        file({"x": entry(shape=[-1])}, b"1234"),
        file({"x": entry(shape=[2**62, 4])}, b"1234"),
        file({"x": entry(shape=[2**64])}, b"1234"),
        file({"x": entry(end=2**63)}, b"1234"),
        file({"x": entry(begin=4, end=0)}, b"1234"),
        file({"x": entry(), "y": entry()}, b"1234"),  # both the same place
        file({"x": entry("F13")}, b"1234"),
        file(b'{"x":' + 100_000 * b"[" + 100_000 * b"]" + b"}"),
        file({"x": entry(shape=[0, 2**63], end=0)}),
    ],
    ids=range(21),
)
def test_damaged_and_hostile_files(content):
    with pytest.raises(
        CheckpointError, match=r"^load_safetensors( is no safetensors file, or is damaged: |: tensor 'x')"
    ):
        load_safetensors(content)


def test_a_name_that_is_there_twice():
    one = json.dumps(entry())
    content = file(f'{{"x":{one},"x":{one}}}'.encode(), b"1234")
    with pytest.raises(CheckpointError, match=r"^load_safetensors: its header has the name 'x' twice$"):
        load_safetensors(content)


def test_types_that_there_are_not():
    with pytest.raises(CheckpointError, match=r"^load_safetensors: tensor 'x' is F8_E5M2, known are F64, F32"):
        load_safetensors(file({"x": entry("F8_E5M2", [4])}, b"1234"))
    with pytest.raises(CheckpointError, match=r"tensor 'x' is bool and holds the byte 51, needs 0 or 1$"):
        load_safetensors(file({"x": entry("BOOL", [3], 0, 3)}, b"\0\x013"))


@pytest.mark.parametrize(
    ("state", "kind", "text"),
    [
        ({"x": 1.0}, CheckpointError, "x is a float, needs a tensor or an array"),
        ({1: np.ones(1)}, CheckpointError, "1 is no name, needs a str"),
        ({"x": np.ones(1, complex)}, CheckpointError, "x is an array of complex128, known are float64"),
        ({"x": np.ones(1, np.uint16)}, CheckpointError, "x is an array of uint16, known are float64"),
        ({"__metadata__": np.ones(1)}, CheckpointError, "'__metadata__' is the one name that the format keeps"),
        ([np.ones(1)], DTypeError, "needs a dict of tensors, got list"),
    ],
)
def test_what_cannot_be_saved(state, kind, text, tmp_path):
    with pytest.raises(kind) as caught:
        save_safetensors(tmp_path / "a", state)
    assert str(caught.value).startswith(f"save_safetensors: {text}")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match=r"^save_safetensors: cannot write \S+a: No such file or directory$"):
        save_safetensors(tmp_path / "nowhere" / "a", {})

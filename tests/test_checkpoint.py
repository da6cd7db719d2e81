import json
import struct
import subprocess
import sys

import numpy as np
import pytest

import minicnn as mc
from minicnn.checkpoint import load, save
from minicnn.errors import CheckpointError


def state() -> dict:
    return {
        "model": {"conv.weight": mc.tensor(np.arange(6, dtype=np.float32).reshape(2, 3)), "n": mc.tensor(3)},
        "optimizer": {"state": {0: {"step": 5, "m": np.arange(3.0)}, 1: {}}, "groups": [{"b": (0.9, 1)}]},
        "text": "Å", "none": None, "flag": True, "big": 2**70, "odd": [float("inf"), -0.0, 1e-320],
        "$odd key": np.array([], dtype=np.int16).reshape(0, 4), "mask": np.array([True, False]),
    }  # fmt: skip


def assert_same(a: object, b: object) -> None:
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            assert_same(x, y)
    elif isinstance(a, mc.Tensor | np.ndarray):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    else:
        assert repr(a) == repr(b)


def test_everything_comes_back(tmp_path):
    save(tmp_path / "a.mc", state())
    assert_same(load(tmp_path / "a.mc"), state())


def test_memory_layout_does_not_matter(tmp_path):
    x = np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1)[::-1]
    save(tmp_path / "a", {"x": x})
    np.testing.assert_array_equal(load(tmp_path / "a")["x"], x)


def test_other_tools_can_read_the_tensors(tmp_path):
    from safetensors.numpy import load_file

    save(tmp_path / "a", state())
    np.testing.assert_array_equal(load_file(tmp_path / "a")["model.conv.weight"], [[0, 1, 2], [3, 4, 5]])


def test_the_same_state_gives_the_same_bytes(tmp_path):
    save(tmp_path / "a", state())
    save(tmp_path / "b", state())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_any_flipped_byte_is_an_error_or_changes_nothing(tmp_path):
    save(tmp_path / "a", state())
    original = (tmp_path / "a").read_bytes()
    refused = 0
    for i in range(len(original)):
        (tmp_path / "b").write_bytes(original[:i] + bytes([original[i] ^ 1 << i % 8]) + original[i + 1 :])
        try:
            assert_same(load(tmp_path / "b"), state())
        except CheckpointError:
            refused += 1
    assert refused > 0.98 * len(original)


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 9, 100, -1])
def test_a_truncated_file_is_refused(tmp_path, cut):
    save(tmp_path / "a", state())
    (tmp_path / "b").write_bytes((tmp_path / "a").read_bytes()[:cut])
    with pytest.raises(CheckpointError, match="is damaged or is no checkpoint"):
        load(tmp_path / "b")


def test_a_huge_header_is_refused_without_allocating_it(tmp_path):
    (tmp_path / "a").write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(CheckpointError):
        load(tmp_path / "a")


def test_swapped_tensors_are_noticed(tmp_path):
    save(tmp_path / "a", {"x": np.zeros(3), "y": np.ones(3)})
    raw = (tmp_path / "a").read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + size])
    header["x"], header["y"] = header["y"], header["x"]
    text = json.dumps(header, separators=(",", ":")).encode().ljust(size)
    (tmp_path / "b").write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + size :])
    with pytest.raises(CheckpointError, match="SHA-256 of tensor 'x' differs"):
        load(tmp_path / "b")


def test_what_cannot_be_saved_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"model\.f is a function"):
        save(tmp_path / "a", {"model": {"f": abs.__class__ and (lambda: 0)}})
    with pytest.raises(CheckpointError, match=r"has the key \(1,\)"):
        save(tmp_path / "a", {(1,): 2})
    assert not list(tmp_path.iterdir())


def test_a_failed_save_leaves_the_former_file(tmp_path, monkeypatch):
    save(tmp_path / "a", {"x": 1})

    def no_space(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", no_space)
    with pytest.raises(CheckpointError, match="No space left"):
        save(tmp_path / "a", {"x": 2})
    assert load(tmp_path / "a") == {"x": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_missing_and_foreign_files(tmp_path):
    from safetensors.numpy import save_file

    with pytest.raises(CheckpointError, match="there is no file"):
        load(tmp_path / "a")
    save_file({"x": np.zeros(2)}, tmp_path / "b")
    with pytest.raises(CheckpointError, match=r"was not written by mc\.save"):
        load(tmp_path / "b")


def test_safetensors_is_imported_only_when_needed():
    code = "import minicnn, sys; sys.exit('safetensors' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

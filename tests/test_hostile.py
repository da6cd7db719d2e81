"""Files and arguments made to do harm: each gets an error of minicnn.errors, and nothing is done for it first."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import minicnn as mc
import minicnn.functional as F
from minicnn.checkpoint import FORMAT
from minicnn.data import DataLoader, read_pgm
from minicnn.data.orl import _files_in_zip
from minicnn.errors import CheckpointError, DataError, DTypeError, ShapeError

# Checkpoints: their SHA-256 is right, their content is not


@pytest.mark.parametrize(
    "content",
    [
        "{nonsense",
        "[]",
        "{}",
        '{"structure": 1, "sha256": []}',
        '{"structure": {"$tensor": "nowhere"}, "sha256": {}}',
        '{"structure": {"$tensor": ["a list"]}, "sha256": {}}',
        '{"structure": {"$array": 3}, "sha256": {}}',
        '{"structure": {"$dict": 3}, "sha256": {}}',
        '{"structure": {"$dict": [[[1], 2]]}, "sha256": {}}',
        '{"structure": {"$tuple": 3}, "sha256": {}}',
        pytest.param('{"structure": ' + 100_000 * "[" + 100_000 * "]" + ', "sha256": {}}', id="deep"),
        pytest.param('{"structure": ' + 5_000 * "9" + ', "sha256": {}}', id="digits"),
    ],
)
def test_forged_metadata(content, tmp_path):
    path = tmp_path / "forged"
    metadata = {FORMAT: hashlib.sha256(content.encode()).hexdigest() + content}
    path.write_bytes(safetensors.numpy.save({}, metadata))
    with pytest.raises(CheckpointError, match=r"is no checkpoint: its metadata do not describe a state \(\w+\)$"):
        mc.load(path)


def test_state_that_holds_itself(tmp_path):
    state: dict[str, object] = {}
    state["self"] = state
    with pytest.raises(CheckpointError, match=r"^save: the state is nested too deeply, or holds itself$"):
        mc.save(tmp_path / "state", state)
    assert list(tmp_path.iterdir()) == []


def test_integers_without_end(tmp_path):
    with pytest.raises(CheckpointError, match=r"^save: the state holds a whole number of too many digits$"):
        mc.save(tmp_path / "state", 10**5000)


def test_name_that_safetensors_keeps_for_itself(tmp_path):
    mc.save(tmp_path / "state", {"__metadata__": np.arange(2), "__metadata__'": np.arange(3)})
    loaded = mc.load(tmp_path / "state")
    assert list(loaded) == ["__metadata__", "__metadata__'"]
    assert [len(array) for array in loaded.values()] == [2, 3]


def test_names_in_any_script(tmp_path):
    state = {"größe_😀": mc.ones(2), "": {"ä.ö": 1.0}}
    mc.save(tmp_path / "ü😀", state)
    assert list(mc.load(tmp_path / "ü😀")) == list(state)


def test_paths_that_are_none():
    for function, call in (("save", lambda path: mc.save(path, {})), ("load", mc.load), ("read_pgm", read_pgm)):
        with pytest.raises(DTypeError, match=f"^{function}: path must be a str or a Path, got NoneType$"):
            call(None)
        with pytest.raises((CheckpointError, DataError), match=rf"^{function}: path 'a\\x00b' holds a NUL character"):
            call("a\0b")


# Archives


def archive(method: int, names: tuple[str, ...]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as opened:
        for name in names:
            opened.writestr(name, b"P5 " + bytes(9_000))
    return file.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_damaged_archive_is_a_data_error(method):
    whole = archive(method, ("faces/s1/1.pgm", "ü/s1/3.pgm"))
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(len(whole), size=3):
            damaged[place] = rng.integers(256)
        try:
            _files_in_zip(io.BytesIO(bytes(damaged)))
        except DataError:  # and no other
            refused += 1
    assert refused > 50


def test_archive_leaves_its_folder_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = _files_in_zip(io.BytesIO(archive(zipfile.ZIP_DEFLATED, ("../../s1/1.pgm", "/etc/s1/2.pgm", "/etc/x"))))
    assert sorted(found) == ["s1/1.pgm", "s1/2.pgm"]  # as bytes, to be verified; nothing is unpacked
    assert list(tmp_path.iterdir()) == []


def test_bomb_in_an_archive_is_not_unpacked():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("s1/1.pgm", bytes(50_000_000))
    assert _files_in_zip(file) == {}


def test_picture_that_claims_to_be_huge(tmp_path: Path):
    for magic in ("P5", "P2"):
        (tmp_path / "bomb.pgm").write_text(f"{magic} 9999999999 9999999999 255\n1")
        with pytest.raises(DataError, match=r"the picture is cut short"):
            read_pgm(tmp_path / "bomb.pgm")


# Arguments


@pytest.mark.parametrize(
    "call",
    [
        lambda: F.conv2d(mc.ones(1, 1, 4, 4), mc.ones(1, 1, 3, 3), padding=2**30),
        lambda: F.conv2d(mc.ones(1, 1, 4, 4), mc.ones(1, 1, 3, 3), stride=2**70),
        lambda: F.conv_transpose2d(mc.ones(1, 1, 4, 4), mc.ones(1, 1, 3, 3), stride=2**30),
        lambda: F.adaptive_avg_pool2d(mc.ones(1, 1, 4, 4), 2**30),
        lambda: F.adaptive_max_pool2d(mc.ones(1, 1, 4, 4), 10**12),
        lambda: F.max_pool2d(mc.ones(1, 1, 4, 4), 2, stride=2**70),
        lambda: F.pad(mc.ones(1, 1, 4, 4), (2**70, 0)),
        lambda: F.expand(mc.ones(1), (2**70,)),
        lambda: F.one_hot(mc.tensor([0]), 2**70),
        lambda: mc.zeros(2**70),
        lambda: mc.eye(2**40),
        lambda: mc.linspace(0, 1, 2**70),
        lambda: mc.full((2,), 10**400),
        lambda: mc.nn.Linear(2**40, 2**40),
        lambda: mc.nn.Conv2d(2**40, 2**40, 3),
    ],
)
def test_sizes_beyond_any_memory(call, device):
    with pytest.raises(
        ShapeError, match=r"needs at most 2147483647$|has more than \d+ elements$|too large for a float$"
    ):
        call()


def test_integers_that_no_float_holds():
    with pytest.raises(DTypeError, match=r"^mul: a whole number of 1329 bits does not fit into float32$"):
        mc.ones(2) * 10**400


def test_batch_of_unlike_items_is_no_tensor_of_objects():
    for items in ([1.0, None], [1.0, "a"], [{"a": 1}, {"b": 1}], [(1, 2), 3]):
        with pytest.raises(DataError, match=r"^DataLoader: "):
            list(DataLoader(items, 2))


def test_json_of_a_forged_file_is_not_executed(tmp_path):
    content = json.dumps({"structure": {"__reduce__": ["os.system", "false"]}, "sha256": {}})
    path = tmp_path / "forged"
    path.write_bytes(safetensors.numpy.save({}, {FORMAT: hashlib.sha256(content.encode()).hexdigest() + content}))
    assert mc.load(path) == {"__reduce__": ["os.system", "false"]}

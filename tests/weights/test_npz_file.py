"""Files that NumPy writes and reads."""

import io
import struct
import zipfile

import numpy as np
import pytest

import minicnn as mc
from minicnn.errors import CheckpointError
from minicnn.weights import load_npz, save_npz

TYPES = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "?"]


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def of(content: bytes, name: str = "x.npy") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def npy(header: str, numbers: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode() + b"\n"
    length = len(text).to_bytes(2 if version == b"\x01\x00" else 4, "little")
    return b"\x93NUMPY" + version + length + text + numbers


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", TYPES)
def test_every_type(kind, order):
    x = (np.arange(-6, 6).reshape(3, 4) * 0.37).astype(order + kind)
    found = load_npz(npz(x=x, fortran=np.asfortranarray(x), zero_d=x[0, 0], empty=x[:0]))
    for name, array in (("x", x), ("fortran", x), ("zero_d", x[0, 0]), ("empty", x[:0])):
        assert found[name].dtype == (np.float32 if kind == "f2" else x.dtype.newbyteorder("="))
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name].numpy(), array)


def test_round_trip(tmp_path, device):
    state = {
        "conv.weight": mc.tensor(np.arange(12.0).reshape(3, 4).T), "n": mc.tensor(3), "mask": mc.tensor([True]),
        "file": mc.ones(2), "allow_pickle": mc.ones(1), "args": mc.ones(1), "empty": mc.zeros(0, 2),
    }  # fmt: skip
    save_npz(tmp_path / "a.npz", state)
    found, theirs = load_npz(tmp_path / "a.npz"), np.load(tmp_path / "a.npz")
    assert list(found) == theirs.files == list(state)
    for name, tensor in state.items():
        assert (found[name].dtype, found[name].shape, found[name].device) == (tensor.dtype, tensor.shape, device)
        np.testing.assert_array_equal(found[name].numpy(), tensor.numpy())
        np.testing.assert_array_equal(theirs[name], tensor.numpy())
    save_npz(tmp_path / "b.npz", state)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("name", ["", "a\\b", "/a", "a\0b"])
def test_names_that_an_archive_has_not(name, tmp_path):
    with pytest.raises(CheckpointError, match=r"^save_npz: '.*' cannot be the name of an entry of a zip archive$"):
        save_npz(tmp_path / "a.npz", {name: np.ones(1)})
    assert list(tmp_path.iterdir()) == []


def test_pickles_and_compressed_files_are_refused():
    stream = io.BytesIO()
    np.savez_compressed(stream, x=np.zeros(1000))
    with pytest.raises(CheckpointError, match=r"entry 'x\.npy' is compressed; weights are read uncompressed only$"):
        load_npz(stream.getvalue())
    with pytest.raises(CheckpointError, match=r"array 'x.npy' holds object, known are float64, "):
        load_npz(npz(x=np.array([print, None])))


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is no .npz file: it is not a zip archive"),
        (b"PK\x03\x04", "is a damaged zip archive"),
        (of(b"hello", "readme"), "entry 'readme' is not an array: its name does not end in .npy"),
        (of(b""), "array 'x.npy' is damaged: ValueError"),
        (of(npy(GOOD, b"1234")), "has 4 bytes, the shape (2,) of float32 needs 8"),
        (of(npy(GOOD, b"123456789")), "has 9 bytes, the shape (2,) of float32 needs 8"),
        (of(npy(GOOD.replace("2,", "-2,"), b"")), "the shape (-2,) of float32 needs -8"),
        (of(npy(GOOD.replace("2,", "-1,-2,"), b"12345678")), "has 8 bytes, the shape (-1, -2) of float32 needs 8"),
        (of(npy(GOOD.replace("2,", "2**70,"), b"")), "is damaged: ValueError"),
        (of(npy(GOOD.replace("2,", "0,9223372036854775808,"), b"")), "has the shape (0, 9223372036854775808)"),
        (of(npy(GOOD.replace("'<f4'", "('<f4', (1,))"), b"12345678")), "holds ('<f4', (1,))"),
        (of(npy(GOOD.replace("'<f4'", "'|O'"), b"12345678")), "holds object"),
        (of(npy(GOOD.replace("'<f4'", "[('a', '<f4')]"), b"12345678")), "holds"),
        (of(npy(GOOD.replace("'<f4'", "'<c8'"), b"1234567812345678")), "holds complex64"),
        (of(npy("__import__('os').system('echo executed')")), "is damaged: ValueError: malformed node"),
        (of(npy(5000 * "(" + 5000 * ")")), "is damaged:"),
        (of(npy(GOOD + 20_000 * " ", b"12345678")), "is damaged: ValueError: Header info length"),
        (of(npy(GOOD, b"12345678", b"\x09\x00")), "is damaged: KeyError"),
    ],
)
def test_damaged_and_hostile_files(content, text):
    with pytest.raises(CheckpointError) as caught:
        load_npz(content)
    assert str(caught.value).startswith("load_npz")
    assert text in str(caught.value)


def test_a_directory_that_does_not_name_all_entries():
    content = npz(x=np.ones(2), y=np.ones(200))
    start, last, end = content.index(b"PK\x01\x02"), content.rindex(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    for directory in (content[start:last], content[last:end], b""):  # without y, without x, without both
        count = len(directory) // (last - start)
        tail = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, count, count, len(directory), start, 0)
        with pytest.raises(CheckpointError, match=r"has bytes before (its directory|entry 'y\.npy') that belong to no"):
            load_npz(content[:start] + directory + tail)
    assert load_npz(npz()) == {}

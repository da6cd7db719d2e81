"""ImageFolder: the user's own pictures, one subfolder for each class."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from ..errors import DataError, ShapeError
from .dataset import Batch, Dataset, Images, Transform, item_number
from .pgm import decode_pgm, read_bytes

EXTENSIONS = (".pgm", ".png", ".jpg", ".jpeg")


class ImageFolder(Dataset):
    """The pictures below `root`: `root/<class>/…/<picture>`, labels 0, 1, … in the order of the class names.

    Items are `(image (C, H, W) float32 in [0, 1], label)`, sorted by class and path; `transform`, if given,
    is applied to the image. C is 1 for a grey picture, 3 (red, green, blue) for one in colour;
    `channels=1` makes all grey (0.299 R + 0.587 G + 0.114 B), `channels=3` all three-channelled. A picture's
    transparency, and a camera's note that it should be turned, are not looked at. Names that begin with a dot
    are passed over. PGM is read by `minicnn.data.pgm`, everything else by Pillow. Pictures are read
    when asked for, not kept.

    `classes` holds the names, `class_to_idx` their labels, `samples` the pairs (path, label), `names` the paths
    below `root`, `labels` the labels as an array. `batch(indices)` reads several pictures, without the
    transform.

    Raises `DataError` if there is no class folder or one without pictures, and when a picture that is asked
    for cannot be read.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        transform: Transform | None = None,
        extensions: Sequence[str] = EXTENSIONS,
        channels: int | None = None,
    ) -> None:
        if channels not in (None, 1, 3):
            raise ShapeError(f"ImageFolder: channels is {channels!r}, needs 1 (grey), 3 (colour) or None (as it comes)")
        self.root = Path(root)
        self.transform = transform
        self.channels = channels
        self.classes = _class_names(self.root)
        self.class_to_idx = {name: label for label, name in enumerate(self.classes)}
        self.samples: list[tuple[Path, int]] = []
        for name, label in self.class_to_idx.items():
            pictures = _pictures(self.root / name, tuple(e.lower() for e in extensions))
            if not pictures:
                raise DataError(
                    f"ImageFolder: {self.root / name} holds no picture ({', '.join(extensions)}); "
                    "put some there, remove the folder, or name other extensions="
                )
            self.samples += [(path, label) for path in pictures]
        self.names = [path.relative_to(self.root).as_posix() for path, _ in self.samples]
        self.labels = np.array([label for _, label in self.samples], np.int64)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: SupportsIndex) -> tuple[Any, int]:
        path, label = self.samples[item_number("ImageFolder", index, len(self))]
        image = read_image(path, self.channels)
        return (image if self.transform is None else self.transform(image)), label

    def batch(self, indices: Sequence[SupportsIndex]) -> Batch:
        """Return the images and labels of several items, without the transform.

        Images are one array (N, C, H, W), or a list of (C, H, W) if they differ in size or channels.
        """
        numbers = [item_number("ImageFolder", i, len(self)) for i in indices]
        images = [read_image(self.samples[i][0], self.channels) for i in numbers]
        same = len({image.shape for image in images}) == 1
        return (np.stack(images) if same else images), self.labels[numbers]


def _class_names(root: Path) -> list[str]:
    if not root.is_dir():
        raise DataError(f"ImageFolder: {root} is no folder; check the path")
    names = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise DataError(
            f"ImageFolder: {root} holds no class folders; needs one subfolder for each class, "
            "such as anna/1.png, anna/2.png, ben/1.png"
        )
    return names


def _pictures(folder: Path, extensions: tuple[str, ...]) -> list[Path]:
    found = []
    for parent, subfolders, files in os.walk(folder):
        subfolders[:] = sorted(s for s in subfolders if not s.startswith("."))
        found += [Path(parent, f) for f in sorted(files) if f.lower().endswith(extensions) and not f.startswith(".")]
    return found


def read_image(path: str | os.PathLike[str], channels: int | None = None) -> Images:
    """Read a picture as float32 (C, H, W) in [0, 1]; `channels` as for `ImageFolder`.

    Raises `DataError` naming the file if it cannot be read.
    """
    data = read_bytes("read_image", path)
    name = f"read_image: {os.fspath(path)}"
    if data[:2] in (b"P5", b"P2") or os.fspath(path).lower().endswith(".pgm"):
        samples, white = decode_pgm(data, name)
    else:
        samples, white = _decode_with_pillow(data, name)
    image: Images = np.atleast_3d(samples).transpose(2, 0, 1).astype(np.float32, order="C") / np.float32(white)
    if channels == 1 and len(image) == 3:
        red, green, blue = image
        image = (np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue)[np.newaxis]
    elif channels == 3 and len(image) == 1:
        image = np.repeat(image, 3, axis=0)
    return image


def _decode_with_pillow(data: bytes, name: str) -> tuple[npt.NDArray[Any], int]:
    """Return the samples, (H, W) or (H, W, 3), and the one that means white."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise DataError(f"{name}: only PGM is read without Pillow; pip install pillow, or convert it to PGM") from None
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.mode in ("I;16", "I"):  # 16 bits of grey; older versions of Pillow give them as "I"
                return np.asarray(picture).astype(np.uint16), 65535
            mode = "L" if picture.mode in ("1", "L", "LA") else "RGB"
            return np.asarray(picture.convert(mode)), 255
    except Exception as error:  # a decoder of Pillow may fail with any error of Python's
        reason = "unknown format" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"{name}: not a picture that Pillow can read ({reason}); get the file again") from None

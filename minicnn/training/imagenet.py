"""How well a network knows the pictures of a folder: top-1 and top-5, by one crop and by ten, as for ImageNet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import nn
from ..data import DataLoader, Dataset, ImageFolder
from ..data.transforms import Normalize, Resize
from ..errors import DataError, NumericsError, ShapeError
from ..ops import arguments
from .metrics import answer

Array = np.ndarray[Any, Any]

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pictures, in [0, 1]

HOW_PUBLISHED_FIGURES_WERE_COUNTED = (
    "AlexNet's 84.6 %, VGG's 92.7 % and ResNet's 96.43 % in surveys are top-5 figures of competition entries: "
    "the answers of 7, 7 and 6 networks averaged, over many crops or sizes of each picture. "
    "One network with one crop has less, and top-1 is another measure."
)


@dataclass(frozen=True)
class Score:
    """Percent of the pictures whose class is the most probable one, or among the five most probable."""

    top1: float
    top5: float | None  # None where there are five classes or fewer: everything is among them


def crops(image: Array, resize: int = 256, crop: int = 224, ten: bool = True) -> Array:
    """Return the squares of a picture, (C, H, W) → (10, C, crop, crop), or (1, …) without `ten`.

    The shorter side is brought to `resize` pixels. The first square is the centre, then come the four corners, then
    all five mirrored. Source: Krizhevsky, Sutskever, Hinton 2012, section 4.1.
    """
    if not 0 < crop <= resize:
        raise ShapeError(f"crops: crop is {crop}, needs 1 … resize, {resize}")
    image = Resize(resize)(image)
    bottom, right = (n - crop for n in image.shape[1:])
    places = [(round(bottom / 2), round(right / 2)), (0, 0), (0, right), (bottom, 0), (bottom, right)]
    squares = [image[:, y : y + crop, x : x + crop] for y, x in (places if ten else places[:1])]
    return np.stack(squares + [square[:, :, ::-1] for square in squares if ten])


def rank(probability: Array, labels: Array) -> Array:
    """Return how many classes come before each picture's own, (N, classes), (N,) → (N,); of equals the first one does.

    Raises NumericsError for what is not a number.
    """
    if np.isnan(probability).any():
        raise NumericsError("rank: the network answers NaN; do the weights belong to it?")
    own = np.take_along_axis(probability, labels[:, None], 1)
    earlier = np.arange(probability.shape[1]) < labels[:, None]
    result: Array = ((probability > own) | ((probability == own) & earlier)).sum(1)
    return result


class _Crops(Dataset):
    def __init__(self, folder: ImageFolder, resize: int, crop: int, ten: bool) -> None:
        self.folder, self.sizes, self.normalize = folder, (resize, crop, ten), Normalize(MEAN, STD)

    def __len__(self) -> int:
        return len(self.folder)

    def __getitem__(self, index: Any) -> tuple[Array, int]:
        image, label = self.folder[index]
        return self.normalize(crops(image, *self.sizes)), label


def evaluate(
    model: nn.Module,
    folder: ImageFolder,
    resize: int = 256,
    crop: int = 224,
    ten: bool = True,
    batch_size: int = 50,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Score]:
    """Return {"one_crop": …, "ten_crops": …}, the scores of a network in eval mode; without `ten` the first only.

    The probabilities of ten crops are averaged. `batch_size` counts crops; `progress(done, all)` counts pictures.
    Raises DataError if the network does not answer with one number for each class of the folder.
    """
    arguments.integer("evaluate", "batch_size", batch_size, 1)
    squares = 10 if ten else 1
    device = next((p.device for p in model.parameters()), None)
    loader = DataLoader(_Crops(folder, resize, crop, ten), max(batch_size // squares, 1), device=device)
    ranks: dict[str, list[Array]] = {"one_crop": [], **({"ten_crops": []} if ten else {})}
    done, classes = 0, len(folder.classes)
    for images, labels in loader:
        pictures = len(labels)
        found = answer(model, images.reshape(-1, *images.shape[2:]))
        if found.shape[1] != classes:
            raise DataError(
                f"evaluate: the network knows {found.shape[1]} classes, {folder.root} has {classes} folders"
            )
        found = found.reshape(pictures, squares, classes)
        ranks["one_crop"].append(rank(found[:, 0], labels.numpy()))
        if ten:
            ranks["ten_crops"].append(rank(found.mean(1), labels.numpy()))
        done += pictures
        if progress is not None:
            progress(done, len(folder))
    return {name: _score(np.concatenate(parts), classes) for name, parts in ranks.items()}


def _score(ranks: Array, classes: int) -> Score:
    top1, top5 = (100.0 * float((ranks < k).mean()) for k in (1, 5))
    return Score(top1, top5 if classes > 5 else None)

"""From the files of the ORL faces to what a network sees: the two halves of the split, each with its transform."""

from __future__ import annotations

from typing import Any

from ..data import ORLFaces, transforms
from .config import Config

# of all pixels of the ORL faces, rounded
MEAN, STD = 0.44, 0.20


def datasets(
    config: Config, root: str | None = None, *, download: bool = True, verify: bool = True
) -> tuple[ORLFaces, ORLFaces]:
    """Return the pictures for training and those for testing; `root`, `download`, `verify` as for `ORLFaces`."""
    split: dict[str, Any] = {
        "root": root, "download": download, "verify": verify,
        "train_per_subject": config.train_per_subject, "seed": config.split_seed,
    }  # fmt: skip
    return (
        ORLFaces(split="train", transform=train_transform(config), **split),
        ORLFaces(split="test", transform=test_transform(config), **split),
    )


def train_transform(config: Config) -> transforms.Compose:
    """Return what a picture goes through on its way into training."""
    steps: list[Any] = [transforms.Resize(config.image_size)]
    if config.augment:
        # The elastic displacements change within a 14th of the height and are about a fifth of that. Both warps
        # have one `fill`, so that the picture is resampled once.
        sigma = config.image_size[0] / 14
        steps += [
            transforms.RandomAffine(degrees=10, translate=(0.08, 0.08), scale=(0.88, 1.12), shear=5, fill="edge"),
            transforms.ElasticTransform(alpha=2.5 * sigma**2, sigma=sigma, fill="edge"),
            transforms.RandomHorizontalFlip(),
            transforms.ColorJitter(brightness=0.2, contrast=0.2),
            transforms.RandomLight(0.3),
        ]
    return transforms.Compose([*steps, transforms.Normalize(MEAN, STD)])


def test_transform(config: Config) -> transforms.Compose:
    """Return what a picture goes through on its way into a trained network."""
    return transforms.Compose([transforms.Resize(config.image_size), transforms.Normalize(MEAN, STD)])

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import minicnn as mc
from minicnn.data import ORLFaces
from minicnn.training import Config
from minicnn.training.pictures import datasets


@pytest.fixture(autouse=True)
def _reference() -> Iterator[None]:
    """For nets of this size kernels would be compiled longer than they run."""
    with mc.use_device("reference"):
        yield


@pytest.fixture
def tiny() -> dict[str, Any]:
    """A run of 3 × 8 steps on the small faces, with everything that draws random numbers."""
    return {
        "model": "resnet_orl", "options": {"widths": [4, 6], "depth": 6, "dropout": 0.1}, "image_size": [12, 10],
        "train_per_subject": 6, "epochs": 3, "steps_per_epoch": 8, "batch_size": 7, "lr": 0.03, "mirror": True,
    }  # fmt: skip


@pytest.fixture
def small_data(small_faces: Path, tiny: dict[str, Any]) -> tuple[ORLFaces, ORLFaces]:
    """30 pictures of 5 persons to train with, and 20 to test."""
    from minicnn.training.config import from_dict

    config: Config = from_dict(tiny)
    return datasets(config, str(small_faces), verify=False)

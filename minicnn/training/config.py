"""What a training run is made of: one flat record, and the recipes that fill it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .. import nn
from ..data import transforms
from ..errors import DataError
from ..ops import arguments

OPTIMIZERS = ("adamw", "adam", "sgd", "rmsprop")
SCHEDULES = ("onecycle", "cosine", "constant")


@dataclass(frozen=True)
class Config:
    """All choices of a run; `config.json` of its folder holds them. `fit` reads those under "training"."""

    # the network and the data
    model: str = "resnet_orl"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    image_size: tuple[int, int] = (56, 46)
    augment: bool = True
    train_per_subject: int = 5
    split_seed: int | None = None
    # training
    epochs: int = 30
    passes: int = 5  # how often one epoch shows each picture
    batch_size: int = 50
    optimizer: str = "adamw"
    lr: float = 4e-3
    weight_decay: float = 0.05
    momentum: float = 0.9
    schedule: str = "onecycle"
    label_smoothing: float = 0.1
    clip_norm: float = 5.0
    mirror: bool = True  # at test, average over the picture and its mirror image
    seed: int = 0

    def __post_init__(self) -> None:
        for field, minimum in (("epochs", 0), ("passes", 1), ("batch_size", 1), ("seed", 0)):
            arguments.integer("config", field, getattr(self, field), minimum)
        for field in ("lr", "clip_norm"):
            arguments.number("config", field, getattr(self, field), 0, open_low=True)
        arguments.number("config", "weight_decay", self.weight_decay, 0)
        arguments.probability("config", self.label_smoothing, "label_smoothing")
        arguments.choice("config", "optimizer", self.optimizer, OPTIMIZERS)
        arguments.choice("config", "schedule", self.schedule, SCHEDULES)
        object.__setattr__(self, "image_size", arguments.pair("config", "image_size", list(self.image_size), 1))

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON knows it."""
        return {**dataclasses.asdict(self), "options": dict(self.options), "image_size": list(self.image_size)}


def from_dict(values: Mapping[str, Any]) -> Config:
    """Return a record with these fields and the defaults for the others.

    Raises DataError for a name that is no field.
    """
    names = [field.name for field in dataclasses.fields(Config)]
    for name in values:
        if name not in names:
            raise DataError(f"config: {name!r} is unknown; there are {', '.join(names)}")
    return Config(**values)


RECIPES: dict[str, dict[str, Any]] = {
    "resnet_orl": {"model": "resnet_orl"},
    "vgg_orl": {"model": "vgg_orl", "options": {"dropout": 0.2}},
    "alexnet_orl": {"model": "alexnet_orl", "image_size": (112, 92), "epochs": 60, "lr": 1e-3},
    "mlp_orl": {"model": "mlp_orl", "epochs": 40, "lr": 2e-3},
    # As in Krizhevsky et al. 2012, section 5: SGD with momentum 0.9, weight decay 0.0005, no smoothing.
    "alexnet_2012": {
        "model": "alexnet_orl", "image_size": (112, 92), "epochs": 120, "optimizer": "sgd", "lr": 1e-2,
        "weight_decay": 5e-4, "label_smoothing": 0.0, "schedule": "cosine",
    },
}  # fmt: skip
"""Named sets of choices; the recipe of a model's own name is its default."""


def recipe(name: str, **changes: Any) -> Config:
    """Return a recipe's record with some fields changed. Raises DataError for an unknown recipe."""
    if name not in RECIPES:
        raise DataError(f"recipe {name!r} is unknown; there are {', '.join(RECIPES)}")
    return from_dict({**RECIPES[name], **changes})


def train_transform(config: Config) -> transforms.Compose:
    """Return what a picture goes through on its way into training."""
    steps: list[Any] = [transforms.Resize(config.image_size)]
    if config.augment:
        steps += [
            transforms.RandomAffine(degrees=10, translate=(0.08, 0.08), scale=(0.88, 1.12), shear=5, fill="edge"),
            transforms.ElasticTransform(alpha=8.0, sigma=4.0),
            transforms.RandomHorizontalFlip(),
            transforms.ColorJitter(brightness=0.2, contrast=0.2),
            transforms.RandomLight(0.3),
        ]
    return transforms.Compose([*steps, _normalized()])


def test_transform(config: Config) -> transforms.Compose:
    """Return what a picture goes through on its way into a trained network."""
    return transforms.Compose([transforms.Resize(config.image_size), _normalized()])


def _normalized() -> transforms.Normalize:
    return transforms.Normalize(mean=0.44, std=0.20)  # of all ORL pixels, rounded


def loss_function(config: Config) -> nn.Module:
    """Return the loss that a run minimises."""
    return nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)

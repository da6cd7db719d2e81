"""What a training run is made of: one flat record of choices."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import DataError, DTypeError
from ..ops import arguments

OPTIMIZERS = ("adamw", "adam", "sgd", "rmsprop")
SCHEDULES = ("onecycle", "cosine", "constant")


@dataclass(frozen=True)
class Config:
    """All choices of a run, as its `config.json` holds them; `fit` itself reads those under "training".

    Raises ShapeError for a value out of its range and DTypeError for one of the wrong kind.
    """

    # the network and what it sees
    model: str = "resnet_orl"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # keyword arguments of the model
    image_size: tuple[int, int] = (56, 46)
    augment: bool = True
    train_per_subject: int = 5
    split_seed: int | None = None
    # training
    epochs: int = 20
    steps_per_epoch: int | None = None  # None: as many as show each picture once
    batch_size: int = 50
    optimizer: str = "adamw"
    lr: float = 4e-3
    weight_decay: float = 0.05
    momentum: float = 0.9
    schedule: str = "onecycle"
    label_smoothing: float = 0.1
    clip_norm: float = 5.0
    mirror: bool = False  # at test, average over the picture and its mirror image
    seed: int = 0

    def __post_init__(self) -> None:
        name = "config"
        if not isinstance(self.model, str):
            raise DTypeError(f"{name}: model must be a name, got {self.model!r}")
        if not isinstance(self.options, Mapping) or not all(isinstance(key, str) for key in self.options):
            raise DTypeError(f"{name}: options must be a dict of the model's arguments, got {self.options!r}")
        object.__setattr__(self, "image_size", arguments.pair(name, "image_size", self.image_size, 1))
        for field in ("train_per_subject", "epochs", "batch_size"):
            arguments.integer(name, field, getattr(self, field), 1)
        arguments.integer(name, "seed", self.seed, 0)
        for field, minimum in (("split_seed", 0), ("steps_per_epoch", 1)):
            if getattr(self, field) is not None:
                arguments.integer(name, field, getattr(self, field), minimum)
        for field in ("lr", "clip_norm"):
            arguments.number(name, field, getattr(self, field), 0, open_low=True)
        for field in ("weight_decay", "momentum"):
            arguments.number(name, field, getattr(self, field), 0)
        arguments.probability(name, self.label_smoothing, "label_smoothing")
        arguments.choice(name, "optimizer", self.optimizer, OPTIMIZERS)
        arguments.choice(name, "schedule", self.schedule, SCHEDULES)
        for field in ("augment", "mirror"):
            arguments.flag(name, field, getattr(self, field))

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON knows it."""
        return {**dataclasses.asdict(self), "options": dict(self.options), "image_size": list(self.image_size)}


def from_dict(values: Mapping[str, Any]) -> Config:
    """Return a record with these values and the defaults for the others.

    Raises DataError for a name that is no field.
    """
    names = [field.name for field in dataclasses.fields(Config)]
    for name in values:
        if name not in names:
            raise DataError(f"config: {name!r} is unknown; there are {', '.join(names)}")
    return Config(**values)

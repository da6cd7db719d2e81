"""Named sets of choices, each of which trains a network well on the ORL faces."""

from __future__ import annotations

from typing import Any

from ..errors import DataError
from .config import Config, from_dict

# Each is so many steps, however few pictures there are: 20 steps of 50 show 200 pictures five times.
_FACES = {"mirror": True, "steps_per_epoch": 20, "batch_size": 50}

RECIPES: dict[str, dict[str, Any]] = {
    "resnet_orl": {**_FACES, "model": "resnet_orl", "epochs": 20},
    "vgg_orl": {**_FACES, "model": "vgg_orl", "options": {"dropout": 0.2}, "epochs": 20},
    "alexnet_orl": {**_FACES, "model": "alexnet_orl", "image_size": [112, 92], "epochs": 40, "lr": 1.5e-3},
    "mlp_orl": {**_FACES, "model": "mlp_orl", "epochs": 40, "lr": 2e-3},
}
"""What differs from the defaults of `Config`; a model's own name is its recipe."""


def recipe(name: str, **changes: Any) -> Config:
    """Return a recipe's record with some fields changed. Raises DataError for an unknown recipe."""
    if name not in RECIPES:
        raise DataError(f"recipe {name!r} is unknown; there are {', '.join(RECIPES)}")
    return from_dict({**RECIPES[name], **changes})

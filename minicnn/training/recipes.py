"""Named sets of choices, each of which trains a network well on the ORL faces."""

from __future__ import annotations

from typing import Any

from ..errors import DataError
from .config import Config, from_dict

RECIPES: dict[str, dict[str, Any]] = {
    "resnet_orl": {"model": "resnet_orl", "mirror": True},
    "vgg_orl": {"model": "vgg_orl", "mirror": True, "options": {"dropout": 0.2}},
    "alexnet_orl": {"model": "alexnet_orl", "mirror": True, "image_size": [112, 92], "epochs": 60, "lr": 1e-3},
    "mlp_orl": {"model": "mlp_orl", "mirror": True, "epochs": 40, "lr": 2e-3},
}
"""What differs from the defaults of `Config`; a model's own name is its recipe."""


def recipe(name: str, **changes: Any) -> Config:
    """Return a recipe's record with some fields changed. Raises DataError for an unknown recipe."""
    if name not in RECIPES:
        raise DataError(f"recipe {name!r} is unknown; there are {', '.join(RECIPES)}")
    return from_dict({**RECIPES[name], **changes})

"""Training: the loop, its record, its folder."""

from .config import RECIPES, Config, recipe
from .fit import fit
from .history import History
from .metrics import accuracy, confusion, mistakes, probabilities

__all__ = ["RECIPES", "Config", "History", "accuracy", "confusion", "fit", "mistakes", "probabilities", "recipe"]

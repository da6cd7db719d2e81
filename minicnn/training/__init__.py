"""Training: the loop, its record, its folder.

Read `fit.py` first; `config.py` and `recipes.py` say what a run is made of, `pictures.py` what it sees,
`run.py` what it leaves behind.
"""

from .config import Config
from .fit import fit
from .history import History
from .metrics import accuracy, answer, confusion, mistakes, probabilities
from .recipes import RECIPES, recipe

__all__ = [
    "RECIPES",
    "Config",
    "History",
    "accuracy",
    "answer",
    "confusion",
    "fit",
    "mistakes",
    "probabilities",
    "recipe",
]

"""Data: the ORL faces, the user's own pictures, and what is between them and the network."""

from . import transforms
from .dataset import Dataset, Subset, random_split
from .folder import ImageFolder
from .loader import DataLoader
from .orl import ORLFaces, fetch_orl
from .pgm import read_pgm, write_pgm

__all__ = [
    "DataLoader",
    "Dataset",
    "ImageFolder",
    "ORLFaces",
    "Subset",
    "fetch_orl",
    "random_split",
    "read_pgm",
    "transforms",
    "write_pgm",
]

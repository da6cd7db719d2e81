"""Transforms of pictures: chance and change for training, on whole batches in plain NumPy.

Each is called as `transform(images, generator=None)` with a batch (N, C, H, W) or one picture (C, H, W) of
float32 or float64, and returns a new array of the same type; the input is never changed. Each picture of a
batch gets its own draws. They come from the `minicnn.random.Generator` given, else from the next call of the
stream `AUGMENT` under the global seed, so `mc.manual_seed` repeats them. Names and arguments are torchvision's.

Read `transform.py` (what all share), then `colour.py`, `geometry.py`, `warp.py` and `compose.py`.
"""

from .colour import ColorJitter, Normalize, RandomLight
from .compose import Compose
from .geometry import RandomCrop, RandomErasing, RandomHorizontalFlip, Resize
from .transform import RandomTransform, Transform
from .warp import ElasticTransform, RandomAffine

__all__ = [
    "ColorJitter",
    "Compose",
    "ElasticTransform",
    "Normalize",
    "RandomAffine",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomLight",
    "RandomTransform",
    "Resize",
    "Transform",
]

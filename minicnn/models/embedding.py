"""Embeddings, numbers that are alike for alike pictures; and new heads for old networks."""

from __future__ import annotations

from .. import functional as F
from .. import nn
from .._tensor import Tensor
from ..errors import DTypeError, ShapeError


def replace_head(model: nn.Module, num_classes: int, bias: bool = True) -> nn.Linear:
    """Put a new linear layer, with new first values, in the place of a network's last one, and return it.

    `num_classes` is how many numbers it returns; it takes as many as the old one, is of its type and on its device.
    Raises ShapeError for a network whose last layer with parameters is not linear.
    """
    if not isinstance(model, nn.Module):
        raise DTypeError(f"replace_head: model must be an nn.Module, got {type(model).__name__}")
    owners = [(name, m) for name, m in model.named_modules() if any(True for _ in m.parameters(recurse=False))]
    name, old = owners[-1] if owners else ("", model)
    if not isinstance(old, nn.Linear) or old is model:
        what = f"{name or 'the model itself'} ({type(old).__name__})" if owners else "none"
        raise ShapeError(f"replace_head: the last layer with parameters is {what}, needs an nn.Linear inside the model")
    head = nn.Linear(old.in_features, num_classes, bias, old.weight.device, old.weight.dtype)
    path, _, last = name.rpartition(".")
    dict(model.named_modules())[path].add_module(last, head)
    return head


class Embedding(nn.Module):
    """See `embedding`."""

    def __init__(self, backbone: nn.Module, size: int) -> None:
        super().__init__()
        self.backbone = backbone
        replace_head(backbone, size)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, size), rows of length 1."""
        return F.normalize(self.backbone(x), dim=1)


def embedding(size: int = 128, backbone: str | nn.Module = "resnet_orl") -> Embedding:
    """Return a network that turns pictures into points on a sphere: (N, C, H, W) → (N, size), y = f(x) / ‖f(x)‖.

    f is the network `backbone`, a name of `minicnn.models` or a network, trained or not, whose last linear layer
    is replaced by one that returns `size` numbers. `nn.TripletMarginLoss` trains it: a picture is to lie closer to
    another of the same person than to anybody else's, by a margin; distances are between 0 and 2.
    Source: Schroff, Kalenichenko, Philbin 2015 (FaceNet), sections 3 and 3.1.
    """
    if isinstance(backbone, str):
        from . import build

        backbone = build(backbone)
    return Embedding(backbone, size)

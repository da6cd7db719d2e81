"""Pieces of a network that are timed alone: its layers as they stand in it, or convolutions drawn from a seed.

A piece is written once for minicnn and PyTorch, as the networks are: `nn` is the one's module or the other's.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Convolution:
    """One convolution and its input."""

    shape: tuple[int, int, int, int]
    out_channels: int
    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    def build(self, nn: Any) -> Any:
        """Return the layer."""
        return nn.Conv2d(
            self.shape[1], self.out_channels, self.kernel_size, self.stride, self.padding, self.dilation, self.groups
        )

    def __str__(self) -> str:
        n, c, h, w = self.shape
        text = f"{n}×{c}×{h}×{w} → {self.out_channels}, {self.kernel_size[0]}×{self.kernel_size[1]}"
        for name, value, usual in (
            ("stride", self.stride, (1, 1)),
            ("padding", self.padding, (0, 0)),
            ("dilation", self.dilation, (1, 1)),
        ):
            if value != usual:
                text += f", {name} {value[0]}" + (f"×{value[1]}" if value[1] != value[0] else "")
        return text + (f", {self.groups} groups" if self.groups > 1 else "")


def drawn_convolutions(seed: int, count: int) -> list[Convolution]:
    """Return convolutions with groups, dilation, odd channel counts from 1 to 512, and 10⁷ to 10⁹ multiply-adds."""
    rng = random.Random(seed)
    found: list[Convolution] = []
    while len(found) < count:
        groups = rng.choice([1, 1, 1, 1, 2, 4, 8])
        c, o = (round(2 ** rng.uniform(0, 9)) for _ in range(2))
        c, o = -(-c // groups) * groups, -(-o // groups) * groups
        kernel = rng.choice([(1, 1), (3, 3), (3, 3), (3, 3), (5, 5), (7, 7), (1, 3), (5, 2)])
        stride = rng.choice([(1, 1), (1, 1), (2, 2), (1, 2)])
        dilation = rng.choice([(1, 1), (1, 1), (1, 1), (2, 2), (3, 1)])
        padding = rng.choice([(0, 0), (kernel[0] // 2, kernel[1] // 2), (kernel[0] // 2, kernel[1] // 2)])
        n, h, w = rng.choice([1, 2, 4, 8, 16]), rng.randint(7, 112), rng.randint(7, 112)
        oh, ow = (
            (size + 2 * p - d * (k - 1) - 1) // s + 1
            for size, p, d, k, s in zip((h, w), padding, dilation, kernel, stride)
        )
        multiply_adds = n * oh * ow * o * c // groups * kernel[0] * kernel[1]
        if max(c, o) <= 512 and oh > 0 and ow > 0 and 1e7 <= multiply_adds <= 1e9:
            found.append(Convolution((n, c, h, w), o, kernel, stride, padding, dilation, groups))
    return found


@dataclass(frozen=True)
class Piece:
    """A layer with its input; `first` ones need no gradient of it."""

    title: str
    layer: Any
    x: Any
    first: bool


def of_network(model: Any, x: Any) -> list[Piece]:
    """Return the layers of a network with the inputs they meet, in the order in which they run."""
    found: list[tuple[str, Any, Any]] = []
    handles = []
    for name, module in model.named_modules():
        if not list(module.children()):

            def record(layer: Any, inputs: Any, _output: Any, name: str = name) -> None:
                found.append((name, layer, inputs[0]))

            handles.append(module.register_forward_hook(record))
    model(x)
    for handle in handles:
        handle.remove()
    kinds = [
        (name, layer, inputs) for name, layer, inputs in found if type(layer).__name__ not in ("Identity", "Flatten")
    ]
    return [
        Piece(f"{name} {type(layer).__name__} {'×'.join(map(str, inputs.shape))}", layer, inputs, i == 0)
        for i, (name, layer, inputs) in enumerate(kinds)
    ]


def multiply_adds(layer: Any, x: Any, y: Any) -> int:
    """Return the multiply-adds of a convolution's or linear layer's forward pass; 0 for the others."""
    if type(layer).__name__ not in ("Conv2d", "Linear"):
        return 0
    per_output = layer.weight.shape[1:]
    total = 1
    for size in (*y.shape, *per_output):
        total *= size
    return total

"""The networks that are timed, each written once for minicnn and PyTorch: `nn` is the one's module or the other's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Work:
    """A network and the batch it is timed on."""

    title: str
    build: Callable[[Any], Any]
    shape: tuple[int, int, int, int]
    classes: int
    training: bool = True  # a training step; else one forward pass in eval mode


def alexnet_original_small(nn: Any) -> Any:
    """AlexNet in small, with the original's windows."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, stride=2, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.Conv2d(128, 128, 3, padding=1), nn.ReLU(),
        nn.Conv2d(128, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten(),
        nn.Linear(64 * 6 * 4, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 40),
    )  # fmt: skip


def alexnet_3x3_small(nn: Any) -> Any:
    """AlexNet in small, of 3 × 3 layers."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.Conv2d(128, 128, 3, padding=1), nn.ReLU(),
        nn.Conv2d(128, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(64 * 14 * 11, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 40),
    )  # fmt: skip


def alexnet(nn: Any) -> Any:
    """AlexNet with one group, as torchvision has it, without dropout."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten(),
        nn.Linear(256 * 6 * 6, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000),
    )  # fmt: skip


def resnet18(nn: Any, widths: Sequence[int], stem: Callable[[Any], list[Any]], classes: int) -> Any:
    """ResNet-18: eight basic blocks in four stages of these widths."""

    class Block(nn.Module):  # type: ignore[misc]  # the base is one of two modules' class
        def __init__(self, channels: int, width: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            self.relu = nn.ReLU()
            self.shortcut = nn.Identity()
            if stride != 1 or channels != width:
                conv = nn.Conv2d(channels, width, 1, stride=stride, bias=False)
                self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(width))

        def forward(self, x: Any) -> Any:
            y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            return self.relu(y + self.shortcut(x))

    layers, channels = stem(nn), widths[0]
    for stage, width in enumerate(widths):
        for block in range(2):
            layers.append(Block(channels, width, 2 if stage and not block else 1))
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def resnet18_small(nn: Any) -> Any:
    """ResNet-18 in small: a 3 × 3 stem, 16-32-64-128 channels."""
    return resnet18(
        nn, (16, 32, 64, 128), lambda m: [m.Conv2d(1, 16, 3, padding=1, bias=False), m.BatchNorm2d(16), m.ReLU()], 40
    )


def resnet18_large(nn: Any) -> Any:
    """ResNet-18 as published."""

    def stem(m: Any) -> list[Any]:
        conv = m.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        return [conv, m.BatchNorm2d(64), m.ReLU(), m.MaxPool2d(3, 2, 1)]

    return resnet18(nn, (64, 128, 256, 512), stem, 1000)


NETWORKS = {
    "alexnet_original_small": ("AlexNet in small", alexnet_original_small, (32, 1, 112, 92), 40),
    "alexnet_3x3_small": ("AlexNet in small of 3×3 layers", alexnet_3x3_small, (32, 1, 112, 92), 40),
    "resnet18_small": ("small ResNet-18", resnet18_small, (32, 1, 112, 92), 40),
    "resnet18": ("ResNet-18", resnet18_large, (8, 3, 224, 224), 1000),
    "alexnet": ("AlexNet", alexnet, (16, 3, 224, 224), 1000),
}


def _works() -> dict[str, Work]:
    works = {}
    for training in (True, False):
        for name, (title, build, shape, classes) in NETWORKS.items():
            batch, *image = shape
            what = "training" if training else "inference"
            title = f"{title}, {batch} × {'×'.join(map(str, image))}, {what}"
            works[name if training else f"{name}_infer"] = Work(title, build, shape, classes, training)
    title, one = "small ResNet-18, one image, inference", (1, 1, 112, 92)
    works["resnet18_small_one"] = Work(title, resnet18_small, one, 40, training=False)
    return works


WORKS = _works()

"""VGG at full size: 11 to 19 layers with weights, 3×3 convolutions and 2×2 pooling, for ImageNet's pictures.

Names, order and shapes of the state are those of PyTorch's model collection, so its files of weights fit.
"""

from __future__ import annotations

from collections.abc import Sequence

from .. import nn

WIDTHS = (64, 128, 256, 512, 512)  # of the five stacks


def vgg11(num_classes: int = 1000, dropout: float = 0.5) -> nn.Sequential:
    """Return VGG-11 (configuration A), 132.9 million parameters; see `vgg19`."""
    return _vgg((1, 1, 2, 2, 2), num_classes, dropout, batch_norm=False)


def vgg11_bn(num_classes: int = 1000, dropout: float = 0.5) -> nn.Sequential:
    """Return VGG-11 with batch normalisation; see `vgg19`."""
    return _vgg((1, 1, 2, 2, 2), num_classes, dropout, batch_norm=True)


def vgg13(num_classes: int = 1000, dropout: float = 0.5) -> nn.Sequential:
    """Return VGG-13 (configuration B), 133.0 million parameters; see `vgg19`."""
    return _vgg((2, 2, 2, 2, 2), num_classes, dropout, batch_norm=False)


def vgg13_bn(num_classes: int = 1000, dropout: float = 0.5) -> nn.Sequential:
    """Return VGG-13 with batch normalisation; see `vgg19`."""
    return _vgg((2, 2, 2, 2, 2), num_classes, dropout, batch_norm=True)


def vgg16(num_classes: int = 1000, dropout: float = 0.5) -> nn.Sequential:
    """Return VGG-16 (configuration D), 138.4 million parameters; see `vgg19`."""
    return _vgg((2, 2, 3, 3, 3), num_classes, dropout, batch_norm=False)


def vgg16_bn(num_classes: int = 1000, dropout: float = 0.5) -> nn.Sequential:
    """Return VGG-16 with batch normalisation; see `vgg19`."""
    return _vgg((2, 2, 3, 3, 3), num_classes, dropout, batch_norm=True)


def vgg19(num_classes: int = 1000, dropout: float = 0.5) -> nn.Sequential:
    """Return VGG-19 (configuration E), 143.7 million parameters: (N, 3, H, W) → (N, num_classes) logits.

    Five stacks of 64, 128, 256, 512, 512 channels, of 2, 2, 4, 4, 4 convolutions with relu, each stack ended by
    2×2 max pooling; then 4096 – 4096 – num_classes with dropout. Pictures of 224 × 224 end as 7 × 7 pixels; others
    are averaged to that. The convolutions start with deviation √(2 / fan_out), the linear layers with 0.01.
    Source: Simonyan, Zisserman 2014, Table 1; batch normalisation (`_bn`) came later.
    """
    return _vgg((2, 2, 4, 4, 4), num_classes, dropout, batch_norm=False)


def vgg19_bn(num_classes: int = 1000, dropout: float = 0.5) -> nn.Sequential:
    """Return VGG-19 with batch normalisation; see `vgg19`."""
    return _vgg((2, 2, 4, 4, 4), num_classes, dropout, batch_norm=True)


def _vgg(stacks: Sequence[int], num_classes: int, dropout: float, batch_norm: bool) -> nn.Sequential:
    features: list[nn.Module] = []
    channels = 3
    for convolutions, width in zip(stacks, WIDTHS):
        for _ in range(convolutions):
            features.append(nn.Conv2d(channels, width, 3, padding=1))
            features += [nn.BatchNorm2d(width), nn.ReLU()] if batch_norm else [nn.ReLU()]
            channels = width
        features.append(nn.MaxPool2d(2))
    classifier = nn.Sequential(
        nn.Linear(channels * 7 * 7, 4096), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(4096, num_classes),
    )  # fmt: skip
    model = nn.Sequential({
        "features": nn.Sequential(*features),
        "avgpool": nn.AdaptiveAvgPool2d(7), "flatten": nn.Flatten(), "classifier": classifier,
    })  # fmt: skip
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
    return model

"""AlexNet at full size: as it won in 2012, and in the simpler form that PyTorch's model collection has."""

from __future__ import annotations

from .. import nn


def alexnet(num_classes: int = 1000, dropout: float = 0.5) -> nn.Sequential:
    """Return AlexNet for one processor, 61,100,840 parameters: (N, 3, H, W) → (N, num_classes) logits.

    11×11/4 64 – pool – 5×5 192 – pool – 3×3 384 – 3×3 256 – 3×3 256 – pool – 4096 – 4096 – num_classes. Pictures of
    224 × 224 end as 6 × 6 pixels; others are averaged to that. Names, order and shapes of the state are PyTorch's.
    Source: Krizhevsky 2014 (One weird trick for parallelizing convolutional neural networks), footnote 1.
    """
    features = nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, stride=2),
    )  # fmt: skip
    classifier = nn.Sequential(
        nn.Dropout(dropout), nn.Linear(256 * 6 * 6, 4096), nn.ReLU(),
        nn.Dropout(dropout), nn.Linear(4096, 4096), nn.ReLU(),
        nn.Linear(4096, num_classes),
    )  # fmt: skip
    return nn.Sequential(
        {"features": features, "avgpool": nn.AdaptiveAvgPool2d(6), "flatten": nn.Flatten(), "classifier": classifier}
    )


def alexnet_2012(num_classes: int = 1000, dropout: float = 0.5, padding: int = 2) -> nn.Sequential:
    """Return AlexNet as published, 60,965,224 parameters: (N, 3, H, W) → (N, num_classes) logits.

    11×11/4 96 – LRN – pool – 5×5 256 – LRN – pool – 3×3 384 – 3×3 384 – 3×3 256 – pool – 4096 – 4096 – num_classes,
    a relu after each but the last, dropout after both of 4096. The second, fourth and fifth convolution have two
    groups: their halves stood on two GPUs that saw each other's only at the third. Pooling is of 3 × 3 with stride 2.
    Response normalisation divides by (2 + 10⁻⁴ Σ a²)^0.75, Σ over 5 channels; PyTorch's alpha, of a mean, is 5·10⁻⁴.

    The paper's pictures of 224 × 224 give its 55 × 55 only with a border of zeros, `padding=2`; without one,
    `padding=0`, they must have 227 × 227.

    Weights start normally distributed with deviation 0.01; biases 1 in the second, fourth and fifth convolution and
    in both linear layers of 4096, which gives their relus positive inputs at once, elsewhere 0.
    Source: Krizhevsky, Sutskever, Hinton 2012, sections 3 (layers), 4.2 (dropout), 5 (first values).
    """

    def norm() -> nn.Module:
        return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)

    features = nn.Sequential(
        nn.Conv2d(3, 96, 11, stride=4, padding=padding), nn.ReLU(), norm(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), norm(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
    )  # fmt: skip
    classifier = nn.Sequential(
        nn.Linear(256 * 6 * 6, 4096), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(4096, num_classes),
    )  # fmt: skip
    layers = [m for part in (features, classifier) for m in part if isinstance(m, (nn.Conv2d, nn.Linear))]
    for number, layer in enumerate(layers, 1):
        nn.init.normal_(layer.weight, std=0.01)
        nn.init.constant_(layer.bias, 1.0 if number in (2, 4, 5, 6, 7) else 0.0)
    return nn.Sequential({"features": features, "flatten": nn.Flatten(), "classifier": classifier})

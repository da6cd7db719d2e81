"""dlib's face network: 29 convolutions that turn a face into 128 numbers, so that one person's lie close together."""

from __future__ import annotations

import numpy as np

from .. import functional as F
from .. import nn
from .._tensor import Tensor, tensor
from ..errors import ShapeError
from ..ops import arguments

MEAN = (122.782, 117.001, 104.298)  # of red, green and blue over the pictures it was trained on


class FaceBlock(nn.Module):
    """relu(conv – BN – relu – conv – BN + shortcut), dlib's way.

    The first convolution has stride 2 and no padding where the block halves the picture. There the shortcut is the
    mean over 2 × 2 pixels, and its missing channels are zeros; of odd sizes, the smaller summand gets a border of
    zeros at the bottom and right.
    """

    def __init__(self, in_channels: int, out_channels: int, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=2 if halves else 1, padding=0 if halves else 1)
        self.bn1 = nn.BatchNorm2d(out_channels, eps=1e-4)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(out_channels, eps=1e-4)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, H', W'); H' is H, or ⌊H / 2⌋ where the block halves."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.halves:
            x = F.avg_pool2d(x, 2, 2)
            channels = y.shape[1] - x.shape[1]
            height, width = (max(a, b) for a, b in zip(x.shape[2:], y.shape[2:]))
            x = F.pad(x, (0, width - x.shape[3], 0, height - x.shape[2], 0, channels))
            y = F.pad(y, (0, width - y.shape[3], 0, height - y.shape[2]))
        return F.relu(y + x)


class FaceResNet29(nn.Module):
    """See `face_resnet29`."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", tensor(np.array(MEAN, np.float32).reshape(1, 3, 1, 1)))
        self.conv1 = nn.Conv2d(3, 32, 7, stride=2)
        self.bn1 = nn.BatchNorm2d(32, eps=1e-4)
        self.maxpool = nn.MaxPool2d(3, stride=2)
        channels = 32
        for stage, (width, blocks) in enumerate(((32, 3), (64, 4), (128, 3), (256, 4)), 1):
            layer = []
            for block in range(blocks):
                # The first block of each stage but stage 1 halves the picture, and so does the very last block.
                halves = (stage > 1 and block == 0) or (stage == 4 and block == 3)
                layer.append(FaceBlock(channels, width, halves))
                channels = width
            self.add_module(f"layer{stage}", nn.Sequential(*layer))
        self.fc = nn.Linear(256, 128, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 150, 150), red, green and blue in 0 … 255 → (N, 128)."""
        shape = arguments.images("face_resnet29", x)
        if shape[1] != 3:
            raise ShapeError(f"face_resnet29: input has shape {shape}, needs red, green and blue: (N, 3, 150, 150)")
        x = (x - self.mean) / 256
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        result: Tensor = self.fc(x.mean((2, 3)))
        return result


def face_resnet29() -> FaceResNet29:
    """Return dlib's face network: a face, (N, 3, 150, 150) with RGB in 0 … 255, becomes 128 numbers, (N, 128).

    The first step subtracts the means (122.782, 117.001, 104.298) and divides by 256. Two pictures show one person
    if the distance of their numbers, √Σ (a − b)², is below 0.6. `mc.weights.load_dlib` reads dlib's trained weights.
    Source: King 2017, dlib's dnn_face_recognition_ex.cpp; a ResNet-34 (He et al. 2015) with fewer layers and half the
    filters.
    """
    return FaceResNet29()

"""The networks once more, of PyTorch's layers alone and written from the papers: what ours are compared with.

Their state has our names, so one state fits both.
"""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F


def alexnet(num_classes: int = 1000, dropout: float = 0.5) -> nn.Module:
    widths = (64, 192, 384, 256, 256)
    features = nn.Sequential(
        nn.Conv2d(3, widths[0], 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(widths[0], widths[1], 5, 1, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(widths[1], widths[2], 3, 1, 1), nn.ReLU(),
        nn.Conv2d(widths[2], widths[3], 3, 1, 1), nn.ReLU(),
        nn.Conv2d(widths[3], widths[4], 3, 1, 1), nn.ReLU(), nn.MaxPool2d(3, 2),
    )  # fmt: skip
    classifier = nn.Sequential(
        nn.Dropout(dropout), nn.Linear(9216, 4096), nn.ReLU(),
        nn.Dropout(dropout), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, num_classes),
    )  # fmt: skip
    return Classifier(features, classifier, pool=6)


class Classifier(nn.Module):
    """Convolutions, a mean over windows if `pool` says how many, linear layers."""

    def __init__(self, features: nn.Module, classifier: nn.Module, pool: int | None) -> None:
        super().__init__()
        self.features, self.classifier, self.pool = features, classifier, pool

    def forward(self, x):
        x = self.features(x)
        if self.pool is not None:
            x = F.adaptive_avg_pool2d(x, (self.pool, self.pool))
        return self.classifier(x.flatten(1))


class TwoTowers(nn.Module):
    """A convolution of two groups as two convolutions, each of half the channels, as on two GPUs."""

    def __init__(self, channels: int, outputs: int, kernel: int, padding: int) -> None:
        super().__init__()
        self.padding = padding
        self.weight = nn.Parameter(torch.empty(outputs, channels // 2, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, x):
        parts = zip(x.chunk(2, 1), self.weight.chunk(2), self.bias.chunk(2))
        return torch.cat([F.conv2d(half, w, b, padding=self.padding) for half, w, b in parts], 1)


class ResponseNorm(nn.Module):
    """b_i = a_i / (k + α Σ_j a_j²)^β, j from max(0, i − n/2) to min(N − 1, i + n/2): the formula of section 3.3."""

    def forward(self, a, k=2, n=5, alpha=1e-4, beta=0.75):
        channels = a.shape[1]
        sums = [(a[:, max(0, i - n // 2) : min(channels - 1, i + n // 2) + 1] ** 2).sum(1) for i in range(channels)]
        return a / (k + alpha * torch.stack(sums, 1)) ** beta


def alexnet_2012(num_classes: int = 1000, dropout: float = 0.5, padding: int = 2) -> nn.Module:
    features = nn.Sequential(
        nn.Conv2d(3, 96, 11, 4, padding), nn.ReLU(), ResponseNorm(), nn.MaxPool2d(3, 2),
        TwoTowers(96, 256, 5, 2), nn.ReLU(), ResponseNorm(), nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, 1, 1), nn.ReLU(),
        TwoTowers(384, 384, 3, 1), nn.ReLU(),
        TwoTowers(384, 256, 3, 1), nn.ReLU(), nn.MaxPool2d(3, 2),
    )  # fmt: skip
    classifier = nn.Sequential(
        nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(dropout), nn.Linear(4096, num_classes),
    )  # fmt: skip
    return Classifier(features, classifier, pool=None)


VGG = {  # Simonyan, Zisserman 2014, Table 1: channels, and M for pooling
    "vgg11": "64 M 128 M 256 256 M 512 512 M 512 512 M",
    "vgg13": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    "vgg16": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "vgg19": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


def vgg(name: str, num_classes: int = 1000, dropout: float = 0.5) -> nn.Module:
    layers: list[nn.Module] = []
    channels = 3
    for item in VGG[name.removesuffix("_bn")].split():
        if item == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers.append(nn.Conv2d(channels, int(item), 3, padding=1))
            layers += [nn.BatchNorm2d(int(item))] * name.endswith("_bn") + [nn.ReLU()]
            channels = int(item)
    classifier = nn.Sequential(
        nn.Linear(512 * 49, 4096), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(dropout), nn.Linear(4096, num_classes),
    )  # fmt: skip
    return Classifier(nn.Sequential(*layers), classifier, pool=7)


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    """A residual block of 2 or 3 convolutions, written over lists: (kernel, outputs, stride) of each."""

    def __init__(self, inputs: int, layers: list[tuple[int, int, int]], shortcut: str, before: bool = False) -> None:
        super().__init__()
        self.before, self.shared, self.count = before, False, len(layers)
        channels = inputs
        for number, (kernel, outputs, stride) in enumerate(layers, 1):
            setattr(self, f"conv{number}", conv(channels, outputs, kernel, stride))
            setattr(self, f"bn{number}", nn.BatchNorm2d(channels if before else outputs))
            channels = outputs
        self.stride, self.added = max(stride for _, _, stride in layers), channels - inputs
        changes = self.stride > 1 or self.added != 0
        if shortcut == "C" or (shortcut == "B" and changes):
            projection = conv(inputs, channels, 1, self.stride)
            self.downsample = projection if before else nn.Sequential(projection, nn.BatchNorm2d(channels))
        elif shortcut == "A" and changes:
            self.downsample = lambda x: F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))
        else:
            self.downsample = (lambda x: x) if shortcut != "none" else lambda x: 0

    def forward(self, x):
        pairs = [(getattr(self, f"conv{i}"), getattr(self, f"bn{i}")) for i in range(1, self.count + 1)]
        y = x
        if self.before:
            activated = F.relu(pairs[0][1](x))
            y = pairs[0][0](activated)
            for convolution, norm in pairs[1:]:
                y = convolution(F.relu(norm(y)))
            projects = isinstance(self.downsample, nn.Module)
            return y + self.downsample(activated if projects or self.shared else x)
        for convolution, norm in pairs[:-1]:
            y = F.relu(norm(convolution(y)))
        y = pairs[-1][1](pairs[-1][0](y))
        return F.relu(y + self.downsample(x))


def row(design: str, inputs: int, width: int, blocks: int, stride: int, shortcut: str, stride_in: str) -> nn.Module:
    """Return a stage; `width` is that of the inner layers of a bottleneck."""
    parts = []
    for number in range(blocks):
        s = stride if number == 0 else 1
        if design == "bottleneck":
            outer, inner = (s, 1) if stride_in == "1x1" else (1, s)
            layers = [(1, width, outer), (3, width, inner), (1, 4 * width, 1)]
        else:
            layers = [(3, width, s), (3, width, 1)]
        parts.append(Block(inputs, layers, shortcut, before=design == "preactivation"))
        inputs = layers[-1][1]
    return nn.Sequential(*parts)


class ResNet(nn.Module):
    def __init__(self, design, stem, widths, counts, num_classes, shortcut, stride_in="3x3", first=64) -> None:
        super().__init__()
        self.design, self.stem = design, stem
        self.conv1 = nn.Conv2d(3, first, 7, 2, 3, bias=False) if stem == "imagenet" else conv(3, first, 3)
        grown = 4 if design == "bottleneck" else 1
        channels = first
        for number, (width, count) in enumerate(zip(widths, counts), 1):
            stage = row(design, channels, width, count, 1 if number == 1 else 2, shortcut, stride_in)
            setattr(self, f"layer{number}", stage)
            channels = width * grown
        self.bn1 = nn.BatchNorm2d(channels if design == "preactivation" else first)
        self.layer1[0].shared = True  # a pre-activation network's first shortcut starts behind the activation
        self.stages = len(widths)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x):
        x = self.conv1(x)
        if self.design != "preactivation":
            x = F.relu(self.bn1(x))
        if self.stem == "imagenet":
            x = F.max_pool2d(x, 3, 2, 1)
        for number in range(1, self.stages + 1):
            x = getattr(self, f"layer{number}")(x)
        if self.design == "preactivation":
            x = F.relu(self.bn1(x))
        return self.fc(x.mean((2, 3)))


RESNETS = {  # He et al. 2015, Table 1
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet34": ("basic", (3, 4, 6, 3)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
    "resnet101": ("bottleneck", (3, 4, 23, 3)),
    "resnet152": ("bottleneck", (3, 8, 36, 3)),
}


def resnet(name: str, num_classes: int = 1000, shortcut: str = "B", stride_in: str = "3x3") -> nn.Module:
    design, counts = RESNETS[name]
    return ResNet(design, "imagenet", (64, 128, 256, 512), counts, num_classes, shortcut, stride_in)


def resnet_cifar(n: int, num_classes: int = 10, design: str = "basic", shortcut: str = "A") -> nn.Module:
    return ResNet(design, "cifar", (16, 32, 64), (n, n, n), num_classes, shortcut, first=16)


class FaceBlock(nn.Module):
    """dlib's residual and residual_down: con, bn, relu, con, bn, added to the input or its 2 × 2 means."""

    def __init__(self, inputs: int, outputs: int, down: bool) -> None:
        super().__init__()
        self.down = down
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 2, 0) if down else nn.Conv2d(inputs, outputs, 3, 1, 1)
        self.bn1 = nn.BatchNorm2d(outputs, eps=1e-4)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.bn2 = nn.BatchNorm2d(outputs, eps=1e-4)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.down:
            x = F.avg_pool2d(x, 2)
        # dlib's add_prev of two sizes: each is continued by zeros to the larger in every direction
        shape = [max(a, b) for a, b in zip(x.shape, y.shape)]
        total = x.new_zeros(shape)
        for term in (x, y):
            grown = x.new_zeros(shape)
            grown[: term.shape[0], : term.shape[1], : term.shape[2], : term.shape[3]] = term
            total = total + grown
        return F.relu(total)


class FaceResNet29(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([122.782, 117.001, 104.298]).reshape(1, 3, 1, 1))
        self.conv1 = nn.Conv2d(3, 32, 7, 2)
        self.bn1 = nn.BatchNorm2d(32, eps=1e-4)
        plan = {
            1: [(32, 32, False), (32, 32, False), (32, 32, False)],
            2: [(32, 64, True), (64, 64, False), (64, 64, False), (64, 64, False)],
            3: [(64, 128, True), (128, 128, False), (128, 128, False)],
            4: [(128, 256, True), (256, 256, False), (256, 256, False), (256, 256, True)],
        }
        for number, blocks in plan.items():
            setattr(self, f"layer{number}", nn.Sequential(*(FaceBlock(*block) for block in blocks)))
        self.fc = nn.Linear(256, 128, bias=False)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1((x - self.mean) / 256))), 3, 2)
        for number in (1, 2, 3, 4):
            x = getattr(self, f"layer{number}")(x)
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Embedding(nn.Module):
    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, x):
        y = self.backbone(x)
        return y / torch.sqrt((y * y).sum(1, keepdim=True))


def of_layers(module) -> nn.Module:
    """Build the same network of PyTorch's layers from the text of one of ours for the ORL faces."""
    kind = type(module).__name__
    if kind == "Sequential":
        return nn.Sequential(OrderedDict((name, of_layers(part)) for name, part in module.named_children()))
    if kind == "BasicBlock":
        return LikeBlock(module)
    if kind == "ZeroPadding":
        return Padding(module.added, module.stride)
    return eval(f"kind({module.extra_repr()})", {"kind": getattr(nn, kind)})


class LikeBlock(nn.Module):
    def __init__(self, block) -> None:
        super().__init__()
        for name, module in block.named_children():
            setattr(self, name, of_layers(module))
        self.has_shortcut = block.downsample is not None

    def forward(self, x):
        y = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        return self.act2(y + self.downsample(x) if self.has_shortcut else y)


class Padding(nn.Module):
    def __init__(self, added: int, stride: int) -> None:
        super().__init__()
        self.added, self.stride = added, stride

    def forward(self, x):
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))

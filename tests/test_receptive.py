"""Receptive fields of `mc.summary`: by brute force; those of whole networks are in `models/test_published.py`."""

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn import models, nn


@pytest.fixture(autouse=True)
def _reference():
    with mc.use_device("reference"):
        yield


def last_field(model, shape):
    return mc.summary(model, shape).rows[-1].receptive_field


def brute_force(model, shape):
    """Return the rows and columns that the gradient of a row and of a column of the output covers; weights are 1."""
    model = model.double()
    with mc.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1)
    x = mc.rand(*shape, dtype=mc.float64, requires_grad=True)
    y = model.eval()(x)
    rows = columns = 0
    for i in range(y.shape[2]):
        (dx,) = mc.grad(y[:, :, i].sum(), [x], retain_graph=True)
        rows = max(rows, np.ptp(np.nonzero(dx.numpy())[2]) + 1)
    for j in range(y.shape[3]):
        (dx,) = mc.grad(y[:, :, :, j].sum(), [x], retain_graph=True)
        columns = max(columns, np.ptp(np.nonzero(dx.numpy())[3]) + 1)
    return rows, columns


class Sum(nn.Module):
    """Branches whose results are added."""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        results = [branch(x) for branch in self.branches]
        size = [min(r.shape[axis] for r in results) for axis in (2, 3)]
        total = results[0][:, :, : size[0], : size[1]]
        for result in results[1:]:
            total = total + result[:, :, : size[0], : size[1]]
        return total


class Call(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def conv(kernel, **options):
    return nn.Conv2d(1, 1, kernel, **options)


NETWORKS = {
    "one": lambda: conv(3),
    "stride, dilation, padding": lambda: nn.Sequential(
        conv((3, 5), stride=(2, 1), padding=1), conv(3, dilation=(2, 3), padding=(0, 2)), conv(2, stride=2)
    ),
    "even windows": lambda: nn.Sequential(conv(4, stride=3), nn.AvgPool2d(2), conv(2, padding="same")),
    "the longer branch counts": lambda: Sum(conv(1), conv(7, padding=3), nn.Sequential(conv(3, padding=1), conv(1))),
    "branches on different sides": lambda: Sum(conv(3), nn.Sequential(conv(1), Call(lambda x: x[:, :, 5:, 4:]))),
    "branches on different sides, then more": lambda: nn.Sequential(
        Sum(conv((2, 3)), Call(lambda x: x[:, :, 6:, :])), nn.AvgPool2d(3, stride=2), conv(3)
    ),
    "a branch that skips pixels": lambda: nn.Sequential(
        Sum(Call(lambda x: x[:, :, ::2, ::2]), conv(1, stride=2)), conv(2), conv(2, stride=2)
    ),
    "every other pixel from the second": lambda: nn.Sequential(conv(2), Call(lambda x: x[:, :, 1::2, 2:-3:3]), conv(2)),
    "padded and cut": lambda: nn.Sequential(Call(lambda x: F.pad(x, (2, -3, -1, 0))), conv(3, stride=2), conv(2)),
    "transposed": lambda: nn.Sequential(
        conv(3, stride=2), nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1), conv(3), conv(2)
    ),
    "transposed, other sizes": lambda: nn.Sequential(
        nn.ConvTranspose2d(1, 1, (4, 5), stride=(3, 2), output_padding=1), conv(5, stride=(3, 2))
    ),
    "transposed, dilated": lambda: nn.Sequential(nn.ConvTranspose2d(1, 1, 3, stride=2, dilation=2), conv(2, stride=2)),
    "windows that cover": lambda: nn.Sequential(conv(3), nn.AdaptiveAvgPool2d((3, 4)), conv((2, 1))),
    "all": lambda: nn.Sequential(conv(3, stride=2), nn.AdaptiveAvgPool2d(1)),
    "a gate": lambda: nn.Sequential(
        conv(3), Call(lambda x: x + x.mean((2, 3), keepdim=True)[:, :, :1, :1]), nn.AvgPool2d(2)
    ),
    "channels beside each other": lambda: nn.Sequential(
        Call(lambda x: F.cat([x, F.avg_pool2d(x, 3, 1, 1)], 1)), nn.Conv2d(2, 4, 3), Call(lambda x: F.split(x, 2, 1)[1])
    ),
    "a block": lambda: models.BasicBlock(1, 2, stride=2, shortcut="A"),
    "blocks": lambda: nn.Sequential(
        models.Bottleneck(1, 4, stride=2), models.PreActivationBlock(4, 6, 2, shortcut="A"), models.BasicBlock(6, 6)
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_as_by_brute_force(name):
    shape = (1, 1, 49, 45) if name == "blocks" else (1, 1, 33, 29)
    assert last_field(NETWORKS[name](), shape) == brute_force(NETWORKS[name](), shape)


def test_maximum_pooling_sees_what_average_pooling_sees():
    for options in ({"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": (2, 4)}):
        pair = [nn.Sequential(conv(3), kind(**options), conv(3)) for kind in (nn.MaxPool2d, nn.AvgPool2d)]
        assert last_field(pair[0], (1, 1, 33, 29)) == last_field(pair[1], (1, 1, 33, 29))
    dilated = nn.Sequential(nn.MaxPool2d(3, stride=2, dilation=3), conv(2))
    assert last_field(dilated, (1, 1, 33, 29)) == (9, 9)


def test_vgg16_as_published():
    """Only the convolutions and poolings: 212 pixels, Araujo et al. 2019."""
    layers = []
    for count in (2, 2, 3, 3, 3):
        layers += [conv(3, padding=1) for _ in range(count)] + [nn.MaxPool2d(2)]
    assert last_field(nn.Sequential(*layers), (1, 1, 224, 224)) == (212, 212)


class Square(mc.Function):
    @staticmethod
    def forward(ctx, x):
        return x * x


def test_what_is_not_followed_has_none():
    model = nn.Sequential(conv(3), Call(Square.apply), conv(3))
    assert [row.receptive_field for row in mc.summary(model, (1, 1, 9, 9)).rows] == [(3, 3), None, None]
    turned = nn.Sequential(conv(3), Call(lambda x: x.transpose(2, 3)), conv(3))
    assert last_field(turned, (1, 1, 9, 9)) is None
    assert last_field(nn.Linear(5, 2), (3, 5)) is None
    assert last_field(Call(lambda x: mc.zeros(1, 1, 2, 2)), (1, 1, 9, 9)) is None


def test_a_flattened_pixel_depends_on_its_own_field_and_a_linear_layer_on_all():
    model = nn.Sequential(conv(3, stride=2), nn.Flatten(), nn.Dropout(), nn.Linear(16, 2))
    fields = [row.receptive_field for row in mc.summary(model, (1, 1, 9, 9)).rows]
    assert fields == [(3, 3), (3, 3), (3, 3), (9, 9)]

"""What beginners do wrong, and the one sentence that each gets: no NumPy error from the depths, no silent guess.

The texts themselves are asserted. PYTHON lists what Python itself says clearly, in a
TypeError: a missing or misspelt argument.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn import nn, optim
from minicnn.cli import main
from minicnn.data import DataLoader, ORLFaces, random_split, read_pgm, write_pgm
from minicnn.errors import (
    CheckpointError,
    DataError,
    DeviceError,
    DTypeError,
    GradientError,
    MinicnnError,
    NumericsError,
    ShapeError,
)  # fmt: skip
from minicnn.training import fit

Row = tuple[Callable[[], Any], type[Exception], str]

X = mc.ones(2, 3, 8, 8)
IMAGE = mc.ones(3, 8, 8)
W = mc.ones(4, 3, 3, 3)
SCORES = mc.ones(4, 3)
LABELS = mc.tensor([0, 1, 2, 2])
ITEM = np.zeros(2, np.float32)


def layer() -> nn.Linear:
    return nn.Linear(2, 2)


TABLE: list[Row] = [
    (
        lambda: F.conv2d(X, mc.ones(4, 2, 3, 3)),
        ShapeError,
        "conv2d: input has 3 channels, weight (4, 2, 3, 3) with groups=1 needs 2",
    ),
    (
        lambda: nn.Conv2d(4, 8, 3)(X),
        ShapeError,
        "conv2d: input has 3 channels, weight (8, 4, 3, 3) with groups=1 needs 4",
    ),
    (
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(4, 8, 3))(X),
        ShapeError,
        "conv2d: input has 8 channels, weight (8, 4, 3, 3) with groups=1 needs 4",
    ),
    (
        lambda: nn.Conv2d(3, 4, 3)(IMAGE),
        ShapeError,
        "conv2d: input has shape (3, 8, 8), needs a batch (N, C, H, W); give a single image its batch axis "
        "with x.unsqueeze(0)",
    ),
    (
        lambda: nn.Conv2d(3, 4, 3)(mc.zeros(2, 3, 8, 8, dtype=mc.uint8)),
        DTypeError,
        "conv2d: input is uint8, needs float32 or float64; convert it with .float()",
    ),
    (
        lambda: nn.Conv2d(3, 4, 3)(mc.zeros(2, 3, 8, 8, dtype=mc.int64)),
        DTypeError,
        "conv2d: input is int64, needs float32 or float64; convert it with .float()",
    ),
    (
        lambda: nn.Conv2d(3, 4, 3)(mc.zeros(2, 3, 8, 8, dtype=mc.float64)),
        DTypeError,
        "conv2d: weight is float32, input is float64; convert one with .to(dtype)",
    ),
    (
        lambda: nn.Conv2d(3, 4, 3)(np.zeros((2, 3, 8, 8), np.float32)),
        DTypeError,
        "conv2d: input must be a Tensor, got ndarray; see mc.tensor(data)",
    ),
    (lambda: nn.Conv2d(3, 4, 3)([[1.0]]), DTypeError, "conv2d: input must be a Tensor, got list; see mc.tensor(data)"),
    (
        lambda: nn.Conv2d(3, 4, 9)(X),
        ShapeError,
        "conv2d: kernel (9, 9) with dilation (1, 1) covers 9 × 9 pixels, the padded image has 8 × 8",
    ),
    (
        lambda: nn.Conv2d(3, 4, 9, padding=0, dilation=2)(X),
        ShapeError,
        "conv2d: kernel (9, 9) with dilation (2, 2) covers 17 × 17 pixels, the padded image has 8 × 8",
    ),
    (lambda: nn.Conv2d(3, 4, 3, stride=0), ShapeError, "Conv2d: stride is 0, needs at least 1"),
    (lambda: F.conv2d(X, W, stride=0), ShapeError, "conv2d: stride is 0, needs at least 1"),
    (lambda: F.conv2d(X, W, stride=1.5), DTypeError, "conv2d: stride must be a whole number, got 1.5"),
    (lambda: F.conv2d(X, W, padding=-1), ShapeError, "conv2d: padding is -1, needs at least 0"),
    (lambda: F.conv2d(X, W, padding="full"), ShapeError, "conv2d: padding is 'full', needs one of 'same', 'valid'"),
    (lambda: F.conv2d(X, W, padding="same", stride=2), ShapeError, 'conv2d: padding="same" needs stride 1, got (2, 2)'),
    (
        lambda: F.conv2d(X, W, groups=2),
        ShapeError,
        "conv2d: input has 3 channels, weight (4, 3, 3, 3) with groups=2 needs 6",
    ),
    (lambda: F.conv2d(X, W, mc.ones(3)), ShapeError, "conv2d: bias has shape (3,), weight (4, 3, 3, 3) needs (4,)"),
    (
        lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"),
        ShapeError,
        "Conv2d: padding_mode is 'mirror', needs one of 'zeros', 'reflect', 'replicate', 'circular'",
    ),
    (lambda: nn.Conv2d(3, 5, 3, groups=2), ShapeError, "Conv2d: in_channels is 3, it must divide into groups=2"),
    (lambda: nn.Conv2d(0, 5, 3), ShapeError, "Conv2d: in_channels is 0, needs at least 1"),
    (lambda: nn.Conv2d(3, 5, 0), ShapeError, "Conv2d: kernel_size is 0, needs at least 1"),
    (lambda: nn.Conv2d("3", 5, 3), DTypeError, "Conv2d: in_channels must be a whole number, got '3'"),
    (
        lambda: nn.Linear(10, 5)(mc.ones(2, 11)),
        ShapeError,
        "linear: input has shape (2, 11), weight (5, 10) needs (…, 10)",
    ),
    (
        lambda: nn.Linear(10, 5)(X),
        ShapeError,
        "linear: input has shape (2, 3, 8, 8), weight (5, 10) needs (…, 10); flatten the images with x.flatten(1)",
    ),
    (lambda: nn.Linear(10.0, 5), DTypeError, "Linear: in_features must be a whole number, got 10.0"),
    (
        lambda: nn.Linear(10, 5)(np.zeros((2, 10), np.float32)),
        DTypeError,
        "linear: input must be a Tensor, got ndarray; see mc.tensor(data)",
    ),
    (
        lambda: nn.Linear(10, 5)(mc.zeros(2, 10, dtype=mc.float64)),
        DTypeError,
        "linear: weight is float32, input is float64; convert one with .to(dtype)",
    ),
    (
        lambda: nn.Linear(10, 5)(mc.zeros(2, 10, dtype=mc.int64)),
        DTypeError,
        "linear: input is int64, needs float32 or float64; convert it with .float()",
    ),
    (lambda: nn.MaxPool2d(0), ShapeError, "MaxPool2d: kernel_size is 0, needs at least 1"),
    (lambda: nn.MaxPool2d(2, stride=0)(X), ShapeError, "MaxPool2d: stride is 0, needs at least 1"),
    (
        lambda: nn.MaxPool2d(9)(X),
        ShapeError,
        "max_pool2d: kernel (9, 9) with dilation (1, 1) covers 9 × 9 pixels, the padded image has 8 × 8",
    ),
    (
        lambda: nn.MaxPool2d(2)(IMAGE),
        ShapeError,
        "max_pool2d: input has shape (3, 8, 8), needs a batch (N, C, H, W); give a single image its batch "
        "axis with x.unsqueeze(0)",
    ),
    (lambda: nn.MaxPool2d(2, padding=2)(X), ShapeError, "MaxPool2d: padding is 2, needs at most half of kernel_size 2"),
    (
        lambda: nn.AvgPool2d(9)(X),
        ShapeError,
        "avg_pool2d: kernel (9, 9) with dilation (1, 1) covers 9 × 9 pixels, the padded image has 8 × 8",
    ),
    (
        lambda: F.avg_pool2d(X, 2, divisor_override=0),
        ShapeError,
        "avg_pool2d: divisor_override is 0, needs another whole number",
    ),
    (lambda: F.adaptive_avg_pool2d(X, -1), ShapeError, "adaptive_avg_pool2d: output_size is -1, needs at least 0"),
    (
        lambda: nn.BatchNorm2d(4)(X),
        ShapeError,
        "batch_norm: running_mean has shape (4,), the input's channels need (3,)",
    ),
    (
        lambda: nn.BatchNorm2d(3)(IMAGE),
        ShapeError,
        "BatchNorm2d: input has shape (3, 8, 8), needs a batch (N, C, H, W); give a single image its batch "
        "axis with x.unsqueeze(0)",
    ),
    (
        lambda: nn.BatchNorm2d(3)(mc.ones(2, 3)),
        ShapeError,
        "BatchNorm2d: input has shape (2, 3), needs four axes (N, C, H, W)",
    ),
    (
        lambda: nn.BatchNorm1d(3)(mc.ones(1, 3)),
        ShapeError,
        "batch_norm: input has shape (1, 3), training needs more than 1 value per channel",
    ),
    (
        lambda: nn.BatchNorm2d(3)(mc.ones(1, 3, 1, 1)),
        ShapeError,
        "batch_norm: input has shape (1, 3, 1, 1), training needs more than 1 value per channel",
    ),
    (lambda: nn.BatchNorm2d(3, eps=-1), ShapeError, "BatchNorm2d: eps is -1, needs a number in [0, inf]"),
    (lambda: nn.BatchNorm2d(3, momentum=2), ShapeError, "BatchNorm2d: momentum is 2, needs a number in [0, 1]"),
    (lambda: nn.Dropout(1.5), ShapeError, "Dropout: p is 1.5, needs a number in [0, 1]"),
    (lambda: nn.Dropout(-0.1), ShapeError, "Dropout: p is -0.1, needs a number in [0, 1]"),
    (lambda: F.dropout(X, 2), ShapeError, "dropout: p is 2, needs a number in [0, 1]"),
    (lambda: F.dropout(X, p="half"), DTypeError, "dropout: p must be a number, got 'half'"),
    (lambda: F.dropout(X, 0.5, "yes"), DTypeError, "dropout: training must be True or False, got 'yes'"),
    (lambda: F.relu(np.zeros(3)), DTypeError, "relu: input must be a Tensor, got ndarray; see mc.tensor(data)"),
    (lambda: F.relu([1.0]), DTypeError, "relu: input must be a Tensor, got list; see mc.tensor(data)"),
    (lambda: F.relu(3.0), DTypeError, "relu: input must be a Tensor, got float; see mc.tensor(data)"),
    (
        lambda: F.softmax(X),
        ShapeError,
        "softmax: dim is missing: name the axis of the classes, dim=1 in a batch (N, C)",
    ),
    (lambda: F.softmax(X, dim=7), ShapeError, "softmax: dim is 7, a tensor of shape (2, 3, 8, 8) needs -4 … 3"),
    (
        lambda: F.log_softmax(mc.tensor([1, 2]), dim=0),
        DTypeError,
        "log_softmax: input is int64, needs float32 or float64; convert it with .float()",
    ),
    (
        lambda: F.cross_entropy(SCORES, mc.tensor([0, 1, 2, 3])),
        ShapeError,
        "cross_entropy: label 3 at 3 is outside 0 … 2: input has 3 classes",
    ),
    (
        lambda: F.cross_entropy(SCORES, mc.tensor([0, 1, 2, -1])),
        ShapeError,
        "cross_entropy: label -1 at 3 is outside 0 … 2: input has 3 classes",
    ),
    (
        lambda: F.cross_entropy(SCORES, mc.tensor([0.0, 1.0, 2.0, 2.0])),
        DTypeError,
        "cross_entropy: target is float32, labels must be int64; convert them with .long()",
    ),
    (
        lambda: F.cross_entropy(SCORES, mc.tensor([[0], [1], [2], [2]])),
        ShapeError,
        "cross_entropy: target has shape (4, 1), input (4, 3) needs labels of shape (4,) or probabilities of "
        "shape (4, 3)",
    ),
    (
        lambda: F.cross_entropy(SCORES, mc.tensor([[1, 0, 0]] * 4)),
        DTypeError,
        "cross_entropy: target is int64 and has the shape of the input (4, 3): probabilities must be floats; "
        "convert them with .float(), or give labels: target.argmax(1)",
    ),
    (
        lambda: F.cross_entropy(SCORES, mc.tensor([0, 1, 2])),
        ShapeError,
        "cross_entropy: target has shape (3,), input (4, 3) needs labels of shape (4,) or probabilities of "
        "shape (4, 3)",
    ),
    (
        lambda: F.cross_entropy(SCORES, [0, 1, 2, 2]),
        DTypeError,
        "cross_entropy: target must be a Tensor, got list; see mc.tensor(data)",
    ),
    (
        lambda: F.cross_entropy(SCORES, np.array([0, 1, 2, 2])),
        DTypeError,
        "cross_entropy: target must be a Tensor, got ndarray; see mc.tensor(data)",
    ),
    (
        lambda: F.cross_entropy(SCORES, LABELS, label_smoothing=1.5),
        ShapeError,
        "cross_entropy: label_smoothing is 1.5, needs a number in [0, 1]",
    ),
    (
        lambda: F.cross_entropy(SCORES, LABELS, reduction="avg"),
        ShapeError,
        "cross_entropy: reduction is 'avg', needs one of 'none', 'mean', 'sum'",
    ),
    (
        lambda: F.cross_entropy(SCORES, LABELS, reduction=None),
        ShapeError,
        "cross_entropy: reduction is None, needs one of 'none', 'mean', 'sum'",
    ),
    (
        lambda: F.cross_entropy(SCORES, LABELS, weight=mc.ones(4)),
        ShapeError,
        "cross_entropy: weight has shape (4,), input (4, 3) needs (3,)",
    ),
    (
        lambda: F.cross_entropy(mc.tensor([[1, 2, 3]]), mc.tensor([0])),
        DTypeError,
        "cross_entropy: input is int64, needs float32 or float64; convert it with .float()",
    ),
    (
        lambda: F.cross_entropy(mc.ones(0, 3), mc.zeros(0, dtype=mc.int64)),
        ShapeError,
        "cross_entropy: input has shape (0, 3): an empty batch has no mean; leave it out, or use reduction='sum'",
    ),
    (
        lambda: nn.CrossEntropyLoss()(mc.ones(4, 3, dtype=mc.float64), mc.tensor([[0.1, 0.2, 0.7]] * 4)),
        DTypeError,
        "cross_entropy: target is float32, input is float64; convert one with .to(dtype)",
    ),
    (
        lambda: F.cross_entropy(LABELS, SCORES),
        DTypeError,
        "cross_entropy: input is int64, needs float32 or float64; convert it with .float()",
    ),
    (
        lambda: F.nll_loss(SCORES, mc.tensor([0, 1, 2, 3])),
        ShapeError,
        "nll_loss: label 3 at 3 is outside 0 … 2: input has 3 classes",
    ),
    (
        lambda: F.mse_loss(mc.ones(4, 1), mc.ones(4)),
        ShapeError,
        "mse_loss: target has shape (4,), input has (4, 1); they must be equal, since nothing is broadcast here",
    ),
    (
        lambda: F.mse_loss(mc.ones(4), mc.ones(3)),
        ShapeError,
        "mse_loss: target has shape (3,), input has (4,); they must be equal, since nothing is broadcast here",
    ),
    (
        lambda: F.mse_loss(mc.ones(4), mc.tensor([1, 2, 3, 4])),
        DTypeError,
        "mse_loss: target is int64, needs float32 or float64; convert it with .float()",
    ),
    (
        lambda: F.mse_loss(mc.ones(4), mc.tensor([1.0, 2, 3, 4], dtype=mc.float64)),
        DTypeError,
        "mse_loss: target is float64, input is float32; convert one with .to(dtype)",
    ),
    (
        lambda: F.mse_loss(mc.ones(4), [1.0, 2.0, 3.0, 4.0]),
        DTypeError,
        "mse_loss: target must be a Tensor, got list; see mc.tensor(data)",
    ),
    (
        lambda: F.binary_cross_entropy(mc.rand(4), mc.tensor([0, 1, 0, 1])),
        DTypeError,
        "binary_cross_entropy: target is int64, needs float32 or float64; convert it with .float()",
    ),
    (
        lambda: F.binary_cross_entropy_with_logits(mc.ones(4), mc.tensor([0, 1, 0, 1])),
        DTypeError,
        "binary_cross_entropy_with_logits: target is int64, needs float32 or float64; convert it with .float()",
    ),
    (
        lambda: F.binary_cross_entropy_with_logits(mc.ones(4, 1), mc.ones(4)),
        ShapeError,
        "binary_cross_entropy_with_logits: target has shape (4,), input has (4, 1); they must be equal, "
        "since nothing is broadcast here",
    ),
    (
        lambda: F.one_hot(mc.tensor([0, 3]), 3),
        ShapeError,
        "one_hot: label 3 at 1 is outside 0 … 2: there are 3 classes",
    ),
    (
        lambda: F.one_hot(mc.tensor([0.0, 1.0]), 3),
        DTypeError,
        "one_hot: tensor is float32, labels must be int64; convert them with .long()",
    ),
    (
        lambda: X.clone().requires_grad_().backward(),
        GradientError,
        "backward: a gradient is made for a scalar only; the tensor has shape (2, 3, 8, 8): reduce it, for "
        "instance with .sum(), or give a gradient of that shape",
    ),
    (
        lambda: (X.clone().requires_grad_() * 2).backward(),
        GradientError,
        "backward: a gradient is made for a scalar only; the tensor has shape (2, 3, 8, 8): reduce it, for "
        "instance with .sum(), or give a gradient of that shape",
    ),
    (
        lambda: X.sum().backward(),
        GradientError,
        "backward: the tensor does not require a gradient: nothing it was computed from has "
        "requires_grad=True, or it was computed under no_grad",
    ),
    (lambda: mc.ones(3, 2) + mc.ones(4), ShapeError, "add: shapes (3, 2) and (4,) cannot be broadcast to one"),
    (lambda: mc.ones(3, 2) @ mc.ones(3, 2), ShapeError, "matmul: input (3, 2) has 2 columns, other (3, 2) has 3 rows"),
    (
        lambda: mc.ones(3, 2) @ np.zeros((2, 2), np.float32),
        DTypeError,
        "matmul: other must be a Tensor, got ndarray; see mc.tensor(data)",
    ),
    (lambda: operator.add(mc.ones(3), [1, 2, 3]), DTypeError, "add: other must be a Tensor or a number, got list"),
    (lambda: mc.ones(3) + "1", DTypeError, "add: other must be a Tensor or a number, got str"),
    (
        lambda: mc.ones(3).view(2, 2),
        ShapeError,
        "reshape: shape (2, 2) cannot hold the 3 elements of a tensor of shape (3,)",
    ),
    (
        lambda: mc.ones(6).reshape(-1, 4),
        ShapeError,
        "reshape: shape (-1, 4) cannot hold the 6 elements of a tensor of shape (6,)",
    ),
    (
        lambda: mc.ones(6).reshape(-1, -1),
        ShapeError,
        "reshape: shape (-1, -1) needs sizes of at least 0 and at most one -1",
    ),
    (lambda: mc.ones(6)[7], ShapeError, "index: index 7 is out of range for axis 0 of a tensor of shape (6,)"),
    (
        lambda: mc.ones(6)["a"],
        DTypeError,
        "index: an index is made of whole numbers, slices, None, ... and tensors, got 'a'",
    ),
    (
        lambda: mc.ones(6)[1.5],
        DTypeError,
        "index: an index is made of whole numbers, slices, None, ... and tensors, got 1.5",
    ),
    (lambda: mc.ones(2, 3)[0, 0, 0], ShapeError, "index: 3 indices are too many for a tensor of shape (2, 3)"),
    (
        lambda: mc.ones(2, 3)[mc.tensor([5])],
        ShapeError,
        "index: index 5 is out of range for axis 0 of a tensor of shape (2, 3)",
    ),
    (lambda: mc.ones(6).item(), ShapeError, "item: needs a tensor with one element, this one has shape (6,)"),
    (lambda: int(mc.ones(6)), ShapeError, "item: needs a tensor with one element, this one has shape (6,)"),
    (
        lambda: bool(mc.ones(6)),
        ShapeError,
        "bool: a tensor of shape (6,) is neither true nor false; use .any() or .all()",
    ),
    (lambda: float(mc.ones(2)), ShapeError, "item: needs a tensor with one element, this one has shape (2,)"),
    (lambda: mc.ones(2, 3).sum(2), ShapeError, "sum: dim is 2, a tensor of shape (2, 3) needs -2 … 1"),
    (lambda: mc.ones(2, 3).mean(dim="a"), DTypeError, "mean: dim must be a whole number, got 'a'"),
    (lambda: mc.tensor([1, 2]).mean(0), DTypeError, "mean: input is int64, needs floats; convert it with .float()"),
    (
        lambda: mc.ones(0).max(),
        ShapeError,
        "max: a tensor of shape (0,) has no elements along axes (0,) to choose from",
    ),
    (
        lambda: mc.ones(2, 0).max(1),
        ShapeError,
        "max: a tensor of shape (2, 0) has no elements along axes (1,) to choose from",
    ),
    (
        lambda: mc.ones(2, 0).argmax(1),
        ShapeError,
        "argmax: a tensor of shape (2, 0) has no elements along axes (1,) to choose from",
    ),
    (
        lambda: mc.ones(2).to("gpu"),
        DTypeError,
        "to: dtype 'gpu' is unknown; use mc.float32, mc.int64, …, and no device, which are reference, cpu, "
        "cuda, cuda:sim",
    ),
    (
        lambda: mc.ones(2).to("reference") + mc.ones(2),
        DeviceError,
        "Add: inputs are on different devices, reference and cpu; move one with .to(device)",
    ),
    (
        lambda: layer()(mc.ones(2).to("reference")),
        DeviceError,
        "Linear: inputs are on different devices, reference and cpu; move one with .to(device)",
    ),
    (
        lambda: layer()(mc.ones(1, 2).to("reference")),
        DeviceError,
        "Linear: inputs are on different devices, reference and cpu; move one with .to(device)",
    ),
    (
        lambda: mc.use_device("tpu"),
        DeviceError,
        "device: 'tpu' is unknown; there are 'reference', 'cpu', 'cuda', 'cuda:sim'",
    ),
    (
        lambda: mc.device("cuda:1"),
        DeviceError,
        "device: 'cuda:1' is unknown; there are 'reference', 'cpu', 'cuda', 'cuda:sim'",
    ),
    (lambda: mc.device(None), DeviceError, "device: None is unknown; there are 'reference', 'cpu', 'cuda', 'cuda:sim'"),
    (lambda: mc.tensor([[1], [1, 2]]), ShapeError, "tensor: the rows of the data have different lengths"),
    (lambda: mc.tensor("abc"), DTypeError, "tensor: needs real numbers, got <U3 from str"),
    (lambda: mc.tensor(None), DTypeError, "tensor: needs real numbers, got object from NoneType"),
    (lambda: mc.tensor([1, None]), DTypeError, "tensor: needs real numbers, got object from list"),
    (lambda: mc.tensor([1j]), DTypeError, "tensor: needs real numbers, got complex128 from list"),
    (
        lambda: mc.tensor([1, 2], dtype="float33"),
        DTypeError,
        "tensor: dtype 'float33' is unknown; use mc.float32, mc.int64, …",
    ),
    (
        lambda: mc.tensor([1, 2], requires_grad=True),
        DTypeError,
        "requires_grad: only float tensors have gradients, this one is int64",
    ),
    (lambda: mc.tensor({1: 2}), DTypeError, "tensor: needs real numbers, got object from dict"),
    (lambda: mc.zeros(-1), ShapeError, "zeros: size (-1,) holds -1, needs sizes of at least 0"),
    (lambda: mc.zeros(2.5), DTypeError, "zeros: size must be a whole number, got 2.5"),
    (lambda: mc.zeros("a"), DTypeError, "zeros: size must be a whole number, got 'a'"),
    (lambda: mc.randn([2, "a"]), DTypeError, "randn: size must be a whole number, got 'a'"),
    (lambda: mc.manual_seed("a"), DTypeError, "manual_seed: seed must be a whole number, got 'a'"),
    (lambda: mc.manual_seed(-1), ShapeError, "manual_seed: seed is -1, needs at least 0"),
    (lambda: mc.manual_seed(1.5), DTypeError, "manual_seed: seed must be a whole number, got 1.5"),
    (lambda: mc.arange(0, 1, 0), ShapeError, "arange: step is 0, which does not lead from 0 to 1"),
    (lambda: optim.SGD(layer().parameters(), lr=-1), ShapeError, "SGD: lr is -1, needs a number in [0, inf]"),
    (lambda: optim.SGD(layer().parameters(), lr="0.1"), DTypeError, "SGD: lr must be a number, got '0.1'"),
    (
        lambda: optim.SGD(layer().parameters(), lr=0.1, momentum=-1),
        ShapeError,
        "SGD: momentum is -1, needs a number in [0, inf]",
    ),
    (
        lambda: optim.SGD(layer().parameters(), lr=0.1, nesterov=True),
        ShapeError,
        "SGD: nesterov=True needs a momentum above 0 and dampening=0",
    ),
    (
        lambda: optim.SGD(layer().parameters, lr=0.1),
        DTypeError,
        "SGD: params must be a list of tensors or groups, got one method",
    ),
    (
        lambda: optim.SGD(layer(), lr=0.1),
        DTypeError,
        "SGD: params must be a list of tensors or groups, got one Linear; write model.parameters()",
    ),
    (lambda: optim.SGD([], lr=0.1), ShapeError, "SGD: params is empty; a module's are model.parameters()"),
    (
        lambda: optim.SGD(nn.ReLU().parameters(), lr=0.1),
        ShapeError,
        "SGD: params is empty; a module's are model.parameters()",
    ),
    (
        lambda: optim.Adam(layer().parameters(), betas=(1.0, 0.9)),
        ShapeError,
        "Adam: betas[0] is 1.0, needs a number in [0, 1)",
    ),
    (lambda: optim.Adam(layer().parameters(), betas=0.9), ShapeError, "Adam: betas is 0.9, needs two numbers"),
    (lambda: optim.Adam(layer().parameters(), eps=-1), ShapeError, "Adam: eps is -1, needs a number in [0, inf]"),
    (
        lambda: optim.SGD(layer().named_parameters(), lr=0.1),
        DTypeError,
        "SGD: params[0] must be a Tensor, got tuple; write model.parameters()",
    ),
    (
        lambda: layer().load_state_dict(nn.Conv2d(3, 2, 1).state_dict()),
        CheckpointError,
        "load_state_dict: the state does not fit Linear\n    weight: has shape (2, 3, 1, 1), needs (2, 2)",
    ),
    (
        lambda: layer().load_state_dict(nn.Sequential(layer()).state_dict()),
        CheckpointError,
        "load_state_dict: the state does not fit Linear\n    missing: weight, bias\n    unexpected: 0.weight, 0.bias",
    ),
    (lambda: layer().load_state_dict("model.pth"), DTypeError, "load_state_dict: needs a dict of tensors, got str"),
    (lambda: layer().load_state_dict(layer()), DTypeError, "load_state_dict: needs a dict of tensors, got Linear"),
    (
        lambda: layer().load_state_dict({"weight": [[1, 2], [3, 4]], "bias": np.zeros(2)}),
        CheckpointError,
        "load_state_dict: the state does not fit Linear\n    weight: is of type list, needs a tensor",
    ),
    (
        lambda: optim.Adam(layer().parameters()).load_state_dict({}),
        CheckpointError,
        'Adam: load_state_dict needs a dict with "state" and "param_groups"',
    ),
    (
        lambda: nn.Sequential([nn.ReLU()]),
        DTypeError,
        "Sequential: argument 0 must be an nn.Module, got list; unpack it with Sequential(*modules)",
    ),
    (
        lambda: nn.Sequential(nn.ReLU),
        DTypeError,
        "Sequential: argument 0 must be an nn.Module, got type; write ReLU(…)",
    ),
    (lambda: nn.Sequential(F.relu), DTypeError, "Sequential: argument 0 must be an nn.Module, got function"),
    (
        lambda: nn.Sequential(nn.ReLU, layer()),
        DTypeError,
        "Sequential: argument 0 must be an nn.Module, got type; write ReLU(…)",
    ),
    (lambda: nn.ModuleList(nn.ReLU()), DTypeError, "ModuleList: needs a list of modules, got one ReLU"),
    (lambda: nn.Parameter(3), DTypeError, "Parameter: data are int64, only floats can be trained; use .float()"),
    (lambda: nn.Flatten()(mc.ones(2)), ShapeError, "flatten: start_dim is 1, a tensor of shape (2,) needs -1 … 0"),
    (lambda: F.flatten(mc.ones(2, 3), 5), ShapeError, "flatten: start_dim is 5, a tensor of shape (2, 3) needs -2 … 1"),
    (
        lambda: F.cat([mc.ones(2, 3), mc.ones(3, 2)]),
        ShapeError,
        "cat: tensors[1] has shape (3, 2), the first (2, 3); they may differ in axis 0 only",
    ),
    (lambda: F.cat([]), ShapeError, "cat: tensors is empty, needs at least one Tensor"),
    (
        lambda: F.cat(mc.ones(2, 3), mc.ones(2, 3)),
        DTypeError,
        "cat: tensors must be a list or tuple of Tensors, got Tensor",
    ),
    (
        lambda: F.stack([mc.ones(2, 3), mc.ones(3, 2)]),
        ShapeError,
        "stack: tensors[1] has shape (3, 2), the first (2, 3); they must be equal",
    ),
    (
        lambda: F.cat([mc.ones(2, 3), np.zeros((2, 3))]),
        DTypeError,
        "cat: tensors[1] must be a Tensor, got ndarray; see mc.tensor(data)",
    ),
    (
        lambda: F.where([True], mc.ones(1), mc.ones(1)),
        DTypeError,
        "where: condition must be a Tensor, got list; see mc.tensor(data)",
    ),
    (
        lambda: F.pad(X, 1),
        ShapeError,
        "pad: pad (1,) has 1 widths, a tensor of shape (2, 3, 8, 8) takes two for each of its last axes, at most 8",
    ),
    (
        lambda: F.pad(X, (1,)),
        ShapeError,
        "pad: pad (1,) has 1 widths, a tensor of shape (2, 3, 8, 8) takes two for each of its last axes, at most 8",
    ),
    (
        lambda: F.pad(X, (1, 1), mode="mirror"),
        ShapeError,
        "pad: mode is 'mirror', needs one of 'constant', 'reflect', 'replicate', 'circular'",
    ),
    (
        lambda: F.pad(X, (9, 9, 9, 9), mode="reflect"),
        ShapeError,
        "pad: mode 'reflect' adds at most 7 on each side of 8 elements, pad has (9, 9)",
    ),
    (
        lambda: F.einsum("ij,jk", mc.ones(2, 3), mc.ones(2, 3)),
        ShapeError,
        "einsum: 'j' in 'ij,jk' has the sizes 3 and 2",
    ),
    (
        lambda: F.einsum("i->ii", mc.ones(2)),
        ShapeError,
        "einsum: 'i' of the result in 'i->ii' must occur in an operand, and in the result once",
    ),
    (lambda: F.einsum(mc.ones(2), "i"), DTypeError, "einsum: equation must be a str such as 'nk,km->nm', got Tensor"),
    (lambda: F.local_response_norm(X, 0), ShapeError, "local_response_norm: size is 0, needs at least 1"),
    (
        lambda: F.local_response_norm(X, 2, alpha="a"),
        DTypeError,
        "local_response_norm: alpha must be a number, got 'a'",
    ),
    (lambda: F.group_norm(X, 2), ShapeError, "group_norm: input has 3 channels, they must divide into num_groups=2"),
    (
        lambda: F.layer_norm(X, (7,)),
        ShapeError,
        "layer_norm: input has shape (2, 3, 8, 8), normalized_shape (7,) must be its last axes",
    ),
    (
        lambda: F.batch_norm(X, None, None),
        ShapeError,
        "batch_norm: running_mean is None, needs the statistics unless training=True",
    ),
    (
        lambda: F.batch_norm(X, mc.zeros(4), mc.ones(4)),
        ShapeError,
        "batch_norm: running_mean has shape (4,), the input's channels need (3,)",
    ),
    (
        lambda: F.conv_transpose2d(X, W),
        ShapeError,
        "conv_transpose2d: input has 3 channels, weight (4, 3, 3, 3) needs 4",
    ),
    (
        lambda: F.conv_transpose2d(X, mc.ones(3, 4, 3, 3), output_padding=1),
        ShapeError,
        "conv_transpose2d: output_padding (1, 1) must be smaller than stride (1, 1) or dilation (1, 1)",
    ),
    (
        lambda: F.unfold(X, 9),
        ShapeError,
        "unfold: kernel (9, 9) with dilation (1, 1) covers 9 × 9 pixels, the padded image has 8 × 8",
    ),
    (
        lambda: F.fold(X, 8, 3),
        ShapeError,
        "fold: input has shape (2, 3, 8, 8), needs (N, C·3·3, 6·6): an image of (8, 8) has 6 × 6 windows of (3, 3)",
    ),
    (lambda: F.clamp(X), ShapeError, "clamp: needs min, max or both"),
    (lambda: F.clamp(X, "a", 2), DTypeError, "clamp: min must be a number, got 'a'"),
    (
        lambda: F.linear(mc.ones(2, 3), mc.ones(3, 4)),
        ShapeError,
        "linear: input has shape (2, 3), weight (3, 4) needs (…, 4)",
    ),
    (lambda: F.argmax(mc.ones(2, 3), dim=3), ShapeError, "argmax: dim is 3, a tensor of shape (2, 3) needs -2 … 1"),
    (lambda: F.split(mc.ones(6), 0), ShapeError, "split: split_size_or_sections is 0, needs at least 1"),
    (lambda: F.expand(mc.ones(3), 4), ShapeError, "expand: a tensor of shape (3,) cannot be expanded to (4,)"),
    (
        lambda: F.transpose(mc.ones(3, 2), 0, 5),
        ShapeError,
        "transpose: dim1 is 5, a tensor of shape (3, 2) needs -2 … 1",
    ),
    (lambda: F.permute(mc.ones(3, 2), 0), ShapeError, "permute: dims (0,) must name each axis of shape (3, 2) once"),
    (lambda: F.squeeze(mc.ones(3, 2), 5), ShapeError, "squeeze: dim is 5, a tensor of shape (3, 2) needs -2 … 1"),
    (lambda: F.sum([mc.ones(2), mc.ones(2)]), DTypeError, "sum: input must be a Tensor, got list; see mc.tensor(data)"),
    (lambda: F.matmul(mc.ones(2), 3), DTypeError, "matmul: other must be a Tensor, got int; see mc.tensor(data)"),
    (
        lambda: mc.ones(2).backward(),
        GradientError,
        "backward: the tensor does not require a gradient: nothing it was computed from has "
        "requires_grad=True, or it was computed under no_grad",
    ),
    (lambda: mc.grad(mc.ones(2), mc.ones(2)), GradientError, "grad: inputs[0] does not require a gradient"),
    (
        lambda: mc.grad(mc.ones(2).requires_grad_().sum(), mc.ones(2).requires_grad_()),
        GradientError,
        "grad: the outputs do not depend on inputs[0]; allow_unused=True gives None for it",
    ),
    (lambda: mc.summary(layer(), (3,)), ShapeError, "linear: input has shape (3,), weight (2, 2) needs (…, 2)"),
    (lambda: mc.summary(layer(), (1, 3)), ShapeError, "linear: input has shape (1, 3), weight (2, 2) needs (…, 2)"),
    (lambda: mc.summary("resnet", (1, 3)), DTypeError, "summary: model must be an nn.Module, got str"),
    (
        lambda: mc.draw_graph(mc.ones(2)),
        GradientError,
        "draw_graph: the tensor was not computed by recorded operations",
    ),
    (lambda: DataLoader([1, 2], batch_size=0), ShapeError, "DataLoader: batch_size is 0, needs at least 1"),
    (lambda: DataLoader(5), DTypeError, "DataLoader: dataset must be a data set, with a length and items, got int"),
    (lambda: DataLoader([1, 2], num_workers=-1), ShapeError, "DataLoader: num_workers is -1, needs at least 0"),
    (
        lambda: list(DataLoader([mc.zeros(2), mc.zeros(3)], batch_size=2)),
        DataError,
        "DataLoader: items of one batch have different shapes, (2,) and (3,); bring them to one size with "
        "transforms.Resize",
    ),
    (lambda: list(DataLoader([None, None], batch_size=2)), DataError, "DataLoader: cannot make a tensor of NoneType"),
    (lambda: list(DataLoader([object()], batch_size=2)), DataError, "DataLoader: cannot make a tensor of object"),
    (
        lambda: nn.init.kaiming_normal_(mc.ones(3)),
        ShapeError,
        "kaiming_normal_: tensor has shape (3,), fan-in and fan-out need at least two axes",
    ),
    (
        lambda: nn.init.kaiming_normal_(mc.ones(3, 3), nonlinearity="foo"),
        ShapeError,
        "calculate_gain: nonlinearity is 'foo', needs one of 'linear', 'conv1d', 'conv2d', 'conv3d', "
        "'conv_transpose1d', 'conv_transpose2d', 'conv_transpose3d', 'sigmoid', 'tanh', 'relu', 'selu', "
        "'leaky_relu'",
    ),
    (
        lambda: nn.init.kaiming_normal_(layer()),
        DTypeError,
        "kaiming_normal_: tensor must be a Tensor, got Linear; see mc.tensor(data)",
    ),
    (lambda: nn.init.constant_(mc.ones(3), "a"), DTypeError, "constant_: val must be a number, got 'a'"),
    (lambda: fit(None, [1]), DTypeError, "fit: model must be an nn.Module, got NoneType"),
    (lambda: fit(layer(), []), DataError, "fit: train_data is empty, there is nothing to learn from"),
    (lambda: fit(layer(), [(ITEM, 0)], config={"lr": -1}), ShapeError, "config: lr is -1, needs a number in (0, inf]"),
    (
        lambda: fit(layer(), [(ITEM, 0)], config={"learning_rate": 1}),
        DataError,
        "config: 'learning_rate' is unknown; there are model, options, image_size, augment, "
        "train_per_subject, split_seed, epochs, steps_per_epoch, batch_size, optimizer, lr, weight_decay, "
        "momentum, schedule, label_smoothing, clip_norm, mirror, seed",
    ),
    (
        lambda: fit(layer(), [(ITEM, 5)], config={"epochs": 1}),
        ShapeError,
        "cross_entropy: label 5 at 0 is outside 0 … 1: input has 2 classes",
    ),
    (
        lambda: fit(layer(), [(np.zeros(2, np.float64), 0)] * 4, config={"epochs": 1}),
        DTypeError,
        "linear: weight is float32, input is float64; convert one with .to(dtype)",
    ),
    (
        lambda: fit(layer(), [(ITEM * np.nan, 0)] * 4, config={"epochs": 1}),
        NumericsError,
        "fit: epoch 1, step 1: the loss is nan. Linear: forward gave nan at index (0, 0) in layer Linear, "
        "line … of fit.py; its argument 1, of shape (4, 2), has such a number already. A smaller lr often "
        "helps (it is 0.004)",
    ),
    (
        lambda: fit(layer(), [(ITEM, 0.5)] * 4, config={"epochs": 1}),
        DTypeError,
        "cross_entropy: target is float64, labels must be int64; convert them with .long()",
    ),
    (
        lambda: fit(layer(), [(np.zeros(3, np.float32), 0)] * 4, config={"epochs": 1}),
        ShapeError,
        "linear: input has shape (4, 3), weight (2, 2) needs (…, 2)",
    ),
    (
        lambda: fit(layer(), [ITEM] * 4, config={"epochs": 1}),
        DataError,
        "fit: the items of train_data must be pairs (input, label) of arrays or numbers",
    ),
    (lambda: fit(layer(), [(ITEM, 0)] * 4, config={"epochs": 0}), ShapeError, "config: epochs is 0, needs at least 1"),
    (
        lambda: fit(layer(), [(ITEM, 0)] * 4, config={"batch_size": 0}),
        ShapeError,
        "config: batch_size is 0, needs at least 1",
    ),
    (
        lambda: fit(nn.ReLU(), [(ITEM, 0)] * 4, config={"epochs": 1}),
        ShapeError,
        "AdamW: params is empty; a module's are model.parameters()",
    ),
    (
        lambda: fit(layer(), np.zeros((4, 2), np.float32), config={"epochs": 1}),
        DataError,
        "fit: the items of train_data must be pairs (input, label) of arrays or numbers",
    ),
    (lambda: mc.models.resnet_orl(40, depth=7), ShapeError, "resnet_orl: depth is 7, 3 stages need 2 + 6n: 8, 14, …"),
    (lambda: mc.models.alexnet_orl(num_classes=0), ShapeError, "Linear: out_features is 0, needs at least 1"),
    (
        lambda: mc.models.alexnet_orl()(mc.ones(2, 1, 8, 8)),
        ShapeError,
        "max_pool2d: kernel (3, 3) with dilation (1, 1) covers 3 × 3 pixels, the padded image has 1 × 1",
    ),
    (
        lambda: mc.models.alexnet_orl()(mc.ones(2, 3, 112, 92)),
        ShapeError,
        "conv2d: input has 3 channels, weight (32, 1, 5, 5) with groups=1 needs 1",
    ),
    (
        lambda: mc.models.resnet_orl()(mc.ones(1, 112, 92)),
        ShapeError,
        "conv2d: input has shape (1, 112, 92), needs a batch (N, C, H, W); give a single image its batch "
        "axis with x.unsqueeze(0)",
    ),
    (lambda: mc.ones(4) * 10**400, DTypeError, "mul: a whole number of 1329 bits does not fit into float32"),
    (
        lambda: nn.Linear(10**10, 10**10),
        ShapeError,
        "Linear: a result of shape (10000000000, 10000000000) has more than 1152921504606846976 elements",
    ),
    (
        lambda: mc.zeros(10**10, 10**10),
        ShapeError,
        "zeros: a result of shape (10000000000, 10000000000) has more than 1152921504606846976 elements",
    ),
    (
        lambda: F.conv_transpose2d(X, mc.ones(3, 4, 3, 3), stride=10**9),
        ShapeError,
        "conv_transpose2d: a result of shape (7000000003, 7000000003) has more than 2147483647 elements",
    ),
    (
        lambda: F.conv2d(X, W, stride=10**30),
        ShapeError,
        "conv2d: stride is 1000000000000000000000000000000, needs at most 2147483647",
    ),
    (
        lambda: F.adaptive_avg_pool2d(X, 10**6),
        ShapeError,
        "adaptive_avg_pool2d: a result of shape (1000000, 1000000) has more than 2147483647 elements",
    ),
    (
        lambda: random_split([1, 2, 3], 2),
        DTypeError,
        "random_split: lengths must be a list such as [0.8, 0.2], got int",
    ),
    (lambda: random_split(5, [1, 1]), DTypeError, "random_split: dataset must be a data set with a length, got int"),
    (
        lambda: random_split([1, 2, 3], [1, 1]),
        ShapeError,
        "random_split: lengths [1, 1] sum to 2, the dataset has 3 items; they must be equal (or give "
        "fractions such as 0.8, 0.2)",
    ),
    (lambda: optim.clip_grad_norm_(3, 1), DTypeError, "clip_grad_norm_: parameters must be a list of tensors, got int"),
    (
        lambda: list(DataLoader([{"a": 1}, {"b": 2}], 2)),
        DataError,
        "DataLoader: items of one batch have different keys, the first has ['a']",
    ),
    (
        lambda: list(DataLoader([1.0, "a"], 2)),
        DataError,
        "DataLoader: items of one batch are of different kinds, a number or array and a str",
    ),
    (lambda: list(DataLoader([1.0, None], 2)), DataError, "DataLoader: cannot make a tensor of NoneType"),
    (
        lambda: list(DataLoader([(1, 2), 3], 2)),
        DataError,
        "DataLoader: items of one batch are of different kinds, a number or array and a tuple or list",
    ),
    (lambda: read_pgm(None), DTypeError, "read_pgm: path must be a str or a Path, got NoneType"),
    (lambda: write_pgm("a.pgm", [[1, 2], [3]]), ShapeError, "write_pgm: the rows of the array have different lengths"),
    (
        lambda: write_pgm("a.pgm", [[0.5]]),
        DTypeError,
        "write_pgm: array is float64, needs whole numbers; a picture in [0, 1] becomes some with "
        "np.round(255 * array).astype(np.uint8)",
    ),
    (lambda: ORLFaces(split="valid"), ShapeError, "ORLFaces: split is 'valid', needs one of 'train', 'test', 'all'"),
]

PYTHON: list[Row] = [
    (lambda: F.conv2d(X, W, kernel_size=3), TypeError, "conv2d() got an unexpected keyword argument 'kernel_size'"),
    (lambda: F.conv2d(X), TypeError, "conv2d() missing 1 required positional argument: 'weight'"),
    (
        lambda: F.conv2d(X, W, padding_mode="reflect"),
        TypeError,
        "conv2d() got an unexpected keyword argument 'padding_mode'",
    ),
    (lambda: nn.Conv2d(3, 4), TypeError, "Conv2d.__init__() missing 1 required positional argument: 'kernel_size'"),
    (lambda: nn.Conv2d(3, 4, 3, pading=1), TypeError, "Conv2d.__init__() got an unexpected keyword argument 'pading'"),
    (lambda: nn.Linear(10), TypeError, "Linear.__init__() missing 1 required positional argument: 'out_features'"),
    (lambda: nn.Linear(10, 5, biass=False), TypeError, "Linear.__init__() got an unexpected keyword argument 'biass'"),
    (lambda: F.max_pool2d(X), TypeError, "max_pool2d() missing 1 required positional argument: 'kernel_size'"),
    (lambda: F.max_pool2d(X, 2, strides=2), TypeError, "max_pool2d() got an unexpected keyword argument 'strides'"),
    (lambda: F.softmax(X, axis=1), TypeError, "softmax() got an unexpected keyword argument 'axis'"),
    (
        lambda: F.cross_entropy(SCORES, LABELS, size_average=True),
        TypeError,
        "cross_entropy() got an unexpected keyword argument 'size_average'",
    ),
    (lambda: mc.ones(2, 3).sum(axis=1), TypeError, "Methods.sum() got an unexpected keyword argument 'axis'"),
    (lambda: mc.ones(2, 3).sum(dims=1), TypeError, "Methods.sum() got an unexpected keyword argument 'dims'"),
    (
        lambda: mc.tensor([1, 2], dtype=mc.float32, require_grad=True),
        TypeError,
        "tensor() got an unexpected keyword argument 'require_grad'",
    ),
    (lambda: mc.Tensor(), TypeError, "Tensor.__init__() missing 1 required positional argument: 'data'"),
    (lambda: mc.full((2,)), TypeError, "full() missing 1 required positional argument: 'fill_value'"),
    (
        lambda: optim.SGD(layer().parameters(), learning_rate=0.1),
        TypeError,
        "SGD.__init__() got an unexpected keyword argument 'learning_rate'",
    ),
    (
        lambda: layer()(mc.ones(1, 2), mc.ones(1, 2)),
        TypeError,
        "Linear.forward() takes 2 positional arguments but 3 were given",
    ),
    (lambda: layer()(), TypeError, "Linear.forward() missing 1 required positional argument: 'input'"),
    (lambda: F.permute(mc.ones(3, 2), 0, 0), TypeError, "permute() takes 2 positional arguments but 3 were given"),
    (
        lambda: DataLoader([1, 2], batch_sise=2),
        TypeError,
        "DataLoader.__init__() got an unexpected keyword argument 'batch_sise'",
    ),
    (
        lambda: DataLoader([1, 2], collate_fn=1),
        TypeError,
        "DataLoader.__init__() got an unexpected keyword argument 'collate_fn'",
    ),
    (lambda: mc.models.alexnet_orl(classes=4), TypeError, "alexnet_orl() got an unexpected keyword argument 'classes'"),
]


def _name(row: Row) -> str:
    return row[2].split(" ")[0].rstrip(":")


@pytest.mark.parametrize("row", TABLE, ids=_name)
def test_says_what_came_and_what_is_needed(row):
    call, kind, text = row
    with pytest.raises(MinicnnError) as caught:
        call()
    assert type(caught.value) is kind
    assert re.sub(r"line \d+ of", "line … of", str(caught.value)) == text


@pytest.mark.parametrize("row", PYTHON, ids=_name)
def test_python_names_a_missing_or_unknown_argument(row):
    call, kind, text = row
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == text


# What takes more than a line


def test_second_backward():
    y = (mc.ones(3).requires_grad_() ** 2).sum()
    y.backward()
    with pytest.raises(GradientError) as caught:
        y.backward()
    assert str(caught.value) == (
        "backward: what Sum saved was freed by an earlier backward pass; compute the result again, "
        "or call the first one with retain_graph=True"
    )


def test_forgotten_zero_grad_adds_up():
    w = mc.ones(1).requires_grad_()
    for _ in range(2):
        (3 * w).sum().backward()
    assert w.grad is not None
    assert w.grad.item() == 6  # as PyTorch's: accumulation is the rule, not an error


def test_forgotten_super_init():
    class Net(nn.Module):
        def __init__(self):
            self.fc = layer()

    with pytest.raises(MinicnnError) as caught:
        Net()
    assert str(caught.value) == "Net: call super().__init__() first in Net.__init__, then assign parameters and modules"


def test_misspelt_layer():
    class Net(nn.Module):
        def forward(self, x):
            return self.fc1(x)

    with pytest.raises(AttributeError, match=r"^Net has no attribute 'fc1'$"):
        Net()(X)


def test_module_without_forward():
    with pytest.raises(NotImplementedError, match=r"^Module needs a method forward\(self, x\)$"):
        nn.Module()(X)


def test_state_of_another_model():
    with pytest.raises(CheckpointError) as caught:
        layer().load_state_dict(nn.Sequential(nn.Linear(3, 2)).state_dict())
    assert str(caught.value) == (
        "load_state_dict: the state does not fit Linear\n    missing: weight, bias\n    unexpected: 0.weight, 0.bias"
    )


def test_gradient_that_is_an_array():
    w = nn.Parameter(mc.ones(2))
    w.grad = np.ones(2, np.float32)
    with pytest.raises(DTypeError) as caught:
        optim.SGD([w], lr=0.1).step()
    assert str(caught.value) == "SGD: params[0].grad must be a Tensor or None, got ndarray"


def test_parameter_changed_by_hand_outside_no_grad():
    w = mc.ones(2).requires_grad_()
    with pytest.raises(GradientError) as caught:
        w -= 0.1
    assert str(caught.value) == (
        "x -= y: x is a leaf that requires a gradient; update it under mc.no_grad(), or write x = x - y"
    )


def test_device_that_is_not_there_says_what_is_missing():
    with pytest.raises(DeviceError, match=r"device 'cuda' needs CuPy"):
        mc.ones(2).to("cuda")


# Function written wrongly


def test_forward_that_returns_no_array():
    class Lost(mc.Function):
        @staticmethod
        def forward(ctx, x, result):
            return result()

    for result, came in ((None, "NoneType"), ([1.0], "list"), (1.0, "float"), (mc.ones(1), "Tensor")):
        with pytest.raises(DTypeError) as caught:
            Lost.apply(mc.ones(3), lambda result=result: result)
        assert str(caught.value) == f"Lost: forward must return an array or a tuple of arrays, got {came}"
    with pytest.raises(DTypeError, match=r"^Lost: forward must return an array or a tuple of arrays, got NoneType$"):
        Lost.apply(mc.ones(3), lambda: (np.ones(3), None))


def test_backward_that_returns_a_tensor():
    class Wrapped(mc.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, dy):
            return mc.tensor(2 * dy)

    w = mc.ones(3).requires_grad_()
    with pytest.raises(DTypeError) as caught:
        Wrapped.apply(w).sum().backward()
    assert str(caught.value) == "Wrapped: backward must return arrays or None, got Tensor"


# The command line


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("train --epochs 0", "train: config: epochs is 0, needs at least 1"),
        ("train --epochs -1", "train: config: epochs is -1, needs at least 1"),
        ("train --epochs abc", "train: error: argument --epochs: invalid int value: 'abc'"),
        ("train --lr nan", "train: config: lr is nan, needs a number in (0, inf]"),
        ("train --batch-size 0", "train: config: batch_size is 0, needs at least 1"),
        ("train --seeds 0", "train: --seeds is 0, needs at least 1"),
        ("train --device gpu", "train: device: 'gpu' is unknown; there are 'reference', 'cpu', 'cuda', 'cuda:sim'"),
        ("train --resume nowhere", "train: nowhere is not the folder of a run: it has no config.json"),
        ("eval nowhere", "eval: nowhere is not the folder of a run: it has no config.json"),
        ("predict nowhere a.pgm", "predict: nowhere is not the folder of a run: it has no config.json"),
        ("predict run a.pgm", "predict: load: run/checkpoint.safetensors is damaged or is no checkpoint: "),
        ("summary resnet_99", "summary: build: model is 'resnet_99', needs one of "),
    ],
)
def test_command_line(arguments, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    (tmp_path / "run" / "checkpoint.safetensors").write_text("no checkpoint at all")
    try:
        code = main(arguments.split())
    except SystemExit as stopped:  # argparse's own
        code = stopped.code
    assert code == 2
    assert f"minicnn {text}" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()

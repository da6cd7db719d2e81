"""What a classifier gets right: probabilities, accuracy, the confusion matrix, the mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import functional as F
from .. import nn
from .._tensor import Tensor
from ..autograd import no_grad
from ..data import DataLoader
from ..errors import DataError

Array = np.ndarray[Any, Any]


def probabilities(model: nn.Module, data: Any, batch_size: int = 100, mirror: bool = False) -> tuple[Array, Array]:
    """Return the class probabilities (N, classes) and the labels (N,) of a data set, in eval mode.

    `mirror` as for `answer`. Raises DataError for an empty data set.
    """
    if len(data) == 0:
        raise DataError("probabilities: the data set is empty")
    device = next((p.device for p in model.parameters()), None)
    found, labels = [], []
    for x, y in DataLoader(data, batch_size, device=device):
        found.append(answer(model, x, mirror))
        labels.append(y.numpy())
    return np.concatenate(found), np.concatenate(labels)


def answer(model: nn.Module, x: Tensor, mirror: bool = False) -> Array:
    """Return the class probabilities (N, classes) of a batch (N, …), in eval mode; the model's mode comes back.

    With `mirror` the logits are averaged over each picture (N, C, H, W) and its mirror image; other inputs are
    taken as they are.
    """
    training = model.training
    model.eval()
    try:
        with no_grad():
            logits = model(x)
            if mirror and x.ndim == 4:
                logits = (logits + model(F.flip(x, (3,)))) * 0.5
            return F.softmax(logits, 1).numpy()
    finally:
        model.train(training)


def accuracy(probability: Array, labels: Array) -> float:
    """Return the share of pictures whose most probable class is theirs, in percent."""
    return 100.0 * float((probability.argmax(1) == labels).mean())


def confusion(probability: Array, labels: Array) -> Array:
    """Return the matrix (classes, classes) of counts: row the person shown, column the person answered."""
    classes = probability.shape[1]
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (labels, probability.argmax(1)), 1)
    return matrix


def mistakes(probability: Array, labels: Array) -> list[tuple[int, int, int, float]]:
    """Return (number of the picture, person shown, person answered, probability) of each wrong answer."""
    answers = probability.argmax(1)
    return [
        (int(i), int(labels[i]), int(answers[i]), float(probability[i, answers[i]]))
        for i in np.flatnonzero(answers != labels)
    ]

"""The pictures of a run: curves, confusion matrix, mistakes; and contact sheets of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .history import History

Array = np.ndarray[Any, Any]


def figure(width: float, height: float) -> Any:
    """Return an empty Matplotlib figure that needs no screen and leaves pyplot's state alone."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def curves(history: History) -> Any:
    """Return a figure of loss, accuracies and learning rate over the epochs."""
    drawn = figure(9, 3.2)
    left, middle, right = drawn.subplots(1, 3)
    epochs = history["epoch"]
    left.plot(epochs, history["loss"], color="tab:red")
    left.set(title="training loss", xlabel="epoch", yscale="log")
    middle.plot(epochs, history["train_accuracy"], label="training", color="tab:gray")
    middle.plot(epochs, history["test_accuracy"], label="test", color="tab:blue")
    middle.set(title="accuracy in %", xlabel="epoch")
    middle.legend()
    right.plot(epochs, history["lr"], color="tab:green")
    right.set(title="learning rate", xlabel="epoch")
    for axes in (left, middle, right):
        axes.grid(alpha=0.3)
    return drawn


def confusion_matrix(matrix: Array) -> Any:
    """Return a figure of the counts (persons shown × persons answered)."""
    drawn = figure(6, 5.5)
    axes = drawn.subplots()
    picture = axes.imshow(matrix, cmap="Blues")
    axes.set(title="confusion", xlabel="answered", ylabel="shown")
    drawn.colorbar(picture, ax=axes, label="pictures")
    return drawn


def mistake_sheet(pairs: Sequence[tuple[Array, Array, str]]) -> Any:
    """Return a figure of wrongly recognised pictures, each beside the person it was taken for.

    Each entry holds the picture (H, W), an example of the answered person, and a line of text.
    """
    columns = 4
    rows = max(1, -(-len(pairs) // columns))
    drawn = figure(2.6 * columns, 1.9 * rows + 0.5)
    drawn.suptitle("shown – taken for" if pairs else "no mistakes")
    for axes in (all_axes := drawn.subplots(rows, columns, squeeze=False)).flat:
        axes.axis("off")
    for axes, (shown, taken_for, text) in zip(all_axes.flat, pairs):
        gap = np.ones((shown.shape[0], max(2, shown.shape[1] // 20)))
        axes.imshow(np.hstack([shown, gap, taken_for]), cmap="gray", vmin=0, vmax=1)
        axes.set_title(text, fontsize=8)
    return drawn


def contact_sheet(images: Array, columns: int, title: str) -> Any:
    """Return a figure of pictures (N, H, W), row by row."""
    count, height, width = images.shape
    rows = -(-count // columns)
    sheet = np.ones((rows * columns, height, width))
    sheet[:count] = images
    sheet = sheet.reshape(rows, columns, height, width).transpose(0, 2, 1, 3).reshape(rows * height, columns * width)
    drawn = figure(min(12, 0.55 * columns + 1), min(14, 0.55 * columns * sheet.shape[0] / sheet.shape[1] + 1))
    axes = drawn.subplots()
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=1)
    axes.set_title(title)
    axes.axis("off")
    return drawn


def write(drawn: Any, path: Path) -> None:
    """Write a figure, the same bytes for the same picture."""
    drawn.savefig(path, dpi=110, metadata={"Software": None} if path.suffix == ".png" else {"Date": None})

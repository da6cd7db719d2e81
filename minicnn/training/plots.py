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
    left.plot(epochs, history["loss"], ".-", color="tab:red")
    left.set(title="training loss", xlabel="epoch", yscale="log")
    middle.plot(epochs, history["train_accuracy"], ".-", label="training", color="tab:gray")
    middle.plot(epochs, history["test_accuracy"], ".-", label="test", color="tab:blue")
    middle.set(title="accuracy in %", xlabel="epoch")
    middle.legend()
    right.plot(epochs, history["lr"], ".-", color="tab:green")
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
    if not pairs:
        drawn = figure(4, 1)
        drawn.suptitle("no mistakes")
        return drawn
    columns = min(len(pairs), 6)
    height, width = pairs[0][0].shape
    band, gap = height // 4, width // 8  # room for the text above, and between the pictures
    cells = np.ones((len(pairs), height + band + gap, 2 * width + 3 * gap))
    for cell, (shown, taken_for, _) in zip(cells, pairs):
        cell[band : band + height, gap : gap + width] = shown
        cell[band : band + height, 2 * gap + width : 2 * (gap + width)] = taken_for
    drawn, axes = _drawn_sheet(cells, columns, "face shown – taken for", inches=1.8)
    for number, (_, _, text) in enumerate(pairs):
        row, column = divmod(number, columns)
        x, y = column * cells.shape[2] + gap, row * cells.shape[1] + band - 2
        axes.text(x, y, text, fontsize=7, verticalalignment="bottom", in_layout=False)  # the layout measures each text
    return drawn


def contact_sheet(images: Array, columns: int, title: str) -> Any:
    """Return a figure of pictures (N, H, W), row by row."""
    return _drawn_sheet(images, columns, title, inches=0.6)[0]


def _drawn_sheet(cells: Array, columns: int, title: str, inches: float) -> tuple[Any, Any]:
    """Return a figure and its axes with cells (N, H, W) in rows, each cell so wide."""
    count, height, width = cells.shape
    rows = -(-count // columns)
    sheet = np.ones((rows * columns, height, width))
    sheet[:count] = cells
    sheet = sheet.reshape(rows, columns, height, width).transpose(0, 2, 1, 3).reshape(rows * height, columns * width)
    drawn = figure(max(columns, 2) * inches + 0.2, rows * inches * height / width + 0.5)
    axes = drawn.subplots()
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=1)
    axes.set_title(title, fontsize=9)
    axes.axis("off")
    return drawn, axes


def write(drawn: Any, path: Path) -> None:
    """Write a figure, the same bytes for the same picture."""
    drawn.savefig(path, dpi=110, metadata={"Software": None} if path.suffix == ".png" else {"Date": None})

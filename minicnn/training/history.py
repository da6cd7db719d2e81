"""The record of a run: one row of numbers per epoch."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field

COLUMNS = ("epoch", "loss", "train_accuracy", "test_accuracy", "lr", "gradient_norm")

Row = dict[str, float]


@dataclass
class History:
    """What `fit` returns: `history["test_accuracy"]` is that column, `history.rows[-1]` the last epoch.

    Columns: epoch (from 1), loss (mean over the epoch, as it was trained), train_accuracy and test_accuracy in
    percent (the former on the augmented pictures, while training), lr (of the last step), gradient_norm (mean
    before clipping).
    """

    rows: list[Row] = field(default_factory=list)

    def __getitem__(self, column: str) -> list[float]:
        return [row[column] for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def to_csv(self) -> str:
        """Return the table as text, one line per epoch; every number is written in full."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([repr(row[column]) for column in COLUMNS] for row in self.rows)
        return text.getvalue()

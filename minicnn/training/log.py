"""What a terminal shows of a run: a progress bar while somebody watches, and a line per epoch."""

from __future__ import annotations

import sys
from typing import Any

from .history import Row


class Log:
    """Used as `with Log(epochs) as log:`; `log.report` and `log.progress` go to `fit`.

    The bar is drawn on a terminal only, the lines go to standard output. `quiet` shows neither.
    """

    def __init__(self, epochs: int, quiet: bool = False) -> None:
        self.epochs, self.quiet = epochs, quiet
        self._bar: Any = None

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def progress(self, step: int, steps: int) -> None:
        """Show how far the epoch is."""
        if self.quiet or not sys.stderr.isatty():
            return
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=steps, unit="step", leave=False)
        self._bar.n = step
        self._bar.refresh()

    def report(self, row: Row, speed: float) -> None:
        """Print the line of an epoch."""
        if self.quiet:
            return
        if self._bar is not None:
            self._bar.clear()
        print(line(row, speed, self.epochs), flush=True)


def line(row: Row, speed: float, epochs: int) -> str:
    """Return an epoch's numbers as a line of text."""
    return (
        f"epoch {row['epoch']:3}/{epochs}  loss {row['loss']:.4f}  train {row['train_accuracy']:5.1f} %  "
        f"test {row['test_accuracy']:5.1f} %  lr {row['lr']:.1e}  {speed:5.0f} images/s"
    )

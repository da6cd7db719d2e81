"""What the tape costs: one addition of ten numbers, recorded and swept, against NumPy's addition alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import functional as F
from .._tensor import Tensor
from .timing import Timing, measure


@dataclass(frozen=True)
class Results:
    """Time per call of np.add, and of the same addition recorded and swept."""

    numpy: Timing
    tape: Timing

    @property
    def ratio(self) -> float:
        """How many of NumPy's additions one on the tape costs."""
        return self.tape.median / self.numpy.median

    def to_dict(self) -> dict[str, object]:
        """Return the results as JSON knows them."""
        return {"numpy_add": self.numpy.to_dict(), "add_and_backward": self.tape.to_dict(), "ratio": self.ratio}

    def __str__(self) -> str:
        return (
            f"np.add of 10 numbers        {self.numpy}\n"
            f"F.add, recorded and swept   {self.tape}\n"
            f"ratio                       {self.ratio:.1f}"
        )


def run() -> Results:
    """Measure both."""
    a, b = np.arange(10, dtype=np.float32), np.ones(10, np.float32)
    x, y = Tensor(a, requires_grad=True), Tensor(b)
    dz = Tensor(np.ones(10, np.float32))

    def tape() -> None:
        x.grad = None
        F.add(x, y).backward(dz)

    timings = measure({"numpy": lambda: np.add(a, b), "tape": tape})
    return Results(**timings)

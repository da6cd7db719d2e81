"""One side of a comparison, in a process of its own: `python -m minicnn.bench.contender SIDE WORK`.

It reads a line, does what it says, answers with a line of JSON, and sleeps until the next. So only one side runs
at a time, and the idle threads of one cannot take the cores from the other.

    check     logits of the first batch, from parameters that both sides draw alike
    run N     N training steps or forward passes; the seconds of each
    memory    the highest resident size during one more, less that before the model was built, in bytes
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .networks import WORKS, Work


def main(side: str, name: str) -> None:
    """Answer commands until the input ends."""
    work = WORKS[name]
    before = _resident()
    step, logits = _torch(work, side) if side.startswith("torch") else _minicnn(work, side)
    for line in sys.stdin:
        command, *arguments = line.split()
        answer: Any
        if command == "check":
            answer = logits()
        elif command == "run":
            answer = [_seconds(step) for _ in range(int(arguments[0]))]
        else:
            _reset_peak()
            step()
            answer = _peak() - before
        print(json.dumps(answer), flush=True)


def parameters(shapes: list[tuple[int, ...]]) -> list[np.ndarray[Any, Any]]:
    """Return the parameters that all sides start from: He's initialisation from one generator."""
    rng = np.random.default_rng(0)
    found = []
    for shape in shapes:
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 0
        scale = (2 / fan_in) ** 0.5 if fan_in else 0.0
        values = scale * rng.standard_normal(shape) if fan_in else np.full(shape, 0.5)
        found.append(values.astype(np.float32))
    return found


def batch(work: Work) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the pictures and labels that all sides see."""
    rng = np.random.default_rng(1)
    return rng.standard_normal(work.shape).astype(np.float32), rng.integers(0, work.classes, work.shape[0])


def _minicnn(work: Work, side: str) -> tuple[Callable[[], Any], Callable[[], list[float]]]:
    import minicnn as mc
    from minicnn import nn, optim

    mc.use_winograd(side != "minicnn-direct")
    model = work.build(nn)
    own = list(model.parameters())
    with mc.no_grad():
        for parameter, values in zip(own, parameters([p.shape for p in own])):
            parameter.copy_(values)
    x, y = (mc.tensor(a) for a in batch(work))
    model.train(work.training)
    optimizer, loss_function = optim.SGD(own, lr=1e-4, momentum=0.9), nn.CrossEntropyLoss()

    def train() -> None:
        optimizer.zero_grad()
        loss_function(model(x), y).backward()
        optimizer.step()

    def infer() -> None:
        with mc.no_grad():
            model(x)

    def logits() -> list[float]:
        with mc.no_grad():
            result: list[float] = model(x).numpy().ravel().tolist()
            return result

    return (train if work.training else infer), logits


def _torch(work: Work, side: str) -> tuple[Callable[[], Any], Callable[[], list[float]]]:
    import torch

    model = work.build(torch.nn)
    own = list(model.parameters())
    with torch.no_grad():
        for parameter, values in zip(own, parameters([tuple(p.shape) for p in own])):
            parameter.copy_(torch.tensor(values))
    x, y = (torch.tensor(a) for a in batch(work))
    if side == "torch-channels_last":
        model, x = model.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    model.train(work.training)
    optimizer, loss_function = torch.optim.SGD(own, lr=1e-4, momentum=0.9), torch.nn.CrossEntropyLoss()

    def train() -> None:
        optimizer.zero_grad()
        loss_function(model(x), y).backward()
        optimizer.step()

    def infer() -> None:
        with torch.no_grad():
            model(x)

    def logits() -> list[float]:
        with torch.no_grad():
            result: list[float] = model(x).numpy().ravel().tolist()
            return result

    return (train if work.training else infer), logits


def _seconds(step: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    return 0


def _resident() -> int:
    return _status("VmRSS") if sys.platform == "linux" else 0


def _peak() -> int:
    return _status("VmHWM") if sys.platform == "linux" else 0


def _reset_peak() -> None:
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    main(*sys.argv[1:])

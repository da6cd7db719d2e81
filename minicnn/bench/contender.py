"""One side of a comparison, in a process of its own: `python -m minicnn.bench.contender SIDE WORK`.

It reads a line, does what it says, answers with a line of JSON, and sleeps until the next. So only one side runs
at a time, and the idle threads of one cannot take the cores from the other.

    check       logits of the first batch, from parameters that both sides draw alike
    run N       N training steps or forward passes after some that wake the threads; the seconds of each
    memory      the highest resident size during one more, less that before the model was built, in bytes
    pieces      the titles of the work's layers, and the multiply-adds of their forward passes
    piece I N   N forward (and, in training, backward) passes of layer I alone; the seconds of each
    values I    some numbers of its result and gradients

WORK is one of `networks.WORKS`, or `convolutions:SEED:COUNT`.
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
from .pieces import Piece, drawn_convolutions, multiply_adds, of_network

WAKE = 0.1  # seconds of passes that are not timed: threads that slept share one core for up to 16 ms, in any library


def main(side: str, name: str) -> None:
    """Answer commands until the input ends."""
    before = _resident()
    library = _Torch(side) if side.startswith("torch") else _Minicnn(side)
    work = WORKS.get(name)
    network = _Network(library, work) if work else None
    pieces: list[_Alone] = []
    for line in sys.stdin:
        command, *arguments = line.split()
        numbers = [int(a) for a in arguments]
        answer: Any
        if command == "pieces":
            pieces = _pieces(library, network, name)
            answer = [(piece.title, piece.multiply_adds) for piece in pieces]
        elif command == "piece":
            answer = _times(pieces[numbers[0]].step, numbers[1])
        elif command == "values":
            answer = pieces[numbers[0]].values()
        elif network is None:
            raise SystemExit(f"contender: {name} is no network, {command!r} needs one")
        elif command == "check":
            answer = network.logits()
        elif command == "run":
            answer = _times(network.step, numbers[0])
        else:
            _reset_peak()
            network.step()
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


class _Minicnn:
    """minicnn, by the names that the comparison uses of both libraries."""

    def __init__(self, side: str) -> None:
        import minicnn as mc
        from minicnn import nn, optim

        mc.use_winograd(side != "minicnn-direct")
        self.nn, self.optim, self.no_grad = nn, optim, mc.no_grad
        self.labels: Callable[[Any], Any] = mc.tensor

    def tensor(self, values: Any) -> Any:
        """The array as a tensor; images in channels-last memory, as layers return them."""
        import minicnn as mc

        values = np.asarray(values)
        if values.ndim == 4:
            values = np.ascontiguousarray(values.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        return mc.tensor(values)

    def placed(self, model: Any) -> Any:
        """The model in this side's layout."""
        return model


class _Torch:
    """PyTorch, in one of its layouts."""

    def __init__(self, side: str) -> None:
        import torch

        self.nn, self.optim, self.no_grad = torch.nn, torch.optim, torch.no_grad
        self.labels: Callable[[Any], Any] = torch.tensor
        last = side == "torch-channels_last"
        self._format = torch.channels_last if last else torch.contiguous_format

    def tensor(self, values: Any) -> Any:
        """The array as a tensor, in this side's layout."""
        x = self.labels(np.array(values))
        return x.contiguous(memory_format=self._format) if x.ndim == 4 else x

    def placed(self, model: Any) -> Any:
        """The model in this side's layout."""
        return model.to(memory_format=self._format)


class _Network:
    """A network with its batch: one training step or forward pass, and its logits."""

    def __init__(self, library: Any, work: Work) -> None:
        self.library, self.work = library, work
        model = work.build(library.nn)
        own = list(model.parameters())
        with library.no_grad():
            for parameter, values in zip(own, parameters([tuple(p.shape) for p in own])):
                parameter.copy_(library.labels(values))
        x, y = batch(work)
        self.model, self.x, self.y = library.placed(model), library.tensor(x), library.labels(y)
        self.model.train(work.training)
        self.optimizer = library.optim.SGD(own, lr=1e-4, momentum=0.9)
        self.loss_function = library.nn.CrossEntropyLoss()

    def step(self) -> None:
        """One training step, or one forward pass."""
        if self.work.training:
            self.optimizer.zero_grad()
            self.loss_function(self.model(self.x), self.y).backward()
            self.optimizer.step()
        else:
            with self.library.no_grad():
                self.model(self.x)

    def logits(self) -> list[float]:
        """What the network gives for the batch."""
        with self.library.no_grad():
            result: list[float] = self.model(self.x).numpy().ravel().tolist()
            return result


class _Alone:
    """A layer with an input of its own, and a gradient of its result."""

    def __init__(self, library: Any, piece: Piece, training: bool) -> None:
        self.title, self.library, self.layer, self.training = piece.title, library, piece.layer, training
        rng = np.random.default_rng(2)
        with library.no_grad():
            y = piece.layer(piece.x)
        self.multiply_adds = multiply_adds(piece.layer, piece.x, y)
        self.x = library.tensor(piece.x.detach().numpy())
        if training and not piece.first:
            self.x.requires_grad_()
        self.dy = library.tensor(rng.standard_normal(tuple(y.shape)).astype(np.float32))

    def step(self) -> Any:
        """One pass, forward and, in training, backward."""
        if not self.training:
            with self.library.no_grad():
                return self.layer(self.x)
        for tensor in (self.x, *self.layer.parameters()):
            tensor.grad = None
        y = self.layer(self.x)
        if y.requires_grad:
            y.backward(self.dy)
        return y

    def values(self) -> list[float]:
        """Some numbers of the result, and the sums of rows of the gradients."""
        y = self.step()
        found = [y.detach().numpy().ravel()[:64]]
        for tensor in (self.x, *self.layer.parameters()):
            if tensor.grad is not None:
                gradient = tensor.grad.numpy()
                found.append(gradient.reshape(gradient.shape[0], -1)[:64].sum(1, dtype=np.float64) / gradient[0].size)
        return [float(v) for v in np.concatenate(found)]


def _pieces(library: Any, network: _Network | None, name: str) -> list[_Alone]:
    if network is not None:
        with library.no_grad():
            pieces = of_network(network.model, network.x)
        return [_Alone(library, piece, network.work.training) for piece in pieces]
    _, seed, count = name.split(":")
    found = []
    for convolution in drawn_convolutions(int(seed), int(count)):
        layer = convolution.build(library.nn)
        with library.no_grad():
            for parameter, values in zip(layer.parameters(), parameters([tuple(p.shape) for p in layer.parameters()])):
                parameter.copy_(library.labels(values))
        x = np.random.default_rng(1).standard_normal(convolution.shape).astype(np.float32)
        piece = Piece(str(convolution), library.placed(layer), library.tensor(x), False)
        found.append(_Alone(library, piece, True))
    return found


def _times(step: Callable[[], Any], count: int) -> list[float]:
    awake = time.perf_counter() + WAKE
    while time.perf_counter() < awake:
        step()
    seconds = []
    for _ in range(count):
        begin = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begin)
    return seconds


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

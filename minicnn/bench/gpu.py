"""Layers on an NVIDIA GPU, forward and backward, against PyTorch with cuDNN. TF32 is off: both sides multiply float32.

Not yet run: no GPU was at hand.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

import minicnn as mc
import minicnn.functional as F

from ..errors import DeviceError
from .counted import CALLS, numbers

Step = Callable[[], Any]
WARM_UP, REPEATS, TOLERANCE = 5, 30, 1e-3


@dataclass
class Results:
    """Milliseconds of forward and backward pass: the median and the range, for each call and side."""

    gpu: str
    milliseconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the results as JSON knows them."""
        return {"gpu": self.gpu, "milliseconds": self.milliseconds}

    def __str__(self) -> str:
        lines = [self.gpu]
        for call, sides in self.milliseconds.items():
            middle = {side: statistics.median(values) for side, values in sides.items()}
            texts = (f"{s} {m:8.3f} ms ({min(sides[s]):.3f}–{max(sides[s]):.3f})" for s, m in middle.items())
            lines.append(f"{call:28} {'  '.join(texts)}  ratio {middle['minicnn'] / middle['PyTorch']:.2f}")
        return "\n".join(lines)


def run() -> Results:
    """Time all calls. Raises DeviceError where CuPy, PyTorch or the GPU is missing, or results differ."""
    mc.use_device("cuda")
    cupy, torch = import_module("cupy"), import_module("torch")
    if not torch.cuda.is_available():
        raise DeviceError("bench gpu: this PyTorch has no CUDA; install its CUDA build")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True  # cuDNN's fastest algorithm for the shape
    results = Results(torch.cuda.get_device_name())
    for name, (call, shapes) in CALLS.items():
        arrays = [numbers(shape) for shape in shapes]
        ours = _side(call, F, mc.tensor, [mc.tensor(a, requires_grad=True) for a in arrays])
        leaves = [torch.from_numpy(a).cuda().requires_grad_() for a in arrays]
        theirs = _side(call, torch.nn.functional, lambda a: torch.from_numpy(a).cuda(), leaves)
        if name != "dropout":
            _check(name, ours(), theirs())
        results.milliseconds[name] = {"minicnn": [], "PyTorch": []}
        for turn in range(WARM_UP + REPEATS):  # in turns: what else the machine does hits both
            times = {"minicnn": _cupy_time(cupy, ours), "PyTorch": _torch_time(torch, theirs)}
            for side, milliseconds in times.items() if turn >= WARM_UP else ():
                results.milliseconds[name][side].append(milliseconds)
    return results


def _side(call: Callable[..., Any], functional: Any, constant: Callable[[Any], Any], leaves: list[Any]) -> Step:
    dy = constant(np.ones(tuple(call(functional, *leaves).shape), np.float32))

    def step() -> Any:
        for x in leaves:
            x.grad = None
        y = call(functional, *leaves)
        y.backward(dy)
        return y

    return step


def _check(name: str, ours: Any, theirs: Any) -> None:
    wanted = theirs.detach().cpu().numpy()
    error = float(np.abs(ours.numpy() - wanted).max() / max(1.0, np.abs(wanted).max()))
    if not error <= TOLERANCE:
        raise DeviceError(f"bench gpu: {name}: results differ by {error:.1e} of the largest")


def _cupy_time(cupy: Any, step: Step) -> float:
    """Return the milliseconds on the GPU between two events."""
    start, end = cupy.cuda.Event(), cupy.cuda.Event()
    start.record()
    step()
    end.record()
    end.synchronize()
    return float(cupy.cuda.get_elapsed_time(start, end))


def _torch_time(torch: Any, step: Step) -> float:
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    step()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end))

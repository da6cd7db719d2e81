"""The gradient checker against planted mistakes and right pairs, beside `torch.autograd.gradcheck` on the same ones.

PyTorch's checker gets the same NumPy pair, wrapped in a `torch.autograd.Function`. It has no diagnosis; an error that
it raises counts as caught.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..gradient_checking import gradcheck
from ..gradient_checking.mutants import Example, examples

SEED = 3


@dataclass
class Results:
    """Counts and seconds over all examples; PyTorch's are None where it is not installed."""

    mistakes: int = 0
    caught: int = 0
    first: int = 0  # the diagnosis that comes first is the planted cause
    in_two: int = 0
    right: int = 0
    false_alarms: int = 0
    seconds: float = 0.0
    missed: list[str] = field(default_factory=list)
    otherwise: list[str] = field(default_factory=list)  # diagnosed as something else
    torch_caught: int | None = None
    torch_false_alarms: int | None = None
    torch_seconds: float | None = None
    only_torch: list[str] = field(default_factory=list)  # caught by PyTorch's checker alone

    def to_dict(self) -> dict[str, object]:
        """Return the results as JSON knows them."""
        return dict(vars(self))

    def __str__(self) -> str:
        table = [
            ("", "minicnn", "PyTorch"),
            ("caught", self._share(self.caught), self._torch(self.torch_caught)),
            ("right diagnosis first", self._share(self.first), ""),
            ("right among two", self._share(self.in_two), ""),
            ("false alarms", f"{self.false_alarms} of {self.right}", self._torch(self.torch_false_alarms)),
            ("seconds", f"{self.seconds:.1f}", self._torch(self.torch_seconds)),
        ]
        lines = [f"{what:24}{ours:>22}{theirs:>22}".rstrip() for what, ours, theirs in table]
        lines += [f"missed: {name}" for name in self.missed]
        lines += [f"diagnosed otherwise: {name}" for name in self.otherwise]
        lines += [f"caught by PyTorch's alone: {name}" for name in self.only_torch]
        return "\n".join(lines)

    def _share(self, n: int) -> str:
        return f"{n} of {self.mistakes} ({100 * n / max(self.mistakes, 1):.1f} %)"

    def _torch(self, value: float | None) -> str:
        return "–" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)


def run() -> Results:
    """Check every example with both."""
    results = Results()
    with_torch = find_spec("torch") is not None
    if with_torch:
        results.torch_caught, results.torch_false_alarms, results.torch_seconds = 0, 0, 0.0
    for example in examples():
        inputs = example.inputs(np.random.default_rng(SEED))
        began = time.perf_counter()
        report = gradcheck(example.forward, inputs, backward=example.backward)
        results.seconds += time.perf_counter() - began
        says = torch_says(example) if with_torch else None
        if example.cause:
            _enter_mistake(results, example, report, says)
        else:
            results.right += 1
            results.false_alarms += not report
        if says is not None:
            results.torch_seconds = (results.torch_seconds or 0.0) + says[1]
            if not example.cause:
                results.torch_false_alarms = (results.torch_false_alarms or 0) + (not says[0])
    return results


def _enter_mistake(results: Results, example: Example, report: Any, says: tuple[bool, float] | None) -> None:
    kinds = [d.kind for d in report.diagnosis]
    results.mistakes += 1
    results.caught += not report
    results.first += bool(set(kinds[:1]) & set(example.cause))
    results.in_two += bool(set(kinds[:2]) & set(example.cause))
    if report:
        results.missed.append(example.name)
    elif not set(kinds[:1]) & set(example.cause):
        results.otherwise.append(f"{example.name}: planted {' or '.join(example.cause)}, said {', '.join(kinds[:2])}")
    if says is not None and not says[0]:
        results.torch_caught = (results.torch_caught or 0) + 1
        if report:
            results.only_torch.append(example.name)


def torch_says(example: Example) -> tuple[bool, float]:
    """Return whether `torch.autograd.gradcheck` lets a pair pass, and the seconds that it took."""
    import torch

    inputs = example.inputs(np.random.default_rng(SEED))
    places = [i for i, a in enumerate(inputs) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]

    class Wrapped(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            arguments = list(inputs)
            for i, tensor in zip(places, tensors):
                arguments[i] = tensor.detach().numpy().copy()
            ctx.arguments, result = arguments, example.forward(*arguments)
            ctx.paired = isinstance(result, tuple) and len(result) == 2
            out, ctx.cache = result if ctx.paired else (result, None)
            return torch.tensor(np.asarray(out, np.float64))

        @staticmethod
        def backward(ctx: Any, dout: Any) -> Any:
            d = dout.numpy().copy()
            found = example.backward(d, ctx.cache) if ctx.paired else example.backward(d, *ctx.arguments)
            gradients = found if isinstance(found, (tuple, list)) else (found,)
            return tuple(None if g is None else torch.tensor(np.asarray(g)) for g in gradients)

    tensors = [torch.tensor(inputs[i], requires_grad=True) for i in places]
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            passed = bool(torch.autograd.gradcheck(Wrapped.apply, tensors, raise_exception=False))
        except Exception:  # whatever the pair raises
            passed = False
    return passed, time.perf_counter() - began

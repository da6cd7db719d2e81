"""The gradient checker against planted mistakes and correct functions, beside `torch.autograd.gradcheck` on the same.

PyTorch's checker gets the same pair, function or module, wrapped in a `torch.autograd.Function`, in float64. It has no
diagnosis; an error that it raises counts as caught. Mistakes that the rules of diagnosis were not made with are counted
apart. A diagnosis is right if its kind is one of those written down with the mistake.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..gradient_checking import gradcheck
from ..gradient_checking.mutants import SEEN, UNSEEN, Example, examples

SEED = 3
VAGUE = 0.6  # below this certainty a missing term is all that is said


@dataclass
class Part:
    """Counts and seconds over some cases; PyTorch's are None where it is not installed."""

    mistakes: int = 0
    caught: int = 0
    first: int = 0  # the diagnosis that comes first is the planted cause
    in_two: int = 0
    vague: int = 0  # of those that come first: "a term is missing, or one too many", without saying which
    right: int = 0
    false_alarms: int = 0
    seconds: float = 0.0
    missed: list[str] = field(default_factory=list)
    otherwise: list[str] = field(default_factory=list)  # diagnosed as something else
    blamed: list[str] = field(default_factory=list)  # right, but not for the checker
    torch_caught: int | None = None
    torch_false_alarms: int | None = None
    torch_seconds: float | None = None
    only_torch: list[str] = field(default_factory=list)  # caught by PyTorch's checker alone

    def rows(self) -> list[tuple[str, str, str]]:
        """Return what the table says: what, minicnn's, PyTorch's."""
        found = []
        if self.mistakes:
            found += [
                ("caught", self._share(self.caught), self._torch(self.torch_caught)),
                ("right diagnosis first", self._share(self.first), ""),
                ("right among two", self._share(self.in_two), ""),
                ("  right, but unspecific", self._share(self.vague), ""),
            ]
        if self.right:
            alarms = f"{self.false_alarms} of {self.right}"
            found.append(("false alarms", alarms, self._torch(self.torch_false_alarms)))
        return [*found, ("seconds", f"{self.seconds:.1f}", self._torch(self.torch_seconds))]

    def remarks(self) -> list[str]:
        """Return one line for each case that did not go as it should."""
        return [
            *(f"missed: {name}" for name in self.missed),
            *(f"blamed: {name}" for name in self.blamed),
            *(f"diagnosed otherwise: {name}" for name in self.otherwise),
            *(f"caught by PyTorch's alone: {name}" for name in self.only_torch),
        ]

    def _share(self, n: int) -> str:
        return f"{n} of {self.mistakes} ({100 * n / max(self.mistakes, 1):.1f} %)"

    def _torch(self, value: float | None) -> str:
        return "–" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)


@dataclass
class Results:
    """The parts, by name, and the seconds for one large layer and one network."""

    parts: dict[str, Part]
    speed: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        """Return the results as JSON knows them."""
        return {"parts": {name: dict(vars(part)) for name, part in self.parts.items()}, "speed": self.speed}

    def __str__(self) -> str:
        lines = []
        for name, part in self.parts.items():
            lines += [f"{name:26}{'minicnn':>24}{'PyTorch':>12}"]
            lines += [f"  {what:24}{ours:>24}{theirs:>12}".rstrip() for what, ours, theirs in part.rows()]
        lines += [f"{what}: {seconds:.2f} s" for what, seconds in self.speed.items()]
        return "\n".join([*lines, *(remark for part in self.parts.values() for remark in part.remarks())])


def run() -> Results:
    """Check every case with both checkers, and measure the speed of ours on large ones."""
    from ..gradient_checking.planted.correct import cases

    families = {"mistakes": SEEN, "unseen mistakes": UNSEEN}
    parts = {name: check(e for f in chosen for e in examples(f) if e.cause) for name, chosen in families.items()}
    parts["correct functions"] = check(cases())
    return Results(parts, speed())


def check(chosen: Iterable[Example]) -> Part:
    """Check these cases with both checkers."""
    part = Part()
    with_torch = find_spec("torch") is not None
    if with_torch:
        part.torch_caught, part.torch_false_alarms, part.torch_seconds = 0, 0, 0.0
    for example in chosen:
        function, inputs, backward = example.arguments(SEED)
        began = time.perf_counter()
        report = gradcheck(function, inputs, backward=backward)
        part.seconds += time.perf_counter() - began
        passes, seconds = torch_says(example) if with_torch else (True, 0.0)
        if example.cause:
            _enter_mistake(part, example, report, passes)
        else:
            part.right += 1
            part.false_alarms += not report
            part.blamed += [f"{example.name}: {report.diagnosis[0]}"] if not report else []
        if with_torch:
            part.torch_seconds = (part.torch_seconds or 0.0) + seconds
            part.torch_caught = (part.torch_caught or 0) + (bool(example.cause) and not passes)
            part.torch_false_alarms = (part.torch_false_alarms or 0) + (not example.cause and not passes)
    return part


def _enter_mistake(part: Part, example: Example, report: Any, torch_passes: bool) -> None:
    kinds, causes = [d.kind for d in report.diagnosis], set(example.cause)
    first = bool(set(kinds[:1]) & causes)
    part.mistakes += 1
    part.caught += not report
    part.first += first
    part.in_two += bool(set(kinds[:2]) & causes)
    part.vague += first and kinds[0] == "missing term" and report.diagnosis[0].certainty < VAGUE
    if report:
        part.missed.append(example.name)
    elif not first:
        part.otherwise.append(f"{example.name}: planted {' or '.join(example.cause)}, said {', '.join(kinds[:2])}")
    if report and not torch_passes:
        part.only_torch.append(example.name)


def torch_says(example: Example) -> tuple[bool, float]:
    """Return whether `torch.autograd.gradcheck` lets an example pass, and the seconds that it took."""
    import torch

    function, inputs, backward = example.arguments(SEED)
    values, forward, sweep = _of_arrays(function, inputs) if backward is None else _of_pair(function, inputs, backward)

    class Wrapped(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            outputs, ctx.kept = forward([t.detach().numpy().copy() for t in tensors])
            made = tuple(torch.tensor(np.asarray(o, np.float64)) for o in outputs)
            return made if len(made) > 1 else made[0]

        @staticmethod
        def backward(ctx: Any, *douts: Any) -> Any:
            gradients = sweep([d.numpy().copy() for d in douts], ctx.kept)
            return tuple(None if g is None else torch.tensor(np.asarray(g)) for g in gradients)

    tensors = [torch.tensor(np.array(v, np.float64), requires_grad=True) for v in values]
    began = time.perf_counter()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            passed = bool(torch.autograd.gradcheck(Wrapped.apply, tensors, raise_exception=False))
        except Exception:  # whatever the example raises
            passed = False
    return passed, time.perf_counter() - began


def _of_pair(function: Any, inputs: list[Any], backward: Any) -> tuple[list[Any], Any, Any]:
    """Return a pair's float inputs, its forward pass as (outputs, what backward needs), and its backward pass."""
    places = [i for i, a in enumerate(inputs) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]

    def forward(arrays: list[Any]) -> tuple[list[Any], Any]:
        arguments = list(inputs)
        for i, array in zip(places, arrays):
            arguments[i] = array
        result = function(*arguments)
        paired = isinstance(result, tuple) and len(result) == 2
        return ([result[0]], (True, result[1])) if paired else ([result], (False, arguments))

    def sweep(douts: list[Any], kept: Any) -> Any:
        found = backward(douts[0], kept[1]) if kept[0] else backward(douts[0], *kept[1])
        return found if isinstance(found, (tuple, list)) else (found,)

    return [inputs[i] for i in places], forward, sweep


def _of_arrays(function: Any, inputs: list[Any]) -> tuple[list[Any], Any, Any]:
    """Return the same three of a function of Tensors or a module; its parameters count as inputs."""
    from .._tensor import Tensor
    from ..autograd import grad

    places = [i for i, t in enumerate(inputs) if isinstance(t, Tensor) and t.dtype.kind == "f"]
    parameters = list(function.parameters()) if hasattr(function, "parameters") else []
    buffers = [b for b in function.buffers() if b.dtype.kind == "f"] if parameters else []
    for buffer in buffers:
        buffer.data = buffer.data.astype(np.float64)

    def call(arrays: list[Any]) -> tuple[list[Any], list[Any]]:
        leaves = [Tensor(a) for a in arrays[: len(places)]]
        arguments = list(inputs)
        for i, leaf in zip(places, leaves):
            leaf.requires_grad = True
            arguments[i] = leaf
        for parameter, array in zip(parameters, arrays[len(places) :]):
            parameter.data = array
        result = function(*arguments)
        outputs = list(result) if isinstance(result, (tuple, list)) else [result]
        return [o for o in outputs if o.dtype.kind == "f"], [*leaves, *parameters]

    def forward(arrays: list[Any]) -> tuple[list[Any], Any]:
        return [o.numpy().copy() for o in call(arrays)[0]], arrays

    def sweep(douts: list[Any], kept: Any) -> Any:
        outputs, leaves = call(kept)  # PyTorch's checker sweeps several times, a tape once
        pairs = [(o, Tensor(d)) for o, d in zip(outputs, douts) if o.requires_grad]
        if not pairs:
            return [None] * len(leaves)
        found = grad([o for o, _ in pairs], leaves, [d for _, d in pairs], allow_unused=True)
        return [None if g is None else g.numpy() for g in found]

    return [inputs[i].numpy() for i in places] + [p.numpy() for p in parameters], forward, sweep


def speed() -> dict[str, float]:
    """Return the seconds for a convolution with 10⁴ gradient elements, and for a ResNet of 10⁵ parameters."""
    from .. import _tensor
    from .. import functional as F

    rng = np.random.default_rng(0)
    given = [_tensor.Tensor(rng.standard_normal(s)) for s in ((4, 16, 8, 8), (40, 16, 3, 3), (40,))]
    elements = sum(t.size for t in (g.numpy() for g in given))
    found = {}
    for mode in ("auto", "full"):
        began = time.perf_counter()
        report = gradcheck(lambda x, w, b: F.conv2d(x, w, b, padding=1), given, mode=mode)
        blamed = "" if report else ", wrongly blamed"
        found[f"convolution, {elements} gradient elements, mode {mode}{blamed}"] = time.perf_counter() - began
    network = small_resnet()
    count = sum(p.numpy().size for p in network.parameters())
    images, labels = _tensor.Tensor(rng.standard_normal((4, 1, 28, 28)).astype(np.float32)), rng.integers(0, 10, 4)
    target = _tensor.Tensor(labels)
    began = time.perf_counter()
    report = gradcheck(lambda x: F.cross_entropy(network(x), target), [images])
    blamed = "" if report else ", wrongly blamed"
    found[f"ResNet of {count} parameters with its loss, mode auto{blamed}"] = time.perf_counter() - began
    return found


def small_resnet() -> Any:
    """Return a ResNet of three blocks and about 10⁵ parameters."""
    from .. import functional as F
    from .. import nn

    class Block(nn.Module):
        def __init__(self, planes: int, out: int, stride: int) -> None:
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(planes, out, 3, stride, padding=1, bias=False), nn.BatchNorm2d(out)
            self.conv2, self.bn2 = nn.Conv2d(out, out, 3, padding=1, bias=False), nn.BatchNorm2d(out)
            self.short = nn.Conv2d(planes, out, 1, stride, bias=False) if stride > 1 else nn.Identity()

        def forward(self, x: Any) -> Any:
            y = F.relu(self.bn1(self.conv1(x)))
            return F.relu(self.bn2(self.conv2(y)) + self.short(x))

    class Pooled(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.mean((2, 3))

    blocks = [Block(18, 18, 1), Block(18, 36, 2), Block(36, 72, 2)]
    return nn.Sequential(nn.Conv2d(1, 18, 3, padding=1), *blocks, Pooled(), nn.Linear(72, 10))

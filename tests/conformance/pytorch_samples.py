"""PyTorch's own samples for its operators (`op_db`): each is run by PyTorch and by minicnn and compared."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice
from typing import Any

import numpy as np
import torch

import minicnn as mc
import minicnn.functional as F
from minicnn.errors import MinicnnError, ShapeError
from tests.conformance.refusals import ACCEPTED, LIMITS, Outside, reason
from tests.conformance.table import Outcome
from tests.ops.test_operations import assert_close

FLOATS = (torch.float64, torch.float32)
OTHERS = (torch.int64, torch.int32, torch.uint8, torch.bool)
SAMPLES_OF_OTHERS = 12  # of each operator in each of the other types; the floats' are complete
NUMPY_TYPES = {
    getattr(torch, name): np.dtype(name)
    for name in ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")
}


def method(name: str) -> Callable[..., Any]:
    """Return a function that calls a method of its first argument."""
    return lambda x, *args, **kwargs: getattr(x, name)(*args, **kwargs)


OTHERWISE: dict[str, Callable[..., Any]] = {
    # Where PyTorch's sample names the arguments, or orders them, otherwise than minicnn.functional.
    "clamp_max": lambda x, max: F.clamp(x, max=max),
    "clamp_min": lambda x, min: F.clamp(x, min=min),
    "constant_pad_nd": lambda x, pad, value=0: F.pad(x, pad, value=value),
    "einsum": lambda tensors, equation: F.einsum(equation, *tensors),
    "where": lambda x, condition, other: F.where(condition, x, other),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "__getitem__": operator.getitem,
    "zero_": lambda x: x.clone().zero_(),
}
METHODS = (
    "bool", "clone", "contiguous", "double", "expand_as", "float", "int", "item", "long", "reshape_as", "t", "to",
    "view",
)  # fmt: skip
OTHERWISE |= {name: method(name) for name in METHODS}
CREATION = (
    "arange", "eye", "full", "full_like", "linspace", "ones", "ones_like", "rand_like", "randn", "randn_like", "zeros",
    "zeros_like",
)  # fmt: skip
OTHERWISE |= {name: getattr(mc, name) for name in CREATION}

REFLECTED: dict[str, Callable[[Any, Any], Any]] = {
    "__radd__": operator.add,
    "__rmul__": operator.mul,
    "__rsub__": operator.sub,
    "__rdiv__": operator.truediv,
    "__rmod__": operator.mod,
    "__rpow__": operator.pow,
    "__rand__": operator.and_,
    "__ror__": operator.or_,
    "__rxor__": operator.xor,
    "__rmatmul__": operator.matmul,
}
"""The operators whose sample holds the right operand first; either of the two may be a number."""

LEFT_OUT = {
    "unfold": "PyTorch's method of sliding windows, another operation than nn.functional.unfold",
    "nn.functional.batch_norm.without_cudnn": "the samples of nn.functional.batch_norm, for CUDA only",
}
"""Entries of op_db that share a name with an operation of minicnn, and why they are not run."""

RANDOM = ("rand_like", "randn", "randn_like")
DROPOUT = ("nn.functional.dropout", "nn.functional.dropout2d")


@dataclass(frozen=True)
class Form:
    """A way to call an operator: as a function, as a method, with an operator sign, or in place."""

    name: str
    entry: Any
    torch: Callable[..., Any]
    minicnn: Callable[..., Any]
    in_place: bool = False


def function_of(entry: Any) -> Callable[..., Any] | None:
    """Return minicnn's function for an entry of op_db, or None."""
    if entry.name in OTHERWISE:
        return OTHERWISE[entry.name]
    if entry.name in REFLECTED:
        return lambda x, other: REFLECTED[entry.name](other, x)
    return getattr(F, entry.name.removeprefix("nn.functional."), None)


@cache
def entries() -> list[Any]:
    """Return PyTorch's operators with their samples; imported here, since that takes seconds and gives warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    return list(op_db)


@cache
def forms() -> tuple[Form, ...]:
    """Return every form of every operator that minicnn has."""
    found = []
    for entry in entries():
        function = function_of(entry)
        variant = f"{entry.name}.{entry.variant_test_name}" if entry.variant_test_name else entry.name
        if function is None or variant in LEFT_OUT:
            continue
        found.append(Form(variant, entry, function if entry.name in REFLECTED else entry.op, function))
        if entry.name in METHODS or entry.name in REFLECTED:
            continue
        if entry.method_variant and hasattr(mc.Tensor, entry.name):
            found.append(Form(f"{variant} (method)", entry, entry.method_variant, method(entry.name)))
        for sign, in_place in ((entry.operator_variant, False), (entry.inplace_operator_variant, True)):
            if sign:
                found.append(Form(f"{variant} (operator {sign.__name__})", entry, sign, sign, in_place))
    return tuple(found)


def samples(form: Form, dtype: torch.dtype, most: int | None = None) -> Iterator[tuple[str, Any]]:
    """Yield an operator's samples in one type, each as it is and not contiguous; at most so many, evenly chosen."""
    entry = form.entry
    torch.manual_seed(0)
    differentiable = dtype.is_floating_point and entry.supports_autograd and not form.in_place
    found = list(entry.sample_inputs("cpu", dtype, requires_grad=differentiable))
    if "(operator" in form.name:
        found = [sample for sample in found if not sample.kwargs]  # an operator sign has no place for them
    step = 1 if most is None else max(-(-len(found) // most), 1)
    for i, sample in islice(enumerate(found), 0, None, step):
        label = f"{str(dtype).removeprefix('torch.')}[{i}]"
        yield label, sample
        if most is None or i // step % 2:
            yield f"{label} not contiguous", sample.noncontiguous()


class Copies:
    """Copies of a sample's tensors that lie in memory as they do; the same tensor gives the same copy."""

    def __init__(self, lift: Callable[[torch.Tensor], Any], types: dict[torch.dtype, Any] | None = None) -> None:
        self.lift, self.types = lift, types
        self.made: dict[int, tuple[torch.Tensor, Any]] = {}  # keeps the tensors alive, so that ids stay theirs

    def of(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            if id(value) not in self.made:
                self.made[id(value)] = (value, self.lift(value))
            return self.made[id(value)][1]
        if isinstance(value, dict):
            return {k: self.of(v) for k, v in value.items()}
        if isinstance(value, slice):
            return slice(self.of(value.start), self.of(value.stop), self.of(value.step))
        if isinstance(value, torch.Size):
            return tuple(value)
        if isinstance(value, torch.memory_format) and self.types:
            raise Outside("a memory_format is an object of PyTorch's")
        if isinstance(value, torch.dtype) and self.types:
            return self.types.get(value, value)
        return type(value)(map(self.of, value)) if isinstance(value, (list, tuple)) else value

    def differentiable(self) -> Iterator[Any]:
        return (copy for value, copy in self.made.values() if value.requires_grad)

    def all(self) -> Iterator[Any]:
        return (copy for _, copy in self.made.values())


def copied(value: torch.Tensor) -> torch.Tensor:
    """Return a copy of a tensor with its memory layout."""
    storage = value.detach().untyped_storage().clone()
    copy = torch.empty(0, dtype=value.dtype).set_(storage, value.storage_offset(), value.shape, value.stride())
    return copy.requires_grad_(value.requires_grad)


def widened(value: torch.Tensor) -> torch.Tensor:
    """Return a copy of a tensor, in float64 if it is float32."""
    copy = copied(value).detach()
    return (copy.double() if copy.dtype == torch.float32 else copy).requires_grad_(value.requires_grad)


def lifted(device: str, value: torch.Tensor) -> mc.Tensor:
    """Return a tensor of minicnn on a copy of the same memory layout."""
    if value.ndim > 64:
        raise ShapeError(f"tensor: NumPy has at most 64 axes, got {value.ndim}")
    array = copied(value).detach().numpy()
    tensor = mc.tensor(0.0 if array.dtype.kind != "c" else array, device=device)  # which refuses complex numbers
    tensor.data = array
    tensor.requires_grad = value.requires_grad
    return tensor


def listed(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (tuple, list)) else [result]


@dataclass
class Run:
    """What came out of a call: its outputs, the gradients of the sample's tensors, and these tensors afterwards."""

    outputs: list[Any]
    gradients: list[Any]
    afterwards: list[Any]


def torch_run(form: Form, sample: Any, lift: Callable[[torch.Tensor], Any] = copied) -> tuple[Run, list[Any]]:
    """Return what PyTorch makes of a sample, and the random cotangents of the gradients."""
    copies = Copies(lift)
    first, rest, keywords = copies.of((sample.input, sample.args, sample.kwargs))
    if lift is widened and keywords.get("dtype") == torch.float32:
        keywords["dtype"] = torch.float64
    outputs = listed(form.torch(first, *rest, **keywords))
    rng = np.random.default_rng(11)
    cotangents = [
        torch.tensor(rng.standard_normal(o.shape), dtype=o.dtype)
        if isinstance(o, torch.Tensor) and o.requires_grad else None
        for o in outputs
    ]  # fmt: skip
    leaves = list(copies.differentiable())
    chosen = [(o, c) for o, c in zip(outputs, cotangents) if c is not None]
    gradients: Any = [None] * len(leaves)
    if chosen:
        gradients = torch.autograd.grad([o for o, _ in chosen], leaves, [c for _, c in chosen], allow_unused=True)
    numbers = [o.detach().numpy() if isinstance(o, torch.Tensor) else o for o in outputs]
    after = [t.detach().numpy() for t in copies.all()]
    return Run(numbers, [None if g is None else g.numpy() for g in gradients], after), cotangents


def minicnn_run(form: Form, sample: Any, device: str, cotangents: list[Any]) -> Run:
    """Return what minicnn makes of a sample."""
    copies = Copies(partial(lifted, device), NUMPY_TYPES)
    first, rest, keywords = copies.of((sample.input, sample.args, sample.kwargs))
    if keywords.get("device") is not None:
        keywords["device"] = device
    with mc.use_device(device):
        outputs = listed(form.minicnn(first, *rest, **keywords))
    leaves = list(copies.differentiable())
    chosen = [
        (o, mc.tensor(c.numpy(), device=device))
        for o, c in zip(outputs, cotangents)
        if c is not None and isinstance(o, mc.Tensor) and o.requires_grad
    ]
    gradients: Any = [None] * len(leaves)
    if chosen and leaves:
        gradients = mc.grad([o for o, _ in chosen], leaves, [c for _, c in chosen], allow_unused=True)
    numbers = [o.numpy() if isinstance(o, mc.Tensor) else o for o in outputs]
    return Run(numbers, [None if g is None else g.numpy() for g in gradients], [t.numpy() for t in copies.all()])


def compare(actual: Run, expected: Run, theirs: Run | None = None) -> None:
    """Raise AssertionError where two runs differ; `theirs` is PyTorch's run in float32 where `expected` is exact."""
    assert len(actual.outputs) == len(expected.outputs), (
        f"{len(actual.outputs)} outputs, expected {len(expected.outputs)}"
    )
    for i, (x, y) in enumerate(zip(actual.outputs, expected.outputs)):
        if isinstance(y, np.ndarray):
            assert isinstance(x, np.ndarray), f"output {i}: a {type(x).__name__}, expected a tensor"
            compare_arrays(f"output {i}", x, y, theirs and theirs.outputs[i])
        else:
            assert type(x) is type(y), f"output {i}: {x!r}, expected {y!r}"
            assert x == y, f"output {i}: {x!r}, expected {y!r}"
    for i, (x, y) in enumerate(zip(actual.gradients, expected.gradients)):
        if x is None or y is None:  # one says "no path", the other zeros
            assert not np.any(y if x is None else x), f"gradient {i} exists on one side only"
        else:
            compare_arrays(f"gradient {i}", x, y, theirs and theirs.gradients[i])
    for i, (x, y) in enumerate(zip(actual.afterwards, expected.afterwards)):
        compare_arrays(f"argument {i} after the call", x, y, theirs and theirs.afterwards[i])


def compare_arrays(name: str, x: np.ndarray, y: np.ndarray, theirs: np.ndarray | None) -> None:
    """Raise AssertionError where two arrays differ by more than interface.md allows.

    Where terms cancel, an error cannot be judged by the little that is left of them. In float32 it may then be
    three times PyTorch's own; in float64, and in float32 if nothing is left, 100 times the last bit of 1.
    """
    try:
        assert_close(name, x, y)
    except AssertionError:
        if x.shape != y.shape or x.dtype != y.dtype or x.dtype.kind != "f":
            raise
        allowed = 100 * float(np.finfo(x.dtype).eps)
        if x.dtype == np.float32 and np.abs(y).max() > 1e-6:
            allowed = 0.0 if theirs is None else 3 * np.abs(theirs - y).max()
        if not np.abs(x - y).max() <= allowed:
            raise


def narrowed(run: Run, like: Run) -> Run:
    """Return a run in float64 in the types of another run."""

    def narrow(wide: list[Any], typed: list[Any]) -> list[Any]:
        return [
            w.astype(t.dtype) if isinstance(w, np.ndarray) and isinstance(t, np.ndarray) else w
            for w, t in zip(wide, typed)
        ]

    return Run(*(narrow(getattr(run, n), getattr(like, n)) for n in ("outputs", "gradients", "afterwards")))


def check(actual: Run, expected: Run, form: Form, sample: Any, label: str) -> None:
    """Raise AssertionError unless a run is PyTorch's, in float32 as an approximation of PyTorch's in float64."""
    try:
        compare(actual, expected)
    except AssertionError:
        if not label.startswith("float32"):
            raise
        compare(actual, narrowed(torch_run(form, sample, widened)[0], expected), expected)


def check_dropout(form: Form, sample: Any, actual: Run, cotangents: list[Any]) -> None:
    """Check what is sure of a random mask: each value is dropped or scaled, and its gradient with it."""
    p, training = sample.kwargs.get("p", 0.5), sample.kwargs.get("training", True)
    x, y = sample.input.detach().numpy(), actual.outputs[0]
    assert y.dtype == x.dtype, f"type {y.dtype}, expected {x.dtype}"
    assert y.shape == x.shape, f"shape {y.shape}, expected {x.shape}"
    scale = 1.0 if not training else 0.0 if p == 1 else 1 / (1 - p)
    kept = np.ones(x.shape, bool) if not training or p == 0 else y != 0
    np.testing.assert_allclose(y, np.where(kept, x * scale, 0), rtol=1e-6)
    if form.name.endswith("2d"):
        assert (kept.all((-2, -1)) | ~kept.any((-2, -1)) | (x == 0).any((-2, -1))).all(), "a channel is dropped in part"
    if actual.gradients:
        np.testing.assert_allclose(
            actual.gradients[0], np.where(kept, cotangents[0].numpy() * scale, 0), rtol=1e-6, err_msg="gradient 0"
        )


def judge(form: Form, label: str, sample: Any, device: str) -> Outcome:
    """Run a sample on both sides and return how it ended."""
    outcome = partial(Outcome, "PyTorch", form.name, f"{label} on {device}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected, cotangents = torch_run(form, sample)
            refused_by_torch = None
        except Exception as error:  # PyTorch refuses with many kinds
            expected, cotangents, refused_by_torch = None, [], error
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            actual = minicnn_run(form, sample, device, cotangents)
        except (MinicnnError, Outside) as error:
            why = "" if expected is None else reason(LIMITS, form.name, str(error))
            return outcome("passed" if expected is None else "refused" if why else "wrong", str(error), why)
        except Exception as error:  # whatever it is, it is the finding
            text = f"{type(error).__name__}: {error}"
            why = reason(LIMITS, form.name, text)
            return outcome("refused" if why else "wrong", text, why)
    if expected is None:
        return outcome("wrong", f"PyTorch refuses: {refused_by_torch}")
    try:
        if form.entry.name in DROPOUT:
            check_dropout(form, sample, actual, cotangents)
        elif form.entry.name in RANDOM:
            assert (actual.outputs[0].shape, actual.outputs[0].dtype) == (
                expected.outputs[0].shape,
                expected.outputs[0].dtype,
            )
        else:
            check(actual, expected, form, sample, label)
    except AssertionError as error:
        return outcome("wrong", " ".join(str(error).split())[:300])
    return outcome("passed")


def error_samples(form: Form) -> Iterator[Any]:
    """Yield an operator's samples that PyTorch refuses."""
    entry = form.entry
    if entry.error_inputs_func is not None and "(" not in form.name:
        torch.manual_seed(0)
        yield from entry.error_inputs("cpu")


def judge_error(form: Form, number: int, error_input: Any, device: str) -> Outcome:
    """Return whether minicnn refuses, in words of its own, what PyTorch refuses."""
    outcome = partial(Outcome, "PyTorch's refusals", form.name, f"error[{number}] on {device}")
    sample = error_input.sample_input
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch_run(form, sample)
        except Exception as error:  # PyTorch refuses with many kinds
            theirs = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        else:  # it refuses another way of calling it than the one that minicnn has
            judged = judge(form, f"error[{number}]", sample, device)
            return replace(judged, source="PyTorch's refusals")
    try:
        minicnn_run(form, sample, device, [])
    except MinicnnError as error:
        return outcome("passed", str(error))
    except Exception as error:  # whatever it is, it is the finding
        text = f"{type(error).__name__}: {error}"
        why = reason(LIMITS, form.name, text)
        return outcome("refused" if why else "wrong", f"{text}, where PyTorch says {theirs}", why)
    why = reason(ACCEPTED, form.name, theirs)
    return outcome("refused" if why else "wrong", f"taken, where PyTorch says {theirs}", why)


def outcomes(form: Form, devices: tuple[str, ...], most: int | None = None) -> Iterator[Outcome]:
    """Yield how an operator's samples end; at most so many per type, evenly chosen."""
    for dtype in (*FLOATS, *OTHERS):
        if dtype in form.entry.supported_dtypes("cpu"):
            for label, sample in samples(form, dtype, (most or SAMPLES_OF_OTHERS) if dtype in OTHERS else most):
                for device in devices:
                    yield judge(form, label, sample, device)
    for number, error_input in enumerate(error_samples(form)):
        for device in devices:
            yield judge_error(form, number, error_input, device)

"""Functions of Tensors and modules, whose gradients come from the tape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import _watch
from .._device import put
from .._tensor import Tensor, wrap
from ..autograd import Function, enable_grad, grad, no_grad
from ..errors import DTypeError
from .layout import like
from .nested import Nesting
from .state import reachable
from .subject import Fault, Subject, as_list, blamed, float_outputs, input_names, is_float

Array = Any


class Recorded(Subject):
    """A function of Tensors or an `nn.Module`.

    The parameters of every module within the function's reach are checked like inputs; they and the buffers
    (running statistics) hold float64 copies during a call, and get their own arrays back after it.
    """

    def __init__(self, function: Any, given: list[Any]) -> None:
        if isinstance(function, type) and issubclass(function, Function):
            function = function.apply
        super().__init__(function, given)
        self.nesting = Nesting(given)
        names = self.nesting.names(input_names(getattr(function, "forward", function), len(given)))
        given = self.nesting.flat(given)
        self.function = (lambda *flat: function(*self.nesting.build(flat))) if self.nesting else function
        self._watched_calls = 0
        self.given = [Tensor(g) if is_float(g) else g for g in given]
        self.places = [i for i, g in enumerate(self.given) if isinstance(g, Tensor) and g.dtype.kind == "f"]
        self.modules = _modules(function)
        self.parameters = _parameters(self.modules)
        self.names = [names[i] for i in self.places] + [n for n, _ in self.parameters]
        self.values = [self.given[i].numpy() for i in self.places] + [p.numpy() for _, p in self.parameters]
        self.wide = self._works_in_float64()
        self.composed = self._operations() > 1
        self._watched_calls = 8  # in-place changes show in the first calls; then looking for them is left out

    def outputs(self, values: Sequence[Array]) -> list[Array]:
        with self._at(values) as (arguments, _), no_grad(), blamed("the function"):
            outputs = as_list(self.function(*arguments))
            if all(o is None for o in outputs):
                raise Fault("error", "the function returned None; it must return its result")
            return float_outputs([getattr(o, "data", o) for o in outputs])

    def gradients(self, values: Sequence[Array], cotangents: Sequence[Array]) -> list[Any]:
        with self._at(values) as (arguments, leaves), enable_grad():
            with blamed("the function"):
                outputs = [o for o in as_list(self.function(*arguments)) if isinstance(o, Tensor)]
            floats = [o for o in outputs if o.dtype.kind == "f"]
            seeds = [wrap(put(c.astype(o.dtype), o.device), o.device, None, 0) for o, c in zip(floats, cotangents)]
            recorded = [(o, s) for o, s in zip(floats, seeds) if o.requires_grad]
            if not recorded:
                return [None] * len(leaves)
            before = [s.numpy().copy() for _, s in recorded]
            states = self.state.states() if self._watched_calls > 0 else []
            with blamed("backward"):
                found = grad([o for o, _ in recorded], leaves, [s for _, s in recorded], allow_unused=True)
            self.backward_draws |= bool(states) and self.state.moved_since(states)
            for former, (_, seed) in zip(before, recorded):
                if not np.array_equal(former, seed.numpy(), equal_nan=True):
                    text = "backward changes its grad_output in place; work on a copy"
                    self.blame("in-place change", text, evidence="grad_output differs after the call")
        return [None if g is None else np.asarray(g.data.get() if hasattr(g.data, "get") else g.data) for g in found]

    @contextmanager
    def _at(self, values: Sequence[Array]) -> Iterator[tuple[list[Any], list[Any]]]:
        """Give the arguments at these values, and the leaves among them; parameters come back afterwards."""
        self.state.rewind()
        arguments, leaves = list(self.given), []
        arrays = [like(self.cast(v, former), former) for v, former in zip(values, self.values)]
        for place, array in zip(self.places, arrays):
            where = self.given[place].device
            leaf = arguments[place] = wrap(put(array, where), where, None, 0)
            leaf.requires_grad = True
            leaves.append(leaf)
        watched, self._watched_calls = self._watched_calls > 0, self._watched_calls - 1
        before = [a.numpy().copy() if isinstance(a, Tensor) and watched else None for a in arguments]
        former_data = [p.data for _, p in self.parameters]
        buffers = _buffers(self.modules)
        try:
            for (_, p), array in zip(self.parameters, arrays[len(self.places) :]):
                p.data = put(array, p.device)
                leaves.append(p)
            for _, _, buffer, data in buffers:
                buffer.data = self.cast(data, data).copy() if data.dtype.kind == "f" else data.copy()
            began = [b.data.copy() for _, _, b, _ in buffers]
            yield arguments, leaves
            self._look_at_buffers(buffers, began)
        finally:
            for (_, p), data in zip(self.parameters, former_data):
                p.data = data
            for holder, name, buffer, data in buffers:
                buffer.data = data
                holder[name] = buffer
        for i, (former, argument) in enumerate(zip(before, arguments)):
            if former is not None and not np.array_equal(former, argument.numpy(), equal_nan=former.dtype.kind == "f"):
                name = self.names[self.places.index(i)] if i in self.places else f"inputs[{i}]"
                text = f"the function changes its input {name} in place; work on a copy"
                self.blame("in-place change", text, evidence=f"{name} differs after the call")

    def primitives(self, values: Sequence[Array]) -> list[tuple[str, Subject]]:
        """Return every operation that one call records, as a subject of its own at the values that it got."""
        watcher = _Operations()
        with self._at(values) as (arguments, _), enable_grad():
            _watch.watchers.append(watcher)
            try:
                self.function(*arguments)
            finally:
                _watch.watchers.remove(watcher)
        found: list[tuple[str, Subject]] = []
        for number, (context, arrays) in enumerate(watcher.calls):
            edges = getattr(context, "_edges", ())
            tensors = [i for i, edge in enumerate(edges) if edge is not None]
            if tensors:
                call = _call_of(type(context), arrays, tensors)
                given = [wrap(arrays[i].copy(), context.device, None, 0) for i in tensors]
                found.append((f"{type(context).__name__}, operation {number + 1}", Recorded(call, given)))
        return found

    def _look_at_buffers(self, buffers: list[Any], began: list[Array]) -> None:
        changed = [
            name
            for (holder, name, buffer, _), former in zip(buffers, began)
            if holder.get(name) is not buffer or not np.array_equal(buffer.data, former, equal_nan=True)
        ]
        if changed:
            names = ", ".join(sorted(set(changed)))
            self.note(f"the function changes running statistics ({names}); they were put back after every call")

    def _works_in_float64(self) -> bool:
        """Try a float64 copy of float32 values; constants inside the function may not allow that."""
        if all(v.dtype == np.float64 for v in self.values):
            return True
        try:
            with self._at(self.values) as (arguments, _), no_grad(), np.errstate(all="ignore"):
                self.function(*arguments)
        except DTypeError:
            self.note("the function holds float32 constants, so it was checked in float32, less sharply")
            return False
        except Exception:  # the check itself will say what is wrong
            return True
        return True

    def _operations(self) -> int:
        """Return how many operations the tape records in one call."""
        try:
            with self._at(self.values) as (arguments, _), enable_grad(), np.errstate(all="ignore"):
                outputs = as_list(self.function(*arguments))
        except Exception:  # as above
            return 1
        nodes = [o.grad_fn for o in outputs if isinstance(o, Tensor) and o.grad_fn is not None]
        seen = set(nodes)
        while nodes:
            for edge in nodes.pop()._edges:
                if edge is not None and edge[1] >= 0 and edge[0] not in seen:
                    seen.add(edge[0])
                    nodes.append(edge[0])
        return len(seen)


class _Operations:
    """A watcher that keeps each operation's context and arguments."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, tuple[Any, ...]]] = []

    def forward(self, ctx: Any, arrays: tuple[Any, ...], run: Callable[[], Any]) -> Any:
        result = run()
        self.calls.append((ctx, arrays))
        return result

    def backward(self, ctx: Any, gradients: tuple[Any, ...], run: Callable[[], Any]) -> Any:
        return run()


def _call_of(operation: Any, arrays: tuple[Any, ...], tensors: list[int]) -> Callable[..., Any]:
    """Return the function of the tensors among an operation's arguments."""

    def call(*inputs: Tensor) -> Any:
        arguments = list(arrays)
        for place, tensor in zip(tensors, inputs):
            arguments[place] = tensor
        return operation.apply(*arguments)

    return call


def _modules(function: Any) -> list[Any]:
    """Return the outermost modules within a function's reach."""
    found = [t for t in reachable([function]) if hasattr(t, "named_parameters") and hasattr(t, "modules")]
    inner = {id(m) for module in found for m in module.modules() if m is not module}
    return [module for module in found if id(module) not in inner]


def _parameters(modules: list[Any]) -> list[tuple[str, Any]]:
    """Return name and tensor of each parameter that is trained, each once."""
    found: dict[int, tuple[str, Any]] = {}
    for i, module in enumerate(modules):
        prefix = f"modules[{i}]." if len(modules) > 1 else ""
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                found.setdefault(id(parameter), (prefix + name, parameter))
    return list(found.values())


def _buffers(modules: list[Any]) -> list[tuple[dict[str, Any], str, Any, Array]]:
    """Return for each buffer the dictionary that holds it, its name, the tensor and its array."""
    return [
        (inner._buffers, name, buffer, buffer.data)
        for module in modules
        for inner in module.modules()
        for name, buffer in getattr(inner, "_buffers", {}).items()
        if buffer is not None
    ]

"""The tape: operations that record how they were made, and the sweep that walks back through them.

Each operation on tensors makes one `Function` instance, the edge from its result to its inputs. The
chain rule needs, at every node, the *whole* gradient of the node before it is passed on, and this is why
the sweep must follow an order. In

    b = a + a          # node 1
    c = b + b          # node 2

c = 4a. Walking every *path* from c to a gives the right answer too, but there are 2 × 2 of them, and after
64 such lines 2^64. Taking every *node* once, the last made first, takes two steps: node 2 sends 1 + 1 = 2
to b, and only then node 1 sends 2 + 2 = 4 to a.

An operation's inputs exist before it does, so the order of creation is a topological order. The sweep takes,
of the nodes that a gradient has reached, always the last created: whatever else could still send it one was
created later and is done. No recursion, however deep the network is.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from contextlib import ContextDecorator
from heapq import heappop, heappush
from inspect import isgeneratorfunction
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _inplace, _watch
from ._device import KERNELS_ONLY, Device, array_module, on
from .errors import DeviceError, DTypeError, GradientError, NumericsError, ShapeError

if TYPE_CHECKING:
    from ._tensor import Tensor

Array = Any  # a NumPy or CuPy array
Hook = Callable[["Tensor"], "Tensor | None"]
# Where a gradient goes: a node and which of its outputs, or a leaf tensor (then the number is −1);
# and the shape and type that the gradient must have.
Edge = tuple[Any, int, tuple[int, ...], Any]

_creation = count()


class _Mode(threading.local):
    recording = True


_mode = _Mode()


class _RecordingSwitch(ContextDecorator):
    """Turn recording on the tape on or off, in a `with` block or in a decorated function."""

    recording: bool

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        """Return the switch, or, written without brackets (`@mc.no_grad`), the decorated function."""
        if function is None:
            return super().__new__(cls)
        if not callable(function):
            raise DTypeError(f"{cls.__name__}: takes no argument, or decorates a function; got {function!r}")
        return cls()(function)

    def __init__(self) -> None:
        self._former: list[bool] = []

    def __call__(self, function: Callable[..., Any]) -> Any:
        """Return the function with recording switched in each call."""
        if isgeneratorfunction(function):
            raise DTypeError(
                f"{type(self).__name__}: {function.__name__} is a generator, whose body would run after the switch; "
                f"write `with mc.{type(self).__name__}():` inside it"
            )
        return super().__call__(function)

    def _recreate_cm(self) -> Any:  # ContextDecorator asks in each call: threads must not share what was before
        return type(self)()

    def __enter__(self) -> None:
        self._former.append(_mode.recording)
        _mode.recording = self.recording

    def __exit__(self, *exception: object) -> None:
        _mode.recording = self._former.pop()


class no_grad(_RecordingSwitch):
    """Record nothing inside a `with mc.no_grad():` block or a function decorated with `@mc.no_grad()`."""

    recording = False


class enable_grad(_RecordingSwitch):
    """Record again inside a block that stands in a `no_grad` block."""

    recording = True


def is_grad_enabled() -> bool:
    """Return whether operations of this thread are being recorded."""
    return _mode.recording


class Function:
    """An operation that can be differentiated; write one by giving `forward` and `backward`.

        class Square(mc.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save(x)
                return x * x

            @staticmethod
            def backward(ctx, grad_output):
                return grad_output * 2 * ctx.saved

        y = Square.apply(x)

    Both get plain arrays. `forward` may return several arrays; then `backward` gets several gradients, zeros
    for an output that was not used. `backward` returns one gradient for each argument of `forward`, of
    exactly that argument's shape, or None; arguments that are not tensors get None, and trailing Nones may
    be left out. All built-in operations are written with this class.

    `ctx` offers
      `ctx.save(*values)`    keeps arrays (or nested tuples of them) for backward; freed by the sweep
      `ctx.saved`            what was saved: the value itself if it was one, else a tuple
      `ctx.needs_input_grad` one bool per argument: whether anybody wants its gradient
      `ctx.device`           where the arrays live
    and takes any other attribute.
    """

    needs_input_grad: tuple[bool, ...]
    device: Device
    saved: Any = None
    _saved_at: int | None = None
    _freed = False
    _hooks: dict[int, list[Hook]] | None = None
    _retained: dict[int, weakref.ref[Tensor]] | None = None
    _outputs: tuple[tuple[tuple[int, ...], Any], ...] | None = None  # shapes and types, if there are several
    _created: int
    _edges: tuple[Edge | None, ...]

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """Compute the result from plain arrays."""
        raise NotImplementedError("a Function needs a static method forward(ctx, *arrays)")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Compute the gradients of the inputs from those of the outputs."""
        raise NotImplementedError("a Function needs a static method backward(ctx, *grad_outputs)")

    def save(self, *values: Any) -> None:
        """Keep values for backward; arrays among them are guarded against in-place changes."""
        self.saved = values[0] if len(values) == 1 else values
        self._saved_at = _inplace.clock

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run `forward` on the arrays of the tensors among the arguments and record the operation."""
        ctx = cls()
        recording = _mode.recording
        record = False
        device = None
        arrays: list[Any] = []
        edges: list[Edge | None] = []
        needs: list[bool] = []
        for argument in args:
            if not isinstance(argument, _Tensor):
                arrays.append(argument)
                edges.append(None)
                needs.append(False)
                continue
            array = argument.data
            arrays.append(array)
            if argument.device is not device:
                device = _one_device(cls, device, argument.device)
            if recording and argument._requires_grad:
                record = True
                node = argument._node
                edges.append((argument if node is None else node, argument._index, array.shape, array.dtype))
                needs.append(True)
            else:
                edges.append(None)
                needs.append(False)
        if device is None:
            raise DTypeError(f"{cls.__name__}: at least one argument must be a Tensor, see mc.tensor(data)")
        ctx.device = device
        ctx.needs_input_grad = tuple(needs)
        if _watch.watchers:
            result = _watch.forward(ctx, tuple(arrays), lambda: cls.forward(ctx, *arrays))
        else:
            result = cls.forward(ctx, *arrays)
        if record:
            ctx._created = next(_creation)
            ctx._edges = tuple(edges)
        if type(result) is tuple:
            outputs = tuple(r if hasattr(r, "dtype") and hasattr(r, "base") else _as_array(cls, r) for r in result)
            ctx._outputs = tuple((r.shape, r.dtype) for r in outputs)
            return tuple(
                _wrap(r, device, ctx if record and r.dtype.kind == "f" else None, i) for i, r in enumerate(outputs)
            )
        if not isinstance(result, np.ndarray):
            result = _as_array(cls, result)
        if record and result.dtype.kind == "f":
            return _wrap(result, device, ctx, 0)
        return _wrap(result, device, None, 0)


def _as_array(cls: type[Function], result: Any) -> Array:
    """Return what `forward` returned as an array; NumPy's reductions give scalars."""
    if isinstance(result, np.generic):
        return np.asarray(result)
    if isinstance(result, _Tensor) or not hasattr(result, "dtype"):
        raise DTypeError(
            f"{cls.__name__}: forward must return an array or a tuple of arrays, got {type(result).__name__}"
        )
    return result


def _one_device(cls: type[Function], former: Device | None, device: Device) -> Device:
    if former is not None and former != device:
        raise DeviceError(
            f"{cls.__name__}: inputs are on different devices, {former} and {device}; move one with .to(device)"
        )
    return device


def backward(tensors: Sequence[Tensor], gradients: Sequence[Tensor | None], retain_graph: bool = False) -> None:
    """Add to `.grad` of every leaf that requires it the gradient of the sum of these tensors.

    Raises GradientError for a tensor that is not on the tape, for a non-scalar without a gradient, and for
    a second sweep over nodes whose saved arrays are gone.
    """
    roots = [(tensor, _seed("backward", tensor, gradient)) for tensor, gradient in zip(tensors, gradients)]
    for leaf, array in _sweep(roots, retain_graph).items():
        former = leaf.grad
        leaf.grad = _wrap(array if former is None else _plus(former.data, array, leaf.device), leaf.device, None, 0)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """Return the gradients of the sum of `outputs` with respect to `inputs`; no `.grad` is touched.

    Raises GradientError for an input that the outputs do not depend on, unless `allow_unused`.
    """
    if create_graph:
        raise GradientError(
            "grad: create_graph=True asks for gradients of gradients; minicnn's backward passes are plain "
            "array code and are not recorded (first order only)"
        )
    outputs = [outputs] if isinstance(outputs, _Tensor) else list(outputs)
    inputs = [inputs] if isinstance(inputs, _Tensor) else list(inputs)
    seeds = [grad_outputs] if grad_outputs is None or isinstance(grad_outputs, _Tensor) else list(grad_outputs)
    if grad_outputs is None:
        seeds = [None] * len(outputs)
    if len(seeds) != len(outputs):
        raise ShapeError(f"grad: {len(outputs)} outputs need as many grad_outputs, got {len(seeds)}")
    for i, tensor in enumerate(inputs):
        if not tensor.requires_grad:
            raise GradientError(f"grad: inputs[{i}] does not require a gradient")
    roots = [(tensor, _seed("grad", tensor, seed)) for tensor, seed in zip(outputs, seeds)]
    found = _sweep(roots, bool(retain_graph), wanted=inputs)
    for i, tensor in enumerate(inputs):
        if tensor not in found and not allow_unused:
            raise GradientError(f"grad: the outputs do not depend on inputs[{i}]; allow_unused=True gives None for it")
    return tuple(
        _wrap(found[tensor].copy(order="K"), tensor.device, None, 0) if tensor in found else None for tensor in inputs
    )


def _seed(name: str, tensor: Tensor, gradient: Tensor | None) -> Array:
    """Return the gradient from which the sweep starts, as an array of the tensor's shape and type."""
    if not tensor._requires_grad:
        raise GradientError(
            f"{name}: the tensor does not require a gradient: nothing it was computed from has "
            "requires_grad=True, or it was computed under no_grad"
        )
    data = tensor.data
    if gradient is None:
        if data.size != 1:
            raise GradientError(
                f"{name}: a gradient is made for a scalar only; the tensor has shape {data.shape}: reduce it, "
                "for instance with .sum(), or give a gradient of that shape"
            )
        return np.ones_like(data)
    if not isinstance(gradient, _Tensor):
        raise DTypeError(f"{name}: gradient must be a Tensor, got {type(gradient).__name__}")
    seed = gradient.data
    if seed.shape != data.shape:
        raise ShapeError(f"{name}: gradient has shape {seed.shape}, the tensor has {data.shape}")
    if gradient.device != tensor.device:
        raise DeviceError(f"{name}: gradient is on {gradient.device}, the tensor on {tensor.device}")
    return seed if seed.dtype == data.dtype else seed.astype(data.dtype)


def _sweep(
    roots: Iterable[tuple[Tensor, Array]], retain_graph: bool, wanted: Sequence[Tensor] | None = None
) -> dict[Tensor, Array]:
    """Walk the tape backwards; return the gradients of all leaves, or of the wanted tensors.

    What a node saved is freed as soon as the node is done, so memory shrinks during the sweep.
    """
    leaves: dict[Tensor, Array] = {}
    pending: dict[Function, list[Array | None]] = {}  # what has arrived so far, per output of a node
    newest: list[tuple[int, Function]] = []  # a heap of the pending nodes, the last created first
    captured: dict[Function, list[Tensor]] = {}
    found: dict[Tensor, Array] = {}
    if wanted is not None:
        for tensor in wanted:
            if tensor._node is not None:
                captured.setdefault(tensor._node, []).append(tensor)

    for tensor, array in roots:
        if tensor._node is not None:
            _collect(pending, newest, tensor._node, tensor._index, array)
        else:
            leaves[tensor] = _plus(leaves[tensor], array, tensor.device) if tensor in leaves else array.copy(order="K")

    while newest:
        node = heappop(newest)[1]
        arrived = pending.pop(node)
        if node._hooks or node._retained:
            _show(node, arrived)
        if captured:
            for tensor in captured.get(node, ()):
                if arrived[tensor._index] is not None:
                    found[tensor] = arrived[tensor._index]
        gradients = _run(node, arrived)
        for edge, array in zip(node._edges, gradients):
            if edge is None or array is None:
                continue
            target, index, shape, dtype = edge
            if (
                not shape
                or type(array) is _Tensor
                or getattr(array, "shape", None) != shape
                or array.dtype is not dtype
            ):
                array = _fitted(node, array, shape, dtype)
            if index >= 0:
                _collect(pending, newest, target, index, array)
            elif target in leaves:
                leaves[target] = _plus(leaves[target], array, target.device)
            else:
                leaves[target] = array if _is_new(array, node, arrived, gradients) else array.copy(order="K")
        if not retain_graph:
            node._freed = True
            node.saved = None
            node._edges = ()

    for leaf in leaves:
        if leaf._hooks:
            for hook in leaf._hooks:
                leaves[leaf] = _hooked(hook, leaves[leaf], leaf.device)
    if wanted is None:
        return leaves
    return {**{tensor: leaves[tensor] for tensor in wanted if tensor in leaves}, **found}


def _collect(
    pending: dict[Function, list[Array | None]],
    newest: list[tuple[int, Function]],
    node: Function,
    index: int,
    array: Array,
) -> None:
    """Add a gradient to what has arrived at one output of a node."""
    slots = pending.get(node)
    if slots is None:
        if node._freed:
            raise GradientError(
                f"backward: what {type(node).__name__} saved was freed by an earlier backward pass; "
                "compute the result again, or call the first one with retain_graph=True"
            )
        slots = pending[node] = [None] * len(node._outputs or (0,))
        heappush(newest, (-node._created, node))
    former = slots[index]
    slots[index] = array if former is None else _plus(former, array, node.device)


def _plus(a: Array, b: Array, where: Device) -> Array:
    """Return the sum as an array; without axes, NumPy would make a scalar of it."""
    if where in KERNELS_ONLY:
        from .ops.elementwise import add_forward  # here, because operations know the tape

        return on(where, add_forward)(a, b)[0]
    total = a + b
    return np.asarray(total) if isinstance(total, np.generic) else total


def _run(node: Function, arrived: list[Array | None]) -> tuple[Array | None, ...]:
    """Return the node's gradients, one for each argument of its forward pass."""
    if node._saved_at is not None and node._saved_at != _inplace.clock:
        _refuse_changed(node)
    if node._outputs is not None:
        xp = array_module(next(array for array in arrived if array is not None))
        arrived = [
            xp.zeros(shape, dtype) if array is None and dtype.kind == "f" else array
            for array, (shape, dtype) in zip(arrived, node._outputs)
        ]
    if _watch.watchers:
        result = _watch.backward(node, tuple(arrived), lambda: node.backward(node, *arrived))
    else:
        result = node.backward(node, *arrived)
    gradients = result if type(result) is tuple else (result,)
    if len(gradients) != len(node._edges):
        _check_count(node, len(gradients))
    return gradients


def _check_count(node: Function, count: int) -> None:
    """Refuse too many gradients, and too few unless only arguments that need none are left out."""
    if count > len(node._edges) or any(node._edges[count:]):
        raise ShapeError(
            f"{type(node).__name__}: backward returned {count} gradients, forward has {len(node._edges)} arguments"
        )


def _fitted(node: Function, array: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return a gradient as an array of its input's type; refuse one of another shape, and what is no float."""
    name = type(node).__name__
    if isinstance(array, _Tensor) or not hasattr(array, "dtype"):
        raise DTypeError(f"{name}: backward must return arrays or None, got {type(array).__name__}")
    if array.shape != shape:
        raise ShapeError(f"{name}: backward returned a gradient of shape {array.shape} for an input of {shape}")
    if array.dtype.kind != "f":
        raise DTypeError(f"{name}: backward returned a gradient of type {array.dtype}, its input has {dtype}")
    # Without axes, NumPy's arithmetic gives scalars, which are no arrays.
    return np.asarray(array, dtype) if isinstance(array, np.generic) else array.astype(dtype, copy=False)


def _is_new(array: Array, node: Function, arrived: list[Array | None], gradients: Sequence[Any]) -> bool:
    """Return whether a leaf may keep this array as its own: nothing in the sweep or on the tape holds it too."""
    if array.base is not None and not _is_only_view(array):
        return False
    for other in arrived:
        if other is array:
            return False
    return sum(other is array for other in gradients) == 1 and all(o is not array for o in arrays_in(node.saved))


def _is_only_view(array: Array) -> bool:
    """Return whether nothing else refers to the memory of this view, as of a result that was turned (N, C, H, W) last.

    A copy instead is a third of a batch norm's training pass, where a batch of images is the leaf.
    """
    owner = array.base
    if type(owner) is not type(array) or owner.base is not None or owner.nbytes != array.nbytes:
        return False
    if not getattr(array.flags, "writeable", True):
        return False
    del owner
    return sys.getrefcount(array.base) == _REFERENCES_OF_AN_ONLY_VIEW


_only_view = np.empty(2).reshape(2, 1)
_REFERENCES_OF_AN_ONLY_VIEW = sys.getrefcount(_only_view.base)  # not the same in all versions of Python


def arrays_in(saved: Any) -> Iterable[Array]:
    """Yield the arrays in nested tuples, lists and dicts."""
    if isinstance(saved, (tuple, list)):
        for item in saved:
            yield from arrays_in(item)
    elif isinstance(saved, dict):
        yield from arrays_in(tuple(saved.values()))
    elif hasattr(saved, "dtype") and hasattr(saved, "base"):
        yield saved


def _refuse_changed(node: Function) -> None:
    assert node._saved_at is not None
    for array in arrays_in(node.saved):
        by = _inplace.changed_since(array, node._saved_at)
        if by is not None:
            raise NumericsError(
                f"{type(node).__name__}: an array of shape {array.shape} that it saved for backward was changed "
                f"in place by {by}; do that after backward, or on a copy"
            )


def _show(node: Function, arrived: list[Array | None]) -> None:
    """Call the hooks of the node's outputs and fill in the `.grad` of those that retain it."""
    for index, hooks in (node._hooks or {}).items():
        for hook in hooks:
            if arrived[index] is not None:
                arrived[index] = _hooked(hook, arrived[index], node.device)
    for index, reference in (node._retained or {}).items():
        tensor, array = reference(), arrived[index]
        if tensor is not None and array is not None:
            former = tensor.grad
            total = array.copy(order="K") if former is None else _plus(former.data, array, node.device)
            tensor.grad = _wrap(total, node.device, None, 0)


def _hooked(hook: Hook, array: Array, device: Device) -> Array:
    """Return what a hook makes of a gradient."""
    result = hook(_wrap(array, device, None, 0))
    if result is None:
        return array
    if not isinstance(result, _Tensor):
        raise DTypeError(f"hook: must return a Tensor or None, got {type(result).__name__}")
    if result.shape != array.shape:
        raise ShapeError(f"hook: returned a gradient of shape {result.shape}, it got {array.shape}")
    return result.data.astype(array.dtype, copy=False)


class HookHandle:
    """What `register_hook` returns: `remove()` takes the hook away again."""

    def __init__(self, hooks: list[Any], hook: Any) -> None:
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)


from ._tensor import Tensor as _Tensor  # noqa: E402 - Tensor and Function need each other
from ._tensor import wrap as _wrap  # noqa: E402

"""Module: a part of a network, which knows its parameters, its buffers and its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from .. import _inplace, _watch
from .. import functional as F
from .._device import NAMES, put
from .._tensor import Tensor
from ..autograd import HookHandle, no_grad
from ..dtypes import check_dtype, float32, float64
from ..errors import CheckpointError, DTypeError, MinicnnError, ShapeError
from .parameter import Parameter

Self = TypeVar("Self", bound="Module")
ForwardHook = Callable[["Module", tuple[Any, ...], Any], Any]
ForwardPreHook = Callable[["Module", tuple[Any, ...]], Any]


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` did not find, and what it did not use."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """The base of all layers and networks: give `__init__` the parts and `forward` the computation.

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(1, 8, 3)
                self.fc = nn.Linear(8, 40)

            def forward(self, x):
                return self.fc(F.relu(self.conv(x)).mean((2, 3)))

        y = Net()(x)

    A `Parameter` or `Module` assigned to an attribute is registered under that name: `parameters()`,
    `state_dict()`, `train()`, `to()` … reach it. Buffers are tensors that belong to the state but are not
    trained (running statistics). Order and names are PyTorch's.
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _may_be_missing: frozenset[str] = frozenset()  # own state that an older state dict may lack

    def __init__(self) -> None:
        self.__dict__.update(
            training=True,
            _parameters={},
            _buffers={},
            _transient=set(),  # names of buffers that state_dict leaves out
            _modules={},
            _forward_hooks=[],
            _forward_pre_hooks=[],
        )

    # Calling

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; each network and layer gives its own."""
        raise NotImplementedError(f"{type(self).__name__} needs a method forward(self, x)")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if _watch.watchers:
            _watch.modules.append(self)
            try:
                return self._call(args, kwargs)
            finally:
                _watch.modules.pop()
        if self._forward_hooks or self._forward_pre_hooks:
            return self._call(args, kwargs)
        return self.forward(*args, **kwargs)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for pre_hook in tuple(self._forward_pre_hooks):
            changed = pre_hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        output = self.forward(*args, **kwargs)
        for hook in tuple(self._forward_hooks):
            changed = hook(self, args, output)
            if changed is not None:
                output = changed
        return output

    def register_forward_hook(self, hook: ForwardHook) -> HookHandle:
        """Call `hook(module, args, output)` after each forward pass; what it returns replaces the output."""
        return _registered("register_forward_hook", self._forward_hooks, hook)

    def register_forward_pre_hook(self, hook: ForwardPreHook) -> HookHandle:
        """Call `hook(module, args)` before each forward pass; what it returns replaces the arguments."""
        return _registered("register_forward_pre_hook", self._forward_pre_hooks, hook)

    # Attributes

    def __getattr__(self, name: str) -> Any:  # reached only where ordinary attributes end
        own = self.__dict__
        for kind in ("_parameters", "_buffers", "_modules"):
            if kind not in own:
                raise AttributeError(_not_initialised(self))
            if name in own[kind]:
                return own[kind][name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if isinstance(value, Parameter):
            self._forget(name, keep="_parameters")  # what is replaced keeps its place in the order
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._forget(name, keep="_modules")
            self.add_module(name, value)
        elif "_parameters" in own and name in own["_parameters"]:
            if value is not None:
                raise DTypeError(
                    f"{type(self).__name__}.{name}: is a parameter, needs an nn.Parameter or None, got "
                    f"{type(value).__name__}; to change its values write `with mc.no_grad(): m.{name}.copy_(values)`"
                )
            own["_parameters"][name] = None
        elif "_modules" in own and name in own["_modules"]:
            if value is not None:
                raise DTypeError(
                    f"{type(self).__name__}.{name}: is a module, needs an nn.Module or None, got {type(value).__name__}"
                )
            own["_modules"][name] = None
        elif "_buffers" in own and name in own["_buffers"]:
            if value is not None and not isinstance(value, Tensor):
                raise DTypeError(
                    f"{type(self).__name__}.{name}: is a buffer, needs a Tensor or None, got {type(value).__name__}"
                )
            own["_buffers"][name] = value
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        if any(name in self.__dict__.get(kind, ()) for kind in ("_parameters", "_buffers", "_modules")):
            self._forget(name)
        else:
            object.__delattr__(self, name)

    def __dir__(self) -> Iterable[str]:
        return sorted({*super().__dir__(), *self._parameters, *self._buffers, *self._modules})

    def _forget(self, name: str, keep: str = "") -> None:
        own = self.__dict__
        if "_parameters" not in own:
            raise MinicnnError(_not_initialised(self))
        own.pop(name, None)
        own["_transient"].discard(name)
        for kind in ("_parameters", "_buffers", "_modules"):
            if kind != keep:
                own[kind].pop(name, None)

    def _check_name(self, method: str, name: Any, kind: str) -> None:
        """Refuse a name that state_dict could not spell, or that means something else already."""
        if "_parameters" not in self.__dict__:
            raise MinicnnError(_not_initialised(self))
        if not isinstance(name, str):
            raise DTypeError(f"{method}: name must be a string, got {type(name).__name__}")
        if name == "" or "." in name:
            raise ShapeError(f"{method}: name {name!r} must not be empty and must not contain a dot")
        if name not in self.__dict__[kind] and hasattr(self, name):
            raise ShapeError(f"{method}: {type(self).__name__} already has an attribute {name!r}")

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Add a parameter under this name; None keeps the name for a parameter that is not there (no bias)."""
        self._check_name("register_parameter", name, "_parameters")
        if parameter is not None and not isinstance(parameter, Parameter):
            raise DTypeError(
                f"register_parameter: {name} must be an nn.Parameter or None, got {type(parameter).__name__}"
            )
        self._parameters[name] = parameter

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that belongs to the state but is not trained; `persistent=False` keeps it out of state_dict."""
        self._check_name("register_buffer", name, "_buffers")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise DTypeError(f"register_buffer: {name} must be a Tensor or None, got {type(tensor).__name__}")
        self._buffers[name] = tensor
        if persistent:
            self._transient.discard(name)
        else:
            self._transient.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a part under this name, as assigning it to an attribute does."""
        self._check_name("add_module", name, "_modules")
        if module is not None and not isinstance(module, Module):
            raise DTypeError(f"add_module: {name} must be an nn.Module or None, got {_described(module)}")
        self._modules[name] = module

    # What belongs to it

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the parts with their names; a part that appears twice only once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """Yield the parts."""
        return (module for _, module in self.named_children())

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Yield this module (name ""), its parts, their parts …, each before what it contains."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, _joined(prefix, name), remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """Yield this module, its parts, their parts …"""
        return (module for _, module in self.named_modules())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield all parameters with their names, `layers.0.weight`; a shared one only once."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield all parameters; a shared one only once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield all buffers with their names."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield all buffers."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def _named(self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        seen = set()
        modules = self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, tensor in module.__dict__[kind].items():
                if tensor is None or tensor in seen:
                    continue
                if remove_duplicate:
                    seen.add(tensor)
                yield _joined(path, name), tensor

    # State

    def state_dict(self, prefix: str = "", keep_vars: bool = False) -> dict[str, Tensor]:
        """Return all parameters and persistent buffers by name, detached.

        The tensors share memory with the module and change when it is trained; `copy.deepcopy` makes a
        snapshot. `keep_vars` gives the tensors themselves.
        """
        return {prefix + name: tensor if keep_vars else tensor.detach() for name, tensor, _ in self._named_state()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy the values of a state dict into the parameters and buffers of the same names.

        Values are tensors or arrays; floats are cast to the module's type. `strict=False` allows missing and
        unexpected names, which are returned. Raises CheckpointError, and changes nothing, when names, shapes
        or kinds of numbers do not fit.
        """
        if not isinstance(state_dict, Mapping):
            raise DTypeError(f"load_state_dict: needs a dict of tensors, got {type(state_dict).__name__}")
        missing, copies, misfits = [], [], []
        own = {}
        for name, tensor, may_be_missing in self._named_state():
            own[name] = tensor
            if name in state_dict:
                array = _fitting(state_dict[name], tensor)
                if isinstance(array, str):
                    misfits.append(f"{name}: {array}")
                else:
                    copies.append((tensor, array))
            elif not may_be_missing:
                missing.append(name)
        unexpected = [str(name) for name in state_dict if name not in own]
        if strict and missing:
            misfits.append(f"missing: {', '.join(missing)}")
        if strict and unexpected:
            misfits.append(f"unexpected: {', '.join(unexpected)}")
        if misfits:
            listed = "\n    ".join(misfits)
            raise CheckpointError(f"load_state_dict: the state does not fit {type(self).__name__}\n    {listed}")
        for tensor, array in copies:
            tensor.data[...] = put(array, tensor.device)
            _inplace.written(tensor.data, "load_state_dict")
        return IncompatibleKeys(missing, unexpected)

    def _named_state(self) -> Iterator[tuple[str, Tensor, bool]]:
        """Yield what belongs into a state dict, and whether it may be missing there: shared tensors at each place."""
        for path, module in self.named_modules(remove_duplicate=False):
            for name, tensor in (*module._parameters.items(), *module._buffers.items()):
                if tensor is not None and name not in module._transient:
                    yield _joined(path, name), tensor, name in module._may_be_missing

    # Changing everything at once

    def apply(self: Self, function: Callable[[Module], Any]) -> Self:
        """Call `function(module)` for every part, the innermost first, and for this module last."""
        for module in self.children():
            module.apply(function)
        function(self)
        return self

    def train(self: Self, mode: bool = True) -> Self:
        """Switch this module and its parts to training mode: dropout drops, batch norm uses the batch."""
        if not isinstance(mode, bool):
            raise DTypeError(f"train: mode must be True or False, got {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: Self) -> Self:
        """Switch to evaluation mode: the same output each time, whatever else is in the batch."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Freeze all parameters with False, free them with True."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or fill them with zeros."""
        zero_gradients(self.parameters(), set_to_none)

    def to(self: Self, *args: Any, dtype: Any = None, device: str | None = None) -> Self:
        """Move everything to another device, or turn all floats into another float type.

        The parameters stay the same objects, so an optimiser keeps working.
        """
        for argument in args:
            if isinstance(argument, Tensor):
                dtype, device = argument.dtype, argument.device
            elif isinstance(argument, str) and argument.partition(":")[0] in NAMES:
                device = argument
            else:
                dtype = argument
        if dtype is not None and check_dtype("to", dtype).kind != "f":
            raise DTypeError(f"to: a module's numbers stay floats, got {check_dtype('to', dtype)}")
        with no_grad():
            for module in self.modules():
                for parameter in module._parameters.values():
                    if parameter is not None:
                        _move(parameter, dtype, device)
                for name, buffer in module._buffers.items():
                    if buffer is not None:
                        module._buffers[name] = F.to(buffer, dtype if buffer.is_floating_point() else None, device)
        return self

    def float(self: Self) -> Self:
        """Turn all floats into float32."""
        return self.to(float32)

    def double(self: Self) -> Self:
        """Turn all floats into float64."""
        return self.to(float64)

    def cpu(self: Self) -> Self:
        """Move everything to the device `cpu`."""
        return self.to("cpu")

    # As text

    def extra_repr(self) -> str:
        """Return what stands between the brackets of this module's own line."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        parts = [f"({name}): {module!r}".replace("\n", "\n  ") for name, module in self._modules.items()]
        if not parts and "\n" not in extra:
            return f"{type(self).__name__}({extra})"
        lines = [*(extra.split("\n") if extra else ()), *parts]
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"


def zero_gradients(parameters: Iterable[Tensor], set_to_none: bool) -> None:
    """Drop the gradients of these tensors, or fill them with zeros."""
    for parameter in parameters:
        if parameter.grad is not None:
            if set_to_none:
                parameter.grad = None
            else:
                parameter.grad.zero_()


def _registered(method: str, hooks: list[Any], hook: Any) -> HookHandle:
    if not callable(hook):
        raise DTypeError(f"{method}: needs a function, got {type(hook).__name__}")
    hooks.append(hook)
    return HookHandle(hooks, hook)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _described(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__} itself; write {value.__name__}(…)"
    return type(value).__name__


def _not_initialised(module: Module) -> str:
    name = type(module).__name__
    return f"{name}: call super().__init__() first in {name}.__init__, then assign parameters and modules"


def _fitting(value: Any, tensor: Tensor) -> Any:
    """Return the array of a state dict's entry, or, as a string, why it cannot be copied into the tensor."""
    if isinstance(value, Tensor):
        value = value.numpy()
    if not isinstance(value, (np.ndarray, np.generic)):
        return f"is of type {type(value).__name__}, needs a tensor"
    if value.shape != tensor.shape:
        return f"has shape {value.shape}, needs {tensor.shape}"
    kinds = {kind: "iu" if kind in "iu" else kind for kind in "fiub"}
    if kinds.get(value.dtype.kind) != kinds[tensor.dtype.kind]:
        return f"is {value.dtype}, needs {tensor.dtype}"
    return value


def _move(parameter: Parameter, dtype: Any, device: str | None) -> None:
    """Give a parameter and its gradient another type or place."""
    for tensor in (parameter, parameter.grad):
        if tensor is not None:
            moved = F.to(tensor, dtype, device)
            tensor.data, tensor.device = moved.data, moved.device

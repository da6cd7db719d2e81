"""Optimizer: parameter groups, state and what all optimisers do with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from .. import _inplace
from .._device import Device, put
from .._tensor import Tensor
from ..autograd import enable_grad
from ..errors import CheckpointError, DTypeError, GradientError, ShapeError
from ..nn.module import Module, zero_gradients
from ..ops import arguments

Array = Any
Group = dict[str, Any]


class Optimizer:
    """The base of all optimisers: write one by giving `_check` and `_update`.

    `params` are tensors, or groups `{"params": tensors, "lr": 0.01, …}` with options of their own; `defaults`
    are the options of the others. `param_groups` is the list of groups, where schedulers change the learning
    rates; `state` has a dict for each parameter that has made a step. Parameters without a gradient are left
    alone. A parameter stays the same tensor and keeps its memory.
    Raises ShapeError for options out of range, no parameters, and a parameter given twice; DTypeError for
    what is not a tensor; GradientError for a computed tensor.
    """

    def __init__(self, params: Iterable[Any], defaults: Group) -> None:
        name = type(self).__name__
        if isinstance(params, Tensor) or not isinstance(params, Iterable):
            raise DTypeError(
                f"{name}: params must be a list of tensors or groups, got one {type(params).__name__}{_hint(params)}"
            )
        self.defaults = defaults
        self.param_groups: list[Group] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        groups = list(params)
        if not groups:
            raise ShapeError(f"{name}: params is empty; a module's are model.parameters()")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _check(self, group: Group) -> None:
        """Refuse options out of range; put the others into their normal form."""

    def _update(self, device: Device, group: Group, parameters: list[Tensor]) -> None:
        """Move these parameters, all on one device, one step."""
        raise NotImplementedError(f"{type(self).__name__} needs a method _update(self, device, group, parameters)")

    def add_param_group(self, param_group: Group) -> None:
        """Add parameters with options of their own, for instance those of a layer that is unfrozen later."""
        name = type(self).__name__
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise DTypeError(f'{name}: a group must be a dict with "params", got {_shown(param_group)}')
        params = param_group["params"]
        if isinstance(params, (set, frozenset)):
            raise DTypeError(f"{name}: params are a set, which has no order; give a list")
        params = [params] if isinstance(params, Tensor) else list(params)
        for i, parameter in enumerate(params):
            if not isinstance(parameter, Tensor):
                raise DTypeError(
                    f"{name}: params[{i}] must be a Tensor, got {type(parameter).__name__}{_hint(parameter)}"
                )
            if not parameter.is_leaf:
                raise GradientError(f"{name}: params[{i}] was computed by an operation; only leaf tensors are trained")
        taken = [parameter for group in self.param_groups for parameter in group["params"]]
        if len({*taken, *params}) < len(taken) + len(params):
            raise ShapeError(f"{name}: a parameter is given twice; list each in one group, once")
        param_group["params"] = params
        for option, value in self.defaults.items():
            param_group.setdefault(option, value)
        self._check(param_group)
        self.param_groups.append(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or fill them with zeros."""
        for group in self.param_groups:
            zero_gradients(group["params"], set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient one step; return what `closure()`, called before, returns."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        name = type(self).__name__
        by = f"{name}.step"
        for group in self.param_groups:
            places: dict[Device, list[Tensor]] = {}
            for i, parameter in enumerate(group["params"]):
                gradient = parameter.grad
                if gradient is not None:
                    if not isinstance(gradient, Tensor):
                        raise DTypeError(
                            f"{name}: params[{i}].grad must be a Tensor or None, got {type(gradient).__name__}"
                        )
                    if gradient.shape != parameter.shape or gradient.dtype != parameter.dtype:
                        raise ShapeError(
                            f"{name}: params[{i}] is {parameter.dtype} of shape {parameter.shape}, "
                            f"its gradient {gradient.dtype} of {gradient.shape}"
                        )
                    places.setdefault(parameter.device, []).append(parameter)
            for device, parameters in places.items():
                self._update(device, group, parameters)
                for parameter in parameters:
                    _inplace.written(parameter.data, by)
        return loss

    def _arrays(self, parameters: list[Tensor], name: str) -> list[Array]:
        """Return one of the state's arrays for each parameter, at first of zeros."""
        arrays = []
        for parameter in parameters:
            state = self.state.setdefault(parameter, {})
            if name not in state:
                zeros = parameter.detach()
                zeros.data = np.zeros_like(parameter.data)
                state[name] = zeros
            kept = state[name]
            if kept.dtype != parameter.dtype or kept.device != parameter.device:
                raise DTypeError(
                    f"{type(self).__name__}: {name} is {kept.dtype} on {kept.device}, its parameter has become "
                    f"{parameter.dtype} on {parameter.device}; move the model before training, "
                    "or give the optimiser its own state_dict() to load"
                )
            arrays.append(kept.data)
        return arrays

    def _steps(self, parameters: list[Tensor]) -> list[float]:
        """Count a step for each parameter, and return the counts."""
        steps = []
        for parameter in parameters:
            state = self.state.setdefault(parameter, {})
            if "step" not in state:
                state["step"] = Tensor(np.zeros((), np.float32), device="cpu")
            count = state["step"].data
            count += 1
            steps.append(float(count))
        return steps

    # State

    def state_dict(self) -> dict[str, Any]:
        """Return {"state": {i: arrays of parameter i}, "param_groups": options}, where i counts over all groups.

        The tensors share memory with the optimiser and change with its next step.
        """
        number: dict[Tensor, int] = {}
        for group in self.param_groups:
            for parameter in group["params"]:
                number[parameter] = len(number)
        return {
            "state": {number[p]: dict(state) for p, state in self.state.items() if p in number},
            "param_groups": [
                {**{k: v for k, v in group.items() if k != "params"}, "params": [number[p] for p in group["params"]]}
                for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over copies of the state and the options of another optimiser for parameters of the same shapes.

        Raises CheckpointError, and changes nothing, when groups, parameters or shapes do not fit.
        """
        name = type(self).__name__
        if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= set(state_dict):
            raise CheckpointError(f'{name}: load_state_dict needs a dict with "state" and "param_groups"')
        saved = state_dict["param_groups"]
        sizes = [len(group["params"]) for group in saved]
        own_sizes = [len(group["params"]) for group in self.param_groups]
        if sizes != own_sizes:
            raise CheckpointError(f"{name}: the state is of groups of {sizes} parameters, there are {own_sizes}")
        numbers = [number for group in saved for number in group["params"]]
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        # a checkpoint may have turned the numbers into strings
        entries = {str(number): entry for number, entry in state_dict["state"].items()}
        state = {}
        for number, parameter in zip(numbers, parameters):
            if str(number) in entries:
                state[parameter] = {
                    key: _restored(f"{name}: {key} of parameter {number}", key, value, parameter)
                    for key, value in entries[str(number)].items()
                }
        groups = [{**own, **group, "params": own["params"]} for own, group in zip(self.param_groups, saved)]
        for group in groups:
            self._check(group)
        self.state, self.param_groups = state, groups

    def __repr__(self) -> str:
        lines = []
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {option}: {group[option]}" for option in sorted(group) if option != "params"]
        return f"{type(self).__name__} (\n" + "\n".join(lines) + "\n)"


def _hint(value: Any) -> str:
    return "; write model.parameters()" if isinstance(value, (tuple, Module)) else ""


def _shown(group: Any) -> str:
    return f"a dict with {', '.join(map(repr, group))}" if isinstance(group, dict) else type(group).__name__


def _restored(what: str, key: str, value: Any, parameter: Tensor) -> Any:
    """Return a copy of a value of the state, on the parameter's device and of its type; counts stay as they are."""
    if key == "step":
        count = value.numpy() if isinstance(value, Tensor) else value
        return Tensor(np.asarray(count, np.float32).reshape(()), device="cpu")
    if value is None:
        return None
    array = value.numpy() if isinstance(value, Tensor) else value
    if not isinstance(array, np.ndarray) or array.shape != parameter.shape:
        raise CheckpointError(f"{what} has shape {getattr(array, 'shape', None)}, needs {parameter.shape}")
    restored = parameter.detach()
    restored.data = put(array.astype(parameter.dtype), parameter.device)
    return restored


def at_least_0(name: str, group: Group, *options: str) -> None:
    """Check that these options are numbers that are not negative."""
    for option in options:
        group[option] = arguments.number(name, option, group[option], 0)


def below_1(name: str, option: str, value: Any) -> float:
    """Return a number in [0, 1)."""
    number = arguments.number(name, option, value)
    if not 0 <= number < 1:
        raise ShapeError(f"{name}: {option} is {value}, needs a number in [0, 1)")
    return number


def flags(name: str, group: Group, *options: str) -> None:
    """Check that these options are True or False."""
    for option in options:
        group[option] = arguments.flag(name, option, group[option])

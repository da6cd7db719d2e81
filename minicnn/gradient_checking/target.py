"""Targets of the grader: what FILE::NAME means, and which inputs it is tried on."""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from .subject import Fault

Array = Any
Maker = Callable[[Any], Any]  # of a NumPy generator, returns the inputs


class Target:
    """A function to check, its backward pass if it is a NumPy pair, and its makers of inputs."""

    def __init__(self, function: Any, backward: Any, makers: list[Maker]) -> None:
        self.function, self.backward, self.makers = function, backward, makers


def split(text: str) -> tuple[Path, str, str]:
    """Return the file, the name and its stem of FILE::NAME. Raises DataError if there is no such file."""
    path, separator, name = text.rpartition("::")
    if not separator or not name:
        raise DataError(f"gradcheck: target is {text!r}, needs FILE::NAME")
    if not Path(path).is_file():
        raise DataError(f"gradcheck: there is no file {path}")
    return Path(path), name, name.removesuffix("_forward").removesuffix("_backward")


def pair(path: Path, name: str, stem: str, names: set[str], uses_minicnn: bool) -> tuple[str, str] | None:
    """Return the names of the NumPy pair that a name means among those in a file, None if it is a function of Tensors.

    NAME, NAME_forward and NAME_backward mean the same pair if both halves are in the file. Raises DataError if nothing
    of it is there, or one half alone.
    """
    forward, backward = f"{stem}_forward" if f"{stem}_forward" in names else stem, f"{stem}_backward"
    if {forward, backward} <= names:
        return forward, backward
    if backward in names:
        raise DataError(f"gradcheck: {path} has {backward}, the forward function {stem}_forward is missing")
    taken = name if name in names else forward
    if taken not in names or (name.endswith("_backward") and forward == stem):
        needed = f"{stem}_forward and {backward}" if name.endswith(("_forward", "_backward")) else name
        raise DataError(f"gradcheck: {path} has no {needed}")
    if name.endswith("_backward") or (taken.endswith("_forward") and not uses_minicnn):
        raise DataError(f"gradcheck: {path} has {forward}, the backward function {backward} is missing")
    return None


def load(text: str, cases: str | None) -> Target:
    """Return what FILE::NAME stands for, if it is no pair: a function of Tensors, a `Function` or a module.

    Raises DataError if the file, the name or the cases cannot be read.
    """
    path, name, stem = split(text)
    names = vars(_module(path))
    function = names.get(name, names.get(f"{stem}_forward"))
    if function is None or not callable(function):
        raise DataError(f"gradcheck: {path} has no {name}")
    if isinstance(function, type):
        apply = getattr(function, "apply", None) if hasattr(function, "backward") else None
        function = apply or function()
    own = names.get(f"{stem}_inputs")
    found = makers(function, stem, cases, own if callable(own) else None)
    return Target(_whole(function, stem) if inspect.isfunction(function) else function, None, found)


def makers(function: Any, stem: str, cases: str | None, own: Maker | None) -> list[Maker]:
    """Return the makers of inputs: those of the file of cases, or the file's own, or usual shapes."""
    found = given_cases(Path(cases), stem) if cases else []
    return found or ([own] if own else _fitting(function))


def _whole(function: Any, stem: str) -> Any:
    """Return a function of Tensors that is blamed if it returns a cache, as half a pair does."""
    half = function.__name__.endswith("_forward")

    @wraps(function)
    def whole(*arguments: Any, **options: Any) -> Any:
        result = function(*arguments, **options)
        two = isinstance(result, (tuple, list)) and len(result) == 2
        kept = two and (isinstance(result[1], (tuple, list, dict)) or (half and any(result[1] is a for a in arguments)))
        if kept:
            text = f"the function returns a cache, so it is half a pair: backward, {stem}_backward, is missing"
            raise Fault("missing backward", text)
        return result

    return whole


def _module(path: Path) -> Any:
    if not path.is_file():
        raise DataError(f"gradcheck: there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise DataError(f"gradcheck: {path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise DataError(f"gradcheck: {path} cannot be read: {type(error).__name__}: {error}") from error
    return module


def given_cases(path: Path, stem: str, needed: bool = True) -> list[Maker]:
    """Return the makers for a name in a file of cases.

    A Python file holds CASES = {name: [function of a generator, …]}; a JSON file {name: [[input, …], …]} with inputs
    {"shape": […]} (normal), {"shape": […], "integers": [low, high]}, or any plain value.
    Raises DataError if it cannot be read, or has none for this name though some are `needed`.
    """
    try:
        table = vars(_module(path))["CASES"] if path.suffix == ".py" else json.loads(path.read_text(encoding="utf-8"))
        found = table.get(stem, table.get("*"))
        if not found and needed:
            raise DataError(f"gradcheck: {path} has no cases for {stem!r}")
        return [case if callable(case) else _maker(case) for case in found or ()]
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise DataError(f"gradcheck: the cases in {path} cannot be read: {type(error).__name__}: {error}") from error


def _maker(case: list[Any]) -> Maker:
    def make(rng: Any) -> list[Any]:
        return [_input(item, rng) for item in case]

    return make


def _input(item: Any, rng: Any) -> Any:
    if not isinstance(item, dict) or "shape" not in item:
        return item
    if "integers" in item:
        return rng.integers(*item["integers"], item["shape"])
    return rng.standard_normal(item["shape"])


# Shapes to try, for functions of one to five arrays: plain, dense, images, normalisation, losses.
SHAPES: tuple[tuple[tuple[int, ...], ...], ...] = (
    ((2, 3, 6, 5), (4, 3, 3, 3), (4,)), ((2, 3, 6, 5), (4, 3, 3, 3)), ((6, 4), (4, 5), (5,)), ((6, 4), (4, 5)),
    ((6, 4), (4,), (4,)), ((2, 3, 4, 6), (3,), (3,)), ((2, 3, 6, 4),), ((5, 4),), ((5, 4), (5, 4)), ((5, 4), (4,)),
    ((6, 4), (4, 5), (5,), (5, 3), (3,)), ((7,),), ((7,), (7,)),
)  # fmt: skip


def _fitting(function: Any) -> list[Maker]:
    """Return makers of inputs that the function takes: arrays of usual shapes, and settings that have usual names."""
    try:
        parameters = list(inspect.signature(getattr(function, "forward", function)).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    return [_trial(shapes, rest) for shapes, rest in _combinations(parameters)]


def _combinations(parameters: list[inspect.Parameter]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in parameters if p.default is p.empty and p.kind in kinds]
    for shapes in SHAPES:
        settings = names[len(shapes) :]
        known = [_setting(name) for name in settings]
        if len(shapes) <= len(names) and all(k is not None for k in known):
            yield shapes, tuple(known)
    if not names:  # *args
        yield from ((shapes, ()) for shapes in SHAPES)


def _setting(name: str) -> Any:
    """Return a usual value for an argument that is no array; None if its name says nothing."""
    values = {
        "stride": 1, "pad": 1, "padding": 1, "eps": 1e-5, "p": 0.5, "slope": 0.1, "alpha": 0.1, "size": 2,
        "kernel_size": 2, "pool_size": 2, "y": np.array([0, 2, 1, 3, 0]), "labels": np.array([0, 2, 1, 3, 0]),
        "target": np.array([0, 2, 1, 3, 0]), "conv_param": {"stride": 1, "pad": 1},
        "pool_param": {"pool_height": 2, "pool_width": 2, "stride": 2}, "bn_param": {"mode": "train"},
        "ln_param": {}, "dropout_param": {"mode": "train", "p": 0.5, "seed": 1},
    }  # fmt: skip
    return values.get(name)


def _trial(shapes: Any, settings: tuple[Any, ...]) -> Maker:
    def make(rng: Any) -> list[Any]:
        return [rng.standard_normal(s) for s in shapes] + list(settings)

    make.guessed = True  # type: ignore[attr-defined]  # the grader takes the first that the function accepts
    return make

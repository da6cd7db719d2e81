"""Sequential and ModuleList: modules in an order."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any, TypeVar

from ..errors import DTypeError, MinicnnError, ShapeError
from .module import Module

Self = TypeVar("Self", bound="_Ordered")


class _Ordered(Module):
    """Modules that are reached by number."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._part(list(self._modules.items())[index])
        return self._modules[self._name(index)]

    def _part(self, items: list[tuple[str, Any]]) -> Any:
        raise NotImplementedError

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(self._name(index), module)

    def __delitem__(self, index: int | slice) -> None:
        names = list(self._modules)
        gone = names[index] if isinstance(index, slice) else [self._name(index)]
        kept = [module for name, module in self._modules.items() if name not in gone]
        numbered = names == [str(i) for i in range(len(names))]
        names = [str(i) for i in range(len(kept))] if numbered else [name for name in names if name not in gone]
        self._replace(zip(names, kept))

    def append(self: Self, module: Module) -> Self:
        """Add a module at the end."""
        name = next(name for name in map(str, count(len(self))) if name not in self._modules)
        self.add_module(name, module)
        return self

    def extend(self: Self, modules: Iterable[Module]) -> Self:
        """Add modules at the end."""
        for module in modules:
            self.append(module)
        return self

    def insert(self: Self, index: int, module: Module) -> Self:
        """Put a module before the one at `index`; the modules are numbered anew."""
        modules = list(self._modules.values())
        modules.insert(operator.index(index), module)
        self._replace((str(i), module) for i, module in enumerate(modules))
        return self

    def _name(self, index: Any) -> str:
        try:
            return list(self._modules)[operator.index(index)]
        except TypeError:
            raise DTypeError(f"{type(self).__name__}: index must be a whole number or a slice, got {index!r}") from None
        except IndexError:
            raise ShapeError(f"{type(self).__name__}: index is {index}, there are {len(self)} modules") from None

    def _replace(self, items: Iterable[tuple[str, Any]]) -> None:
        items = list(items)
        self._modules.clear()
        for name, module in items:
            self.add_module(name, module)


class Sequential(_Ordered):
    """Modules that are called one after the other, each with the output of the one before.

    Takes modules (named "0", "1", …) or one dict of names and modules.
    """

    def __init__(self, *args: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], Mapping):
            self._replace(args[0].items())
            return
        for i, module in enumerate(args):
            if not isinstance(module, Module):
                hint = "; unpack it with Sequential(*modules)" if isinstance(module, (list, tuple)) else ""
                hint = f"; write {module.__name__}(…)" if isinstance(module, type) else hint
                raise DTypeError(f"Sequential: argument {i} must be an nn.Module, got {type(module).__name__}{hint}")
            self.add_module(str(i), module)

    def _part(self, items: list[tuple[str, Any]]) -> Sequential:
        return Sequential(dict(items))

    def forward(self, input: Any) -> Any:
        """Return the last module's output."""
        for module in self._modules.values():
            if module is not None:
                input = module(input)
        return input


class ModuleList(_Ordered):
    """A list of modules whose parameters are found; what is done with them stands in the owner's `forward`."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            if isinstance(modules, Module) and not isinstance(modules, _Ordered):
                raise DTypeError(f"ModuleList: needs a list of modules, got one {type(modules).__name__}")
            self.extend(modules)

    def _part(self, items: list[tuple[str, Any]]) -> ModuleList:
        return ModuleList(module for _, module in items)

    def __repr__(self) -> str:
        """Return one line for each run of equal modules: `(0-3): 4 x ReLU()`."""
        runs: list[list[Any]] = []  # [first number, count, text]
        for i, text in enumerate(map(repr, self)):
            if runs and runs[-1][2] == text:
                runs[-1][1] += 1
            else:
                runs.append([i, 1, text])
        lines = []
        for first, number, text in runs:
            head = f"({first})" if number == 1 else f"({first}-{first + number - 1}): {number} x"
            lines.append(f"{head}{':' if number == 1 else ''} {text}".replace("\n", "\n  "))
        return f"{type(self).__name__}(" + "".join(f"\n  {line}" for line in lines) + ("\n)" if lines else ")")

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: a list does not say in which order or how its modules are to be called."""
        raise MinicnnError("ModuleList: cannot be called; call its modules, or use nn.Sequential")

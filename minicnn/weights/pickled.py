"""An interpreter for the part of Python's pickle language that a file of tensors needs, and for nothing else.

A pickle is a program for a small stack machine; two of its instructions, GLOBAL and REDUCE, may name any function of
any module and call it, and that is how a hostile file runs its own code in `pickle.load`. Here nothing is looked up
and nothing is imported: a name that a file asks for is compared with the caller's table, and what stands there is
called, else the name is refused. Instructions that make other objects (INST, OBJ, NEWOBJ, EXT …) are refused by name.

The text of the language is taken apart by `pickletools` of the standard library, which executes nothing.
"""

from __future__ import annotations

import io
import pickletools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import CheckpointError

Maker = Callable[..., Any]
PersistentLoad = Callable[[Any], Any]

_KEYS = (str, int, float, bytes, type(None))  # what may be a key; a tuple's hash descends, and may descend too far
_DEEPEST = 100
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = frozenset((
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
))  # fmt: skip
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MEMORISE = frozenset(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"))
_RECALL = frozenset(("GET", "BINGET", "LONG_BINGET"))


class Named:
    """A global that the file asks for and the table knows."""

    def __init__(self, name: str, meaning: Any) -> None:
        self.name = name
        self.meaning = meaning


def unpickle(where: str, data: io.BytesIO, names: Mapping[str, Any], persistent: PersistentLoad) -> Any:
    """Return the object that the pickle at the position of `data` describes, and move the position behind it.

    `names` says what each "module.name" stands for: a function, which may be called, or any other value, which only
    functions may take. `persistent` turns a persistent id into an object. The result holds dicts, lists, tuples,
    numbers, strings and whatever those functions return. Raises CheckpointError for everything else, naming it, and
    for more containers than the length of the pickle warrants.
    """
    machine = _Machine(where, names, persistent, len(data.getbuffer()) - data.tell())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of texts in ways of writing that will no longer be understood
            for instruction, argument, _ in pickletools.genops(data):
                if instruction.name == "STOP":
                    return machine.result()
                machine.execute(instruction.name, argument)
    except CheckpointError:
        raise
    except RecursionError:
        raise CheckpointError(f"{where}: the pickle is nested too deeply") from None
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError, MemoryError, Warning) as error:
        raise CheckpointError(f"{where}: the pickle is damaged: {type(error).__name__}: {error}"[:300]) from None
    raise CheckpointError(f"{where}: the pickle has no end")


class _Machine:
    """The stack, the marks on it, and the memo."""

    def __init__(self, where: str, names: Mapping[str, Any], persistent: PersistentLoad, length: int) -> None:
        self.where, self.names, self.persistent = where, names, persistent
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        # An instruction of one byte makes a container of some 60: so many bytes each must have.
        self.containers_left = length // 4 + 1000
        # One instruction may put a container that is there already into another.
        self.values_warranted = 4 * length + 1000

    def execute(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in ("PROTO", "FRAME"):
            return
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self.new(_EMPTY[name]())
        elif name == "MARK":
            self.marks.append(len(stack))
        elif name in ("TUPLE", "LIST", "DICT"):
            items = self.to_mark()
            self.new(tuple(items) if name == "TUPLE" else items if name == "LIST" else self.put_items({}, items))
        elif name in _TUPLES:
            self.new(tuple(self.pop() for _ in range(_TUPLES[name]))[::-1])
        elif name in ("APPEND", "APPENDS"):
            items = [self.pop()] if name == "APPEND" else self.to_mark()
            self.of_type(list, "a list").extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = [self.pop(), self.pop()][::-1] if name == "SETITEM" else self.to_mark()
            self.put_items(self.of_type(dict, "a dict"), items)
        elif name in _MEMORISE:
            self.memo[len(self.memo) if argument is None else argument] = self.top()
        elif name in _RECALL:
            stack.append(self.memo[argument])
        elif name == "POP":
            self.pop()
        elif name == "POP_MARK":
            self.to_mark()
        elif name == "DUP":
            stack.append(self.top())
        elif name == "GLOBAL":
            module, _, attribute = argument.partition(" ")
            stack.append(self.named(f"{module}.{attribute}"))
        elif name == "STACK_GLOBAL":
            attribute, module = self.pop(), self.pop()
            if not isinstance(module, str) or not isinstance(attribute, str):
                raise CheckpointError(f"{self.where}: the pickle asks for a global whose name is no text")
            stack.append(self.named(f"{module}.{attribute}"))
        elif name == "REDUCE":
            arguments, function = self.pop(), self.pop()
            if not isinstance(function, Named) or not callable(function.meaning) or not isinstance(arguments, tuple):
                raise CheckpointError(f"{self.where}: the pickle calls what is no function")
            self.new(function.meaning(*arguments))
        elif name == "BUILD":  # what an OrderedDict has besides its items: `_metadata`, versions of PyTorch's modules
            self.pop()
            self.of_type(dict, "an OrderedDict")
        elif name in ("BINPERSID", "PERSID"):
            stack.append(self.persistent(self.pop() if name == "BINPERSID" else argument))
        else:
            raise CheckpointError(
                f"{self.where}: the pickle holds the instruction {name}, which tensors and plain containers do not need"
            )

    def named(self, name: str) -> Any:
        """Return what a global stands for, a text as it is. Raises CheckpointError if the table does not know it."""
        if name not in self.names:
            raise CheckpointError(
                f"{self.where}: the pickle asks for {name[:200]}, which is neither a tensor nor a plain container; "
                "only state dicts are read, as torch.save(model.state_dict(), file) writes them"
            )
        meaning = self.names[name]
        return meaning if isinstance(meaning, str) else Named(name, meaning)

    def new(self, value: Any) -> None:
        self.containers_left -= 1
        if self.containers_left < 0:
            raise CheckpointError(f"{self.where}: the pickle makes more containers than its size warrants")
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack or (self.marks and self.marks[-1] == len(self.stack)):
            raise CheckpointError(f"{self.where}: the pickle takes from an empty stack")
        return self.stack.pop()

    def top(self) -> Any:
        value = self.pop()
        self.stack.append(value)
        return value

    def of_type(self, kind: type, what: str) -> Any:
        value = self.top()
        if type(value) is not kind:
            raise CheckpointError(f"{self.where}: the pickle changes {type(value).__name__}, needs {what}")
        return value

    def to_mark(self) -> list[Any]:
        """Take everything above the last mark, and the mark."""
        if not self.marks:
            raise CheckpointError(f"{self.where}: the pickle refers to a mark that it has not set")
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def put_items(self, target: dict[Any, Any], items: list[Any]) -> dict[Any, Any]:
        if len(items) % 2:
            raise CheckpointError(f"{self.where}: the pickle gives a key without a value")
        for key, value in zip(items[::2], items[1::2]):
            if not isinstance(key, _KEYS):
                raise CheckpointError(f"{self.where}: the pickle has a key of type {type(key).__name__}")
            target[key] = value
        return target

    def result(self) -> Any:
        """Return the one value left, having looked at everything in it."""
        if len(self.stack) != 1 or self.marks:
            raise CheckpointError(f"{self.where}: the pickle ends with {len(self.stack)} values, needs 1")
        self.check(self.stack[0])
        return self.stack[0]

    def check(self, root: Any) -> None:
        """Look at everything in a value, so that whoever walks through it comes to an end.

        Raises CheckpointError where a global is in it, or a container in itself, when containers lie too deep in each
        other, and when what they hold, counted as often as it occurs, is more than the length of the pickle warrants.
        """
        found: dict[int, tuple[int, int]] = {}  # of a container that was looked at: values in it, and levels
        path: list[tuple[Any, list[Any]]] = []  # from the root on: a container, and what of it remains to be looked at
        on_path: set[int] = set()
        waiting = [root]
        while True:
            if waiting:
                value = waiting.pop()
                if isinstance(value, Named):
                    raise CheckpointError(f"{self.where}: the pickle holds {value.name} itself as a value")
                if not isinstance(value, (dict, list, tuple)) or id(value) in found:
                    continue
                if id(value) in on_path:
                    raise CheckpointError(f"{self.where}: the pickle makes a {type(value).__name__} that holds itself")
                if len(path) == _DEEPEST:
                    raise CheckpointError(f"{self.where}: the pickle nests containers more than {_DEEPEST} deep")
                path.append((value, waiting))
                on_path.add(id(value))
                waiting = list(_parts(value))
                continue
            if not path:
                return
            value, waiting = path.pop()
            on_path.discard(id(value))
            inner = [found[id(part)] for part in _parts(value) if id(part) in found]
            count = len(value) + sum(c for c, _ in inner)
            if count > self.values_warranted:
                raise CheckpointError(f"{self.where}: the pickle holds more values than its size warrants")
            found[id(value)] = count, 1 + max((d for _, d in inner), default=0)
            if len(path) + found[id(value)][1] > _DEEPEST:
                raise CheckpointError(f"{self.where}: the pickle nests containers more than {_DEEPEST} deep")


def _parts(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value

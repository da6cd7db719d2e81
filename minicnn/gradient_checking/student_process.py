"""The process in which a student's file runs, and the messages between it and the grader.

Started by its path, so that nothing of minicnn is loaded here. Messages are frames: two lengths, a description in
JSON, the bytes of the arrays. Nothing is unpickled on either side.

The first message from the grader is {"file", "root", "memory", "exercise"}; the answer names the functions in the
file. Then {"call": "forward", "function", "arguments", "seed"} is answered by what the function returned and the
arguments that it changed; {"call": "backward", …, "backward", "dout", "watched"} runs the pair and answers with the
gradients.

The gradient checker calls the two halves of a pair one after the other: {"call": "first", "function", "arguments"}
keeps the cache here, {"call": "second", "function", "with", "douts"} uses it. {"call": "parameters", "functions"} asks
for their parameters, {"call": "inputs", "function", "seed"} for the inputs that a function of a generator makes.
"""

from __future__ import annotations

import gc
import inspect
import json
import os
import random
import struct
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy import asarray, errstate, frombuffer, generic, ndarray

MOST_ELEMENTS = 1 << 20  # larger arrays are described by their shape only: no right result is as large
MOST_BYTES = 1 << 26
LENGTHS = struct.Struct("<II")
FRAMEWORKS = frozenset((
    "autograd", "chainer", "cupy", "dezero", "flax", "jax", "jaxlib", "keras", "micrograd", "minicnn", "minitorch",
    "mxnet", "mygrad", "onnxruntime", "paddle", "tensorflow", "theano", "tinygrad", "torch", "torchvision",
))  # fmt: skip
PROGRAMS = frozenset((
    "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile",
    "pty.spawn",
))  # fmt: skip
KILLS = frozenset(("os.kill", "os.killpg"))


class Other(NamedTuple):
    """A value that is neither array, number, text, list nor dictionary; or an array too large to be sent."""

    kind: str
    shape: tuple[int, ...] | None = None


def pack(value: Any, chunks: list[bytes], depth: int = 0) -> dict[str, Any]:
    """Return the description of a value; the bytes of its arrays go to `chunks`."""
    if isinstance(value, (ndarray, generic)):
        array = asarray(value)
        if array.dtype.kind not in "fiub" or array.size > MOST_ELEMENTS:
            return {"other": f"array of {array.dtype}", "shape": [*map(int, array.shape)]}
        chunks.append(array.tobytes())
        kind = "array" if isinstance(value, ndarray) else "scalar"
        return {kind: array.dtype.str, "shape": [*map(int, array.shape)]}
    if value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 1 << 62):
        return {"plain": value}
    if isinstance(value, str) and len(value) < 1000:
        return {"plain": str(value)}
    if isinstance(value, (tuple, list)) and depth < 6 and len(value) <= 1000:
        return {"list" if isinstance(value, list) else "tuple": [pack(v, chunks, depth + 1) for v in value]}
    if isinstance(value, dict) and depth < 6 and len(value) <= 1000:
        return {"dict": {str(k): pack(v, chunks, depth + 1) for k, v in value.items()}}
    return {"other": type(value).__name__[:100]}


def unpack(tree: dict[str, Any], payload: memoryview, at: list[int]) -> Any:
    """Return the value that `pack` described; `at` holds the position in the payload. Raises ValueError, KeyError."""
    if "plain" in tree:
        return tree["plain"]
    for kind, make in (("list", list), ("tuple", tuple)):
        if kind in tree:
            return make([unpack(t, payload, at) for t in tree[kind]])
    if "dict" in tree:
        return {k: unpack(t, payload, at) for k, t in tree["dict"].items()}
    if "other" in tree:
        return Other(str(tree["other"]), tuple(map(int, tree["shape"])) if "shape" in tree else None)
    dtype = np.dtype(tree["array"] if "array" in tree else tree["scalar"])
    if dtype.kind not in "fiub":
        raise ValueError(f"no numbers: {dtype}")
    shape = tuple(map(int, tree["shape"]))
    count = int(np.prod(shape, dtype=object))
    array = frombuffer(payload, dtype, count, at[0]).reshape(shape).copy() if count else np.zeros(shape, dtype)
    at[0] += array.nbytes
    return array if "array" in tree else array[()]


def frame(message: dict[str, Any]) -> bytes:
    """Return a message, whose values are trees or plain, as bytes; values under "values" are packed."""
    chunks: list[bytes] = []
    message = {**message, "values": {k: pack(v, chunks) for k, v in message.get("values", {}).items()}}
    payload, header = b"".join(chunks), json.dumps(message).encode()
    return LENGTHS.pack(len(header), len(payload)) + header + payload


def read_frame(stream: BinaryIO) -> dict[str, Any]:
    """Return the next message. Raises EOFError at the end, and ValueError, KeyError, … for what is no message."""
    header_size, payload_size = LENGTHS.unpack(_exactly(stream, LENGTHS.size))
    if header_size + payload_size > MOST_BYTES:
        raise ValueError("a message is too long")
    message = json.loads(_exactly(stream, header_size))
    payload, at = memoryview(_exactly(stream, payload_size)), [0]
    message["values"] = {k: unpack(tree, payload, at) for k, tree in message["values"].items()}
    return dict(message)


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


# What only the student's process does


def main() -> None:
    """Serve the grader until it hangs up."""
    requests, out = os.fdopen(os.dup(0), "rb"), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):  # what the student's code prints or reads is no message
        os.dup2(nowhere, number)
    start = read_frame(requests)
    sys.path.pop(0)  # this file's folder
    limit(start["memory"])
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - students use the global generator
    answer, names = load(start, out)
    _send(out, answer)
    halves = Halves(names)
    while True:
        request = read_frame(requests)
        try:
            graded = request["call"] in ("forward", "backward")
            answer = called(request, names) if graded else halves.called(request)
        except MemoryError:
            answer = {"error": {"type": "MemoryError", "text": "", "memory": True, "stage": "forward"}}
        _send(out, answer)


def _send(out: int, message: dict[str, Any]) -> None:
    view = memoryview(frame(message))
    while view:
        view = view[os.write(out, view) :]


def limit(mebibytes: int) -> None:
    """Bound this process's memory and the files it writes, where the system can (not on Windows)."""
    try:
        import resource
    except ImportError:
        return
    for what, most in ((resource.RLIMIT_AS, mebibytes), (resource.RLIMIT_FSIZE, 16)):
        resource.setrlimit(what, (most << 20, most << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def load(start: dict[str, Any], out: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the student's file; return the answer about it, and its names."""
    path = Path(start["file"])
    source = path.read_bytes()
    sys.path.insert(0, str(path.resolve().parent))
    module = types.ModuleType("student_file")
    module.__file__ = str(path)
    sys.modules["student_file"] = module
    if not start["exercise"]:
        sys.path.append(os.path.dirname(start["root"]))  # a file may use minicnn that is not installed
    sys.addaudithook(_guard(out, start["root"], start["exercise"]))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(source, str(path), "exec"), vars(module))
    except BaseException as error:
        return {"error": _described(error, "the file")}, {}
    names = vars(module)
    found = [n for n, value in names.items() if callable(value) and isinstance(n, str)]
    return {"names": found, "minicnn": "minicnn" in sys.modules}, names


def _guard(out: int, root: str, exercise: bool) -> Callable[[str, tuple[Any, ...]], None]:
    """Return a hook that tells the grader when the file leaves the exercise: it cannot be taken off again."""
    abspath, basename, dirname, write = os.path.abspath, os.path.basename, os.path.dirname, os.write
    frameworks, programs, kills, within = FRAMEWORKS, PROGRAMS, KILLS, root + os.sep
    needed = "which no exercise needs" if exercise else "which is not allowed here"
    shown = abspath(__file__)  # a traceback quotes this file; there is nothing in it to copy

    def refuse(text: str) -> None:
        if exercise:  # elsewhere a library may try, and go on without
            write(out, frame({"refused": text}))
        raise PermissionError(text)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "import" and exercise:
            top = str(arguments[0]).partition(".")[0]
            if top in frameworks:
                refuse(f"imports {top}; the exercise is to write it with NumPy")
        elif event == "open" and exercise and isinstance(arguments[0], str):
            path = abspath(arguments[0])
            folder = dirname(path)
            folder = dirname(folder) if basename(folder) == "__pycache__" else folder
            if basename(path).startswith("__init__.") and basename(folder) in frameworks:
                refuse(f"imports {basename(folder)}; the exercise is to write it with NumPy")
            if path.startswith(within) and path != shown:
                refuse("reads minicnn's own files; the exercise is to write it with NumPy")
        elif event in programs:
            refuse(f"starts another program, {needed}")
        elif event in kills:
            refuse(f"sends signals to processes, {needed}")

    return hook


def called(request: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to one request."""
    values = request["values"]
    arguments, former = values["arguments"], _copied(values["arguments"])
    random.seed(request["seed"])
    np.random.seed(request["seed"])  # noqa: NPY002 - students use the global generator
    stage, calls, dout = "forward", 0, None
    try:
        with errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = names[request["function"]](*arguments)
            if request["call"] == "backward":
                if not isinstance(result, (tuple, list)) or len(result) != 2:
                    return {"no_cache": True}
                stage, dout, former = "backward", values["dout"], _copied(arguments)
                sent = dout.copy()
                watch = _Calls(names[request["function"]]) if request["watched"] else None
                sys.setprofile(watch)
                try:
                    result = names[request["backward"]](dout, result[1])
                finally:
                    sys.setprofile(None)
                calls = watch.count if watch else 0
    except BaseException as error:
        return {"error": _described(error, stage)}
    found = {"result": result}
    for i, (argument, before) in enumerate(zip(arguments, former)):
        if not same(argument, before):
            found[f"changed {i}"] = argument
    if dout is not None and not same(dout, sent):
        found["changed dout"] = dout
    return {"values": found, "calls": calls}


@contextmanager
def _quiet() -> Iterator[None]:
    with errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Halves:
    """The two halves of a pair, called one after the other: forward's arguments and cache stay here for backward.

    Random generators are put back before every forward pass, so that it draws the same numbers at other values.
    """

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        self.arguments: list[Any] = []
        self.cache: Any = None
        self.generators = _generators()
        self.start = _states(self.generators)

    def called(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to one request."""
        does = {"parameters": self.parameters, "inputs": self.inputs, "first": self.first, "second": self.second}
        try:
            with _quiet():
                return does[request["call"]](request)
        except BaseException as error:
            return {"error": _described(error, request["call"])}

    def parameters(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer with name, kind, and whether there is a default, of every parameter."""
        found: dict[str, Any] = {}
        for name in request["functions"]:
            try:
                listed = inspect.signature(self.names[name]).parameters.values()
                found[name] = [[p.name, int(p.kind), p.default is not p.empty] for p in listed]
            except (TypeError, ValueError):
                found[name] = None
        return {"parameters": found}

    def inputs(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer with inputs from a function of a generator."""
        return {"values": {"result": self.names[request["function"]](np.random.default_rng(request["seed"]))}}

    def first(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer with what forward returned, of the cache only what may be an output."""
        _put_back(self.generators, self.start)
        self.arguments = request["values"]["arguments"]
        before = _copied(self.arguments)
        result = self.names[request["function"]](*self.arguments)
        two = isinstance(result, (tuple, list)) and len(result) == 2
        found = {"out": result[0] if two else result}
        self.cache = result[1] if two else None
        if two and request["both"] and isinstance(self.cache, ndarray) and self.cache.dtype.kind in "fiub":
            found["other"] = self.cache
        moved = request["watched"] and not same(self.start, _states(self.generators))
        return {"values": {**found, **_changed(before, self.arguments)}, "two": two, "moved": moved}

    def second(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer with the gradients that backward returned."""
        douts = request["values"]["douts"]
        sent, before = _copied(douts), _copied(self.arguments)
        states = _states(self.generators) if request["watched"] else []
        rest = {"cache": [self.cache], "arguments": self.arguments, "nothing": []}[request["with"]]
        result = self.names[request["function"]](*douts, *rest)
        result = list(result) if isinstance(result, Iterator) else result
        found = {"result": result, **_changed(before, self.arguments)}
        if not same(sent, douts):
            found["douts"] = douts
        return {"values": found, "moved": request["watched"] and not same(states, _states(self.generators))}


def _changed(before: list[Any], after: list[Any]) -> dict[str, Any]:
    return {f"changed {i}": now for i, (former, now) in enumerate(zip(before, after)) if not same(now, former)}


def _generators() -> list[Any]:
    """Return every random generator of this process."""
    kinds = (np.random.Generator, np.random.RandomState, random.Random)
    return [g for g in gc.get_objects() if issubclass(type(g), kinds) and not issubclass(type(g), random.SystemRandom)]


def _states(generators: list[Any]) -> list[Any]:
    return [
        g.getstate() if isinstance(g, random.Random)
        else g.bit_generator.state if isinstance(g, np.random.Generator)
        else g.get_state(legacy=False)
        for g in generators
    ]  # fmt: skip


def _put_back(generators: list[Any], states: list[Any]) -> None:
    for generator, state in zip(generators, states):
        if isinstance(generator, random.Random):
            generator.setstate(state)
        elif isinstance(generator, np.random.Generator):
            generator.bit_generator.state = state
        else:
            generator.set_state(state)


class _Calls:
    """Counts the calls of one function, as a profiler."""

    def __init__(self, function: Any) -> None:
        self.code, self.count = getattr(function, "__code__", None), 0

    def __call__(self, frame_: types.FrameType, event: str, _: Any) -> None:
        if event == "call" and frame_.f_code is self.code:
            self.count += 1


def _copied(value: Any) -> Any:
    if type(value) in (list, tuple):
        return type(value)(_copied(v) for v in value)
    if isinstance(value, dict):
        return {k: _copied(v) for k, v in value.items()}
    return value.copy() if isinstance(value, ndarray) else value


def same(one: Any, other: Any) -> bool:
    """Return whether two values are equal to the last bit."""
    if isinstance(one, ndarray) and isinstance(other, ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(v, other[k]) for k, v in one.items())
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, (ndarray, generic)) or isinstance(other, (ndarray, generic)):
        return type(one) is type(other) and asarray(one).tobytes() == asarray(other).tobytes()
    return type(one) is type(other) and (one == other or one != one)


def _described(error: BaseException, stage: str) -> dict[str, Any]:
    """Return what there is to say about an error: kind, text, and the last line of the student's own it came from."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if "site-packages" not in code.co_filename and not code.co_filename.startswith("<"):
            place = f"{os.path.basename(code.co_filename)}, line {trace.tb_lineno}"
        trace = trace.tb_next
    try:
        text = str(error)[:500]
    except BaseException:
        text = ""
    return {
        "type": type(error).__name__[:100], "text": text, "place": "" if "student_process" in place else place,
        "memory": isinstance(error, MemoryError), "unwritten": isinstance(error, NotImplementedError),
        "left": isinstance(error, (SystemExit, KeyboardInterrupt)), "stage": stage,
    }  # fmt: skip


if __name__ == "__main__":
    main()

"""Files written by hand to do harm: pickles that would run code, nest without end or grow, and archives that claim."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile

import numpy as np

MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
VERSION = b"\x80\x02M\xe9\x03."
SYSTEM = b"\x80\x02}q\x00(X\x0d\x00\x00\x00little_endianq\x01\x88u."


def legacy(program: bytes, keys: bytes = b"\x80\x02]q\x00.", numbers: bytes = b"") -> bytes:
    """A legacy file of torch.save around a pickle; storages have a sixth element there, no view."""
    program = program.replace(b"tQ", b"NtQ")
    return MAGIC + VERSION + SYSTEM + program + keys + numbers


def archive(program: bytes, **entries: bytes) -> bytes:
    """A zip archive of torch.save around a pickle."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("archive/data.pkl", program)
        for name, content in entries.items():
            file.writestr(f"archive/data/{name.removeprefix('_')}", content)
    return stream.getvalue()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def named(name: str) -> bytes:
    module, _, attribute = name.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def storage(kind: str = "torch.FloatStorage", key: str = "0", count: int = 4) -> bytes:
    """A reference to a storage, as the zip format has it."""
    return b"(" + text("storage") + named(kind) + text(key) + text("cpu") + number(count) + b"tQ"


def tensor(storage: bytes, offset: int = 0, size: tuple[int, ...] = (4,), stride: tuple[int, ...] = (1,)) -> bytes:
    """A call of _rebuild_tensor_v2."""
    shape, steps = (b"(" + b"".join(map(number, numbers)) + b"t" for numbers in (size, stride))
    arguments = b"(" + storage + number(offset) + shape + steps + b"\x89" + named("collections.OrderedDict") + b")Rt"
    return named("torch._utils._rebuild_tensor_v2") + arguments + b"R"


COMMAND = text("echo executed > executed")
BIN = b"\x80\x02"

# What a pickle may do, and what the refusal says of it.
PROGRAMS: dict[str, tuple[bytes, str]] = {
    **{
        f"GLOBAL {name}": (BIN + named(name) + b"(" + COMMAND + b"tR.", f"asks for {name}, which is neither")
        for name in (
            "os.system", "posix.system", "nt.system", "os.popen", "subprocess.Popen", "subprocess.check_output",
            "builtins.eval", "builtins.exec", "builtins.compile", "builtins.open", "builtins.__import__",
            "builtins.getattr", "__builtin__.eval", "__builtin__.apply", "importlib.import_module", "runpy.run_path",
            "pickle.loads", "marshal.loads", "types.CodeType", "types.FunctionType", "operator.attrgetter",
            "operator.methodcaller", "functools.partial", "functools.reduce", "code.interact", "pty.spawn",
            "shutil.rmtree", "socket.socket", "ctypes.CDLL", "webbrowser.open", "torch.load", "torch.hub.load",
            "torch.jit.load", "torch.storage._load_from_bytes", "torch._utils._rebuild_sparse_tensor",
            "torch.serialization.load", "numpy.load", "numpy.core.multiarray._reconstruct", "copyreg._reconstructor",
            "minicnn.load", "minicnn.weights.pickled.unpickle", "collections.defaultdict", "asyncio.run",
        )
    },
    "STACK_GLOBAL": (BIN + text("os") + text("system") + b"\x93(" + COMMAND + b"tR.", "asks for os.system, which"),
    "STACK_GLOBAL of numbers": (BIN + number(1) + number(2) + b"\x93.", "asks for a global whose name is no text"),
    "a global within a name": (BIN + named("collections.OrderedDict.fromkeys") + b".", "OrderedDict.fromkeys, which"),
    "INST": (b"(" + COMMAND + b"ios\nsystem\n.", "holds the instruction INST"),
    "OBJ": (BIN + b"(" + named("collections.OrderedDict") + b"o.", "holds the instruction OBJ"),
    "NEWOBJ": (BIN + named("collections.OrderedDict") + b")\x81.", "holds the instruction NEWOBJ"),
    "NEWOBJ_EX": (b"\x80\x04" + named("collections.OrderedDict") + b")}\x92.", "holds the instruction NEWOBJ_EX"),
    "EXT1": (BIN + b"\x82\x01.", "holds the instruction EXT1"),
    "EXT2": (BIN + b"\x83\x01\x00.", "holds the instruction EXT2"),
    "EXT4": (BIN + b"\x84\x01\x00\x00\x00.", "holds the instruction EXT4"),
    "EMPTY_SET": (b"\x80\x04\x8f.", "holds the instruction EMPTY_SET"),
    "FROZENSET": (b"\x80\x04(\x91.", "holds the instruction FROZENSET"),
    "BYTEARRAY8": (b"\x80\x05\x96" + struct.pack("<Q", 1) + b"x.", "holds the instruction BYTEARRAY8"),
    "NEXT_BUFFER": (b"\x80\x05\x97.", "holds the instruction NEXT_BUFFER"),
    "READONLY_BUFFER": (b"\x80\x05N\x98.", "holds the instruction READONLY_BUFFER"),
    "PERSID": (b"Pstorage\n.", "the pickle refers to something that is no storage"),
    "BINPERSID": (BIN + text("storage") + b"Q.", "the pickle refers to something that is no storage"),
    "BUILD of a list": (BIN + b"]}b.", "the pickle changes list, needs an OrderedDict"),
    "BUILD of a class": (BIN + named("collections.OrderedDict") + b"}b.", "the pickle changes Named, needs an"),
    "REDUCE of a number": (BIN + number(1) + b")R.", "the pickle calls what is no function"),
    "REDUCE of a type": (BIN + named("torch.FloatStorage") + b")R.", "the pickle calls what is no function"),
    "REDUCE with a list": (BIN + named("collections.OrderedDict") + b"]R.", "the pickle calls what is no function"),
    "wrong arguments": (BIN + named("torch.Size") + b"(" + 9 * b"N" + b"tR.", "the pickle is damaged: TypeError"),
    "a function as a value": (BIN + named("collections.OrderedDict") + b".", "holds collections.OrderedDict itself as"),
    "an unknown instruction": (BIN + b"\xfe.", "the pickle is damaged: ValueError"),
    "an empty stack": (BIN + b"a.", "takes from an empty stack"),
    "nothing": (BIN + b".", "ends with 0 values, needs 1"),
    "two values": (BIN + b"NN.", "ends with 2 values, needs 1"),
    "an open mark": (BIN + b"(N.", "takes from an empty stack|ends with"),
    "no mark": (BIN + b"Nt.", "refers to a mark that it has not set"),
    "an unset memo": (BIN + b"h\x07.", "the pickle is damaged: KeyError"),
    "a key that is a tensor": (BIN + b"}(" + b")" + b"Nu.", "has a key of type tuple"),
    "a key without value": (BIN + b"}(Nu.", "gives a key without a value"),
    "a list that holds itself": (BIN + b"]q\x00h\x00a" + b"0.", "ends with 0 values"),
    "a text that claims 2^31": (BIN + b"X" + struct.pack("<I", 2**31 - 1) + b"x.", "the pickle is damaged: ValueError"),
    "a text that claims 2^63": (b"\x80\x04\x8d" + struct.pack("<Q", 2**63 - 1) + b"x.", "the pickle is damaged"),
    "bytes that claim 2^63": (b"\x80\x04\x8e" + struct.pack("<Q", 2**63 - 1) + b"x.", "the pickle is damaged"),
    "a number of 2^31 bytes": (BIN + b"\x8b" + struct.pack("<i", 2**31 - 1) + b"x.", "the pickle is damaged"),
    "a number of 10^5 digits": (b"I" + 100_000 * b"9" + b"\n.", "the pickle is damaged: ValueError"),
    "a storage that is not there": (BIN + tensor(storage(key="9")) + b".", "no entry .*9|list of its storages"),
    "a storage outside": (BIN + tensor(storage(key="../passwd")) + b".", "no entry .*passwd|list of its storages"),
    "2^31 elements": (BIN + tensor(storage(count=2**31 - 1)) + b".", "2147483647|8589934588"),
    "-1 elements": (BIN + tensor(storage(count=-1)) + b".", "'0' has -1 elements"),
    "a view that goes beyond": (BIN + tensor(storage(), 1) + b".", "at 1 does not lie in its storage of 4 elements"),
    "a view that begins before": (BIN + tensor(storage(), -1) + b".", "is no whole number from 0 on"),
    "a view of 2^62": (BIN + tensor(storage(), 0, (2**31 - 1, 2**31 - 1), (0, 0)) + b".", "claim more|several"),
    "strides backwards": (BIN + tensor(storage(), 3, (4,), (-1,)) + b".", "is no whole number from 0 on"),
    "65 axes": (BIN + tensor(storage(), 0, (1,) * 65, (1,) * 65) + b".", "size and stride do not fit together"),
    "size without stride": (BIN + tensor(storage(), 0, (4,), ()) + b".", "size and stride do not fit together"),
    "an empty view of 2^62": (BIN + tensor(storage(), 0, (0, 2**31 - 1, 2**31 - 1, 8), (1,) * 4) + b".", ""),
    "a number of another type": (BIN + tensor(number(3)) + b".", "a tensor is made of int, needs a storage"),
    "a parameter of a number": (
        BIN + named("torch._utils._rebuild_parameter") + b"(" + number(3) + b"\x89Nt" + b"R.",
        "a parameter is made of int, needs a tensor",
    ),
    "an OrderedDict of a text": (
        BIN + named("collections.OrderedDict") + b"(" + text("x") + b"tR.", "an OrderedDict is made of str, needs"
    ),
    "a call through a tensor with attributes": (
        BIN + named("torch._tensor._rebuild_from_type_v2") + b"(" + named("collections.OrderedDict")
        + named("torch.Tensor") + b")}tR.", "made by what makes no tensors",
    ),
}  # fmt: skip


def doubled(levels: int = 64) -> bytes:
    """A tuple that holds the one before twice, 64 times: 2^64 elements if anybody looked at each."""
    program = b"N\x85q\x00"
    for level in range(1, levels):
        program += b"h" + bytes([level - 1]) + b"h" + bytes([level - 1]) + b"\x86q" + bytes([level])
    return program


# These may load or not; what matters is that they end, and with how much memory.
BOMBS: dict[str, bytes] = {
    "doubled tuples": BIN + doubled() + b"." + b"",
    "doubled tuples as a count": BIN + tensor(
        b"(" + text("storage") + named("torch.FloatStorage") + text("0") + text("cpu") + doubled() + b"tQ"
    ) + b".",
    "doubled tuples as a key": BIN + tensor(
        b"(" + text("storage") + named("torch.FloatStorage") + doubled() + text("cpu") + number(4) + b"tQ"
    ) + b".",
    "doubled tuples as a size": BIN + named("torch._utils._rebuild_tensor_v2") + b"(" + storage() + number(0)
    + doubled() + doubled() + b"\x89NtR.",
    "doubled tuples as a name": BIN + doubled() + doubled() + b"\x93.",
    "doubled tuples in a dict": BIN + b"}" + text("a") + doubled() + b"s.",
    "nested tuples": BIN + b"N" + 20_000 * b"\x85" + b".",
    "nested lists": BIN + 30_000 * b"](" + 30_000 * b"e" + b".",
    "nested dicts": BIN + 20_000 * b"}K\x01" + b"N" + 20_000 * b"s" + b".",
    "nested marks": BIN + 20_000 * b"(" + b".",
    "many tuples": BIN + b"(" + 20_000 * b")" + b"t.",
    "many dicts": BIN + b"(" + 20_000 * b"}" + b"t.",
    "many texts": BIN + b"(" + 30_000 * b"X\x00\x00\x00\x00" + b"t.",
    "many recalled texts": BIN + b"X\x04\x00\x00\x00textq\x00(" + 20_000 * b"h\x00" + b"t.",
    "many empty names": BIN + b"(" + 20_000 * named("torch.float32") + b"t.",
    "many memos": BIN + b"N" + b"".join(b"r" + struct.pack("<I", 2**32 - 1 - i) for i in range(20_000)) + b".",
    "many views": BIN + named("torch._utils._rebuild_tensor_v2") + b"q\x00(" + storage() + number(0)
    + b"K\x04\x85K\x01\x85\x89Nt" + b"q\x0100(" + 20_000 * b"h\x00h\x01R" + b"t.",
    "many expanded views": BIN + named("torch._utils._rebuild_tensor_v2") + b"q\x00(" + storage() + number(0)
    + b"J\xff\xff\x00\x00\x85K\x00\x85\x89Nt" + b"q\x0100(" + 10_000 * b"h\x00h\x01R" + b"t.",
    "one memo of everything": BIN + b"(" + 1000 * b"h\x00" + b"t.",
    "frames": b"\x80\x04" + 20_000 * (b"\x95" + struct.pack("<Q", 2**63 - 1)) + b"N.",
    "protocols": 30_000 * b"\x80\xff" + b"N.",
    "doubled lists": BIN + b"]q\x00" + 200 * (b"](" + 500 * b"h\x00" + b"eq\x00") + b"0h\x00.",
}  # fmt: skip


def overlapping_entries() -> bytes:
    """A zip archive whose directory names one entry's bytes a thousand times."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("archive/data.pkl", BIN + tensor(storage()) + b".")
        file.writestr("archive/data/0", bytes(100_000))
    data = stream.getvalue()
    end = data.index(b"PK\x05\x06")
    start = data.index(b"PK\x01\x02")
    entries = data[start:end]
    many = entries + 1000 * entries[entries.index(b"PK\x01\x02", 4) :]
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1002, 1002, len(many), start, 0)
    return data[:start] + many + tail


def zip_with(method: int, size: int) -> bytes:
    """A zip archive of torch.save whose storage of zeros is compressed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        file.writestr("archive/data.pkl", BIN + tensor(storage(count=size // 4)) + b".")
        file.writestr("archive/data/0", bytes(size))
    return stream.getvalue()


def many_entries() -> bytes:
    """A zip archive of 5,000 empty entries."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for i in range(5_000):
            file.writestr(str(i), b"")
    return stream.getvalue()


def npy(descr: str, shape: str, numbers: bytes = b"") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + numbers


def npz(content: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as file:
        file.writestr("x.npy", content)
    return stream.getvalue()


def safetensors(header: object, numbers: bytes = b"") -> bytes:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(content)) + content + numbers


def compressed_npz() -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, x=np.zeros(10**6))
    return stream.getvalue()


ENTRY = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


def files() -> dict[str, tuple[str, bytes]]:
    """Return by name the format of a file, torch, npz or safetensors, and the file."""
    found: dict[str, tuple[str, bytes]] = {}
    programs = {**{name: program for name, (program, _) in PROGRAMS.items()}, **BOMBS}
    for name, program in programs.items():
        found[f"{name}, zip"] = "torch", archive(program, _0=bytes(16))
        found[f"{name}, legacy"] = "torch", legacy(program)
    found["doubled tuples as keys"] = "torch", legacy(BIN + b"N.", BIN + b"(" + doubled() + b"l.")
    found["doubled tuples as magic number"] = "torch", BIN + doubled() + b"."
    found["doubled tuples as version"] = "torch", MAGIC + BIN + doubled() + b"." + SYSTEM
    found["a version of many digits"] = "torch", MAGIC + pickle.dumps(10**6000, 2) + SYSTEM
    found["overlapping entries"] = "torch", overlapping_entries()
    found["a zip bomb"] = "torch", zip_with(zipfile.ZIP_DEFLATED, 10**8)
    found["a zip bomb, bzip2"] = "torch", zip_with(zipfile.ZIP_BZIP2, 10**7)
    found["a zip bomb, lzma"] = "torch", zip_with(zipfile.ZIP_LZMA, 10**7)
    found["many entries"] = "torch", many_entries()
    found["a zip bomb, npz"] = "npz", compressed_npz()
    found["many entries, npz"] = "npz", many_entries()
    for descr, shape in (
        ("'<f4'", "(1000000000000,)"), ("'<f4'", "(9223372036854775807,)"), ("'<f4'", "(0, 9223372036854775807)"),
        ("'<f4'", "(" + 3000 * "1," + ")"), ("'|O'", "(1,)"), ("'|S1000000000'", "(0,)"), ("'<U1000000000'", "(0,)"),
        ("'|V2147483647'", "(0,)"), (4000 * "[" + 4000 * "]", "()"), (2000 * "-" + "1", "()"), ("9**9**9", "()"),
        ("'<f4'", "(True,)"), ("'<f4'", "(1.0,)"), ("print", "()"), ("'<f4,'", "()"), ("'<M8[ns]'", "()"),
    ):  # fmt: skip
        found[f"{descr[:20]} of {shape[:30]}, npz"] = "npz", npz(npy(descr, shape, bytes(4)))
    for name, header in {
        "claims 2^60": {"x": {**ENTRY, "shape": [2**60], "data_offsets": [0, 2**62]}},
        "wraps around": {"x": {**ENTRY, "shape": [2**32, 2**32]}},
        "deep": b'{"__metadata__":' + 200_000 * b"[" + 200_000 * b"]" + b"}",
        "many axes": {"x": {**ENTRY, "shape": [1] * 50_000}},
        "many names": {f"x{i}": {**ENTRY, "shape": [0], "data_offsets": [4, 4]} for i in range(3000)} | {"y": ENTRY},
        "one name twice": b'{"x":' + json.dumps(ENTRY).encode() + b',"x":' + json.dumps(ENTRY).encode() + b"}",
        "a long name": {"x" * 10**6: {**ENTRY, "dtype": "F64"}},
        "a name of nulls": {"\0": ENTRY},
    }.items():
        found[f"{name}, safetensors"] = "safetensors", safetensors(header, bytes(4))
    return found

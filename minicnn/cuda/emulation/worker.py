"""The helper process that runs kernels: one JSON request per line on stdin, one JSON answer per line on stdout.

It needs the standard library alone and starts in a few hundredths of a second. Arrays lie in memory that both
processes see, given as a file descriptor; requests name them by their offsets.
"""

import ctypes
import json
import mmap
import sys
from typing import Any

CHECK = 1  # `enum Mode` in runtime.cpp


def main() -> None:
    descriptor, size = int(sys.argv[1]), int(sys.argv[2])
    arena = mmap.mmap(descriptor, size)
    base = ctypes.addressof(ctypes.c_char.from_buffer(arena))
    libraries: dict[str, Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        path = request["library"]
        if path not in libraries:
            libraries[path] = ctypes.CDLL(path)
            libraries[path].emulation_launch.restype = ctypes.c_char_p
        print(json.dumps(launch(libraries[path], base, request)), flush=True)


def launch(library: Any, base: int, request: dict[str, Any]) -> dict[str, Any]:
    """Run one kernel; the answer is {"error": text or None, "pc": where in the library, "counts": numbers}."""
    kept = []
    for kind, value in request["arguments"]:
        data = (base + value).to_bytes(8, "little") if kind == "array" else bytes.fromhex(value)
        kept.append(ctypes.create_string_buffer(data, len(data)))
    pointers = (ctypes.c_void_p * len(kept))(*(ctypes.addressof(b) for b in kept))
    if request["mode"] == CHECK:
        for offset, nbytes, name, initialised in request["regions"]:
            library.emulation_add_array(
                ctypes.c_void_p(base + offset), ctypes.c_size_t(nbytes), name.encode(), int(initialised)
            )
    pc = ctypes.c_size_t()
    three = ctypes.c_uint * 3
    error = library.emulation_launch(
        getattr(library, f"emulation_call_{request['symbol']}"), pointers, three(*request["grid"]),
        three(*request["block"]), ctypes.c_size_t(request["shared"]), ctypes.c_size_t(request["shared_max"]),
        request["order"], request["mode"], ctypes.c_double(request["seconds"]),
        *(ctypes.c_uint64(b) for b in request["blocks"]), ctypes.byref(pc),
    )  # fmt: skip
    numbers = (ctypes.c_uint64 * 24)()
    library.emulation_counts(numbers)
    return {"error": error.decode() if error else None, "pc": pc.value, "counts": list(numbers)}


if __name__ == "__main__":
    main()

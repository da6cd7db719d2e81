"""How a kernel is written and run: `@kernel`, `@part`, and the threads that share the work.

    @kernel
    def add_kernel(first, end, x, y, out):     # the body: pieces first ... end−1
        for i in range(first, end):
            out[i] = x[i] + y[i]

    add_kernel(len(x), x, y, out)              # the call: how many pieces there are, then the arguments

The pieces are cut into one *share* per thread, [s·pieces/shares, (s+1)·pieces/shares), always the same way.
So results are the same from run to run, and a body that writes each element from one piece gives the same
for any number of threads. A body that needs its own scratch memory takes `pieces = shares` and works on
scratch number `first`. Arguments are arrays (C-contiguous, best `flat(x)`: then there is one signature) and
numbers; a body must neither raise nor return. `@part` marks a function that bodies call. Nothing in a body is
checked: an index out of range writes somewhere else.

The threads are a pool of our own, for each of Numba's layers fails somewhere: GNU OpenMP ends a child made by
`fork`, `workqueue` aborts when two Python threads call at once. A worker is a Python thread inside compiled
code without the GIL. It waits for its share to be *open*, takes it with a compare-and-swap, runs it, marks it
*idle*. The caller opens the shares, runs the first, and then takes every other one that no worker has begun.
So it waits only for work that is under way: a sleeping worker, a fork's child (which has no workers until its
first call makes new ones), or a second Python thread while the pool is busy cost time, never a hang.

What limits it (2 cores of a Zen 4 virtual machine): a call costs about 3 µs, most of it unpacking arguments;
a worker that is awake answers in under 1 µs. One that sleeps is woken by the operating system, often on the
caller's own core, and is useless for up to 3 ms. So workers look for work for some milliseconds (giving the
core to anyone who wants it) before they go to sleep, as OpenMP's do.
NumPy's OpenBLAS has such threads as well, and they take the cores from ours: the first kernel sets them to
one (measured in a training step: 160 against 94 ms). Large products belong into `minicnn.cpu.matmul`.
"""

from __future__ import annotations

import inspect
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import threadpoolctl
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.compiler import Flags
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import intrinsic

from . import settings
from .allocator import keep_memory
from .cache import KernelCache

Array = Any
I64 = ir.IntType(64)

IDLE, OPEN, TAKEN = 0, 1, 2
LINE = 16  # int64 numbers from one share's state to the next: two cache lines, which processors fetch together
JOB = 8  # where the job stands in line 0: body's address, its arguments' address, pieces, shares
LOOKS = 5000  # how often a worker looks for work before it goes to sleep, a few milliseconds


def kept(function: Callable[..., Any], name: str) -> Any:
    """Compile a function that Python calls; its machine code is kept in the cache under this name."""
    compiled = numba.njit(nogil=True, error_model="numpy")(function)
    compiled._cache = KernelCache(name)
    return compiled


def _subroutine(context: Any, builder: Any, function: Callable[..., None], signature: Any) -> Any:
    """Compile a body or part into the code that calls it, with no way in from Python: half the time of `njit`.

    Bodies count no references to their arrays: the caller holds them. Numba's counting is atomic, so two threads in
    an inner loop pull the counter's cache line from each other (the transform of Winograd's filters took three times
    as long on two threads as on one).
    """
    flags = Flags()
    flags.error_model, flags.nrt = "numpy", False
    return context.subtarget(enable_nrt=False).compile_subroutine(builder, function, signature, flags=flags).fndesc


def part(function: Callable[..., None]) -> Any:
    """Mark a function without result that kernels call."""

    def typing(typingctx: Any, *args: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            called = _subroutine(context, builder, function, signature)
            context.call_internal_no_propagate(builder, called, signature, values)
            return context.get_dummy_value()

        return types.void(*[types.int64 if isinstance(a, types.Integer) else a for a in args]), codegen

    typing.__name__, typing.__doc__ = function.__name__, function.__doc__
    own = inspect.signature(function)
    context = inspect.Parameter("typingctx", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    typing.__signature__ = own.replace(parameters=[context, *own.parameters.values()])  # type: ignore[attr-defined]  # read by Numba
    return intrinsic(typing)


def record(fields: type[tuple[int, ...]]) -> Any:
    """Make `read(array, i)` for bodies: a NamedTuple of the int64 numbers array[i], array[i + 1], …

    A NamedTuple as an argument costs up to 1.5 µs a call.
    """
    count = len(fields._fields)  # type: ignore[attr-defined]  # every NamedTuple has them

    @intrinsic
    def read(typingctx: Any, array: Any, i: Any) -> Any:
        kind = types.NamedUniTuple(types.int64, count, fields)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            data = context.make_array(signature.args[0])(context, builder, args[0]).data
            numbers = [builder.load(builder.gep(data, [builder.add(args[1], I64(n))])) for n in range(count)]
            return context.make_tuple(builder, kind, numbers)

        return kind(array, types.int64), codegen

    return read


# In compiled code: the shares


def _emit_share(context: Any, builder: Any, function: Any, args_type: Any) -> Any:
    """Add `void share(s, state)`: run share s of the job that is written in line 0."""
    signature = types.void(types.int64, types.int64, *args_type.types)
    body = _subroutine(context, builder, function, signature)
    module = builder.module
    name = f"{body.mangled_name}.share"
    share = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64, I64.as_pointer()]), name)
    share.linkage = "internal"
    bld = ir.IRBuilder(share.append_basic_block("entry"))
    s, state = share.args
    _, args, pieces, shares = (bld.load(_at(bld, state, JOB + i)) for i in range(4))
    args = bld.load(bld.inttoptr(args, context.get_value_type(args_type).as_pointer()))
    first = bld.sdiv(bld.mul(s, pieces), shares)
    end = bld.sdiv(bld.mul(bld.add(s, I64(1)), pieces), shares)
    values = [bld.extract_value(args, i) for i in range(len(args_type.types))]
    context.call_internal_no_propagate(bld, body, signature, [first, end, *values])
    bld.ret_void()
    return share


def _at(builder: Any, pointer: Any, index: Any) -> Any:
    return builder.gep(pointer, [I64(index) if isinstance(index, int) else index])


def _take(builder: Any, state: Any) -> Any:
    """Emit OPEN → TAKEN; true for the one thread that did it."""
    return builder.extract_value(builder.cmpxchg(state, I64(OPEN), I64(TAKEN), "acquire", "acquire"), 1)


def _emit_pause(builder: Any, module: Any, give_way: bool) -> None:
    names = {"x86": "llvm.x86.sse2.pause"} if numba.config.MACHINE_BITS == 64 and settings.is_x86() else {}
    for name in [*names.values()] * 8 + (["sched_yield"] if give_way and sys.platform != "win32" else []):
        kind = ir.FunctionType(ir.IntType(32) if name == "sched_yield" else ir.VoidType(), [])
        builder.call(cgutils.get_or_insert_function(module, kind, name), [])


def _run_shares(function: Callable[..., None]) -> Any:
    """Make `run(state, pieces, shares, alone, args)`, which does a whole job, for one body."""

    @intrinsic
    def run(typingctx: Any, state: Any, pieces: Any, shares: Any, alone: Any, args: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            _emit_run(context, builder, function, signature, values)
            return context.get_dummy_value()

        return types.void(state, types.int64, types.int64, types.int64, args), codegen

    return run


def _emit_run(context: Any, builder: Any, function: Callable[..., None], signature: Any, values: Any) -> None:
    """Open the shares 1 ..., run share 0, then those that nobody has begun; wait for the others."""
    state_array, pieces, shares, alone, args = values
    share = _emit_share(context, builder, function, signature.args[4])
    state = context.make_array(signature.args[0])(context, builder, state_array).data
    kept_args = cgutils.alloca_once_value(builder, args)
    job = (builder.ptrtoint(share, I64), builder.ptrtoint(kept_args, I64), pieces, shares)
    for i, value in enumerate(job):
        builder.store(value, _at(builder, state, JOB + i))
    together = builder.icmp_signed("==", alone, I64(0))
    with builder.if_then(together), cgutils.for_range(builder, shares, start=I64(1)) as loop:
        builder.store_atomic(I64(OPEN), _at(builder, state, builder.mul(loop.index, I64(LINE))), "release", 8)
    builder.call(share, [I64(0), state])
    with cgutils.for_range(builder, shares, start=I64(1)) as loop, builder.if_else(together) as (shared, lonely):
        with shared:
            mine = _at(builder, state, builder.mul(loop.index, I64(LINE)))
            with builder.if_else(_take(builder, mine)) as (got, begun):
                with got:
                    builder.call(share, [loop.index, state])
                    builder.store_atomic(I64(IDLE), mine, "release", 8)
                with begun:
                    look = builder.append_basic_block("look")
                    done = builder.append_basic_block("done")
                    builder.branch(look)
                    builder.position_at_end(look)
                    _emit_pause(builder, builder.module, give_way=False)
                    now = builder.load_atomic(mine, "acquire", 8)
                    builder.cbranch(builder.icmp_signed("==", now, I64(IDLE)), done, look)
                    builder.position_at_end(done)
        with lonely:
            builder.call(share, [loop.index, state])


@intrinsic
def _serve_once(typingctx: Any, state: Any, s: Any) -> Any:
    """Run share s if it is open, and say whether it was; else let time pass."""

    def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        state = context.make_array(signature.args[0])(context, builder, values[0]).data
        mine = _at(builder, state, builder.mul(values[1], I64(LINE)))
        served = cgutils.alloca_once_value(builder, ir.Constant(ir.IntType(1), 0))
        seen = builder.load_atomic(mine, "acquire", 8)  # a look costs nothing to others, a compare-and-swap does
        with builder.if_else(builder.icmp_signed("==", seen, I64(OPEN))) as (opened, nothing):
            with opened, builder.if_then(_take(builder, mine)):
                kind = ir.FunctionType(ir.VoidType(), [I64, I64.as_pointer()]).as_pointer()
                share = builder.inttoptr(builder.load(_at(builder, state, JOB)), kind)
                builder.call(share, [values[1], state])
                builder.store_atomic(I64(IDLE), mine, "release", 8)
                builder.store(ir.Constant(ir.IntType(1), 1), served)
            with nothing:
                _emit_pause(builder, builder.module, give_way=True)
        return builder.load(served)

    return types.boolean(state, types.int64), codegen


def _serve(state: Array, s: int, looks: int) -> None:
    idle = 0
    while idle < looks:
        idle = 0 if _serve_once(state, s) else idle + 1


serve = kept(_serve, "serve")


class Kernel:
    """A compiled body, called as `kernel(pieces, *arguments)`."""

    def __init__(self, function: Callable[..., None]) -> None:
        run = _run_shares(function)

        def launch(state: Array, pieces: int, shares: int, alone: int, *args: Any) -> None:
            run(state, pieces, shares, alone, args)

        self.__doc__, self.__name__ = function.__doc__, function.__name__
        self._launch = kept(launch, function.__module__.rpartition(".")[2] + "." + function.__name__)

    def __call__(self, pieces: int, *args: Any) -> None:
        if pieces <= 0:
            return
        shares = min(pieces, settings.threads())
        if shares > 1 and _pool.busy.acquire(blocking=False):
            pool = _pool
            try:
                self._launch(pool.ready(), pieces, shares, 0, *args)
            finally:
                pool.busy.release()
        else:
            self._launch(np.zeros(LINE, np.int64), pieces, shares, 1, *args)


def kernel(function: Callable[..., None]) -> Kernel:
    """Make a kernel of a body `function(first, end, *arguments)`."""
    return Kernel(function)


# In Python: the workers


class _Pool:
    def __init__(self) -> None:
        self.busy = threading.Lock()
        self.wake: list[threading.Lock] = []  # released: get up
        self.asleep: list[bool] = []
        self.state: Array = None

    def ready(self) -> Array:
        """Return the states of the shares, with all workers awake or being woken."""
        if self.state is None:
            self._start()
        for i, sleeping in enumerate(self.asleep):
            if sleeping:
                self.asleep[i] = False
                self.wake[i].release()
        return self.state

    def _start(self) -> None:
        workers = settings.threads() - 1
        room = np.zeros((workers + 2) * LINE, np.int64)
        start = (-room.ctypes.data // 8) % LINE  # a line must not be shared with other data
        self.state = room[start : start + (workers + 1) * LINE]
        self.asleep = [False] * workers
        self.wake = [threading.Lock() for _ in range(workers)]
        serve(self.state, 0, 1)  # compiled here, before several threads would ask for it
        for i in range(workers):
            self.wake[i].acquire()
            threading.Thread(target=self._work, args=(i,), name=f"minicnn-{i + 1}", daemon=True).start()

    def _work(self, i: int) -> None:
        while True:
            serve(self.state, i + 1, LOOKS)
            self.asleep[i] = True
            self.wake[i].acquire()


def _new_pool() -> None:
    global _pool
    _pool = _Pool()


def _after_fork() -> None:
    _new_pool()  # the old one's threads do not exist in the child
    global_compiler_lock.release()


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    # The compiler's lock, too, must not be copied while another thread holds it.
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=_after_fork,
    )

threadpoolctl.ThreadpoolController().select(internal_api="openblas").limit(limits=1)
keep_memory()


def flat(x: Array) -> Array:
    """Return a contiguous array as one axis, writable for Numba's sake (one signature) even if NumPy's is not."""
    if not x.flags.writeable:
        x = np.asarray(_Writable(x))
    return x.reshape(-1)


class _Writable:
    def __init__(self, x: Array) -> None:
        self.owner = x
        address = x.__array_interface__
        self.__array_interface__ = {**address, "data": (address["data"][0], False)}


_scratch: list[Array] = []


class scratch:
    """Borrow uninitialised memory for one call: `with scratch(n, dtype) as buffer:` gives n numbers.

    Buffers go back to a stack, so that their pages stay warm; two Python threads at once get two. They begin at a
    multiple of 64 bytes.
    """

    def __init__(self, n: int, dtype: Any) -> None:
        self._n, self._dtype = n, np.dtype(dtype)

    def __enter__(self) -> Array:
        size = self._n * self._dtype.itemsize
        try:
            self._buffer = _scratch.pop()
        except IndexError:
            self._buffer = np.empty(0, np.uint8)
        if self._buffer.size < size:
            room = np.empty(size + 64, np.uint8)
            start = -room.ctypes.data % 64
            self._buffer = room[start : start + size]
        return self._buffer[:size].view(self._dtype)

    def __exit__(self, *exception: object) -> None:
        _scratch.append(self._buffer)

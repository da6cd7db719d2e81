"""Vector registers as values in Numba code: `v = vload(x, i); vstore(y, i, 2.0 * v + w)`.

LLVM makes vectors of a plain loop only if it can prove that no two arrays overlap and no index is negative;
`out[i+a] = x[j+b]` runs at 3 GB/s because of that, `vcopy` five to ten times as fast. A register holds
`lanes(x)` numbers of the array's type. The width comes from `settings.vector()`.

    for i in range(0, n, lanes(x)):                     # whole vectors, the last one in part
        m = n - i
        vstore_part(y, i, vmax(vload_part(x, i, m), vfill(x, 0)), m)

Memory is never touched beyond `m` numbers: where the processor has masks (AVX-512, AVX2) a part costs as
much as a whole vector, elsewhere LLVM makes it a chain of branches. So kernels use whole vectors where they
fit and a part for the rest. `+ - *` take vectors and numbers; `*` and `+` may become one multiply-add.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from . import settings
from .threads import part

VECTOR_BYTES = {"avx512": 64, "avx2": 32, "neon": 16, "scalar": 0}[settings.vector()]
STREAMS = settings.is_x86() and settings.vector() in ("avx512", "avx2")  # `vstream` can go past the caches
I32, I64 = ir.IntType(32), ir.IntType(64)


def lanes_of(dtype: Any) -> int:
    """Return how many numbers of this type one register holds."""
    return max(1, VECTOR_BYTES // np.dtype(dtype).itemsize)


class Vec(types.Type):  # type: ignore[misc]  # Numba has no types
    """One register of float32 or float64."""

    def __init__(self, dtype: Any) -> None:
        self.dtype, self.lanes = dtype, max(1, VECTOR_BYTES * 8 // dtype.bitwidth)
        super().__init__(name=f"Vec({dtype})")


@register_model(Vec)
class _VecModel(models.PrimitiveModel):  # type: ignore[misc]  # Numba has no types
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        scalar = ir.FloatType() if fe_type.dtype.bitwidth == 32 else ir.DoubleType()
        super().__init__(dmm, fe_type, ir.VectorType(scalar, fe_type.lanes))


def splat(builder: Any, value: Any, lanes: int) -> Any:
    """Emit a vector with the same number in every lane."""
    kind = ir.VectorType(value.type, lanes)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, I32(0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(I32, lanes), [0] * lanes))


def _as_vector(context: Any, builder: Any, kind: Any, value: Any, vec: Any) -> Any:
    if isinstance(kind, Vec):
        return value
    return splat(builder, context.cast(builder, value, kind, vec.dtype), vec.lanes)


def _define(op: Any, emit: Callable[[Any, Any, Any], Any]) -> None:
    class Template(AbstractTemplate):  # type: ignore[misc]  # Numba has no types
        def generic(self, args: Any, kws: Any) -> Any:
            vectors = [a for a in args if isinstance(a, Vec)]
            if len(args) == 2 and vectors and all(isinstance(a, (Vec, types.Number)) for a in args):
                return signature(vectors[0], *args)
            return None

    infer_global(op)(Template)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        a, b = (_as_vector(context, builder, t, v, sig.return_type) for t, v in zip(sig.args, args))
        return emit(builder, a, b)

    for pair in ((Vec, Vec), (types.Number, Vec), (Vec, types.Number)):
        lower_builtin(op, *pair)(lower)


_define(operator.add, lambda builder, a, b: builder.fadd(a, b, flags=("contract",)))
_define(operator.sub, lambda builder, a, b: builder.fsub(a, b, flags=("contract",)))
_define(operator.mul, lambda builder, a, b: builder.fmul(a, b, flags=("contract",)))
_define(operator.truediv, lambda builder, a, b: builder.fdiv(a, b))


def _address(context: Any, builder: Any, kind: Any, array: Any, index: Any, vec: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), vec.as_pointer())


def lane_mask(builder: Any, n: Any, lanes: int) -> Any:
    """Emit true in the first n lanes."""
    numbers = ir.Constant(ir.VectorType(I64, lanes), list(range(lanes)))
    return builder.icmp_signed("<", numbers, splat(builder, n, lanes))


def masked_load(builder: Any, address: Any, align: int, mask: Any, vec: Any) -> Any:
    """Emit the load of the lanes under a mask; zeros in the others."""
    return _masked(builder, "load", vec, vec, [address, I32(align), mask, ir.Constant(vec, None)])


def masked_store(builder: Any, value: Any, address: Any, align: int, mask: Any) -> None:
    """Emit the store of the lanes under a mask."""
    _masked(builder, "store", value.type, ir.VoidType(), [value, address, I32(align), mask])


def _masked(builder: Any, name: str, vec: Any, result: Any, args: list[Any]) -> Any:
    kind = ir.FunctionType(result, [a.type for a in args])
    scalar = "f32" if isinstance(vec.element, ir.FloatType) else "f64"
    fn = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.{name}.v{vec.count}{scalar}.p0")
    return builder.call(fn, args)


@intrinsic
def lanes(typingctx: Any, array: Any) -> Any:
    """How many numbers of this array one register holds; a constant."""
    count = Vec(array.dtype).lanes
    return types.int64(array), lambda context, builder, sig, args: I64(count)


@intrinsic
def vload(typingctx: Any, array: Any, index: Any) -> Any:
    """array[index : index + lanes]"""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vec = context.get_value_type(sig.return_type)
        return builder.load(_address(context, builder, sig.args[0], *args, vec), align=sig.args[0].dtype.bitwidth // 8)

    return Vec(array.dtype)(array, types.int64), codegen


@intrinsic
def vload_part(typingctx: Any, array: Any, index: Any, n: Any) -> Any:
    """array[index : index + n], zeros in the lanes from n on"""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vec = context.get_value_type(sig.return_type)
        address = _address(context, builder, sig.args[0], *args[:2], vec)
        mask = lane_mask(builder, args[2], vec.count)
        return masked_load(builder, address, sig.args[0].dtype.bitwidth // 8, mask, vec)

    return Vec(array.dtype)(array, types.int64, types.int64), codegen


@intrinsic
def vstore(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """array[index : index + lanes] = value"""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = _address(context, builder, sig.args[0], *args[:2], args[2].type)
        builder.store(args[2], address, align=sig.args[0].dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, value), codegen


@intrinsic
def vstream(typingctx: Any, array: Any, index: Any, value: Any, past: Any) -> Any:
    """array[index : index + lanes] = value; if `past`, then past the caches, which costs no read of the old numbers.

    Past the caches, the address must be a multiple of 16 bytes and the body must end with `vdrain`. Numbers that stand
    side by side must follow each other soon, so that they leave the processor as whole cache lines.
    """

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = _address(context, builder, sig.args[0], *args[:2], args[2].type)
        with builder.if_else(cgutils.is_true(builder, args[3])) as (streamed, cached):
            with streamed:
                store = builder.store(args[2], address, align=16 if STREAMS else sig.args[0].dtype.bitwidth // 8)
                if STREAMS:
                    store.set_metadata("nontemporal", builder.module.add_metadata([I32(1)]))
            with cached:
                builder.store(args[2], address, align=sig.args[0].dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, value, types.boolean), codegen


@intrinsic
def vdrain(typingctx: Any) -> Any:
    """Let no later store overtake those of `vstream`: other threads, too, find the numbers."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        if STREAMS:
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse.sfence"), [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def vstore_part(typingctx: Any, array: Any, index: Any, value: Any, n: Any) -> Any:
    """array[index : index + n] = value's first n lanes"""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vec = args[2].type
        address = _address(context, builder, sig.args[0], *args[:2], vec)
        mask = lane_mask(builder, args[3], vec.count)
        masked_store(builder, args[2], address, sig.args[0].dtype.bitwidth // 8, mask)
        return context.get_dummy_value()

    return types.void(array, types.int64, value, types.int64), codegen


@intrinsic
def prefetch(typingctx: Any, array: Any, index: Any) -> Any:
    """Begin to fetch the cache line of array[index], which may lie outside the array."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vec = context.get_value_type(sig.args[0].dtype)
        address = builder.bitcast(_address(context, builder, sig.args[0], *args, vec), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [address.type, *[ir.IntType(32)] * 3])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(fetch, [address, *(ir.Constant(ir.IntType(32), n) for n in (0, 3, 1))])  # read, keep, data
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


@intrinsic
def vfill(typingctx: Any, array: Any, number: Any) -> Any:
    """`number` in every lane, in the array's type"""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return _as_vector(context, builder, sig.args[1], args[1], sig.return_type)

    return Vec(array.dtype)(array, number), codegen


@intrinsic
def vsum(typingctx: Any, v: Any) -> Any:
    """The sum of the lanes, from the first to the last."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        total = builder.extract_element(args[0], I32(0))
        for i in range(1, sig.args[0].lanes):
            total = builder.fadd(total, builder.extract_element(args[0], I32(i)))
        return total

    return v.dtype(v), codegen


@intrinsic
def vtranspose(typingctx: Any, array: Any, index: Any) -> Any:
    """Transpose the block of lanes × lanes numbers that starts at array[index], in place."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vec = context.get_value_type(Vec(sig.args[0].dtype))
        L, align = vec.count, sig.args[0].dtype.bitwidth // 8
        places = [builder.add(args[1], I64(i * L)) for i in range(L)]
        places = [_address(context, builder, sig.args[0], args[0], p, vec) for p in places]
        rows = [builder.load(p, align=align) for p in places]
        step = 1
        while step < L:  # exchange the off-diagonal halves of each 2·step × 2·step block
            pick = [[i if not i & step else L + i - step for i in range(L)]]
            pick.append([i + step if not i & step else L + i for i in range(L)])
            for i in range(L):
                if not i & step:
                    pair = rows[i], rows[i + step]
                    for half, lanes_picked in zip((i, i + step), pick):
                        mask = ir.Constant(ir.VectorType(I32, L), lanes_picked)
                        rows[half] = builder.shuffle_vector(*pair, mask)
            step *= 2
        for p, row in zip(places, rows):
            builder.store(row, p, align=align)
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


def _select(emit: Callable[..., Any], count: int) -> Any:
    """Make an intrinsic of `count` vectors that needs no branch."""

    def typing(typingctx: Any, *vectors: Any) -> Any:
        return vectors[0](*vectors), lambda context, builder, sig, args: emit(builder, *args)

    if count == 2:
        return intrinsic(lambda typingctx, a, b: typing(typingctx, a, b))
    return intrinsic(lambda typingctx, a, b, c: typing(typingctx, a, b, c))


def _zero(v: Any) -> Any:
    return ir.Constant(v.type, None)


# vmax(a, b): the larger; a NaN in `a` stays (a comparison with it is false)
vmax = _select(lambda builder, a, b: builder.select(builder.fcmp_ordered("<", a, b), b, a), 2)
# vmin(a, b): the smaller; a NaN in `a` stays
vmin = _select(lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), b, a), 2)
# vgate(v, gate): 0 where gate <= 0, else v (the gradient of ReLU; a NaN in `gate` lets v through)
vgate = _select(lambda builder, v, gate: builder.select(builder.fcmp_ordered("<=", gate, _zero(v)), _zero(v), v), 2)
# vmatch(v, a, b): v where a == b, else 0 (the gradient of a maximum)
vmatch = _select(lambda builder, v, a, b: builder.select(builder.fcmp_ordered("==", a, b), v, _zero(v)), 3)


@part
def vcopy(x, x0, out, out0, n):  # type: ignore[no-untyped-def]  # a body
    """out[out0 : out0 + n] = x[x0 : x0 + n]"""
    step = lanes(x)
    whole = n - n % step
    for i in range(0, whole, step):
        vstore(out, out0 + i, vload(x, x0 + i))
    if whole < n:
        vstore_part(out, out0 + whole, vload_part(x, x0 + whole, n - whole), n - whole)


@part
def vzero(out, out0, n):  # type: ignore[no-untyped-def]  # a body
    """out[out0 : out0 + n] = 0"""
    step = lanes(out)
    whole = n - n % step
    zero = vfill(out, 0)
    for i in range(0, whole, step):
        vstore(out, out0 + i, zero)
    if whole < n:
        vstore_part(out, out0 + whole, zero, n - whole)

"""What pooling, normalisation and sums need of registers beyond `vectors.py`.

`load` and `store` take how many channels are left, and go to memory for no more:

    for c in range(0, channels, lanes(x)):
        store(y, c, 2.0 * load(x, c, channels - c), channels - c)

`Wide` is a register of float64 beside a register of float32, for sums. A sum of a million float32 numbers
that is itself a float32 has lost three digits or more; the widening costs nothing where memory is the limit:

    total = wload(sums, c, x)                      # float64, as many as a register of x's type holds
    for row in range(rows):
        total = total + widen(vload(x, row * channels + c))
    vstore(sums, c, total)
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, register_model

from .vectors import I64, Vec, _address, _VecModel, lane_mask, masked_load, masked_store


@intrinsic
def load(typingctx: Any, array: Any, index: Any, n: Any) -> Any:
    """array[index : index + lanes], or only n numbers and then zeros"""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vec = context.get_value_type(sig.return_type)
        address = _address(context, builder, sig.args[0], *args[:2], vec)
        align = sig.args[0].dtype.bitwidth // 8
        with builder.if_else(builder.icmp_signed(">=", args[2], I64(vec.count))) as (whole, partly):
            with whole:
                all_lanes = builder.load(address, align=align)
                after_whole = builder.block
            with partly:
                some_lanes = masked_load(builder, address, align, lane_mask(builder, args[2], vec.count), vec)
                after_partly = builder.block
        value = builder.phi(vec)
        value.add_incoming(all_lanes, after_whole)
        value.add_incoming(some_lanes, after_partly)
        return value

    return Vec(array.dtype)(array, types.int64, types.int64), codegen


@intrinsic
def store(typingctx: Any, array: Any, index: Any, value: Any, n: Any) -> Any:
    """array[index : index + lanes] = value, or only the first n"""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vec = args[2].type
        address = _address(context, builder, sig.args[0], *args[:2], vec)
        align = sig.args[0].dtype.bitwidth // 8
        with builder.if_else(builder.icmp_signed(">=", args[3], I64(vec.count))) as (whole, partly):
            with whole:
                builder.store(args[2], address, align=align)
            with partly:
                masked_store(builder, args[2], address, align, lane_mask(builder, args[3], vec.count))
        return context.get_dummy_value()

    return types.void(array, types.int64, value, types.int64), codegen


@intrinsic
def vsqrt(typingctx: Any, v: Any) -> Any:
    """The square roots."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        vec = args[0].type
        name = f"llvm.sqrt.v{vec.count}f{sig.args[0].dtype.bitwidth}"
        return builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(vec, [vec]), name), args)

    return v(v), codegen


class Wide(Vec):
    """As many float64 numbers as one register holds of a narrower type."""

    def __init__(self, lanes: int) -> None:
        self.dtype, self.lanes = types.float64, lanes
        types.Type.__init__(self, name=f"Wide({lanes})")


register_model(Wide)(_VecModel)


@intrinsic
def widen(typingctx: Any, v: Any) -> Any:
    """The same numbers in float64."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        wide = context.get_value_type(sig.return_type)
        return args[0] if args[0].type == wide else builder.fpext(args[0], wide)

    return Wide(v.lanes)(v), codegen


@intrinsic
def wload(typingctx: Any, sums: Any, index: Any, like: Any) -> Any:
    """sums[index : index + lanes(like)], float64"""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        wide = context.get_value_type(sig.return_type)
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.load(builder.bitcast(builder.gep(data, [args[1]]), wide.as_pointer()), align=8)

    return Wide(Vec(like.dtype).lanes)(sums, types.int64, like), codegen

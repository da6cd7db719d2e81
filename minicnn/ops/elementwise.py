"""Elementwise operations: arithmetic, exp, log, sqrt, abs, maximum, minimum, clamp, where.

Operands broadcast as in NumPy; types meet as in PyTorch. An operand that is a Python number stays one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._device import on
from .._tensor import Tensor
from ..autograd import Function
from ..dtypes import promote, scalar_dtype
from ..errors import DTypeError, ShapeError
from . import arguments
from .arithmetic import ieee, unbroadcast
from .logic import floor_divide, truncate_divide

Array = Any
Needs = tuple[bool, ...]


# z = x + y:  dx = dz, dy = dz


def add_forward(x: Array, y: Array) -> tuple[Array, Any]:
    return x + y, (getattr(x, "shape", ()), getattr(y, "shape", ()))  # a number has no shape


def add_backward(dz: Array, cache: Any, needs: Needs = (True, True)) -> tuple[Array | None, Array | None]:
    x_shape, y_shape = cache
    return (
        unbroadcast(dz, x_shape) if needs[0] else None,
        unbroadcast(dz, y_shape) if needs[1] else None,
    )


class Add(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, y: Array) -> Array:
        z, ctx.shapes = on(ctx.device, add_forward)(x, y)
        return z

    @staticmethod
    def backward(ctx: Any, dz: Array) -> Any:
        return on(ctx.device, add_backward)(dz, ctx.shapes, ctx.needs_input_grad)


def add(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """Return the sum z = x + alpha · y; a residual block's shortcut is this."""
    x, y = arguments.operands("add", input, other)
    result: Tensor = Add.apply(x, _scaled("add", x, y, alpha))
    return result


# z = x − y:  dx = dz, dy = −dz


def sub_forward(x: Array, y: Array) -> tuple[Array, Any]:
    return x - y, (getattr(x, "shape", ()), getattr(y, "shape", ()))


def sub_backward(dz: Array, cache: Any, needs: Needs = (True, True)) -> tuple[Array | None, Array | None]:
    x_shape, y_shape = cache
    return (
        unbroadcast(dz, x_shape) if needs[0] else None,
        -unbroadcast(dz, y_shape) if needs[1] else None,
    )


class Sub(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, y: Array) -> Array:
        z, ctx.shapes = on(ctx.device, sub_forward)(x, y)
        return z

    @staticmethod
    def backward(ctx: Any, dz: Array) -> Any:
        return on(ctx.device, sub_backward)(dz, ctx.shapes, ctx.needs_input_grad)


def sub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """Return the difference z = x − alpha · y."""
    x, y = arguments.operands("sub", input, other)
    if any(o.dtype.kind == "b" if isinstance(o, Tensor) else isinstance(o, bool) for o in (input, other)):
        raise DTypeError("sub: bools have no difference; use != for exclusive or, or convert with .int()")
    result: Tensor = Sub.apply(x, _scaled("sub", x, y, alpha))
    return result


def _scaled(name: str, x: Any, y: Any, alpha: float) -> Any:
    """Return alpha · y."""
    if alpha == 1:
        return y
    arguments.number(name, "alpha", alpha)
    dtype = x.dtype if isinstance(x, Tensor) else y.dtype
    if dtype.kind != "f" and not isinstance(alpha, int):
        raise DTypeError(f"{name}: alpha is {alpha}, needs a whole number beside tensors of whole numbers")
    return y * alpha


# z = x · y:  dx = dz · y, dy = dz · x


def mul_forward(x: Array, y: Array) -> tuple[Array, Any]:
    return x * y, (x, y)


def mul_backward(dz: Array, cache: Any, needs: Needs = (True, True)) -> tuple[Array | None, Array | None]:
    x, y = cache
    return (
        unbroadcast(dz * y, np.shape(x)) if needs[0] else None,
        unbroadcast(dz * x, np.shape(y)) if needs[1] else None,
    )


class Mul(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, y: Array) -> Array:
        z, cache = on(ctx.device, mul_forward)(x, y)
        ctx.save(cache)
        return z

    @staticmethod
    def backward(ctx: Any, dz: Array) -> Any:
        return on(ctx.device, mul_backward)(dz, ctx.saved, ctx.needs_input_grad)


def mul(input: Any, other: Any) -> Tensor:
    """Return the product z = x · y, element by element."""
    x, y = arguments.operands("mul", input, other)
    result: Tensor = Mul.apply(x, y)
    return result


# z = x / y:  dx = dz / y, dy = −dz · z / y


@ieee
def div_forward(x: Array, y: Array) -> tuple[Array, Any]:
    z = np.true_divide(x, y)
    return z, (np.shape(x), y, z)


@ieee
def div_backward(dz: Array, cache: Any, needs: Needs = (True, True)) -> tuple[Array | None, Array | None]:
    x_shape, y, z = cache
    dx = dz / y
    return (
        unbroadcast(dx, x_shape) if needs[0] else None,
        unbroadcast(-dx * z, np.shape(y)) if needs[1] else None,
    )


class Div(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, y: Array) -> Array:
        z, cache = on(ctx.device, div_forward)(x, y)
        ctx.save(cache)
        return z

    @staticmethod
    def backward(ctx: Any, dz: Array) -> Any:
        return on(ctx.device, div_backward)(dz, ctx.saved, ctx.needs_input_grad)


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """Return the quotient z = x / y; integers are divided as float32.

    With `rounding_mode` "floor" it is rounded down, with "trunc" towards 0; whole numbers stay such, and the
    gradient is 0. Then whole numbers divided by 0 raise ShapeError and bools DTypeError.
    """
    if rounding_mode is not None:
        mode = arguments.choice("div", "rounding_mode", rounding_mode, ("floor", "trunc"))
        return (floor_divide if mode == "floor" else truncate_divide)(input, other)
    x, y = arguments.operands("div", input, other, float_result=True)
    result: Tensor = Div.apply(x, y)
    return result


# y = −x:  dx = −dy


def neg_forward(x: Array) -> tuple[Array, Any]:
    return -x, ()


def neg_backward(dy: Array, cache: Any) -> Array:
    return -dy


class Neg(Function):
    @staticmethod
    def forward(ctx: Any, x: Array) -> Array:
        y, _ = on(ctx.device, neg_forward)(x)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Array:
        return on(ctx.device, neg_backward)(dy, ())


def neg(input: Tensor) -> Tensor:
    """Return −x."""
    if arguments.tensor("neg", "input", input).dtype == bool:
        raise DTypeError("neg: bools have no negative; use F.where, or convert with .int()")
    result: Tensor = Neg.apply(input)
    return result


# z = x^y:  dx = dz · y · x^(y−1) (0 where y = 0), dy = dz · z · log x (0 where x = 0 and y ≥ 0)


@ieee
def pow_forward(x: Array, y: Array) -> tuple[Array, Any]:
    z = np.power(x, y)
    return z, (x, y, z)


@ieee
def pow_backward(dz: Array, cache: Any, needs: Needs = (True, True)) -> tuple[Array | None, Array | None]:
    x, y, z = cache
    dx = dy = None
    if needs[0]:
        slope = np.where(np.equal(y, 0), np.zeros_like(dz), y * np.power(x, y - 1))
        dx = unbroadcast(dz * slope, np.shape(x))
    if needs[1]:
        zero = np.equal(x, 0) & np.greater_equal(y, 0)
        dy = unbroadcast(dz * np.where(zero, np.zeros_like(dz), z * np.log(x)), np.shape(y))
    return dx, dy


class Pow(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, y: Array) -> Array:
        z, cache = on(ctx.device, pow_forward)(x, y)
        ctx.save(cache)
        return z

    @staticmethod
    def backward(ctx: Any, dz: Array) -> Any:
        return on(ctx.device, pow_backward)(dz, ctx.saved, ctx.needs_input_grad)


def pow(input: Any, exponent: Any) -> Tensor:
    """Return z = x^y; a float base below 0 with a broken exponent gives nan.

    Raises ShapeError for a negative whole exponent of an integer tensor, which no integer can hold, and
    DTypeError for bools.
    """
    x, y = arguments.operands("pow", input, exponent)
    base = x.dtype.kind if isinstance(x, Tensor) else "i" if isinstance(x, int) else "f"
    if base == "b" or (isinstance(y, Tensor) and y.dtype.kind == "b"):
        raise DTypeError("pow: bools have no powers; convert them with .int()")
    if base != "f" and ((isinstance(y, int) and y < 0) or (isinstance(y, Tensor) and (y.data < 0).any())):
        raise ShapeError("pow: an integer to a negative power is no integer; convert it with .float()")
    result: Tensor = Pow.apply(x, y)
    return result


# y = exp x:  dx = dy · y


@ieee
def exp_forward(x: Array) -> tuple[Array, Any]:
    y = np.exp(x)
    return y, y


@ieee
def exp_backward(dy: Array, cache: Any) -> Array:
    return dy * cache


class Exp(Function):
    @staticmethod
    def forward(ctx: Any, x: Array) -> Array:
        y, cache = on(ctx.device, exp_forward)(x)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Array:
        return on(ctx.device, exp_backward)(dy, ctx.saved)


def exp(input: Tensor) -> Tensor:
    """Return y = e^x."""
    result: Tensor = Exp.apply(arguments.as_float("exp", input))
    return result


# y = log x:  dx = dy / x


@ieee
def log_forward(x: Array) -> tuple[Array, Any]:
    return np.log(x), x


@ieee
def log_backward(dy: Array, cache: Any) -> Array:
    return dy / cache


class Log(Function):
    @staticmethod
    def forward(ctx: Any, x: Array) -> Array:
        y, cache = on(ctx.device, log_forward)(x)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Array:
        return on(ctx.device, log_backward)(dy, ctx.saved)


def log(input: Tensor) -> Tensor:
    """Return the natural logarithm y = ln x: −inf at 0, nan below."""
    result: Tensor = Log.apply(arguments.as_float("log", input))
    return result


# y = sqrt x:  dx = dy / (2y)


@ieee
def sqrt_forward(x: Array) -> tuple[Array, Any]:
    y = np.sqrt(x)
    return y, y


@ieee
def sqrt_backward(dy: Array, cache: Any) -> Array:
    return dy / (2 * cache)


class Sqrt(Function):
    @staticmethod
    def forward(ctx: Any, x: Array) -> Array:
        y, cache = on(ctx.device, sqrt_forward)(x)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Array:
        return on(ctx.device, sqrt_backward)(dy, ctx.saved)


def sqrt(input: Tensor) -> Tensor:
    """Return the square root y = √x; the gradient at 0 is inf, below 0 both are nan."""
    result: Tensor = Sqrt.apply(arguments.as_float("sqrt", input))
    return result


# y = |x|:  dx = dy · sign x (0 at 0)


def abs_forward(x: Array) -> tuple[Array, Any]:
    return np.abs(x), x


def abs_backward(dy: Array, cache: Any) -> Array:
    return np.where(cache > 0, dy, np.where(cache < 0, -dy, np.zeros((), dy.dtype)))


class Abs(Function):
    @staticmethod
    def forward(ctx: Any, x: Array) -> Array:
        y, cache = on(ctx.device, abs_forward)(x)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Array:
        return on(ctx.device, abs_backward)(dy, ctx.saved)


def abs(input: Tensor) -> Tensor:
    """Return y = |x|; the gradient at 0 is 0."""
    if arguments.tensor("abs", "input", input).dtype.kind == "b":
        raise DTypeError("abs: bools have no magnitude; convert them with .int()")
    result: Tensor = Abs.apply(input)
    return result


# z = max(x, y):  dx = dz where x > y, dz / 2 where they are equal, 0 where x < y; dy likewise. With a nan
# neither is larger, and both get dz, as in PyTorch.


def maximum_forward(x: Array, y: Array) -> tuple[Array, Any]:
    return np.maximum(x, y), (x, y)


@ieee
def maximum_backward(dz: Array, cache: Any, needs: Needs = (True, True)) -> tuple[Array | None, Array | None]:
    return _shared_at_ties(dz, cache, np.less, needs)


def minimum_forward(x: Array, y: Array) -> tuple[Array, Any]:
    return np.minimum(x, y), (x, y)


@ieee
def minimum_backward(dz: Array, cache: Any, needs: Needs = (True, True)) -> tuple[Array | None, Array | None]:
    return _shared_at_ties(dz, cache, np.greater, needs)


def _shared_at_ties(dz: Array, cache: Any, loses: Any, needs: Needs) -> tuple[Array | None, Array | None]:
    x, y = cache
    shared, zero = np.where(np.equal(x, y), dz / 2, dz), np.zeros((), dz.dtype)
    return (
        unbroadcast(np.where(loses(x, y), zero, shared), np.shape(x)) if needs[0] else None,
        unbroadcast(np.where(loses(y, x), zero, shared), np.shape(y)) if needs[1] else None,
    )


class Maximum(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, y: Array) -> Array:
        z, cache = on(ctx.device, maximum_forward)(x, y)
        ctx.save(cache)
        return z

    @staticmethod
    def backward(ctx: Any, dz: Array) -> Any:
        return on(ctx.device, maximum_backward)(dz, ctx.saved, ctx.needs_input_grad)


class Minimum(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, y: Array) -> Array:
        z, cache = on(ctx.device, minimum_forward)(x, y)
        ctx.save(cache)
        return z

    @staticmethod
    def backward(ctx: Any, dz: Array) -> Any:
        return on(ctx.device, minimum_backward)(dz, ctx.saved, ctx.needs_input_grad)


def maximum(input: Any, other: Any) -> Tensor:
    """Return the larger of x and y, element by element; nan if one is. Ties share the gradient in halves."""
    x, y = arguments.operands("maximum", input, arguments.tensor("maximum", "other", other))
    result: Tensor = Maximum.apply(x, y)
    return result


def minimum(input: Any, other: Any) -> Tensor:
    """Return the smaller of x and y, element by element; nan if one is. Ties share the gradient in halves."""
    x, y = arguments.operands("minimum", input, arguments.tensor("minimum", "other", other))
    result: Tensor = Minimum.apply(x, y)
    return result


# y = x limited to [low, high]:  dx = dy where low ≤ x ≤ high, else 0


def clamp_forward(x: Array, low: float, high: float) -> tuple[Array, Any]:
    return np.minimum(np.maximum(x, low), high), (x, low, high)


def clamp_backward(dy: Array, cache: Any) -> Array:
    x, low, high = cache
    return np.where((x >= low) & (x <= high), dy, np.zeros((), dy.dtype))


class Clamp(Function):
    @staticmethod
    def forward(ctx: Any, x: Array, low: float, high: float) -> Array:
        y, cache = on(ctx.device, clamp_forward)(x, low, high)
        ctx.save(cache)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Array) -> Any:
        return on(ctx.device, clamp_backward)(dy, ctx.saved)


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Return y = min(max(x, `min`), `max`); a bound may be a number, a tensor, or None.

    The gradient passes where x lies between the bounds or on them. Raises ShapeError without any bound.
    """
    arguments.tensor("clamp", "input", input)
    if min is None and max is None:
        raise ShapeError("clamp: needs min, max or both")
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        lifted = input if min is None else where(input < min, min, input)
        return lifted if max is None else where(lifted > max, max, lifted)
    bounds = [arguments.number("clamp", n, b) for n, b in (("min", min), ("max", max)) if b is not None]
    if input.dtype.kind != "f" and not all(b.is_integer() for b in bounds):
        input = input.float()
    elif input.dtype.kind == "b":
        input = input.long()
    dtype = input.dtype
    least, most = (-np.inf, np.inf) if dtype.kind == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    result: Tensor = Clamp.apply(
        input, dtype.type(least if min is None else min), dtype.type(most if max is None else max)
    )
    return result


# z = x where the condition holds, else y:  dx = dz there, else 0; dy the other way


def where_forward(condition: Array, x: Array, y: Array) -> tuple[Array, Any]:
    return np.where(condition, x, y), (condition, np.shape(x), np.shape(y))


def where_backward(dz: Array, cache: Any, needs: Needs = (False, True, True)) -> tuple[Any, Any, Any]:
    condition, x_shape, y_shape = cache
    zero = np.zeros((), dz.dtype)
    return (
        None,
        unbroadcast(np.where(condition, dz, zero), x_shape) if needs[1] else None,
        unbroadcast(np.where(condition, zero, dz), y_shape) if needs[2] else None,
    )


class Where(Function):
    @staticmethod
    def forward(ctx: Any, condition: Array, x: Array, y: Array) -> Array:
        z, cache = on(ctx.device, where_forward)(condition, x, y)
        ctx.save(cache)
        return z

    @staticmethod
    def backward(ctx: Any, dz: Array) -> Any:
        return on(ctx.device, where_backward)(dz, ctx.saved, ctx.needs_input_grad)


def where(condition: Tensor, input: Any, other: Any) -> Tensor:
    """Return x where the condition (a bool tensor) holds, y elsewhere; nothing of the other side gets through.

    Raises DTypeError for a condition that is not bool.
    """
    if arguments.tensor("where", "condition", condition).dtype != bool:
        raise DTypeError(f"where: condition is {condition.dtype}, needs bool; compare it, for instance c != 0")
    x, y = _meet("where", condition, input, other)
    arguments.broadcast("where", condition.shape, np.shape(x), np.shape(y))
    result: Tensor = Where.apply(condition, x, y)
    return result


def _meet(name: str, condition: Tensor, x: Any, y: Any) -> tuple[Any, Any]:
    """Return the operands in one type; two Python numbers become a tensor each."""
    if not isinstance(x, Tensor) and not isinstance(y, Tensor):
        dtype = promote(scalar_dtype(x), None, scalar_dtype(y), None)
        return Tensor(x, dtype, condition.device), Tensor(y, dtype, condition.device)
    x, y = arguments.operands(name, x, y)
    dtype = x.dtype if isinstance(x, Tensor) else y.dtype
    number = dtype.type
    return x if isinstance(x, Tensor) else number(x), y if isinstance(y, Tensor) else number(y)

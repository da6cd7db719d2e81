"""Unseen by the rules of diagnosis: functions, reductions and reordering that stand nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mutants import right, wrong

Array = Any


def draw(*shapes: tuple[int, ...], low: float = -2.0, high: float = 2.0) -> Any:
    """Return a maker of even arrays."""
    return lambda rng: [rng.uniform(low, high, s) for s in shapes]


def softsign(x: Array) -> Any:
    return x / (1 + abs(x)), x


def mish(x: Array) -> Any:
    sp = np.log1p(np.exp(x))
    return x * np.tanh(sp), (x, sp)


def mish_back(g: Array, c: Any, chain: bool = True) -> Array:
    x, sp = c
    t = np.tanh(sp)
    inner = 1 / (1 + np.exp(-x)) if chain else 1
    return g * (t + x * (1 - t * t) * inner)


def selu(x: Array, scale: float = 1.0507, alpha: float = 1.67326) -> Any:
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))), (x, scale, alpha)


def selu_back(g: Array, c: Any, scaled: bool = True, exponential: bool = True) -> Array:
    x, scale, alpha = c
    left = alpha * np.exp(np.minimum(x, 0)) if exponential else alpha
    return g * (scale if scaled else 1) * np.where(x > 0, 1, left)


def prelu(x: Array, a: Array) -> Any:  # one slope per column
    return np.where(x > 0, x, a * x), (x, a)


def prelu_back(g: Array, c: Any, mistake: str = "") -> Any:
    x, a = c
    da = g * np.where(x > 0, 0, x)
    if mistake == "all":
        da = g * x
    if mistake == "mean":
        return g * np.where(x > 0, 1, a), da.mean(0)
    if mistake == "one":
        return g * np.where(x > 0, 1, a), da[0]
    return g * np.where(x > 0, 1, a), da.sum(0)


def hardtanh(x: Array) -> Any:
    return np.clip(x, -1, 1), x


def hypot(x: Array, y: Array) -> Any:
    r = np.sqrt(x * x + y * y)
    return r, (x, y, r)


def arctan(x: Array) -> Any:
    return np.arctan(x), x


def swish(x: Array, beta: Array) -> Any:  # beta is a number that is learned
    s = 1 / (1 + np.exp(-beta * x))
    return x * s, (x, beta, s)


def swish_back(g: Array, c: Any, mistake: str = "") -> Any:
    x, beta, s = c
    slope = s * (1 - s)
    dx = g * (s + (1 if mistake == "beta" else beta) * x * slope)
    dbeta = g * x * x * slope
    return dx, dbeta.mean() if mistake == "mean" else dbeta.sum()


def glu(x: Array) -> Any:  # first half times the sigmoid of the second
    a, b = np.split(x, 2, axis=1)
    s = 1 / (1 + np.exp(-b))
    return a * s, (a, s)


def glu_back(g: Array, c: Any, order: int = 1, slope: bool = True) -> Array:
    a, s = c
    return np.concatenate([g * s, g * a * (s * (1 - s) if slope else s)][::order], axis=1)


def maxout(x: Array) -> Any:  # (N, D, 3) → the largest of 3
    return x.max(2), x


def maxout_back(g: Array, x: Array, mistake: str = "") -> Array:
    best = x.argmax(2)
    if mistake == "first axis":
        best = x.argmax(1)[:, : x.shape[1]]
    if mistake == "even":
        return np.repeat(g[:, :, None] / x.shape[2], x.shape[2], 2)
    return np.where(np.arange(x.shape[2]) == best[:, :, None], g[:, :, None], 0)


def softmin_temperature(x: Array, t: float = 0.5) -> Any:
    e = np.exp(-(x - x.min(1, keepdims=True)) / t)
    p = e / e.sum(1, keepdims=True)
    return p, (p, t)


def softmin_back(g: Array, c: Any, temperature: bool = True, sign: float = -1, cross: bool = True) -> Array:
    p, t = c
    return sign * p * (g - ((g * p).sum(1, keepdims=True) if cross else 0)) / (t if temperature else 1)


def cumprod(x: Array) -> Any:
    return np.cumprod(x, 1), x


def cumprod_back(g: Array, x: Array, whole: bool = True) -> Array:
    y = np.cumprod(x, 1)
    s = np.cumsum((g * y)[:, ::-1], 1)[:, ::-1]
    return (s if whole else g * y) / x


def rms(x: Array) -> Any:
    r = np.sqrt((x * x).mean(1))
    return r, (x, r)


def median(x: Array) -> Any:  # of an odd number
    order = x.argsort(1)[:, x.shape[1] // 2]
    return x[np.arange(len(x)), order], (x.shape, order)


def median_back(g: Array, c: Any, off: int = 0) -> Array:
    shape, order = c
    d = np.zeros(shape)
    d[np.arange(len(d)), (order + off) % shape[1]] = g
    return d


def sort(x: Array) -> Any:
    order = x.argsort(1)
    return np.take_along_axis(x, order, 1), order


def sort_back(g: Array, order: Array, inverse: bool = True) -> Array:
    if inverse:
        d = np.zeros_like(g)
        np.put_along_axis(d, order, g, 1)
        return d
    return np.take_along_axis(g, order, 1)


def upper(x: Array) -> Any:
    return np.triu(x), None


def trace_product(a: Array, b: Array) -> Any:
    return np.trace(a @ b), (a, b)


def interleave(a: Array, b: Array) -> Any:  # a0 b0 a1 b1 …
    return np.stack([a, b], 2).reshape(len(a), -1), a.shape


def interleave_back(g: Array, shape: Any, blocks: bool = False) -> Any:
    if blocks:
        return g[:, : shape[1]], g[:, shape[1] :]
    pairs = g.reshape(*shape, 2)
    return pairs[..., 0], pairs[..., 1]


def moving_average(x: Array) -> Any:  # of 3, inside only
    return (x[:, :-2] + x[:, 1:-1] + x[:, 2:]) / 3, x.shape


def moving_back(g: Array, shape: Any, mistake: str = "") -> Array:
    d = np.zeros(shape)
    for k in range(3):
        place = slice(k, k + g.shape[1])
        if mistake == "assigned":
            d[:, place] = g / 3
        elif mistake == "middle" and k != 1:
            continue
        else:
            d[:, place] += g / (1 if mistake == "undivided" else 3)
    return d


def outer_sum(a: Array, b: Array) -> Any:  # a_i + b_j, both vectors
    return a[:, None] + b, None


def polynomial(x: Array, c: Array) -> Any:  # c0 + c1 x + c2 x²
    return c[0] + c[1] * x + c[2] * x * x, (x, c)


def polynomial_back(g: Array, cache: Any, mistake: str = "") -> Any:
    x, c = cache
    slope = c[1] + (1 if mistake == "slope" else 2) * c[2] * x
    powers = [np.ones_like(x), x, x * x]
    if mistake == "reversed":
        powers = powers[::-1]
    return g * slope, np.array([(g * p).sum() for p in powers])


EXAMPLES = [
    right("softsign", softsign, lambda g, x: g / (1 + abs(x)) ** 2, draw((4, 5))),
    right("mish", mish, mish_back, draw((4, 5))),
    right("selu", selu, selu_back, draw((4, 5))),
    right("prelu", prelu, prelu_back, draw((6, 4), (4,))),
    right("swish with beta", swish, swish_back, draw((4, 5), ())),
    right("glu", glu, glu_back, draw((3, 6))),
    right("maxout", maxout, maxout_back, draw((4, 3, 3))),
    right("softmin with temperature", softmin_temperature, softmin_back, draw((4, 5))),
    right("cumulative product", cumprod, cumprod_back, draw((3, 5), low=0.5)),
    right("median", median, median_back, draw((4, 5))),
    right("sorting", sort, sort_back, draw((4, 5))),
    right("moving average", moving_average, moving_back, draw((3, 7))),
    right("polynomial", polynomial, polynomial_back, draw((6,), (3,))),
    wrong("missing term", "softsign, not squared", softsign, lambda g, x: g / (1 + abs(x)), draw((4, 5))),
    wrong(("missing term", "branch"), "softsign, abs forgotten", softsign, lambda g,
          x: g / (1 + x) ** 2, draw((4, 5), low=-0.5)),
    wrong("missing term", "mish, inner derivative forgotten", mish, lambda g, c: mish_back(g, c, False), draw((4, 5))),
    wrong("constant factor", "selu, scale forgotten", selu, lambda g, c: selu_back(g, c, scaled=False), draw((4, 5))),
    wrong("branch", "selu, straight on the left", selu, lambda g, c: selu_back(g, c, exponential=False), draw((4, 5))),
    wrong(("missing term", "branch"), "prelu, da of both sides", prelu, lambda g,
          c: prelu_back(g, c, "all"), draw((6, 4), (4,))),
    wrong("constant factor", "prelu, da averaged", prelu, lambda g, c: prelu_back(g, c, "mean"), draw((6, 4), (4,))),
    wrong(("not summed", "overwritten"), "prelu, da of one row", prelu, lambda g, c: prelu_back(g, c, "one"),
          lambda rng: [-rng.uniform(0.5, 2, (6, 4)), rng.uniform(0, 1, 4)]),
    wrong("branch", "hardtanh, one side", hardtanh, lambda g, x: g * (x < 1), draw((5, 6))),
    wrong("branch", "hardtanh, outside", hardtanh, lambda g, x: g * (abs(x) > 1), draw((5, 6))),
    wrong("swapped", "hypot, exchanged", hypot, lambda g, c: (g * c[1] / c[2], g * c[0] / c[2]), draw((4, 5), (4, 5))),
    wrong("missing term", "hypot, not divided", hypot, lambda g, c: (g * c[0], g * c[1] / c[2]), draw((4, 5), (4, 5))),
    wrong("missing term", "arctan with minus below", arctan, lambda g, x: g / (1.5 - x * x / 3), draw((4, 5))),
    wrong("missing term", "swish, beta forgotten in dx", swish, lambda g,
          c: swish_back(g, c, "beta"), draw((4, 5), ())),
    wrong("constant factor", "swish, dbeta averaged", swish, lambda g, c: swish_back(g, c, "mean"), draw((4, 5), ())),
    wrong(("shifted", "swapped", "transposed", "missing term"), "glu, halves exchanged", glu,
          lambda g, c: glu_back(g, c, -1), draw((3, 6))),
    wrong(("missing term", "border", "branch"), "glu, slope of the gate forgotten", glu,
          lambda g, c: glu_back(g, c, slope=False), draw((3, 6))),
    wrong(("missing term", "branch"), "maxout, shared evenly", maxout, lambda g,
          x: maxout_back(g, x, "even"), draw((4, 3, 3))),
    wrong(("missing term", "branch", "shifted", "transposed"), "maxout, largest along another axis", maxout,
          lambda g, x: maxout_back(g, x, "first axis"), draw((4, 3, 3))),
    wrong("constant factor", "softmin, temperature forgotten", softmin_temperature,
          lambda g, c: softmin_back(g, c, temperature=False), draw((4, 5))),
    wrong("constant factor", "softmin as softmax", softmin_temperature, lambda g,
          c: softmin_back(g, c, sign=1), draw((4, 5))),
    wrong("missing term", "softmin without the sum", softmin_temperature,
          lambda g, c: softmin_back(g, c, cross=False), draw((4, 5))),
    wrong(("missing term", "overwritten"), "cumulative product, own output only", cumprod,
          lambda g, x: cumprod_back(g, x, False), draw((3, 5), low=0.5)),
    wrong("constant factor", "root mean square, n forgotten", rms, lambda g,
          c: g[:, None] * c[0] / c[1][:, None], draw((4, 5))),
    wrong(("missing term", "constant factor"), "root mean square, root forgotten", rms,
          lambda g, c: g[:, None] * c[0] / 5, draw((4, 5))),
    wrong(("shifted", "missing term"), "median, neighbour", median, lambda g, c: median_back(g, c, 1), draw((4, 5))),
    wrong(("transposed", "shifted", "missing term"), "sorting, sorted again", sort,
          lambda g, o: sort_back(g, o, False), draw((4, 5))),
    wrong(("branch", "border", "transposed", "missing term"), "upper triangle, lower taken", upper,
          lambda g, c: np.tril(g), draw((5, 5))),
    wrong(("border", "missing term", "branch"), "upper triangle without the diagonal", upper,
          lambda g, c: np.triu(g, 1), draw((5, 5))),
    wrong("transposed", "trace of a product, not turned", trace_product, lambda g,
          c: (g * c[1], g * c[0].T), draw((4, 4), (4, 4))),
    wrong(("transposed", "shifted", "missing term", "swapped"), "interleaved, read as blocks", interleave,
          lambda g, s: interleave_back(g, s, True), draw((3, 4), (3, 4))),
    wrong("swapped", "interleaved, odd and even exchanged", interleave, lambda g,
          s: interleave_back(g, s)[::-1], draw((3, 4), (3, 4))),
    wrong("overwritten", "moving average, assigned", moving_average, lambda g,
          s: moving_back(g, s, "assigned"), draw((3, 7))),
    wrong("constant factor", "moving average, not divided", moving_average,
          lambda g, s: moving_back(g, s, "undivided"), draw((3, 7))),
    wrong(("missing term", "overwritten"), "moving average, middle only", moving_average,
          lambda g, s: moving_back(g, s, "middle"), draw((3, 7))),
    wrong("not summed", "sum of vectors, wrong axes", outer_sum, lambda g, c: (g.sum(0), g.sum(1)), draw((5,), (5,))),
    wrong(("missing term",), "polynomial, 2 forgotten", polynomial, lambda g,
          c: polynomial_back(g, c, "slope"), draw((6,), (3,))),
    wrong(("transposed", "flipped"), "polynomial, coefficients in reverse", polynomial,
          lambda g, c: polynomial_back(g, c, "reversed"), draw((6,), (3,))),
]  # fmt: skip

"""The one source of random numbers: the counter-based generator Philox 4×32-10.

A usual generator is a state that each number drawn moves on, so the numbers depend on who drew before. Here
a number is a pure function of its address:

    word i = philox_words(seed, stream, call, i, 1)      32 random bits

`seed` is the user's (`mc.manual_seed`), `stream` the purpose (`INIT`, `DROPOUT`, …), `call` counts the uses of
a stream (one dropout layer in one step is one call), and i is the element's place in the array. So the same
seed gives the same dropout mask on every device, in any memory layout, on any number of threads or processes
and after resuming, and nothing but the call numbers has to be saved. Until `manual_seed` is called the seed is
0: minicnn repeats itself by default.

Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011), Section 3.3.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .dtypes import DType, check_dtype, float32
from .errors import DTypeError, ShapeError

Shape = int | tuple[int, ...]
Words = NDArray[np.uint32]

STREAMS = {"init": 0, "dropout": 1, "shuffle": 2, "augment": 3, "data": 4, "tensor": 5, "check": 6}
"""What random numbers are for. The numbers are part of every saved result: never change one."""

INIT = STREAMS["init"]  # first values of parameters
DROPOUT = STREAMS["dropout"]  # dropout masks
SHUFFLE = STREAMS["shuffle"]  # order of the items of an epoch
AUGMENT = STREAMS["augment"]  # transforms of pictures
DATA = STREAMS["data"]  # splits of a data set
TENSOR = STREAMS["tensor"]  # mc.rand, mc.randn
CHECK = STREAMS["check"]  # directions and cotangents of the gradient checker

# The bijection

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)  # the golden ratio and √3 − 1, as 32 bits of fraction
ROUNDS = 10

# Three work arrays of two uint64 per block: 400 KiB of the second-level cache. 16384 blocks gain 5 %, 1024 halve it.
_BLOCKS = 8192
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def philox_4x32(counter: Any, key: tuple[int, int]) -> list[NDArray[np.uint64]]:
    """Return the four 32-bit words of each counter, by ten rounds of Philox.

    With the counter (c₀, c₁, c₂, c₃), the key (k₀, k₁), and hi and lo the halves of a 64-bit product, a round is

        c₀, c₁, c₂, c₃  ←  hi(M₁·c₂) ⊕ c₁ ⊕ k₀,  lo(M₁·c₂),  hi(M₀·c₀) ⊕ c₃ ⊕ k₁,  lo(M₀·c₀)
        k₀, k₁          ←  k₀ + W₀,  k₁ + W₁   (mod 2³²)

    with M = `MULTIPLIERS` and W = `KEY_STEPS`. `counter` holds four arrays or numbers of one shape, below 2³².
    """
    c0, c1, c2, c3 = np.broadcast_arrays(*(np.asarray(c, np.uint64) for c in counter))
    even, odd = np.stack([c0, c2]), np.stack([c1, c3])  # both halves of a round at once: half as many calls
    product = np.empty_like(even)
    column = (2,) + (1,) * c0.ndim
    multipliers = np.array(MULTIPLIERS, np.uint64).reshape(column)
    steps = np.array(KEY_STEPS, np.uint64).reshape(column)
    keys = np.array(key, np.uint64).reshape(column)
    for _ in range(ROUNDS):
        np.multiply(even, multipliers, out=product)
        np.right_shift(product[::-1], _HALF, out=even)
        even ^= odd
        even ^= keys
        np.bitwise_and(product[::-1], _LOW, out=odd)
        keys = (keys + steps) & _LOW
    return [even[0], odd[0], even[1], odd[1]]


def philox_words(seed: int, stream: int, call: int, start: int, count: int) -> Words:
    """Return the words start … start + count − 1 of the endless sequence (seed, stream, call).

    Word i is output i mod 4 of the Philox block b = ⌊i / 4⌋, whose counter and key are

        counter = (b mod 2³², ⌊b / 2³²⌋, call, stream)      key = (seed mod 2³², ⌊seed / 2³²⌋)

    so any part of the sequence is computed without the rest. Shape (count,), uint32.
    """
    _check_address(seed, stream, call, start, count)
    words = np.empty(count, np.uint32)
    key = (seed & 0xFFFFFFFF, seed >> 32)
    first, last = start // 4, (start + count + 3) // 4
    for begin in range(first, last, _BLOCKS):
        size = min(_BLOCKS, last - begin)
        block = np.arange(size, dtype=np.uint64) + np.uint64(begin)
        outputs = philox_4x32((block & _LOW, block >> _HALF, call, stream), key)
        at = 4 * begin - start  # of the first of these words in the result; may lie up to 3 before it
        if at >= 0 and at + 4 * size <= count:
            part = words[at : at + 4 * size]
            for k in range(4):
                part[k::4] = outputs[k]
        else:
            part = np.stack(outputs, axis=-1).astype(np.uint32).ravel()
            low, high = max(at, 0), min(at + 4 * size, count)
            words[low:high] = part[low - at : high - at]
    return words


def _check_address(seed: int, stream: int, call: int, start: int, count: int) -> None:
    _seed("random numbers", seed)
    for what, value, bound in (("stream", stream, 1 << 32), ("call", call, 1 << 32), ("start", start, 1 << 66)):
        if not 0 <= value < bound:
            raise ShapeError(f"random numbers: {what} is {value}, needs 0 … 2^{bound.bit_length() - 1} - 1")
    if count < 0:
        raise ShapeError(f"random numbers: count is {count}, needs at least 0")


def _seed(name: str, value: Any) -> int:
    seed = arguments.integer(name, "seed", value, minimum=0)
    if seed >> 64:
        raise ShapeError(f"{name}: seed is {seed}, needs a whole number below 2^64")
    return seed


# The state of this process: the seed and how often each stream was used

_lock = threading.Lock()
_current_seed = 0
_calls = dict.fromkeys(STREAMS.values(), 0)


def manual_seed(seed: int) -> None:
    """Set the one seed, 0 … 2⁶⁴ − 1, and start every stream anew.

    Initialisation, dropout, shuffling and augmentation all follow from it. Raises DTypeError for what is not a
    whole number and ShapeError outside the range.
    """
    global _current_seed
    value = _seed("manual_seed", seed)
    with _lock:
        _current_seed = value
        _calls.update(dict.fromkeys(_calls, 0))


def seed() -> int:
    """Return the seed in force: that of the last `manual_seed`, or 0."""
    return _current_seed


def next_call(stream: int) -> tuple[int, int]:
    """Return the seed and the next call number of a stream; each number is handed out once, to any thread."""
    if stream not in _calls:
        raise ShapeError(f"next_call: stream is {stream!r}, needs one of {STREAMS}")
    with _lock:
        call = _calls[stream]
        _calls[stream] = call + 1
        return _current_seed, call


def get_state() -> dict[str, int]:
    """Return the seed and the call number that each stream hands out next, for a checkpoint."""
    with _lock:
        return {"seed": _current_seed, **{name: _calls[stream] for name, stream in STREAMS.items()}}


def set_state(state: dict[str, int]) -> None:
    """Continue where `get_state` was called. Raises ShapeError unless the state names exactly the streams."""
    global _current_seed
    if set(state) != {"seed", *STREAMS}:
        raise ShapeError(f"set_state: state has {sorted(state)}, needs {sorted(['seed', *STREAMS])}")
    value = _seed("set_state", state["seed"])
    calls = {stream: arguments.integer("set_state", name, state[name], 0) for name, stream in STREAMS.items()}
    with _lock:
        _current_seed = value
        _calls.update(calls)


# Distributions: each a pure function of the address (seed, stream, call, start)

_PART = 1 << 15  # numbers computed at a time, so that the float64 between words and result stays in the cache


def uniform(
    shape: Shape,
    *,
    seed: int,
    stream: int,
    call: int,
    start: int = 0,
    low: float = 0.0,
    high: float = 1.0,
    dtype: Any = float32,
) -> NDArray[Any]:
    """Return numbers spread evenly over [low, high): low + (high − low) · word / 2³².

    Computed in float64 and rounded to `dtype`, so both types get the same numbers; `high` itself never appears
    (unless low = high). One word per number.
    """
    low, high = _interval("uniform", low, high)
    result, flat, dtype = _floats("uniform", shape, dtype)
    below_high = np.nextafter(dtype.type(high), dtype.type(low))
    for at in range(0, flat.size, _PART):
        part = flat[at : at + _PART]
        values = philox_words(seed, stream, call, start + at, part.size) * ((high - low) / 2**32)
        values += low
        part[...] = values
        np.minimum(part, below_high, out=part)
    return result


def normal(
    shape: Shape,
    *,
    seed: int,
    stream: int,
    call: int,
    start: int = 0,
    mean: float = 0.0,
    std: float = 1.0,
    dtype: Any = float32,
) -> NDArray[Any]:
    """Return normally distributed numbers, by Box and Muller (1958): two words give two of them.

        u = (word₀ + 1) / 2³²    φ = 2π · word₁ / 2³²    z₀, z₁ = √(−2 ln u) · (cos φ, sin φ)

    Computed in float64 and rounded to `dtype`; no number lies more than 6.7 standard deviations out. The words
    are the same on every machine, log, cos and sin may differ in the last bit. An odd count uses one word more.
    """
    mean = arguments.number("normal", "mean", mean)
    std = arguments.number("normal", "std", std, low=0)
    result, flat, dtype = _floats("normal", shape, dtype)
    for at in range(0, flat.size, _PART):
        part = flat[at : at + _PART]
        words = philox_words(seed, stream, call, start + at, part.size + part.size % 2)
        radius = np.sqrt(-2 * np.log((words[0::2] + 1.0) / 2**32))
        angle = words[1::2] * (2 * math.pi / 2**32)
        values = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1).ravel()[: part.size]
        part[...] = values * std + mean
    return result


def integers(
    low: int, high: int, shape: Shape = (), *, seed: int, stream: int, call: int, start: int = 0
) -> NDArray[np.int64]:
    """Return whole numbers of low … high − 1, as int64: low + ⌊(high − low) · x / 2⁶⁴⌋ with x of two words.

    No number is favoured by more than (high − low) / 2⁶⁴ (Lemire 2019, without the rejection). high − low is
    at most 2³².
    """
    low, high = (arguments.integer("integers", what, value) for what, value in (("low", low), ("high", high)))
    if not 0 < high - low <= 1 << 32:
        raise ShapeError(f"integers: low {low} and high {high} need 0 < high - low <= 2^32")
    shape = _shape("integers", shape)
    pairs = philox_words(seed, stream, call, start, 2 * math.prod(shape)).astype(np.uint64)
    span = np.uint64(high - low)
    # span · (x₀ + 2³² x₁) / 2⁶⁴ with every product inside 64 bits
    below = (pairs[1::2] * span + (pairs[0::2] * span >> _HALF)) >> _HALF
    return (below.astype(np.int64) + low).reshape(shape)


def permutation(length: int, *, seed: int, stream: int, call: int, start: int = 0) -> NDArray[np.int64]:
    """Return 0 … length − 1 in random order: the stable sorting order of 64-bit keys of two words each."""
    length = arguments.integer("permutation", "length", length, minimum=0)
    pairs = philox_words(seed, stream, call, start, 2 * length).astype(np.uint64)
    return np.argsort(pairs[0::2] | pairs[1::2] << _HALF, kind="stable").astype(np.int64)


def bernoulli(p: float, shape: Shape = (), *, seed: int, stream: int, call: int, start: int = 0) -> NDArray[np.bool_]:
    """Return True with probability p, exactly where word < round(p · 2³²): never for p = 0, always for p = 1."""
    shape = _shape("bernoulli", shape)
    words = philox_words(seed, stream, call, start, math.prod(shape))
    below: NDArray[np.bool_] = (words < _threshold("bernoulli", p)).reshape(shape)
    return below


def dropout_keep(seed: int, call: int, p: float, start: int, count: int) -> NDArray[np.bool_]:
    """Return which of the elements start … start + count − 1 dropout keeps: those with word ≥ round(p · 2³²).

    The comparison is of whole numbers, so it is exact and equal on all devices; p = 0 keeps all and p = 1 none.
    Element i is the i-th in logical (N, C, H, W) order of the whole batch. Shape (count,).
    """
    keep: NDArray[np.bool_] = philox_words(seed, DROPOUT, call, start, count) >= _threshold("dropout", p)
    return keep


def _threshold(name: str, p: float) -> int:
    return round(arguments.probability(name, p) * 2**32)


def _shape(name: str, shape: Any) -> tuple[int, ...]:
    axes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    return tuple(arguments.integer(name, "shape", size, minimum=0) for size in axes)


def _floats(name: str, shape: Any, dtype: Any) -> tuple[NDArray[Any], NDArray[Any], DType]:
    dtype = check_dtype(name, dtype)
    if dtype.kind != "f" or dtype.itemsize < 4:
        raise DTypeError(f"{name}: dtype is {dtype}, needs float32 or float64")
    result = np.empty(_shape(name, shape), dtype)
    return result, result.reshape(-1), dtype


def _interval(name: str, low: Any, high: Any) -> tuple[float, float]:
    low, high = arguments.number(name, "low", low), arguments.number(name, "high", high)
    if not (math.isfinite(high - low) and low <= high):
        raise ShapeError(f"{name}: low is {low}, high is {high}; needs finite numbers with low <= high")
    return low, high


class Generator:
    """Random numbers one after another: the words of one sequence (seed, stream, call), and how many are used.

    For code that draws several things in turn (a transform, a loader). Two generators of the same arguments
    draw the same numbers; generators that differ in any argument are independent, so a loader gives each batch
    its own `call` and the batches can be made in any order. `Generator(**g.state())` continues where g is.
    Not for several threads at once.
    """

    def __init__(self, seed: int, stream: int, call: int = 0, position: int = 0) -> None:
        _check_address(seed, stream, call, position, 0)
        self.seed, self.stream, self.call, self.position = seed, stream, call, position

    @classmethod
    def next(cls, stream: int) -> Generator:
        """Return the generator of the next call of a stream under the global seed, or the one that was `lent`."""
        if _lent.generator is not None and _lent.generator.stream == stream:
            return _lent.generator
        seed, call = next_call(stream)
        return cls(seed, stream, call)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Inside a `with` block, `Generator.next` gives this thread this generator for its stream.

        So code that takes the next call of a stream, such as a transform in a data set's `__getitem__`, draws what
        belongs to its batch, whichever thread runs it and however far ahead that is.
        """
        former, _lent.generator = _lent.generator, self
        try:
            yield
        finally:
            _lent.generator = former

    def state(self) -> dict[str, int]:
        """Return the arguments of a generator that continues here."""
        return {"seed": self.seed, "stream": self.stream, "call": self.call, "position": self.position}

    def __repr__(self) -> str:
        return f"Generator(seed={self.seed}, stream={self.stream}, call={self.call}, position={self.position})"

    def uniform(self, shape: Shape, low: float = 0.0, high: float = 1.0, dtype: Any = float32) -> NDArray[Any]:
        """Return numbers spread evenly over [low, high)."""
        values = uniform(shape, low=low, high=high, dtype=dtype, **self._here())
        self.position += values.size
        return values

    def normal(self, shape: Shape, mean: float = 0.0, std: float = 1.0, dtype: Any = float32) -> NDArray[Any]:
        """Return normally distributed numbers."""
        values = normal(shape, mean=mean, std=std, dtype=dtype, **self._here())
        self.position += values.size + values.size % 2
        return values

    def integers(self, low: int, high: int, shape: Shape = ()) -> NDArray[np.int64]:
        """Return whole numbers of low … high − 1."""
        values = integers(low, high, shape, **self._here())
        self.position += 2 * values.size
        return values

    def permutation(self, length: int) -> NDArray[np.int64]:
        """Return 0 … length − 1 in random order."""
        values = permutation(length, **self._here())
        self.position += 2 * values.size
        return values

    def bernoulli(self, p: float, shape: Shape = ()) -> NDArray[np.bool_]:
        """Return True with probability p."""
        values = bernoulli(p, shape, **self._here())
        self.position += values.size
        return values

    def _here(self) -> dict[str, int]:
        return {"seed": self.seed, "stream": self.stream, "call": self.call, "start": self.position}


class _Lent(threading.local):
    generator: Generator | None = None


_lent = _Lent()


# Last, because the checks of arguments know Tensor, and Tensor the operations, of which dropout draws from here.
from .ops import arguments  # noqa: E402 # the reason stands above

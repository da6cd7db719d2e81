"""Small calls that reach the kernels: odd shapes, no squares. Each returns arrays, the same on every device."""

from collections.abc import Callable
from typing import Any

import numpy as np

import minicnn as mc
import minicnn.functional as F
from minicnn.cuda import activation, elementwise, emulation, implicit, pool, reduce, softmax
from minicnn.cuda.emulation import Sparse

Arrays = list[np.ndarray]


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def result(f: Callable[..., Any], *arrays: np.ndarray) -> Callable[[], Arrays]:
    """Return the call of an operation."""
    return lambda: [f(*(mc.tensor(a) for a in arrays)).numpy()]


def gradients(f: Callable[..., Any], *arrays: np.ndarray) -> Callable[[], Arrays]:
    """Return the call of an operation and of its backward pass."""

    def run() -> Arrays:
        leaves = [mc.tensor(a, requires_grad=True) for a in arrays]
        y = f(*leaves)
        y.backward(mc.tensor(numbers(*y.shape) if y.shape else np.ones(())))
        return [y.numpy(), *(leaf.grad.numpy() for leaf in leaves)]

    return run


def seeded(f: Callable[..., Any]) -> Callable[..., Any]:
    def run(*tensors: Any) -> Any:
        mc.manual_seed(3)
        return f(*tensors)

    return run


def in_tiles_of_128(run: Callable[[], Arrays]) -> Callable[[], Arrays]:
    """Let convolutions take the largest tile, which they choose for large images only."""

    def inside() -> Arrays:
        tiles = implicit.TILES
        implicit.TILES = (tiles[0]._replace(share=99.0), *tiles[1:])
        try:
            return run()
        finally:
            implicit.TILES = tiles

    return inside


def _conv(x: Any, w: Any, b: Any) -> Any:
    return F.conv2d(x, w, b, stride=(1, 2), padding=1)


FLAT, ROWS, IMAGES = numbers(7, 43), numbers(3, 299), numbers(2, 5, 7, 9)
RUNS: dict[str, Callable[[], Arrays]] = {
    "relu": gradients(F.relu, FLAT),
    "sigmoid": gradients(F.sigmoid, FLAT),
    "add": gradients(F.add, FLAT, FLAT[:1] + 1),
    "mul": gradients(F.mul, FLAT, FLAT + 1),
    "bias": gradients(lambda b, x: F.add(x, b), numbers(35), numbers(19, 35)),
    "sum": gradients(lambda x: F.sum(x, 1), ROWS),
    "var": gradients(lambda x: F.var(x, 1), ROWS),
    "argmax": result(lambda x: F.argmax(x, 1), ROWS),
    "argmax of ties": result(lambda x: F.argmax(x, 1), np.sign(ROWS)),
    "amax": gradients(lambda x: F.amax(x, 1), ROWS),
    "softmax": gradients(lambda x: F.softmax(x, 1), ROWS),
    "log_softmax": gradients(lambda x: F.log_softmax(x, 1), ROWS),
    "max_pool": gradients(lambda x: F.max_pool2d(x, (3, 2), stride=(2, 1), padding=1), IMAGES),
    "avg_pool": gradients(lambda x: F.avg_pool2d(x, (3, 2), stride=(2, 1), padding=1), IMAGES),
    "adaptive_avg_pool": gradients(lambda x: F.adaptive_avg_pool2d(x, (3, 4)), IMAGES),
    "batch_norm": gradients(
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), numbers(3, 35, 7, 9), numbers(35), numbers(35)
    ),
    "group_norm": gradients(lambda x, w, b: F.group_norm(x, 3, w, b), numbers(2, 6, 5, 7), numbers(6), numbers(6)),
    "local_response_norm": gradients(lambda x: F.local_response_norm(x, 5, alpha=0.5), IMAGES),
    "matmul": gradients(F.matmul, numbers(5, 37), numbers(37, 41)),
    "unfold": gradients(lambda x: F.unfold(x, (3, 2), padding=1, stride=(1, 2)), IMAGES),
    "fold": gradients(lambda x: F.fold(x, (7, 9), (3, 2), padding=1, stride=(2, 1)), numbers(2, 12, 40)),
    "conv": gradients(_conv, numbers(2, 3, 9, 7), numbers(5, 3, 3, 2), numbers(5)),
    "conv of eights": in_tiles_of_128(gradients(_conv, numbers(2, 8, 9, 11), numbers(68, 8, 3, 2), numbers(68))),
    "cross_entropy": gradients(lambda x: F.cross_entropy(x, mc.tensor(np.arange(3) * 7)), ROWS),
    "dropout": gradients(seeded(lambda x: F.dropout(x, 0.3)), FLAT),
}  # fmt: skip


# The last block of a grid over more than 2^31 elements, on arrays that are nearly all air. These launch kernels
# themselves: `reference` has no such arrays, so they return what came out beside what is right.
N, START = 2**31 + 77, 2**31
TAIL = np.linspace(0.1, 0.9, 77).astype(np.float32)
MATRIX = (2**21, 1030)


def _tail(values: Any = None, n: int = N) -> Sparse:
    return Sparse((n,), np.float32).set(n - 77, np.zeros(77) if values is None else values)


def _relu() -> list[Arrays]:
    y = _tail()
    activation.kernels("relu_forward", x=_tail(TAIL - 0.5), y=y, n=N)
    return [[y.windows[START]], [np.maximum(TAIL - np.float32(0.5), 0)]]


def _mul() -> list[Arrays]:  # beyond 2^32, where unsigned numbers wrap, too
    z, n = _tail(n=2 * N), 2 * N
    elementwise.kernels("mul_forward", x=_tail(TAIL, n), y=_tail(TAIL, n), z=z, n=n)
    return [[z.windows[n - 77]], [TAIL * TAIL]]


def _rows(values: np.ndarray) -> Sparse:
    return Sparse(MATRIX, np.float32).set((MATRIX[0] - 1) * MATRIX[1], values)


def _sum() -> list[Arrays]:
    row, y = numbers(MATRIX[1]), Sparse((MATRIX[0],), np.float32).set(MATRIX[0] - 1, [0])
    reduce.kernels("sum_rows", x=_rows(row), y=y, scale=1.0, rows=MATRIX[0], columns=MATRIX[1])
    return [[y.windows[MATRIX[0] - 1]], [row.sum(dtype=np.float64, keepdims=True).astype(np.float32)]]


def _softmax() -> list[Arrays]:
    row, y = numbers(MATRIX[1]), _rows(np.zeros(MATRIX[1]))
    softmax.kernels("softmax_forward", x=_rows(row), y=y, columns=MATRIX[1])
    e = np.exp(row - row.max())
    return [list(y.windows.values()), [e / e.sum()]]


def _max_pool() -> list[Arrays]:
    shape = (2100, 32, 32, 1024)
    last = 2100 * 32 * 32 * 1024 - 256
    y, place = Sparse(shape, np.float32).set(last, np.zeros(256)), Sparse(shape, np.int32).set(last, np.zeros(256))
    one = {f"{name}{axis}": 1 for name in "KSD" for axis in "HW"}
    x = Sparse(shape, np.float32).set(last, numbers(256))
    pool.kernels("max_pool2d_forward", x=x, y=y, place=place, H=32, W=32, C=1024, OH=32, OW=32, PH=0, PW=0, **one)
    return [[y.windows[last], place.windows[last]], [numbers(256), np.full(256, 1023)]]


HUGE: dict[str, Callable[[], list[Arrays]]] = {
    "relu, huge": _relu, "mul, huge": _mul, "sum, huge": _sum, "softmax, huge": _softmax, "max_pool, huge": _max_pool
}  # fmt: skip


def arrays_of(run: str, device: str) -> Arrays:
    with mc.use_device(device):
        return RUNS[run]()


def wrong(run: str, order: int = 0) -> str:
    """Run on `cuda:sim`, checked, and return where the values differ from the definition's, or ""."""
    if run in HUGE:
        with emulation.checking(seconds=20), emulation.only_blocks(emulation.last_block):
            found, right = HUGE[run]()
    else:
        with emulation.checking(order=order, seconds=2):
            found, right = arrays_of(run, "cuda:sim"), arrays_of(run, "reference")
    for k, (a, b) in enumerate(zip(found, right, strict=True)):
        if not np.allclose(a, b, rtol=1e-4, atol=1e-5):
            return f"array {k}: {(~np.isclose(a, b, rtol=1e-4, atol=1e-5)).sum()} of {a.size} values are wrong"
    return ""

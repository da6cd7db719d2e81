"""The kernels' bytes, sectors, bank conflicts and operations, counted on `cuda:sim`, and what follows for two GPUs.

Each call is one of a real network's size; of each grid some blocks run. Registers, spills and shared memory come from
NVRTC. The times are estimates (`roofline.py`), not measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import minicnn as mc
import minicnn.functional as F

from .. import optim
from ..cuda import emulation, machine_code, nvrtc, source
from ..cuda.emulation.counts import Counted
from ..errors import DeviceError
from .roofline import A100, H100, Estimate, estimate

BLOCKS = 2
Call = Callable[..., Any]


def numbers(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return numbers about 0, in channels-last memory where they are images."""
    few = np.random.default_rng(0).standard_normal(4093).astype(np.float32)
    if len(shape) == 4:
        n, c, h, w = shape
        return np.resize(few, (n, h, w, c)).transpose(0, 3, 1, 2)
    return np.resize(few, shape)


IMAGES, ROWS = (64, 64, 56, 56), (4096, 1000)
CALLS: dict[str, tuple[Call, Sequence[tuple[int, ...]]]] = {  # on minicnn.functional, or what has the same functions
    "add": (lambda f, x, y: x + y, (IMAGES, IMAGES)),
    "mul": (lambda f, x, y: x * y, (IMAGES, IMAGES)),
    "exp": (lambda f, x: x.exp(), (IMAGES,)),
    "relu": (lambda f, x: f.relu(x), (IMAGES,)),
    "tanh": (lambda f, x: f.tanh(x), (IMAGES,)),
    "sum of rows": (lambda f, x: x.sum(1), (ROWS,)),
    "sum of columns": (lambda f, x: x.sum(0), (ROWS,)),
    "softmax": (lambda f, x: f.softmax(x, 1), (ROWS,)),
    "linear": (lambda f, x, w: f.linear(x, w), ((512, 4096), (4096, 4096))),
    **{
        f"conv2d 3 x 3, {c} channels": (lambda f, x, w: f.conv2d(x, w, padding=1), ((n, c, size, size), (c, c, 3, 3)))
        for n, c, size in ((64, 64, 56), (64, 128, 28), (128, 256, 14), (256, 512, 7))
    },
    "max_pool2d": (lambda f, x: f.max_pool2d(x, 3, stride=2, padding=1), (IMAGES,)),
    "avg_pool2d": (lambda f, x: f.avg_pool2d(x, 2), (IMAGES,)),
    "batch_norm": (lambda f, x, w, b: f.batch_norm(x, None, None, w, b, training=True), (IMAGES, (64,), (64,))),
    "layer_norm": (lambda f, x: f.layer_norm(x, (1000,)), (ROWS,)),
    "dropout": (lambda f, x: f.dropout(x, 0.5), ((256, 4096),)),
}
STEPS: dict[str, tuple[Call, Sequence[tuple[int, ...]]]] = {
    "cross_entropy": (lambda f, x: f.cross_entropy(x, mc.tensor(np.arange(ROWS[0]) % ROWS[1])), (ROWS,)),
    "SGD": (lambda f, x: _step(optim.SGD, x), ((4096, 4096),)),
    "Adam": (lambda f, x: _step(optim.Adam, x), ((4096, 4096),)),
}


def _step(kind: Call, x: mc.Tensor) -> None:
    x.grad = mc.ones(x.shape)
    kind([x], lr=0.1).step()


@dataclass(frozen=True)
class Row:
    """One kernel of one call."""

    call: str
    kernel: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    registers: int | None
    spilled: int | None
    shared: int | None
    megabytes: float
    coalescing: float
    bank_conflicts: float  # wavefronts beyond the least, by the least
    megaflops: float
    divergent: float
    estimates: dict[str, Estimate]


@dataclass(frozen=True)
class Results:
    """All kernels, in the order of their launches."""

    rows: list[Row]
    missing: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers."""
        return {"blocks": BLOCKS, "rows": [asdict(row) for row in self.rows], "missing": self.missing}

    def __str__(self) -> str:
        head = (
            f"{'kernel':34} {'grid':>14} {'block':>8} {'regs':>4} {'spill':>5} {'shared':>6} {'MB':>8} {'coal.':>6} "
            f"{'confl.':>6} {'Mflop':>9} {'div.':>5}"
        ) + "".join(f" | {gpu.name + ' us':>9} {'peak':>5} {'bandw.':>6} {'bound by':13}" for gpu in (A100, H100))
        lines, call = [head], ""
        for row in self.rows:
            if row.call != call:
                lines.append(f"{row.call}:")
                call = row.call
            lines.append(_line(row))
        lines.append(
            "coal.: least sectors by those touched; confl.: wavefronts of shared memory beyond the least; div.: warps' "
            "branches that\ndiverge, as g++ compiles them. Times are estimates from these counts and data sheets; "
            "nothing ran on a GPU."
        )
        return "\n".join([*lines, self.missing] if self.missing else lines)


def _line(row: Row) -> str:
    compiled = ("-" if n is None else n for n in (row.registers, row.spilled, row.shared))
    registers, spilled, shared = compiled
    grid, block = ("x".join(str(n) for n in _trimmed(size)) for size in (row.grid, row.block))
    return (
        f"  {row.kernel:32} {grid:>14} {block:>8} {registers:>4} {spilled:>5} {shared:>6} {row.megabytes:8.2f} "
        f"{row.coalescing:6.0%} {row.bank_conflicts:6.0%} {row.megaflops:9.1f} {row.divergent:5.0%}"
    ) + "".join(
        f" | {e.seconds * 1e6:9.1f} {e.of_peak:5.0%} {e.of_bandwidth:6.0%} {e.bound:13}" for e in row.estimates.values()
    )


def _trimmed(size: tuple[int, int, int]) -> tuple[int, ...]:
    return size[: 3 if size[2] > 1 else 2 if size[1] > 1 else 1]


def run(calls: Sequence[str] = (*CALLS, *STEPS)) -> Results:
    """Count all calls, forward and backward; those of operations without kernels are left out, and named."""
    rows, without = [], []
    for name in calls:
        call, shapes = (CALLS | STEPS)[name]
        with mc.use_device("cuda:sim"), emulation.counting(BLOCKS) as counted:
            try:
                _forward_and_backward(call, [mc.tensor(numbers(shape), requires_grad=True) for shape in shapes])
            except DeviceError as error:
                if "has no CUDA version" not in str(error):
                    raise
                without.append(name)
        rows += _rows(name, counted)
    lacks = [nvrtc.missing()] if nvrtc.missing() else []
    lacks += [f"without kernels: {', '.join(without)}"] if without else []
    return Results(rows, "; ".join(lacks))


def _forward_and_backward(call: Call, leaves: list[mc.Tensor]) -> None:
    y = call(F, *leaves)
    if y is not None:
        y.backward(mc.ones(y.shape) if y.shape else None)


def _rows(call: str, counted: list[Counted]) -> list[Row]:
    rows: dict[tuple[Any, ...], Row] = {}
    for c in counted:
        key = (c.kernel, c.grid, c.block)
        if key not in rows:
            rows[key] = _row(call, c)
    return list(rows.values())


def _row(call: str, c: Counted) -> Row:
    number, compiled = c.number, {}
    if not nvrtc.missing():
        text = next(s for s in map(source.read, _families()) if c.kernel.partition("<")[0] in s.kernels)
        compiled = {gpu: nvrtc.compile_kernels(text, gpu.architecture) for gpu in (A100, H100)}
    estimates = {
        gpu.name: estimate(
            c, of.resources[c.kernel], machine_code.read(of.cubin, of.names[c.kernel], gpu.architecture), gpu
        )
        for gpu, of in compiled.items()
    }
    resources = compiled[A100].resources[c.kernel] if compiled else None
    least = number["least_wavefronts"]
    return Row(
        call, c.kernel, c.grid, c.block,
        resources.registers if resources else None,
        resources.spilled if resources else None,
        resources.shared + c.dynamic_shared if resources else None,
        (c.whole("read_bytes") + c.whole("written_bytes")) / 1e6,
        c.coalescing,
        c.bank_conflicts / least if least else 0.0,
        c.flops * c.blocks / number["blocks"] / 1e6,
        number["divergent"] / number["branches"] if number["branches"] else 0.0,
        estimates,
    )  # fmt: skip


def _families() -> list[str]:
    return sorted(path.stem for path in source.shipped().glob("*.cu"))

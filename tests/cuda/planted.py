"""Bugs, one line each, planted into the real kernels: what runs, file, text, replacement.

python -m tests.cuda.planted        # plants all of them, prints which is found by what
"""

import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from minicnn.cuda import source
from minicnn.errors import DeviceError
from tests.cuda import runs


class Patch(NamedTuple):
    kind: str
    run: str
    file: str
    old: str
    new: str


OUTSIDE, SHARED_OUTSIDE = "outside global memory", "outside shared memory"
RACE, RACE_BLOCKS, BARRIER = "race in a block", "race between blocks", "barrier"
UNSET_SHARED, UNSET, MISALIGNED = "uninitialised shared", "uninitialised global", "misaligned"
OVERFLOW, LIMITS, LOOP, WILD, VALUE = (
    "overflow of an index",
    "limits of a GPU",
    "endless",
    "wild address",
    "wrong value",
)
SYNC = "    __syncthreads();\n"

PATCHES = [
    Patch(OUTSIDE, "relu", "activation.cu", "if (i < n) y[i] = x[i] > T(0)", "if (i <= n) y[i] = x[i] > T(0)"),
    Patch(OUTSIDE, "relu", "activation.cu", "if (i >= n) return;\n    T slope", "if (i > n) return;\n    T slope"),
    Patch(OUTSIDE, "add", "elementwise.cu", "z[i] = x[i] + y[i]", "z[i + 1] = x[i] + y[i]"),
    Patch(OUTSIDE, "bias", "reduce.cu", "y[column] = T(sum)", "y[column + 1] = T(sum)"),
    Patch(OUTSIDE, "max_pool", "pool.cu", "if (h < 0 || h >= H) continue;", "if (h < 0) continue;"),
    Patch(OUTSIDE, "batch_norm", "norm.cu", "if (channel < C) {", "if (channel <= C) {"),
    Patch(OUTSIDE, "local_response_norm", "norm.cu", "low = max(channel - size / 2, 0)", "low = channel - size / 2"),
    Patch(OUTSIDE, "dropout", "dropout.cu", "j + 4 <= n &&", "j <= n &&"),
    Patch(SHARED_OUTSIDE, "bias", "reduce.cu", "for (int k = 1; k < 8; ++k)", "for (int k = 1; k <= 8; ++k)"),
    Patch(SHARED_OUTSIDE, "softmax", "common.cuh", "largest[thread / 32] = v", "largest[thread / 32 + 30] = v"),
    Patch(SHARED_OUTSIDE, "var", "common.cuh", "sums[thread / 32] = v", "sums[thread] = v"),
    Patch(SHARED_OUTSIDE, "argmax", "reduce.cu", "int half = 64", "int half = 128"),
    Patch(SHARED_OUTSIDE, "adaptive_avg_pool", "pool.cu", "part[threadIdx.y][", "part[threadIdx.y + 1]["),
    Patch(SHARED_OUTSIDE, "batch_norm", "norm.cu", "part[1][threadIdx.y][", "part[2][threadIdx.y]["),
    Patch(RACE, "bias", "reduce.cu", "T(sum);\n    }", "T(sum);\n    }\n    part[0][threadIdx.x] = 0;"),
    Patch(RACE, "var", "common.cuh", SYNC, ""),
    Patch(RACE, "argmax", "reduce.cu", "        __syncthreads();\n", "        if (half == 64) __syncthreads();\n"),
    Patch(RACE, "sum", "reduce.cu", "threadIdx.x == 0 && row < rows) y[row]", "row < rows) y[row]"),
    Patch(RACE, "group_norm", "norm.cu", "if (threadIdx.x != 0) return;\n    mean", "mean"),
    Patch(RACE, "softmax", "common.cuh", "if (thread % 32 == 0) largest[thread / 32] = v", "largest[thread / 32] = v"),
    Patch(RACE, "adaptive_avg_pool", "pool.cu", "threadIdx.y != 0 || channel >= C) return;\n    for (int k = 1",
          "channel >= C) return;\n    for (int k = 1"),
    Patch(RACE_BLOCKS, "sum", "reduce.cu", "&& row < rows) y[row]", "&& row < rows) y[row / 2]"),
    Patch(RACE_BLOCKS, "softmax", "softmax.cu", "y[blockIdx.x * columns + i] = exp", "y[i] = exp"),
    Patch(RACE_BLOCKS, "bias", "reduce.cu", "y[column] = T(sum)", "y[column % 32] = T(sum)"),
    Patch(RACE_BLOCKS, "max_pool", "pool.cu", "((index_t)at.n * rows + at.row) * columns",
          "(index_t)(at.row % rows) * columns"),
    Patch(RACE_BLOCKS, "batch_norm", "norm.cu", "partial[(2LL * blockIdx.y) * C + channel] = sum",
          "partial[channel] = sum"),
    Patch(BARRIER, "sum", "reduce.cu", "    double sum = 0;\n",
          "    if (threadIdx.x >= 96) return;\n    double sum = 0;\n"),
    Patch(BARRIER, "argmax", "reduce.cu", "        __syncthreads();\n", "        if (t < half) __syncthreads();\n"),
    Patch(BARRIER, "bias", "reduce.cu", SYNC, "    if (threadIdx.y < 4) __syncthreads();\n"),
    Patch(BARRIER, "adaptive_avg_pool", "pool.cu", SYNC, "    if (channel >= C) return;\n    __syncthreads();\n"),
    Patch(BARRIER, "batch_norm", "norm.cu", SYNC, "    if (threadIdx.y) __syncthreads();\n"),
    Patch(BARRIER, "softmax", "common.cuh", "v = larger(v, __shfl", "if (thread % 32 < 30) v = larger(v, __shfl"),
    Patch(UNSET_SHARED, "bias", "reduce.cu", "= sum;\n" + SYNC, "= sum;\n"),
    Patch(UNSET_SHARED, "argmax", "reduce.cu", "    " + SYNC, ""),
    Patch(UNSET_SHARED, "softmax", "common.cuh", "v = largest[0];", "v = largest[5];"),
    Patch(UNSET_SHARED, "log_softmax", "common.cuh", "v += sums[w]", "v += sums[w + 1]"),
    Patch(UNSET_SHARED, "adaptive_avg_pool", "pool.cu", "part[threadIdx.y][threadIdx.x] = sum;",
          "if (threadIdx.y < 4) part[threadIdx.y][threadIdx.x] = sum;"),
    Patch(UNSET_SHARED, "batch_norm", "norm.cu", "    part[1][threadIdx.y][threadIdx.x] = two;\n", ""),
    Patch(UNSET, "relu", "activation.cu", "y[i] = x[i] > T(0)", "y[i] = y[i] > T(0)"),
    Patch(UNSET, "add", "elementwise.cu", "z[i] = x[i] + y[i]", "z[i] += x[i] + y[i]"),
    Patch(UNSET, "sigmoid", "activation.cu", "if (i < n) dx[i] = dy[i] * y[i]",
          "if (i < n && i % 7) dx[i] = dy[i] * y[i]"),
    Patch(UNSET, "max_pool", "pool.cu", "    y[at.index] = best;", "    if (winner) y[at.index] = best;"),
    Patch(UNSET, "batch_norm", "norm.cu", "    partial[(2LL * blockIdx.y + 1) * C + channel] = squares;\n",
          "    if (blockIdx.y) partial[(2LL * blockIdx.y + 1) * C + channel] = squares;\n"),
    Patch(UNSET, "local_response_norm", "norm.cu", "s[i] = k + share", "s[i] += k + share"),
    Patch(UNSET, "dropout", "dropout.cu", "if (!whole && inside)", "if (!whole && inside && k)"),
    Patch(MISALIGNED, "add", "elementwise.cu", "= x[i] + y[i]", "= ((const float2*)(x + (i & 1)))->x + y[i]"),
    Patch(MISALIGNED, "relu", "activation.cu", "if (i < n) y[i] = x[i] > T(0)",
          "if (i < n) y[i] = T(((const double2*)(x + 2 * (i & 1)))->x) + x[i] > T(0)"),
    Patch(MISALIGNED, "sum", "reduce.cu", "sum += x[row * columns + i];",
          "sum += ((const float2*)(x + row * columns + i))->x;"),
    Patch(MISALIGNED, "dropout", "dropout.cu", "copy_four(x + j, four)", "copy_four(x + j + (j > 0), four)"),
    Patch(MISALIGNED, "max_pool", "pool.cu", "T v = image[(index_t)(h * W + w) * C];",
          "T v = T(((const float2*)(image + (index_t)(h * W + w) * C))->x);"),
    Patch(OVERFLOW, "relu, huge", "common.cuh", "(index_t)blockIdx.x * blockDim.x + threadIdx.x",
          "int(blockIdx.x) * int(blockDim.x) + int(threadIdx.x)"),
    Patch(OVERFLOW, "mul, huge", "common.cuh", "(index_t)blockIdx.x * blockDim.x", "blockIdx.x * blockDim.x"),
    Patch(OVERFLOW, "relu, huge", "activation.cu", "index_t i = global_index();", "int i = (int)global_index();"),
    Patch(OVERFLOW, "sum, huge", "reduce.cu", "x[row * columns + i]", "x[int(row) * int(columns) + i]"),
    Patch(OVERFLOW, "softmax, huge", "softmax.cu", "x + blockIdx.x * columns", "x + int(blockIdx.x) * int(columns)"),
    Patch(OVERFLOW, "max_pool, huge", "pool.cu", "((index_t)at.n * rows + at.row) * columns * channels + i",
          "(at.n * rows + at.row) * columns * channels + i"),
    Patch(OVERFLOW, "max_pool, huge", "pool.cu", "x + (index_t)at.n * H * W * C", "x + at.n * H * W * C"),
    Patch(LIMITS, "argmax", "reduce.cu", "T best[128]", "T best[12800]"),
    Patch(LIMITS, "adaptive_avg_pool", "pool.cu", "double part[8][32]", "double part[80][100]"),
    Patch(LIMITS, "batch_norm", "norm.cu", "double part[2][8][32]", "double part[2][96][33]"),
    Patch(LIMITS, "sum", "common.cuh", "T sums[32]", "T sums[8192]"),
    Patch(LOOP, "relu", "activation.cu", "if (i < n) y[i] = x[i] > T(0)", "while (n) if (i < n) y[i] = x[i] > T(0)"),
    Patch(LOOP, "sum", "reduce.cu", "i += blockDim.x) sum += x[row", "i += 0) sum += x[row"),
    Patch(LOOP, "softmax", "softmax.cu", "i += blockDim.x) largest", "i %= columns) largest"),
    Patch(LOOP, "max_pool", "pool.cu", "i < KH; ++i)", "i < KH; i += DH - 1)"),
    Patch(WILD, "relu", "activation.cu", "y[i] = x[i] > T(0)", "y[i + (1LL << 50)] = x[i] > T(0)"),
    Patch(WILD, "max_pool", "pool.cu", "T v = image[(index_t)", "T v = image[-(1LL << 45) + (index_t)"),
    Patch(WILD, "batch_norm", "norm.cu", "mean[channel], s", "mean[channel << 28], s"),
    Patch(VALUE, "relu", "activation.cu", "dx[i] = y[i] <= T(0)", "dx[i] = y[i] < T(0)"),
    Patch(VALUE, "bias", "reduce.cu", "int k = 1; k < 8", "int k = 2; k < 8"),
    Patch(VALUE, "var", "reduce.cu", "sum += d * d", "sum += d * d * (i > 9)"),
    Patch(VALUE, "max_pool", "pool.cu", "winner = h * W + w;", "winner = w * H + h;"),
    Patch(VALUE, "max_pool", "pool.cu", "q = lastQ; q >= 0", "q = lastQ - 1; q >= 0"),
    Patch(VALUE, "avg_pool", "pool.cu", "border = padded ? padding : 0", "border = padded ? 0 : padding"),
    Patch(VALUE, "batch_norm", "norm.cu", "squares / rows - d * d", "squares / rows + d * d"),
    Patch(VALUE, "local_response_norm", "norm.cu", "(size - 1) / 2, C - 1)", "size / 3, C - 1)"),
    Patch(VALUE, "dropout", "dropout.cu", "round < 10", "round < 9"),
    Patch(OUTSIDE, "matmul", "matmul.cu", "if (i < N) z[", "if (i <= N) z["),
    Patch(RACE, "matmul", "matmul.cu", "        }\n        __syncthreads();\n    }", "        }\n    }"),
    Patch(UNSET_SHARED, "matmul", "matmul.cu", "        __syncthreads();\n        for", "        for"),
    Patch(BARRIER, "matmul", "matmul.cu", "    for (index_t k = 0; k < K; k += TILE) {",
          "    if (column + threadIdx.x >= M) return;\n    for (index_t k = 0; k < K; k += TILE) {"),
    Patch(SHARED_OUTSIDE, "matmul", "matmul.cu", "i < TILE; ++i) {", "i <= TILE + 1; ++i) {"),
    Patch(VALUE, "matmul", "matmul.cu", "i < TILE; ++i) {", "i < TILE - 1; ++i) {"),
    Patch(OUTSIDE, "unfold", "im2col.cu", "h >= 0 && h < H &&", "h < H &&"),
    Patch(VALUE, "fold", "im2col.cu", "down % SH != 0 || ", ""),
    Patch(VALUE, "unfold", "im2col.cu", "w < W ? x[(plane * H + h) * W + w]", "w < W ? x[(plane * H + h) * W + q]"),
    Patch(OUTSIDE, "conv", "conv.cu", "h >= 0 && h < down.size", "h < down.size"),
    Patch(OUTSIDE, "conv of eights", "conv.cu", "if (p >= pixels) continue;", "if (p > pixels) continue;"),
    Patch(RACE, "conv", "conv.cu", "[1 - step % 2]);\n        __syncthreads();", "[1 - step % 2]);"),
    Patch(RACE, "conv of eights", "conv.cu", "panels.x[1 - step % 2], ", "panels.x[step % 2], "),
    Patch(UNSET_SHARED, "conv", "conv.cu", "    loader.put(panels.x[0], panels.w[0]);\n", ""),
    Patch(MISALIGNED, "conv of eights", "conv.cu", "mine.row + 16 * m]", "mine.row + 14 * m]"),
    Patch(MISALIGNED, "conv of eights", "conv.cu", "lane / 8 * 4;", "lane / 8 * 3;"),
    Patch(VALUE, "conv", "conv.cu", "* b[n / 4][n % 4]", "* b[n / 4][m % 4]"),
    Patch(VALUE, "conv of eights", "conv.cu", "* b[n / 4][n % 4]", "* b[0][n % 4]"),
    Patch(VALUE, "argmax of ties", "reduce.cu", "&& i < j;", "&& i > j;"),
]  # fmt: skip


def plant(patch: Patch, folder: Path) -> None:
    """Copy the kernels to a folder, this one with its bug."""
    shutil.copytree(source.shipped(), folder)
    path = folder / patch.file
    text = path.read_text(encoding="utf-8")
    assert patch.old in text, f"{patch.file} has no {patch.old!r}"
    path.write_text(text.replace(patch.old, patch.new, 1), encoding="utf-8")


def found_by(patch: Patch) -> tuple[str, str]:
    """Return what finds a planted bug, "check", "comparison" or "nothing", and its words. MINICNN_KERNELS is set."""
    try:
        words = runs.wrong(patch.run)
    except DeviceError as error:
        if "g++ rejects" in str(error) or "has no CUDA version" in str(error):
            raise
        return "check", str(error)
    return ("comparison" if words else "nothing"), words


def main() -> None:
    table: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        for number, patch in enumerate(PATCHES):
            folder = Path(temporary, str(number))
            plant(patch, folder)
            os.environ["MINICNN_KERNELS"] = str(folder)
            by, words = found_by(patch)
            table[patch.kind, by] += 1
            print(f"{by:10}  {patch.kind}: {words}", flush=True)
    ways = ("check", "comparison", "nothing")
    print(f"\n{'planted':24}" + "".join(f"{way:>12}" for way in ways))
    for kind in dict.fromkeys(patch.kind for patch in PATCHES):
        print(f"{kind:24}" + "".join(f"{table[kind, way]:12}" for way in ways))
    print(f"{'all':24}" + "".join(f"{sum(n for (_, by), n in table.items() if by == way):12}" for way in ways))


if __name__ == "__main__":
    main()

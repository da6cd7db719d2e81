"""Files in dlib's two formats, written from the description of the formats alone."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

BLOCKS = [32] * 3 + [64] * 4 + [128] * 3 + [256] * 4
HALVES = {3, 7, 10, 13}


def whole(*numbers: int) -> bytes:
    """Each as one byte, its sign and how many follow, and then these, the lowest first."""
    result = b""
    for number in numbers:
        size = max(1, (abs(number).bit_length() + 7) // 8)
        result += bytes([size | (0x80 if number < 0 else 0)]) + abs(number).to_bytes(size, "little")
    return result


def real(number: float) -> bytes:
    """Mantissa and exponent."""
    mantissa, exponent = math.frexp(number)
    return whole(int(mantissa * 2**24), exponent - 24)


def text(name: str) -> bytes:
    return whole(len(name)) + name.encode()


def tensor(numbers: np.ndarray, *shape: int) -> bytes:
    return whole(2, *shape) + numbers.astype("<f4").tobytes()


END = b"110" + 3 * tensor(np.zeros(0), 0, 0, 0, 0)
FACTORS = real(1.0) + real(1.0) + real(1.0) + real(0.0)


def network(rng: np.random.Generator) -> tuple[bytes, dict[str, np.ndarray]]:
    """A file of the face network with random weights, and these by dlib's order of layers."""
    parts: list[bytes] = []
    weights: dict[str, np.ndarray] = {}

    def convolution(name: str, channels: int, filters: int, kernel: int, stride: int) -> None:
        w = rng.normal(0, (2 / (channels * kernel**2)) ** 0.5, (filters, channels, kernel, kernel)).astype(np.float32)
        b = rng.normal(0, 0.1, filters).astype(np.float32)
        weights[f"{name}.weight"], weights[f"{name}.bias"] = w, b
        numbers = np.concatenate((w.ravel(), b))
        padding = 0 if stride > 1 else kernel // 2
        parts.append(
            text("con_4") + tensor(numbers, numbers.size, 1, 1, 1)
            + whole(filters, kernel, kernel, stride, stride, padding, padding)
            + whole(1, filters, channels, kernel, kernel) + whole(1, 1, filters, 1, 1) + FACTORS + END
        )  # fmt: skip

    def affine(name: str, channels: int) -> None:
        gamma = rng.uniform(0.5, 1, channels).astype(np.float32)
        beta = rng.normal(0, 0.1, channels).astype(np.float32)
        weights[f"{name}.weight"], weights[f"{name}.bias"] = gamma, beta
        alias = whole(1, 1, channels, 1, 1)
        numbers = np.concatenate((gamma, beta))
        parts.append(text("affine_") + tensor(numbers, 2 * channels, 1, 1, 1) + alias + alias + whole(0) + END)

    def plain(name: str, *settings: int) -> None:
        parts.append(text(name) + whole(*settings) + END)

    parts.append(text("input_rgb_image_sized") + real(122.5) + real(117.0) + real(104.25) + whole(150, 150))
    convolution("conv1", 3, 32, 7, 2)
    parts.append(whole(1))
    affine("bn1", 32)
    plain("relu_")
    plain("max_pool_2", 3, 3, 2, 2, 0, 0)
    channels = 32
    for number, width in enumerate(BLOCKS):
        convolution(f"{number}.conv1", channels, width, 3, 2 if number in HALVES else 1)
        affine(f"{number}.bn1", width)
        plain("relu_")
        convolution(f"{number}.conv2", width, width, 3, 1)
        affine(f"{number}.bn2", width)
        if number in HALVES:
            plain("avg_pool_2", 2, 2, 2, 2, 0, 0)
        plain("add_prev_")
        plain("relu_")
        channels = width
    plain("avg_pool_2", 0, 0, 1, 1, 0, 0)
    w = rng.normal(0, 1 / 16, (256, 128)).astype(np.float32)
    weights["fc"] = w
    parts.append(
        text("fc_2") + whole(128, 256) + tensor(w, 256, 128, 1, 1) + whole(1, 256, 128, 1, 1) + whole(1, 0, 0, 0, 0)
        + whole(1) + FACTORS + END
    )  # fmt: skip
    versions = [2, 2]
    for number in reversed(range(len(BLOCKS))):
        versions += ([2, 2, 2, 1, 1] if number in HALVES else [2, 2]) + [2, 2, 2, 2, 2, 1]
    head = whole(1) + text("loss_metric_2") + real(0.04) + real(0.6) + whole(*versions, 2, 2, 2, 3)
    return head + b"".join(parts), weights


def matrix(numbers: Iterable[float]) -> bytes:
    column = list(numbers)
    return whole(-len(column), -1) + b"".join(map(real, column))


def cascade(
    rng: np.random.Generator, stages: int = 2, trees: int = 3, questions: int = 3, pixels: int = 6
) -> tuple[bytes, dict[str, np.ndarray]]:
    """A file of a finder of five points with random numbers, and these."""
    found = {
        "shape": rng.uniform(0.2, 0.8, (5, 2)),
        "pairs": rng.integers(0, pixels, (stages, trees, questions, 2)),
        "thresholds": rng.normal(0, 20, (stages, trees, questions)),
        "leaves": rng.normal(0, 0.01, (stages, trees, questions + 1, 5, 2)),
        "anchors": rng.integers(0, 5, (stages, pixels)),
        "offsets": rng.normal(0, 0.1, (stages, pixels, 2)),
    }
    for name in ("shape", "thresholds", "leaves", "offsets"):
        found[name] = found[name].astype(np.float32)
    content = whole(1) + matrix(found["shape"].ravel()) + whole(stages)
    for s in range(stages):
        content += whole(trees)
        for t in range(trees):
            content += whole(questions)
            for pair, threshold in zip(found["pairs"][s, t], found["thresholds"][s, t]):
                content += whole(*map(int, pair)) + real(threshold)
            content += whole(questions + 1) + b"".join(matrix(leaf.ravel()) for leaf in found["leaves"][s, t])
    content += whole(stages)
    for s in range(stages):
        content += whole(pixels, *map(int, found["anchors"][s]))
    content += whole(stages)
    for s in range(stages):
        content += whole(pixels) + b"".join(map(real, found["offsets"][s].ravel()))
    return content, found

"""Which refusals are right, and why: what PyTorch's and ONNX's samples ask for that is outside of interface.md.

A limit is a pattern of operations (in the names of the table) and one of minicnn's text. A refusal that no limit
covers counts as wrong; a limit that nothing needs any more fails a test.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


class Outside(Exception):
    """A sample that cannot be written with the operations of `minicnn.functional`; the text says why."""


@dataclass(frozen=True)
class Limit:
    """A kind of refusal, and the reason why it is right."""

    operation: str
    text: str
    reason: str


WINDOWS = r"nn\.functional\.(conv2d|conv_transpose2d|(max|avg)_pool2d|adaptive_(max|avg)_pool2d|unfold|dropout2d)"
ONNX_WINDOWS = "Conv|ConvTranspose|MaxPool|AveragePool|LpPool|GlobalMaxPool|GlobalAveragePool"
LIMITS = [
    Limit(
        f"{WINDOWS}|{ONNX_WINDOWS}|nn\\.functional\\.local_response_norm",
        r"has shape \(\d+, \d+, \d+\), needs a batch \(N, C, H, W\); give a single image its batch axis",
        "rank: images come in batches (N, C, H, W), a single one is refused with the way to add its axis",
    ),
    Limit(
        f"{ONNX_WINDOWS}|Col2Im",
        r"has shape .* needs four axes|has 3 numbers .* needs one or two \(H, W\)|a kernel of \d axes",
        "rank: windows are two-dimensional",
    ),
    Limit(
        r"nn\.functional\.batch_norm.*",
        r"input has shape \(\d+,\), needs \(N, C\), \(N, C, L\) or \(N, C, H, W\)",
        "rank: an input without a channel axis",
    ),
    Limit(
        r".*",
        r"is (u?int\d+|bool|float16), needs float32 or float64",
        "type: layers and losses work in float32 and float64",
    ),
    Limit(
        r".*",
        r"^(type \w+ is not one of minicnn|an input of type \w+ is not a tensor of minicnn)|needs real numbers, got",
        "type: strings, sequences, complex numbers, bfloat16 and narrower are no types of minicnn",
    ),
    Limit(
        r".*",
        r"^a memory_format is an object of PyTorch's",
        "argument: minicnn has no memory_format, and no object to give for it",
    ),
    Limit(
        r"arange|cat|amax|amin|mean",
        r"^TypeError: \w+\(\) got an unexpected keyword argument '(out|dtype)'",
        "argument: interface.md has no out= and no dtype= here; both sides refuse, minicnn in Python's own words",
    ),
    Limit(
        r"(add|sub).*",
        r"alpha must be a number, got False|does not fit into uint8",
        "argument: a factor that the type cannot hold, which PyTorch wraps around silently",
    ),
    Limit(
        r"full_like",
        r"does not fit into uint8",
        "value: a number that the type cannot hold, which PyTorch wraps around silently",
    ),
    Limit(
        r"arange",
        r"start must be a number, got False",
        "value: False is no number to count from",
    ),
    Limit(
        r"__rpow__|pow.*",
        r"an integer to a negative power is no integer",
        "value: PyTorch cuts the fraction off silently",
    ),
    Limit(
        r"zero_",
        r"an in-place write into a tensor that requires a gradient is not recorded",
        "the tape records no in-place writes",
    ),
    Limit(
        "ReduceMax|ReduceMin",
        r"has no elements along axes .* to choose from",
        "value: no elements have no largest; PyTorch refuses it, too",
    ),
    Limit("MaxPool", "attribute storage_order", "argument: indices count in row-major order"),
    Limit("AveragePool|LpPool", "has no dilation", "argument: only max_pool2d has dilation, as in PyTorch"),
    Limit("Dropout", "drawn by NumPy's generator", "random: another generator draws another mask"),
    Limit("OneHot", "labels outside of the depth", "value: labels must be in the range, as in PyTorch"),
]

ACCEPTED = [
    Limit(
        r"eq|ne|lt|le|gt|ge|maximum|minimum|(max|min)\.binary",
        r"TypeError: \w+\(\)(:| received)",
        "a number may stand on either side of a comparison, as with the operator signs",
    ),
]
"""Calls that PyTorch refuses and minicnn takes; the text is the beginning of PyTorch's."""


def reason(limits: list[Limit], operation: str, text: str) -> str:
    """Return the reason why a refusal is right, or nothing."""
    for limit in limits:
        if re.fullmatch(limit.operation, operation) and re.search(limit.text, text):
            return limit.reason
    return ""

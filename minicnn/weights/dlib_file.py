"""`load_dlib`: the trained face network of dlib, `dlib_face_recognition_resnet_model_v1.dat`.

dlib writes a network from its last layer to its first, but as nested objects, so that the file holds first a
version number for each layer, the last one's first, and then the content of the layers, the first one's first. How
numbers are written:

    whole number   one byte: bit 7 the sign, the rest how many bytes follow (1 … 8), the lowest first
    float          two whole numbers, mantissa and exponent: mantissa · 2^exponent
    bool           the character 0 or 1
    text           a whole number, its length, then its bytes
    tensor         version 2, four sizes (N, K, H, W), then the numbers as float32, the lowest byte first
    alias          version 1, four sizes: a part of a layer's parameters, filters (O, C, KH, KW) or one per channel

Every layer is introduced by a text (con_4, affine_, relu_, max_pool_2, …) and ends in three bools and three tensors of
its training, which are empty in a file that was cleaned. The reader knows the network, so it compares everything that
stands in the file with what must stand there; only the parameters and the means of the input are read.

Source: the code of dlib 19, `dlib/serialize.h`, `dlib/cuda/tensor.h`, `dlib/dnn/core.h`, `dlib/dnn/layers.h`; its
example `dnn_face_recognition_ex.cpp` for the network.
"""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np

from .._tensor import Tensor
from ..errors import CheckpointError
from .elements import Array, to_tensor
from .files import Source, read

FILE = "dlib_face_recognition_resnet_model_v1.dat"
# Output channels and whether the block halves the picture: 32 to 256 channels, 14 blocks, 28 convolutions.
BLOCKS = [
    *((32, False), (32, False), (32, False)),
    *((64, True), (64, False), (64, False), (64, False)),
    *((128, True), (128, False), (128, False)),
    *((256, True), (256, False), (256, False), (256, True)),
]
STAGES = {32: "layer1", 64: "layer2", 128: "layer3", 256: "layer4"}
EMBEDDING = 128
# The affine layers become batch normalisation in eval mode with mean 0 and variance + eps = 1.
EPS = 1e-4


def load_dlib(source: Source) -> dict[str, Tensor]:
    """Return the state dict for `mc.models.face_resnet29` from dlib's file, given its path or bytes.

    The file is in the package face_recognition_models 0.3.0 on PyPI (`pip install minicnn[faces]`), and `find_dlib`
    says where. Tensors are made on the current device.
    Raises CheckpointError when the file cannot be read, is damaged, or holds another network. It has no checksum:
    damage in the weights stays unnoticed.
    """
    data, where = read("load_dlib", source)
    return _Reader(where, data).network()


def find_dlib(file: str = FILE) -> Path:
    """Return where the package face_recognition_models, if it is installed, has a file of dlib's.

    The package is found, not imported: it needs pkg_resources, which newer versions of setuptools do not have.
    Raises CheckpointError, which says how to get it, when it is not there.
    """
    try:
        spec = importlib.util.find_spec("face_recognition_models")
    except ValueError:  # something without a specification stands in sys.modules
        spec = None
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder, "models", file)
        if path.is_file():
            return path
    raise CheckpointError(
        f"find_dlib: {file} is not installed; `pip install minicnn[faces]` gets it (100 MB), or give the file itself"
    )


def block_names() -> list[str]:
    """Return the names of the residual blocks: layer1.0 … layer4.3."""
    counts: dict[str, int] = {}
    names = []
    for channels, _ in BLOCKS:
        stage = STAGES[channels]
        names.append(f"{stage}.{counts.get(stage, 0)}")
        counts[stage] = counts.get(stage, 0) + 1
    return names


class _Reader:
    def __init__(self, where: str, data: bytes) -> None:
        self.where, self.data, self.position = where, data, 0
        self.state: dict[str, Array] = {}

    # The network

    def network(self) -> dict[str, Tensor]:
        self.header()
        self.input()
        self.convolution("conv1", 3, 32, 7, 2)
        self.end_of_layer()
        self.expect("sample expansion factor", self.integer(), 1)
        self.affine("bn1", 32)
        self.end_of_layer()
        self.plain("relu_")
        self.plain("max_pool_2", 3, 3, 2, 2, 0, 0)
        channels = 32
        for name, (width, halves) in zip(block_names(), BLOCKS):
            self.convolution(f"{name}.conv1", channels, width, 3, 2 if halves else 1)
            self.end_of_layer()
            self.affine(f"{name}.bn1", width)
            self.end_of_layer()
            self.plain("relu_")
            self.convolution(f"{name}.conv2", width, width, 3, 1)
            self.end_of_layer()
            self.affine(f"{name}.bn2", width)
            self.end_of_layer()
            if halves:
                self.plain("avg_pool_2", 2, 2, 2, 2, 0, 0)
            self.plain("add_prev_")
            self.plain("relu_")
            channels = width
        self.plain("avg_pool_2", 0, 0, 1, 1, 0, 0)  # a window of 0 is the whole picture
        self.linear("fc", channels, EMBEDDING)
        self.end_of_layer()
        if self.position != len(self.data):
            raise self.error(f"has {len(self.data) - self.position} bytes behind the network")
        return {name: to_tensor(array) for name, array in self.state.items()}

    def header(self) -> None:
        """Read what stands before the first layer: the loss, and the versions of all layers, the last one's first."""
        self.expect("version of the loss layer", self.integer(), 1)
        self.expect("loss", self.text(), "loss_metric_2")
        for _ in ("margin", "distance threshold"):
            self.number()
        # fc and the last pooling; of each block, from the last, relu, add_prev and 5 layers, then a tag; where it
        # halves the picture a pooling, a skip and a tag besides; pooling, relu and affine of the stem; conv1 and input
        versions = [2, 2]
        for _, halves in reversed(BLOCKS):
            versions += [2, 2, 2, 1, 1] if halves else [2, 2]
            versions += [2, 2, 2, 2, 2, 1]
        for version in [*versions, 2, 2, 2, 3]:
            self.expect("version of a layer", self.integer(), version)

    def input(self) -> None:
        self.text_is("input_rgb_image_sized")
        mean = [self.number() for _ in range(3)]
        if not 0 <= min(mean) <= max(mean) <= 255:
            raise self.error("subtracts colours that are not in 0 … 255")
        self.state["mean"] = np.array(mean, np.float32).reshape(1, 3, 1, 1)
        self.expect("height of the input", self.integer(), 150)
        self.expect("width of the input", self.integer(), 150)

    def convolution(self, name: str, channels: int, filters: int, kernel: int, stride: int) -> None:
        self.text_is("con_4")
        size = filters * channels * kernel * kernel
        parameters = self.tensor(name, (size + filters, 1, 1, 1))
        padding = 0 if stride > 1 else kernel // 2
        for what, wanted in (
            ("filters", filters), ("height", kernel), ("width", kernel), ("stride", stride), ("stride", stride),
            ("padding", padding), ("padding", padding),
        ):  # fmt: skip
            self.expect(f"{name}: {what}", self.integer(), wanted)
        self.alias(name, (filters, channels, kernel, kernel))
        self.alias(name, (1, filters, 1, 1))
        self.multipliers()
        self.state[f"{name}.weight"] = parameters[:size].reshape(filters, channels, kernel, kernel)
        self.state[f"{name}.bias"] = parameters[size:].copy()

    def affine(self, name: str, channels: int) -> None:
        self.text_is("affine_")
        parameters = self.tensor(name, (2 * channels, 1, 1, 1))
        self.alias(name, (1, channels, 1, 1))
        self.alias(name, (1, channels, 1, 1))
        self.expect(f"{name}: mode", self.integer(), 0)
        self.state[f"{name}.weight"] = parameters[:channels].copy()
        self.state[f"{name}.bias"] = parameters[channels:].copy()
        self.state[f"{name}.running_mean"] = np.zeros(channels, np.float32)
        self.state[f"{name}.running_var"] = np.full(channels, 1 - EPS, np.float32)

    def linear(self, name: str, features: int, outputs: int) -> None:
        self.text_is("fc_2")
        self.expect(f"{name}: outputs", self.integer(), outputs)
        self.expect(f"{name}: inputs", self.integer(), features)
        parameters = self.tensor(name, (features, outputs, 1, 1))
        self.alias(name, (features, outputs, 1, 1))
        self.alias(name, (0, 0, 0, 0))
        self.expect(f"{name}: bias mode", self.integer(), 1)
        self.multipliers()
        self.state[f"{name}.weight"] = np.ascontiguousarray(parameters.reshape(features, outputs).T)

    def plain(self, name: str, *settings: int) -> None:
        """Read a layer without parameters."""
        self.text_is(name)
        for wanted in settings:
            self.expect(f"a setting of {name}", self.integer(), wanted)
        self.end_of_layer()

    def multipliers(self) -> None:
        """Read the factors of learning rate and weight decay, which matter for training only."""
        for _ in range(4):
            self.number()

    def end_of_layer(self) -> None:
        for _ in range(3):
            if self.take(1, "a bool") not in (b"0", b"1"):
                raise self.error("holds a bool that is neither 0 nor 1")
        for _ in range(3):
            self.tensor("what a layer keeps for training", (0, 0, 0, 0))

    # Its parts

    def tensor(self, name: str, shape: tuple[int, ...]) -> Array:
        self.expect(f"{name}: version of a tensor", self.integer(), 2)
        self.expect(f"{name}: shape", tuple(self.integer() for _ in range(4)), shape)
        numbers = np.frombuffer(self.take(4 * math.prod(shape), name), "<f4").astype(np.float32)
        if not np.isfinite(numbers).all():
            raise self.error(f"{name} holds an infinity or a nan")
        return numbers

    def alias(self, name: str, shape: tuple[int, ...]) -> None:
        self.expect(f"{name}: version of an alias", self.integer(), 1)
        self.expect(f"{name}: shape", tuple(self.integer() for _ in range(4)), shape)

    def text_is(self, wanted: str) -> None:
        self.expect("layer", self.text(), wanted)

    def text(self) -> str:
        length = self.integer()
        if not 0 <= length <= 100:
            raise self.error(f"holds a name of {length} characters")
        return self.take(length, "a name").decode("latin-1")

    def number(self) -> float:
        mantissa, exponent = self.integer(), self.integer()
        if abs(mantissa) >= 2**53 or abs(exponent) > 900:  # so that the number is finite
            raise self.error(f"holds the number {mantissa} · 2^{exponent}")
        return math.ldexp(mantissa, exponent)

    def integer(self) -> int:
        head = self.take(1, "a whole number")[0]
        size = head & 0x7F
        if not 1 <= size <= 8:
            raise self.error(f"holds a whole number of {size} bytes")
        value = int.from_bytes(self.take(size, "a whole number"), "little")
        return -value if head & 0x80 else value

    def take(self, size: int, what: str) -> bytes:
        end = self.position + size
        if end > len(self.data):
            raise self.error(f"is cut short: {what} needs {size} bytes")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def expect(self, what: str, found: Any, wanted: Any) -> None:
        if found != wanted:
            raise self.error(f"is not dlib's face network: {what} is {found!r}, needs {wanted!r}")

    def error(self, text: str) -> CheckpointError:
        return CheckpointError(f"{self.where} {text} (byte {self.position} of {len(self.data)})")

"""Seeing inside a network: each question is one function, and its answer is numbers and one picture.

    model = mc.models.alexnet_orl()
    x = mc.randn(2, 1, 112, 92)
    maps = mc.inspect.feature_maps(model, x, "features.0")
    maps.values.shape                                # (2, 32, 56, 46)
    maps.plot("maps.png")                            # draws the maps of the first picture
    mc.inspect.grad_cam(model, x, 3, "features.12").plot("why_class_3.png")

A layer is given by its name, as `model.named_modules()` and `mc.summary` show it, or as the module itself. Models run
in eval mode unless a function says otherwise; their modes, weights, running statistics, gradients and the state of the
random numbers stay as they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _watch, random
from ._tensor import Tensor, tensor
from .autograd import grad, no_grad
from .cpu.switches import use_winograd
from .errors import DTypeError, ShapeError
from .ops import arguments

if TYPE_CHECKING:
    from .nn import Module

Array = npt.NDArray[Any]
Histograms = dict[str, tuple[Array, Array]]
BINS = 50
MOST_MAPS = 64  # in one picture


@dataclass(frozen=True)
class Seen:
    """An answer: `values`, the numbers as each function says, and a picture of them."""

    values: Any
    draw: Callable[[], Any]

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Return the picture as a Matplotlib figure, having written it to a file if `path` names one."""
        figure = self.draw()
        if path is not None:
            figure.savefig(path, dpi=110)
        return figure


# Maps and filters


def feature_maps(model: Module, x: Tensor, layer: str | Module) -> Seen:
    """Return what a layer makes of a batch: `values` is its output, (N, C, H, W) or (N, features).

    The picture shows the channels for the first item, at most 64, each in its own shades of grey.
    Raises ShapeError for a layer that the model has not, or does not call.
    """
    with _undisturbed(model), no_grad(), _output("feature_maps", model, layer, keep=True) as found:
        model.eval()(x)
    values = found.tensor().numpy().copy()
    name = _name(model, layer)
    return Seen(values, lambda: _map_sheet(values[0], f"{name}: {values.shape[1]} maps"))


def filters(layer: Module) -> Seen:
    """Return the weights of a convolution: `values` is (O, C/G, KH, KW).

    The picture shows the filters of the first layer of a colour network in colour, any other one channel by channel:
    a row for each filter, at most 64 rows and 16 columns.
    Raises ShapeError for a layer whose weight has not four axes.
    """
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim != 4:
        raise ShapeError(f"filters: layer is a {type(layer).__name__}, needs one with a weight (O, C, KH, KW)")
    values = weight.numpy().copy()

    def draw() -> Any:
        if values.shape[1] == 3:
            return _map_sheet(values[:MOST_MAPS].transpose(0, 2, 3, 1), f"{len(values)} filters")
        shown = values[:MOST_MAPS, :16]
        return _map_sheet(shown.reshape(-1, *shown.shape[2:]), f"{len(values)} filters", columns=shown.shape[1])

    return Seen(values, draw)


# Which pixels matter


def grad_cam(model: Module, x: Tensor, class_index: int | Sequence[int] | None, layer: str | Module) -> Seen:
    """Return where a layer's maps A speak for a class: `values` is (N, H, W), the layer's height and width.

        values = max(0, Σ_k α_k A_k),   α_k = mean over the pixels of ∂ logit / ∂ A_k

    `class_index` is one class for all pictures, or one for each, or None for each picture's most probable one. The
    picture lays the values over the first of `x`.
    Raises ShapeError for a layer that the model has not, does not call, or whose output is not (N, C, H, W).
    Source: Selvaraju et al. 2017, Grad-CAM, section 3.
    """
    with _undisturbed(model), _output("grad_cam", model, layer) as found:
        logits = model.eval()(x)
        maps = found.tensor()
        if maps.ndim != 4:
            raise ShapeError(f"grad_cam: layer {_name(model, layer)} gives {maps.shape}, needs maps (N, C, H, W)")
        gradient = _gradient("grad_cam", logits, class_index, maps)
    alpha = gradient.mean((2, 3), keepdims=True)
    values = np.maximum((alpha * maps.numpy()).sum(1), 0)
    return Seen(values, lambda: _overlay(x.numpy()[0], values[0], "class activation"))


def saliency(model: Module, x: Tensor, class_index: int | Sequence[int] | None = None) -> Seen:
    """Return how strongly each pixel moves the logit of a class: `values` is (N, H, W).

        values = max over the channels of |∂ logit / ∂ x|

    `class_index` as for `grad_cam`. The picture shows the values beside the first of `x`.
    Raises ShapeError for what are no pictures (N, C, H, W).
    Source: Simonyan, Vedaldi, Zisserman 2013, Deep Inside Convolutional Networks, section 3.1.
    """
    arguments.images("saliency", x, "x")
    with _undisturbed(model):
        pixels = x.detach().clone().requires_grad_()
        values = np.abs(_gradient("saliency", model.eval()(pixels), class_index, pixels)).max(1)
    return Seen(values, lambda: _beside(x.numpy()[0], values[0], "saliency"))


def receptive_field(
    model: Module, x: Tensor, layer: str | Module, position: tuple[int, int] | None = None, batch_size: int = 16
) -> Seen:
    """Return which pixels a layer's output at `position` = (row, column) can depend on: `values` is bool (H, W).

    The default position is the middle. Only the size and type of the pictures `x` (N, C, H, W) matter: a row of NaN is
    put in, and if the output becomes NaN, it depends on that row, whatever the weights; so with every row and every
    column. Where the layer's output is (N, features), it is the whole of it. The picture marks the pixels on the first
    of `x`.
    Raises ShapeError for a layer that the model has not or does not call, and a position outside its output.
    """
    _, _, height, width = arguments.images("receptive_field", x, "x")
    depends: list[Array] = []
    with _undisturbed(model), no_grad(), use_winograd(False), np.errstate(all="ignore"):
        model.eval()
        for size, axis in ((height, 2), (width, 3)):
            found = np.zeros(size, bool)
            for start in range(0, size, batch_size):
                rows = range(start, min(start + batch_size, size))
                batch = np.zeros((len(rows), *x.shape[1:]), x.dtype)
                for item, row in zip(batch, rows):
                    item[(slice(None), row) if axis == 2 else (slice(None), slice(None), row)] = np.nan
                output = _output_of("receptive_field", model, layer, tensor(batch, device=x.device))
                found[rows.start : rows.stop] = np.isnan(_at(output, position)).reshape(len(rows), -1).any(1)
            depends.append(found)
    values = depends[0][:, None] & depends[1][None, :]
    name = _name(model, layer)
    extent = " × ".join(str(int(part.sum())) for part in depends)
    return Seen(values, lambda: _overlay(x.numpy()[0], values, f"receptive field of {name}: {extent} pixels"))


def _at(output: Array, position: tuple[int, int] | None) -> Array:
    """Return the output (N, C) at a position of (N, C, H, W), or the whole output without one."""
    if output.ndim != 4:
        if position is not None:
            raise ShapeError(f"receptive_field: the layer gives {output.shape}, which has no positions")
        return output
    height, width = output.shape[2:]
    row, column = (height // 2, width // 2) if position is None else position
    if not (0 <= row < height and 0 <= column < width):
        raise ShapeError(f"receptive_field: position is {position}, the layer's output has {height} x {width} pixels")
    result: Array = output[:, :, row, column]
    return result


# Distributions


def activation_histograms(model: Module, x: Tensor, bins: int = BINS) -> Seen:
    """Return how the outputs of each layer are distributed: `values` is {layer: (counts, edges)}, as they are called.

    Layers are the modules without parts. Of one that is called several times all outputs count. The picture has a
    histogram of each layer.
    """
    outputs: dict[str, list[Array]] = {}
    with _undisturbed(model), no_grad(), ExitStack() as hooks:
        for name, module in model.named_modules():
            if not any(True for _ in module.children()):

                def keep(module: Module, inputs: Any, output: Any, name: str = name) -> None:
                    if isinstance(output, Tensor):
                        outputs.setdefault(name or type(module).__name__, []).append(output.numpy().copy())

                hooks.callback(module.register_forward_hook(keep).remove)
        model.eval()(x)
    return _histograms("activations", outputs, bins)


def gradient_histograms(
    model: Module, x: Tensor, target: Any, loss: Callable[[Tensor, Any], Tensor] | None = None, bins: int = BINS
) -> Seen:
    """Return how the gradients of each parameter are distributed: `values` is {parameter: (counts, edges)}.

    It is the gradient of `loss(model(x), target)`, by default the cross-entropy, in the mode that the model is in.
    Parameters that do not require a gradient, or on which the loss does not depend, are left out. The picture has a
    histogram of each parameter.
    """
    from . import functional as F

    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not parameters:
        raise ShapeError("gradient_histograms: no parameter of the model requires a gradient")
    with _undisturbed(model):
        value = (F.cross_entropy if loss is None else loss)(model(x), target)
        found = grad(value, list(parameters.values()), allow_unused=True)
    gradients = {name: [g.numpy()] for name, g in zip(parameters, found) if g is not None}
    return _histograms("gradients", gradients, bins)


def dead_relus(model: Module, data: Tensor | Iterable[Any]) -> Seen:
    """Return which channels of each ReLU are 0 everywhere, for all of the data: `values` is {layer: bool (C,)}.

    `data` is a batch, or yields batches or pairs of batch and labels, as a DataLoader does. Calls of `F.relu` count for
    the module in which they stand; the second call in it is named "…, call 2". The picture shows the shares.
    Raises ShapeError for no data, and for a model without ReLUs.
    """
    batches = [data] if isinstance(data, Tensor) else data
    watcher = _Relus(model)
    count = 0
    with _undisturbed(model), no_grad(), _watched(watcher):
        model.eval()
        for batch in batches:
            watcher.calls.clear()
            model(batch[0] if isinstance(batch, (tuple, list)) else batch)
            count += 1
    if not count:
        raise ShapeError("dead_relus: there are no data")
    if not watcher.alive:
        raise ShapeError("dead_relus: the model calls no ReLU")
    values = {name: ~alive for name, alive in watcher.alive.items()}

    def draw() -> Any:
        figure, axes = _figure(6, 0.25 * len(values) + 1.2)
        axes.barh(list(values)[::-1], [100 * dead.mean() for dead in values.values()][::-1], color="tab:red")
        axes.set(title="dead ReLU channels", xlabel="%", xlim=(0, 100))
        return figure

    return Seen(values, draw)


# What the functions share


@contextmanager
def _undisturbed(model: Module) -> Iterator[None]:
    """Give the model its modes and buffers back, and the random numbers their state."""
    from .nn import Module

    if not isinstance(model, Module):
        raise DTypeError(f"inspect: model must be an nn.Module, got {type(model).__name__}")
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.data.copy()) for buffer in model.buffers()]
    state = random.get_state()
    try:
        yield
    finally:
        random.set_state(state)
        for module, mode in modes:
            module.training = mode
        with no_grad():
            for buffer, values in buffers:
                if not np.array_equal(buffer.numpy(), Tensor(values).numpy(), equal_nan=buffer.dtype.kind == "f"):
                    buffer.copy_(values)


def _layer(name: str, model: Module, layer: str | Module) -> Module:
    """Return the module that a layer's name means. Raises ShapeError if the model has it not."""
    known = dict(model.named_modules(remove_duplicate=False))
    if isinstance(layer, str):
        if layer not in known:
            names = ", ".join(repr(n) for n in list(known)[1:30])
            raise ShapeError(f"{name}: the model has no layer {layer!r}, it has {names}{' …' * (len(known) > 30)}")
        return known[layer]
    if not any(layer is module for module in known.values()):
        raise ShapeError(f"{name}: the layer, a {type(layer).__name__}, is not in the model")
    return layer


def _name(model: Module, layer: str | Module) -> str:
    if isinstance(layer, str):
        return layer
    return next((name for name, module in model.named_modules() if module is layer), "") or type(layer).__name__


class _Captured:
    """The output of a layer's last call, from which gradients are taken."""

    def __init__(self, name: str, layer: str) -> None:
        self.name, self.layer = name, layer
        self.output: Any = None

    def tensor(self) -> Tensor:
        if not isinstance(self.output, Tensor):
            came = "was not called" if self.output is None else f"returns a {type(self.output).__name__}, no tensor"
            raise ShapeError(f"{self.name}: layer {self.layer} {came}")
        return self.output


@contextmanager
def _output(name: str, model: Module, layer: str | Module, keep: bool = False) -> Iterator[_Captured]:
    """Note what a layer returns. Unless `keep`, the tape begins anew there: gradients end at the layer's output."""
    captured = _Captured(name, _name(model, layer))

    def hook(module: Module, inputs: tuple[Any, ...], output: Any) -> Any:
        if isinstance(output, Tensor) and not keep:
            output = output.detach().requires_grad_()
        captured.output = output
        return output

    handle = _layer(name, model, layer).register_forward_hook(hook)
    try:
        yield captured
    finally:
        handle.remove()


class _Enough(Exception):
    """The layer was called; the rest of the model need not run."""


def _output_of(name: str, model: Module, layer: str | Module, x: Tensor) -> Array:
    """Return a layer's output for a batch, running the model no further than its first call."""
    found: list[Any] = []

    def hook(module: Module, inputs: tuple[Any, ...], output: Any) -> None:
        found.append(output)
        raise _Enough

    handle = _layer(name, model, layer).register_forward_hook(hook)
    try:
        with suppress(_Enough):
            model(x)
    finally:
        handle.remove()
    if not found or not isinstance(found[0], Tensor):
        raise ShapeError(f"{name}: layer {_name(model, layer)} was not called, or returns no tensor")
    return found[0].numpy()


def _gradient(name: str, logits: Any, class_index: int | Sequence[int] | None, wanted: Tensor) -> Array:
    """Return the gradient of each picture's logit of its class with respect to `wanted`."""
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        what = logits.shape if isinstance(logits, Tensor) else type(logits).__name__
        raise ShapeError(f"{name}: the model returns {what}, needs logits (N, classes)")
    count, classes = logits.shape
    if class_index is None:
        chosen = logits.numpy().argmax(1)
    else:
        try:
            chosen = np.broadcast_to(np.asarray(class_index), (count,))
        except ValueError:
            raise ShapeError(f"{name}: class_index is {class_index}, needs one class, or {count}") from None
        if chosen.dtype.kind not in "iu" or chosen.min(initial=0) < 0 or chosen.max(initial=0) >= classes:
            raise ShapeError(f"{name}: class_index is {class_index}, needs whole numbers from 0 to {classes - 1}")
    seed = np.zeros(logits.shape, logits.dtype)
    seed[np.arange(count), chosen] = 1
    (found,) = grad(logits, wanted, tensor(seed, device=logits.device), allow_unused=True)
    return np.zeros(wanted.shape, wanted.dtype) if found is None else found.numpy()


@contextmanager
def _watched(watcher: _watch.Watcher) -> Iterator[None]:
    _watch.watchers.append(watcher)
    try:
        yield
    finally:
        _watch.watchers.remove(watcher)


class _Relus:
    """A watcher of the tape that notes which channels of ReLUs are not 0."""

    def __init__(self, model: Module) -> None:
        self.alive: dict[str, Array] = {}
        self.calls: dict[str, int] = {}
        self.names = {module: name or type(module).__name__ for name, module in model.named_modules()}

    def forward(self, ctx: Any, arrays: tuple[Any, ...], run: Callable[[], Any]) -> Any:
        """Look at the result of a ReLU."""
        result = run()
        if type(ctx).__name__ == "ReLU":
            where = self.names.get(_watch.modules[-1], "") if _watch.modules else ""
            self.calls[where] = self.calls.get(where, 0) + 1
            name = where if self.calls[where] == 1 else f"{where}, call {self.calls[where]}"
            axes = tuple(axis for axis in range(result.ndim) if axis != 1)
            positive = tensor((result > 0).any(axes)).numpy()
            self.alive[name] = positive | self.alive.get(name, False)
        return result

    def backward(self, ctx: Any, gradients: tuple[Any, ...], run: Callable[[], Any]) -> Any:
        """There is no backward pass here."""
        return run()


def _histograms(what: str, arrays: dict[str, list[Array]], bins: int) -> Seen:
    arguments.integer(f"{what[:-1]}_histograms", "bins", bins, 1)
    values: Histograms = {}
    for name, parts in arrays.items():
        numbers = np.concatenate([part.ravel() for part in parts]).astype(np.float64)
        values[name] = np.histogram(numbers[np.isfinite(numbers)], bins)

    def draw() -> Any:
        columns = min(4, len(values))
        rows = -(-len(values) // columns)
        figure, axes = _figure(3 * columns, 1.8 * rows, rows, columns)
        for place, (name, (counts, edges)) in zip(axes.flat, values.items()):
            place.stairs(counts, edges, fill=True)
            place.set_title(name, fontsize=8)
            place.tick_params(labelsize=6)
        for place in axes.flat[len(values) :]:
            place.axis("off")
        figure.suptitle(f"{what}, {bins} bins", fontsize=10)
        return figure

    return Seen(values, draw)


# Pictures


def _figure(width: float, height: float, rows: int = 1, columns: int = 0) -> tuple[Any, Any]:
    """Return a Matplotlib figure that needs no screen, and its axes, an array of them if there are `columns`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False) if columns else figure.subplots()


def _unit(values: Array) -> Array:
    """Return values from 0 to 1."""
    low, high = values.min(initial=np.inf), values.max(initial=-np.inf)
    result: Array = (values - low) / (high - low) if high > low else np.zeros_like(values)
    return result


def _map_sheet(maps: Array, title: str, columns: int = 0) -> Any:
    """Draw maps (C, H, W), colour pictures (C, H, W, 3), or numbers (C,), as one sheet."""
    if maps.ndim == 1:
        figure, axes = _figure(6, 2.2)
        axes.bar(np.arange(len(maps)), maps)
        axes.set_title(title, fontsize=9)
        return figure
    shown = maps[: MOST_MAPS * columns if columns else MOST_MAPS]
    columns = columns or int(np.ceil(np.sqrt(len(shown))))
    rows = -(-len(shown) // columns)
    height, width = shown.shape[1:3]
    sheet = np.ones((rows * (height + 1), columns * (width + 1), *shown.shape[3:]))
    for number, one in enumerate(shown):
        top, left = number // columns * (height + 1), number % columns * (width + 1)
        sheet[top : top + height, left : left + width] = _unit(one)
    figure, axes = _figure(0.6 * columns + 0.4, (0.6 * rows * (height + 1)) / (width + 1) + 0.6)
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=1)
    axes.set_title(title, fontsize=9)
    axes.axis("off")
    return figure


def _picture(x: Array) -> Array:
    """Return a picture (C, H, W) as Matplotlib shows it: colour of three channels, else the mean."""
    return _unit(x.transpose(1, 2, 0) if len(x) == 3 else x.mean(0))


def _overlay(x: Array, values: Array, title: str) -> Any:
    """Draw values over a picture, stretched to its size."""
    figure, axes = _figure(3, 3 * x.shape[1] / x.shape[2] + 0.4)
    extent = (0, x.shape[2], x.shape[1], 0)
    axes.imshow(_picture(x), cmap="gray", extent=extent)
    smooth = "nearest" if values.dtype == np.bool_ else "bilinear"
    axes.imshow(_unit(values.astype(np.float64)), cmap="jet", alpha=0.45, extent=extent, interpolation=smooth)
    axes.set_title(title, fontsize=9)
    axes.axis("off")
    return figure


def _beside(x: Array, values: Array, title: str) -> Any:
    """Draw a picture, and values of its size beside it."""
    figure, axes = _figure(6, 3 * x.shape[1] / x.shape[2] + 0.4, columns=2)
    axes[0, 0].imshow(_picture(x), cmap="gray")
    axes[0, 1].imshow(values, cmap="hot")
    axes[0, 1].set_title(title, fontsize=9)
    for place in axes.flat:
        place.axis("off")
    return figure

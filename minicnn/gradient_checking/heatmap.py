"""Heat maps of a wrong gradient: where it is wrong, as text and as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .report import Gradient

Array = Any
SHADES = " .:-=+*#%@"
ROWS, COLUMNS = 16, 64


def plane(array: Array, at: tuple[int, ...]) -> Array:
    """Return the two last axes of an array through one of its elements; fewer axes become one row."""
    if array.ndim < 2:
        return array.reshape(1, -1)
    return array[at[:-2]]


def differences(gradient: Gradient) -> tuple[Array, tuple[int, ...]] | None:
    """Return |analytic − numeric| and where it is largest, None if no element was measured."""
    numeric, analytic = gradient.numeric, np.asarray(gradient.analytic if gradient.analytic is not None else 0.0)
    if numeric is None or not np.isfinite(numeric).any() or analytic.shape not in ((), numeric.shape):
        return None
    with np.errstate(all="ignore"):
        difference = np.abs(analytic.astype(np.float64) - numeric)
    if gradient.elements:
        return difference, gradient.elements[0].index
    worst = np.unravel_index(int(np.nanargmax(difference)), numeric.shape)
    return difference, tuple(int(i) for i in worst)


def text(gradient: Gradient) -> str:
    """Return the plane of the worst element as characters, dark where it is wrong, ? where nothing was measured."""
    found = differences(gradient)
    if found is None or np.prod(gradient.shape) < 2:
        return ""
    difference, worst = found
    if gradient.wrong is not None:
        difference = np.where(gradient.wrong | ~np.isfinite(difference), difference, 0.0)
    picture = plane(difference, worst)[:ROWS, :COLUMNS]
    largest = float(np.nanmax(np.where(np.isfinite(difference), difference, 0.0)))
    place = ", ".join([*map(str, worst[:-2]), ":", ":"]) if len(worst) > 2 else ", ".join(":" for _ in worst)
    lines = [f"|analytic − numeric| of {gradient.name}[{place}], @ is {largest:.3g}"]
    for row in picture:
        lines.append("".join("?" if not np.isfinite(v) else _shade(v, largest) for v in row))
    return "\n".join(lines)


def _shade(value: float, largest: float) -> str:
    if value == 0 or largest == 0:
        return SHADES[0]
    return SHADES[max(1, min(len(SHADES) - 1, int(np.ceil(value / largest * (len(SHADES) - 1)))))]


def figure(gradients: list[Gradient]) -> Any:
    """Return a Matplotlib figure: analytic, numeric and their difference, one row for each gradient."""
    import matplotlib.pyplot as plt

    shown = [(g, d) for g in gradients if (d := differences(g)) is not None]
    rows = max(len(shown), 1)
    picture, axes = plt.subplots(rows, 3, figsize=(9, 3 * rows), squeeze=False, layout="constrained")
    for line, (gradient, (difference, worst)) in zip(axes, shown):
        analytic = np.broadcast_to(np.asarray(gradient.analytic, np.float64), gradient.shape)
        panels = (("analytic", analytic), ("numeric", gradient.numeric), ("|difference|", difference))
        for axis, (title, array) in zip(line, panels):
            image = axis.imshow(plane(array, worst), aspect="auto", cmap="magma" if title[0] == "|" else "coolwarm")
            axis.set_title(f"{gradient.name}: {title}")
            picture.colorbar(image, ax=axis)
    if not shown:
        for axis in axes.ravel():
            axis.axis("off")
        axes[0, 1].text(0.5, 0.5, "no element was measured by itself", ha="center")
    return picture

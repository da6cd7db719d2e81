"""Comparing a student's result with the right one, and describing the difference in words."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..gradient_checking.student_process import Other

Array = Any
Mistakes = Sequence[tuple[str, Callable[..., Array]]]

SINGLE = 1e-6  # of the largest value: what float32 leaves right of a short calculation
TOLERANCE = 1e-9  # of the largest value; what correct float64 code differs by is a millionth of it


def difference(
    name: str, got: Any, right: Array, arguments: Sequence[Any] = (), names: Sequence[str] = (), mistakes: Mistakes = ()
) -> str:
    """Return in words how a result differs from the right one; nothing if it does not."""
    right = np.asarray(right)
    if right.ndim == 0 and isinstance(got, (int, float, np.generic)) and not isinstance(got, bool):
        got = np.asarray(got)
    text = _no_array(name, got, right) or _wrong_shape(name, got, right)
    if text:
        return text
    if got.dtype != right.dtype:
        text = f"{name} has type {got.dtype}, needs {right.dtype}, the type of the input"
        return text + (": whole numbers cut off fractions" if got.dtype.kind in "iub" else ": precision is lost")
    with np.errstate(all="ignore"):
        # the norm that counts is the array's largest value; an element's own size is allowed for, too
        allowed = TOLERANCE * (float(np.abs(right).max(initial=0)) + np.abs(right)) + 1e-300
        wrong = ~(np.abs(got - right) <= allowed)
    if not wrong.any():
        return ""
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    place = f"{name}[{', '.join(map(str, index))}]" if index else name
    text = f"{place} is {got[index]:.8g}, needs {right[index]:.8g}"
    if right.size > 1:
        text += f" ({int(wrong.sum())} of {right.size} elements are wrong)"
    why = _pattern(name, got, right, wrong, arguments, names, mistakes)
    return f"{text}: {why}" if why else text


def _no_array(name: str, got: Any, right: Array) -> str:
    needs = "one number" if right.ndim == 0 else f"an array of shape {right.shape}"
    if got is None:
        return f"{name} is None, needs {needs}"
    if isinstance(got, Other):
        if got.shape is not None and got.shape != right.shape:
            return f"{name} has shape {got.shape}, needs {right.shape}"
        return f"{name} is of type {got.kind}, needs {needs}"
    if isinstance(got, (list, tuple)):
        return f"{name} is a {type(got).__name__}, needs {needs}; np.array(...) makes one of a list"
    if not isinstance(got, np.ndarray):
        return f"{name} is of type {type(got).__name__}, needs {needs}"
    return ""


def _wrong_shape(name: str, got: Array, right: Array) -> str:
    if got.shape == right.shape:
        return ""
    text = f"{name} has shape {got.shape}, needs {right.shape}"
    if right.ndim == 0:
        return text + ": one number, the mean over the examples"
    if got.shape == right.shape[::-1]:
        return text + ": it is transposed"
    if sorted(got.shape) == sorted(right.shape):
        return text + ": the axes are in another order"
    if got.size == right.size:
        return text + ": the elements are there, in another shape (reshape)"
    if got.ndim == right.ndim and got.ndim == 4 and got.shape[:2] == right.shape[:2]:
        return text + ": count the windows again, 1 + (size + 2·padding - window) // stride in each direction"
    if got.ndim < right.ndim and got.size < right.size:
        return text + ": too much was summed, or an axis is missing"
    return text


def _pattern(
    name: str,
    got: Array,
    right: Array,
    wrong: Array,
    arguments: Sequence[Any],
    names: Sequence[str],
    mistakes: Mistakes,
) -> str:
    """Return what the wrong elements have in common."""
    odd = ~np.isfinite(got) & np.isfinite(right)
    if odd.any():
        return (
            "nan or inf where the result is an ordinary number; look for exp or squares that overflow, the logarithm "
            "of 0, or a division of 0 by 0"
        )
    for text, function in mistakes:
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if _equal(got, np.asarray(function(*arguments)), right):
                    return text
        except (ValueError, IndexError, KeyError, TypeError):  # a mistake that these arguments do not allow
            continue
    if _equal(got, right, right, SINGLE):
        return "right to a few digits only: is something computed in float32, or a number rounded? needs float64"
    return (
        _whole_patterns(got, right, arguments, names)
        or _moved(got, right)
        or _where(got, right, wrong, arguments, names)
    )


def _equal(got: Array, other: Array, right: Array, tolerance: float = TOLERANCE) -> bool:
    size = float(np.abs(right).max(initial=0)) + float(np.abs(other).max(initial=0))
    return got.shape == other.shape and bool(np.all(np.abs(got - other) <= tolerance * size))


def _whole_patterns(got: Array, right: Array, arguments: Sequence[Any], names: Sequence[str]) -> str:
    if not got.any():
        return "all elements are 0"
    usable = np.abs(right) > 1e-6 * np.abs(right).max()
    if usable.sum() > 1 or right.ndim == 0:
        ratio = got[usable] / right[usable]
        if ratio.size and np.ptp(ratio) <= 1e-7 * np.abs(ratio).max() and _equal(got, ratio.flat[0] * right, right):
            return f"everything is {ratio.flat[0]:.6g} × the right result{_meaning(ratio.flat[0], arguments, names)}"
    if right.size < 2:
        return ""
    off = got - right
    if np.ptp(off) <= TOLERANCE * np.abs(right).max():
        return f"everything is off by the same {off.flat[0]:.6g}"
    for what, argument in zip(names, arguments):
        if isinstance(argument, np.ndarray) and argument.dtype.kind == "f" and argument.any():
            for sign, word in ((-1.0, "is missing"), (1.0, "is added once too often")):
                for shape in {argument.shape, (*argument.shape, 1, 1)}:
                    try:
                        term = np.broadcast_to(sign * argument.reshape(shape), right.shape)
                    except ValueError:
                        continue
                    if np.abs(off - term).max() <= TOLERANCE * (np.abs(right).max() + np.abs(term).max()):
                        return f"{what} {word}"
    return ""


def _meaning(ratio: float, arguments: Sequence[Any], names: Sequence[str]) -> str:
    """Return what a factor probably is: a size of an argument, or one over it."""
    if np.isclose(ratio, -1):
        return ": the sign"
    for what, argument in zip(names, arguments):
        if isinstance(argument, np.ndarray):
            for axis, length in enumerate(argument.shape):
                if length > 1 and np.isclose(ratio, length):
                    return f"; {length} is the length of {what}'s axis {axis}: a sum where a mean is right?"
                if length > 1 and np.isclose(ratio, 1 / length):
                    return f"; {length} is the length of {what}'s axis {axis}: a mean where a sum is right?"
    return ""


def _moved(got: Array, right: Array) -> str:
    if right.ndim < 2 or right.size < 4:
        return ""
    if right.shape[-1] == right.shape[-2] and _equal(got, right.swapaxes(-1, -2), right):
        return "the last two axes are swapped"
    for axis in range(right.ndim):
        if right.shape[axis] < 2:
            continue
        if _equal(got, np.flip(right, axis), right):
            return f"axis {axis} is in reverse order"
        for by in (-1, 1):
            inner = [slice(None)] * right.ndim
            inner[axis] = slice(1, None) if by == 1 else slice(None, -1)
            if right.shape[axis] > 2 and _equal(got[tuple(inner)], np.roll(right, by, axis)[tuple(inner)], right):
                return f"everything is shifted by one along axis {axis}"
    if _equal(np.sort(got, axis=None), np.sort(right, axis=None), right):
        return "the right numbers are there, at other places: the order of axes in a reshape or transpose"
    return ""


def _where(got: Array, right: Array, wrong: Array, arguments: Sequence[Any], names: Sequence[str]) -> str:
    """Return where the wrong elements are, if they are not everywhere."""
    if wrong.all():
        return ""
    if wrong.ndim == 4 and min(wrong.shape[2:]) > 2 and not wrong[:, :, 1:-1, 1:-1].any():
        return "only at the border of the images: the padding?"
    for what, argument in zip(names, arguments):
        if isinstance(argument, np.ndarray) and argument.shape == wrong.shape and argument.dtype.kind == "f":
            for sign, group in (("negative", argument < 0), ("positive", argument > 0), ("0", argument == 0)):
                if not wrong[~group].any():
                    return f"only where {what} is {sign}"
    for axis, length in enumerate(wrong.shape):
        others = tuple(a for a in range(wrong.ndim) if a != axis)
        places = np.flatnonzero(wrong.any(axis=others))
        if len(places) <= length // 2:
            return f"only at {', '.join(map(str, places[:8]))} along axis {axis} (of 0 to {length - 1})"
        if len(places) == length - 1 > 1 and not {0, length - 1} <= set(places):
            return f"everywhere but at the {'first' if 0 not in places else 'last'} place along axis {axis}"
    return ""

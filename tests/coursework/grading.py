"""How tests grade a text."""

from pathlib import Path

from minicnn.coursework.catalogue import exercise
from minicnn.coursework.grade import grade
from minicnn.coursework.result import Limits, Result

RELU = """
import numpy as np

def relu_forward(x):
    {forward}

def relu_backward(dout, cache):
    {backward}
"""


def relu(
    forward: str = "return np.maximum(x, 0), x", backward: str = "return np.where(cache > 0, dout, 0)", before: str = ""
) -> str:
    """Return a student's file on relu, with other bodies of its functions or lines before them."""
    indented = (text.replace("\n", "\n    ") for text in (forward, backward))
    return before + RELU.format(**dict(zip(("forward", "backward"), indented)))


def graded(text: str, name: str, folder: Path, seconds: float = 300.0, seed: int = 0) -> Result:
    """Return the result of one exercise in a file of this text."""
    file = folder / "student.py"
    file.write_text(text, encoding="utf-8")
    (result,), _ = grade(file, Limits(seconds=seconds, seed=seed), [exercise(name)])
    return result


def states(result: Result) -> dict[str, str]:
    """Return how each part stands."""
    return {name: part.state for name, part in result.parts.items()}


def said(result: Result) -> str:
    """Return everything that is said about an exercise."""
    return "\n".join([result.verdict, *(text for part in result.parts.values() for text in part.texts)])

"""`mc.draw_graph(tensor)`: the tape behind a tensor, as a drawing for Graphviz."""

from __future__ import annotations

from typing import Any

from ._tensor import Tensor
from .errors import DTypeError, GradientError


def draw_graph(tensor: Tensor, names: dict[str, Tensor] | None = None) -> str:
    """Return the tape from which a tensor was computed, in Graphviz's DOT language.

    Boxes are operations with the shape they return, ellipses the leaves that get a gradient, named by `names`, for
    instance `dict(model.named_parameters())`. Save the text as graph.dot, then `dot -Tsvg graph.dot -o graph.svg`,
    or show it in a notebook with the package graphviz: `graphviz.Source(text)`.
    Raises GradientError for a tensor that is not on the tape or whose tape was freed by backward.
    """
    if not isinstance(tensor, Tensor):
        raise DTypeError(f"draw_graph: needs a Tensor, got {type(tensor).__name__}")
    if tensor.grad_fn is None:
        raise GradientError("draw_graph: the tensor was not computed by recorded operations")
    leaf_names = {id(leaf): name for name, leaf in (names or {}).items()}
    lines = ["digraph tape {", "  rankdir=BT", '  node [fontname="sans-serif"]']
    lines.append(f'  result [shape=box, style=bold, label="result {_shape(tensor.shape)}"]')
    identities: dict[int, str] = {}
    alive: list[Any] = []  # an id stands for an object only as long as that lives
    stack = [(tensor.grad_fn, "result", "")]
    while stack:
        target, consumer, label = stack.pop()
        known = id(target) in identities
        name = identities.setdefault(id(target), f"n{len(identities)}")
        lines.append(f"  {name} -> {consumer}" + (f' [label="{label}"]' if label else ""))
        if known:
            continue
        alive.append(target)
        if isinstance(target, Tensor):
            text = f"{leaf_names.get(id(target), 'leaf')} {_shape(target.shape)}"
            lines.append(f'  {name} [shape=ellipse, style=filled, fillcolor=lightblue, label="{text}"]')
            continue
        if target._freed:
            raise GradientError("draw_graph: backward has freed this tape; draw it before, or use retain_graph=True")
        lines.append(f'  {name} [shape=box, label="{type(target).__name__}"]')
        for edge in target._edges:
            if edge is not None:
                stack.append((edge[0], name, _shape(edge[2])))
    return "\n".join([*lines, "}"]) + "\n"


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "scalar"

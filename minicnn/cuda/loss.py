"""Losses on CUDA: launches of `kernels/loss.cu`. Labels that are not int64 are converted, which is bookkeeping."""

from __future__ import annotations

from typing import Any

from ..ops.loss import Needs, class_axis
from .arrays import aligned, contiguous, empty, restored
from .launch import Family, Launch, per_element
from .reduce import Rows

Array = Any

ROWS = Launch(lambda a: (a["logp"].size // a["columns"],), (128,))
LAUNCHES = {
    "cross_entropy_forward": ROWS,
    "cross_entropy_backward": ROWS,
    "cross_entropy_backward_target": ROWS,
    "nll_loss_forward": per_element("rows"),
    "nll_loss_backward": per_element("n"),
    "reduce_losses": Launch(lambda a: (1,)),
    "binary_cross_entropy_forward": per_element("n"),
    "binary_cross_entropy_backward": per_element("n"),
}
kernels = Family("loss", LAUNCHES)


def _classes_last(x: Array) -> Rows:
    return Rows(x.shape, (class_axis(x.ndim),))


def _labels(target: Array) -> Array:
    return contiguous(target.astype("int64", copy=False)).reshape(-1)


def _weight(like: Array, weight: Array | None) -> dict[str, Any]:
    """Return class weights as arguments of a kernel, which reads them only where they are."""
    return {"weight": like if weight is None else contiguous(weight), "weighted": int(weight is not None)}


def _reduced(losses: Array, counts: Array, shape: tuple[int, ...], reduction: str) -> tuple[Array, Array]:
    """Return the losses or their sum or mean, and what the mean divides by."""
    if reduction == "none":
        return losses.reshape(shape), counts
    loss, total = empty(losses, ()), empty(losses, ())
    kernels(
        "reduce_losses", losses=losses, counts=counts, loss=loss, total=total, mean=int(reduction == "mean"),
        rows=losses.size,
    )  # fmt: skip
    return loss, total


def _spread(dloss: Array, total: Array, reduction: str) -> dict[str, Any]:
    """Return the gradient of the losses as arguments of a kernel."""
    return {
        "dloss": contiguous(dloss).reshape(-1), "total": total, "per_row": int(reduction == "none"),
        "mean": int(reduction == "mean"),
    }  # fmt: skip


def cross_entropy_forward(
    x: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str, smoothing: float
) -> tuple[Array, Any]:
    rows = _classes_last(x)
    given = target.dtype.kind == "f"
    matrix, logp = rows.matrix(x), empty(x, (rows.rows, rows.columns))
    losses, sums, counts = (empty(x, (rows.rows,)) for _ in range(3))
    what = {
        "labels": empty(x, (1,), "int64") if given else _labels(target),
        "target": rows.matrix(target) if given else matrix,
        "given": int(given),
        "ignore_index": ignore_index,
        "smoothing": smoothing,
        "columns": rows.columns,
        **_weight(matrix, weight),
    }
    kernels("cross_entropy_forward", x=matrix, logp=logp, losses=losses, sums=sums, counts=counts, **what)
    loss, total = _reduced(losses, counts, tuple(x.shape[i] for i in rows.kept), reduction)
    return loss, (logp, sums, total, reduction, what, x.shape)


def cross_entropy_backward(dloss: Array, cache: Any, needs: Needs = (True, False)) -> Any:
    logp, sums, total, reduction, what, shape = cache
    rows = Rows(shape, (class_axis(len(shape)),))
    spread = _spread(dloss, total, reduction)
    dx = dtarget = None
    if needs[0]:
        dx = empty(logp)
        kernels("cross_entropy_backward", logp=logp, sums=sums, dx=dx, **spread, **what)
        dx = rows.back(dx)
    if needs[1]:
        dtarget = empty(logp)
        few = {name: what[name] for name in ("weight", "weighted", "smoothing", "columns")}
        kernels("cross_entropy_backward_target", logp=logp, dtarget=dtarget, **spread, **few)
        dtarget = rows.back(dtarget)
    return dx, dtarget


def nll_loss_forward(
    logp: Array, labels: Array, weight: Array | None, ignore_index: int, reduction: str
) -> tuple[Array, Any]:
    rows = _classes_last(logp)
    matrix, flat = rows.matrix(logp), _labels(labels)
    losses, counts = empty(logp, (rows.rows,)), empty(logp, (rows.rows,))
    kernels(
        "nll_loss_forward", logp=matrix, labels=flat, losses=losses, counts=counts, ignore_index=ignore_index,
        columns=rows.columns, rows=rows.rows, **_weight(matrix, weight),
    )  # fmt: skip
    loss, total = _reduced(losses, counts, labels.shape, reduction)
    return loss, (flat, counts, total, reduction, ignore_index, logp.shape)


def nll_loss_backward(dloss: Array, cache: Any) -> Array:
    labels, counts, total, reduction, ignore_index, shape = cache
    rows = Rows(shape, (class_axis(len(shape)),))
    dlogp = empty(counts, (rows.rows, rows.columns))
    kernels(
        "nll_loss_backward", labels=labels, counts=counts, dlogp=dlogp, ignore_index=ignore_index,
        columns=rows.columns, n=dlogp.size, **_spread(dloss, total, reduction),
    )  # fmt: skip
    return rows.back(dlogp)


def binary_cross_entropy_forward(x: Array, target: Array) -> tuple[Array, Any]:
    flat, flat_target = aligned(x, target)
    losses = empty(flat)
    kernels("binary_cross_entropy_forward", x=flat, target=flat_target, losses=losses, n=x.size)
    return restored(losses, x), (x, target)


def binary_cross_entropy_backward(dloss: Array, cache: Any, needs: Needs = (True, True)) -> Any:
    x, target = cache
    flat, flat_target, flat_dloss = aligned(x, target, dloss)
    dx, dtarget = empty(flat), empty(flat)
    kernels(
        "binary_cross_entropy_backward", dloss=flat_dloss, x=flat, target=flat_target, dx=dx, dtarget=dtarget, n=x.size
    )
    return restored(dx, x) if needs[0] else None, restored(dtarget, x) if needs[1] else None

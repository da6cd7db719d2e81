"""Depthwise convolution, one filter per channel: vectors run over the channels, and nothing is reduced across them.

    y[n, p, q, c] = b[c] + Σ_{i, j} w[c, i, j] · x[n, p·SH + i·DH − PH, q·SW + j·DW − PW, c]

With stride 1 the input gradient is the same with the filter turned by 180°; with a larger stride each row of dx
collects from the rows of dy that it met.

What limits it: two loads per multiply-add, so about half the multiply-add peak while a few rows stay in the
first-level cache; memory beyond that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import settings
from .threads import flat, kernel, scratch
from .vectors import lanes, vload, vload_part, vstore_part, vzero

if TYPE_CHECKING:
    from .direct import Shape

Array = Any


@kernel
def _forward_kernel(first, end, x, w, b, s, y):  # type: ignore[no-untyped-def]  # a body
    """A piece is one row of output pixels."""
    (KH, KW), (SH, SW), (DH, DW), ((top, _), (left, _)) = s.kernel, s.stride, s.dilation, s.padding
    L, (OH, OW) = lanes(x), s.out
    for row in range(first, end):
        n, p = row // OH, row % OH
        for q in range(OW):
            for c in range(0, s.C, L):
                m = s.C - c
                total = vload_part(b, c, m)
                for i in range(KH):
                    h = p * SH + i * DH - top
                    if h < 0 or h >= s.H:
                        continue
                    for j in range(KW):
                        v = q * SW + j * DW - left
                        if 0 <= v < s.W:
                            at, tap = ((n * s.H + h) * s.W + v) * s.C + c, (i * KW + j) * s.C + c
                            if m >= L:
                                total = total + vload(x, at) * vload(w, tap)
                            else:
                                total = total + vload_part(x, at, m) * vload_part(w, tap, m)
                vstore_part(y, (row * OW + q) * s.C + c, total, m)


@kernel
def _input_gradient_kernel(first, end, dy, w, s, dx):  # type: ignore[no-untyped-def]  # a body
    """A piece is one row of input pixels."""
    (KH, KW), (SH, SW), (DH, DW), ((top, _), (left, _)) = s.kernel, s.stride, s.dilation, s.padding
    L, (OH, OW) = lanes(dy), s.out
    for row in range(first, end):
        n, h = row // s.H, row % s.H
        vzero(dx, row * s.W * s.C, s.W * s.C)
        for i in range(KH):
            p = (h + top - i * DH) // SH
            if p * SH != h + top - i * DH or p < 0 or p >= OH:
                continue
            for q in range(OW):
                for j in range(KW):
                    v = q * SW + j * DW - left
                    if v < 0 or v >= s.W:
                        continue
                    source, tap = ((n * OH + p) * OW + q) * s.C, (i * KW + j) * s.C
                    for c in range(0, s.C, L):
                        m, target = s.C - c, (row * s.W + v) * s.C + c
                        more = vload_part(dy, source + c, m) * vload_part(w, tap + c, m)
                        vstore_part(dx, target, vload_part(dx, target, m) + more, m)


@kernel
def _weight_gradient_kernel(first, end, shares, x, dy, s, dw, db):  # type: ignore[no-untyped-def]  # a body
    """Each share adds the rows of output pixels that are its own to its own dw[KH·KW][C] and db[C]."""
    (KH, KW), (SH, SW), (DH, DW), ((top, _), (left, _)) = s.kernel, s.stride, s.dilation, s.padding
    L, (OH, OW) = lanes(x), s.out
    for share in range(first, end):
        dw0, db0 = share * KH * KW * s.C, share * s.C
        vzero(dw, dw0, KH * KW * s.C)
        vzero(db, db0, s.C)
        for row in range(share * s.N * OH // shares, (share + 1) * s.N * OH // shares):
            n, p = row // OH, row % OH
            for c in range(0, s.C, L):
                m = s.C - c
                total = vload_part(db, db0 + c, m)
                for q in range(OW):
                    total = total + vload_part(dy, (row * OW + q) * s.C + c, m)
                vstore_part(db, db0 + c, total, m)
                for i in range(KH):
                    h = p * SH + i * DH - top
                    if h < 0 or h >= s.H:
                        continue
                    for j in range(KW):
                        offset = j * DW - left
                        q0 = max(0, (SW - 1 - offset) // SW)
                        q1 = min(OW, (s.W - 1 - offset) // SW + 1)
                        at = dw0 + (i * KW + j) * s.C + c
                        source = ((n * s.H + h) * s.W + offset) * s.C + c
                        total = vload_part(dw, at, m)
                        for q in range(q0, q1):
                            a, b = source + q * SW * s.C, (row * OW + q) * s.C + c
                            if m >= L:
                                total = total + vload(x, a) * vload(dy, b)
                            else:
                                total = total + vload_part(x, a, m) * vload_part(dy, b, m)
                        vstore_part(dw, at, total, m)


def fits(s: Shape) -> bool:
    """Return whether each channel has exactly one filter of its own."""
    return s.groups == s.C == s.O


def _by_tap(w: Array) -> Array:
    """(C, 1, KH, KW) → flat (KH·KW, C)"""
    return np.ascontiguousarray(w.reshape(len(w), -1).T).reshape(-1)


def forward(x: Array, w: Array, b: Array | None, s: Shape) -> Array:
    """(N, H, W, C) → (N, OH, OW, C)"""
    y = np.empty((s.N, *s.out, s.C), s.dtype)
    bias = np.zeros(s.C, s.dtype) if b is None else flat(np.ascontiguousarray(b))
    _forward_kernel(s.N * s.out[0], flat(x), _by_tap(w), bias, s._replace(dtype=0), y.reshape(-1))
    return y


def input_gradient(dy: Array, w: Array, s: Shape, b: Array | None = None) -> Array:
    """(N, OH, OW, C) → (N, H, W, C)"""
    if s.stride == (1, 1):
        (top, _), (left, _) = s.padding
        top, left = ((k - 1) * d - p for k, d, p in zip(s.kernel, s.dilation, (top, left)))
        turned = s._replace(H=s.out[0], W=s.out[1], out=(s.H, s.W), padding=((top, 0), (left, 0)))
        return forward(dy, w[:, :, ::-1, ::-1], b, turned)
    dx = np.empty((s.N, s.H, s.W, s.C), s.dtype)
    _input_gradient_kernel(s.N * s.H, flat(dy), _by_tap(w), s._replace(dtype=0), dx.reshape(-1))
    if b is not None:
        dx += b
    return dx


def weight_gradient(x: Array, dy: Array, s: Shape) -> tuple[Array, Array]:
    """Return dw (C, 1, KH, KW) and db (C,) from (N, H, W, C) and (N, OH, OW, C)."""
    shares, taps = min(settings.threads(), s.N * s.out[0]), s.kernel[0] * s.kernel[1]
    with scratch(shares * taps * s.C, s.dtype) as dw, scratch(shares * s.C, s.dtype) as db:
        _weight_gradient_kernel(shares, shares, flat(x), flat(dy), s._replace(dtype=0), dw, db)
        dw_sum = dw.reshape(shares, taps, s.C).sum(0)
        return np.ascontiguousarray(dw_sum.T).reshape(s.C, 1, *s.kernel), db.reshape(shares, s.C).sum(0)

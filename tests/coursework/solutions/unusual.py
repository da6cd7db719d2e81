"""All exercises, solved right in unusual ways: no grader may fall over the form."""

import functools
import traceback
from dataclasses import dataclass

import numpy as np
from numpy import einsum
from numpy.lib.stride_tricks import as_strided

CALLS = []


def noisy(function):
    """Print, and keep a record: neither is the grader's business."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        print(function.__name__, [np.shape(a) for a in args])
        traceback.print_stack()
        CALLS.append(function.__name__)
        return function(*args, **kwargs)

    return wrapper


@dataclass
class Kept:
    x: np.ndarray
    w: np.ndarray


@noisy
def affine_forward(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, Kept]:
    out = einsum("nd,dm->nm", x.reshape(len(x), -1), w, optimize=True)
    out += b
    return np.asfortranarray(out), Kept(x, w)


@noisy
def affine_backward(dout: np.ndarray, cache: Kept) -> list[np.ndarray]:
    rows = cache.x.reshape(len(cache.x), -1)
    return [(cache.w @ dout.T).T.reshape(cache.x.shape), einsum("nd,nm->dm", rows, dout), np.ones(len(dout)) @ dout]


relu_forward = lambda x: (x * (x > 0), x)
relu_backward = lambda dout, x: dout * np.heaviside(x, 0.5)  # half of the gradient passes at 0


class Sigmoid:
    """A layer that can be called."""

    def __call__(self, x):
        return 0.5 + 0.5 * np.tanh(x / 2), None if x is None else x.copy()


sigmoid_forward = Sigmoid()


def sigmoid_backward(dout, x):
    return dout * 0.25 * (1 - np.tanh(x / 2) ** 2)


def softmax_loss(x, y):
    onehot = np.eye(x.shape[1])[y]
    highest = x.max(1)
    with np.errstate(under="ignore"):
        lse = highest + np.log(np.exp(x - highest[:, None]).sum(1))
        p = np.exp(x - lse[:, None])
    return np.float64((lse - (x * onehot).sum(1)).sum() / len(y)), (p - onehot) / len(y)


def strided_windows(x, hh, ww, s):
    n, c, h, w = x.shape
    oh, ow = (h - hh) // s + 1, (w - ww) // s + 1
    a, b, i, j = x.strides
    return as_strided(x, (n, c, oh, ow, hh, ww), (a, b, i * s, j * s, i, j), writeable=False)


def conv_forward(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    padded = np.zeros((*x.shape[:2], x.shape[2] + 2 * p, x.shape[3] + 2 * p))
    padded[:, :, p : p + x.shape[2], p : p + x.shape[3]] = x
    windows = strided_windows(padded, *w.shape[2:], s)
    out = np.tensordot(windows, w, ((1, 4, 5), (1, 2, 3))) + b
    return np.moveaxis(out, -1, 1), dict(locals())


def conv_backward(dout, cache):
    """The gradient of the input as a convolution of the stretched dout with the flipped filters."""
    x, w, s, p, padded = (cache[k] for k in ("x", "w", "s", "p", "padded"))
    hh, ww = w.shape[2:]
    stretched = np.zeros((*dout.shape[:2], padded.shape[2] + hh - 1, padded.shape[3] + ww - 1))
    oh, ow = dout.shape[2:]
    stretched[:, :, hh - 1 : hh - 1 + s * oh : s, ww - 1 : ww - 1 + s * ow : s] = dout
    dpadded = einsum("nfpqij,fcij->ncpq", strided_windows(stretched, hh, ww, 1), w[:, :, ::-1, ::-1])
    dw = einsum("nfpq,ncpqij->fcij", dout, cache["windows"])
    return iter_to_tuple(dpadded[:, :, p : p + x.shape[2], p : p + x.shape[3]], dw, dout.sum((0, 2, 3)))


def iter_to_tuple(*gradients):
    return gradients


conv_naive_forward = conv_im2col_forward = conv_forward
conv_naive_backward = conv_im2col_backward = conv_backward


def max_pool_forward(x, pool_param):
    s = pool_param["stride"]
    windows = strided_windows(np.ascontiguousarray(x), pool_param["pool_height"], pool_param["pool_width"], s)
    planes = [windows[..., i, j] for i, j in np.ndindex(*windows.shape[4:])]
    return functools.reduce(np.maximum, planes), (x, pool_param)


def max_pool_backward(dout, cache):
    """The last of tied pixels gets everything."""
    x, pool_param = cache
    ph, pw, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    dx = np.zeros_like(x)
    for n, c, p, q in np.ndindex(*dout.shape):
        window = x[n, c, p * s : p * s + ph, q * s : q * s + pw]
        i, j = np.argwhere(window == window.max())[-1]
        dx[n, c, p * s + i, q * s + j] += dout[n, c, p, q]
    return (dx,)


def average_pool_forward(x, pool_param):
    ph, pw, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    total = np.zeros((*x.shape[:2], x.shape[2] + 1, x.shape[3] + 1))  # a summed-area table
    total[:, :, 1:, 1:] = x.cumsum(2).cumsum(3)
    boxes = total[:, :, ph:, pw:] - total[:, :, :-ph, pw:] - total[:, :, ph:, :-pw] + total[:, :, :-ph, :-pw]
    return boxes[:, :, ::s, ::s] / (ph * pw), (x.shape, ph, pw, s)


def average_pool_backward(dout, cache):
    """With matrices: a pixel's share is a product of one for rows and one for columns."""
    (_, _, h, w), ph, pw, s = cache
    rows = np.array([[p * s <= i < p * s + ph for p in range(dout.shape[2])] for i in range(h)]) / ph
    columns = np.array([[q * s <= j < q * s + pw for q in range(dout.shape[3])] for j in range(w)]) / pw
    return {"dx": einsum("ip,ncpq,jq->ncij", rows, dout, columns)}


def batch_norm_forward(x, gamma, beta, bn_param):
    mode, eps, m = bn_param["mode"], bn_param["eps"], bn_param["momentum"]
    if mode == "test":
        scale = gamma / np.sqrt(bn_param["running_var"] + eps)
        return x * scale + (beta - bn_param["running_mean"] * scale), None
    mu = np.ones(len(x)) @ x / len(x)
    var = ((x - mu) ** 2).sum(0) / len(x)
    bn_param["running_mean"] *= m  # in place
    bn_param["running_mean"] += (1 - m) * mu
    bn_param.update(running_var=m * bn_param["running_var"] + (1 - m) * var)
    return (x - mu) * gamma / (var + eps) ** 0.5 + beta, (x - mu, (var + eps) ** -0.5, gamma)


def batch_norm_backward(dout, cache):
    """The Jacobian of each column, written out."""
    centred, inverse, gamma = cache
    n = len(dout)
    dx = np.empty_like(dout)
    for d in range(dout.shape[1]):
        x_hat = centred[:, d] * inverse[d]
        jacobian = inverse[d] * (np.eye(n) - 1 / n - np.outer(x_hat, x_hat) / n)
        dx[:, d] = gamma[d] * jacobian @ dout[:, d]
    return dx, einsum("nd,nd->d", dout, centred * inverse), np.add.reduce(dout)


def dropout_forward(x, dropout_param):
    if dropout_param["mode"] == "test":
        return x[...], None
    out, p = np.array(x), dropout_param["p"]
    out[dropped := dropout_param["uniform"] < p] = 0
    out *= 1 / (1 - p)
    return out, (dropped, p)


def dropout_backward(dout, cache):
    if cache is None:
        return dout
    dropped, p = cache
    dx = np.ma.masked_array(dout / (1 - p), dropped).filled(0.0)
    return dx.view()


def residual_block_forward(x, w1, b1, w2, b2):
    param = {"stride": 1, "pad": 1}
    h, cache1 = conv_forward(x, w1, b1, param)
    out, cache2 = conv_forward(np.clip(h, 0, None), w2, b2, param)
    out = out + x
    mask = np.sign(out).clip(0)
    return out * mask, [cache1, h > 0, cache2, mask]


def residual_block_backward(dout, cache):
    cache1, first, cache2, mask = cache
    dx = dout * mask
    dh, *second = conv_backward(dx, cache2)
    through, *weights = conv_backward(dh * first, cache1)
    return (through + dx, *weights, *second)


def lrn_forward(x, lrn_param):
    """The sum over neighbours as a matrix product along the channels."""
    c = np.arange(x.shape[1])
    near = (abs(c[:, None] - c) <= lrn_param["size"] // 2).astype(float)
    s = lrn_param["k"] + lrn_param["alpha"] / lrn_param["size"] * np.moveaxis(np.tensordot(near, x * x, (1, 1)), 0, 1)
    return np.exp(np.log(s) * -lrn_param["beta"]) * x, (x, near, s, lrn_param)


def lrn_backward(dout, cache):
    x, near, s, lrn_param = cache
    beta = lrn_param["beta"]
    ds = -beta * dout * x / s ** (beta + 1)
    dsquares = einsum("cj,njhw->nchw", near, ds, optimize="greedy") * lrn_param["alpha"] / lrn_param["size"]
    return dout / s**beta + 2 * dsquares * x

"""All exercises, solved with whole arrays."""

import numpy as np


def affine_forward(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    dx = (dout @ w.T).reshape(x.shape)
    dw = x.reshape(len(x), -1).T @ dout
    db = dout.sum(axis=0)
    return dx, dw, db


def relu_forward(x):
    return np.maximum(x, 0), x


def relu_backward(dout, cache):
    return np.where(cache > 0, dout, 0)


def sigmoid_forward(x):
    small = np.exp(-np.abs(x))
    out = np.where(x >= 0, 1, small) / (1 + small)
    return out, out


def sigmoid_backward(dout, cache):
    return dout * cache * (1 - cache)


def softmax_loss(x, y):
    n = len(x)
    shifted = x - x.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -log_p[np.arange(n), y].mean()
    dx = np.exp(log_p)
    dx[np.arange(n), y] -= 1
    return loss, dx / n


def conv_naive_forward(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, w.shape[2:], (2, 3))[:, :, ::s, ::s]
    out = np.einsum("ncpqij,fcij->nfpq", windows, w) + b[:, None, None]
    return out, (x, w, windows, s, p)


def conv_naive_backward(dout, cache):
    x, w, windows, s, p = cache
    dw = np.einsum("nfpq,ncpqij->fcij", dout, windows)
    dpadded = np.zeros((*x.shape[:2], x.shape[2] + 2 * p, x.shape[3] + 2 * p))
    _, _, oh, ow = dout.shape
    for i, j in np.ndindex(*w.shape[2:]):
        dpadded[:, :, i : i + s * oh : s, j : j + s * ow : s] += np.einsum("nfpq,fc->ncpq", dout, w[:, :, i, j])
    dx = dpadded[:, :, p : p + x.shape[2], p : p + x.shape[3]]
    db = dout.sum(axis=(0, 2, 3))
    return dx, dw, db


def im2col(x, hh, ww, s, p):
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (hh, ww), (2, 3))[:, :, ::s, ::s]
    n, c, oh, ow = windows.shape[:4]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * oh * ow, c * hh * ww), oh, ow


def conv_im2col_forward(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    columns, oh, ow = im2col(x, *w.shape[2:], s, p)
    out = columns @ w.reshape(len(w), -1).T + b
    return out.reshape(len(x), oh, ow, len(w)).transpose(0, 3, 1, 2), (x, w, columns, s, p)


def conv_im2col_backward(dout, cache):
    x, w, columns, s, p = cache
    n, f, oh, ow = dout.shape
    _, c, hh, ww = w.shape
    rows = dout.transpose(0, 2, 3, 1).reshape(-1, f)
    dw = (rows.T @ columns).reshape(w.shape)
    dcolumns = (rows @ w.reshape(f, -1)).reshape(n, oh, ow, c, hh, ww)
    dpadded = np.zeros((n, c, x.shape[2] + 2 * p, x.shape[3] + 2 * p))
    for i in range(hh):
        for j in range(ww):
            dpadded[:, :, i : i + s * oh : s, j : j + s * ow : s] += dcolumns[..., i, j].transpose(0, 3, 1, 2)
    return dpadded[:, :, p : p + x.shape[2], p : p + x.shape[3]], dw, rows.sum(axis=0)


def windows_of(x, pool_param):
    size, s = (pool_param["pool_height"], pool_param["pool_width"]), pool_param["stride"]
    return np.lib.stride_tricks.sliding_window_view(x, size, (2, 3))[:, :, ::s, ::s]


def max_pool_forward(x, pool_param):
    windows = windows_of(x, pool_param)
    flat = windows.reshape(*windows.shape[:4], -1)
    return flat.max(axis=-1), (x.shape, flat.argmax(axis=-1), pool_param)


def max_pool_backward(dout, cache):
    shape, winner, pool_param = cache
    dx = np.zeros(shape)
    n, c, p, q = np.indices(dout.shape)
    i, j = np.divmod(winner, pool_param["pool_width"])
    np.add.at(dx, (n, c, p * pool_param["stride"] + i, q * pool_param["stride"] + j), dout)
    return dx


def average_pool_forward(x, pool_param):
    return windows_of(x, pool_param).mean(axis=(-2, -1)), (x.shape, pool_param)


def average_pool_backward(dout, cache):
    shape, pool_param = cache
    ph, pw, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    dx = np.zeros(shape)
    _, _, oh, ow = dout.shape
    for i, j in np.ndindex(ph, pw):
        dx[:, :, i : i + s * oh : s, j : j + s * ow : s] += dout / (ph * pw)
    return dx


def batch_norm_forward(x, gamma, beta, bn_param):
    m = bn_param["momentum"]
    if bn_param["mode"] == "test":
        mu, var = bn_param["running_mean"], bn_param["running_var"]
    else:
        mu, var = x.mean(axis=0), x.var(axis=0)
        bn_param["running_mean"] = m * bn_param["running_mean"] + (1 - m) * mu
        bn_param["running_var"] = m * bn_param["running_var"] + (1 - m) * var
    inverse = 1 / np.sqrt(var + bn_param["eps"])
    x_hat = (x - mu) * inverse
    return gamma * x_hat + beta, (x_hat, inverse, gamma)


def batch_norm_backward(dout, cache):
    x_hat, inverse, gamma = cache
    dx_hat = dout * gamma
    dx = inverse * (dx_hat - dx_hat.mean(axis=0) - x_hat * (dx_hat * x_hat).mean(axis=0))
    dgamma = (dout * x_hat).sum(axis=0)
    dbeta = dout.sum(axis=0)
    return dx, dgamma, dbeta


def dropout_forward(x, dropout_param):
    p = dropout_param["p"]
    if dropout_param["mode"] == "test":
        return x, np.ones(x.shape)
    mask = (dropout_param["uniform"] >= p) / (1 - p)
    return x * mask, mask


def dropout_backward(dout, cache):
    return dout * cache


def residual_block_forward(x, w1, b1, w2, b2):
    same = {"stride": 1, "pad": 1}
    first, cache1 = conv_im2col_forward(x, w1, b1, same)
    middle = np.maximum(first, 0)
    second, cache2 = conv_im2col_forward(middle, w2, b2, same)
    total = second + x
    return np.maximum(total, 0), (cache1, first, cache2, total)


def residual_block_backward(dout, cache):
    cache1, first, cache2, total = cache
    dtotal = dout * (total > 0)
    dmiddle, dw2, db2 = conv_im2col_backward(dtotal, cache2)
    dfirst = dmiddle * (first > 0)
    dx, dw1, db1 = conv_im2col_backward(dfirst, cache1)
    return dx + dtotal, dw1, db1, dw2, db2


def window_sum(a, size):
    half = size // 2
    padded = np.pad(a, ((0, 0), (half, half), (0, 0), (0, 0)))
    return sum(padded[:, d : d + a.shape[1]] for d in range(size))


def lrn_forward(x, lrn_param):
    size, alpha, beta, k = (lrn_param[name] for name in ("size", "alpha", "beta", "k"))
    s = k + alpha / size * window_sum(x**2, size)
    return x * s**-beta, (x, s, size, alpha, beta)


def lrn_backward(dout, cache):
    x, s, size, alpha, beta = cache
    shared = window_sum(dout * x * s ** (-beta - 1), size)
    return dout * s**-beta - 2 * alpha * beta / size * x * shared

"""All exercises, solved by loops as a beginner writes them; other ways of returning, other caches, ties shared out."""

import math

import numpy


def affine_forward(x, w, b):
    rows = x.reshape(x.shape[0], -1)
    out = numpy.zeros((rows.shape[0], w.shape[1]))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = b[j]
            for k in range(w.shape[0]):
                out[i, j] += rows[i, k] * w[k, j]
    return out, {"x": x, "w": w, "b": b}


def affine_backward(dout, cache):
    x, w = cache["x"], cache["w"]
    rows = x.reshape(x.shape[0], -1)
    drows, dw, db = numpy.zeros(rows.shape), numpy.zeros(w.shape), numpy.zeros(w.shape[1])
    for i in range(dout.shape[0]):
        for j in range(dout.shape[1]):
            db[j] += dout[i, j]
            for k in range(w.shape[0]):
                drows[i, k] += dout[i, j] * w[k, j]
                dw[k, j] += dout[i, j] * rows[i, k]
    return {"dx": drows.reshape(x.shape), "dw": dw, "db": db}


def relu_forward(x):
    out = x.copy()
    out[out < 0] = 0
    return out, x


def relu_backward(dout, cache):
    dx = dout.copy()
    dx[cache < 0] = 0  # at 0 the gradient passes: a subgradient, too
    return dx


def sigmoid_forward(x):
    out = numpy.zeros(x.shape)
    for i in numpy.ndindex(*x.shape):
        if x[i] >= 0:
            out[i] = 1 / (1 + math.exp(-x[i]))
        else:
            out[i] = math.exp(x[i]) / (1 + math.exp(x[i]))
    return [out, x]


def sigmoid_backward(dout, cache):
    out, _ = sigmoid_forward(cache)
    return [dout * out * (1 - out)]


def softmax_loss(x, y):
    loss, dx = 0.0, numpy.zeros(x.shape)
    for i in range(x.shape[0]):
        highest = max(x[i])
        powers = [math.exp(v - highest) for v in x[i]]
        total = sum(powers)
        loss += math.log(total) - (x[i, y[i]] - highest)
        for j in range(x.shape[1]):
            dx[i, j] = powers[j] / total
        dx[i, y[i]] -= 1
    return loss / x.shape[0], dx / x.shape[0]


def conv_naive_forward(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    n_images, _, height, width = x.shape
    filters, _, hh, ww = w.shape
    padded = numpy.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    oh, ow = 1 + (height + 2 * p - hh) // s, 1 + (width + 2 * p - ww) // s
    out = numpy.zeros((n_images, filters, oh, ow))
    for n in range(n_images):
        for f in range(filters):
            for i in range(oh):
                for j in range(ow):
                    out[n, f, i, j] = numpy.sum(padded[n, :, i * s : i * s + hh, j * s : j * s + ww] * w[f]) + b[f]
    return out, (x, w, b, conv_param)


def conv_naive_backward(dout, cache):
    x, w, b, conv_param = cache
    s, p = conv_param["stride"], conv_param["pad"]
    _, _, hh, ww = w.shape
    padded = numpy.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    dpadded, dw, db = numpy.zeros_like(padded), numpy.zeros_like(w), numpy.zeros_like(b)
    for n in range(dout.shape[0]):
        for f in range(dout.shape[1]):
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    rows, columns = slice(i * s, i * s + hh), slice(j * s, j * s + ww)
                    dw[f] += dout[n, f, i, j] * padded[n, :, rows, columns]
                    dpadded[n, :, rows, columns] += dout[n, f, i, j] * w[f]
                    db[f] += dout[n, f, i, j]
    return dpadded[:, :, p : padded.shape[2] - p, p : padded.shape[3] - p], dw, db


def conv_im2col_forward(x, w, b, conv_param):
    s, p = conv_param["stride"], conv_param["pad"]
    n_images, channels, height, width = x.shape
    filters, _, hh, ww = w.shape
    oh, ow = 1 + (height + 2 * p - hh) // s, 1 + (width + 2 * p - ww) // s
    padded = numpy.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    columns = numpy.zeros((channels * hh * ww, n_images * oh * ow))  # a window in each column
    at = 0
    for n in range(n_images):
        for i in range(oh):
            for j in range(ow):
                columns[:, at] = padded[n, :, i * s : i * s + hh, j * s : j * s + ww].ravel()
                at += 1
    out = w.reshape(filters, -1) @ columns + b.reshape(-1, 1)
    return out.reshape(filters, n_images, oh, ow).transpose(1, 0, 2, 3), (x.shape, w, columns, conv_param)


def conv_im2col_backward(dout, cache):
    shape, w, columns, conv_param = cache
    s, p = conv_param["stride"], conv_param["pad"]
    filters, channels, hh, ww = w.shape
    flat = dout.transpose(1, 0, 2, 3).reshape(filters, -1)
    dw = (flat @ columns.T).reshape(w.shape)
    dcolumns = w.reshape(filters, -1).T @ flat
    dpadded = numpy.zeros((shape[0], shape[1], shape[2] + 2 * p, shape[3] + 2 * p))
    at = 0
    for n in range(dout.shape[0]):
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                window = dcolumns[:, at].reshape(channels, hh, ww)
                dpadded[n, :, i * s : i * s + hh, j * s : j * s + ww] += window
                at += 1
    dx = dpadded if p == 0 else dpadded[:, :, p:-p, p:-p]
    return dx, dw, flat.sum(axis=1)


def max_pool_forward(x, pool_param):
    ph, pw, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    oh, ow = 1 + (x.shape[2] - ph) // s, 1 + (x.shape[3] - pw) // s
    out = numpy.full((x.shape[0], x.shape[1], oh, ow), -numpy.inf)
    for n, c, i, j in numpy.ndindex(*out.shape):
        for a in range(ph):
            for e in range(pw):
                out[n, c, i, j] = max(out[n, c, i, j], x[n, c, i * s + a, j * s + e])
    return out, (x, pool_param)


def max_pool_backward(dout, cache):
    x, pool_param = cache
    ph, pw, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    dx = numpy.zeros(x.shape)
    for n, c, i, j in numpy.ndindex(*dout.shape):
        window = x[n, c, i * s : i * s + ph, j * s : j * s + pw]
        winners = window == window.max()
        dx[n, c, i * s : i * s + ph, j * s : j * s + pw] += dout[n, c, i, j] * winners / winners.sum()
    return dx


def average_pool_forward(x, pool_param):
    ph, pw, s = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    oh, ow = 1 + (x.shape[2] - ph) // s, 1 + (x.shape[3] - pw) // s
    out = numpy.empty((x.shape[0], x.shape[1], oh, ow))
    for n, c, i, j in numpy.ndindex(*out.shape):
        out[n, c, i, j] = x[n, c, i * s : i * s + ph, j * s : j * s + pw].sum() / ph / pw
    return out, (x.shape, ph, pw, s)


def average_pool_backward(dout, cache):
    shape, ph, pw, s = cache
    dx = numpy.zeros(shape)
    for n, c, i, j in numpy.ndindex(*dout.shape):
        for a in range(ph):
            for e in range(pw):
                dx[n, c, i * s + a, j * s + e] += dout[n, c, i, j] / (ph * pw)
    return dx


def batch_norm_forward(x, gamma, beta, bn_param):
    out = numpy.zeros(x.shape)
    means, variances = numpy.zeros(x.shape[1]), numpy.zeros(x.shape[1])
    m, eps = bn_param["momentum"], bn_param["eps"]
    for d in range(x.shape[1]):
        if bn_param["mode"] == "train":
            means[d] = sum(x[:, d]) / x.shape[0]
            variances[d] = sum((v - means[d]) ** 2 for v in x[:, d]) / x.shape[0]
            bn_param["running_mean"][d] = m * bn_param["running_mean"][d] + (1 - m) * means[d]  # in place
            bn_param["running_var"][d] = m * bn_param["running_var"][d] + (1 - m) * variances[d]
        else:
            means[d], variances[d] = bn_param["running_mean"][d], bn_param["running_var"][d]
        for i in range(x.shape[0]):
            out[i, d] = gamma[d] * (x[i, d] - means[d]) / math.sqrt(variances[d] + eps) + beta[d]
    return out, (x, gamma, means, variances, eps)


def batch_norm_backward(dout, cache):
    x, gamma, mu, var, eps = cache
    n = x.shape[0]
    dx_hat = dout * gamma
    dvar = numpy.sum(dx_hat * (x - mu) * -0.5 * (var + eps) ** -1.5, axis=0)
    dmu = numpy.sum(-dx_hat / numpy.sqrt(var + eps), axis=0) + dvar * numpy.sum(-2 * (x - mu), axis=0) / n
    dx = dx_hat / numpy.sqrt(var + eps) + dvar * 2 * (x - mu) / n + dmu / n
    dgamma = numpy.sum(dout * (x - mu) / numpy.sqrt(var + eps), axis=0)
    return dx, dgamma, numpy.sum(dout, axis=0)


def dropout_forward(x, dropout_param):
    out = x.copy()
    if dropout_param["mode"] == "train":
        for i in numpy.ndindex(*x.shape):
            kept = dropout_param["uniform"][i] >= dropout_param["p"]
            out[i] = x[i] / (1 - dropout_param["p"]) if kept else 0
    return out, dropout_param


def dropout_backward(dout, cache):
    if cache["mode"] == "test":
        return dout
    return numpy.where(cache["uniform"] < cache["p"], 0, dout / (1 - cache["p"]))


def residual_block_forward(x, w1, b1, w2, b2):
    same = {"stride": 1, "pad": 1}
    a, cache_a = conv_naive_forward(x, w1, b1, same)
    b, cache_b = relu_forward(a)
    c, cache_c = conv_naive_forward(b, w2, b2, same)
    out, cache_out = relu_forward(c + x)
    return out, (cache_a, cache_b, cache_c, cache_out)


def residual_block_backward(dout, cache):
    cache_a, cache_b, cache_c, cache_out = cache
    dsum = relu_backward(dout, cache_out)
    db_, dw2, db2 = conv_naive_backward(dsum, cache_c)
    da = relu_backward(db_, cache_b)
    dx, dw1, db1 = conv_naive_backward(da, cache_a)
    dx += dsum
    return dx, dw1, db1, dw2, db2


def lrn_forward(x, lrn_param):
    size, alpha, beta, k = lrn_param["size"], lrn_param["alpha"], lrn_param["beta"], lrn_param["k"]
    s = numpy.zeros(x.shape)
    for c in range(x.shape[1]):
        low, high = max(0, c - size // 2), min(x.shape[1], c + size // 2 + 1)
        s[:, c] = k + alpha / size * (x[:, low:high] ** 2).sum(axis=1)
    return x / s**beta, (x, s, lrn_param)


def lrn_backward(dout, cache):
    x, s, lrn_param = cache
    size, alpha, beta = lrn_param["size"], lrn_param["alpha"], lrn_param["beta"]
    dx = dout / s**beta
    for c in range(x.shape[1]):
        for j in range(max(0, c - size // 2), min(x.shape[1], c + size // 2 + 1)):
            dx[:, c] -= dout[:, j] * x[:, j] * beta / s[:, j] ** (beta + 1) * 2 * alpha / size * x[:, c]
    return dx

"""Batch normalisation: every feature gets mean 0 and variance 1 over the batch, then a scale and a shift of its own.

Fill in what raises NotImplementedError; numbers are float64 throughout. Check your work with:

    minicnn coursework grade THIS_FILE
"""

import numpy as np


def batch_norm_forward(x, gamma, beta, bn_param):
    """Normalise each column of x.

        mu    = mean of x over the batch, (D,)
        var   = mean of (x - mu)² over the batch, (D,)       (divided by N, not by N - 1)
        x_hat = (x - mu) / sqrt(var + eps)
        out   = gamma · x_hat + beta

    x: (N, D);  gamma, beta: (D,)
    bn_param: dictionary with
      "mode": "train" or "test"
      "eps", "momentum": numbers
      "running_mean", "running_var": (D,)
    In mode "train", also update the running statistics, in the dictionary:
        running_mean = momentum · running_mean + (1 - momentum) · mu
        running_var  = momentum · running_var  + (1 - momentum) · var
    In mode "test", use running_mean and running_var instead of mu and var, and leave them as they are.
    Returns (out, cache): out (N, D); cache is whatever your backward pass needs.

    >>> bn_param = {"mode": "train", "eps": 0.0, "momentum": 0.9}
    >>> bn_param["running_mean"], bn_param["running_var"] = np.zeros(1), np.ones(1)
    >>> out, cache = batch_norm_forward(np.array([[1.0], [3.0]]), np.array([5.0]), np.array([10.0]), bn_param)
    >>> out
    array([[ 5.],
           [15.]])
    >>> bn_param["running_mean"]  # 0.9 · 0 + 0.1 · 2
    array([0.2])
    """
    raise NotImplementedError


def batch_norm_backward(dout, cache):
    """Compute the gradients of the loss from dout, its gradient with respect to out (after mode "train").

    dout: (N, D)
    Returns (dx, dgamma, dbeta), each of exactly the shape of x, gamma, beta.

    Hint: mu and var depend on every x, so x[i, d] reaches out by three ways: directly, through mu, and through var.
    Draw the graph of the forward pass and go back along each edge; paths that meet add up. Do not forget eps.
    """
    raise NotImplementedError

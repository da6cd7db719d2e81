"""Softmax loss: how surprised a classifier is by the right answers, and which way to change its scores.

Fill in what raises NotImplementedError; numbers are float64 throughout. Check your work with:

    minicnn coursework grade THIS_FILE
"""

import numpy as np


def softmax_loss(x, y):
    """Compute the mean cross-entropy of the right classes, and its gradient.

        p[i, j] = exp(x[i, j]) / sum_k exp(x[i, k])
        loss    = - mean_i log p[i, y[i]]

    x: (N, C)   scores of N examples for C classes
    y: (N,)     integers from 0 to C - 1: the right classes
    Returns (loss, dx): loss is one number, dx its gradient with respect to x, (N, C).
    One function, not a pair: the loss is the last layer, so nothing comes back to it.

    Hints: scores may be 1000; softmax does not change if the same number is subtracted from a whole row (which one
    helps?). And take the logarithm before the numbers get too small, not after.
    For dx: differentiate log p[i, y[i]] with respect to x[i, y[i]] and to another x[i, j]. Do not forget the mean.

    >>> loss, dx = softmax_loss(np.array([[0.0, 0.0], [np.log(3), 0.0]]), np.array([0, 0]))
    >>> print(round(float(loss), 6))  # (log 2 + log 4/3) / 2
    0.490415
    """
    raise NotImplementedError

"""Affine layer: every output is a weighted sum of all inputs, plus a bias.

Fill in what raises NotImplementedError; numbers are float64 throughout. Check your work with:

    minicnn coursework grade THIS_FILE
"""

import numpy as np


def affine_forward(x, w, b):
    """Compute  out = X w + b,  where X is x with each example laid out as one row.

    x: (N, d_1, ..., d_k)   N examples of any shape; D = d_1 · ... · d_k
    w: (D, M)
    b: (M,)
    Returns (out, cache): out (N, M); cache is whatever your backward pass needs.

    Hint: x.reshape(len(x), -1) is X. Never change x itself.

    >>> out, cache = affine_forward(np.array([[1.0, 2.0]]), np.array([[1.0, 0.0, 3.0], [0.0, 1.0, 4.0]]), np.ones(3))
    >>> out
    array([[ 2.,  3., 12.]])
    """
    raise NotImplementedError


def affine_backward(dout, cache):
    """Compute the gradients of the loss from dout, its gradient with respect to out.

    dout: (N, M)
    Returns (dx, dw, db), each of exactly the shape of x, w, b.

    Hint: write one element of out as a sum and differentiate it. The shapes leave only one way to multiply dout by w
    and by X. b was added to every row: what does that mean for db?
    """
    raise NotImplementedError

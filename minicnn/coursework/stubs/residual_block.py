"""Residual block: two convolutions learn what to add to x, and a shortcut brings x itself.

Fill in what raises NotImplementedError; numbers are float64 throughout. Check your work with:

    minicnn coursework grade THIS_FILE
"""

import numpy as np


def residual_block_forward(x, w1, b1, w2, b2):
    """Compute  out = relu(conv(relu(conv(x, w1, b1)), w2, b2) + x).

    conv is a convolution with 3 × 3 filters, stride 1 and one row of zeros as padding on each side, so that all
    images keep their size.

    x: (N, C, H, W)
    w1, w2: (C, C, 3, 3);  b1, b2: (C,)
    Returns (out, cache): out (N, C, H, W); cache is whatever your backward pass needs.

    Hint: use the convolution and ReLU that you have written: copy them into this file, or import them from a file in
    the same folder.

    >>> x, w, b = np.array([[[[1.0, -2.0]]]]), np.zeros((1, 1, 3, 3)), np.array([0.5])
    >>> out, cache = residual_block_forward(x, w, b, w, b)  # what is learnt is 0.5 everywhere
    >>> out[0, 0]
    array([[1.5, 0. ]])
    """
    raise NotImplementedError


def residual_block_backward(dout, cache):
    """Compute the gradients of the loss from dout, its gradient with respect to out.

    dout: (N, C, H, W)
    Returns (dx, dw1, db1, dw2, db2), each of exactly the shape of x, w1, b1, w2, b2.

    Hint: go back step by step, last step first. x is used twice, so its gradient is a sum of two.
    """
    raise NotImplementedError

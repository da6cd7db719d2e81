"""Average pooling: of every window, the mean goes on.

Fill in what raises NotImplementedError; numbers are float64 throughout. Check your work with:

    minicnn coursework grade THIS_FILE
"""

import numpy as np


def average_pool_forward(x, pool_param):
    """Compute the mean of every window of each channel.

    x: (N, C, H, W)
    pool_param: dictionary with
      "pool_height", "pool_width": PH and PW, the window's size
      "stride":                    by how many pixels the window moves, in both directions
    Returns (out, cache): out (N, C, OH, OW); cache is whatever your backward pass needs.
      OH = 1 + (H - PH) // stride,   OW = 1 + (W - PW) // stride
    Windows may overlap (stride smaller than the window) or leave pixels out (larger).

    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> out, cache = average_pool_forward(x, {"pool_height": 2, "pool_width": 2, "stride": 2})
    >>> out[0, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    raise NotImplementedError


def average_pool_backward(dout, cache):
    """Compute the gradient of the loss from dout, its gradient with respect to out.

    dout: (N, C, OH, OW)
    Returns dx, (N, C, H, W).

    Hint: which share of out[n, c, p, q] does each pixel of its window have? Overlapping windows add up.
    """
    raise NotImplementedError

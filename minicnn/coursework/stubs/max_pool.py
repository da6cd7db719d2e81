"""Max pooling: of every window, only the greatest number goes on.

Fill in what raises NotImplementedError; numbers are float64 throughout. Check your work with:

    minicnn coursework grade THIS_FILE
"""

import numpy as np


def max_pool_forward(x, pool_param):
    """Compute the maximum of every window of each channel.

    x: (N, C, H, W)
    pool_param: dictionary with
      "pool_height", "pool_width": PH and PW, the window's size
      "stride":                    by how many pixels the window moves, in both directions
    Returns (out, cache): out (N, C, OH, OW); cache is whatever your backward pass needs.
      OH = 1 + (H - PH) // stride,   OW = 1 + (W - PW) // stride
    Windows may overlap (stride smaller than the window) or leave pixels out (larger).

    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> out, cache = max_pool_forward(x, {"pool_height": 2, "pool_width": 2, "stride": 2})
    >>> out[0, 0]
    array([[ 5.,  7.],
           [13., 15.]])
    """
    raise NotImplementedError


def max_pool_backward(dout, cache):
    """Compute the gradient of the loss from dout, its gradient with respect to out.

    dout: (N, C, OH, OW)
    Returns dx, (N, C, H, W).

    Hint: each dout goes back to the pixel that was the greatest of its window. If windows overlap, a pixel may get
    several. If two pixels tie, give all of it to one of them or share it out, but do not give it twice.
    """
    raise NotImplementedError

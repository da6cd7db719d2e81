"""Convolution as one matrix product: im2col writes every window as a row (or column) of a matrix.

Fill in what raises NotImplementedError; numbers are float64 throughout. Check your work with:

    minicnn coursework grade THIS_FILE
"""

import numpy as np


def conv_im2col_forward(x, w, b, conv_param):
    """Compute  out[n, f, p, q] = b[f] + sum_{c, i, j} w[f, c, i, j] · xpad[n, c, p·stride + i, q·stride + j].

    x: (N, C, H, W)      N images of C channels
    w: (F, C, HH, WW)    F filters
    b: (F,)
    conv_param: dictionary with
      "stride": by how many pixels the window moves, in both directions
      "pad":    how many rows and columns of zeros are laid around x on each side (this makes xpad)
    Returns (out, cache): out (N, F, OH, OW); cache is whatever your backward pass needs.
      OH = 1 + (H + 2·pad - HH) // stride,   OW = 1 + (W + 2·pad - WW) // stride

    Hint: build a matrix with one row for each window, (N·OH·OW, C·HH·WW). np.lib.stride_tricks.sliding_window_view
    gives all windows at once; or loop over the HH·WW places in the window, never over the pixels. Then multiply by
    w.reshape(F, -1).T. The order of axes decides everything: write the shape beside each line.

    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> out, cache = conv_im2col_forward(x, np.ones((1, 1, 2, 2)), np.array([0.5]), {"stride": 1, "pad": 0})
    >>> out[0, 0]
    array([[ 8.5, 12.5],
           [20.5, 24.5]])
    """
    raise NotImplementedError


def conv_im2col_backward(dout, cache):
    """Compute the gradients of the loss from dout, its gradient with respect to out.

    dout: (N, F, OH, OW)
    Returns (dx, dw, db), each of exactly the shape of x, w, b.

    Hint: bring dout into the form of a matrix (N·OH·OW, F). dw and the gradient of the im2col matrix are matrix
    products. Then comes col2im: put every number back to the pixel it was taken from, and add where windows overlap.
    """
    raise NotImplementedError

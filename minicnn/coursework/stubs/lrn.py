"""Local response normalisation (AlexNet, 2012): a channel is damped where its neighbour channels are loud.

Fill in what raises NotImplementedError; numbers are float64 throughout. Check your work with:

    minicnn coursework grade THIS_FILE
"""

import numpy as np


def lrn_forward(x, lrn_param):
    """Compute, at every pixel,

        s[c]   = k + alpha / size · sum of x[j]² over the channels j with |j - c| ≤ size // 2
        out[c] = x[c] / s[c]^beta

    x: (N, C, H, W)
    lrn_param: dictionary with "size" (odd), "alpha", "beta", "k"
    Channels outside 0 ... C - 1 do not exist: they add nothing to the sum, which is divided by size all the same.
    (Dividing by size is PyTorch's form; the paper's alpha is this one over size.)
    Returns (out, cache): out (N, C, H, W); cache is whatever your backward pass needs.

    >>> x = np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1)
    >>> out, cache = lrn_forward(x, {"size": 3, "alpha": 3.0, "beta": 1.0, "k": 1.0})
    >>> (1 / out).ravel() * x.ravel()  # that is s: 1 + 1² + 2², 1 + 1² + 2² + 3², 1 + 2² + 3²
    array([ 6., 15., 14.])
    """
    raise NotImplementedError


def lrn_backward(dout, cache):
    """Compute the gradient of the loss from dout, its gradient with respect to out.

    dout: (N, C, H, W)
    Returns dx, (N, C, H, W).

    Hint: x[c] reaches out[c] directly, and every out[j] with |j - c| ≤ size // 2 through s[j]. Add up both ways.
    """
    raise NotImplementedError

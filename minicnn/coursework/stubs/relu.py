"""ReLU: lets positive numbers through, and nothing else.

Fill in what raises NotImplementedError; numbers are float64 throughout. Check your work with:

    minicnn coursework grade THIS_FILE
"""

import numpy as np


def relu_forward(x):
    """Compute  out = max(x, 0),  element by element.

    x: any shape
    Returns (out, cache): out of x's shape; cache is whatever your backward pass needs.

    >>> out, cache = relu_forward(np.array([-2.0, 0.0, 3.0]))
    >>> out
    array([0., 0., 3.])
    """
    raise NotImplementedError


def relu_backward(dout, cache):
    """Compute the gradient of the loss from dout, its gradient with respect to out.

    dout: x's shape
    Returns dx, of x's shape.

    Hint: the slope of max(x, 0) is 1 where x > 0 and 0 where x < 0. At x = 0 every number from 0 to 1 is a
    subgradient; the usual choice is 0. Do not change dout: someone else may need it.
    """
    raise NotImplementedError

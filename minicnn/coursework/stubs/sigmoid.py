"""Sigmoid: squeezes every number into (0, 1).

Fill in what raises NotImplementedError; numbers are float64 throughout. Check your work with:

    minicnn coursework grade THIS_FILE
"""

import numpy as np


def sigmoid_forward(x):
    """Compute  out = 1 / (1 + exp(-x)),  element by element.

    x: any shape
    Returns (out, cache): out of x's shape; cache is whatever your backward pass needs.

    Hint: x may be 1000 or -1000, and the result must still be a number. For which of them does your formula
    divide infinity by infinity?

    >>> out, cache = sigmoid_forward(np.array([-1000.0, 0.0, 1000.0]))
    >>> out
    array([0. , 0.5, 1. ])
    """
    raise NotImplementedError


def sigmoid_backward(dout, cache):
    """Compute the gradient of the loss from dout, its gradient with respect to out.

    dout: x's shape
    Returns dx, of x's shape.

    Hint: the derivative of the sigmoid can be written with out alone.
    """
    raise NotImplementedError

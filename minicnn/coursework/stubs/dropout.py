"""Dropout (inverted): in training some numbers are set to 0 at random, and the others grow to make up for it.

Fill in what raises NotImplementedError; numbers are float64 throughout. Check your work with:

    minicnn coursework grade THIS_FILE
"""

import numpy as np


def dropout_forward(x, dropout_param):
    """Set each element to 0 with probability p, and divide the others by 1 - p; in mode "test" change nothing.

    x: any shape
    dropout_param: dictionary with
      "mode":    "train" or "test"
      "p":       the probability of being dropped, 0 ≤ p < 1 (as in PyTorch; some courses call the other one p)
      "uniform": random numbers from [0, 1), of x's shape. Take these, draw none yourself: an element is dropped where
                 uniform < p and kept where uniform ≥ p. So everybody has the same mask, and it can be checked.
                 (In a network of your own:  uniform = np.random.default_rng(seed).random(x.shape).)
    Returns (out, cache): out of x's shape; cache is whatever your backward pass needs.

    Why divide by 1 - p? So that the expected value of out is x, and nothing is left to do in mode "test".

    >>> dropout_param = {"mode": "train", "p": 0.5, "uniform": np.array([0.1, 0.9, 0.5, 0.4])}
    >>> out, cache = dropout_forward(np.array([1.0, 2.0, 3.0, 4.0]), dropout_param)
    >>> out
    array([0., 4., 6., 0.])
    """
    raise NotImplementedError


def dropout_backward(dout, cache):
    """Compute the gradient of the loss from dout, its gradient with respect to out, in both modes.

    dout: x's shape
    Returns dx, of x's shape.

    Hint: given the mask, out is linear in x.
    """
    raise NotImplementedError

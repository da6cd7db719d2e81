"""The index of all operations: `import minicnn.functional as F`.

Each name is defined, with its formula and its plain NumPy code, in the file it comes from here.
"""

from .ops.activation import relu
from .ops.cast import clone, to
from .ops.elementwise import (
    abs,
    add,
    clamp,
    div,
    exp,
    log,
    maximum,
    minimum,
    mul,
    neg,
    pow,
    sqrt,
    sub,
    where,
)
from .ops.conv import conv2d, conv_transpose2d, fold, unfold

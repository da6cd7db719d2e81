"""The index of all operations: `import minicnn.functional as F`.

Each name is defined, with its formula and its plain NumPy code, in the file it comes from here.
"""

from .ops.activation import erf, gelu, leaky_relu, log1p, logsigmoid, relu, sigmoid, silu, softplus, tanh
from .ops.cast import clone, to
from .ops.conv import conv2d, conv_transpose2d, fold, unfold
from .ops.dropout import dropout, dropout2d
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
from .ops.logic import (
    all,
    any,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    eq,
    floor_divide,
    ge,
    gt,
    isfinite,
    isinf,
    isnan,
    le,
    lt,
    ne,
    remainder,
)
from .ops.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cosine_similarity,
    cross_entropy,
    l1_loss,
    mse_loss,
    nll_loss,
    one_hot,
    smooth_l1_loss,
    triplet_margin_loss,
)
from .ops.matmul import einsum, linear, matmul
from .ops.norm import batch_norm, group_norm, layer_norm, local_response_norm, normalize
from .ops.pool import adaptive_avg_pool2d, adaptive_max_pool2d, avg_pool2d, lp_pool2d, max_pool2d
from .ops.reduce import amax, amin, argmax, argmin, max, mean, min, std, sum, var
from .ops.shape import (
    cat,
    expand,
    flatten,
    flip,
    index,
    pad,
    permute,
    reshape,
    split,
    squeeze,
    stack,
    transpose,
    unsqueeze,
)
from .ops.softmax import log_softmax, logsumexp, softmax

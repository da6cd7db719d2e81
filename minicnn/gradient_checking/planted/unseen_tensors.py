"""Unseen by the rules of diagnosis: functions of Tensors and modules."""

from __future__ import annotations

from typing import Any

import numpy as np

import minicnn as mc
import minicnn.functional as F
from minicnn import nn

from ..mutants import right, wrong
from .tensors import operation
from .unseen_functions import draw

Array = Any
cube = operation(lambda x: (x**3, x), lambda d, x: 3 * d * x**2)
cube_lowered = operation(lambda x: (x**3, x), lambda d, x: 3 * d * x)
unfolded_sum = operation(lambda x, b: (x + b[:, None, None], b), lambda d, b: (d, d.sum((0, 2, 3))))
bias_of_one_image = operation(lambda x, b: (x + b[:, None, None], b), lambda d, b: (d, d[0].sum((1, 2))))
softmax_diagonal = operation(lambda x: (lambda p: (p, p))(np.exp(x) / np.exp(x).sum(1, keepdims=True)),
                             lambda d, p: d * p * (1 - p))  # fmt: skip
mean_pool_sum = operation(lambda x: (x.mean((2, 3)), x.shape),
                          lambda d, s: np.broadcast_to(d[:, :, None, None], s).copy())  # fmt: skip
matmul_turned = operation(lambda a, b: (a @ b, (a, b)), lambda d, c: (d @ c[1], c[0].T @ d))
float32_exp = operation(lambda x: (np.exp(x), np.exp(x)), lambda d, y: (d * y).astype(np.float32).astype(d.dtype))
reversed_back = operation(lambda x: (x[:, ::-1].copy(), None), lambda d, c: d)


class Embedding(nn.Module):
    """Rows of a table, by an operation; repeated words overwrite each other or not."""

    add = False

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(mc.randn(5, 3))

    def forward(self, words: Any) -> Any:
        add = self.add

        def back(d: Array, c: Any) -> Any:
            shape, index = c
            out = np.zeros(shape)
            if add:
                np.add.at(out, index, d)
            else:
                out[index] = d
            return out

        index = words.numpy()
        return operation(lambda t: (t[index], (t.shape, index)), back)(self.table)


class EmbeddingAdded(Embedding):
    """As it must be."""

    add = True


class Siamese(nn.Module):
    """The same layer for two inputs; one use of it detached or not."""

    detach = False

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)

    def forward(self, a: Any, b: Any) -> Any:
        u, v = F.tanh(self.layer(a)), F.tanh(self.layer(b))
        return F.sum(u * (v.detach() if self.detach else v), 1)


class SiameseDetached(Siamese):
    """One side cut off."""

    detach = True


class LearnedScale(nn.Module):
    """A scale that is read as a plain number."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.layer = nn.Parameter(mc.ones(1) * 1.5), nn.Linear(3, 3)

    def forward(self, x: Any) -> Any:
        return self.layer(x) * float(self.scale.numpy()[0])


class OwnDropout(nn.Module):
    """A mask from NumPy without a seed."""

    def forward(self, x: Any) -> Any:
        mask = np.random.default_rng().random(x.shape) < 0.5
        return x * mc.tensor(mask.astype(x.numpy().dtype))


class Deep(nn.Module):
    """Three layers with an operation between them."""

    between: Any = staticmethod(cube)

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Any) -> Any:
        return self.c(F.tanh(self.b(self.between(F.tanh(self.a(x))))))


class DeepNegated(Deep):
    """The sign is wrong in the middle."""

    between = staticmethod(operation(lambda x: (x**3, x), lambda d, x: -3 * d * x**2))


class DeepFactor(Deep):
    """The exponent is missing in the middle."""

    between = staticmethod(operation(lambda x: (x**3, x), lambda d, x: d * x**2))


EXAMPLES = [
    right("Function: cube", cube, None, draw((4, 5))),
    right("Function: bias of channels", unfolded_sum, None, draw((2, 3, 2, 2), (3,))),
    right("module: embedding", EmbeddingAdded, None, lambda rng: [np.array([0, 3, 3, 1])]),
    right("module: siamese", Siamese, None, draw((4, 3), (4, 3))),
    right("module: three layers", Deep, None, draw((4, 3))),
    wrong("missing term", "Function: cube, exponent lowered by 2", cube_lowered, None, draw((4, 5))),
    wrong(("not summed", "overwritten", "missing term"), "Function: bias of the first image", bias_of_one_image,
          None, draw((2, 3, 2, 2), (3,))),
    wrong("missing term", "Function: softmax, diagonal", softmax_diagonal, None, draw((4, 5))),
    wrong("constant factor", "Function: mean, not divided", mean_pool_sum, None, draw((2, 3, 3, 2))),
    wrong("transposed", "Function: product, b not turned", matmul_turned, None, draw((4, 4), (4, 4))),
    wrong("lost precision", "Function: exp in float32", float32_exp, None, draw((4, 5))),
    wrong("transposed", "Function: reversed, not turned back", reversed_back, None, draw((4, 5))),
    wrong("overwritten", "module: repeated words overwrite", Embedding, None, lambda rng: [np.array([0, 3, 3, 1])]),
    wrong(("missing term", "cut graph"), "module: one side of a pair detached", SiameseDetached,
          None, draw((4, 3), (4, 3))),
    wrong("cut graph", "module: scale as a number", LearnedScale, None, draw((4, 3))),
    wrong("not deterministic", "module: own dropout", OwnDropout, None, draw((4, 3))),
    wrong("constant factor", "module: sign wrong in the middle", DeepNegated, None, draw((4, 3))),
    wrong("constant factor", "module: exponent missing in the middle", DeepFactor, None, draw((4, 3))),
    wrong("error", "function: raises for rows", lambda x: F.matmul(x, x), None, draw((4, 5))),
]  # fmt: skip

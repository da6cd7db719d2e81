import numpy as np
import torch

from minicnn.errors import DTypeError, ShapeError

from . import INF, NAN, Case, Given, Refusal, booleans, case, exact, integers, normal, refusal

MATMUL = [
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 5)), ((5, 2, 3), (3,)), ((3,), (5, 3, 4)),
    ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((5, 1, 2, 3), (4, 3, 2)),
    ((1, 2, 3), (7, 3, 1)), ((1, 1), (1, 1)), ((11, 13), (13, 7)), ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((0,), (0,)),
    ((0, 2, 3), (3, 4)),
]  # fmt: skip
LINEAR = [(2, 3), (3,), (4, 2, 3), (2, 1, 4, 3), (0, 3), (1, 3)]
EINSUM = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ij,kj->ik", (2, 3), (4, 3)), ("i,j->ij", (2,), (3,)),
    ("i,i->", (5,), (5,)), ("i,i", (5,), (5,)), ("ij->ji", (2, 3)), ("ji", (2, 3)), ("ij->", (2, 3)),
    ("ij->j", (2, 3)), ("ba", (2, 3)), ("ab,Ba", (2, 3), (4, 2)), (" i j -> j ", (2, 3)), (",", (), ()),
    ("ij,->ij", (2, 3), ()), ("iji->j", (3, 2, 3)),
    ("bij,bjk->bik", (5, 2, 3), (5, 3, 4)), ("bij,bij->b", (5, 2, 3), (5, 2, 3)),
    ("bi,bj->bij", (2, 3), (2, 4)), ("abc,cd,bde->ae", (2, 3, 4), (4, 5), (3, 5, 7)),
    ("bij,bjk,kl->bil", (2, 3, 4), (1, 4, 5), (5, 6)), ("i,i,i->i", (3,), (3,), (3,)), ("a,b,c->cab", (2,), (3,), (4,)),
    ("ij,jk", (2, 1), (3, 4)), ("ij,ij->ij", (1, 3), (2, 1)), ("ij,ij->", (1, 3), (2, 1)),
    ("...ij,...jk", (5, 2, 3), (3, 4)), ("...ij,...jk->...ik", (5, 1, 2, 3), (4, 3, 2)), ("i...->...", (2, 3, 4)),
    ("...->", (2, 3)), ("...->...", (2, 3)), ("a...->a", (2, 3, 4)), ("i...,i->...", (2, 3), (2,)),
    ("ij->i...", (2, 3)), ("...i,...i->...", (5, 3), (2, 5, 3)), ("nchw,oc->nohw", (2, 3, 4, 5), (6, 3)),
    ("...,...", (2, 3), (3,)), ("ij,jk->ik", (0, 3), (3, 2)), ("ij,jk->ik", (2, 0), (0, 3)),
    ("a,a,a", (2,), (2,), (2,)),
]  # fmt: skip

CASES: list[Case] = [
    *(case("matmul", normal(*a), normal(*b)) for a, b in MATMUL),
    case("matmul", integers(-9, 9, 2, 3), integers(-9, 9, 3, 4)),
    case("matmul", exact([[0.0, -0.0, INF], [NAN, 1.0, -1.0]]), exact([[1.0], [2.0], [0.5]]), smooth=False),
    *(case("linear", normal(*shape), normal(5, 3)) for shape in LINEAR),
    *(case("linear", normal(*shape), normal(5, 3), bias=normal(5)) for shape in LINEAR),
    case("linear", normal(2, 3), normal(1, 3), normal(1)), case("linear", normal(2, 0), normal(4, 0), normal(4)),
    case("linear", exact([[0.0, INF], [NAN, -1.0], [1.0, 2.0]]), exact([[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]]),
         smooth=False),
    *(case("einsum", equation, *(normal(*shape) for shape in shapes)) for equation, *shapes in EINSUM),
    case("einsum", "ij,jk", [normal(2, 3), normal(3, 4)]),
    case("einsum", "ij,jk", integers(-9, 9, 2, 3), integers(-9, 9, 3, 4)),
    case("einsum", "ij,k->k", *(Given(lambda rng, s=s: rng.integers(-9, 9, s).astype(np.int32), f"int32{s}", shape=s)
                                for s in ((2, 3), (4,)))),
]  # fmt: skip

REFUSALS: list[Refusal] = [
    refusal(ShapeError, "matmul: input (2, 3) has 3 columns, other (4, 2) has 4 rows", "matmul", normal(2, 3),
            normal(4, 2)),
    refusal(ShapeError, "matmul: input (3,) has 3 columns, other (4,) has 4 rows", "matmul", normal(3), normal(4)),
    refusal(ShapeError, "matmul: shapes (2,) and (3,) cannot be broadcast to one", "matmul", normal(2, 1, 4),
            normal(3, 4, 1)),
    refusal(ShapeError, "matmul: shapes (3,) and () need at least one axis each", "matmul", normal(3), normal()),
    refusal(DTypeError, "matmul: input is float64, other is int64", "matmul", normal(2, 3), integers(0, 9, 3, 2)),
    refusal(DTypeError, "matmul: other must be a Tensor, got int", "matmul", normal(2, 3), 2),
    refusal(DTypeError, "matmul: bools cannot be multiplied", "matmul", booleans(2), booleans(2)),
    refusal(ShapeError, "linear: input has shape (2, 4), weight (5, 3) needs (…, 3)", "linear", normal(2, 4),
            normal(5, 3)),
    refusal(ShapeError, "linear: input has shape (2, 3, 4, 5), weight (7, 60) needs (…, 60); flatten the images",
            "linear", normal(2, 3, 4, 5), normal(7, 60)),
    refusal(ShapeError, "linear: input has shape (), weight (5, 3) needs (…, 3)", "linear", normal(), normal(5, 3)),
    refusal(ShapeError, "linear: weight has shape (3,), needs (O, K)", "linear", normal(2, 3), normal(3),
            torch_allows=True),
    refusal(ShapeError, "linear: bias has shape (3,), weight (5, 3) needs (5,)", "linear", normal(2, 3), normal(5, 3),
            normal(3)),
    refusal(ShapeError, "linear: bias has shape (1,), weight (5, 3) needs (5,)", "linear", normal(2, 3), normal(5, 3),
            normal(1), torch_allows=True),
    refusal(DTypeError, "linear: input is int64, needs float32 or float64", "linear", integers(0, 9, 2, 3),
            normal(5, 3)),
    refusal(ShapeError, "einsum: equation 'ij,jk' has 2 operands, got 1", "einsum", "ij,jk", normal(2, 3)),
    refusal(ShapeError, "einsum: 'ij' in 'ij' does not name the 3 axes of its operand", "einsum", "ij",
            normal(2, 3, 4)),
    refusal(ShapeError, "einsum: 'ijk' in 'ijk' does not name the 2 axes of its operand", "einsum", "ijk",
            normal(2, 3)),
    refusal(ShapeError, "einsum: 'j' in 'ij,jk' has the sizes 3 and 4", "einsum", "ij,jk", normal(2, 3), normal(4, 5)),
    refusal(ShapeError, "einsum: 'i' of the result in 'ij->ii' must occur in an operand, and in the result once",
            "einsum", "ij->ii", normal(2, 3)),
    refusal(ShapeError, "einsum: 'k' of the result in 'ij->k' must occur in an operand", "einsum", "ij->k",
            normal(2, 3)),
    refusal(ShapeError, "einsum: 'i1' in 'i1' may hold letters and one ...", "einsum", "i1", normal(2, 3)),
    refusal(ShapeError, "einsum: 'i...j...' in 'i...j...' may hold letters", "einsum", "i...j...", normal(2, 3, 4)),
    refusal(ShapeError, "einsum: 'i' twice in an operand of shape (1, 3)", "einsum", "ii->i", normal(1, 3)),
    refusal(DTypeError, "einsum: operands[1] is int64, the first is float64", "einsum", "i,i", normal(2),
            integers(0, 9, 2)),
    refusal(DTypeError, "einsum: equation must be a str such as 'nk,km->nm', got Tensor", "einsum", normal(2, 3),
            [0, 1], torch=lambda x, labels: torch.einsum(x, labels), torch_allows=True),
    refusal(DTypeError, "einsum: operands[0] must be a Tensor, got int", "einsum", "i", 3),
]  # fmt: skip

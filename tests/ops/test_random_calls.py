"""Random calls of every operation: PyTorch's result, or a clear refusal where PyTorch or the interface refuses.

Shapes, types, options, memory orders, views and strides are drawn together, sensible or not. `make test` runs a few
calls of each operation, `make test-full` more than 20,000 in all.
"""

import inspect
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minicnn as mc
import minicnn.functional as F
from minicnn.errors import MinicnnError
from tests.ops.test_operations import assert_close

FEW, MANY = 15, 350
SMALLEST_SCALE = {"layer_norm": 1.0, "group_norm": 1.0, "batch_norm": 1.0}
"""Of the terms that may cancel in a result: 0.1, as the numbers drawn are about 1; more where 1/σ multiplies them."""
SPECIAL = (np.inf, -np.inf, np.nan, -0.0, 1e30)
SQUARED = (np.inf, -np.inf, np.nan, -0.0)  # the square of 1e30 overflows; PyTorch avoids that for some sizes only
FINITE = (-0.0,)  # parameters: where an infinite one meets the zeros of a padding, PyTorch gives nan or not

# Where PyTorch computes and minicnn may refuse: what the interface leaves out, and how the refusal reads.
NARROWER = [
    r"needs a batch \(N, C, H, W\)",  # unbatched images
    r"needs float32 or float64",  # layers of integers or bools
    r"convert (one|it) with",  # mixed types in a layer
    r"give no pixels",  # a transposed convolution to 0 × 0: PyTorch's float32 returns it, its float64 refuses
    r"windows that hold no pixel",  # PyTorch gives −inf, and an index outside the image, where its gradient is written
]


@dataclass(frozen=True)
class Drawn:
    """An array that was drawn, as it lies in memory."""

    array: np.ndarray

    def __repr__(self) -> str:
        return f"{self.array.dtype}{self.array.shape} strides {self.array.strides}\n{self.array!r}"


@st.composite
def arrays(
    draw: Any, shape: Any = None, kinds: str = "fdib", low: int = -3, high: int = 3, special: Any = SPECIAL
) -> Drawn:
    """Draw an array: numbers on a coarse grid, so that ties and zeros occur, sometimes a special one."""
    if shape is None:
        shape = draw(st.lists(st.integers(0, 4), max_size=4).map(tuple))
    kind = draw(st.sampled_from(kinds))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values: Any = rng.integers(4 * low, 4 * high + 1, shape) / 4
    if kind in "fd" and values.size and draw(st.integers(0, 9)) == 0:
        values.flat[rng.integers(values.size)] = draw(st.sampled_from(special))
    array = np.asarray(values).astype({"f": np.float32, "d": np.float64, "i": np.int64, "b": bool}[kind])
    order = draw(st.sampled_from(["row-major", "column-major", "reversed", "every other", "channels-last"]))
    if order == "column-major":
        array = np.asfortranarray(array)
    elif order == "reversed" and array.ndim:
        array = np.ascontiguousarray(array[::-1])[::-1]
    elif order == "every other" and array.ndim:
        array = np.repeat(array, 2, axis=-1)[..., ::2]
    elif order == "channels-last" and array.ndim == 4:
        array = np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    return Drawn(array)


@st.composite
def partner(draw: Any, shape: tuple[int, ...], kinds: str = "fdib") -> Drawn:
    """Draw an array that mostly broadcasts against this shape."""
    other = [draw(st.sampled_from([n, n, 1])) for n in shape[draw(st.integers(0, len(shape))) :]]
    if other and draw(st.integers(0, 9)) == 0:
        other[draw(st.integers(0, len(other) - 1))] += 1
    return draw(arrays(tuple(other), kinds))


def dims(ndim: int) -> st.SearchStrategy[Any]:
    """Axes, now and then one that does not exist."""
    one = st.integers(-ndim - (ndim == 0), max(ndim - 1, 0))
    return st.one_of(one, one, one, one, st.integers(-5, 5))


@st.composite
def unary(draw: Any, **options: Any) -> tuple[list[Any], dict[str, Any]]:
    return [draw(arrays())], {k: draw(s) for k, s in options.items() if draw(st.booleans())}


@st.composite
def binary(draw: Any, kinds: str = "fdib", numbers: bool = True) -> tuple[list[Any], dict[str, Any]]:
    x = draw(arrays(kinds=kinds))
    tensor = partner(x.array.shape, kinds)
    number = st.one_of(st.integers(-2, 3), st.floats(-2, 2, width=16))
    return [x, draw(st.one_of(tensor, tensor, number) if numbers else tensor)], {}


@st.composite
def where_call(draw: Any) -> tuple[list[Any], dict[str, Any]]:
    x = draw(arrays())
    return [draw(partner(x.array.shape, "bbbi")), x, draw(partner(x.array.shape))], {}


@st.composite
def reduction(draw: Any, several: bool, **options: Any) -> tuple[list[Any], dict[str, Any]]:
    x = draw(arrays())
    kwargs = {k: draw(s) for k, s in options.items() if draw(st.booleans())}
    if draw(st.integers(0, 4)):
        dim = dims(x.array.ndim)
        kwargs["dim"] = draw(st.one_of(dim, st.lists(dim, min_size=1, max_size=3).map(tuple)) if several else dim)
        if draw(st.booleans()):
            kwargs["keepdim"] = draw(st.booleans())
    return [x], kwargs


@st.composite
def along(draw: Any) -> tuple[list[Any], dict[str, Any]]:
    x = draw(arrays(kinds="ffdd"))
    return [x, draw(dims(x.array.ndim))], {}


@st.composite
def shaping(draw: Any, op: str) -> tuple[list[Any], dict[str, Any]]:
    x = draw(arrays())
    shape, ndim = x.array.shape, x.array.ndim
    dim = dims(ndim)
    if op == "reshape":
        size = int(np.prod(shape))
        options = [(size,), (-1,), (1, size), (-1, 2), (2, -1), (0, -1), (3, 2), shape[::-1]]
        return [x, draw(st.sampled_from(options))], {}
    if op == "permute":
        return [x, tuple(draw(st.permutations(range(ndim)))) if draw(st.integers(0, 5)) else (0, 0)], {}
    if op == "expand":
        return [x, tuple(draw(st.sampled_from([n, -1, 3])) for n in (*([2] * draw(st.integers(0, 1))), *shape))], {}
    if op in ("transpose",):
        return [x, draw(dim), draw(dim)], {}
    if op == "squeeze":
        return [x], {"dim": draw(dim)} if draw(st.booleans()) else {}
    if op == "unsqueeze":
        return [x, draw(dims(ndim + 1))], {}
    if op == "flatten":
        return [x], {k: draw(dim) for k in ("start_dim", "end_dim") if draw(st.booleans())}
    if op == "flip":
        return [x, tuple(draw(st.lists(dim, max_size=3)))], {}
    if op == "split":
        return [x, draw(st.one_of(st.integers(0, 3), st.lists(st.integers(0, 3), max_size=3)))], {"dim": draw(dim)}
    raise AssertionError(op)


@st.composite
def joining(draw: Any) -> tuple[list[Any], dict[str, Any]]:
    first = draw(arrays())
    others = [draw(partner(first.array.shape)) for _ in range(draw(st.integers(0, 2)))]
    same = [draw(arrays(first.array.shape)) for _ in range(draw(st.integers(0, 2)))]
    return [[first, *same, *(others if draw(st.integers(0, 4)) == 0 else [])]], {"dim": draw(dims(first.array.ndim))}


@st.composite
def padding_call(draw: Any) -> tuple[list[Any], dict[str, Any]]:
    x = draw(arrays(kinds="ffddi"))
    amounts = draw(st.lists(st.integers(-1, 3), max_size=2 * x.array.ndim + 1))
    mode = draw(st.sampled_from(["constant", "reflect", "replicate", "circular"]))
    return [x, tuple(amounts)], {"mode": mode} if draw(st.booleans()) else {"value": draw(st.floats(-2, 2, width=16))}


@st.composite
def product(draw: Any) -> tuple[list[Any], dict[str, Any]]:
    inner = draw(st.integers(0, 4))
    batch = draw(st.lists(st.integers(1, 3), max_size=2).map(tuple))
    sizes = st.integers(0, 3)
    a = draw(st.sampled_from([(inner,), (*batch, draw(sizes), inner), (draw(sizes), inner)]))
    b = draw(st.sampled_from([(inner,), (*batch, inner, draw(sizes)), (inner, draw(sizes)), (inner + 1, 2)]))
    kinds = draw(st.sampled_from(["f", "d", "fd", "i"]))
    return [draw(arrays(a, kinds)), draw(arrays(b, kinds))], {}


@st.composite
def linear_call(draw: Any) -> tuple[list[Any], dict[str, Any]]:
    features, outputs = draw(st.integers(0, 4)), draw(st.integers(0, 3))
    leading = draw(st.lists(st.integers(0, 3), max_size=2).map(tuple))
    kind = draw(st.sampled_from("fd"))
    weight = (outputs, features + (draw(st.integers(0, 9)) == 0))
    bias = [draw(arrays((outputs,), kind))] if draw(st.booleans()) else []
    return [draw(arrays((*leading, features), kind)), draw(arrays(weight, kind)), *bias], {}


small, at_least_0 = st.integers(1, 3), st.integers(0, 2)


def pairs(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    return st.one_of(numbers, st.tuples(numbers, numbers))


@st.composite
def convolution(draw: Any, transposed: bool) -> tuple[list[Any], dict[str, Any]]:
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    c_group, o_group = draw(small), draw(small)
    kernel = (draw(small), draw(small))
    kind = draw(st.sampled_from("fd"))
    channels = c_group * groups + (draw(st.integers(0, 19)) == 0)
    images = draw(small if transposed else at_least_0)
    x = draw(arrays((images, channels, draw(st.integers(1, 7)), draw(st.integers(1, 7))), kind))
    shape = (c_group * groups, o_group, *kernel) if transposed else (o_group * groups, c_group, *kernel)
    kwargs: dict[str, Any] = {"groups": groups}
    for name, numbers in (("stride", small), ("padding", at_least_0), ("dilation", small)):
        if draw(st.booleans()):
            kwargs[name] = draw(pairs(numbers))
    if transposed and draw(st.booleans()):
        kwargs["output_padding"] = draw(pairs(at_least_0))
    if not transposed and draw(st.integers(0, 4)) == 0:
        kwargs["padding"] = draw(st.sampled_from(["same", "valid"]))
    if draw(st.booleans()):
        kwargs["bias"] = draw(arrays((o_group * groups,), kind))
    return [x, draw(arrays(shape, kind, special=FINITE))], kwargs


@st.composite
def images(draw: Any, special: Any = SPECIAL) -> Drawn:
    shape = (draw(st.integers(1, 2)), draw(small), draw(st.integers(1, 7)), draw(st.integers(1, 7)))
    return draw(arrays(shape, "fd", special=special))


@st.composite
def pooling(draw: Any, **options: Any) -> tuple[list[Any], dict[str, Any]]:
    kwargs = {k: draw(s) for k, s in options.items() if draw(st.booleans())}
    return [draw(images()), draw(pairs(small))], kwargs


@st.composite
def adaptive(draw: Any) -> tuple[list[Any], dict[str, Any]]:
    return [draw(images()), draw(pairs(st.integers(1, 5)))], {}


@st.composite
def unfolding(draw: Any) -> tuple[list[Any], dict[str, Any]]:
    options = {"stride": pairs(small), "padding": pairs(at_least_0), "dilation": pairs(small)}
    return [draw(images()), draw(pairs(small))], {k: draw(s) for k, s in options.items() if draw(st.booleans())}


@st.composite
def normalisation(draw: Any, op: str) -> tuple[list[Any], dict[str, Any]]:
    x = draw(images(SQUARED))
    c, kind = x.array.shape[1], "f" if x.array.dtype == np.float32 else "d"
    kwargs: dict[str, Any] = {"eps": draw(st.sampled_from([1e-5, 1e-2]))}
    if op == "local_response_norm":
        return [x, draw(st.integers(1, 4))], {"alpha": 0.1, "beta": 0.5, "k": draw(st.sampled_from([1.0, 2.0]))}
    if op == "normalize":
        return [x], {"dim": draw(dims(4)), "p": draw(st.sampled_from([1.0, 2.0, 3.0]))}
    shape = x.array.shape[2:] if op == "layer_norm" else (c,)
    if draw(st.booleans()):
        kwargs |= {name: draw(arrays(shape, kind, special=FINITE)) for name in ("weight", "bias")}
    if op == "layer_norm":
        return [x, shape], kwargs
    if op == "group_norm":
        return [x, draw(st.integers(1, 3))], kwargs
    mean, var = draw(arrays((c,), kind, special=FINITE)), draw(arrays((c,), kind, low=1, special=FINITE))
    return [x, mean, var], {**kwargs, "training": draw(st.booleans())}


@st.composite
def classification(draw: Any, op: str) -> tuple[list[Any], dict[str, Any]]:
    n, c = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    extra = draw(st.lists(st.integers(1, 2), max_size=2).map(tuple))
    kind = draw(st.sampled_from("fd"))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    labels = rng.integers(0, c + (draw(st.integers(0, 19)) == 0), (n, *extra))
    kwargs: dict[str, Any] = {"reduction": draw(st.sampled_from(["mean", "sum", "none"]))}
    if draw(st.booleans()):
        kwargs["ignore_index"] = draw(st.integers(0, c))
    if draw(st.booleans()):
        kwargs["weight"] = draw(arrays((c,), kind, low=1))
    if op == "cross_entropy" and draw(st.booleans()):
        kwargs["label_smoothing"] = draw(st.sampled_from([0.0, 0.1, 1.0]))
    return [draw(arrays((n, c, *extra), kind)), Drawn(labels)], kwargs


@st.composite
def comparison(draw: Any, op: str) -> tuple[list[Any], dict[str, Any]]:
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple))
    kind = draw(st.sampled_from("fd"))
    kwargs: dict[str, Any] = (
        {} if op == "cosine_similarity" else {"reduction": draw(st.sampled_from(["mean", "sum", "none"]))}
    )
    count = 3 if op == "triplet_margin_loss" else 2
    special = SQUARED if op in ("triplet_margin_loss", "cosine_similarity") else SPECIAL
    tensors = [draw(arrays(shape, kind, special=special)) for _ in range(count)]
    if op == "triplet_margin_loss":  # PyTorch multiplies a nan by 0, minicnn selects
        tensors = [Drawn(np.nan_to_num(t.array, posinf=1, neginf=0)) for t in tensors]
    if op.startswith("binary"):
        tensors[1] = Drawn(np.abs(np.nan_to_num(tensors[1].array, posinf=1, neginf=0)) % 1.0)
        if op == "binary_cross_entropy":
            tensors[0] = Drawn(np.abs(np.nan_to_num(tensors[0].array, posinf=1, neginf=0)) % 1.0)
    return list(tensors), kwargs


flags = st.booleans()
CALLS: dict[str, st.SearchStrategy[Any]] = {
    **{op: binary() for op in ("add", "sub", "mul", "div", "eq", "ne", "lt", "le", "gt", "ge")},
    **{op: binary(numbers=False) for op in ("maximum", "minimum")},
    **{op: binary("fdi") for op in ("pow", "remainder")},
    "floor_divide": binary("i"),  # no gradient in PyTorch
    **{op: binary("ib") for op in ("bitwise_and", "bitwise_or", "bitwise_xor")},
    **{op: unary() for op in ("neg", "exp", "log", "sqrt", "abs", "relu", "sigmoid", "tanh", "silu", "logsigmoid")},
    **{op: unary() for op in ("erf", "log1p", "isfinite", "isinf", "isnan", "bitwise_not")},
    "leaky_relu": unary(negative_slope=st.sampled_from([0.0, 0.2, 1.0])),
    "softplus": unary(beta=st.sampled_from([1.0, 2.0]), threshold=st.sampled_from([1.0, 20.0])),
    "gelu": unary(approximate=st.sampled_from(["none", "tanh"])),
    "clamp": unary(min=st.integers(-2, 2), max=st.sampled_from([-1.5, 0.5, 2])),
    "where": where_call(),
    **{op: reduction(True) for op in ("sum", "mean", "amax", "amin", "any", "all")},
    **{op: reduction(True, correction=st.sampled_from([0, 1, 2])) for op in ("var", "std")},
    **{op: reduction(False) for op in ("max", "min", "argmax", "argmin")},
    **{op: along() for op in ("softmax", "log_softmax", "logsumexp")},
    **{
        op: shaping(op)
        for op in ("reshape", "permute", "expand", "transpose", "squeeze", "unsqueeze", "flatten", "flip", "split")
    },
    "cat": joining(), "stack": joining(), "pad": padding_call(), "matmul": product(), "linear": linear_call(),
    "conv2d": convolution(False), "conv_transpose2d": convolution(True), "unfold": unfolding(),
    "max_pool2d": pooling(stride=pairs(small), padding=pairs(at_least_0), dilation=pairs(small), ceil_mode=flags,
                          return_indices=flags),
    "avg_pool2d": pooling(stride=pairs(small), padding=pairs(at_least_0), ceil_mode=flags, count_include_pad=flags,
                          divisor_override=st.sampled_from([None, 1, 3])),
    "adaptive_avg_pool2d": adaptive(), "adaptive_max_pool2d": adaptive(),
    **{op: normalisation(op) for op in ("batch_norm", "group_norm", "layer_norm", "local_response_norm", "normalize")},
    **{op: classification(op) for op in ("cross_entropy", "nll_loss")},
    **{
        op: comparison(op)
        for op in ("mse_loss", "l1_loss", "smooth_l1_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits",
                   "triplet_margin_loss", "cosine_similarity")
    },
}  # fmt: skip
WITHOUT = {"dropout", "dropout2d", "fold", "einsum", "one_hot", "lp_pool2d", "to", "clone", "index"}
"""Operations whose calls are drawn elsewhere or are random themselves; each has cases of its own."""


def lifted(value: Any, make: Any) -> Any:
    if isinstance(value, Drawn):
        return make(value.array)
    if isinstance(value, dict):
        return {k: lifted(v, make) for k, v in value.items()}
    return [lifted(v, make) for v in value] if isinstance(value, list) else value


def flat(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple | list) else [result]


def torch_call(
    op: str, args: Any, kwargs: Any, dtypes: tuple[Any, Any] = (None, None)
) -> tuple[list[Any], list[Any], list[np.ndarray]]:
    """Return outputs, gradients and their cotangents; arrays of the first of `dtypes` are taken as the second."""
    leaves: list[torch.Tensor] = []

    def make(array: np.ndarray) -> torch.Tensor:
        tensor = torch.tensor(np.array(array, dtypes[1] if array.dtype == dtypes[0] else array.dtype, order="C"))
        if array.dtype.kind == "f":
            leaves.append(tensor.requires_grad_(op != "batch_norm" or len(leaves) not in (1, 2)))
        return tensor

    function = getattr(torch.nn.functional, op, None) or getattr(torch, op, None) or getattr(torch.Tensor, op)
    outputs = flat(function(*lifted(args, make), **lifted(kwargs, make)))
    rng = np.random.default_rng(5)
    cotangents = [np.asarray(rng.standard_normal(tuple(o.shape)), np.float32) for o in outputs]
    cotangents = [c.astype(o.detach().numpy().dtype) for o, c in zip(outputs, cotangents)]
    chosen = [(o, torch.tensor(c)) for o, c in zip(outputs, cotangents) if o.requires_grad]
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    gradients: Any = [None] * len(wanted)
    if chosen and wanted:
        gradients = torch.autograd.grad([o for o, _ in chosen], wanted, [c for _, c in chosen], allow_unused=True)
    return outputs, [None if g is None else g.numpy() for g in gradients], cotangents


def our_call(op: str, args: Any, kwargs: Any, cotangents: list[np.ndarray] | None) -> tuple[list[Any], list[Any]]:
    leaves: list[mc.Tensor] = []

    def make(array: np.ndarray) -> mc.Tensor:
        tensor = mc.tensor(0.0)
        tensor.data = array.copy() if op == "batch_norm" else array  # which updates the running statistics
        if array.dtype.kind == "f":
            tensor.requires_grad = op != "batch_norm" or len(leaves) not in (1, 2)
            leaves.append(tensor)
        return tensor

    outputs = flat(getattr(F, op)(*lifted(args, make), **lifted(kwargs, make)))
    if cotangents is None:
        return outputs, []
    chosen = [(o, mc.tensor(c)) for o, c in zip(outputs, cotangents) if o.requires_grad]
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    if not chosen or not wanted:
        return outputs, [None] * len(wanted)
    gradients = mc.grad([o for o, _ in chosen], wanted, [c for _, c in chosen], allow_unused=True)
    return outputs, [None if g is None else g.numpy() for g in gradients]


def check(op: str, call: tuple[list[Any], dict[str, Any]], device: str) -> None:
    args, kwargs = call
    before = lifted([args, kwargs], np.copy)
    try:
        expected, expected_gradients, cotangents = torch_call(op, args, kwargs)
    except (RuntimeError, ValueError, IndexError, TypeError, NotImplementedError):
        expected = None
    with mc.use_device(device):
        try:
            outputs, gradients = our_call(op, args, kwargs, None if expected is None else cotangents)
        except MinicnnError as error:
            refused = str(error)
        else:
            refused = ""
    if refused:
        assert expected is None or any(re.search(reason, refused) for reason in NARROWER), refused
        return
    assert expected is not None, "PyTorch refuses this call"
    np.testing.assert_equal(lifted([args, kwargs], np.asarray), before)
    if op in ("var", "std") and not freedom(args[0].array, **kwargs):
        gradients = expected_gradients = []  # nan here; PyTorch's depend on whether dim was given
    scale = SMALLEST_SCALE.get(op, 0.1)
    try:
        compare(outputs, gradients, expected, expected_gradients, scale)
    except AssertionError:
        # PyTorch's own float32 and float64 differ for some infinite numbers (gelu) and some that overflow
        # (group_norm); with numbers as usual there is no second chance.
        if np.all([is_usual(a) for a in drawn([args, kwargs])]):
            raise
        expected, expected_gradients, _ = torch_call(op, args, kwargs, (np.float32, np.float64))
        with np.errstate(over="ignore"):
            compare(
                outputs,
                gradients,
                [e.detach().to(getattr(torch, str(o.dtype))) for e, o in zip(expected, outputs)],
                [e if e is None or g is None else e.astype(g.dtype) for e, g in zip(expected_gradients, gradients)],
                scale,
            )


def compare(
    outputs: list[Any], gradients: list[Any], expected: list[Any], expected_gradients: list[Any], scale: float
) -> None:
    for i, (actual, wanted) in enumerate(zip(outputs, expected, strict=True)):
        assert_close(f"output {i}", actual.numpy(), wanted.detach().numpy(), scale)
    for i, (actual, wanted) in enumerate(zip(gradients, expected_gradients, strict=True)):
        if actual is None or wanted is None:
            assert not np.any(wanted if actual is None else actual)
        elif any(o.dtype == np.float32 for o in outputs) and actual.dtype == wanted.dtype:
            # A float64 number beside a float32 tensor: its gradient is a float32 sum.
            assert_close(f"gradient {i}", actual.astype(np.float32), wanted.astype(np.float32), scale)
        else:
            assert_close(f"gradient {i}", actual, wanted, scale)


def freedom(x: np.ndarray, dim: Any = None, keepdim: bool = False, correction: int = 1) -> bool:
    """Return whether a variance has a degree of freedom."""
    dims = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    return x.ndim > 0 and int(np.prod([x.shape[d] for d in dims])) > correction


def drawn(value: Any) -> list[np.ndarray]:
    """Return all arrays of a call."""
    if isinstance(value, Drawn):
        return [value.array]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [array for v in values for array in drawn(v)]


def is_usual(array: np.ndarray) -> bool:
    return array.dtype.kind != "f" or bool((np.abs(array) < 1e20).all())


CHECKS = [
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.filter_too_much,
    HealthCheck.function_scoped_fixture,
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of inf − inf in a sum
@pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch's remarks on shapes and copies
@pytest.mark.parametrize("op", CALLS)
def test_a_few_random_calls(op, device):
    @settings(max_examples=FEW, deadline=None, derandomize=True, database=None, suppress_health_check=CHECKS)
    @given(CALLS[op])
    def run(call: Any) -> None:
        check(op, call, device)

    run()


@pytest.mark.full
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of inf − inf in a sum
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("op", CALLS)
def test_many_random_calls(op):
    @settings(max_examples=MANY, deadline=None, database=None, suppress_health_check=CHECKS)
    @given(CALLS[op], st.sampled_from(["reference", "cpu"]))
    def run(call: Any, device: str) -> None:
        check(op, call, device)

    run()


def test_every_operation_has_random_calls():
    public = {name for name, f in vars(F).items() if inspect.isfunction(f)}
    assert public - set(CALLS) <= WITHOUT
    assert MANY * len(CALLS) >= 20_000

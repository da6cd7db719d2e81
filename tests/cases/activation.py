import torch

from minicnn.errors import DTypeError, ShapeError

from . import INF, SPECIAL, Case, Given, Refusal, case, distinct, exact, integers, normal, refusal, uniform

SHAPES = ((), (7,), (2, 3, 5, 4), (0, 2))


def _unary(op: str, draw=normal, **kwargs) -> list[Case]:
    return [
        *(case(op, draw(*shape), **kwargs) for shape in SHAPES),
        case(op, exact(SPECIAL), smooth=False, **kwargs),
        case(op, exact([700.0, -700.0, 90.0, -90.0, 1e4, -1e4, 1e-4, -1e-9]), smooth=False, **kwargs),
    ]


def _wide(*shape: int) -> Given:
    return uniform(-7, 7, *shape)


CASES: list[Case] = [
    *_unary("relu", distinct),
    case("relu", distinct(2, 3), inplace=True, torch=lambda x, inplace: x.relu()),
    *_unary("leaky_relu", distinct),
    case("leaky_relu", distinct(2, 3), 0.2), case("leaky_relu", distinct(2, 3), negative_slope=-0.5),
    case("leaky_relu", exact(SPECIAL), 0.0, smooth=False),
    case("leaky_relu", distinct(2, 3), 0.1, inplace=True,
         torch=lambda x, slope, inplace: torch.nn.functional.leaky_relu(x, slope)),
    *_unary("sigmoid", _wide), case("sigmoid", integers(-9, 9, 2, 3)),
    *_unary("tanh", _wide), case("tanh", integers(-3, 4, 2, 3)),
    *_unary("log1p", lambda *s: uniform(-0.9, 3, *s)), case("log1p", integers(0, 9, 2, 3)),
    *_unary("erf", _wide), case("erf", integers(-3, 4, 2, 3)),
    *_unary("logsigmoid", _wide),
    *_unary("softplus", lambda *s: uniform(-30, 30, *s)),
    case("softplus", distinct(3, 5), beta=2.5), case("softplus", distinct(3, 5), threshold=0.3),
    case("softplus", distinct(3, 5), -1.5, 0.3), case("softplus", exact(SPECIAL), 3, 2, smooth=False),
    case("softplus", exact([2.0, 1.0]), 2.0, 2.0, smooth=False),  # at the threshold itself
    *_unary("silu", _wide),
    case("silu", normal(2, 3), inplace=True, torch=lambda x, inplace: torch.nn.functional.silu(x)),
    *(case("gelu", _wide(*shape)) for shape in SHAPES), *_unary("gelu", _wide, approximate="tanh"),
    # Without +inf, for which PyTorch's float32 gives nan and its float64 inf.
    case("gelu", exact([x for x in SPECIAL if x != INF]), smooth=False),
    case("gelu", exact([700.0, -700.0, 90.0, -90.0, 1e4, -1e4, 1e-4, -1e-9]), smooth=False),
]  # fmt: skip

REFUSALS: list[Refusal] = [
    *(
        refusal(DTypeError, f"{op}: input must be a Tensor, got list", op, [1.0])
        for op in ("relu", "leaky_relu", "sigmoid", "tanh", "log1p", "erf", "logsigmoid", "softplus", "silu", "gelu")
    ),
    *(
        refusal(DTypeError, f"{op}: input is int64, needs float32 or float64", op, integers(-3, 4, 5))
        for op in ("leaky_relu", "logsigmoid", "softplus", "silu", "gelu")
    ),
    refusal(DTypeError, "relu: inplace must be True or False, got 1", "relu", normal(3), 1, torch_allows=True),
    refusal(DTypeError, "leaky_relu: negative_slope must be a number, got '0.1'", "leaky_relu", normal(3), "0.1"),
    refusal(ShapeError, "softplus: beta is 0", "softplus", normal(3), 0, torch_allows=True),
    refusal(DTypeError, "softplus: threshold must be a number, got None", "softplus", normal(3), 1, None),
    refusal(ShapeError, "gelu: approximate is 'fast', needs one of 'none', 'tanh'", "gelu", normal(3),
            approximate="fast"),
]  # fmt: skip

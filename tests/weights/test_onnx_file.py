"""Exported models in ONNX Runtime: its outputs are ours, for every network and every operation that can be written."""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest

import minicnn as mc
import minicnn.functional as F
from minicnn import nn
from minicnn.errors import CheckpointError, DTypeError, ShapeError
from minicnn.models import MODELS, build, input_shape
from minicnn.weights import export_onnx
from minicnn.weights.onnx_operations import OPERATIONS
from minicnn.weights.tape import record


class Lambda(nn.Module):
    """A function as a model."""

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(mc.tensor(np.linspace(-1, 1, 4 * 4 * 3 * 3, dtype=np.float32).reshape(4, 4, 3, 3)))

    def forward(self, x: mc.Tensor) -> object:
        return self.function(x)


def run_onnx(path: object, x: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": x})


def pictures(shape: tuple[int, ...], n: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, *shape)).astype(np.float32)


def scatter_state(model: nn.Module) -> None:
    """Give every parameter and running statistic that starts as 0 or 1 a value that shows."""
    rng = np.random.default_rng(0)
    state = model.state_dict()
    for name, value in state.items():
        array = value.numpy()
        if array.dtype == np.float32 and array.size and (array == array.flat[0]).all():
            state[name] = mc.tensor(rng.uniform(0.5, 1.5, array.shape).astype(np.float32))
    model.load_state_dict(state)


def assert_agree(model: nn.Module, shape: tuple[int, ...], tmp_path: object, tolerance: float = 1e-5) -> None:
    """Export with one batch; compare on batches of other numbers and other sizes."""
    path = tmp_path / "model.onnx"
    export_onnx(model, mc.tensor(pictures(shape, 2, seed=0)), path)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    model.eval()
    for n in (1, 3):
        x = pictures(shape, n)
        with mc.no_grad():
            ours = model(mc.tensor(x))
        ours = ours if isinstance(ours, tuple) else (ours,)
        theirs = run_onnx(path, x)
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            assert a.shape == b.shape
            assert np.abs(a.numpy() - b).max(initial=0) <= tolerance * max(1.0, np.abs(b).max(initial=0))


# Networks

QUICK = ("alexnet_orl", "embedding", "face_resnet29", "mlp_orl", "resnet18", "resnet_cifar", "resnet_orl", "vgg_orl")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.full) for name in sorted(MODELS)]
)
def test_every_network(name, tmp_path):
    model = build(name)
    scatter_state(model)
    assert_agree(model, input_shape(name), tmp_path, tolerance=1e-4)


OPTIONS = {
    "A": ("resnet_orl", {"shortcut": "A", "depth": 14}),
    "C": ("resnet_orl", {"shortcut": "C"}),
    "plain": ("resnet_orl", {"shortcut": "none"}),
    "pooling": ("alexnet_orl", {"overlapping": False, "local_response_norm": False}),
    "vgg": ("vgg_orl", {"batch_norm": False, "depth": 11}),
    **{activation: ("vgg_orl", {"activation": activation})
       for activation in ("leaky_relu", "sigmoid", "tanh", "silu", "gelu")},
}  # fmt: skip


@pytest.mark.parametrize("choice", OPTIONS)
def test_options_of_networks(choice, tmp_path):
    name, options = OPTIONS[choice]
    model = build(name, **options)
    scatter_state(model)
    assert_agree(model, (1, 56, 46), tmp_path, tolerance=1e-4)


# Operations

IMAGES: dict[str, Callable[[mc.Tensor], object]] = {
    "abs": lambda x: abs(x),
    "add": lambda x: x + 2.5,
    "amax": lambda x: F.amax(x, (2, 3)),
    "amin": lambda x: F.amin(x, 1, keepdim=True),
    "argmax": lambda x: F.argmax(x, 1).to(mc.float32),
    "argmin": lambda x: F.argmin(x, 2, keepdim=True).to(mc.float32),
    "clamp": lambda x: F.clamp(x, -0.5, 0.25),
    "clone": lambda x: x.clone(),
    "exp": F.exp,
    "log": lambda x: F.log(abs(x) + 1),
    "sqrt": lambda x: F.sqrt(abs(x)),
    "pow": lambda x: abs(x) ** 1.5,
    "neg": lambda x: -x,
    "div": lambda x: 1 / (abs(x) + 1),
    "sub": lambda x: x - x.mean((2, 3), keepdim=True),
    "mul": lambda x: x * F.sigmoid(x),
    "maximum": lambda x: F.maximum(x, F.flip(x, (3,))),
    "minimum": lambda x: F.minimum(x, F.flip(x, (2, 3))),
    "where": lambda x: F.where(x > 0, x, x * 0.1),
    "comparisons": lambda x: F.where((x >= 0.1) == (x != 0.3), (x < 0.2).to(mc.float32), (x <= 0.5).to(mc.float32)),
    "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
    "softmax": lambda x: F.softmax(x, 1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "logsigmoid": F.logsigmoid,
    "softplus": F.softplus,
    "silu": F.silu,
    "gelu": F.gelu,
    "logsumexp": lambda x: F.logsumexp(x, (1, 2)),
    "sum": lambda x: x.sum((1, 3)),
    "mean": lambda x: x.mean((2, 3), keepdim=True),
    "var": lambda x: F.var(x, (2, 3)),
    "var, biased": lambda x: F.var(x, 1, correction=0, keepdim=True),
    "std": lambda x: x.std((1, 2)),
    "max": lambda x: F.max(x, 1).values,
    "max, both": lambda x: tuple(part.to(mc.float32) for part in F.max(x, 2)),
    "min": lambda x: F.min(x, 3, keepdim=True).values,
    "reshape": lambda x: x.reshape(-1, 4 * 11, 9),
    "flatten": lambda x: F.flatten(x, 1),
    "flatten to the batch": lambda x: F.flatten(x, 0, 1),
    "permute": lambda x: F.permute(x, (0, 2, 3, 1)),
    "expand": lambda x: F.expand(x.mean(1, keepdim=True), (x.shape[0], 5, 11, 9)),
    "squeeze": lambda x: F.unsqueeze(F.squeeze(x[:, :1], 1), 2),
    "pad": lambda x: F.pad(x, (1, 2, 3, 0), value=0.5),
    "pad, reflected": lambda x: F.pad(x, (1, 2, 3, 0), mode="reflect"),
    "pad, replicated": lambda x: F.pad(x, (1, 2, 3, 0), mode="replicate"),
    "pad, circular": lambda x: F.pad(x, (1, 2, 3, 0), mode="circular"),
    "cat": lambda x: F.cat((x, x[:, 1:3], x), 1),
    "stack": lambda x: F.stack((x, -x), 1),
    "split": lambda x: F.split(x, (1, 3), 1),
    "flip": lambda x: F.flip(x, (1, 3)),
    "index": lambda x: x[:, 1:, ::2, -1],
    "index backwards": lambda x: F.flip(x, (3,))[:, None, 2, 3:8:3],
    "index by numbers": lambda x: x[:, [2, 0, 0, 3]],
    "matmul": lambda x: x @ F.transpose(x, 2, 3),
    "linear": lambda x: F.linear(x, mc.tensor(pictures((9,), 3)), mc.tensor([0.5, 1.0, -1.0])),
    "linear of 2 axes": lambda x: F.linear(x.mean((2, 3)), mc.tensor(pictures((4,), 3))),
    "max_pool2d": lambda x: F.max_pool2d(x, 3, 2, 1),
    "max_pool2d, ceil": lambda x: F.max_pool2d(x, 2, 2, ceil_mode=True),
    "max_pool2d, dilated": lambda x: F.max_pool2d(x, (2, 3), 2, (1, 1), dilation=(3, 2), ceil_mode=True),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 3, 2),
    "avg_pool2d, padded": lambda x: F.avg_pool2d(x, 3, 2, 1),
    "avg_pool2d, without padding": lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "avg_pool2d, ceil": lambda x: F.avg_pool2d(x, (2, 4), 3, (1, 0), ceil_mode=True),
    "avg_pool2d, divisor": lambda x: F.avg_pool2d(x, 2, divisor_override=3),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, (4, 7)),
    "adaptive_avg_pool2d to 1": lambda x: F.adaptive_avg_pool2d(x, 1),
    "adaptive_avg_pool2d, even": lambda x: F.adaptive_avg_pool2d(x, (11, 3)),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, (4, 7)),
    "adaptive_max_pool2d, even": lambda x: F.adaptive_max_pool2d(x, (1, 3)),
    "lp_pool2d": lambda x: F.lp_pool2d(x, 2, 3, 2),
    "local_response_norm": lambda x: F.local_response_norm(x, 3, alpha=0.5, k=2.0),
    "local_response_norm, even": lambda x: F.local_response_norm(x, 2, alpha=0.5),
    "group_norm": lambda x: F.group_norm(x, 2, mc.tensor([1.0, 2, 3, 4]), mc.tensor([0.5, 0, 1, 2])),
    "group_norm without weight": lambda x: F.group_norm(x, 4),
    "layer_norm": lambda x: F.layer_norm(x, (9,), mc.tensor(np.linspace(1, 2, 9, dtype=np.float32))),
    "layer_norm of 2 axes": lambda x: F.layer_norm(x, (11, 9)),
    "batch_norm": lambda x: F.batch_norm(x, mc.tensor([0.1, 0, 1, 2]), mc.tensor([1.0, 2, 3, 4])),
    "normalize": lambda x: F.normalize(x),
    "normalize by 1": lambda x: F.normalize(x, p=1, dim=2),
    "dropout": lambda x: F.dropout(x, 0.5, training=False),
    "conv_transpose2d": lambda x: F.conv_transpose2d(
        x, mc.tensor(pictures((2, 3, 3), 4)), mc.ones(4), 2, 1, 1, groups=2
    ),
}


@pytest.mark.parametrize("case", IMAGES)
def test_operation(case, tmp_path):
    assert_agree(Lambda(IMAGES[case]), (4, 11, 9), tmp_path)


@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"),
    [(1, 0, 1, 1), (2, 1, 1, 1), ((2, 1), (0, 2), (1, 2), 1), (1, "same", 2, 1), (1, 1, 1, 2), (1, 1, 1, 4)],
)
def test_convolutions(stride, padding, dilation, groups, tmp_path):
    layer = nn.Conv2d(4, 8, (3, 2), stride, padding, dilation, groups, bias=groups == 1)
    assert_agree(layer, (4, 11, 9), tmp_path)


def test_every_operation_that_can_be_written_is_tested_here():
    seen = set()
    models = [Lambda(function) for function in IMAGES.values()]
    for model in [*models, nn.Conv2d(4, 8, 3)]:
        seen |= {step.operation for step in record(model, pictures((4, 11, 9), 2), CheckpointError).steps}
    assert set(OPERATIONS) <= seen


# The file


def test_the_file_says_what_goes_in_and_out(tmp_path):
    model = nn.Sequential({"conv": nn.Conv2d(3, 4, 3), "relu": nn.ReLU()})
    export_onnx(model, mc.ones(1, 3, 8, 9), tmp_path / "a.onnx")
    graph = onnx.load(tmp_path / "a.onnx").graph
    shapes = [
        [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    ]
    assert shapes == [["N", 3, 8, 9], ["N", 4, 6, 7]]
    assert [value.name for value in (*graph.input, *graph.output)] == ["input", "output"]
    assert {"conv.weight", "conv.bias"} <= {value.name for value in graph.initializer}
    assert graph.node[0].name.startswith("conv/")


def test_modes_weights_and_random_numbers_stay(tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5), nn.Sequential(nn.ReLU()).eval())
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    state = mc.random.get_state()
    export_onnx(model, mc.ones(1, 1, 8, 8), tmp_path / "a.onnx")
    assert [module.training for module in model.modules()] == [True, True, True, True, False, False]
    assert mc.random.get_state() == state
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


def test_the_same_model_gives_the_same_bytes(tmp_path):
    model = nn.Conv2d(1, 2, 3)
    for name in "ab":
        export_onnx(model, mc.ones(1, 1, 8, 8), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_shared_weights_are_in_the_file_once(tmp_path):
    layer = nn.Linear(4, 4)
    assert_agree(nn.Sequential(layer, nn.ReLU(), layer), (4,), tmp_path)
    assert len(onnx.load(tmp_path / "model.onnx").graph.initializer) == 2


def test_on_the_device_reference(tmp_path):
    with mc.use_device("reference"):
        assert_agree(build("resnet_orl"), (1, 56, 46), tmp_path, tolerance=1e-4)


# Refusals


class Counting(Lambda):
    calls = 0

    def forward(self, x: mc.Tensor) -> mc.Tensor:
        self.calls += 1
        return F.relu(x) if self.calls % 2 else F.sigmoid(x)


REFUSED: dict[str, tuple[Callable[[mc.Tensor], object], str]] = {
    "no counterpart": (lambda x: F.unfold(x, 2), "the operation Unfold (Lambda) has no counterpart in ONNX here"),
    "indices": (
        lambda x: F.max_pool2d(x, 2, return_indices=True)[0],
        "the operation MaxPool2d (Lambda) cannot be written: return_indices=True",
    ),
    "behind the tape": (
        lambda x: x * mc.tensor(x.numpy().mean((0, 2, 3), keepdims=True)),
        "Mul (Lambda) gets numbers that depend on the input, but were not computed on the tape",
    ),
    "constant": (lambda x: mc.ones(2, 3), "an output does not depend on the input"),
    "no tensor": (lambda x: 3, "the model returns int, needs a tensor or a tuple of tensors"),
    "nothing": (lambda x: (), "the model returns tuple, needs a tensor or a tuple of tensors"),
    "size of the batch": (
        lambda x: F.sum(x) / x.shape[0],
        "Div (Lambda) gets numbers that depend on the input, but were not computed on the tape",
    ),
    "variance of the batch": (
        lambda x: F.var(x, (0, 2)),
        "the operation Var (Lambda) cannot be written: it reduces the batch",
    ),
    "empty": (lambda x: x[:, :0].reshape(x.shape[0], 0), "its result (-1, 0) is empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_written(case, tmp_path):
    function, text = REFUSED[case]
    with pytest.raises(CheckpointError) as caught:
        export_onnx(Lambda(function), mc.ones(1, 4, 6, 6), tmp_path / "a.onnx")
    assert str(caught.value).startswith("export_onnx: ")
    assert text in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_names_the_layer(tmp_path):
    model = nn.Sequential({"first": nn.ReLU(), "odd": Lambda(lambda x: F.unfold(x, 2))})
    with pytest.raises(CheckpointError, match=r"^export_onnx: the operation Unfold \(odd\) has no counterpart"):
        export_onnx(model, mc.ones(1, 4, 6, 6), tmp_path / "a.onnx")


def test_a_model_that_changes_its_mind(tmp_path):
    with pytest.raises(CheckpointError, match=r"^export_onnx: the model does not run the same operations for every"):
        export_onnx(Counting(None), mc.ones(1, 4, 6, 6), tmp_path / "a.onnx")


@pytest.mark.parametrize(
    ("model", "example", "kind", "text"),
    [
        (3, mc.ones(1, 4), DTypeError, "model must be an nn.Module, got int"),
        (nn.ReLU(), np.ones(3), DTypeError, "example_input must be a Tensor, got ndarray"),
        (nn.ReLU(), mc.ones(0, 4), ShapeError, "example_input has shape (0, 4), needs a batch (N, …)"),
        (nn.ReLU(), mc.tensor(1.0), ShapeError, "example_input has shape (), needs a batch (N, …)"),
        (nn.ReLU(), mc.ones(1, 4).double(), DTypeError, "example_input is float64, needs float32; convert it with"),
        (nn.Linear(4, 2).double(), mc.ones(1, 4), DTypeError, "weight is float64, needs float32; convert it with"),
        (nn.Linear(4, 2), mc.ones(1, 5), ShapeError, "linear: "),
    ],
)
def test_wrong_arguments(model, example, kind, text, tmp_path):
    with pytest.raises(kind) as caught:
        export_onnx(model, example, tmp_path / "a.onnx")
    assert text in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_without_the_package_onnx(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(CheckpointError, match=r"^export_onnx: needs the package onnx; pip install minicnn\[onnx\]$"):
        export_onnx(nn.ReLU(), mc.ones(1, 4), tmp_path / "a.onnx")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match=r"^export_onnx: cannot write \S+: No such file or directory$"):
        export_onnx(nn.ReLU(), mc.ones(1, 4), tmp_path / "nowhere" / "a.onnx")


def test_a_model_that_changes_a_tensor_in_place(tmp_path):
    model = nn.BatchNorm2d(4)

    def hook(module, inputs, output):
        module.running_mean.copy_(mc.ones(4))

    model.register_forward_hook(hook)
    with pytest.raises(CheckpointError, match=r"the model changes a tensor in place, which cannot be written down$"):
        export_onnx(model, mc.ones(1, 4, 6, 6), tmp_path / "a.onnx")

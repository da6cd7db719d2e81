"""Module: registration, names, state, hooks, modes, moving, copying, text."""

import copy
import gc
import pickle
from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn import _watch, nn, optim
from minicnn.errors import CheckpointError, DeviceError, DTypeError, MinicnnError, ShapeError


def build(package: Any) -> Any:
    """Return the same network made of our layers or PyTorch's: nested, with a shared part and an absent bias."""

    class Block(package.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.norm = package.BatchNorm2d(channels)
            self.conv = package.Conv2d(channels, channels, 3, padding=1, bias=False)

        def forward(self, x: Any) -> Any:
            return x + self.conv(self.norm(x))

    class Net(package.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = package.Parameter((torch if package is torch.nn else mc).tensor([1.5]))
            self.stem = package.Sequential(package.Conv2d(1, 4, 3), package.ReLU())
            self.blocks = package.ModuleList([Block(4), Block(4)])
            self.again = self.blocks[0]
            self.fc = package.Linear(4, 5)
            self.absent = None

        def forward(self, x: Any) -> Any:
            x = self.stem(x)
            for block in (*self.blocks, self.again):
                x = block(x)
            return self.fc(x.mean((2, 3)) * self.scale)

    return Net()


def test_names_order_and_shapes_are_pytorchs() -> None:
    ours, theirs = build(nn), build(torch.nn)
    for method in ("named_parameters", "named_buffers"):
        for options in ({}, {"remove_duplicate": False}, {"prefix": "p"}, {"recurse": False}):
            expected = [(name, tuple(t.shape)) for name, t in getattr(theirs, method)(**options)]
            assert [(name, t.shape) for name, t in getattr(ours, method)(**options)] == expected
    for method in ("named_modules", "named_children"):
        expected = [(name, type(m).__name__) for name, m in getattr(theirs, method)()]
        assert [(name, type(m).__name__) for name, m in getattr(ours, method)()] == expected
    assert [m for m, _ in ours.named_modules(remove_duplicate=False)] == [
        m for m, _ in theirs.named_modules(remove_duplicate=False)
    ]
    assert [(k, v.shape) for k, v in ours.state_dict().items()] == [
        (k, tuple(v.shape)) for k, v in theirs.state_dict().items()
    ]
    assert list(ours.state_dict(prefix="a.")) == ["a." + k for k in theirs.state_dict()]
    assert len(list(ours.parameters())) == len(list(theirs.parameters()))
    assert [type(m).__name__ for m in ours.children()] == [type(m).__name__ for m in theirs.children()]
    assert len(list(ours.buffers())) == 6


def test_a_network_with_a_shared_part_trains_as_pytorchs(device: str) -> None:
    ours, theirs = build(nn).double(), build(torch.nn).double()
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    sgd, expected_sgd = optim.SGD(ours.parameters(), 0.1, 0.9), torch.optim.SGD(theirs.parameters(), 0.1, 0.9)
    rng = np.random.default_rng(0)
    for _ in range(3):
        x, y = rng.standard_normal((6, 1, 7, 6)), rng.integers(0, 5, 6)
        sgd.zero_grad()
        expected_sgd.zero_grad()
        loss = nn.CrossEntropyLoss()(ours(mc.tensor(x)), mc.tensor(y))
        expected = torch.nn.CrossEntropyLoss()(theirs(torch.tensor(x)), torch.tensor(y))
        loss.backward()
        expected.backward()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-10)
        sgd.step()
        expected_sgd.step()
    for (key, value), wanted in zip(ours.state_dict().items(), theirs.state_dict().values()):
        np.testing.assert_allclose(value.numpy(), wanted.numpy(), rtol=1e-8, atol=1e-10, err_msg=key)


# Attributes


def test_parameters_are_leaves_that_share_a_tensors_memory() -> None:
    source = mc.tensor([1.0, 2.0])
    parameter = nn.Parameter(source)
    assert isinstance(parameter, mc.Tensor)
    assert parameter.requires_grad
    assert parameter.is_leaf
    assert parameter.data is source.data
    assert not source.requires_grad
    frozen = nn.Parameter((parameter * 2), requires_grad=False)
    assert frozen.is_leaf
    assert not frozen.requires_grad
    assert nn.Parameter(mc.tensor([1, 2]), requires_grad=False).dtype == np.int64
    with pytest.raises(DTypeError, match="Parameter: data are int64, only floats can be trained"):
        nn.Parameter([1, 2])
    assert repr(parameter).startswith("Parameter containing:\ntensor([1., 2.], requires_grad=True)")
    assert not isinstance(parameter + 1, nn.Parameter)


def test_assignments_register_replace_and_refuse() -> None:
    net = nn.Module()
    net.w = nn.Parameter([1.0])
    net.register_buffer("mean", mc.tensor([0.0]))
    net.layer = nn.ReLU()
    net.word = "plain"
    assert list(net.state_dict()) == ["w", "mean"]
    assert ([n for n, _ in net.named_children()], net.word) == (["layer"], "plain")
    with pytest.raises(DTypeError, match=r"Module.w: is a parameter, needs an nn.Parameter or None, got Tensor"):
        net.w = mc.tensor([2.0])
    with pytest.raises(DTypeError, match=r"Module.layer: is a module, needs an nn.Module or None, got function"):
        net.layer = build
    with pytest.raises(DTypeError, match=r"Module.mean: is a buffer, needs a Tensor or None, got float"):
        net.mean = 1.0
    net.mean = mc.tensor([3.0])
    assert net.state_dict()["mean"].item() == 3
    net.w = None
    assert list(net.state_dict()) == ["mean"]
    net.w = nn.Parameter([4.0])
    net.layer = nn.Tanh()
    net.word = nn.Parameter([5.0])  # takes the place of the plain attribute
    assert (list(net.state_dict()), type(net.layer)) == (["w", "word", "mean"], nn.Tanh)
    net.word = nn.Identity()
    assert list(net.state_dict()) == ["w", "mean"]
    del net.w, net.layer
    assert not hasattr(net, "w")
    assert not hasattr(net, "layer")
    with pytest.raises(AttributeError, match="Module has no attribute 'w'"):
        _ = net.w


def test_names_that_cannot_be_used() -> None:
    net = nn.Module()
    for name, error, text in [
        ("a.b", ShapeError, "register_parameter: name 'a.b' must not be empty and must not contain a dot"),
        ("", ShapeError, "register_parameter: name '' must not be empty"),
        (3, DTypeError, "register_parameter: name must be a string, got int"),
        ("train", ShapeError, "register_parameter: Module already has an attribute 'train'"),
    ]:
        with pytest.raises(error) as caught:
            net.register_parameter(name, nn.Parameter([1.0]))
        assert text in str(caught.value)
    with pytest.raises(DTypeError, match=r"register_parameter: w must be an nn.Parameter or None, got Tensor"):
        net.register_parameter("w", mc.tensor([1.0]))
    with pytest.raises(DTypeError, match="register_buffer: b must be a Tensor or None, got list"):
        net.register_buffer("b", [1.0])
    with pytest.raises(DTypeError, match=r"add_module: m must be an nn.Module or None, got the class ReLU itself"):
        net.add_module("m", nn.ReLU)
    net.register_parameter("later", None)
    assert net.later is None
    assert list(net.parameters()) == []


def test_forgetting_to_initialise_is_explained() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.conv = nn.Conv2d(1, 1, 1)

    with pytest.raises(MinicnnError, match=r"Net: call super\(\).__init__\(\) first in Net.__init__"):
        Net()

    class Bare(nn.Module):
        def __init__(self) -> None:
            pass

    with pytest.raises(AttributeError, match=r"Bare: call super\(\).__init__\(\) first"):
        Bare()(1)


def test_forward_must_be_written() -> None:
    with pytest.raises(NotImplementedError, match=r"Module needs a method forward\(self, x\)"):
        nn.Module()(mc.tensor([1.0]))


def test_attributes_are_listed() -> None:
    assert {"weight", "bias", "running_mean", "forward", "eps"} <= set(dir(nn.BatchNorm2d(2)))


# State


def test_state_dict_shares_memory_and_is_detached() -> None:
    layer = nn.Linear(2, 2)
    state = layer.state_dict()
    assert not any(t.requires_grad for t in state.values())
    assert np.shares_memory(state["weight"].data, layer.weight.data)
    assert layer.state_dict(keep_vars=True)["weight"] is layer.weight
    layer.register_buffer("scratch", mc.tensor([1.0]), persistent=False)
    assert "scratch" not in layer.state_dict()
    assert "scratch" in dict(layer.named_buffers())


def test_loading_copies_and_casts() -> None:
    layer = nn.Linear(2, 1)
    memory = layer.weight.data
    result = layer.load_state_dict({"weight": np.array([[1.0, 2.0]]), "bias": mc.tensor([3.0])})
    assert result == ([], [])
    assert layer.weight.data is memory
    assert (memory.dtype, memory.tolist(), layer.bias.tolist()) == (np.float32, [[1.0, 2.0]], [3.0])
    half = {"weight": np.ones((1, 2), np.float16), "bias": np.zeros(1, np.float16)}
    layer.load_state_dict(half)
    assert layer.weight.tolist() == [[1.0, 1.0]]


def test_loading_names_everything_that_does_not_fit_and_changes_nothing() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    state: dict[str, Any] = {k: np.zeros(v.shape, v.dtype) for k, v in net.state_dict().items()}
    del state["0.bias"], state["1.running_var"]
    state.update({"0.weight": np.zeros((3, 4)), "1.weight": np.zeros(3, np.int64)})
    state.update({"1.bias": "text", "fc.w": np.ones(1)})
    with pytest.raises(CheckpointError) as caught:
        net.load_state_dict(state)
    assert str(caught.value) == (
        "load_state_dict: the state does not fit Sequential\n"
        "    0.weight: has shape (3, 4), needs (3, 2)\n"
        "    1.weight: is int64, needs float32\n"
        "    1.bias: is of type str, needs a tensor\n"
        "    missing: 0.bias, 1.running_var\n"
        "    unexpected: fc.w"
    )
    for key, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key])
    for key in ("0.weight", "1.weight", "1.bias"):
        del state[key]
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert (missing, unexpected) == (["0.weight", "0.bias", "1.weight", "1.bias", "1.running_var"], ["fc.w"])
    with pytest.raises(DTypeError, match="load_state_dict: needs a dict of tensors, got list"):
        net.load_state_dict([1])


def test_old_state_dicts_without_the_count_of_batches_load() -> None:
    norm = nn.BatchNorm2d(2)
    state = dict(norm.state_dict())
    del state["num_batches_tracked"]
    assert norm.load_state_dict(state) == ([], [])


def test_loading_is_announced_to_the_tape() -> None:
    layer = nn.Linear(2, 2)
    loss = layer(mc.tensor([[1.0, 2.0]], requires_grad=True)).sum()
    layer.load_state_dict({k: v.numpy() + 1 for k, v in layer.state_dict().items()})
    with pytest.raises(ArithmeticError, match="changed in place by load_state_dict"):
        loss.backward()


# Hooks


def test_hooks_see_and_replace() -> None:
    layer, calls = nn.Identity(), []
    pre = layer.register_forward_pre_hook(lambda module, args: (args[0] * 2,))
    post = layer.register_forward_hook(lambda m, args, output: calls.append((m, args[0].item(), output.item())))
    plus = layer.register_forward_hook(lambda module, args, output: output + 1)
    assert layer(mc.tensor(3.0)).item() == 7
    assert calls == [(layer, 6.0, 6.0)]
    plus.remove()
    plus.remove()
    assert layer(mc.tensor(3.0)).item() == 6
    pre.remove()
    post.remove()
    assert layer(mc.tensor(3.0)).item() == 3
    assert len(calls) == 2
    single = layer.register_forward_pre_hook(lambda module, args: args[0] + 1)
    assert layer(mc.tensor(3.0)).item() == 4
    single.remove()
    with pytest.raises(DTypeError, match="register_forward_hook: needs a function, got int"):
        layer.register_forward_hook(3)
    with pytest.raises(DTypeError, match="register_forward_pre_hook: needs a function, got str"):
        layer.register_forward_pre_hook("f")


def test_watchers_know_where_in_the_model_they_are() -> None:
    paths = []

    class Watcher:
        def forward(self, ctx: Any, arrays: Any, run: Any) -> Any:
            paths.append((type(ctx).__name__, _watch.module_path()))
            return run()

    net = nn.Sequential(nn.Sequential(nn.ReLU()), nn.Linear(2, 2))
    _watch.watchers.append(Watcher())
    try:
        net(mc.tensor([[1.0, 2.0]]))
        with pytest.raises(ShapeError):
            net(mc.tensor([[1.0, 2.0, 3.0]]))
    finally:
        _watch.watchers.clear()
    assert paths[0] == ("ReLU", "0.0 (ReLU)")
    assert paths[1] == ("Linear", "1 (Linear)")
    assert _watch.modules == []


# Modes, gradients, moving


def test_modes_and_freezing_reach_everything() -> None:
    net = build(nn)
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    assert all(m.training for m in net.train().modules())
    with pytest.raises(DTypeError, match="train: mode must be True or False, got 0"):
        net.train(0)
    assert net.blocks.requires_grad_(False) is net.blocks
    frozen = [name for name, p in net.named_parameters() if not p.requires_grad]
    assert frozen == [f"blocks.{i}.{name}" for i in (0, 1) for name in ("norm.weight", "norm.bias", "conv.weight")]
    net(mc.tensor(np.ones((2, 1, 5, 5), np.float32))).sum().backward()
    assert {name for name, p in net.named_parameters() if p.grad is None} == set(frozen)
    weight = net.fc.weight
    net.zero_grad(set_to_none=False)
    assert np.array_equal(weight.grad.numpy(), np.zeros((5, 4)))
    net.zero_grad()
    assert weight.grad is None


def test_apply_visits_the_parts_before_the_whole() -> None:
    names: list[str] = []
    net = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh()))
    assert net.apply(lambda module: names.append(type(module).__name__)) is net
    assert names == ["ReLU", "Tanh", "Sequential", "Sequential"]


def test_types_and_devices_change_in_place() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    weight = net[0].weight
    optimizer = optim.SGD(net.parameters(), 0.1)
    net(mc.tensor([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    assert net.to("reference", "float64") is net
    assert net[0].weight is weight
    assert {str(t.device) for t in net.state_dict().values()} == {"reference"}
    assert [str(t.dtype) for t in net.state_dict().values()] == ["float64"] * 6 + ["int64"]
    assert (weight.grad.device, weight.grad.dtype) == ("reference", np.float64)
    before = weight.numpy().copy()
    optimizer.step()
    assert not np.array_equal(before, weight.numpy()) or not weight.grad.numpy().any()
    assert net.float().cpu()[0].weight.dtype == np.float32
    assert net.to(mc.tensor([1.0]).double())[0].weight.dtype == np.float64
    assert net.to(dtype="float32", device="reference")[0].weight.device == "reference"
    with pytest.raises(DTypeError, match="to: a module's numbers stay floats, got int64"):
        net.to("int64")
    with pytest.raises(DeviceError, match="device: 'cuda:7' is unknown"):
        net.to("cuda:7")


def test_moving_a_loss_leaves_the_users_weights_alone() -> None:
    weight = mc.tensor([1.0, 2.0])
    loss = nn.CrossEntropyLoss(weight=weight).double()
    assert (weight.dtype, loss.weight.dtype) == (np.float32, np.float64)


# Copies, text, memory


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])
def test_copies_are_independent_and_keep_what_is_shared(duplicate: Any) -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.BatchNorm1d(2))
    net[1].weight = net[0].weight
    new = duplicate(net)
    assert new[1].weight is new[0].weight
    assert isinstance(new[0].weight, nn.Parameter)
    assert len(list(new.parameters())) == len(list(net.parameters())) == 5
    before = net[0].weight.numpy().copy()
    with mc.no_grad():
        new[0].weight.fill_(0.0)
    np.testing.assert_array_equal(net[0].weight.numpy(), before)
    new(mc.tensor([[1.0, 2.0], [3.0, 5.0]])).sum().backward()
    assert new[0].weight.grad is not None
    assert net[0].weight.grad is None


def test_nested_text_is_pytorchs() -> None:
    def make(package: Any) -> Any:
        class Net(package.Module):
            def __init__(self) -> None:
                super().__init__()
                self.features = package.Sequential(package.Conv2d(1, 2, 3), package.Sequential(package.ReLU()))
                self.fc = package.Linear(2, 3)
                self.empty = package.Sequential()
                blocks = [package.Sequential(package.ReLU()), package.Sequential(package.ReLU()), package.Tanh()]
                self.blocks = package.ModuleList([*blocks, package.Tanh(), package.ReLU()])
                self.none = package.ModuleList()

        return Net()

    assert repr(make(nn)) == repr(make(torch.nn))


def test_several_lines_of_extra_text() -> None:
    class Two(nn.Module):
        def extra_repr(self) -> str:
            return "a=1\nb=2"

    assert repr(nn.Sequential(Two())) == "Sequential(\n  (0): Two(\n    a=1\n    b=2\n  )\n)"


def test_no_reference_cycles() -> None:
    gc.collect()
    gc.disable()
    try:
        net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(18, 3))
        net(mc.tensor(np.ones((2, 1, 5, 5), np.float32))).sum().backward()
        del net
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_thousand_layers() -> None:
    net = nn.Sequential(*(nn.Linear(1, 1) for _ in range(1500)))
    assert len(net.state_dict()) == 3000
    net(mc.tensor([[1.0]])).backward()
    assert all(p.grad is not None for p in net.parameters())

"""Fifty steps of each optimiser with each option give PyTorch's parameters and state; groups, refusals, state."""

import copy
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn import nn, optim
from minicnn.errors import CheckpointError, DTypeError, GradientError, ShapeError

SHAPES = ((4, 3, 2, 3), (7,), (), (2, 5))


def options(**choices: tuple[Any, ...]) -> list[dict[str, Any]]:
    return [dict(zip(choices, values)) for values in product(*choices.values())]


CASES: list[tuple[str, dict[str, Any]]] = [
    *(
        ("SGD", o)
        for o in options(
            lr=(0.03,), momentum=(0, 0.9), dampening=(0, 0.3), weight_decay=(0, 0.1), nesterov=(False, True),
            maximize=(False, True),
        )
        if not o["nesterov"] or (o["momentum"] and not o["dampening"])
    ),
    *(
        (name, o)
        for name in ("Adam", "AdamW")
        for o in options(weight_decay=(0, 0.1), amsgrad=(False, True), maximize=(False, True))
    ),
    ("Adam", {"lr": 0.1, "betas": (0.5, 0.6), "eps": 1e-2}),
    ("AdamW", {"lr": 0.1, "betas": (0.0, 0.9), "eps": 1e-3}),
    *(
        ("RMSprop", o)
        for o in options(
            lr=(0.02,), alpha=(0.9,), eps=(1e-4,), weight_decay=(0, 0.1), momentum=(0, 0.8), centered=(False, True),
            maximize=(False, True),
        )
    ),
    ("SGD", {}), ("Adam", {}), ("AdamW", {}), ("RMSprop", {}),
]  # fmt: skip


def parameters(dtype: str) -> tuple[list[mc.Tensor], list[torch.Tensor]]:
    """Return the same parameters for us, one of them channels-last in memory, and for PyTorch."""
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in SHAPES]
    ours = [nn.Parameter(mc.tensor(array)) for array in arrays]
    return ours, [torch.nn.Parameter(torch.tensor(array)) for array in arrays]


def give_gradients(
    rng: np.random.Generator, ours: list[mc.Tensor], theirs: list[torch.Tensor], skip: int | None = None
) -> None:
    """Give both the same gradients, in a memory order other than the parameters'; parameter `skip` gets none."""
    for i, (a, b) in enumerate(zip(ours, theirs)):
        gradient = (rng.standard_normal(a.shape) + 0.3 * a.numpy()).astype(a.dtype)
        a.grad = None if i == skip else mc.tensor(np.asarray(gradient, order="F"))
        b.grad = None if i == skip else torch.tensor(np.ascontiguousarray(gradient).reshape(a.shape))


def assert_equal_states(ours: optim.Optimizer, theirs: torch.optim.Optimizer, bound: float) -> None:
    """Compare all state arrays of both."""
    actual, expected = ours.state_dict()["state"], theirs.state_dict()["state"]
    assert set(actual) == set(expected)
    for number, entry in expected.items():
        wanted = {k: v for k, v in entry.items() if v is not None}
        assert set(actual[number]) == set(wanted)
        for key, value in wanted.items():
            found = actual[number][key].numpy()
            assert found.shape == tuple(value.shape)
            scale = value.abs().max().item()
            np.testing.assert_allclose(found, value.numpy(), rtol=0, atol=bound * scale, err_msg=key)


@pytest.mark.parametrize(("dtype", "bound"), [("float64", 1e-13), ("float32", 2e-6)])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_fifty_steps_are_pytorchs(case: tuple[str, dict[str, Any]], dtype: str, bound: float, device: str) -> None:
    name, chosen = case
    ours, theirs = parameters(dtype)
    memory = [p.data for p in ours]
    optimizer, expected = getattr(optim, name)(ours, **chosen), getattr(torch.optim, name)(theirs, **chosen)
    rng = np.random.default_rng(2)
    for step in range(50):
        give_gradients(rng, ours, theirs, skip=3 if step < 5 else step % 7)  # starts later, or is left out at times
        gradients = [None if p.grad is None else p.grad.numpy().copy() for p in ours]
        optimizer.step()
        expected.step()
        for parameter, gradient in zip(ours, gradients):
            if gradient is not None:
                np.testing.assert_array_equal(parameter.grad.numpy(), gradient)
    for parameter, array, wanted in zip(ours, memory, theirs):
        assert parameter.data is array
        assert array.dtype == dtype
        scale = wanted.detach().abs().max().item()
        np.testing.assert_allclose(array, wanted.detach().numpy(), rtol=0, atol=bound * scale)
    assert_equal_states(optimizer, expected, bound)


def test_groups_frozen_and_shared_parameters_are_pytorchs() -> None:
    def build(package: Any, library: Any) -> tuple[Any, Any]:
        net = package.Sequential(package.Linear(3, 3), package.Linear(3, 3), package.Linear(3, 2)).double()
        net[1].weight = net[0].weight
        net[2].bias.requires_grad = False
        groups = [
            {"params": net[:2].parameters()},
            {"params": net[2].parameters(), "lr": 0.5, "momentum": 0.0, "tag": "head"},
        ]
        return net, library.SGD(groups, lr=0.1, momentum=0.9)

    (ours, optimizer), (theirs, expected) = build(nn, optim), build(torch.nn, torch.optim)
    ours.load_state_dict({k: v.detach().numpy() for k, v in theirs.state_dict().items()})
    rng = np.random.default_rng(0)
    for _ in range(4):
        x = rng.standard_normal((5, 3))
        optimizer.zero_grad()
        expected.zero_grad()
        (ours(mc.tensor(x)) ** 2).sum().backward()
        (theirs(torch.tensor(x)) ** 2).sum().backward()
        optimizer.step()
        expected.step()
    for (key, value), wanted in zip(ours.state_dict().items(), theirs.state_dict().values()):
        np.testing.assert_allclose(value.numpy(), wanted.numpy(), rtol=1e-10, err_msg=key)
    groups = optimizer.state_dict()["param_groups"]
    assert [g["params"] for g in groups] == [g["params"] for g in expected.state_dict()["param_groups"]]
    assert (groups[1]["tag"], groups[1]["lr"], groups[0]["lr"]) == ("head", 0.5, 0.1)
    assert "tag" not in groups[0]


@pytest.mark.parametrize("case", [c for c in CASES if c[1].get("momentum") or c[0] != "SGD"][::3], ids=str)
def test_state_continues_in_either_library(case: tuple[str, dict[str, Any]]) -> None:
    name, chosen = case
    ours, theirs = parameters("float64")
    first, expected = getattr(optim, name)(ours, **chosen), getattr(torch.optim, name)(theirs, **chosen)
    rng = np.random.default_rng(2)
    for _ in range(5):
        give_gradients(rng, ours, theirs, skip=1)
        first.step()
        expected.step()

    as_torch = copy.deepcopy(first.state_dict())
    for entry in as_torch["state"].values():
        entry.update({key: torch.tensor(value.numpy()) for key, value in entry.items()})
    fresh_theirs = getattr(torch.optim, name)(theirs, lr=9.0)
    fresh_theirs.load_state_dict(as_torch)

    as_ours = copy.deepcopy(expected.state_dict())
    for entry in as_ours["state"].values():
        entry.update({key: value.numpy() for key, value in entry.items() if value is not None})
    fresh_ours = getattr(optim, name)(ours, lr=9.0)
    fresh_ours.load_state_dict(as_ours)
    assert fresh_ours.param_groups[0]["lr"] == first.param_groups[0]["lr"]

    for _ in range(5):
        give_gradients(rng, ours, theirs)
        fresh_ours.step()
        fresh_theirs.step()
    for parameter, wanted in zip(ours, theirs):
        np.testing.assert_allclose(parameter.numpy(), wanted.detach().numpy(), rtol=1e-10)


def test_loading_copies_casts_and_takes_numbers_that_became_strings() -> None:
    weight = nn.Parameter([1.0, 2.0])
    source = optim.Adam([weight])
    weight.grad = mc.tensor([1.0, -1.0])
    source.step()
    state = source.state_dict()
    state["state"] = {"0": {k: v.numpy().astype(np.float64) for k, v in state["state"][0].items()}}
    state["param_groups"][0]["betas"] = list(state["param_groups"][0]["betas"])
    target = optim.Adam([nn.Parameter([5.0, 6.0])])
    target.load_state_dict(state)
    loaded = target.state_dict()["state"][0]
    assert (loaded["exp_avg"].dtype, loaded["step"].item(), loaded["step"].shape) == (np.float32, 1.0, ())
    assert not np.shares_memory(loaded["exp_avg"].numpy(), state["state"]["0"]["exp_avg"])
    assert target.param_groups[0]["betas"] == (0.9, 0.999)


def test_state_that_does_not_fit_is_refused_and_nothing_changes() -> None:
    optimizer = optim.SGD([nn.Parameter([1.0, 2.0])], lr=0.1, momentum=0.9)
    state = optimizer.state_dict()
    for change, text in [
        (lambda s: s.pop("state"), 'SGD: load_state_dict needs a dict with "state" and "param_groups"'),
        (lambda s: s["param_groups"][0]["params"].append(1),
         "SGD: the state is of groups of [2] parameters, there are [1]"),
        (lambda s: s["param_groups"].append(s["param_groups"][0]), "groups of [1, 1] parameters, there are [1]"),
        (lambda s: s["state"].update({0: {"momentum_buffer": np.ones(3)}}),
         "SGD: momentum_buffer of parameter 0 has shape (3,), needs (2,)"),
    ]:  # fmt: skip
        damaged = copy.deepcopy(state)
        change(damaged)
        with pytest.raises(CheckpointError) as caught:
            optimizer.load_state_dict(damaged)
        assert text in str(caught.value)
    damaged = copy.deepcopy(state)
    damaged["param_groups"][0]["lr"] = -1
    with pytest.raises(ShapeError, match="SGD: lr is -1"):
        optimizer.load_state_dict(damaged)
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_step_calls_the_closure_with_recording_on() -> None:
    weight = nn.Parameter([3.0])
    optimizer = optim.SGD([weight], lr=0.5)

    def closure() -> mc.Tensor:
        optimizer.zero_grad()
        loss = (weight * weight).sum()
        loss.backward()
        return loss

    with mc.no_grad():
        assert optimizer.step(closure).item() == 9
    assert weight.item() == 0
    assert optimizer.step() is None


def test_steps_are_announced_to_the_tape() -> None:
    weight = nn.Parameter([3.0])
    loss = (weight * weight).sum()
    weight.grad = mc.tensor([1.0])
    optim.AdamW([weight]).step()
    with pytest.raises(ArithmeticError, match=r"changed in place by AdamW.step"):
        loss.backward()


def test_zero_grad() -> None:
    weight = nn.Parameter([3.0])
    weight.grad = gradient = mc.tensor([1.0])
    optimizer = optim.SGD([weight])
    optimizer.zero_grad(set_to_none=False)
    assert (weight.grad, gradient.item()) == (gradient, 0)
    optimizer.zero_grad()
    assert weight.grad is None


def test_infinite_gradients_do_not_warn() -> None:
    for name in ("SGD", "Adam", "AdamW", "RMSprop"):
        weight = nn.Parameter([3.0, 1.0])
        weight.grad = mc.tensor([float("inf"), 1e30])
        getattr(optim, name)([weight], weight_decay=0.1).step()


def test_copied_and_printed() -> None:
    weight = nn.Parameter([3.0])
    optimizer = optim.SGD([weight], lr=0.1, momentum=0.9)
    weight.grad = mc.tensor([1.0])
    optimizer.step()
    net, twin = copy.deepcopy((weight, optimizer))
    net.grad = mc.tensor([1.0])
    twin.step()
    assert net.item() == pytest.approx(3 - 0.1 - 0.19)
    assert weight.item() == pytest.approx(2.9)
    assert repr(optimizer) == (
        "SGD (\nParameter Group 0\n    dampening: 0.0\n    lr: 0.1\n    maximize: False\n    momentum: 0.9\n"
        "    nesterov: False\n    weight_decay: 0.0\n)"
    )


W = nn.Parameter([1.0])
REFUSALS = [
    (lambda: optim.SGD([], 0.1), ShapeError, "SGD: params is empty; a module's are model.parameters()"),
    (lambda: optim.SGD(W, 0.1), DTypeError, "SGD: params must be a list of tensors or groups, got one Parameter"),
    (lambda: optim.SGD(nn.Linear(1, 1), 0.1), DTypeError, "got one Linear; write model.parameters()"),
    (lambda: optim.SGD(nn.Sequential(nn.ReLU()), 0.1), DTypeError, "got ReLU; write model.parameters()"),
    (lambda: optim.SGD(3, 0.1), DTypeError, "SGD: params must be a list of tensors or groups, got one int"),
    (lambda: optim.SGD([W, W], 0.1), ShapeError, "SGD: a parameter is given twice; list each in one group, once"),
    (lambda: optim.SGD([{"params": [W]}, {"params": W}], 0.1), ShapeError, "SGD: a parameter is given twice"),
    (lambda: optim.SGD([W * 2], 0.1), GradientError, "SGD: params[0] was computed by an operation"),
    (lambda: optim.SGD([W, 3.0], 0.1), DTypeError, "SGD: params[1] must be a Tensor, got float"),
    (lambda: optim.SGD(nn.Linear(1, 1).named_parameters(), 0.1), DTypeError,
     "SGD: params[0] must be a Tensor, got tuple; write model.parameters()"),
    (lambda: optim.SGD([{"parameters": [W]}], 0.1), DTypeError,
     "SGD: a group must be a dict with \"params\", got a dict with 'parameters'"),
    (lambda: optim.SGD([{"params": {W}}], 0.1), DTypeError, "SGD: params are a set, which has no order; give a list"),
    (lambda: optim.SGD([W], -0.1), ShapeError, "SGD: lr is -0.1, needs a number in [0, inf]"),
    (lambda: optim.SGD([W], "fast"), DTypeError, "SGD: lr must be a number, got 'fast'"),
    (lambda: optim.SGD([W], 0.1, -0.9), ShapeError, "SGD: momentum is -0.9, needs a number in [0, inf]"),
    (lambda: optim.SGD([W], 0.1, weight_decay=-1), ShapeError, "SGD: weight_decay is -1, needs a number in [0, inf]"),
    (lambda: optim.SGD([W], 0.1, nesterov=True), ShapeError,
     "SGD: nesterov=True needs a momentum above 0 and dampening=0"),
    (lambda: optim.SGD([W], 0.1, 0.9, 0.1, nesterov=True), ShapeError, "SGD: nesterov=True needs a momentum"),
    (lambda: optim.SGD([W], 0.1, nesterov=1), DTypeError, "SGD: nesterov must be True or False, got 1"),
    (lambda: optim.SGD([{"params": [W], "lr": -1}], 0.1), ShapeError, "SGD: lr is -1"),
    (lambda: optim.Adam([W], betas=(1.0, 0.9)), ShapeError, "Adam: betas[0] is 1.0, needs a number in [0, 1)"),
    (lambda: optim.AdamW([W], betas=(0.9, -0.1)), ShapeError, "AdamW: betas[1] is -0.1, needs a number in [0, 1)"),
    (lambda: optim.AdamW([W], betas=0.9), ShapeError, "AdamW: betas is 0.9, needs two numbers"),
    (lambda: optim.Adam([W], eps=-1e-8), ShapeError, "Adam: eps is -1e-08, needs a number in [0, inf]"),
    (lambda: optim.RMSprop([W], alpha=-1), ShapeError, "RMSprop: alpha is -1, needs a number in [0, 1]"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "text"), REFUSALS, ids=[r[2] for r in REFUSALS])
def test_refusals(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert text in str(caught.value)


def test_a_gradient_of_another_shape_is_refused() -> None:
    weight = nn.Parameter([1.0, 2.0])
    weight.grad = mc.tensor([[1.0, 2.0]])
    text = r"SGD: params\[0\] is float32 of shape \(2,\), its gradient float32 of \(1, 2\)"
    with pytest.raises(ShapeError, match=text):
        optim.SGD([weight]).step()


def test_a_model_moved_after_the_first_step() -> None:
    net = nn.Linear(2, 1)
    adam = optim.Adam(net.parameters())
    net(mc.tensor([[1.0, 2.0]])).backward()
    adam.step()
    net.double()
    with pytest.raises(DTypeError, match="Adam: exp_avg is float32 on cpu, its parameter has become float64"):
        adam.step()
    adam.load_state_dict(adam.state_dict())
    adam.step()
    assert adam.state[net.weight]["exp_avg"].dtype == np.float64
    assert adam.state[net.weight]["step"].item() == 2


def test_adding_a_group_later() -> None:
    first, second = nn.Parameter([1.0]), nn.Parameter([2.0])
    optimizer = optim.SGD([first], lr=0.5)
    optimizer.add_param_group({"params": second, "lr": 0.25})
    second.grad = mc.tensor([4.0])
    optimizer.step()
    assert (first.item(), second.item()) == (1.0, 1.0)
    with pytest.raises(ShapeError, match="given twice"):
        optimizer.add_param_group({"params": [first]})
    assert len(optimizer.param_groups) == 2


def test_own_optimizers() -> None:
    class SignDescent(optim.Optimizer):
        def _update(self, device: Any, group: Any, parameters: Any) -> None:
            for p in parameters:
                p.data -= group["lr"] * np.sign(p.grad.data)

    weight = nn.Parameter([1.0])
    weight.grad = mc.tensor([-3.0])
    SignDescent([weight], {"lr": 0.5}).step()
    assert weight.item() == 1.5
    with pytest.raises(NotImplementedError, match="Optimizer needs a method _update"):
        optim.Optimizer([weight], {}).step()

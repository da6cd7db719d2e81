"""Sequential and ModuleList: order, names, slices, changes, refusals."""

from collections import OrderedDict
from typing import Any

import pytest
import torch

import minicnn as mc
from minicnn import nn
from minicnn.errors import DTypeError, MinicnnError, ShapeError


def names(module: nn.Module) -> list[tuple[str, str]]:
    return [(name, type(part).__name__) for name, part in module.named_children()]


def layers(package: Any, *words: str) -> list[Any]:
    return [getattr(package, word)() for word in words]


def test_sequential_calls_in_order() -> None:
    double = nn.Linear(1, 1, bias=False)
    double.load_state_dict({"weight": mc.tensor([[2.0]])})
    assert nn.Sequential(double, nn.ReLU())(mc.tensor([[-3.0]])).item() == 0
    assert nn.Sequential(nn.ReLU(), double)(mc.tensor([[3.0]])).item() == 6
    assert nn.Sequential()(mc.tensor(3.0)).item() == 3


@pytest.mark.parametrize("package", [nn, torch.nn], ids=["minicnn", "torch"])
def test_what_both_libraries_do(package: Any) -> None:
    net = package.Sequential(*layers(package, "ReLU", "Tanh", "Sigmoid", "Identity"))
    assert len(net) == 4
    assert [type(m).__name__ for m in net] == ["ReLU", "Tanh", "Sigmoid", "Identity"]
    assert type(net[-1]).__name__ == "Identity"
    assert names(net[1:3]) == [("1", "Tanh"), ("2", "Sigmoid")]
    assert net[1:3][0] is net[1]
    net[1] = package.Flatten()
    assert names(net)[1] == ("1", "Flatten")
    del net[0]
    assert names(net) == [("0", "Flatten"), ("1", "Sigmoid"), ("2", "Identity")]
    net.append(package.ReLU()).extend(layers(package, "Tanh"))
    assert names(net)[-2:] == [("3", "ReLU"), ("4", "Tanh")]
    net.insert(1, package.Softmax(1))
    assert names(net)[:3] == [("0", "Flatten"), ("1", "Softmax"), ("2", "Sigmoid")]
    del net[1:4]
    assert names(net) == [("0", "Flatten"), ("1", "ReLU"), ("2", "Tanh")]
    parts = package.ModuleList(layers(package, "ReLU", "Tanh", "Sigmoid"))
    assert names(parts[1:]) == [("0", "Tanh"), ("1", "Sigmoid")]
    parts.insert(0, package.Flatten())
    parts.append(package.ReLU())
    assert names(parts) == [("0", "Flatten"), ("1", "ReLU"), ("2", "Tanh"), ("3", "Sigmoid"), ("4", "ReLU")]
    named = package.Sequential(OrderedDict(a=package.ReLU()))
    assert names(named) == [("a", "ReLU")]


def test_named_parts_keep_their_names() -> None:
    net = nn.Sequential({"first": nn.ReLU(), "second": nn.Tanh(), "third": nn.Sigmoid()})
    assert names(net[1:]) == [("second", "Tanh"), ("third", "Sigmoid")]
    del net[0]
    assert names(net) == [("second", "Tanh"), ("third", "Sigmoid")]
    assert net.second is net[0]
    odd = nn.Sequential({"1": nn.ReLU()})
    assert names(odd.append(nn.Tanh())) == [("1", "ReLU"), ("2", "Tanh")]


def test_replacing_the_last_layer_for_fine_tuning() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1000))
    net[2] = nn.Linear(3, 40)
    assert net(mc.tensor([[1.0, 2.0]])).shape == (1, 40)
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_refusals() -> None:
    with pytest.raises(DTypeError, match=r"Sequential: argument 1 must be an nn.Module, got type; write ReLU\(…\)"):
        nn.Sequential(nn.ReLU(), nn.ReLU)
    with pytest.raises(DTypeError, match=r"argument 0 must be an nn.Module, got list; unpack it with"):
        nn.Sequential([nn.ReLU()])
    with pytest.raises(ShapeError, match="Sequential: index is 3, there are 1 modules"):
        nn.Sequential(nn.ReLU())[3]
    with pytest.raises(DTypeError, match="Sequential: index must be a whole number or a slice, got 'a'"):
        nn.Sequential(nn.ReLU())["a"]
    with pytest.raises(MinicnnError, match=r"ModuleList: cannot be called; call its modules, or use nn.Sequential"):
        nn.ModuleList([nn.ReLU()])(1)
    with pytest.raises(DTypeError, match="ModuleList: needs a list of modules, got one ReLU"):
        nn.ModuleList(nn.ReLU())

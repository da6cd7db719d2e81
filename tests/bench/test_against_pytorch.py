"""The benchmarks against PyTorch, in short: all sides agree, every number is there, the picture is drawn."""

import json
from pathlib import Path

import pytest
import torch

from minicnn.bench import BENCHMARKS, convolutions, layers, step
from minicnn.bench.networks import WORKS
from minicnn.bench.pieces import drawn_convolutions
from minicnn.bench.sides import SIDES, check_equal, ratio
from minicnn.cli import parser
from minicnn.errors import NumericsError, ShapeError


def test_a_step_on_all_sides(tmp_path):
    results = step.run(["resnet18_small_one"], rounds=1, threads=1)
    (result,) = json.loads(json.dumps(results.to_dict()))["results"]
    assert set(result["seconds"]) == set(result["memory"]) == set(SIDES)
    assert all(seconds > 0 for side in SIDES for seconds in result["seconds"][side])
    assert "small ResNet-18, one image, inference: ratio" in str(results)
    results.plot(str(tmp_path / "bars.png"))
    assert (tmp_path / "bars.png").read_bytes()[:4] == b"\x89PNG"


def test_convolutions_of_a_seed_on_all_sides():
    results = convolutions.run(seed=5, count=2, rounds=1, threads=1)
    assert [layer.title for layer in results.layers] == [str(c) for c in drawn_convolutions(5, 2)]
    assert results.mean <= results.worst
    assert all(layer.multiply_adds > 3e7 for layer in results.layers)
    assert str(results).splitlines()[-1].startswith("seed 5: geometric mean")


def test_every_drawn_convolution_is_one():
    drawn = drawn_convolutions(0, 200)
    assert drawn == drawn_convolutions(0, 200)
    assert drawn[:40] != drawn_convolutions(1, 40)
    for convolution in drawn:
        layer = convolution.build(torch.nn)
        y = layer.to("meta")(torch.empty(convolution.shape, device="meta"))
        assert min(y.shape) >= 1
        assert min(convolution.shape[1], convolution.out_channels) >= 1
        assert max(convolution.shape[1], convolution.out_channels) <= 512
        assert layer.groups == convolution.groups
    assert {c.groups > 1 for c in drawn} == {c.dilation != (1, 1) for c in drawn} == {True, False}


def test_the_ratio_is_to_the_faster_layout():
    assert ratio({"minicnn": [2.0, 1.0, 9.0], "torch-nchw": [4.0], "torch-channels_last": [8.0]}) == 0.5


def test_sides_that_disagree_are_named():
    with pytest.raises(NumericsError, match=r"bench: minicnn and PyTorch differ by 0.5 of the largest number in conv"):
        check_equal("conv", {"minicnn": [1.0, 3.0], "torch-nchw": [1.0, 2.0]})


def test_an_unknown_network_is_refused():
    with pytest.raises(ShapeError, match="bench: work is 'lenet', needs one of 'alexnet_original_small'"):
        step.run(["lenet"])
    with pytest.raises(ShapeError, match="bench: work is 'lenet'"):
        layers.run(["lenet"])
    assert len(WORKS) == 11


def test_the_commands_in_the_documentation_are_commands():
    text = (Path(__file__).parents[2] / "docs/cpu_speed.md").read_text(encoding="utf-8")
    commands = [line.split()[1:] for line in text.splitlines() if line.startswith("    minicnn ")]
    assert len(commands) == 3
    for words in commands:
        options = parser().parse_args(words)
        assert options.benchmark in BENCHMARKS
        assert set(options.works or []) <= set(WORKS)

"""`minicnn summary` as a user calls it."""

import json

import pytest

from minicnn.cli import main
from minicnn.models import MODELS
from tests.test_cli import error_of

SMALL = ("alexnet_orl", "embedding", "face_resnet29", "mlp_orl", "resnet_cifar", "resnet_orl", "vgg_orl")


def test_resnet152_as_a_table(capsys):
    assert main(["summary", "resnet152"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Sequential, input (1, 3, 224, 224)"
    assert lines[2].split() == [
        "layer", "output", "shape", "parameters", "multiply-adds", "memory", "receptive", "field",
    ]  # fmt: skip
    first = "conv1 (Conv2d) (1, 64, 112, 112) 9,408 118,013,952 3.21 MB 7 x 7"
    assert " ".join(lines[4].split()) == first
    assert lines[-1].startswith(
        "parameters 60,192,808 (trainable 60,192,808), 241.38 MB; multiply-adds 11,513,626,624;"
    )


@pytest.mark.parametrize("name", SMALL)
def test_every_small_network_has_a_size_of_its_own(name, capsys):
    assert main(["summary", name, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["input_shape"][0] == 1
    assert found["parameters"] == sum(p.numel() for p in MODELS[name]().parameters())
    rows, columns = found["layers"][-1]["receptive_field"]
    assert rows >= found["input_shape"][2]  # the last layer sees the whole picture
    assert columns >= found["input_shape"][3]


def test_input_of_another_size(capsys):
    assert main(["summary", "resnet_cifar", "--input", "2", "3", "40", "48", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["layers"][0]["output_shape"] == [2, 16, 40, 48]


def test_a_wrong_name_lists_all(capsys):
    text = error_of(["summary", "resnet"], capsys)
    assert all(repr(name) in text for name in MODELS)

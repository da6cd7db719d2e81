"""`minicnn eval --imagenet` as a user calls it, with PyTorch's network and PyTorch's count beside it."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import minicnn as mc
from minicnn import models
from minicnn.data import ImageFolder
from minicnn.errors import DataError, NumericsError, ShapeError
from minicnn.training.imagenet import MEAN, STD, crops, evaluate, rank
from tests.models import twins
from tests.test_cli import error_of, minicnn

CLASSES = 7
SIZES = ["--resize", "72", "--crop", "64"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty-one made-up pictures of many sizes, grey ones among them, and `net.pth`, saved by PyTorch."""
    root = tmp_path_factory.mktemp("imagenet")
    rng = np.random.default_rng(3)
    for label in range(CLASSES):
        (root / "val" / f"n{label:08d}").mkdir(parents=True)
        for number in range(3):
            size = rng.integers(60, 120, 2)
            coarse = rng.integers(0, 256, (6, 6) if number == 2 else (6, 6, 3)).astype(np.uint8)
            picture = Image.fromarray(coarse).resize((int(size[0]), int(size[1])), Image.Resampling.BICUBIC)
            picture.save(root / "val" / f"n{label:08d}" / f"{number}.{'png' if number else 'JPEG'}")
    torch.manual_seed(5)
    net = twins.resnet("resnet18", CLASSES)
    with torch.no_grad():
        net.train()(torch.randn(16, 3, 64, 64))  # running statistics that tell the pictures apart
    torch.save(net.state_dict(), root / "net.pth")
    return root


def of_torch(root):
    """Return top-1 and top-5 by one crop and by ten, counted by PyTorch."""
    net = twins.resnet("resnet18", CLASSES).eval()
    net.load_state_dict(torch.load(root / "net.pth", weights_only=True))
    right = dict.fromkeys(("one 1", "one 5", "ten 1", "ten 5"), 0)
    paths = sorted((root / "val").glob("*/*"))
    for path in paths:
        x = torch.tensor(np.asarray(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None] / 255
        height, width = x.shape[2:]
        size = (72, 72 * width // height) if height <= width else (72 * height // width, 72)
        x = torch.nn.functional.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)
        x = (x - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
        top, left = round((size[0] - 64) / 2), round((size[1] - 64) / 2)
        five = [x[:, :, :64, :64], x[:, :, :64, -64:], x[:, :, -64:, :64], x[:, :, -64:, -64:]]
        five.append(x[:, :, top : top + 64, left : left + 64])
        ten = torch.cat([*five, *(square.flip(3) for square in five)])
        with torch.no_grad():
            probability = net(ten).softmax(1)
        label = int(path.parent.name[1:])
        for name, found in (("one", probability[4]), ("ten", probability.mean(0))):
            for k in (1, 5):
                right[f"{name} {k}"] += label in found.topk(k).indices
    return {name: 100 * count / len(paths) for name, count in right.items()}


def test_top_1_and_top_5_are_those_that_pytorch_counts(folder):
    command = ["eval", "--imagenet", "val", "--model", "resnet18", "--weights", "net.pth", *SIZES]
    found = json.loads(minicnn(*command, "--json", folder=folder))
    expected = of_torch(folder)
    assert 0 < expected["one 1"] < expected["one 5"] < 100
    assert found == {
        "pictures": 21, "classes": 7,
        "one_crop": {"top1": pytest.approx(expected["one 1"]), "top5": pytest.approx(expected["one 5"])},
        "ten_crops": {"top1": pytest.approx(expected["ten 1"]), "top5": pytest.approx(expected["ten 5"])},
    }  # fmt: skip
    printed = minicnn(*command, "--one-crop", "--at-least", "99", folder=folder, code=1).splitlines()
    assert printed[0] == "resnet18: 21 pictures of 7 classes"
    assert printed[1] == f"one crop:   top-1 {expected['one 1']:.2f} %, top-5 {expected['one 5']:.2f} %"
    assert len(printed) == 3
    assert "96.43 % in surveys are top-5 figures of competition entries" in printed[2]


def test_ten_crops_are_the_centre_the_corners_and_their_mirror_images():
    image = np.arange(3 * 9 * 12, dtype=np.float32).reshape(3, 9, 12)
    found = crops(image, resize=9, crop=5)
    assert found.shape == (10, 3, 5, 5)
    assert found[:5, 0, 0, 0].tolist() == [
        image[0, 2, 4],
        image[0, 0, 0],
        image[0, 0, 7],
        image[0, 4, 0],
        image[0, 4, 7],
    ]
    np.testing.assert_array_equal(found[5:], found[:5, :, :, ::-1])
    np.testing.assert_array_equal(crops(image, 9, 5, ten=False), found[:1])
    assert crops(np.zeros((3, 300, 500), np.float32)).shape == (10, 3, 224, 224)
    with pytest.raises(ShapeError, match=r"crops: crop is 10, needs 1 … resize, 9"):
        crops(image, 9, 10)


def test_equal_answers_are_no_right_answers():
    ranks = rank(np.full((4, 6), 1 / 6), np.array([0, 1, 4, 5]))
    assert ranks.tolist() == [0, 1, 4, 5]
    assert rank(np.array([[0.1, 0.7, 0.2]] * 3), np.arange(3)).tolist() == [2, 0, 1]
    with pytest.raises(NumericsError, match="rank: the network answers NaN; do the weights belong to it"):
        rank(np.array([[0.5, np.nan]]), np.array([0]))


def test_a_network_with_another_number_of_classes_is_refused(folder):
    model = models.resnet18(num_classes=3)
    with pytest.raises(DataError, match=r"evaluate: the network knows 3 classes, .*val has 7"):
        evaluate(model, ImageFolder(folder / "val", channels=3), 40, 32)


def test_five_classes_have_no_top_5(folder, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (40, 50)).save(tmp_path / name / "1.png")
    mc.manual_seed(0)
    scores = evaluate(models.resnet18(num_classes=2), ImageFolder(tmp_path, channels=3), 40, 32, ten=False)
    assert scores.keys() == {"one_crop"}
    assert (scores["one_crop"].top1, scores["one_crop"].top5) == (50.0, None)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "minicnn eval: name a run's folder, or a folder of pictures with --imagenet"),
        (["run", "--model", "resnet18"], "minicnn eval: --model goes with --imagenet FOLDER"),
        (["run", "--one-crop", "--crop", "8"], "minicnn eval: --crop, --one-crop goes with --imagenet FOLDER"),
        (["--imagenet", "x"], "minicnn eval: --imagenet needs --model NAME and --weights FILE"),
        (["run", "--imagenet", "x"], "minicnn eval: --imagenet tests a named model; RUN, --data and --no-verify do"),
        (
            ["--imagenet", "nowhere", "--model", "resnet18", "--weights", "x.pth"],
            "minicnn eval: ImageFolder: nowhere is no folder",
        ),
    ],
)
def test_wrong_usage_is_one_clear_sentence(arguments, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert error_of(["eval", *arguments], capsys).startswith(text)


def test_weights_that_do_not_fit_are_refused(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    torch.save(twins.resnet("resnet18", 3).state_dict(), tmp_path / "three.pth")
    command = ["eval", "--imagenet", "val", "--model", "resnet18", "--weights", str(tmp_path / "three.pth")]
    assert "three.pth is for 3 classes, val has 7 folders" in error_of(command, capsys)
    command = ["eval", "--imagenet", "val", "--model", "face_resnet29", "--weights", "net.pth"]
    assert "face_resnet29: there is no option 'num_classes'" in error_of(command, capsys)
    command = ["eval", "--imagenet", "val", "--model", "resnet18", "--weights", "net.pth", "--crop", "300"]
    assert "crops: crop is 300, needs 1 … resize, 256" in error_of(command, capsys)

import numpy as np
import pytest

import minicnn as mc
from minicnn import models, nn, optim
from minicnn.errors import DTypeError, ShapeError


def pictures(people: int, each: int, seed: int) -> np.ndarray:
    """Return (people, each, 1, 32, 32): everybody has stripes of another angle, with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32] / 4
    angle = np.pi * np.arange(people)[:, None, None, None] / people
    shift = rng.random((people, each, 1, 1)) * 2 * np.pi
    stripes = np.cos(x * np.cos(angle) + y * np.sin(angle) + shift)
    return (stripes + 0.3 * rng.standard_normal(stripes.shape))[:, :, None].astype(np.float32)


def nearest_is_the_same_person(model: nn.Module, seed: int) -> float:
    """Return for how many pictures the nearest of all others shows the same person."""
    faces = pictures(6, 4, seed)
    with mc.no_grad():
        points = model.eval()(mc.tensor(faces.reshape(-1, 1, 32, 32))).numpy()
    model.train()
    distance = np.linalg.norm(points[:, None] - points[None], axis=2) + 9 * np.eye(24)
    return float((distance.argmin(1) // 4 == np.arange(24) // 4).mean())


def test_triplets_bring_one_persons_pictures_together():
    mc.manual_seed(2)
    model = models.embedding(16, models.resnet_orl(widths=(8, 16), depth=6))
    loss_function, optimizer = nn.TripletMarginLoss(margin=0.5), optim.Adam(model.parameters(), lr=1e-3)
    rng = np.random.default_rng(0)
    before, losses = nearest_is_the_same_person(model, seed=99), []
    for step in range(40):
        faces = pictures(6, 4, step)
        others = faces[(np.arange(6) + rng.integers(1, 6, 6)) % 6]
        triplet = (faces[:, :2], faces[:, 2:], others[:, 1::2])
        anchor, positive, negative = (mc.tensor(part.reshape(12, 1, 32, 32)) for part in triplet)
        optimizer.zero_grad()
        loss = loss_function(model(anchor), model(positive), model(negative))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.3 * np.mean(losses[:5])
    assert before < 0.8
    assert nearest_is_the_same_person(model, seed=99) == 1


@pytest.mark.parametrize("backbone", ["resnet_orl", "alexnet_orl", "mlp_orl"])
def test_embeddings_lie_on_the_sphere(backbone):
    model = models.embedding(backbone=backbone).eval()
    y = model(mc.rand(3, 1, 56, 46))
    assert y.shape == (3, 128)
    np.testing.assert_allclose((y * y).sum(1).numpy(), 1, rtol=1e-5)


def test_the_embedding_of_a_network_has_its_weights():
    net = models.resnet_orl(widths=(4,), depth=4)
    model = models.embedding(8, net)
    assert model.backbone is net
    assert [name for name, _ in model.named_parameters()][-2:] == ["backbone.fc.weight", "backbone.fc.bias"]
    assert model.backbone.fc.weight.shape == (8, 4)


@pytest.mark.parametrize(
    ("build", "place", "inputs"),
    [
        (lambda: models.resnet_cifar(8), "fc", 64),
        (models.alexnet_orl, "classifier.6", 512),
        (models.face_resnet29, "fc", 256),
        (models.mlp_orl, "8", 256),
    ],
)
def test_a_head_is_replaced_in_its_place(build, place, inputs):
    model = build()
    names = list(dict(model.named_modules()))
    head = models.replace_head(model, 5)
    assert dict(model.named_modules())[place] is head
    assert list(dict(model.named_modules())) == names
    assert (head.in_features, head.out_features) == (inputs, 5)


def test_a_new_head_has_the_old_ones_type_and_may_have_no_bias():
    model = models.resnet_cifar(8).double()
    head = models.replace_head(model, 3, bias=False)
    assert head.weight.dtype == mc.float64
    assert head.bias is None
    model.requires_grad_(False)
    assert models.replace_head(model, 3).weight.requires_grad


def test_refusals():
    with pytest.raises(ShapeError, match=r"replace_head: the last layer with parameters is 0 \(Conv2d\), needs"):
        models.replace_head(nn.Sequential(nn.Conv2d(1, 2, 3)), 4)
    with pytest.raises(ShapeError, match=r"the last layer with parameters is the model itself \(Linear\), needs"):
        models.replace_head(nn.Linear(2, 3), 4)
    with pytest.raises(ShapeError, match="the last layer with parameters is none, needs"):
        models.replace_head(nn.ReLU(), 4)
    with pytest.raises(DTypeError, match=r"replace_head: model must be an nn\.Module, got str"):
        models.replace_head("resnet18", 4)
    with pytest.raises(ShapeError, match="Linear: out_features is 0, needs at least 1"):
        models.embedding(0)
    with pytest.raises(ShapeError, match="build: model is 'facenet', needs one of"):
        models.embedding(backbone="facenet")

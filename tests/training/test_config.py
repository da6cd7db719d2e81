import json

import pytest

import minicnn as mc
from minicnn.errors import DataError, DTypeError, ShapeError
from minicnn.models import build
from minicnn.training import RECIPES, Config, recipe
from minicnn.training.config import from_dict
from minicnn.training.pictures import train_transform


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_a_network_and_pictures_that_fit(name):
    config = recipe(name)
    model = build(config.model, **config.options)
    picture = mc.zeros(1, 1, 112, 92).numpy()
    x = train_transform(config)(picture)
    assert x.shape == (1, 1, *config.image_size)
    with mc.no_grad():
        assert model.eval()(mc.tensor(x)).shape == (1, 40)


def test_every_model_for_the_orl_faces_has_its_recipe():
    from minicnn.models import MODELS

    names = {name for name in MODELS if name.endswith("_orl")}
    assert len(names) >= 4
    assert names <= set(RECIPES)
    assert all(recipe(name).model == name for name in names)


def test_a_config_survives_json():
    config = recipe("vgg_orl", epochs=7, split_seed=3, image_size=(20, 30))
    assert from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_recipe_is_changed_by_name():
    assert recipe("resnet_orl", lr=0.5).lr == 0.5
    with pytest.raises(DataError, match="recipe 'resnet' is unknown; there are resnet_orl, vgg_orl"):
        recipe("resnet")


@pytest.mark.parametrize(
    ("values", "error", "text"),
    [
        ({"model": 3}, DTypeError, "config: model must be a name, got 3"),
        ({"options": ["dropout"]}, DTypeError, "config: options must be a dict of the model's arguments"),
        ({"options": {1: 2}}, DTypeError, "config: options must be a dict of the model's arguments"),
        ({"image_size": (0, 5)}, ShapeError, "config: image_size is 0, needs at least 1"),
        ({"image_size": "small"}, DTypeError, "config: image_size must be a whole number, got 'small'"),
        ({"epochs": 0}, ShapeError, "config: epochs is 0, needs at least 1"),
        ({"epochs": "3"}, DTypeError, "config: epochs must be a whole number, got '3'"),
        ({"steps_per_epoch": 0}, ShapeError, "config: steps_per_epoch is 0, needs at least 1"),
        ({"batch_size": 0}, ShapeError, "config: batch_size is 0, needs at least 1"),
        ({"train_per_subject": 0}, ShapeError, "config: train_per_subject is 0, needs at least 1"),
        ({"seed": -1}, ShapeError, "config: seed is -1, needs at least 0"),
        ({"split_seed": -1}, ShapeError, "config: split_seed is -1, needs at least 0"),
        ({"lr": 0}, ShapeError, "config: lr is 0, needs a number in (0"),
        ({"lr": None}, DTypeError, "config: lr must be a number, got None"),
        ({"weight_decay": -1}, ShapeError, "config: weight_decay is -1, needs a number in [0"),
        ({"label_smoothing": 1.5}, ShapeError, "config: label_smoothing is 1.5, needs a number in [0, 1]"),
        ({"optimizer": "lamb"}, ShapeError, "config: optimizer is 'lamb', needs one of 'adamw', 'adam', 'sgd'"),
        ({"schedule": "none"}, ShapeError, "config: schedule is 'none', needs one of 'onecycle'"),
        ({"augment": 1}, DTypeError, "config: augment must be True or False, got 1"),
    ],
    ids=str,
)
def test_refusals(values, error, text):
    with pytest.raises(error) as caught:
        Config(**values)
    assert str(caught.value).startswith(text)

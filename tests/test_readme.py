"""The README's examples run, and its commands work as they are written."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.split("#")[0].split()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]


def run(words: list[str], folder: Path) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@pytest.mark.orl
@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example_runs(number, tmp_path):
    (tmp_path / "example.py").write_text(EXAMPLES[number], encoding="utf-8")
    output = run([sys.executable, "example.py"], tmp_path)
    if "right:" in output:
        assert float(output.split()[-1]) > 0.6


@pytest.mark.orl
def test_commands_work_in_their_order(tmp_path):
    commands = [words for words in COMMANDS if words and words[0] == "minicnn"]
    assert len(commands) >= 7
    for words in commands:
        # one epoch instead of a whole training; a run that is resumed keeps its own number
        short = ["--epochs", "1"] if words[1] == "train" and "--resume" not in words else []
        run([sys.executable, "-m", *words, *short], tmp_path)


def test_make_has_the_targets_that_are_named():
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"make ([\w-]+)", README)) - {"and"} <= set(targets)


def test_files_that_are_named_exist():
    for path in re.findall(r"`((?:minicnn|notebooks|datasets|tests)/[\w/.-]+)`", README):
        assert (ROOT / path).exists(), path

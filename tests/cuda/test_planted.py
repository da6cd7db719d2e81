"""Bugs planted into the real kernels are found: by the emulation's checks, or by comparison with the definition."""

from pathlib import Path

import pytest

from minicnn.cuda import source
from tests.cuda import runs
from tests.cuda.planted import PATCHES, VALUE, Patch, found_by, plant

SAMPLE = list({patch.kind: patch for patch in PATCHES}.values())  # the last of each kind
REST = [patch for patch in PATCHES if patch not in SAMPLE]


def name(patch: Patch) -> str:
    return f"{patch.kind}, {patch.run}"


def test_the_table_is_large_enough() -> None:
    assert len(PATCHES) >= 60
    for kind in {patch.kind for patch in PATCHES}:
        assert len({patch.run for patch in PATCHES if patch.kind == kind}) >= 3, kind


@pytest.mark.parametrize("patch", PATCHES, ids=name)
def test_the_kernels_have_the_texts(patch: Patch) -> None:
    assert patch.old in (source.shipped() / patch.file).read_text(encoding="utf-8")


def check(patch: Patch, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(patch, folder)
    monkeypatch.setenv("MINICNN_KERNELS", str(folder))
    by, words = found_by(patch)
    assert by == "comparison" if patch.kind == VALUE else by != "nothing"
    if by == "check":
        assert ".cu" in words or "shared memory in a block" in words


@pytest.mark.parametrize("patch", SAMPLE, ids=name)
def test_a_bug_of_each_kind_is_found(patch: Patch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(patch, tmp_path / "kernels", monkeypatch)


@pytest.mark.full
@pytest.mark.parametrize("patch", REST, ids=name)
def test_every_planted_bug_is_found(patch: Patch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(patch, tmp_path / "kernels", monkeypatch)


@pytest.mark.parametrize("order", [0, 1, 7])
@pytest.mark.parametrize("run", runs.RUNS)
def test_the_kernels_themselves_are_clean(run: str, order: int) -> None:
    assert runs.wrong(run, order) == ""


@pytest.mark.parametrize("run", runs.HUGE)
def test_the_kernels_are_clean_on_huge_grids(run: str) -> None:
    assert runs.wrong(run) == ""

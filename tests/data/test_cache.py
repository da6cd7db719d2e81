import sys
from pathlib import Path

import pytest

from minicnn._files import write_atomically
from minicnn.data.cache import cache_folder, install_folder
from minicnn.errors import DataError

FILES = {"s1/1.pgm": b"one", "s1/2.pgm": b"two", "s2/1.pgm": b"three"}


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "home/.cache/minicnn"),
        ("linux", {"XDG_CACHE_HOME": "{}/xdg"}, "xdg/minicnn"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "home/.cache/minicnn"),
        ("darwin", {"XDG_CACHE_HOME": "{}/xdg"}, "home/Library/Caches/minicnn"),
        ("win32", {"LOCALAPPDATA": "{}/local"}, "local/minicnn"),
        ("win32", {}, "home/AppData/Local/minicnn"),
        ("linux", {"MINICNN_CACHE": "{}/mine", "XDG_CACHE_HOME": "{}/xdg"}, "mine"),
        ("win32", {"MINICNN_CACHE": "~/mine"}, "home/mine"),
        ("linux", {"MINICNN_CACHE": ""}, "home/.cache/minicnn"),
    ],
)
def test_the_cache_is_where_the_platform_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], expected: str
) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "MINICNN_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    monkeypatch.setenv("USERPROFILE" if sys.platform == "win32" else "HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == tmp_path / expected


def test_no_home_folder_is_a_data_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "MINICNN_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", home)
    with pytest.raises(DataError, match="cache folder: the user has no home folder; set MINICNN_CACHE to a folder"):
        cache_folder()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "a", b"old")
    write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"

    def fail(*arguments: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(tmp_path / "a", b"newer")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"new"


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_new_folder_appears_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename, seen = Path.rename, []

    def watch(self: Path, target: Path) -> Path:
        seen.append((target.exists(), content(self)))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", watch)
    install_folder(tmp_path / "new" / "orl", FILES)
    assert seen == [(False, FILES)]
    assert content(tmp_path) == {f"new/orl/{name}": data for name, data in FILES.items()}


def test_a_damaged_folder_is_mended(tmp_path: Path) -> None:
    (tmp_path / "orl" / "s1").mkdir(parents=True)
    (tmp_path / "orl" / "s1" / "1.pgm").write_bytes(b"one")
    (tmp_path / "orl" / "s1" / "2.pgm").write_bytes(b"tw")
    untouched = (tmp_path / "orl" / "s1" / "1.pgm").stat()
    install_folder(tmp_path / "orl", FILES)
    assert content(tmp_path / "orl") == FILES
    assert (tmp_path / "orl" / "s1" / "1.pgm").stat().st_ino == untouched.st_ino


@pytest.mark.parametrize("theirs", [FILES, {"s1/1.pgm": b"o"}])
def test_another_process_may_be_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: dict[str, bytes]
) -> None:
    def overtaken(self: Path, target: Path) -> Path:
        monkeypatch.undo()
        install_folder(target, theirs)
        return self.rename(target)

    monkeypatch.setattr(Path, "rename", overtaken)
    install_folder(tmp_path / "orl", FILES)
    assert content(tmp_path) == {f"orl/{name}": data for name, data in FILES.items()}


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path, target: Path) -> Path:
        raise PermissionError("not allowed")

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(PermissionError, match="not allowed"):
        install_folder(tmp_path / "orl", FILES)
    assert list(tmp_path.iterdir()) == []

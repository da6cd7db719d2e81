"""The user's cache folder, and how files get into it so that no one ever sees half of one."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .._files import write_atomically
from ..errors import DataError


def cache_folder() -> Path:
    """Return the folder where minicnn keeps what it can fetch again; it need not exist yet.

    `MINICNN_CACHE` if set, else the platform's place: `$XDG_CACHE_HOME/minicnn` or `~/.cache/minicnn`,
    on macOS `~/Library/Caches/minicnn`, on Windows `%LOCALAPPDATA%\\minicnn`.
    """
    chosen = os.environ.get("MINICNN_CACHE")
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        return _platform_folder() / "minicnn"
    except RuntimeError:
        raise DataError(
            "cache folder: the user has no home folder; set MINICNN_CACHE to a folder that you can write to"
        ) from None


def _platform_folder() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    variable, fallback = ("LOCALAPPDATA", "AppData/Local") if sys.platform == "win32" else ("XDG_CACHE_HOME", ".cache")
    folder = os.environ.get(variable, "")
    # The XDG specification has a relative path ignored.
    return Path(folder) if os.path.isabs(folder) else Path.home() / fallback


def install_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make `folder` hold these files (names relative, with `/`), whatever is there and whoever does the same.

    A new folder is filled under another name and appears complete, by one renaming. Where there is one
    already, left damaged or just made by another process, each file that differs is replaced atomically:
    two processes at it write the same bytes, so neither harms the other. Raises `OSError`.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not folder.exists():
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}.", suffix=".part"))
        try:
            for name, data in files.items():
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                (temporary / name).write_bytes(data)
            temporary.rename(folder)
            return
        except OSError:
            if not folder.is_dir():
                raise
            # Another process was first: what it made is completed below, should that be needed.
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    for name, data in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, data)

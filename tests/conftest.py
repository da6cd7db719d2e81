from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn.data import fetch_orl, write_pgm
from minicnn.errors import DataError

DEVICES = ("reference", "cpu")

torch.set_num_threads(1)  # PyTorch's threads and ours would take the cores from each other


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the whole grids, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--full"):
        skip = pytest.mark.skip(reason="whole grid: run by `make test-full`")
        for item in items:
            if item.get_closest_marker("full"):  # not `in item.keywords`: a parameter may be called so, too
                item.add_marker(skip)


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each device in turn; new tensors are made there."""
    with mc.use_device(request.param):
        yield request.param


@pytest.fixture(autouse=True)
def _same_seed() -> None:
    mc.manual_seed(0)


@pytest.fixture(scope="session")
def orl_root() -> Path:
    """The folder of the real ORL faces; fetched into the user's cache the first time."""
    try:
        return fetch_orl()
    except DataError as error:
        pytest.skip(f"no ORL faces: {error}")


@pytest.fixture(scope="session")
def small_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder laid out as the ORL faces, s1/1.pgm … s5/10.pgm, pictures of 12 × 10: everybody has other stripes."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(7)
    rows = np.linspace(0, 2 * np.pi, 12)[:, None]
    for person in range(1, 6):
        (folder / f"s{person}").mkdir()
        for number in range(1, 11):
            picture = 128 + 60 * np.cos((person - 1) / 2 * rows) + rng.normal(0, 8, (12, 10))
            write_pgm(folder / f"s{person}" / f"{number}.pgm", picture.clip(0, 255).astype(np.uint8))
    return folder

from collections.abc import Iterator

import pytest

import minicnn as mc

DEVICES = ("reference", "cpu")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the whole grids, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--full"):
        skip = pytest.mark.skip(reason="whole grid: run by `make test-full`")
        for item in items:
            if "full" in item.keywords:
                item.add_marker(skip)


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each device in turn; new tensors are made there."""
    with mc.use_device(request.param):
        yield request.param


@pytest.fixture(autouse=True)
def _same_seed() -> None:
    mc.manual_seed(0)

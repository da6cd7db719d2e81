from pathlib import Path

import pytest

from minicnn.data import fetch_orl
from minicnn.errors import DataError


@pytest.fixture(scope="session")
def orl_root() -> Path:
    """The folder of the real ORL faces; fetched into the user's cache the first time."""
    try:
        return fetch_orl()
    except DataError as error:
        pytest.skip(f"no ORL faces: {error}")

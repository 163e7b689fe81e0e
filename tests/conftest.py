"""Fixtures every test may use."""

import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # how fast a case runs says how busy the machine is
settings.load_profile("untimed")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real Spider and MMLU sets, which lies beside the repository where it exists at all."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data sets are not beside this repository")
    return SHARED_DATA

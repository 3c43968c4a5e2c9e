"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[1] / "data" / "samples"


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder with data from outside the project; tests that need it say so where it is missing."""
    folder = os.environ.get("SPAREPLAN_TEST_DATA")
    if not folder:
        pytest.skip("needs outside data: set SPAREPLAN_TEST_DATA to its folder")
    path = Path(folder)
    assert path.is_dir(), f"SPAREPLAN_TEST_DATA is {folder}, which is no folder"
    return path


@pytest.fixture(scope="session")
def samples() -> Path:
    """Folder of the sample datasets that ship with the project."""
    return SAMPLES


pytest_plugins = ["tests.postgres"]

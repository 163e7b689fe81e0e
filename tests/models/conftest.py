"""Tiny models for the tests of the engine."""

from pathlib import Path
from typing import Any

import pytest
from tiny import save_random_adapter, save_tiny_mistral


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_mistral(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def adapter_folder(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    return save_random_adapter(tmp_path_factory.mktemp("models") / "adapter", tiny_folder)


@pytest.fixture
def tiny(tiny_folder: Path) -> Any:
    """A freshly loaded tiny model: tests may put adapters on it."""
    from contrapeso.models.loading import load_model

    return load_model(str(tiny_folder), device="cpu")

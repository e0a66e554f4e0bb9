"""Every test of an adapter runs on all five backends, on servers that are started once."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.backends import DISTRIBUTED, Backend, started


@pytest.fixture(autouse=True)
def _nothing_left_open() -> Iterator[None]:
    """Blame what a test forgot to close on that test, and not on a later one."""
    yield
    gc.collect()


@pytest.fixture(scope="session", params=DISTRIBUTED)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """A backend, with its server."""
    with started(request.param) as backend:
        yield backend


@pytest.fixture
def url(backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty store."""
    for name, value in backend.environment.items():
        monkeypatch.setenv(name, value)
    return backend.url(tmp_path)

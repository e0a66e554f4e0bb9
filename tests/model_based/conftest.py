"""An empty store on each backend in turn, on servers that are started once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from buddy.memory.registry import open_async_memory_db, open_memory_db
from tests.model_based.database_apis import DatabaseApis
from tests.servers.backends import NAMES, Backend, started


@pytest.fixture(scope="session", params=NAMES)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """A backend, with its server."""
    with started(request.param) as backend:
        yield backend


@pytest.fixture
def database(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DatabaseApis]:
    """An empty store."""
    for name, value in backend.environment.items():
        monkeypatch.setenv(name, value)
    url = backend.url(tmp_path)
    openers: dict[str, Any] = {
        "v2": lambda: open_memory_db(url),
        "async": lambda: open_async_memory_db(url),
    }
    if backend.name in ("memory", "sqlite", "postgres", "mongo"):
        openers["v1"] = lambda: open_memory_db(url, version=1)
    # In a cluster the order over users is that of the clocks of its servers.
    apis = DatabaseApis(openers, across_users=backend.name != "redis cluster")
    yield apis
    apis.close()

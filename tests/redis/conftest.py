"""The servers of a test session, started when the first test needs them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.redis.proxy import Proxy
from tests.servers import redis as servers


@pytest.fixture(scope="session")
def valkey() -> Iterator[servers.RedisServer]:
    server = servers.RedisServer(servers.valkey(), *servers.DURABLE)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey_url(request: pytest.FixtureRequest) -> str:
    """The server of BUDDY_TEST_REDIS_URL, or else Valkey 9."""
    given = os.environ.get("BUDDY_TEST_REDIS_URL")
    return given or str(request.getfixturevalue("valkey").url)


@pytest.fixture(scope="session")
def redis_7() -> Iterator[servers.RedisServer]:
    server = servers.RedisServer(servers.redis_7(), *servers.DURABLE)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def cluster() -> Iterator[servers.RedisCluster]:
    cluster = servers.RedisCluster(servers.valkey())
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def proxy_url(cluster: servers.RedisCluster) -> Iterator[str]:
    """A proxy that hides the cluster."""
    proxy = Proxy([node.port for node in cluster.nodes])
    yield proxy.url
    proxy.stop()


@pytest.fixture
def prefix() -> str:
    """A store of this test's own."""
    return f"test-{uuid4().hex}"

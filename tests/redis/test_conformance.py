"""Redis keeps every rule: Valkey 9 and Redis 7.4, a cluster, a proxy; one shard and several."""

from __future__ import annotations

from typing import Any

import pytest

from buddy.memory.storage.record import Kind
from buddy.memory.testing import BackendUnderTest
from buddy.memory.testing.pytest_suite import Conformance
from buddy.memory.v2.db.redis import AsyncRedisMemoryDb, RedisMemoryDb
from tests.client_checks import ClientConformance
from tests.redis.stored import rows_of
from tests.servers.redis import RedisCluster, RedisServer

SECRET = "hunter2-is-secret"  # noqa: S105  (made up)


def make_subject(cls: Any, url: str, prefix: str, **more: Any) -> BackendUnderTest:
    def open_store(name: str = prefix, **options: Any) -> Any:
        return cls.from_url(url, prefix=name, **{**more, **options})

    def damage(id: str) -> None:
        with RedisMemoryDb.from_url(url, prefix=prefix) as db:
            client = db._rules.store._transport.line().client
            rows, field = rows_of(client, prefix, Kind.MEMORY, "ann"), f"ann\0{id}"
            head, _, body = client.hget(rows, field).partition(b"\n")
            client.hset(rows, field, head + b"\n" + body[:-3])

    return BackendUnderTest(
        open=open_store,
        neighbour=lambda: open_store(f"{prefix}:2"),
        named=lambda name: open_store(f"{prefix}{name}"),
        expiring=lambda: open_store(expire=3600),
        unreachable=lambda: cls.from_url(f"redis://:{SECRET}@127.0.0.1:1"),
        secret=SECRET,
        corrupt=damage,
        order_without_clocks=True,
        order_across_users=True,
        forks=True,
    )


class TestValkey(Conformance):
    complete = True

    @pytest.fixture(params=[RedisMemoryDb, AsyncRedisMemoryDb], ids=["sync", "async"])
    def subject(
        self, request: pytest.FixtureRequest, valkey_url: str, prefix: str
    ) -> BackendUnderTest:
        return make_subject(request.param, valkey_url, prefix)


class TestShards(Conformance):
    """A single server, with rows spread over several shards; the cluster has both clients."""

    complete = True

    @pytest.fixture
    def subject(self, valkey_url: str, prefix: str) -> BackendUnderTest:
        return make_subject(RedisMemoryDb, valkey_url, prefix, shards=7)


class TestProxy(ClientConformance):
    complete = True

    @pytest.fixture
    def subject(self, proxy_url: str, prefix: str) -> BackendUnderTest:
        return make_subject(RedisMemoryDb, proxy_url, prefix, shards=16)


class TestRedis7(Conformance):
    complete = True
    test_rule_on_many_rows = None

    @pytest.fixture
    def subject(self, redis_7: RedisServer, prefix: str) -> BackendUnderTest:
        return make_subject(RedisMemoryDb, redis_7.url, prefix)


class TestCluster(Conformance):
    complete = True

    @pytest.fixture(params=[RedisMemoryDb, AsyncRedisMemoryDb], ids=["sync", "async"])
    def subject(
        self, request: pytest.FixtureRequest, cluster: RedisCluster, prefix: str
    ) -> BackendUnderTest:
        return make_subject(request.param, cluster.url, prefix)

"""Redis keeps every rule: Valkey 9, Redis 7.4, a cluster and a proxy; in one step and in two."""

from __future__ import annotations

from time import monotonic, sleep
from typing import Any

import pytest

from buddy.memory.storage.record import Kind
from buddy.memory.testing import Subject
from buddy.memory.testing.pytest_face import Conformance
from buddy.memory.v2.db.redis import AsyncRedisMemoryDb, RedisMemoryDb
from buddy_memory_redis.keys import Keys
from tests.redis.wires import assume_one_server
from tests.servers.redis import RedisCluster, RedisServer

SECRET = "hunter2-is-secret"  # noqa: S105  (made up)


def make_subject(cls: Any, url: str, prefix: str, *, one_step: bool = False) -> Subject:
    def open_store(name: str = prefix, **options: Any) -> Any:
        db = cls.from_url(url, prefix=name, **options)
        if one_step:
            assume_one_server(db)
        return db

    def damage(id: str) -> None:
        with RedisMemoryDb.from_url(url, prefix=prefix) as db:
            client = db._policy.store._link.line().client
            rows = Keys(prefix).shelf(Kind.MEMORY, "ann")[0]
            head, _, body = client.hget(rows, id).partition(b"\n")
            client.hset(rows, id, head + b"\n" + body[:-3])

    return Subject(
        open=open_store,
        neighbour=lambda: open_store(f"{prefix}:2"),
        named=lambda name: open_store(f"{prefix}{name}"),
        unreachable=lambda: cls.from_url(f"redis://:{SECRET}@127.0.0.1:1"),
        secret=SECRET,
        corrupt=damage,
        expiring=lambda seconds: open_store(expire=seconds),
        wait_expired=_wait_a_second,
        forks=True,
    )


def _wait_a_second() -> None:
    """Rows written before with an expiry of one second are gone a second later."""
    end = monotonic() + 1.05
    while (left := end - monotonic()) > 0:
        sleep(left)


class TestValkey(Conformance):
    complete = True

    @pytest.fixture(params=[RedisMemoryDb, AsyncRedisMemoryDb], ids=["sync", "async"])
    def subject(self, request: pytest.FixtureRequest, valkey_url: str, prefix: str) -> Subject:
        return make_subject(request.param, valkey_url, prefix)


class TestOneStep(Conformance):
    """Rows are written in one step from the first: elsewhere only after one in two steps."""

    complete = True

    @pytest.fixture(params=[RedisMemoryDb, AsyncRedisMemoryDb], ids=["sync", "async"])
    def subject(self, request: pytest.FixtureRequest, valkey_url: str, prefix: str) -> Subject:
        return make_subject(request.param, valkey_url, prefix, one_step=True)


class TestProxy(Conformance):
    complete = True

    @pytest.fixture
    def subject(self, proxy_url: str, prefix: str) -> Subject:
        return make_subject(RedisMemoryDb, proxy_url, prefix)


class TestRedis7(Conformance):
    complete = True

    @pytest.fixture
    def subject(self, redis_7: RedisServer, prefix: str) -> Subject:
        return make_subject(RedisMemoryDb, redis_7.url, prefix)


class TestCluster(Conformance):
    complete = True

    @pytest.fixture(params=[RedisMemoryDb, AsyncRedisMemoryDb], ids=["sync", "async"])
    def subject(
        self, request: pytest.FixtureRequest, cluster: RedisCluster, prefix: str
    ) -> Subject:
        return make_subject(request.param, cluster.url, prefix)

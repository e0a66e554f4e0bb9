"""Memories of older software are moved into the store; nothing else is touched."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from buddy.memory.storage.record import Kind
from buddy.memory.storage.sync_runner import iterate, run
from buddy.memory.testing.assertions import at_once
from buddy.memory.v2.db.redis import RedisMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from tests.servers.redis import RedisCluster, RedisServer

FIXTURE = Path(__file__).parent.parent / "fixtures" / "legacy" / "redis_BUDDY_memory.json"


def load(client: Any, prefix: str) -> list[dict[str, Any]]:
    """Write the rows of older software under another prefix, and return them."""
    rows = [json.loads(entry["value"]) for entry in json.loads(FIXTURE.read_text())]
    for row in rows:
        client.set(f"{prefix}:{row['id']}", json.dumps(row))
    return rows


def expected(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {row["id"]: (row["user_id"], row["memory"], row["created_at"]) for row in rows}


def found(db: RedisMemoryDb) -> dict[str, Any]:
    return {
        str(row.id): (row.user_id, row.memory, row.created_at and row.created_at.timestamp())
        for row in db.read_memories()
    }


def test_every_row_is_moved(valkey: RedisServer, prefix: str) -> None:
    """Ids, owners, payloads and times are kept, the order is that of the times, and it repeats."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        rows = load(client, prefix)
        db.upgrade()
        assert len(rows) == 200
        assert found(db) == expected(rows)
        times = [row.created_at for row in db.iter_memories(sort="asc")]
        assert times == sorted(times, key=lambda time: time.timestamp() if time else 0)
        assert {row.version for row in db.read_memories()} == {1}
        assert list(client.scan_iter(f"{prefix}:*", count=10_000)) == []
        db.delete_memory(rows[0]["id"])
        db.upgrade()
        assert db.count_memories() == 199
        db.drop_table()


def test_several_at_once(valkey_url: str, prefix: str, valkey: RedisServer) -> None:
    """Upgrades at once move every row once."""
    with valkey.client() as client:
        rows = load(client, prefix)
    dbs = [RedisMemoryDb(prefix, db_url=valkey.url) for _ in range(3)]
    at_once(3, lambda n: dbs[n].upgrade())
    assert found(dbs[0]) == expected(rows)
    dbs[0].drop_table()
    for db in dbs:
        db.close()


def test_on_a_cluster(cluster: RedisCluster, prefix: str) -> None:
    """Old rows are found on all primaries."""
    with cluster.client() as client, RedisMemoryDb(prefix, client=client) as db:
        rows = load(client, prefix)
        db.upgrade()
        assert found(db) == expected(rows)
        db.drop_table()


def test_what_is_not_ours_stays(
    valkey: RedisServer, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Other keys under the prefix, torn rows and rows of another prefix are left as they are."""
    row = {"memory": {"m": 1}, "user_id": "ann", "created_at": 1795378950}
    foreign = {
        f"{prefix}:text": "no JSON",
        f"{prefix}:torn": '{"id": "torn", "memory": {"m"',
        f"{prefix}:list": "[1, 2]",
        f"{prefix}:b:of another": json.dumps({"id": "of another", **row}),
        f"{prefix}:nothing": json.dumps({"id": "nothing", "memory": None}),
        f"{prefix}:user": json.dumps({**row, "id": "user", "user_id": 7}),
        f"{prefix}x:other": json.dumps({"id": "other", **row}),
    }
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        client.mset(foreign)
        client.hset(f"{prefix}:hash", "id", "x")
        with caplog.at_level(logging.WARNING):
            db.upgrade()
        assert db.table_exists() is False
        assert len(caplog.records) == len(foreign) - 1
        assert client.mget(foreign) == [value.encode() for value in foreign.values()]
        client.delete(f"{prefix}:hash", *foreign)


def test_a_prefix_with_characters_of_patterns(valkey: RedisServer, prefix: str) -> None:
    """A prefix is itself, and no pattern."""
    name = f"{prefix}[a-z]*\\^?"
    row = {"id": "1", "memory": {"m": 1}, "created_at": 1}
    with valkey.client() as client, RedisMemoryDb(name, client=client) as db:
        client.mset({f"{name}:1": json.dumps(row), f"{prefix}b:1": json.dumps(row)})
        db.upgrade()
        assert db.count_memories() == 1
        assert client.exists(f"{prefix}b:1") == 1
        client.delete(f"{prefix}b:1")
        db.drop_table()


def test_what_the_store_has_already(valkey: RedisServer, prefix: str) -> None:
    """A stored row wins over an older one; what older software wrote later is an update; another
    user's row with the same id is another row; a remaining life is kept."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        for id in ("newer", "older", "theirs"):
            user = "bob" if id == "theirs" else "ann"
            db.upsert_memory(MemoryRow({"new": 1}, id, user))
        for id, time in (("newer", 1), ("older", 4e9), ("theirs", 1), ("mortal", 1)):
            row = {"id": id, "memory": {"old": 1}, "user_id": "ann", "created_at": time}
            client.set(f"{prefix}:{id}", json.dumps(row))
        client.pexpire(f"{prefix}:mortal", 50_000)
        db.upgrade()
        assert {(row.user_id, row.id): row.memory for row in db.read_memories()} == {
            ("ann", "newer"): {"new": 1},
            ("ann", "older"): {"old": 1},
            ("bob", "theirs"): {"new": 1},
            ("ann", "theirs"): {"old": 1},
            ("ann", "mortal"): {"old": 1},
        }
        assert client.keys(f"{prefix}:*") == []
        left = client.zscore(f"buddy-memory/{{{prefix}/0}}/memory/deadlines", "ann\0mortal")
        assert 0 < left - client.time()[0] * 1000 <= 51_000
        db.drop_table()


def test_legacy_records(valkey: RedisServer, prefix: str) -> None:
    """Old rows are told as they are, and those of one user are deleted, with nothing else."""
    with valkey.client() as client, RedisMemoryDb(prefix, client=client) as db:
        rows = load(client, prefix)
        store: Any = db._rules.store
        records = [record for page in iterate(store.legacy_records()) for record in page]
        assert {record.key for record in records} == {(row["user_id"], row["id"]) for row in rows}
        user = rows[0]["user_id"]
        mine = [row for row in rows if row["user_id"] == user]
        assert run(store.delete_legacy(user)) == len(mine) > 0
        assert len(client.keys(f"{prefix}:*")) == len(rows) - len(mine)
        assert run(store.get(Kind.MEMORY, user, rows[0]["id"])) is None
        client.delete(*client.keys(f"{prefix}:*"))

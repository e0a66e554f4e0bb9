"""Rows of older software that are out of the ordinary.

Each backend holds four rows that can be read, among them one with times as whole seconds and one
without any, and several that cannot, each for a reason of its own.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from bson import Binary
from google.cloud import firestore as google
from pymongo import MongoClient
from redis import Redis

from buddy.memory import open_memory_db
from buddy.memory.cli import exit_codes
from tests.cli.conftest import Run

SECONDS = 1_700_000_000
TIME = datetime.fromtimestamp(SECONDS, timezone.utc)
PAYLOAD = {"memory": "Tea: ü, 'x', None", "n": [1, {"a": None}]}


class Odd(NamedTuple):
    """A store, the ids of the rows that cannot be read, and what the server has of these."""

    url: str
    unreadable: set[str]
    look: Callable[[], dict[str, Any]]


def sqlite_odd(file: Path) -> Odd:
    """Text and numbers of all kinds in columns that take anything."""
    marker = file.with_name("executed")
    text = json.dumps(PAYLOAD)
    rows: list[tuple[Any, ...]] = [
        ("json", "ann", text, "2023-11-14 22:13:20", "2023-11-14 22:13:21.500000"),
        ("repr", "ann", repr(PAYLOAD), "2023-11-14T22:13:20+00:00", None),
        ("epoch", None, text, SECONDS, SECONDS + 0.25),
        ("timeless", "", text, None, None),
        ("evil", "ann", f"open({str(marker)!r}, 'w')", None, None),
        ("torn", "ann", '{"memory": ', None, None),
        ("list", "ann", "[1]", None, None),
        ("null", "ann", None, None, None),
        ("nan", "ann", '{"memory": NaN}', None, None),
        ("bytes", "ann", b"\xff\xfe", None, None),
        ("when", "ann", text, "yesterday", None),
    ]
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(
            "CREATE TABLE old_notes (id VARCHAR NOT NULL PRIMARY KEY, user_id VARCHAR,"
            " memory VARCHAR, created_at DATETIME, updated_at DATETIME)"
        )
        connection.executemany("INSERT INTO old_notes VALUES (?, ?, ?, ?, ?)", rows)
        connection.execute(
            "INSERT INTO old_notes VALUES ('latin', 'ann', CAST(x'7b22e4223a317d' AS TEXT), 1, 1)"
        )
    connection.close()
    unreadable = {"evil", "torn", "list", "null", "nan", "bytes", "when", "latin"}

    def look() -> dict[str, Any]:
        connection = sqlite3.connect(file)
        connection.text_factory = bytes
        found = connection.execute("SELECT id, coalesce(memory, 'null') FROM old_notes").fetchall()
        connection.close()
        assert not marker.exists()
        return {id.decode(): memory for id, memory in found if id.decode() in unreadable}

    return Odd(f"sqlite:///{file}?table_name=old_notes", unreadable, look)


def postgres_odd(url: str, server: str) -> Odd:
    """jsonb that is no object."""
    schema = url.partition("schema=")[2]
    text, unreadable = json.dumps(PAYLOAD), {"list", "null", "sql null", "string"}
    rows = [
        ("json", "ann", text, "2023-11-14 22:13:20+00", "2023-11-14 22:13:21.5+00"),
        ("repr", "ann", text, "2023-11-14 22:13:20+00", None),
        ("epoch", None, text, "2023-11-14 22:13:20+00", "2023-11-14 22:13:20.25+00"),
        ("timeless", "", text, None, None),
        ("list", "ann", "[1]", None, None),
        ("null", "ann", "null", None, None),
        ("sql null", "ann", None, None, None),
        ("string", "ann", '"{}"', None, None),
    ]

    def look() -> dict[str, Any]:
        with psycopg.connect(server) as connection:
            query = f'SELECT id, memory::text FROM "{schema}"."Old Notes"'  # noqa: S608
            found = connection.execute(query.encode()).fetchall()
        return {id: memory for id, memory in found if id in unreadable}

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE SCHEMA "{schema}"'.encode())
        connection.execute(
            f'CREATE TABLE "{schema}"."Old Notes" (id varchar PRIMARY KEY, user_id varchar,'
            " memory jsonb, created_at timestamptz, updated_at timestamptz)".encode()
        )
        insert = f'INSERT INTO "{schema}"."Old Notes" VALUES (%s, %s, %s, %s, %s)'.encode()  # noqa: S608
        connection.cursor().executemany(insert, rows)
    return Odd(url.replace("table_name=memory", "table_name=Old%20Notes"), unreadable, look)


def mongo_odd(url: str) -> Odd:
    """Fields of any type."""
    rows: list[tuple[Any, ...]] = [
        ("json", "ann", json.dumps(PAYLOAD), SECONDS, SECONDS + 1.5),
        ("repr", "ann", repr(PAYLOAD), SECONDS, None),
        ("epoch", None, PAYLOAD, SECONDS, SECONDS + 0.25),
        ("timeless", "", PAYLOAD, None, None),
        ("text", "ann", "no object", SECONDS, SECONDS),
        ("list", "ann", [1], SECONDS, SECONDS),
        ("bytes", "ann", {"memory": Binary(b"\xff", 0)}, SECONDS, SECONDS),
        ("owner", 7, PAYLOAD, SECONDS, SECONDS),
        ("when", "ann", PAYLOAD, "yesterday", SECONDS),
    ]
    names = ("id", "user_id", "memory", "created_at", "updated_at")
    documents: list[dict[str, Any]] = [
        {"_version": 1, **dict(zip(names, row, strict=True))} for row in rows
    ]
    del documents[3]["created_at"]
    unreadable = {"text", "list", "bytes", "owner", "when"}
    database = url.rpartition("/")[2].partition("?")[0]

    def look() -> dict[str, Any]:
        with MongoClient(url) as client:  # type: MongoClient[dict[str, Any]]
            found = client[database]["old notes"].find({"id": {"$in": [*unreadable]}})
            return {one["id"]: [one[name] for name in names] for one in found}

    with MongoClient(url) as client:  # type: MongoClient[dict[str, Any]]
        client[database]["old notes"].insert_many(documents)
    return Odd(f"{url}&collection_name=old%20notes", unreadable, look)


def redis_odd(url: str, server: str) -> Odd:
    """Strings that may hold anything."""
    prefix = url.partition("prefix=")[2]
    rows: list[tuple[Any, ...]] = [
        ("json", "ann", json.dumps(PAYLOAD), SECONDS, SECONDS + 1.5),
        ("repr", "ann", repr(PAYLOAD), SECONDS, None),
        ("epoch", None, PAYLOAD, SECONDS, SECONDS + 0.25),
        ("timeless", "", PAYLOAD, None, None),
        ("list", "ann", [1], SECONDS, SECONDS),
        ("owner", 7, PAYLOAD, SECONDS, SECONDS),
        ("when", "ann", PAYLOAD, "yesterday", SECONDS),
    ]
    names = ("id", "user_id", "memory", "created_at", "updated_at")
    texts = {f"{prefix}:{row[0]}": json.dumps(dict(zip(names, row, strict=True))) for row in rows}
    texts |= {f"{prefix}:torn": '{"id": "torn", "memory": {"m"', f"{prefix}:lock": "1"}
    unreadable = {f"{prefix}:{name}" for name in ("list", "owner", "when", "torn", "lock")}

    def look() -> dict[str, Any]:
        with Redis.from_url(server) as client:
            return {name: client.get(name) for name in unreadable}

    with Redis.from_url(server) as client:
        client.mset(texts)
    return Odd(url, unreadable, look)


def firestore_odd(url: str) -> Odd:
    """Fields of any type."""
    collection = url.partition("collection_name=")[2]
    rows: list[tuple[Any, ...]] = [
        ("json", "ann", json.dumps(PAYLOAD), SECONDS, SECONDS + 1.5),
        ("repr", "ann", PAYLOAD, TIME, None),
        ("epoch", None, PAYLOAD, SECONDS, SECONDS + 0.25),
        ("timeless", "", PAYLOAD, None, None),
        ("list", "ann", [1], SECONDS, SECONDS),
        ("bytes", "ann", {"memory": b"\xff"}, SECONDS, SECONDS),
        ("owner", 7, PAYLOAD, SECONDS, SECONDS),
        ("when", "ann", PAYLOAD, "yesterday", SECONDS),
    ]
    names = ("id", "user_id", "memory", "created_at", "updated_at")
    client, unreadable = google.Client(project="test-project"), {"list", "bytes", "owner", "when"}
    for row in rows:
        path = f"{collection}/{row[1] or 'nobody'}/memories/{row[0]}"
        client.document(path).set(dict(zip(names, row, strict=True)))

    def look() -> dict[str, Any]:
        places = (client.collection_group("memories"), client.collection(collection))
        found = [one.to_dict() for place in places for one in place.stream()]
        return {
            one["id"]: [one[name] for name in names] for one in found if one.get("id") in unreadable
        }

    return Odd(url, unreadable, look)


@pytest.fixture(params=["sqlite", "postgres", "mongo", "redis", "firestore"])
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> Odd:
    """The odd rows on one backend after the other."""
    name: str = request.param
    if name == "sqlite":
        return sqlite_odd(tmp_path / "old.db")
    url: str = request.getfixturevalue(name)
    if name == "postgres":
        return postgres_odd(url, request.getfixturevalue("postgres_server"))
    if name == "redis":
        return redis_odd(url, request.getfixturevalue("redis_server"))
    return mongo_odd(url) if name == "mongo" else firestore_odd(url)


def check_rows(url: str, started: datetime) -> None:
    """Assert that the rows that can be read are there, as they were meant."""
    with open_memory_db(url) as db:
        rows = {str(row.id): row for row in db.read_memories()}
    assert rows.keys() == {"json", "repr", "epoch", "timeless"}
    assert all(row.memory == PAYLOAD for row in rows.values())
    assert [rows[id].user_id for id in ("json", "epoch", "timeless")] == ["ann", None, ""]
    assert {rows[id].created_at for id in ("json", "repr", "epoch")} == {TIME}
    later = [(rows["json"].last_updated, 1.5), (rows["repr"].last_updated, 0)]
    for time, seconds in [*later, (rows["epoch"].last_updated, 0.25)]:
        assert time == TIME + timedelta(seconds=seconds)
    created = rows["timeless"].created_at
    assert created is not None
    assert created >= started
    assert created == rows["timeless"].last_updated


def test_odd_rows_are_copied_or_named(run: Run, odd: Odd, other_url: str) -> None:
    """Rows of all forms arrive; the others are named with a reason, and stay; exit code 1."""
    started, before = datetime.now(timezone.utc), odd.look()
    assert before.keys() == odd.unreadable
    ran = run("copy", "--from-legacy", odd.url, other_url, "--json")
    assert ran.code == exit_codes.NO
    assert (ran.json["new"], ran.json["complete"], ran.json["verified"]) == (4, False, True)
    assert {row["id"] for row in ran.json["unreadable_rows"]} == odd.unreadable
    assert ran.json["unreadable"] == len(odd.unreadable)
    assert all(row["reason"] for row in ran.json["unreadable_rows"])
    check_rows(other_url, started)
    assert odd.look() == before
    shown = run("copy", "--from-legacy", odd.url, other_url).out
    assert f"left out {len(odd.unreadable)} rows that cannot be read:" in shown
    assert "skipped 4 rows: there already" in shown


def test_odd_rows_are_brought_up_or_stay(run: Run, odd: Odd) -> None:
    """upgrade() brings up what can be read; the others are named before, and stay as they stood."""
    started, before = datetime.now(timezone.utc), odd.look()
    ran = run("upgrade", odd.url, "--yes")
    assert ran.code == exit_codes.NO
    assert "4 memories of older software can be read." in ran.out
    assert f"{len(odd.unreadable)} rows cannot be read, and will stay as they stand:" in ran.out
    for id in odd.unreadable:
        assert f"  {id}: " in ran.out
    check_rows(odd.url, started)
    assert odd.look() == before
    again = run("upgrade", odd.url, "--yes", "--json")
    assert again.code == exit_codes.NO
    assert again.json["readable"] == 4
    assert again.json["unreadable"] + again.json["left"] == len(odd.unreadable)


# --- sources that are not what one thought


def test_what_older_software_writes_after_an_upgrade_is_found(run: Run, mongo: str) -> None:
    """A document that MongoDB's older software adds later is told by check, and brought up."""
    odd = mongo_odd(mongo)
    run("upgrade", odd.url, "--yes")
    database = mongo.rpartition("/")[2].partition("?")[0]
    late = {"id": "late", "user_id": "ann", "memory": {}, "_version": 1, "created_at": SECONDS}
    with MongoClient(mongo) as client:  # type: MongoClient[dict[str, Any]]
        client[database]["old notes"].insert_one(late)
    ran = run("check", odd.url, "--json")
    assert (ran.code, ran.json[-1]["state"]) == (exit_codes.DATA, "failed")
    assert "There are memories of older software" in ran.json[-1]["detail"]
    assert run("upgrade", odd.url, "--yes", "--json").json["readable"] == 5

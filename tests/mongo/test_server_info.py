"""Server info: what a server says about itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from buddy.memory.errors import AccessError, UnavailableError
from buddy.memory.storage.sync_runner import run
from buddy.memory.v2.db.mongodb import AsyncMongoMemoryDb, MongoMemoryDb
from buddy_memory_mongo import server_info
from tests.mongo.test_conformance import NOBODY_LISTENS
from tests.mongo.test_failures import failing
from tests.servers.certificate import write_certificate
from tests.servers.mongo import MongoServer

SECRET = "hunter2-is-secret"  # noqa: S105


def test_a_role_without_rights_is_told(tmp_path: Path) -> None:
    """A role that may only write is told version, kind and place; a wrong password is an error."""
    server = MongoServer(folder=tmp_path)
    with MongoClient(server.url) as client:
        client.admin.command("createUser", "root", pwd=SECRET, roles=["root"])
        client["app"].command("createUser", "writer", pwd=SECRET, roles=["readWrite"])
    server.stop()
    guarded = MongoServer("--auth", folder=tmp_path)
    try:
        host = f"127.0.0.1:{guarded.port}/app"
        with MongoMemoryDb("notes", f"mongodb://writer:{SECRET}@{host}") as db:
            info = db.server_info()
            assert not db.table_exists()
        with MongoMemoryDb("notes", f"mongodb://writer:wrong@{host}") as db:
            with pytest.raises(AccessError):
                db.server_info()
    finally:
        guarded.stop()
    assert int(info.pop("MongoDB").split(".")[0]) >= 4
    assert info == {
        "kind": "replica set secantus, members: 1",
        "database": "app",
        "collection": "notes",
        "write concern": "the server's default",
        "journaled": "unknown",
        "read concern": "the server's default",
        "TLS": "off",
    }


def test_what_the_url_sets_is_told(url: str, database: Database) -> None:
    """Concerns that the URL sets are shown, and decide whether writes are in a journal."""
    settings = "w=majority&journal=true&readConcernLevel=majority"
    with MongoMemoryDb("notes", f"{url}&{settings}") as db:
        info = db.server_info()
    assert info["write concern"] == "j=True w=majority"
    assert info["journaled"] == "yes"
    assert info["database"] == database.name
    assert info["read concern"] == "majority"


def test_the_asynchronous_store_tells_the_same(url: str) -> None:
    """Either driver gives the same info."""

    async def ask() -> dict[str, str]:
        async with AsyncMongoMemoryDb("notes", url) as db:
            return await db._rules.store.server_info()

    with MongoMemoryDb("notes", url) as db:
        assert asyncio.run(ask()) == db.server_info()


def test_tls_is_told(tmp_path: Path) -> None:
    """A client that speaks TLS says so."""
    certificate, key = write_certificate(tmp_path, "127.0.0.1")
    server = MongoServer("--tls-cert-file", str(certificate), "--tls-key-file", str(key))
    try:
        with MongoMemoryDb("notes", f"{server.url}&tls=true&tlsCAFile={certificate}") as db:
            assert db.server_info()["TLS"] == "on"
            assert db.read_memories() == []
    finally:
        server.stop()


def test_an_unreachable_server_tells_nothing() -> None:
    """Without an answer there is no info but an error."""
    with MongoMemoryDb("notes", NOBODY_LISTENS) as db, pytest.raises(UnavailableError):
        db.server_info()


def test_an_interruption_is_an_error() -> None:
    """A server that goes away is unavailable; one that does not know a question tells less."""
    server = MongoServer()
    try:
        with MongoClient(server.url) as client, MongoMemoryDb("notes", server.url) as db:
            ours = db._rules.store.database
            with failing(client, 100, ["ping"], closeConnection=True):
                with pytest.raises(UnavailableError):
                    run(server_info._answer(ours, "ping"))
            assert run(server_info._answer(ours, "ping"))["ok"] == 1
            assert run(server_info._answer(ours, "noSuchCommand")) == {}
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("write", "told"),
    [
        ({}, "the server's default"),
        ({"w": "majority", "wtimeout": 0}, "w=majority"),
        ({"w": 2, "wtimeout": 5}, "w=2 wtimeout=5"),
    ],
)
def test_a_write_concern_is_told_in_its_own_words(write: dict[str, Any], told: str) -> None:
    """A concern is shown as it is set, without a limit of time that is none."""
    assert server_info._concern(write) == told


@pytest.mark.parametrize(
    ("hello", "kind"),
    [
        ({"msg": "isdbgrid"}, "sharded cluster"),
        ({"setName": "rs0", "hosts": ["a:1", "b:1", "c:1"]}, "replica set rs0, members: 3"),
        ({}, "standalone"),
    ],
)
def test_what_stands_behind_the_url_is_told(hello: dict[str, Any], kind: str) -> None:
    """A cluster, a replica set and a standalone server are told apart."""
    assert server_info._kind(hello) == kind


@pytest.mark.parametrize(
    ("write", "members", "journaled"),
    [
        ({"w": 1, "j": True}, {}, "yes"),
        ({"w": "majority", "j": False}, {"writeConcernMajorityJournalDefault": True}, "no"),
        ({"w": "majority", "wtimeout": 0}, {"writeConcernMajorityJournalDefault": True}, "yes"),
        ({"w": "majority"}, {"writeConcernMajorityJournalDefault": False}, "no"),
        ({"w": "majority"}, {}, "unknown"),
        ({"w": 1}, {"writeConcernMajorityJournalDefault": True}, "no"),
        ({}, {"writeConcernMajorityJournalDefault": True}, "unknown"),
    ],
)
def test_a_journal_is_claimed_only_where_it_is_awaited(
    write: dict[str, Any], members: dict[str, Any], journaled: str
) -> None:
    """Writes are called journaled when the concern, or the replica set for a majority, says so."""
    assert server_info._journaled(write, members) == journaled

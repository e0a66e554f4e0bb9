"""The command in two ways: in this process, and as users run it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import psycopg
import pytest
from pymongo import MongoClient

from buddy.memory import open_memory_db
from buddy.memory.cli import main
from buddy.memory.v2.db.base import MemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from tests.firestore_server.process import FirestoreServer
from tests.servers import redis as redis_servers
from tests.servers.mongo import MongoServer
from tests.servers.postgres import PostgresServer


class Ran(NamedTuple):
    """What a run of the command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, parsed."""
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process."""

    def call(*args: str) -> Ran:
        capsys.readouterr()
        code = main(args)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return call


@pytest.fixture
def process(tmp_path: Path) -> Run:
    """Run the real command in a process of its own, in an empty folder; ``stdout`` is a file."""

    def call(*args: str, stdin: bytes = b"", stdout: str = "", **env: str) -> Ran:
        with Path(stdout).open("wb") if stdout else nullcontext(subprocess.PIPE) as out:
            done = subprocess.run(
                [sys.executable, "-m", "buddy.memory.cli", *args],
                input=stdin,
                stdout=out,
                stderr=subprocess.PIPE,
                cwd=tmp_path,
                env={**os.environ, "PYTHONUTF8": "1", **env},
                check=False,
            )
        return Ran(done.returncode, (done.stdout or b"").decode(), done.stderr.decode())

    return call


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database that does not exist yet."""
    return f"sqlite:///{tmp_path / 'memory.db'}"


@pytest.fixture
def other_url(tmp_path: Path) -> str:
    """Another one."""
    return f"sqlite:///{tmp_path / 'other.db'}"


STRANGE = "\x00 \ud83d\ude00 \ud800 \x1b \u2028 \x85 'ü' 👍"
"""Two lone surrogates that are no pair, U+0000, the escape itself, and separators of lines."""


def fill(db: MemoryDb, rows: int = 5) -> None:
    """Store ``rows`` memories of three users and two summaries; the first is at version 3."""
    db.upsert_memories(
        MemoryRow({"memory": f"Number {n}", "topics": ["t"]}, f"m{n}", ("ann", "bob", None)[n % 3])
        for n in range(rows)
    )
    for _ in range(2):
        db.upsert_memory(MemoryRow({"memory": "Changed", STRANGE: [STRANGE, 1, 1.5]}, "m0", "ann"))
    db.upsert_summaries([SummaryRow({"summary": f"S{n}"}, f"s{n}", "ann") for n in range(2)])


@pytest.fixture
def db(url: str) -> Iterator[MemoryDb]:
    """The database at ``url``, filled."""
    with open_memory_db(url) as db:
        fill(db)
        yield db


def everything(url: str) -> list[Any]:
    """Return every row of a store, in order, with versions and times."""
    with open_memory_db(url) as db:
        return [*db.iter_memories(sort="asc"), *db.iter_summaries(sort="asc")]


@pytest.fixture
def tear(db: MemoryDb, url: str) -> None:
    """Damage the stored payload of m2."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    with connection:
        connection.execute("UPDATE memory SET memory = '{\"torn' WHERE id = 'm2'")
    connection.close()


# --- servers, started when a test first asks for them


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    if given := os.environ.get("BUDDY_TEST_POSTGRES_URL"):
        yield given
        return
    server = PostgresServer()
    yield server.url()
    server.stop()


@pytest.fixture(scope="session")
def mongo_server() -> Iterator[str]:
    if given := os.environ.get("BUDDY_TEST_MONGO_URL"):
        yield given
        return
    server = MongoServer()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    if given := os.environ.get("BUDDY_TEST_REDIS_URL"):
        yield given
        return
    server = redis_servers.RedisServer(redis_servers.valkey(), *redis_servers.DURABLE)
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def firestore_server() -> Iterator[str]:
    if given := os.environ.get("FIRESTORE_EMULATOR_HOST"):
        yield given
        return
    with FirestoreServer() as server:
        yield server.address


@pytest.fixture
def postgres(postgres_server: str) -> Iterator[str]:
    """A schema of this test's own."""
    schema = f"cli_{uuid4().hex[:12]}"
    yield f"{postgres_server}?table_name=memory&schema={schema}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')  # type: ignore[arg-type]


@pytest.fixture
def mongo(mongo_server: str) -> Iterator[str]:
    """A database of this test's own."""
    name = f"cli_{uuid4().hex[:12]}"
    address, _, query = mongo_server.partition("?")
    yield f"{address.rstrip('/')}/{name}?{query}"
    with MongoClient(mongo_server) as client:  # type: MongoClient[dict[str, object]]
        client.drop_database(name)


@pytest.fixture
def redis(redis_server: str) -> Iterator[str]:
    """A prefix of this test's own."""
    url = f"{redis_server}?prefix=cli_{uuid4().hex[:12]}"
    yield url
    with open_memory_db(url) as db:
        db.drop_table()


@pytest.fixture
def firestore(firestore_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A collection of this test's own."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_server)
    return f"firestore://test-project/(default)?collection_name=cli{uuid4().hex[:12]}"

"""One server for each test process, and a schema for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count

import psycopg
import pytest
from psycopg import sql

from tests.servers import pgbouncer
from tests.servers.postgres import PostgresServer

_numbers = count()

# PgBouncer comes from Debian's packages; where there is none, ./run test says so.
collect_ignore = [] if pgbouncer.available() else ["test_pgbouncer.py"]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a superuser on a real server."""
    given = os.environ.get("BUDDY_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    server = PostgresServer()
    yield server.url()
    server.stop()


@pytest.fixture
def admin(postgres_url: str) -> Iterator[psycopg.Connection]:
    """A session of a superuser, outside of every store."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def schema(admin: psycopg.Connection) -> Iterator[str]:
    """The name of a schema that does not exist yet; whatever is in it is dropped at the end."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    yield name
    drop = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name))
    while True:
        try:
            admin.execute(drop)
            return
        except psycopg.errors.DeadlockDetected:
            continue  # A session that was given up is about to make a table there.

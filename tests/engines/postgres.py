"""PostgreSQL: a primary whose commits wait for a standby, reached by both addresses."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psycopg

from tests.engines.engine import Engine
from tests.servers.postgres import PASSWORD, START_SECONDS, USER, PostgresServer, free_port

PRIMARY = ("fsync=on", "wal_level=replica", "max_wal_senders=4", "hot_standby=on")


class Standby(PostgresServer):
    """A copy of a running primary, which follows it."""

    def __init__(self, primary: PostgresServer) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="buddy-standby-"))
        self.port = free_port()
        self.user, self.bin = primary.user, primary.bin
        self.settings = ("fsync=on", "hot_standby=on")
        if self.user is not None:
            shutil.chown(self.folder, self.user)
        source = f"{primary.url()}?application_name=standby"
        self._run("pg_basebackup", "-d", source, "-R", "-X", "stream", "-c", "fast")
        self.start()

    def promote(self) -> None:
        """Let it take writes."""
        self._run("pg_ctl", "promote", "-w")


def _ask(server: PostgresServer, statement: str) -> Any:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        found = connection.execute(statement)  # type: ignore[call-overload]
        return found.fetchone()[0] if found.description else None


def _allow_replication(primary: PostgresServer) -> None:
    file = primary.data / "pg_hba.conf"
    file.write_text(f"{file.read_text()}\nhost replication all 127.0.0.1/32 scram-sha-256\n")
    _ask(primary, "SELECT pg_reload_conf()")


def _wait_for_standby(primary: PostgresServer) -> None:
    deadline = monotonic() + START_SECONDS
    wanted = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
    while not _ask(primary, wanted):
        assert monotonic() < deadline, "the standby does not follow"
        sleep(0.05)


def _kill(server: PostgresServer) -> None:
    """Kill the server and its sessions at once, as a power cut does."""
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()


@contextmanager
def primary_and_standby() -> Iterator[Engine]:
    """A primary with a synchronous standby, which is promoted when the primary is killed."""
    primary = PostgresServer(*PRIMARY)
    try:
        _allow_replication(primary)
        standby = Standby(primary)
        try:
            _ask(primary, "ALTER SYSTEM SET synchronous_standby_names = 'standby'")
            _ask(primary, "SELECT pg_reload_conf()")
            _wait_for_standby(primary)

            def hurt() -> None:
                _kill(primary)
                standby.promote()

            hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
            yield Engine(
                "PostgreSQL, primary and synchronous standby",
                f"PostgreSQL {_ask(standby, 'SHOW server_version')}",
                f"postgresql://{USER}:{PASSWORD}@{hosts}/postgres"
                "?target_session_attrs=read-write&table_name=engines",
                hurt,
                "primary killed, standby promoted",
            )
        finally:
            standby.stop()
    finally:
        if primary.process.poll() is None:
            primary.halt()
        shutil.rmtree(primary.folder)

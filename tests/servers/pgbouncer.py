"""A PgBouncer in transaction mode in front of a PostgreSQL server.

The program is Debian's package pgbouncer: installed, or unpacked by ``./run test``, which names
its folder in BUDDY_TEST_PGBOUNCER.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from time import monotonic, sleep

import psycopg
from psycopg.conninfo import conninfo_to_dict

from tests.servers.postgres import START_SECONDS, free_port, unprivileged

SETTINGS = """\
[databases]
* = host={host} port={port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 3
server_check_query = select 1
"""


INSTALLED = shutil.which("pgbouncer", path=f"/usr/sbin:{os.environ.get('PATH', '')}")
UNPACKED = os.environ.get("BUDDY_TEST_PGBOUNCER")


def available() -> bool:
    """Tell whether this machine has the program; it is in no Python registry."""
    return INSTALLED is not None or UNPACKED is not None


class PgBouncer:
    """Few server sessions, so that the transactions of one client change between them.

    ``more`` are settings of PgBouncer; the files that they name must be readable for everybody.
    """

    def __init__(self, server_url: str, **more: object) -> None:
        server = conninfo_to_dict(server_url)
        self.folder = Path(tempfile.mkdtemp(prefix="buddy-pgbouncer-"))
        self.folder.chmod(0o755)
        program, environment = self._program()
        port = free_port()
        (self.folder / "users").write_text(f'"{server["user"]}" "{server["password"]}"\n')
        settings = self.folder / "pgbouncer.ini"
        values = {"host": server["host"], "port": server["port"]}
        text = SETTINGS.format(own_port=port, folder=self.folder, **values)
        settings.write_text(text + "".join(f"{name} = {value}\n" for name, value in more.items()))
        self.url = server_url.replace(f":{server['port']}/", f":{port}/")
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [program, settings],
                user=unprivileged(),
                stdout=log,
                stderr=log,
                cwd="/",
                env=environment,
            )
        deadline = monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text())
            sleep(0.02)

    def _program(self) -> tuple[str, dict[str, str]]:
        """Return the program, and the environment in which it finds its libraries."""
        if UNPACKED is None:
            assert INSTALLED is not None, "neither installed nor unpacked: see available()"
            return INSTALLED, {}
        # A copy, where the unprivileged user can reach it.
        copy = shutil.copytree(UNPACKED, self.folder / "usr", symlinks=True)
        libraries = {str(library.parent) for library in copy.rglob("*.so.*")}
        return str(copy / "sbin" / "pgbouncer"), {"LD_LIBRARY_PATH": ":".join(libraries)}

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=5, prepare_threshold=None).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """End it at once."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(START_SECONDS)
        shutil.rmtree(self.folder)

"""A MariaDB server: Debian's package mariadb-server-core, installed, or unpacked by ``./run test``,
which names its folder in BUDDY_TEST_MARIADB."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from time import monotonic, sleep

import pymysql

from tests.servers.postgres import START_SECONDS, free_port

PASSWORD = "geheim-fuer-alle"  # noqa: S105  (of a server on a loopback port)

INSTALLED = shutil.which("mariadbd", path=f"/usr/sbin:{os.environ.get('PATH', '')}")
UNPACKED = os.environ.get("BUDDY_TEST_MARIADB")

_ACCOUNT = f"""
CREATE DATABASE memories;
FLUSH PRIVILEGES;
CREATE USER app@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';
GRANT ALL ON memories.* TO app@'127.0.0.1';
"""


def available() -> bool:
    """Tell whether this machine has the program; it is in no Python registry."""
    return INSTALLED is not None or UNPACKED is not None


class MariaDbServer:
    """A server with the database ``memories`` and the user ``app``, which may do anything in it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="buddy-mariadb-"))
        self.port = free_port()
        self.home = Path(UNPACKED) if UNPACKED else Path("/usr")
        share = self.home / "share" / "mysql"
        (self.folder / "data").mkdir()
        self._program = [
            str(self.home / "sbin" / "mariadbd"),
            "--no-defaults",
            "--user=root",
            f"--basedir={self.home}",
            f"--lc-messages-dir={share}",
            f"--datadir={self.folder / 'data'}",
            "--innodb-log-file-size=4M",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-flush-method=nosync",
            "--skip-innodb-doublewrite",
            # A server that starts removes the temporary tables that it finds, whosever they are.
            f"--tmpdir={self.folder}",
        ]
        self._environment = dict(os.environ)
        if UNPACKED:
            libraries = {str(library.parent) for library in self.home.parent.rglob("*.so.*")}
            self._environment["LD_LIBRARY_PATH"] = ":".join(libraries)
        system = [
            (share / f"{name}.sql").read_text()
            for name in ("mysql_system_tables", "mysql_system_tables_data")
        ]
        self._bootstrap("\n".join(["CREATE DATABASE mysql;\nUSE mysql;", *system, _ACCOUNT]))
        self.start()

    def _bootstrap(self, statements: str) -> None:
        made = subprocess.run(
            [*self._program, "--bootstrap"],
            input=statements.encode(),
            env=self._environment,
            capture_output=True,
        )
        if made.returncode:
            raise RuntimeError((made.stdout + made.stderr).decode())

    def start(self, *more: str) -> None:
        """Start the server, with more options, and wait until it answers."""
        options = [f"--port={self.port}", "--bind-address=127.0.0.1", "--skip-name-resolve"]
        options += [f"--socket={self.folder / 'socket'}", f"--pid-file={self.folder / 'pid'}"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self._program, *options, *more], env=self._environment, stdout=log, stderr=log
            )
        deadline = monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text())
            sleep(0.02)

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except pymysql.Error:
            return False
        return True

    def connect(self) -> pymysql.Connection:
        """Return a session of ``app``."""
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user="app",
            password=PASSWORD,
            database="memories",
            autocommit=True,
            ssl_disabled=True,  # Or it reads all certificates of the machine for each session.
        )

    def halt(self) -> None:
        """End the server and all sessions; the data stay."""
        self.process.terminate()
        self.process.wait(START_SECONDS)

    def stop(self) -> None:
        """End the server and remove its data."""
        self.halt()
        shutil.rmtree(self.folder)

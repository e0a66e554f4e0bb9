"""A proxy that hides several servers: one port, and each command goes to where its slot is.

The servers are the nodes of a cluster, or know nothing of each other.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from typing import Any, BinaryIO

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from tests.redis.wires import keys_of

ONE_LINE = b"+-:_#,("


def read_value(stream: BinaryIO) -> bytes:
    """Return one value of the protocol as it travels; b"" at the end of the stream."""
    line = stream.readline()
    if not line or line[:1] in ONE_LINE:
        return line
    count = int(line[1:])
    if line[:1] == b"$":
        return line if count < 0 else line + stream.read(count + 2)
    members = 2 * count if line[:1] == b"%" else max(count, 0)
    return line + b"".join(read_value(stream) for _ in range(members))


def words_of(command: bytes) -> list[bytes]:
    """Return the words of a command, which may hold line breaks."""
    words, rest = [], command.partition(b"\r\n")[2]
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        words.append(rest[: int(size[1:])])
        rest = rest[int(size[1:]) + 2 :]
    return words


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        ports: list[int] = self.server.ports  # type: ignore[attr-defined]
        nodes = [socket.create_connection(("127.0.0.1", port)) for port in ports]
        for node in nodes:
            node.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        streams: list[Any] = [node.makefile("rb") for node in nodes]
        while command := read_value(self.rfile):  # type: ignore[arg-type]
            number = self._node(command)
            nodes[number].sendall(command)
            self.wfile.write(read_value(streams[number]))
        for thing in (*streams, *nodes):
            thing.close()

    @staticmethod
    def _node(command: bytes) -> int:
        """Return the number of the node of the first key, as proxies do."""
        words = words_of(command)
        if words[0] in (b"HELLO", b"CLIENT", b"CONFIG", b"SELECT", b"PING"):
            return 0
        return node_of(keys_of(words)[0])


def node_of(key: bytes) -> int:
    """Return which of three servers has a key: they share the slots evenly and in order."""
    slot = key_slot(key)
    return next(n for n in range(3) if slot < REDIS_CLUSTER_HASH_SLOTS * (n + 1) // 3)


class Proxy(socketserver.ThreadingTCPServer):
    """Listens on a free port of the loopback until it is closed."""

    daemon_threads = True

    def __init__(self, ports: list[int]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.ports = ports
        self.url = f"redis://127.0.0.1:{self.server_address[1]}/0?protocol=2"
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; connections end with their clients."""
        self.shutdown()
        self._thread.join()
        self.server_close()

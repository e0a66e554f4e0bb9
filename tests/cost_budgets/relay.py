"""A relay in front of a server that counts what passes: a client's work, seen from its wire."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable
from typing import Any, NamedTuple


class Work(NamedTuple):
    """What operations cost: statements (commands), round trips, and bytes in both directions; of a
    library that has files and no server, the bytes written to them."""

    statements: int
    trips: int = 0
    sent: int = 0
    received: int = 0


class _Connection(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        relay: Any = self.server
        with socket.create_connection(relay.behind) as server:
            back = threading.Thread(target=self._pass, args=(server, self.request, relay.got))
            back.start()
            self._pass(self.request, server, relay.given)
            back.join()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket, seen: Callable[[bytes], None]) -> None:
        while data := source.recv(1 << 20):
            seen(data)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


class Relay(socketserver.ThreadingTCPServer):
    """Listens on ``port`` of the loopback until it is stopped; for one client at a time.

    ``statements`` counts those in what the client sent.
    """

    daemon_threads = True

    def __init__(self, port: int, statements: Callable[[bytes], int]) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.behind = ("127.0.0.1", port)
        self.port: int = self.server_address[1]
        self._statements = statements
        self.reset()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def reset(self) -> None:
        """Begin to count."""
        self._sent, self._received, self._trips, self._asking = b"", 0, 0, False

    def given(self, data: bytes) -> None:
        self._sent += data
        self._trips += not self._asking
        self._asking = True

    def got(self, data: bytes) -> None:
        self._received += len(data)
        self._asking = False

    def work(self) -> Work:
        """Return what passed since ``reset``."""
        statements = self._statements(self._sent)
        return Work(statements, self._trips, len(self._sent), self._received)

    def stop(self) -> None:
        """Stop listening; connections end with their clients."""
        self.shutdown()
        self._thread.join()
        self.server_close()

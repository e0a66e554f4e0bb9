"""The server as a child process, with a handle for tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc

ROOT = Path(__file__).parents[2]


class FirestoreServer:
    """A running server: ``address`` for FIRESTORE_EMULATOR_HOST, counts, and faults."""

    def __init__(self, databases: str = "(default),second", port: int = 0) -> None:
        command = [sys.executable, "-m", "tests.firestore_server", "--databases", databases]
        self._process = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().decode().strip()
        assert self.address, "the server did not start"
        self.port = int(self.address.rpartition(":")[2])

    def _call(self, command: str, **arguments: Any) -> Any:
        with grpc.insecure_channel(self.address) as channel:
            call = channel.unary_unary("/test.Control/Call")
            return json.loads(call(json.dumps([command, arguments]).encode(), timeout=10))

    def clear(self) -> None:
        """Forget all documents, counts and faults."""
        for command in ("clear", "reset", "clear_faults"):
            self._call(command)

    def reset(self) -> None:
        """Start counting anew."""
        self._call("reset")

    @property
    def requests(self) -> dict[str, int]:
        """The requests since ``reset``, by method."""
        return dict(self._call("counts")["requests"])

    @property
    def billed(self) -> dict[str, int]:
        """The document reads, writes and deletes since ``reset`` that would be billed."""
        billed = self._call("counts")["billed"]
        return {kind: count for kind, count in billed.items() if count}

    def fault(self, **fault: Any) -> None:
        """Let requests fail: see Control.add_fault."""
        self._call("fault", **fault)

    def clear_faults(self) -> None:
        """Let no more requests fail."""
        self._call("clear_faults")

    def stop(self) -> None:
        """End the process. Safe to repeat."""
        process = self._process
        if process.stdin is not None and not process.stdin.closed:
            process.stdin.close()
            process.wait(10)
            assert process.stdout is not None
            process.stdout.close()

    def __enter__(self) -> FirestoreServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

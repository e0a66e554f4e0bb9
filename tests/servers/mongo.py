"""A server that speaks MongoDB's wire protocol, from the wheel ``SecantusDB``, in a process of its
own on a free port of the loopback. Run as a program, this file is that process."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from threading import Lock, Thread
from typing import Any

_LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")


class MongoServer:
    """A replica set of one member that forgets everything when it is stopped.

    With ``folder`` it keeps its data there; ``options`` are those of its command line. It takes
    ``configureFailPoint``, by which errors are asked for.
    """

    def __init__(self, *options: str, folder: Path | None = None) -> None:
        self._own_folder = None if folder else tempfile.mkdtemp(prefix="buddy-mongo-")
        self._folder = str(folder or self._own_folder)
        self._options = options
        self.port = 0
        self.start()

    def start(self) -> None:
        """Start it, on the port that it had before if it was stopped."""
        self._process = subprocess.Popen(
            [
                *(sys.executable, __file__, "--host", "127.0.0.1"),
                *("--port", str(self.port), "--storage-path", self._folder),
                *("--enable-test-commands", *self._options),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        self._log = self._process.stderr
        self.port = self._read_port()
        # Read on: a server whose pipe is full waits for ever.
        self._reader = Thread(target=self._log.read, daemon=True)
        self._reader.start()

    def _read_port(self) -> int:
        seen = []
        for line in self._log:
            if found := _LISTENING.search(line):
                return int(found[1])
            seen.append(line)
        raise RuntimeError(f"the server did not start: {''.join(seen)}")

    @property
    def url(self) -> str:
        """The address of the server, with a short wait for it where it is gone."""
        return f"mongodb://127.0.0.1:{self.port}/?serverSelectionTimeoutMS=5000"

    def stop(self) -> None:
        """Stop it and wait until it is gone."""
        if self._own_folder is None:
            self._process.terminate()
        else:  # Its data are not wanted any more, and an orderly end takes it two seconds.
            self._process.kill()
        self._process.wait()
        self._reader.join()
        self._log.close()
        if self._own_folder is not None:
            shutil.rmtree(self._own_folder)


def serve() -> int:
    """Run SecantusDB 0.7.0b3 with its updates put right, and with more of its indexes used."""
    from secantus import cli, commands, storage

    # It looks for the document first; when one appears before it then upserts, it updates that one
    # and answers as if it had found none. So these commands run one at a time.
    turn = Lock()

    def one_at_a_time(do: Callable[..., Any]) -> Callable[..., Any]:
        def in_turn(*command: Any) -> Any:
            with turn:
                return do(*command)

        return in_turn

    # It takes no index for a filter with an operator at its top, as $expr, and not always the best
    # one. The rows that it is led to are compared with the whole filter whatever led there.
    look_up = storage.Storage._try_index_id_keys

    def look_up_by_key(self: Any, db: str, coll: str, filter: Any, **options: Any) -> Any:
        fields = {field: value for field, value in filter.items() if field[:1] != "$"}
        equal = {field for field, value in fields.items() if not isinstance(value, dict)}
        for key in ({"_id"}, {"user_id", "id"}, {"user_id", "session_id"}):
            if key <= equal:
                fields = {field: fields[field] for field in key}
                break
        return look_up(self, db, coll, fields or filter, **options)

    commands._find_and_modify_impl = one_at_a_time(commands._find_and_modify_impl)
    commands._HANDLERS["update"] = one_at_a_time(commands._HANDLERS["update"])
    storage.Storage._try_index_id_keys = look_up_by_key
    return int(cli.main())


if __name__ == "__main__":
    sys.exit(serve())

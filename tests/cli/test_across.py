"""The command on every backend, against real servers: there, back, and verified."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from buddy.memory import open_memory_db
from buddy.memory.errors import UnavailableError
from buddy.memory.transfer import copy
from buddy.memory.transfer.batches import BATCH
from buddy.memory.v2.db.base import MemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from tests.cli.conftest import Run, everything
from tests.servers.postgres import PostgresServer

BACKENDS = ("postgres", "mongo", "redis", "firestore")


@pytest.fixture(params=BACKENDS)
def there(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store on one backend after the other."""
    url: str = request.getfixturevalue(request.param)
    return url


def test_there_and_back(run: Run, db: MemoryDb, url: str, there: str, other_url: str) -> None:
    """What went to a server and came back is what it was, versions too."""
    ran = run("copy", url, there, "--json")
    assert (ran.code, ran.json["complete"], ran.json["new"]) == (0, True, 7)
    assert ran.json["restarted_versions"] == 0
    assert everything(there) == everything(url)
    assert {row.id: row.version for row in everything(there)}["m0"] == 3
    back = run("copy", there, other_url, "--json").json
    assert (back["complete"], back["restarted_versions"]) == (True, 0)
    assert everything(other_url) == everything(url)


def test_a_second_copy_skips(run: Run, db: MemoryDb, url: str, there: str) -> None:
    """Copying again writes nothing, and what is missing is added."""
    run("copy", url, there)
    assert run("copy", url, there, "--json").json["same"] == 7
    db.upsert_memory(MemoryRow({"memory": "late"}, "late", "ann"))
    ran = run("copy", url, there, "--json")
    assert (ran.json["new"], ran.json["same"], ran.json["complete"]) == (1, 7, True)


def test_through_a_file(
    run: Run, db: MemoryDb, url: str, there: str, other_url: str, tmp_path: object
) -> None:
    """A server's export is imported elsewhere as it was, versions too."""
    run("copy", url, there)
    file = f"{tmp_path}/x.jsonl.gz"
    assert run("export", there, file).code == 0
    assert run("import", other_url, file, "--json").json["complete"] is True
    assert everything(other_url) == everything(url)


def test_check(run: Run, db: MemoryDb, url: str, there: str) -> None:
    """The doctor finds a server healthy, and leaves nothing behind."""
    run("copy", url, there)
    ran = run("check", there, "--json")
    assert ran.code == 0
    assert {item["check"]: item["state"] for item in ran.json}["writing"] == "ok"
    settings = next(item["detail"] for item in ran.json if item["check"] == "settings")
    known = {
        "postgresql": "PostgreSQL ",
        "mongodb": "write concern ",
        "redis": "appendonly ",
        "firestore": "server emulator at ",
    }
    assert known[there.partition(":")[0]] in settings
    assert run("stats", there, "--json").json["memories"] == 5


def test_forget(run: Run, db: MemoryDb, url: str, there: str) -> None:
    """A user is erased from a server, and nobody else is."""
    run("copy", url, there)
    assert run("forget", there, "ann", "--yes", "--json").json["verified"] is True
    assert {row.user_id for row in everything(there)} == {"bob", None}


@pytest.mark.parametrize("command", ["ls", "users", "stats", "check"])
def test_looking(run: Run, db: MemoryDb, url: str, there: str, command: str) -> None:
    """What looks works on a server, empty or full."""
    call: Callable[[], int] = lambda: run(command, there).code  # noqa: E731
    assert call() == 0
    run("copy", url, there)
    assert call() == 0


def test_a_server_that_goes_down_in_the_middle(url: str) -> None:
    """A copy whose server goes down fails as unavailable, and the next one brings the rest."""
    server = PostgresServer()
    destination = open_memory_db(f"{server.url()}?table_name=memory")
    with open_memory_db(url) as source, destination:
        source.upsert_memories(MemoryRow({"n": n}, str(n), "ann") for n in range(2_500))
        with pytest.raises(UnavailableError):
            copy(source, destination, progress=lambda so_far: so_far.rows and server.halt())
        server.start()
        assert destination.count_memories() == BATCH
        result = copy(source, destination)
        assert (result.same, result.new, result.complete) == (BATCH, 2_500 - BATCH, True)
        assert destination.read_memories() == source.read_memories()
    server.stop()


def test_the_kit_by_url(run: Run, there: str) -> None:
    """The conformance kit runs on every backend by its URL, and leaves the user's store alone."""
    with open_memory_db(there) as db:
        mine = db.upsert_memory(MemoryRow({"text": "mine"}, "1", "ann"))
    ran = run("conformance", there, "--rule", "R9", "--rule", "R12", "--json")
    assert ran.code == 0, ran.out
    assert {n["passed"] > 0 for n in ran.json["rules"].values()} == {True}
    assert ran.json["not_dropped"] == []
    with open_memory_db(there) as db:
        assert db.read_memories() == [mine]

"""``check``: the doctor."""

from __future__ import annotations

import base64
import hashlib
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis

from buddy.memory import Embedder, MemoryRow, open_memory_db
from buddy.memory.cli import exit_codes, installation
from buddy.memory.storage.sync_database import StoreBackedContract
from buddy.memory.v2.db.base import MemoryDb
from tests.cli.conftest import Run

LEGACY = Path(__file__).parents[1] / "fixtures" / "legacy"


def _states(found: list[dict[str, Any]]) -> dict[str, str]:
    return {item["check"]: item["state"] for item in found}


def test_a_healthy_database(run: Run, db: MemoryDb, url: str) -> None:
    """Connection, settings, tables and a round trip are reported, and nothing is left behind."""
    ran = run("check", url, "--json")
    assert ran.code == 0
    assert set(_states(ran.json).values()) == {"ok"}
    details = {item["check"]: item["detail"] for item in ran.json}
    assert "journal mode WAL, synchronous FULL" in details["settings"]
    assert " ms" in details["connection"]
    assert details["tables"] == "there and current"
    assert db.count_memories() == 5
    assert "✓ writing" in run("check", url).out


def test_looking_makes_nothing(run: Run, url: str, tmp_path: Path) -> None:
    """A database that was never made is not made by a check, unless --create asks for it."""
    ran = run("check", url, "--json")
    assert ran.code == 0
    assert _states(ran.json)["writing"] == "not tried"
    details = {f["check"]: f["detail"] for f in ran.json}
    assert "memory.db, not made yet" in details["settings"]
    assert details["tables"] == "not made yet: the first write makes them"
    assert list(tmp_path.iterdir()) == []
    assert _states(run("check", url, "--create", "--json").json)["writing"] == "ok"


def test_settings_that_lose_writes(run: Run, db: MemoryDb, url: str, tmp_path: Path) -> None:
    """A setting that may lose what was acknowledged is a warning, and no failure."""
    assert "risk" not in _states(run("check", url, "--json").json)
    ran = run("check", "sqlite://", "--json")
    assert ran.code == 0
    assert _states(ran.json)["risk"] == "warning"
    assert "! risk         all is gone when this process ends" in run("check", "sqlite://").out


@pytest.mark.parametrize("url", ["memory://", "memory://cli", "sqlite", "sqlite://"])
def test_a_store_in_memory(run: Run, url: str) -> None:
    """check, ls and add say that a store in memory is gone when the command ends."""
    risks = [item["detail"] for item in run("check", url, "--json").json if item["check"] == "risk"]
    assert len(risks) == 1
    for command in (("ls", url), ("add", url, "x"), ("add", url, "x", "--json")):
        ran = run(*command)
        assert ran.code == 0
        assert "this store is in memory, and gone when the command ends" in ran.err
    assert run("ls", url, "--json").err == ""


def test_what_servers_tell_of_losses(
    run: Run, postgres: str, mongo: str, redis: str, redis_server: str
) -> None:
    """Eviction, missing persistence, commits that are not awaited and weak write concerns."""

    def risks(url: str) -> list[str]:
        found = run("check", url, "--json").json
        return [item["detail"] for item in found if item["check"] == "risk"]

    with psycopg.connect(postgres.partition("?")[0], autocommit=True) as connection:
        connection.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = off")
        try:
            assert any("synchronous_commit off" in risk for risk in risks(postgres))
        finally:
            connection.execute("ALTER ROLE CURRENT_USER RESET synchronous_commit")
    assert risks(mongo) == []
    assert "write concern w=1" in risks(f"{mongo}&w=1")[0]
    assert risks(redis) == [
        "a crash loses all since the last snapshot (appendonly no, save 3600 1)"
    ]
    with Redis.from_url(redis_server) as client:
        client.config_set("appendonly", "yes")
        try:
            assert risks(redis) == []
        finally:
            client.config_set("appendonly", "no")
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("save", "")
        try:
            evicts, persists = risks(redis)
        finally:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("save", "3600 1")
    assert "maxmemory-policy allkeys-lru" in evicts
    assert "persists nothing" in persists


def test_no_write(run: Run, db: MemoryDb, url: str) -> None:
    """--no-write leaves the round trip out."""
    assert "writing" not in _states(run("check", url, "--no-write", "--json").json)


def test_an_older_layout(run: Run, tmp_path: Path) -> None:
    """Tables of an older layout are found out, with the command that repairs them."""
    shutil.copy(LEGACY / "sqlite_buddy300_v2.db", tmp_path / "old.db")
    url = f"sqlite:///{tmp_path / 'old.db'}?table_name=user_memories"
    ran = run("check", url, "--json")
    assert ran.code == exit_codes.DATA
    assert _states(ran.json)["tables"] == "failed"
    assert "buddy-memory upgrade URL" in ran.json[-1]["detail"]


def test_an_unreachable_server(run: Run) -> None:
    """What cannot be reached gives the exit code for that, and nothing after it is tried."""
    ran = run("check", "postgresql://u:pw@127.0.0.1:1/x?table_name=t", "--json")
    assert ran.code == exit_codes.UNAVAILABLE
    assert ran.json[-1]["check"] == "connection"


def test_a_wrong_config(run: Run) -> None:
    """A config that names nothing is a finding, too."""
    ran = run("check", "sqlit://", "--json")
    assert ran.code == exit_codes.USAGE
    assert _states(ran.json)["config"] == "failed"


# --- the installation


def _install(folder: Path, name: str, files: dict[str, str]) -> metadata.Distribution:
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    record = ""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
        record += f"{path},sha256={digest.decode().rstrip('=')},{len(text)}\n"
    (info / "RECORD").write_text(record)
    return metadata.PathDistribution(info)


@pytest.fixture
def ours(tmp_path: Path) -> metadata.Distribution:
    """Our distribution as a wheel leaves it: two files with their hashes."""
    return _install(
        tmp_path,
        "buddy-memory-core",
        {"buddy/memory/__init__.py": "ours = 1\n", "buddy/memory/row.py": "ours = 2\n"},
    )


def test_a_sound_installation(ours: metadata.Distribution) -> None:
    """Files that have the hashes of our RECORD are sound."""
    found = installation.inspect(ours)
    assert found.sound
    assert found.verifiable


def test_overwritten_files_are_named(
    ours: metadata.Distribution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another distribution's older tree over ours is found out, with its name and the repair."""
    _install(tmp_path, "old-buddy", {"buddy/memory/__init__.py": "theirs = 1\n"})
    (tmp_path / "buddy/memory/row.py").unlink()
    monkeypatch.syspath_prepend(tmp_path)
    found = installation.inspect(ours)
    assert found.changed == ["buddy/memory/__init__.py"]
    assert found.missing == ["buddy/memory/row.py"]
    assert found.others == ["old-buddy"]
    assert found.advice().startswith("pip uninstall old-buddy, then pip install --force-reinstall")


def test_check_reports_the_installation(
    run: Run, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """check says so, goes on with the database, and fails in the end."""
    _install(tmp_path, "old-buddy", {"buddy/memory/agent.py": "theirs = 1\n"})
    monkeypatch.syspath_prepend(tmp_path)
    ran = run("check", url)
    assert ran.code == exit_codes.NO
    assert "old-buddy has files in buddy/memory, too" in ran.out
    assert "✓ connection" in ran.out


MONGO = {"write concern": "w=majority", "kind": "replica set rs", "journaled": "yes"}

RISKS: dict[str, tuple[str, dict[str, str], str]] = {
    "SQLite, never synchronous": (
        "sqlite:///x.db",
        {"file": "x.db", "synchronous": "OFF"},
        "damage the file",
    ),
    "SQLite, log in memory": (
        "sqlite:///x.db",
        {"file": "x.db", "journal mode": "MEMORY"},
        "damage the file",
    ),
    "SQLite, rarely synchronous": (
        "sqlite:///x.db",
        {"file": "x.db", "synchronous": "NORMAL"},
        "lose the last writes",
    ),
    "SQLite": ("sqlite:///x.db", {"file": "x.db", "synchronous": "FULL"}, ""),
    "PostgreSQL, fsync": ("postgresql://h/d?table_name=t", {"fsync": "off"}, "fsync off"),
    "PostgreSQL": (
        "postgresql://h/d?table_name=t",
        {"fsync": "on", "synchronous_commit": "on"},
        "",
    ),
    "MongoDB, no concern": ("mongodb://h/d", {**MONGO, "write concern": "w=0"}, "w=0"),
    "MongoDB, one member": ("mongodb://h/d", {**MONGO, "write concern": "w=1"}, "failover"),
    "MongoDB, no journal": ("mongodb://h/d", {**MONGO, "journaled": "no"}, "not journaled"),
    "MongoDB": ("mongodb://h/d", MONGO, ""),
}


@pytest.mark.parametrize(("url", "info", "wanted"), RISKS.values(), ids=RISKS)
def test_what_settings_mean(url: str, info: dict[str, str], wanted: str) -> None:
    """Each setting that may lose what was acknowledged is one clause; sound ones are none."""
    with open_memory_db(url) as db:
        assert isinstance(db, StoreBackedContract)
        found = db.durability_warnings(info)
    assert [wanted in risk for risk in found] == ([True] if wanted else [])


def test_vectors(run: Run, url: str) -> None:
    """Newest memories without a vector, and with one of another model, are a warning."""

    def vectors() -> tuple[str, str]:
        (found,) = [item for item in run("check", url, "--json").json if item["check"] == "vectors"]
        return found["state"], found["detail"]

    def opened(model: str | None) -> MemoryDb:
        embedder = model and Embedder(lambda texts: [[1.0, len(text)] for text in texts], model)
        return open_memory_db(url, **({"embedder": embedder} if embedder else {}))

    with opened(None) as db:
        db.upsert_memory(MemoryRow({"memory": "without"}, "0", "ann"))
    assert vectors() == ("ok", "none are stored: searches are by words")
    with opened("a") as db:
        db.upsert_memories([MemoryRow({"memory": f"{n}"}, f"a{n}", "ann") for n in range(3)])
        db.upsert_memory(MemoryRow({"n": 1}, "no text", "ann"))
    state, detail = vectors()
    assert (state, detail.partition(":")[0]) == (
        "warning", "of the newest 4 memories, 1 have no vector",
    )  # fmt: skip
    with opened("b") as db:
        db.upsert_memory(MemoryRow({"memory": "x"}, "b", "ann"))
        assert "1 have vectors of another model, 1 have none" in vectors()[1]
        db.delete_memories(["0", "b"], user_id="ann")
    assert vectors() == ("ok", "of the newest 3 memories, all have vectors of one model")

"""A key for each user: what destroying one does, and what it leaves alone."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from buddy.memory import NOBODY, MemoryRow, SummaryRow, open_memory_db, plugins
from buddy.memory.errors import CorruptMemoryError, InvalidMemoryError
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.testing import CHECKS, BackendUnderTest, run_checks
from buddy.memory.transfer import copy
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from buddy_memory_encryption import Encryption, Keys, Rotation, UserKeys, rotate
from buddy_memory_encryption.command import keys_command

OLD, NEW = Keys({"k1": bytes(32)}), Keys({"k2": bytes(range(32)), "k1": bytes(32)})
FOLDER = Path(__file__).parents[1]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/a.db"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.db"


@contextmanager
def encrypting(keys: Keys, file: Path | None) -> Generator[Encryption]:
    plugin = Encryption(keys, user_keys=None if file is None else UserKeys(file, keys, create=True))
    plugins.register(plugin)
    try:
        yield plugin
    finally:
        plugins.unregister(plugin)


def test_every_rule_holds_with_keys_of_users(file: Path) -> None:
    """A database whose users have keys of their own keeps every rule."""
    with encrypting(NEW, file):

        def subject() -> BackendUnderTest:
            store = InMemoryStore()
            return BackendUnderTest(open=lambda: StoreBackedMemoryDb(store), waits=False)

        outcomes = run_checks(subject, [check for check in CHECKS if not check.big])
        assert [o for o in outcomes if o.status == "failed"] == []


def test_a_backup_of_a_forgotten_user_cannot_be_read(
    url: str, file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Forgetting destroys the key: a backup of the database shows nothing of the user, with one
    warning for all rows, and everything of the others; the leftovers can be forgotten again."""
    with encrypting(NEW, file):
        with open_memory_db(url) as db:
            db.upsert_memories([MemoryRow({"n": n}, str(n), "ann") for n in range(30)])
            db.upsert_memories([MemoryRow({"n": 1}, "a", "bob"), MemoryRow({"n": 2}, "b")])
            db.upsert_summary(SummaryRow({"s": 1}, "s", "ann"))
        shutil.copy(tmp_path / "a.db", tmp_path / "backup.db")
        with open_memory_db(url) as db:
            assert db.forget_user("ann").verified
        with open_memory_db(f"sqlite:///{tmp_path}/backup.db") as db:
            assert [row.id for row in db.read_memories()] == ["b", "a"]
            told = [r.getMessage() for r in caplog.records if "skipped" in r.getMessage()]
            assert told == [
                "skipped 30 unreadable rows of the user 'ann': the plugin Encryption cannot read "
                "it: KeyDestroyedError"
            ]
            with pytest.raises(CorruptMemoryError, match="KeyDestroyedError"):
                db.read_summary("s", user_id="ann")
            assert db.forget_user("ann").memories_erased == 30
            assert db.count_memories() == 2


def test_a_user_who_comes_back_has_a_new_key(url: str, file: Path) -> None:
    """New rows are readable, and the old ones of a backup are not."""
    with encrypting(NEW, file) as plugin, open_memory_db(url) as db:
        assert plugin.user_keys is not None
        db.upsert_memory(MemoryRow({"n": 1}, "old", "ann"))
        assert plugin.user_keys.destroy("ann")
        assert not plugin.user_keys.destroy("ann")
        db.upsert_memory(MemoryRow({"n": 2}, "new", "ann"))
        assert [row.id for row in db.read_memories("ann")] == ["new"]
        db.upsert_memory(MemoryRow({"n": 3}, "nobody's"))
        assert plugin.user_keys.destroy(None)
        assert db.read_memories(NOBODY) == []


def test_a_rotation_seals_the_keys_and_leaves_the_rows(url: str, file: Path) -> None:
    """Rows keep their stored bytes; the older key can be taken away afterwards."""
    with encrypting(OLD, None), open_memory_db(url) as db:
        db.upsert_memory(MemoryRow({"n": 0}, "0", "ann"))
    with encrypting(OLD, file), open_memory_db(url) as db:
        db.upsert_memories([MemoryRow({"n": 1}, "1", "ann"), MemoryRow({"n": 2}, "2", "bob")])
    with encrypting(NEW, file), open_memory_db(url) as db:
        assert rotate(db) == Rotation(1, 0, 2)
        assert rotate(db) == Rotation(0, 0, 0)
    with encrypting(Keys({"k2": bytes(range(32))}), file), open_memory_db(url) as db:
        assert sorted(row.memory["n"] for row in db.read_memories()) == [0, 1, 2]
    with encrypting(OLD, file), open_memory_db(url) as db:
        assert db.read_memories() == []


def test_rows_are_copied_from_keys_to_keys(url: str, file: Path, tmp_path: Path) -> None:
    """A copy is readable with the same keys, and rows of a destroyed key are told and left."""
    with encrypting(NEW, file) as plugin, open_memory_db(url) as source:
        source.upsert_memories([MemoryRow({"n": 1}, "1", "ann"), MemoryRow({"n": 2}, "2", "bob")])
        assert plugin.user_keys is not None
        plugin.user_keys.destroy("bob")
        with open_memory_db(f"sqlite:///{tmp_path}/copy.db") as destination:
            result = copy(source, destination)
            assert not result.complete
            assert [row.id for row in destination.read_memories()] == ["1"]


def test_the_file_is_private_and_holds_no_plain_key(file: Path) -> None:
    """The key file is its owner's alone; a destroyed key leaves no bytes behind."""
    keys = UserKeys(file, NEW, create=True)
    id, _ = keys.newest("ann")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with closing(sqlite3.connect(file)) as connection:
        (sealed,) = connection.execute("SELECT sealed FROM user_keys").fetchone()
    assert sealed in file.read_bytes()
    assert keys.destroy("ann")
    left = b"".join(each.read_bytes() for each in file.parent.iterdir())
    assert sealed not in left
    assert id.encode() not in left


def test_a_key_of_another_user_is_refused(file: Path) -> None:
    """A sealed key that was moved to another user opens nothing."""
    keys = UserKeys(file, NEW, create=True)
    id, _ = keys.newest("ann")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE user_keys SET user = '[\"bob\"]'")
    with pytest.raises(Exception, match=r"^$"):  # InvalidTag, which says nothing.
        keys.get("bob", id)


def test_threads_and_processes_agree_on_a_key(file: Path) -> None:
    """Eight threads and four processes that are first at once get one key for a user."""
    code = (
        "import sys; from buddy_memory_encryption import Keys, UserKeys\n"
        "print(UserKeys(sys.argv[1], Keys({'k1': bytes(32)}), create=True).newest('ann')[0])"
    )
    path = os.pathsep.join([str(FOLDER), *sys.path])
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, file],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    keys = UserKeys(file, OLD, create=True)
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: keys.newest("ann")[0], range(64)))
    ids |= {process.communicate(timeout=60)[0].strip() for process in running}
    assert len(ids) == 1


def test_the_command_destroys_a_key(url: str, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It asks first; the user's rows are unreadable afterwards, and nobody else's."""
    with encrypting(NEW, file), open_memory_db(url) as db:
        db.upsert_memories([MemoryRow({}, "1", "ann"), MemoryRow({}, "2", "bob")])
        for answer, code in (("n", 1), ("y", 0), ("y", 1)):
            done = CliRunner().invoke(keys_command, ["destroy", "ann"], input=answer)
            assert done.exit_code == code, done.output
        assert [row.id for row in db.read_memories()] == ["2"]
        assert CliRunner().invoke(keys_command, ["destroy", "--yes"]).exit_code == 2


def test_a_file_that_goes_away(url: str, file: Path) -> None:
    """While the file is missing, writes are refused and rows are unreadable, and no new key is
    made; when it is back, everything is."""
    with pytest.raises(ValueError, match="is not there"):
        UserKeys(file, NEW)
    with encrypting(NEW, file), open_memory_db(url) as db:
        db.upsert_memory(MemoryRow({"n": 1}, "1", "ann"))
        file.rename(file.with_suffix(".away"))
        for user in ("ann", "bob"):
            with pytest.raises(InvalidMemoryError, match="OperationalError"):
                db.upsert_memory(MemoryRow({}, "2", user))
        with pytest.raises(CorruptMemoryError, match="OperationalError"):
            db.read_memory("1", user_id="ann")
        assert not file.exists()
        file.with_suffix(".away").rename(file)
        assert [row.memory for row in db.read_memories("ann")] == [{"n": 1}]


def test_a_fork_uses_its_own_connection(url: str, file: Path) -> None:
    """A child writes with the keys of the file, and the parent reads that."""
    with encrypting(NEW, file), open_memory_db(url) as db:
        db.upsert_memory(MemoryRow({"n": 1}, "1", "ann"))
        child = os.fork()
        if child == 0:  # pragma: no cover
            try:
                db.upsert_memory(MemoryRow({"n": 2}, "2", "ann"))
                db.upsert_memory(MemoryRow({"n": 3}, "3", "bob"))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert sorted(row.memory["n"] for row in db.read_memories()) == [1, 2, 3]


def test_the_file_is_made_once(file: Path) -> None:
    """The command makes the file, and never over one that is there."""
    done = CliRunner().invoke(keys_command, ["new-user-keys", str(file)])
    assert (done.exit_code, "USER_KEYS=" in done.output) == (0, True)
    UserKeys(file, NEW).newest("ann")
    before = file.read_bytes()
    assert CliRunner().invoke(keys_command, ["new-user-keys", str(file)]).exit_code == 1
    assert file.read_bytes() == before

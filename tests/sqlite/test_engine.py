"""Which database is used, and who owns it."""

from __future__ import annotations

import asyncio
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from buddy.memory import open_memory_db
from buddy.memory.db.sqlite import SqliteMemoryDb as SqliteMemoryDbV1
from buddy.memory.errors import ConfigError, MemoryDbError
from buddy.memory.row import MemoryRow as MemoryRowV1
from buddy.memory.storage.sql.tables import Tables
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.sqlite import AsyncSqliteMemoryDb, SqliteMemoryDb
from buddy.memory.v2.db.threaded import ThreadedMemoryDb
from buddy_memory_sqlite.dialect import SqliteDialect


def count(engine: sa.Engine, table: str = "memory") -> int:
    with engine.connect() as connection:
        return int(connection.exec_driver_sql(f'SELECT count(*) FROM "{table}"').scalar_one())  # noqa: S608


@pytest.mark.parametrize("cls", [SqliteMemoryDb, SqliteMemoryDbV1])
def test_the_callers_engine_is_used_and_never_closed(cls: Any, tmp_path: Path) -> None:
    """Rows are in the database of db_engine, and close() leaves the engine's connections alone."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/mine.db")
    with engine.connect() as held:
        db = cls(db_engine=engine, db_file=str(tmp_path / "other.db"))
        row = MemoryRowV1({"a": 1}) if cls is SqliteMemoryDbV1 else MemoryRow({"a": 1})
        db.upsert_memory(row)
        assert count(engine) == 1
        db.close()
        assert held.exec_driver_sql("SELECT count(*) FROM memory").scalar() == 1
    assert not (tmp_path / "other.db").exists()
    engine.dispose()


def test_the_first_given_counts(tmp_path: Path) -> None:
    """db_engine comes before db_url, db_url before db_file, and none is a fresh memory."""
    url, file = f"sqlite:///{tmp_path}/url.db", tmp_path / "file.db"
    SqliteMemoryDb(db_url=url, db_file=file).create()
    assert (tmp_path / "url.db").exists()
    assert not file.exists()
    one, two = SqliteMemoryDb(), SqliteMemoryDb()
    one.upsert_memory(MemoryRow({}))
    assert (one.count_memories(), two.count_memories()) == (1, 0)
    one.close()
    two.close()


def test_reading_makes_neither_file_nor_folder(tmp_path: Path) -> None:
    """A file that does not exist reads as empty and is made by the first write, with its folder."""
    file = tmp_path / "deep" / "er" / "memory.db"
    with SqliteMemoryDb(db_file=file) as db:
        assert db.read_memories() == []
        assert db.table_exists() is False
        db.ping()
        assert list(tmp_path.iterdir()) == []
        db.upsert_memory(MemoryRow({}))
        assert file.exists()


def test_a_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """~ in db_file is the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with SqliteMemoryDb(db_file="~/memory.db") as db:
        db.create()
    assert (tmp_path / "memory.db").exists()


def test_a_database_in_memory_is_one_for_all_threads_and_for_async() -> None:
    """Threads and the asynchronous side of one object see one database in memory."""
    with SqliteMemoryDb() as db:
        thread = threading.Thread(target=lambda: db.upsert_memory(MemoryRow({}, "t")))
        thread.start()
        thread.join()
        asyncio.run(ThreadedMemoryDb(db).upsert_memory(MemoryRow({}, "a")))
        assert [row.id for row in db.read_memories(sort="asc")] == ["t", "a"]
    adb = AsyncSqliteMemoryDb(db_url="sqlite:///:memory:")

    async def write(n: int) -> int:
        await asyncio.gather(*(adb.upsert_memory(MemoryRow({}, f"{n}-{m}")) for m in range(20)))
        return await adb.count_memories()

    assert [asyncio.run(write(n)) for n in range(3)] == [20, 40, 60]
    asyncio.run(adb.close())


def test_a_callers_memory_engine_never_shows_a_second_database() -> None:
    """An engine with a database per thread raises in a second thread instead of reading empty."""
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.SingletonThreadPool)
    db = SqliteMemoryDb(db_engine=engine)
    db.upsert_memory(MemoryRow({}, "a"))
    assert count(engine) == 1
    seen: list[Any] = []

    def read() -> None:
        try:
            seen.append(db.read_memories())
        except MemoryDbError as error:
            seen.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert isinstance(seen[0], ConfigError)
    assert "StaticPool" in str(seen[0])
    engine.dispose()


def test_a_callers_static_pool_serves_all_threads() -> None:
    """The engine that the error recommends works from every thread."""
    engine = sa.create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    db = SqliteMemoryDb(db_engine=engine)
    db.create()
    thread = threading.Thread(target=lambda: db.upsert_memory(MemoryRow({}, "a")))
    thread.start()
    thread.join()
    assert db.count_memories() == 1
    engine.dispose()


def test_stores_of_one_file_share_an_engine(tmp_path: Path) -> None:
    """Objects on one file share one engine, and the last one to close disposes of it."""
    url = f"sqlite:///{tmp_path}/a.db"
    one, two = SqliteMemoryDb("a", url), SqliteMemoryDb("b", db_file=tmp_path / "a.db")
    engines = {id(db._rules.store._connector.engine) for db in (one, two)}  # type: ignore[attr-defined]
    assert len(engines) == 1
    one.close()
    two.upsert_memory(MemoryRow({}))
    two.close()
    again = SqliteMemoryDb("b", url)
    assert again.count_memories() == 1
    again.close()


def test_what_lives_in_this_process_cannot_be_pickled(tmp_path: Path) -> None:
    """A database in memory and a live engine refuse to be pickled, with the reason."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/a.db")
    for db, says in (
        (SqliteMemoryDb(), "this process"),
        (SqliteMemoryDb(db_engine=engine), "live"),
    ):
        with db, pytest.raises(TypeError, match=says):
            pickle.dumps(db)
    engine.dispose()


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("sqlite://host/a.db", "has no host"),
        ("sqlite+pysqlcipher:///a.db", "begins with sqlite://"),
        ("sqlite:///a.db?mode=ro", "no parameter mode"),
        ("sqlite:///a.db?timeout=1&tabelname=x", "did you mean 'table_name'"),
        ("sqlite:///a.db?db_engine=x", "is an object"),
    ],
)
def test_a_wrong_url_says_what_to_do(config: str, says: str) -> None:
    """A wrong URL is a ConfigError, and no file is made."""
    with pytest.raises(ConfigError, match=says):
        open_memory_db(config)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"db_url": "postgresql://user:hunter2@host/db"}, "begins with sqlite://"),
        ({"db_url": "no url, hunter2"}, "no database URL|not a database URL"),
        ({"db_url": 5}, "not a database URL"),
        ({"db_engine": "sqlite://"}, "must be a SQLAlchemy Engine, not str"),
        ({"db_engine": sa.create_mock_engine("sqlite://", print)}, "must be a SQLAlchemy Engine"),
    ],
)
def test_a_wrong_argument_says_what_to_do(arguments: dict[str, Any], says: str) -> None:
    """A wrong argument is a ConfigError without the password."""
    with pytest.raises(ConfigError, match=says) as caught:
        SqliteMemoryDb(**arguments)
    assert "hunter2@" not in str(caught.value)


def test_an_engine_of_another_database_is_refused(tmp_path: Path) -> None:
    """An engine that speaks to another database is a ConfigError that names it."""

    class Other(sa.Engine):
        @property
        def dialect(self) -> Any:
            return type("Dialect", (), {"name": "oracle"})

        @dialect.setter
        def dialect(self, value: Any) -> None: ...

    engine = sa.create_engine("sqlite://")
    other = Other(engine.pool, engine.dialect, engine.url)
    with pytest.raises(ConfigError, match="oracle, not to SQLite"):
        SqliteMemoryDb(db_engine=other)


def test_a_bulk_write_is_not_written_twice(tmp_path: Path) -> None:
    """On our own connections what may undo a statement is kept in memory; a caller's stay as is."""
    url = f"sqlite:///{tmp_path}/a.db"
    theirs = sa.create_engine(url)
    with SqliteMemoryDb(db_url=url) as ours, SqliteMemoryDb(db_engine=theirs) as other:
        stores: list[Any] = [ours._rules.store, other._rules.store]
        engines = [store._connector.engine for store in stores]
        for engine, temp_store in zip(engines, (2, 0), strict=True):  # MEMORY, and the default
            with engine.connect() as connection:
                assert connection.exec_driver_sql("PRAGMA temp_store").scalar() == temp_store
    theirs.dispose()


def test_a_table_name_that_an_engine_would_cut() -> None:
    """It is refused when the store is made, and not at its first call."""

    class Short(SqliteDialect):
        max_name_bytes = 10

    assert Tables(Short(), "a" * 10).both[1].name != Tables(Short(), "a" * 9 + "b").both[1].name
    with pytest.raises(ConfigError, match="longer than 10 bytes"):
        Tables(Short(), "a" * 11)


def test_an_engine_that_begins_by_a_listener(tmp_path: Path) -> None:
    """An engine with SQLAlchemy's documented listeners, which begin transactions themselves, makes
    tables, writes, reads and drops as any other one."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/a.db")

    @sa.event.listens_for(engine, "connect")
    def connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    with SqliteMemoryDb("notes", db_engine=engine) as db:
        db.create()
        db.upsert_memory(MemoryRow({}, "a", "ann"))
        db.upsert_memories([MemoryRow({}, id, "ann") for id in "bc"])
        assert db.upsert_memory(MemoryRow({}, "a", "ann"), if_version=1).version == 2
        assert [row.id for row in db.read_memories("ann")] == ["c", "b", "a"]
        assert db.delete_user("ann")["memories"] == 3
        db.drop_table()
        assert not db.table_exists()
    engine.dispose()

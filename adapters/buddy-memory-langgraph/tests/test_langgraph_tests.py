"""LangGraph's own tests of its SQLite store, on BuddyStore and every backend."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from adapters.foreign import Outcome, Release, run_tests
from tests.servers.backends import DISTRIBUTED, Backend, started

RELEASE = Release(
    "langgraph-checkpoint-sqlite",
    "3.1.2",
    "4e3f376fa6f192d6ad2a1a4643b039986f1593552ef870e9e45281575de6fbf2",
)
FILES = ["tests/test_store.py", "tests/test_async_store.py"]
TTL_FILES = ["tests/test_ttl.py"]
PLUGIN = Path(__file__).with_name("as_sqlite_store.py")

LOOK_INSIDE = {
    "tests/test_store.py::test_vector_store_initialization",  # its configuration in its attributes
    "tests/test_store.py::test_nonnull_migrations",  # its statements
    "tests/test_store.py::test_sql_injection_vulnerability[memory]",  # it refuses some keys
    "tests/test_store.py::test_sql_injection_vulnerability[file]",
    "tests/test_store.py::test_filter_keys_with_hyphens_and_digits[memory]",  # its dotted keys
    "tests/test_store.py::test_filter_keys_with_hyphens_and_digits[file]",
    "tests/test_async_store.py::test_no_running_loop[memory]",  # it cannot be called synchronously
    "tests/test_async_store.py::test_no_running_loop[file]",
}

# They count what a sweep removes, and Redis has removed by itself what ends last in a store.
REMOVED_BY_ITSELF = {"tests/test_ttl.py::test_ttl_refresh"}


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source of the release."""
    return RELEASE.unpacked(tmp_path_factory.mktemp("langgraph"))


def test_their_tests(source: Path, backend: Backend, tmp_path: Path) -> None:
    """All pass but those that look into SQLite, or want what only it does."""
    environment = {**backend.environment, "BUDDY_TEST_URL": backend.url(tmp_path, "NAME")}
    outcome = run_tests(source, FILES, PLUGIN, environment)
    assert outcome.failed == LOOK_INSIDE, outcome.output[-20_000:]
    assert outcome.passed == 134


def test_their_tests_of_expiry(source: Path, tmp_path: Path) -> None:
    """All pass but the one that counts what Redis has removed by itself; on every backend at once,
    since they do little but wait."""

    def run(backend: Backend) -> Outcome:
        environment = {**backend.environment, "BUDDY_TEST_URL": backend.url(tmp_path, "NAME")}
        return run_tests(source, TTL_FILES, PLUGIN, environment, at_once=0)

    with ExitStack() as stack, ThreadPoolExecutor(len(DISTRIBUTED)) as pool:
        backends = [stack.enter_context(started(name)) for name in DISTRIBUTED]
        outcomes = dict(zip(DISTRIBUTED, pool.map(run, backends), strict=True))
    for name, outcome in outcomes.items():
        expected = REMOVED_BY_ITSELF if name == "redis" else set()
        assert outcome.failed == expected, f"{name}: {outcome.output[-20_000:]}"
        assert outcome.passed == 11 - len(expected)

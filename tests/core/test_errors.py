"""The tree of errors."""

from __future__ import annotations

import pickle

import pytest

from buddy.memory import errors as tree

EXAMPLES = [
    tree.MemoryDbError("text"),
    tree.ConfigError("text"),
    tree.UnknownBackendError("x", "v2 backend", ["a", "b"], "Install it."),
    tree.AmbiguousBackendError("x", ["a", "b"]),
    tree.BackendLoadError("x", "dist", "ImportError: y"),
    tree.InvalidMemoryError("bad", "memory.a[1]"),
    tree.TooLargeError(2_000_000, 1_000_000),
    tree.ConflictError("id", 1, 2),
    tree.AmbiguousIdError("id"),
    tree.UnavailableError("SQLite", "locked"),
    tree.EmbeddingError("Embedder(f, model='m') failed: no"),
    tree.AccessError("no rights", 'CREATE TABLE "x" ()'),
    tree.SchemaError("old", "Call upgrade()."),
    tree.CorruptMemoryError("id", "torn"),
    tree.ClosedError("Db"),
    tree.UnsupportedError("Db", "summaries"),
]
BUILTINS = {
    "ConfigError": ValueError,
    "UnknownBackendError": LookupError,
    "BackendLoadError": ImportError,
    "InvalidMemoryError": ValueError,
    "TooLargeError": tree.InvalidMemoryError,
    "AmbiguousIdError": LookupError,
    "UnavailableError": ConnectionError,
    "AccessError": PermissionError,
    "UnsupportedError": NotImplementedError,
}


def test_every_error_has_an_example_here() -> None:
    """Every class of the tree is in the examples, and in the drawing of the module."""
    classes = {c for c in vars(tree).values() if isinstance(c, type) and issubclass(c, Exception)}
    assert {type(error) for error in EXAMPLES} == classes
    assert tree.__doc__ is not None
    for error in classes:
        assert error.__name__ in tree.__doc__


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_is_what_one_expects_and_survives_pickling(error: tree.MemoryDbError) -> None:
    """An error is also the builtin one expects, and comes back whole from another process."""
    assert isinstance(error, BUILTINS.get(type(error).__name__, tree.MemoryDbError))
    error.stored = ((None, "a"), ("ann", "a"))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  (made in this line)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.stored == ((None, "a"), ("ann", "a"))
    for name in ("id", "path", "size", "limit", "expected", "actual", "statement", "claims"):
        assert getattr(again, name, None) == getattr(error, name, None)

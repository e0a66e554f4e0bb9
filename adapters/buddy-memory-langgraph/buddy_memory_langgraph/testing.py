"""A conformance suite for any BaseStore of LangGraph, through its sync and its async methods.

    from buddy_memory_langgraph.testing import run_store_conformance

    report = await run_store_conformance(make_store)
    assert report.failed == {}

``make_store`` returns an empty store for each check, or an asynchronous context manager of one. The
checks need no test runner. What they expect is what LangGraph's documentation of ``BaseStore`` says
or, where it is silent, what its own InMemoryStore does.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

from langgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    PutOp,
    SearchOp,
)

Check = Callable[["Calls"], Awaitable[None]]
CHECKS: list[Check] = []
"""Every check; its docstring is the fact that it checks."""


class Calls:
    """The methods of a store, all awaited: its asynchronous ones, or the synchronous in a thread.

    Asynchronous stores refuse synchronous calls in the thread of their event loop.
    """

    def __init__(self, store: BaseStore, asynchronous: bool) -> None:
        self.store = store
        self._asynchronous = asynchronous

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        if self._asynchronous:
            awaited: Callable[..., Awaitable[Any]] = getattr(self.store, f"a{name}")
            return awaited

        async def called(*args: Any, **kwargs: Any) -> Any:
            return await asyncio.to_thread(getattr(self.store, name), *args, **kwargs)

        return called

    async def keys(self, prefix: tuple[str, ...], **options: Any) -> list[str]:
        """Return the keys that a search finds, sorted."""
        return sorted(item.key for item in await self.search(prefix, **options))


class Report(NamedTuple):
    """The names of the checks that passed, and the errors of those that failed, by name."""

    passed: list[str]
    failed: dict[str, str]


async def run_store_conformance(
    make_store: Callable[[], Any], *, asynchronous: bool = True
) -> Report:
    """Run every check on a store of its own, through the asynchronous or the synchronous side.

    A store that has the synchronous side only wants ``asynchronous=False``.
    """
    report = Report([], {})
    for check in CHECKS:
        name = check.__name__
        try:
            async with AsyncExitStack() as stack:
                made = make_store()
                if inspect.isawaitable(made):
                    made = await made
                if hasattr(made, "__aenter__"):
                    made = await stack.enter_async_context(made)
                await check(Calls(made, asynchronous))
        except Exception as error:
            # Most assertions have no words of their own.
            report.failed[name] = f"{type(error).__name__}: {str(error) or check.__doc__}"
        else:
            report.passed.append(name)
    return report


def _check(function: Check) -> Check:
    CHECKS.append(function)
    return function


async def _raises(kind: type[Exception], call: Awaitable[Any]) -> None:
    try:
        await call
    except kind:
        return
    raise AssertionError(f"no {kind.__name__} was raised")


# --- items


@_check
async def put_and_get(store: Calls) -> None:
    """An item comes back with its namespace, key, value and aware times."""
    value: dict[str, Any] = {
        "text": "tea",
        "n": [1, 2.5, None, True, {"x": {}}],
        "u": "日本 🍵 \u200b",
    }
    await store.put(("users", "ann"), "k", value)
    item = await store.get(("users", "ann"), "k")
    assert (item.namespace, item.key, item.value) == (("users", "ann"), "k", value)
    assert item.created_at.tzinfo is not None
    assert item.updated_at >= item.created_at


@_check
async def missing_is_none(store: Calls) -> None:
    """An item that was never put is None, in a namespace that is there and in one that is not."""
    await store.put(("a",), "k", {})
    assert await store.get(("a",), "k") is not None
    assert await store.get(("a",), "other") is None
    assert await store.get(("b",), "k") is None


@_check
async def update_replaces(store: Calls) -> None:
    """A second put replaces the whole value; created_at stays."""
    await store.put(("a",), "k", {"old": 1})
    before = await store.get(("a",), "k")
    await store.put(("a",), "k", {"new": 2})
    after = await store.get(("a",), "k")
    assert after.value == {"new": 2}
    assert after.created_at == before.created_at
    assert after.updated_at >= before.updated_at


@_check
async def delete_removes(store: Calls) -> None:
    """A deleted item is gone, from searches too; deleting it again is no error."""
    await store.put(("a",), "k", {})
    assert await store.keys(("a",)) == ["k"]
    await store.delete(("a",), "k")
    await store.delete(("a",), "k")
    assert await store.get(("a",), "k") is None
    assert await store.search(("a",)) == []


@_check
async def values_are_copies(store: Calls) -> None:
    """Changing a value that was put, or one that was read, changes nothing in the store."""
    value = {"list": [1]}
    await store.put(("a",), "k", value)
    value["list"].append(2)
    (await store.get(("a",), "k")).value["list"].append(3)
    assert (await store.get(("a",), "k")).value == {"list": [1]}


@_check
async def strange_keys(store: Calls) -> None:
    """Keys that differ in one character are two items."""
    keys = ["a", "A", "a ", "á", "a/b", "a%2Fb", "a'b", "%", "_", "*", "a.b", "👍", "x" * 300]
    for number, key in enumerate(keys):
        await store.put(("n",), key, {"number": number})
    for number, key in enumerate(keys):
        assert (await store.get(("n",), key)).value == {"number": number}, key
    assert await store.keys(("n",), limit=100) == sorted(keys)


# --- namespaces


@_check
async def namespaces_are_apart(store: Calls) -> None:
    """One key in two namespaces is two items."""
    for namespace in (("a", "b"), ("a", "c"), ("a",)):
        await store.put(namespace, "k", {"in": list(namespace)})
    await store.delete(("a", "b"), "k")
    assert (await store.get(("a", "c"), "k")).value == {"in": ["a", "c"]}
    assert (await store.get(("a",), "k")).value == {"in": ["a"]}


@_check
async def prefixes_are_whole_labels(store: Calls) -> None:
    """A search finds what is in a namespace and below it, and nothing of a longer label."""
    for namespace in (("a",), ("a", "b"), ("ab",), ("a", "bc"), ("A",), ("b", "a")):
        await store.put(namespace, "/".join(namespace), {})
    assert await store.keys(("a",)) == ["a", "a/b", "a/bc"]
    assert await store.keys(("a", "b")) == ["a/b"]
    assert len(await store.keys(())) == 6


@_check
async def labels_are_literal(store: Calls) -> None:
    """Wildcards of databases and patterns are characters like others in a label."""
    for label in ("*", "%", "_", "a*", "a%", "a_", "ab", "[a]", "?", "/", "a/b", "\\", "'", '"'):
        await store.put((label,), label, {})
    for label in ("*", "%", "_", "a*", "a%", "a_", "[a]", "?", "/", "\\", "'", '"'):
        assert await store.keys((label,)) == [label], label


@_check
async def wrong_namespaces(store: Calls) -> None:
    """An empty namespace, an empty label, a period, a number, "langgraph" first: refused."""
    for namespace in ((), ("",), ("a", ""), ("a.b",), ("a", 1), ("langgraph",)):
        await _raises(InvalidNamespaceError, store.put(namespace, "k", {}))


@_check
async def list_all(store: Calls) -> None:
    """Namespaces that hold an item are listed once, sorted; emptied ones are not."""
    for namespace in (("b",), ("a", "x"), ("a",), ("gone",)):
        await store.put(namespace, "1", {})
        await store.put(namespace, "2", {})
    await store.delete(("gone",), "1")
    await store.delete(("gone",), "2")
    assert await store.list_namespaces() == [("a",), ("a", "x"), ("b",)]


async def _family(store: Calls) -> None:
    for namespace in (
        ("a", "b", "c"),
        ("a", "b", "d", "e"),
        ("a", "b", "d", "i"),
        ("a", "b", "f"),
        ("a", "c", "f"),
        ("b", "a", "f"),
        ("users", "123"),
        ("users", "456", "settings"),
        ("admin", "users", "789"),
    ):
        await store.put(namespace, "k", {})


@_check
async def list_by_prefix_and_suffix(store: Calls) -> None:
    """A prefix and a suffix are whole labels, and both count when both are given."""
    await _family(store)
    assert len(await store.list_namespaces(prefix=("a", "b"))) == 4
    assert await store.list_namespaces(suffix=("f",)) == [
        ("a", "b", "f"),
        ("a", "c", "f"),
        ("b", "a", "f"),
    ]
    assert await store.list_namespaces(prefix=("a",), suffix=("b", "f")) == [("a", "b", "f")]
    assert await store.list_namespaces(prefix=("us",)) == []


@_check
async def list_by_wildcard(store: Calls) -> None:
    """``*`` in a prefix or a suffix is any one label."""
    await _family(store)
    assert await store.list_namespaces(prefix=("*", "users")) == [("admin", "users", "789")]
    assert len(await store.list_namespaces(prefix=("a", "*", "f"))) == 2
    assert await store.list_namespaces(suffix=("456", "*")) == [("users", "456", "settings")]


@_check
async def list_to_a_depth(store: Calls) -> None:
    """``max_depth`` cuts namespaces, and each that remains is listed once."""
    await _family(store)
    assert await store.list_namespaces(prefix=("a",), max_depth=2) == [("a", "b"), ("a", "c")]
    assert await store.list_namespaces(max_depth=1) == [("a",), ("admin",), ("b",), ("users",)]


@_check
async def list_in_pages(store: Calls) -> None:
    """``limit`` and ``offset`` page through namespaces without a gap or a repetition."""
    await _family(store)
    everything = await store.list_namespaces()
    assert len(everything) == 9
    pages = [await store.list_namespaces(limit=4, offset=offset) for offset in (0, 4, 8, 12)]
    assert [namespace for page in pages for namespace in page] == everything
    assert pages[3] == []


# --- searches


@_check
async def search_in_pages(store: Calls) -> None:
    """``limit`` and ``offset`` page through items without a gap or a repetition."""
    for number in range(7):
        await store.put(("n",), str(number), {})
    pages = [await store.search(("n",), limit=3, offset=offset) for offset in (0, 3, 6, 9)]
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert sorted(item.key for page in pages for item in page) == list("0123456")


@_check
async def filter_by_equality(store: Calls) -> None:
    """A filter compares text, numbers, true, null, lists and nested objects; all keys count."""
    await store.put(("n",), "1", {"a": "x", "b": 1, "c": {"d": True, "e": 0}, "f": [1, 2]})
    await store.put(("n",), "2", {"a": "x", "b": 2, "c": {"d": False}, "f": [2, 1]})
    assert await store.keys(("n",), filter={"a": "x"}) == ["1", "2"]
    assert await store.keys(("n",), filter={"a": "x", "b": 2}) == ["2"]
    assert await store.keys(("n",), filter={"c": {"d": True}}) == ["1"]
    assert await store.keys(("n",), filter={"f": [2, 1]}) == ["2"]
    assert await store.keys(("n",), filter={"a": "X"}) == []
    assert await store.keys(("n",), filter={"missing": "x"}) == []


@_check
async def filter_by_operators(store: Calls) -> None:
    """``$eq $ne $gt $gte $lt $lte`` compare numbers, alone and together."""
    for number in (1, 2, 10):
        await store.put(("n",), str(number), {"v": number})
    for wanted, keys in (
        ({"$gt": 2}, ["10"]),
        ({"$gte": 2}, ["10", "2"]),
        ({"$lt": 2}, ["1"]),
        ({"$lte": 2}, ["1", "2"]),
        ({"$eq": 10}, ["10"]),
        ({"$ne": 10}, ["1", "2"]),
        ({"$gt": 1, "$lt": 10}, ["2"]),
    ):
        assert await store.keys(("n",), filter={"v": wanted}) == keys, wanted


@_check
async def filter_fills_the_limit(store: Calls) -> None:
    """A filter is applied before the limit: rare items are found among many."""
    for number in range(60):
        await store.put(("n",), f"{number:02}", {"rare": number % 20 == 0})
    assert await store.keys(("n",), filter={"rare": True}, limit=3) == ["00", "20", "40"]


@_check
async def unknown_operator(store: Calls) -> None:
    """An operator that LangGraph does not have is an error and not an empty answer."""
    await store.put(("n",), "k", {"v": 1})
    await _raises(ValueError, store.search(("n",), filter={"v": {"$near": 1}}))


# --- batches


@_check
async def batch_answers_in_order(store: Calls) -> None:
    """Each operation of a batch has its result at its place."""
    await store.put(("a",), "k", {"v": 1})
    got, found, none, listed, missing = await store.batch(
        [
            GetOp(("a",), "k"),
            SearchOp(("a",)),
            PutOp(("b",), "k", {}),
            ListNamespacesOp(),
            GetOp(("b",), "other"),
        ]
    )
    assert got.value == {"v": 1}
    assert [item.key for item in found] == ["k"]
    assert (none, missing) == (None, None)
    assert ("a",) in listed


@_check
async def batch_reads_first(store: Calls) -> None:
    """The reads of a batch see what was there before it, as in LangGraph's own stores."""
    await store.put(("a",), "k", {"v": 1})
    _, got, found = await store.batch(
        [PutOp(("a",), "k", {"v": 2}), GetOp(("a",), "k"), SearchOp(("a",))]
    )
    assert got.value == {"v": 1}
    assert found[0].value == {"v": 1}
    assert (await store.get(("a",), "k")).value == {"v": 2}


@_check
async def batch_last_write_counts(store: Calls) -> None:
    """Of several writes to one item in a batch the last counts, a deletion as well."""
    await store.batch(
        [
            PutOp(("a",), "put", None),
            PutOp(("a",), "put", {"v": 1}),
            PutOp(("a",), "put", {"v": 2}),
            PutOp(("a",), "gone", {"v": 1}),
            PutOp(("a",), "gone", None),
        ]
    )
    assert (await store.get(("a",), "put")).value == {"v": 2}
    assert await store.get(("a",), "gone") is None


@_check
async def batch_of_many_gets(store: Calls) -> None:
    """A hundred gets of one batch, repeated keys and missing ones among them."""
    await store.batch([PutOp(("n", str(i % 4)), str(i), {"i": i}) for i in range(50)])
    wanted = [GetOp(("n", str(i % 4)), str(i % 60)) for i in range(100)]
    for op, item in zip(wanted, await store.batch(wanted), strict=True):
        there = int(op.key) < 50 and op.namespace == ("n", str(int(op.key) % 4))
        assert (item is not None) == there, op
        assert item is None or item.value == {"i": int(op.key)}


@_check
async def empty_batch(store: Calls) -> None:
    """No operations have no results."""
    assert await store.batch([]) == []


@_check
async def writers_at_once(store: Calls) -> None:
    """Of twenty writes at once none is lost, and one item stays one."""
    await asyncio.gather(*(store.put(("n",), str(i), {"i": i}) for i in range(20)))
    await asyncio.gather(*(store.put(("n",), "same", {"i": i}) for i in range(20)))
    assert len(await store.keys(("n",), limit=100)) == 21
    assert (await store.get(("n",), "same")).value["i"] in range(20)

"""The strict server keeps the documented rules of production; each test names the page.

LIMITS   https://cloud.google.com/firestore/quotas
SIZES    https://cloud.google.com/firestore/docs/storage-size
INDEXES  https://cloud.google.com/firestore/docs/query-data/index-overview
TYPES    https://cloud.google.com/firestore/docs/concepts/data-types
PRICES   https://cloud.google.com/firestore/pricing
RPC      https://cloud.google.com/firestore/docs/reference/rpc/google.firestore.v1
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import grpc
import pytest
from google.api_core import exceptions as api
from google.cloud import firestore
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1.base_query import And, Or
from google.cloud.firestore_v1.field_path import FieldPath

from tests.firestore_server.process import FirestoreServer

Filter = firestore.FieldFilter
UP, DOWN = firestore.Query.ASCENDING, firestore.Query.DESCENDING


@pytest.fixture
def client(server: FirestoreServer) -> Iterator[Any]:
    client = firestore.Client()
    yield client
    client._firestore_api.transport.close()


@pytest.fixture
def col(client: Any) -> Any:
    return client.collection("c")


def ids(query: Any) -> list[str]:
    return [document.id for document in query.stream(retry=None)]


def send(client: Any, *writes: dict[str, Any]) -> Any:
    """Commit raw writes, past what the client library checks by itself."""
    request = {"database": client._database_string, "writes": list(writes)}
    return client._firestore_api.commit(request=request, metadata=client._rpc_metadata, retry=None)


def update(client: Any, path: str, **fields: Any) -> dict[str, Any]:
    name = f"{client._database_string}/documents/{path}"
    return {"update": {"name": name, "fields": fields}}


# --- names


@pytest.mark.parametrize("id", [".", "..", "__x__", "____", "x" * 1501, "é" * 751])
def test_illegal_document_ids_are_refused(client: Any, id: str) -> None:
    """LIMITS: not . or .., not __.*__, at most 1,500 bytes."""
    with pytest.raises(api.InvalidArgument):
        send(client, update(client, f"c/{id}"))
    with pytest.raises(api.InvalidArgument):
        send(client, update(client, f"{id}/a"))


@pytest.mark.parametrize("id", ["...", "__x", "x__", "x" * 1500, "é" * 750, "🦉 % * [a]", "_"])
def test_legal_document_ids_are_taken(client: Any, id: str) -> None:
    """LIMITS: anything else is legal."""
    send(client, update(client, f"c/{id}"))
    assert client.document(f"c/{id}").get().exists


@pytest.mark.parametrize("name", ["", "__x__", "x" * 1501])
def test_illegal_field_names_are_refused(client: Any, name: str) -> None:
    """LIMITS, RPC (Document.fields): not empty, not __.*__, at most 1,500 bytes; also in maps."""
    value = {"integer_value": 1}
    with pytest.raises(api.InvalidArgument):
        send(client, update(client, "c/a", **{name: value}))
    with pytest.raises(api.InvalidArgument):
        send(client, update(client, "c/a", m={"map_value": {"fields": {name: value}}}))


def test_long_field_paths_are_refused(col: Any) -> None:
    """LIMITS: a field path has at most 1,500 bytes."""
    col.document("a").set({"a" * 700: {"b" * 700: 1}})
    with pytest.raises(api.InvalidArgument, match="field path"):
        col.document("a").set({"a" * 800: {"b" * 800: 1}})


def test_an_unknown_database_is_not_found(client: Any) -> None:
    """RPC: a database that does not exist is NOT_FOUND."""
    other = firestore.Client(database="nowhere")
    with pytest.raises(api.NotFound, match="database nowhere does not exist"):
        other.document("c/a").get(retry=None)
    other._firestore_api.transport.close()


def test_named_databases_are_apart_and_need_their_routing_header(client: Any) -> None:
    """RPC: requests carry the database in their headers, and see only this one."""
    second = firestore.Client(database="second")
    second.document("c/a").set({})
    assert not client.document("c/a").get().exists
    bare = client._firestore_api.transport.grpc_channel.unary_unary(
        "/google.firestore.v1.Firestore/Commit", types.CommitRequest.serialize
    )
    with pytest.raises(grpc.RpcError, match="routing header"):
        bare(types.CommitRequest(database=second._database_string))
    second._firestore_api.transport.close()


# --- values


def test_a_list_in_a_list_is_refused(client: Any, col: Any) -> None:
    """TYPES: an array cannot hold an array; a map in between is fine."""
    inner = {"array_value": {"values": []}}
    with pytest.raises(api.InvalidArgument, match="array"):
        send(client, update(client, "c/a", l={"array_value": {"values": [inner]}}))
    col.document("a").set({"l": [{"l": [1]}]})


def test_depth_is_limited_to_twenty(col: Any) -> None:
    """LIMITS: maps and arrays are at most 20 levels deep."""

    def nested(levels: int) -> Any:
        return {"k": nested(levels - 1)} if levels else 1

    col.document("a").set(nested(21))  # The document itself, and 20 levels in it.
    with pytest.raises(api.InvalidArgument, match="deeper"):
        col.document("a").set(nested(22))


def test_a_document_is_limited_to_one_mebibyte(col: Any) -> None:
    """LIMITS and SIZES: name (c, a: 2 + 2 + 16), two fields (2 + n + 1 each) and 32 bytes."""
    most = 1_048_576 - 20 - 2 * 3 - 32 - 1000
    col.document("a").set({"r": "x" * 1000, "s": "x" * most})
    with pytest.raises(api.InvalidArgument, match="exceeds the maximum allowed size"):
        col.document("a").set({"r": "x" * 1000, "s": "x" * (most + 1)})


def test_a_value_is_limited(col: Any) -> None:
    """LIMITS: a field value has at most 1 MiB less 89 bytes."""
    with pytest.raises(api.InvalidArgument, match="1048487"):
        col.document("a").set({"s": "x" * 1_048_487})


def test_index_entries_are_limited(col: Any) -> None:
    """LIMITS: at most 40,000 index entries for a document, one for each element of an array."""
    col.document("a").set({"l": list(range(39_998))})
    with pytest.raises(api.InvalidArgument, match="too many index entries"):
        col.document("a").set({"l": list(range(39_999))})


def test_times_have_microseconds(col: Any) -> None:
    """TYPES: a timestamp is precise to the microsecond."""
    time = datetime(1, 1, 1, 0, 0, 0, 1, timezone.utc)
    col.document("a").set({"t": time})
    assert col.document("a").get().get("t") == time


# --- writes


def test_a_commit_does_all_or_nothing(client: Any, col: Any) -> None:
    """RPC (Commit): writes are applied atomically."""
    batch = client.batch()
    batch.create(col.document("a"), {})
    batch.update(col.document("none"), {"x": 1})
    with pytest.raises(api.NotFound):
        batch.commit(retry=None)
    assert ids(col) == []


def test_the_size_of_a_commit_is_limited(client: Any, col: Any) -> None:
    """LIMITS: 500 writes (until 2023), and 10 MiB in a request."""
    writes = [update(client, f"c/{n}") for n in range(501)]
    send(client, *writes[:500])
    with pytest.raises(api.InvalidArgument, match="500"):
        send(client, *writes)
    big = {"string_value": "x" * 1_000_000}
    with pytest.raises(api.InvalidArgument, match="payload size"):
        send(client, *[update(client, f"c/{n}", s=big) for n in range(11)])


def test_preconditions_are_honoured(client: Any, col: Any) -> None:
    """RPC (Precondition): exists and update_time."""
    document = col.document("a")
    with pytest.raises(api.NotFound):
        document.update({"x": 1}, retry=None)
    first = document.create({"x": 1}).update_time
    with pytest.raises(api.AlreadyExists):
        document.create({"x": 2}, retry=None)
    document.update({"x": 2}, option=client.write_option(last_update_time=first))
    for write in (
        lambda option: document.update({"x": 3}, option=option, retry=None),
        lambda option: document.delete(option=option, retry=None),
    ):
        with pytest.raises(api.FailedPrecondition, match="required base version"):
            write(client.write_option(last_update_time=first))
    with pytest.raises(api.NotFound):
        col.document("none").delete(option=client.write_option(exists=True), retry=None)
    assert document.get().to_dict() == {"x": 2}


def test_an_unchanged_document_keeps_its_time_of_update(col: Any) -> None:
    """RPC (WriteResult): a write that changes nothing returns the previous update_time."""
    first = col.document("a").set({"x": 1}).update_time
    assert col.document("a").set({"x": 1}).update_time == first
    assert col.document("a").set({"x": 2}).update_time > first


def test_set_replaces_and_a_mask_merges(col: Any) -> None:
    """RPC (Write.update_mask): without a mask the document is replaced."""
    document = col.document("a")
    document.set({"x": 1, "m": {"a": 1, "b": 2}})
    document.set({"m": {"b": 3}}, merge=True)
    assert document.get().to_dict() == {"x": 1, "m": {"a": 1, "b": 3}}
    document.update({"m.a": firestore.DELETE_FIELD, FieldPath("od.d").to_api_repr(): 1})
    assert document.get().to_dict() == {"x": 1, "m": {"b": 3}, "od.d": 1}
    document.set({"y": 1})
    assert document.get().to_dict() == {"y": 1}


def test_transforms(col: Any) -> None:
    """RPC (FieldTransform): increment, minimum, maximum, unions, removals, server time."""
    document = col.document("a")
    document.set({"n": 2**63 - 2, "f": 1, "lo": 5, "hi": 5.0, "l": [1, 2, 2], "t": "text"})
    document.update(
        {
            "n": firestore.Increment(5),
            "f": firestore.Increment(0.5),
            "t": firestore.Increment(7),
            "lo": firestore.Minimum(3),
            "hi": firestore.Maximum(5),
            "l": firestore.ArrayUnion([2.0, 3, 3]),
            "at": firestore.SERVER_TIMESTAMP,
        }
    )
    stored = document.get().to_dict()
    at = stored.pop("at")
    assert at.microsecond % 1000 == 0
    assert timedelta(0) <= datetime.now(timezone.utc) - at < timedelta(minutes=1)
    assert stored == {
        "n": 2**63 - 1,
        "f": 1.5,
        "t": 7,
        "lo": 3,
        "hi": 5.0,
        "l": [1, 2, 2, 3],
    }
    assert type(stored["hi"]) is float
    document.update({"l": firestore.ArrayRemove([2])})
    assert document.get().get("l") == [1, 3]


def test_a_batch_write_does_each_write_by_itself(client: Any, col: Any) -> None:
    """RPC (BatchWrite): not atomic, a status for each write, no document twice."""
    col.document("b").set({})
    exists = {"current_document": {"exists": False}}
    writes = [{**update(client, f"c/{id}"), **exists} for id in "abc"]
    request = {"database": client._database_string, "writes": writes}
    options = {"metadata": client._rpc_metadata, "retry": None}
    answer = client._firestore_api.batch_write(request=request, **options)
    assert [status.code for status in answer.status] == [0, 6, 0]
    assert ids(col) == ["a", "b", "c"]
    request["writes"] = [writes[0], writes[0]]
    with pytest.raises(api.InvalidArgument, match="twice"):
        client._firestore_api.batch_write(request=request, **options)


# --- transactions


def test_a_transaction_that_was_overtaken_is_aborted(client: Any, col: Any) -> None:
    """RPC (Commit): ABORTED when what the transaction read has changed; also a query's results."""
    reads: list[Any] = [
        lambda t: col.document("a").get(transaction=t),
        lambda t: list(col.where(filter=Filter("x", ">", 0)).stream(transaction=t)),
    ]
    for n, read in enumerate(reads):
        col.document("a").set({"x": 1})
        transaction = client.transaction(max_attempts=1)
        transaction._begin()
        read(transaction)
        col.document("a").set({"x": 2 + n})
        transaction.set(col.document("b"), {"x": 1})
        with pytest.raises(api.Aborted):
            client._firestore_api.commit(
                request={
                    "database": client._database_string,
                    "writes": transaction._write_pbs,
                    "transaction": transaction._id,
                },
                metadata=client._rpc_metadata,
                retry=None,
            )
    assert not col.document("b").get().exists


def test_transactions_lose_no_update(client: Any, col: Any) -> None:
    """RPC: concurrent transactions that are retried on ABORTED count correctly."""
    from buddy.memory.testing.assertions import at_once

    col.document("a").set({"n": 0})

    def work(_: int) -> None:
        @firestore.transactional
        def increment(transaction: Any) -> None:
            n = col.document("a").get(transaction=transaction).get("n")
            transaction.update(col.document("a"), {"n": n + 1})

        increment(client.transaction(max_attempts=50))

    at_once(4, work)
    assert col.document("a").get().get("n") == 4


def test_a_finished_transaction_is_invalid(client: Any, col: Any) -> None:
    """RPC: a transaction ends with its commit or rollback."""
    transaction = client.transaction()
    transaction._begin()
    id = transaction._id
    transaction._rollback()
    with pytest.raises(api.InvalidArgument, match="no longer valid"):
        client._firestore_api.commit(
            request={"database": client._database_string, "transaction": id},
            metadata=client._rpc_metadata,
            retry=None,
        )


# --- queries


@pytest.fixture
def five(col: Any) -> Any:
    """Documents a to e with numbers, every other one with a flag, and one without a number."""
    for n, id in enumerate("abcde"):
        col.document(id).set({"n": n, "flag": n % 2 == 0, "tags": [id, "all"]})
    col.document("none").set({"flag": True})
    return col


def query_cases() -> dict[str, tuple[Any, list[str]]]:
    return {
        "all by name": (lambda c: c, ["a", "b", "c", "d", "e", "none"]),
        "one order": (lambda c: c.order_by("n", direction=DOWN), ["e", "d", "c", "b", "a"]),
        "range": (lambda c: c.where(filter=Filter("n", ">=", 3)), ["d", "e"]),
        "range in order": (
            lambda c: c.where(filter=Filter("n", "<", 2)).order_by("n", direction=DOWN),
            ["b", "a"],
        ),
        "order and name": (
            lambda c: c.order_by("flag").order_by("__name__"),
            ["b", "d", "a", "c", "e", "none"],
        ),
        "equality": (lambda c: c.where(filter=Filter("flag", "==", False)), ["b", "d"]),
        "equalities": (
            lambda c: c.where(filter=Filter("flag", "==", True)).where(filter=Filter("n", "==", 2)),
            ["c"],
        ),
        "in": (lambda c: c.where(filter=Filter("n", "in", [1, 4])), ["b", "e"]),
        "or": (
            lambda c: c.where(filter=Or([Filter("n", "==", 1), Filter("flag", "==", True)])),
            ["a", "b", "c", "e", "none"],
        ),
        "not equal": (lambda c: c.where(filter=Filter("n", "!=", 2)), ["a", "b", "d", "e"]),
        "array contains": (lambda c: c.where(filter=Filter("tags", "array_contains", "b")), ["b"]),
        "limit and offset": (lambda c: c.order_by("n").limit(2).offset(1), ["b", "c"]),
        "start after": (lambda c: c.order_by("n").start_after({"n": 2}), ["d", "e"]),
        "end at": (lambda c: c.order_by("n").end_at({"n": 1}), ["a", "b"]),
        "range of names": (
            lambda c: c.where(filter=Filter("__name__", ">", c.document("d"))),
            ["e", "none"],
        ),
    }


@pytest.mark.parametrize("case", query_cases())
def test_queries_of_single_fields_are_answered(five: Any, case: str) -> None:
    """INDEXES: automatic single-field indexes, and merging them for equalities."""
    make, expected = query_cases()[case]
    assert ids(make(five)) == expected


REFUSED: dict[str, Any] = {
    "equality and order": lambda c: c.where(filter=Filter("flag", "==", True)).order_by("n"),
    "equality and range": lambda c: c.where(
        filter=And([Filter("flag", "==", True), Filter("n", ">", 1)])
    ),
    "two orders": lambda c: c.order_by("flag").order_by("n"),
    "two ranges": lambda c: c.where(filter=And([Filter("x", ">", 1), Filter("n", ">", 1)])),
    "range and another order": lambda c: (
        c.where(filter=Filter("n", ">", 1)).order_by("n").order_by("flag")
    ),
    "mixed directions": lambda c: c.order_by("n", direction=DOWN).order_by("__name__"),
    "names descending": lambda c: c.order_by("__name__", direction=DOWN),
    "in and order": lambda c: c.where(filter=Filter("flag", "in", [True, False])).order_by("n"),
    "array contains and order": lambda c: c.where(
        filter=Filter("tags", "array_contains", "all")
    ).order_by("n"),
    "one bad alternative": lambda c: c.where(
        filter=Or([Filter("n", "==", 1), And([Filter("flag", "==", True), Filter("n", ">", 1)])])
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_queries_that_need_a_composite_index_are_refused(five: Any, case: str) -> None:
    """INDEXES: production answers FAILED_PRECONDITION, whatever documents there are."""
    with pytest.raises(api.FailedPrecondition, match="requires an index"):
        ids(REFUSED[case](five))
    with pytest.raises(api.FailedPrecondition, match="requires an index"):
        REFUSED[case](five).count().get(retry=None)


def test_collection_groups_need_an_index_of_that_scope(client: Any, five: Any) -> None:
    """INDEXES: automatic indexes have collection scope; a plain listing needs none."""
    client.document("c/a/c/below").set({"n": 9})
    assert "below" in ids(client.collection_group("c"))
    with pytest.raises(api.FailedPrecondition, match="requires an index"):
        ids(client.collection_group("c").order_by("n"))


def test_values_sort_by_type(col: Any) -> None:
    """TYPES: null, booleans, numbers (NaN first), times, text by bytes, bytes, arrays, maps."""
    time = datetime(2026, 1, 1, tzinfo=timezone.utc)
    values = [None, False, True, float("nan"), -1.5, 0, 2**62, time]
    values += ["", "Z", "a", "é", "\uffff", "\U0001f989", b"\0", [1], [1, 2], {}, {"a": 1}]
    for n, value in enumerate(values):
        col.document(f"{n:02}").set({"v": value})
    assert ids(col.order_by("v")) == [f"{n:02}" for n in range(len(values))]
    assert ids(col.where(filter=Filter("v", ">", ""))) == ["09", "10", "11", "12", "13"]


def test_a_cursor_fits_its_order(client: Any, five: Any) -> None:
    """RPC (Cursor): no more values than orders."""
    query = types.StructuredQuery(
        from_=[{"collection_id": "c"}],
        order_by=[{"field": {"field_path": "n"}, "direction": "ASCENDING"}],
        start_at={"values": [{"integer_value": 1}, {"integer_value": 2}]},
    )
    parent = f"{client._database_string}/documents"
    with pytest.raises(api.InvalidArgument, match="Cursor"):
        client._firestore_api.run_query(
            request={"parent": parent, "structured_query": query},
            metadata=client._rpc_metadata,
            retry=None,
        )


def test_projections_and_aggregations(five: Any) -> None:
    """RPC: select, count, sum, avg."""
    assert [d.to_dict() for d in five.order_by("n").select(["n"]).limit(1).stream()] == [{"n": 0}]
    ((count,),) = five.where(filter=Filter("n", ">", 1)).count().get()
    assert count.value == 3
    ((total,),) = five.sum("n").get()
    assert total.value == 10
    ((mean,),) = five.avg("n").get()
    assert mean.value == 2.0


SUMS: dict[str, tuple[Any, list[Any]]] = {
    "of a field": (lambda c: c.sum("n"), [10]),
    "and a count of what has the field": (lambda c: c.count().sum("n"), [5, 10]),
    "with a range of it": (lambda c: c.where(filter=Filter("n", ">=", 3)).sum("n"), [7]),
    "in its order": (lambda c: c.order_by("n", direction=DOWN).sum("n").avg("n"), [2.0, 10]),
    "below a map": (lambda c: c.where(filter=Filter("m.k", ">", 0)).count().sum("m.k"), [1, 4]),
    "of nothing": (lambda c: c.where(filter=Filter("n", ">", 9)).sum("n"), [0]),
}


@pytest.mark.parametrize("case", SUMS)
def test_sums_of_one_field_are_answered(five: Any, case: str) -> None:
    """INDEXES: a sum is served by the index of its field; what lacks it is not counted either."""
    five.document("a").update({"m": {"k": 4}})
    make, expected = SUMS[case]
    (found,) = make(five).get(retry=None)
    assert sorted(result.value for result in found) == expected


@pytest.mark.parametrize(
    "make",
    [
        lambda c: c.where(filter=Filter("flag", "==", True)).sum("n"),
        lambda c: c.where(filter=Filter("flag", ">", False)).avg("n"),
        lambda c: c.order_by("flag").sum("n"),
        lambda c: c.sum("n").avg("m.k"),
        lambda c: c.where(filter=Filter("tags", "array_contains", "all")).sum("n"),
    ],
    ids=["an equality", "a range", "an order", "two fields", "array contains"],
)
def test_sums_that_need_a_composite_index_are_refused(five: Any, make: Any) -> None:
    """INDEXES: a sum together with a filter or order of another field needs both in one index."""
    with pytest.raises(api.FailedPrecondition, match="requires an index"):
        make(five).get(retry=None)


def test_a_sum_that_overflows_is_a_double(col: Any) -> None:
    """RPC (Sum): integers are added up as such as long as the sum fits into 64 bits."""
    for n in range(3):
        col.document(str(n)).set({"n": 2**62})
    ((total,),) = col.sum("n").get()
    assert (type(total.value), total.value) == (float, 3 * 2.0**62)
    col.document("0").delete()
    col.document("1").set({"n": 1})
    ((total,),) = col.sum("n").get()
    assert total.value == 2**62 + 1


def test_listings_show_missing_parents_and_pages(client: Any, col: Any) -> None:
    """RPC (ListDocuments, ListCollectionIds): show_missing, page_size, ids below a document."""
    client.document("c/ghost/sub/x").set({})
    for n in range(5):
        col.document(str(n)).set({})
    listed = list(col.list_documents(page_size=2))
    assert [document.id for document in listed] == ["0", "1", "2", "3", "4", "ghost"]
    assert ids(col) == ["0", "1", "2", "3", "4"]
    assert [c.id for c in client.collections()] == ["c"]
    assert [c.id for c in client.document("c/ghost").collections()] == ["sub"]


# --- counting and faults


def test_reads_are_billed_as_documented(five: Any, server: FirestoreServer) -> None:
    """PRICES: a read for each document found, skipped or missing; one for an empty query; one
    for each thousand entries counted."""
    for call, reads in (
        (lambda: five.document("a").get(), 1),
        (lambda: five.document("missing").get(), 1),
        (lambda: ids(five), 6),
        (lambda: ids(five.order_by("n").offset(2).limit(1)), 3),
        (lambda: ids(five.where(filter=Filter("n", ">", 100))), 1),
        (lambda: five.count().get(), 1),
    ):
        server.reset()
        call()
        assert server.billed == {"reads": reads}


def test_a_fault_strikes_as_often_as_told(col: Any, server: FirestoreServer) -> None:
    """Injected faults hit the named method, after some requests, so many times, before or after."""
    server.fault(method="Commit", skip=1, times=1, code="PERMISSION_DENIED", text="no")
    col.document("a").set({})
    with pytest.raises(api.PermissionDenied, match="no"):
        col.document("b").set({})
    server.fault(method="Commit", after=True, code="UNAVAILABLE")
    with pytest.raises(api.ServiceUnavailable):
        col.document("c").set({}, retry=None)
    assert ids(col) == ["a", "c"]

"""The calls of google.firestore.v1.Firestore, each under one lock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from tests.firestore_server import queries, writes
from tests.firestore_server.control import Control
from tests.firestore_server.documents import Database, Stored
from tests.firestore_server.names import FieldPath, check_document, check_id, field_path, split
from tests.firestore_server.protocol import Refusal, invalid, message, timestamp
from tests.firestore_server.transactions import Transaction, Transactions

MAX_WRITES = 500
MAX_REQUEST = 10 * 1024 * 1024
PAGE_SIZE = 300


class Service:
    """Databases of any project. ``databases`` are the ids that exist; others are NOT_FOUND."""

    def __init__(self, control: Control, databases: list[str]) -> None:
        self._control, self._known = control, set(databases)
        self._lock = threading.RLock()
        self._databases: dict[str, tuple[Database, Transactions]] = {}

    def clear(self) -> None:
        """Forget every document."""
        with self._lock:
            self._databases.clear()

    def handle(self, method: str, request: Any, metadata: dict[str, str]) -> list[Any]:
        """Return the answers to a request, or raise a Refusal."""
        if request.ByteSize() > MAX_REQUEST:  # LIMITS: API request size
            raise invalid(f"Request payload size exceeds the limit: {MAX_REQUEST} bytes.")
        with self._lock:
            name = next(
                getattr(request, field)
                for field in ("database", "parent", "name")
                if hasattr(request, field)
            )
            database, transactions = self._open(split(name)[0], metadata)
            answers = getattr(self, _METHODS[method])(request, database, transactions)
            return list(answers)

    def _open(self, name: str, metadata: dict[str, str]) -> tuple[Database, Transactions]:
        _, project, _, id = name.split("/")
        if id not in self._known:
            raise Refusal(
                "NOT_FOUND",
                f"The database {id} does not exist for project {project} Please visit "
                f"https://console.cloud.google.com/datastore/setup?project={project} to add a "
                "Cloud Datastore or Cloud Firestore database.",
            )
        # A request for a named database is routed by its headers.
        routed = unquote(metadata.get("x-goog-request-params", ""))
        if name not in routed and metadata.get("google-cloud-resource-prefix") != name:
            raise invalid("Missing routing header. Please fill in x-goog-request-params.")
        return self._databases.setdefault(name, (Database(name), Transactions()))

    # --- reading

    def _get(self, request: Any, database: Database, open: Transactions) -> Iterator[Any]:
        _refuse_read_time(request)
        path = check_document(split(request.name)[1])
        self._control.bill("reads", 1)
        if request.transaction:
            open.get(request.transaction).saw(lambda: database.version(path))
        stored = database.get(path)
        if stored is None:
            raise Refusal("NOT_FOUND", f'Document "{request.name}" not found.')
        yield stored.message(database.name, _mask(request))

    def _batch_get(self, request: Any, database: Database, open: Transactions) -> Iterator[Any]:
        answer = message("BatchGetDocumentsResponse")
        paths = [_path_in(database, name) for name in dict.fromkeys(request.documents)]
        transaction, started = _transaction(request, open)
        if started:
            yield answer(transaction=started)
        self._control.bill("reads", len(paths))  # PRICES: also for documents that do not exist
        for path in paths:
            check_document(path)
            if transaction:
                transaction.saw(lambda path=path: database.version(path))  # type: ignore[misc]
            stored, now = database.get(path), timestamp(database.now())
            if stored is None:
                yield answer(missing=f"{database.name}/documents/{path}", read_time=now)
            else:
                yield answer(found=stored.message(database.name, _mask(request)), read_time=now)

    def _run_query(self, request: Any, database: Database, open: Transactions) -> Iterator[Any]:
        answer = message("RunQueryResponse")
        parent, query = split(request.parent)[1], request.structured_query
        transaction, started = _transaction(request, open)
        if started:
            yield answer(transaction=started)
        found = queries.run(database, parent, query)
        if transaction:
            transaction.saw(lambda: _seen(queries.run(database, parent, query).documents))
        # PRICES: skipped documents are read too, and a query without results costs one read.
        self._control.bill("reads", max(1, len(found.documents) + found.skipped))
        now = timestamp(database.now())
        if not found.documents:
            yield answer(read_time=now, skipped_results=found.skipped)
        for stored in found.documents:
            yield answer(document=stored.message(database.name, found.mask), read_time=now)

    def _aggregate(self, request: Any, database: Database, open: Transactions) -> Iterator[Any]:
        answer = message("RunAggregationQueryResponse")
        parent, query = split(request.parent)[1], request.structured_aggregation_query
        transaction, started = _transaction(request, open)
        if started:
            yield answer(transaction=started)
        values, counted = queries.aggregate(database, parent, query)
        if transaction:
            transaction.saw(lambda: str(queries.aggregate(database, parent, query)))
        # PRICES: one read for up to 1,000 index entries.
        self._control.bill("reads", max(1, -(-counted // 1000)))
        yield answer(result={"aggregate_fields": values}, read_time=timestamp(database.now()))

    def _list(self, request: Any, database: Database, open: Transactions) -> Iterator[Any]:
        _refuse_read_time(request)
        if request.order_by and request.show_missing:
            raise invalid("show_missing goes with no order")  # RPC: ListDocumentsRequest
        if request.order_by:
            raise Refusal("UNIMPLEMENTED", "this server lists documents by name only")
        check_id(request.collection_id, "Collection id")
        parent = split(request.parent)[1]
        collection = f"{parent}/{request.collection_id}" if parent else request.collection_id
        ids, token = _page(database.document_ids(collection, request.show_missing), request)
        self._control.bill("reads", max(1, len(ids)))
        documents = []
        for id in ids:
            stored = database.get(f"{collection}/{id}")
            if stored is None:
                name = f"{database.name}/documents/{collection}/{id}"
                documents.append(message("Document")(name=name))
            else:
                documents.append(stored.message(database.name, _mask(request)))
        yield message("ListDocumentsResponse")(documents=documents, next_page_token=token)

    def _collection_ids(self, request: Any, database: Database, _: Transactions) -> Iterator[Any]:
        ids, token = _page(database.collection_ids(split(request.parent)[1]), request)
        self._control.bill("reads", max(1, len(ids)))
        yield message("ListCollectionIdsResponse")(collection_ids=ids, next_page_token=token)

    # --- writing

    def _commit(self, request: Any, database: Database, open: Transactions) -> Iterator[Any]:
        if len(request.writes) > MAX_WRITES:
            # LIMITS named this number until 2023; larger commits are not to be relied on.
            raise invalid(f"maximum {MAX_WRITES} writes allowed per request")
        if request.transaction:
            transaction = open.end(request.transaction)
            transaction.check()
            if transaction.read_only and request.writes:
                raise invalid("Cannot modify entities in a read-only transaction.")
        now = database.now()
        staged: dict[str, Stored | None] = {}
        results = []
        for write in request.writes:
            path = writes.path_in(database.name, write)
            before = staged[path] if path in staged else database.get(path)
            staged[path], transformed = writes.apply(write, path, before, now)
            results.append(_result(staged[path], transformed))
        for path, stored in staged.items():  # All of them, or (above) none.
            database.put(path, stored)
        self._bill_writes(request.writes)
        yield message("CommitResponse")(write_results=results, commit_time=timestamp(now))

    def _batch_write(self, request: Any, database: Database, _: Transactions) -> Iterator[Any]:
        if len(request.writes) > MAX_WRITES:
            raise invalid(f"maximum {MAX_WRITES} writes allowed per request")
        paths = [writes.path_in(database.name, write) for write in request.writes]
        if len(set(paths)) < len(paths):
            # RPC: "You cannot write to the same document more than once per request."
            raise invalid("the same document is written twice in one request")
        answer = message("BatchWriteResponse")()
        for path, write in zip(paths, request.writes, strict=True):
            status, result = answer.status.add(), answer.write_results.add()
            try:
                stored, transformed = writes.apply(write, path, database.get(path), database.now())
            except Refusal as refusal:
                status.code, status.message = refusal.code.value[0], refusal.text
                continue
            database.put(path, stored)
            result.CopyFrom(_result(stored, transformed))
            self._bill_writes([write])
        yield answer

    def _bill_writes(self, done: Any) -> None:
        deletes = sum(write.WhichOneof("operation") == "delete" for write in done)
        self._control.bill("deletes", deletes)
        self._control.bill("writes", len(done) - deletes)

    def _begin(self, request: Any, _: Database, open: Transactions) -> Iterator[Any]:
        yield message("BeginTransactionResponse")(transaction=open.begin(request.options))

    def _rollback(self, request: Any, _: Database, open: Transactions) -> Iterator[Any]:
        from google.protobuf.empty_pb2 import Empty

        open.end(request.transaction)
        yield Empty()


_METHODS = {
    "GetDocument": "_get",
    "BatchGetDocuments": "_batch_get",
    "RunQuery": "_run_query",
    "RunAggregationQuery": "_aggregate",
    "ListDocuments": "_list",
    "ListCollectionIds": "_collection_ids",
    "Commit": "_commit",
    "BatchWrite": "_batch_write",
    "BeginTransaction": "_begin",
    "Rollback": "_rollback",
}
STREAMING = ("BatchGetDocuments", "RunQuery", "RunAggregationQuery")
METHODS = tuple(_METHODS)


def _transaction(request: Any, open: Transactions) -> tuple[Transaction | None, bytes]:
    """Return the transaction that a read belongs to, and its id when it starts with this read."""
    selector = request.WhichOneof("consistency_selector")
    _refuse_read_time(request)
    if selector == "transaction":
        return open.get(request.transaction), b""
    if selector == "new_transaction":
        id = open.begin(request.new_transaction)
        return open.get(id), id
    return None, b""


def _refuse_read_time(request: Any) -> None:
    if request.HasField("read_time"):
        raise Refusal("UNIMPLEMENTED", "this server keeps no past states")


def _path_in(database: Database, name: str) -> str:
    owner, path = split(name)
    if owner != database.name:
        raise invalid(f"{name} is not in {database.name}")
    return path


def _mask(request: Any) -> list[FieldPath] | None:
    if not request.HasField("mask"):
        return None
    return [field_path(text) for text in request.mask.field_paths if text != "__name__"]


def _seen(documents: list[Stored]) -> tuple[tuple[str, int], ...]:
    return tuple((stored.path, stored.updated) for stored in documents)


def _result(stored: Stored | None, transformed: list[Any]) -> Any:
    result = message("WriteResult")(transform_results=transformed)
    if stored is not None:
        result.update_time.CopyFrom(timestamp(stored.updated))
    return result


def _page(ids: list[str], request: Any) -> tuple[list[str], str]:
    """Return one page of sorted ids, and the token of the next one ("": none)."""
    size = request.page_size or PAGE_SIZE
    if size < 0:
        raise invalid("page_size must not be negative")
    after = request.page_token.encode()
    rest = [id for id in ids if id.encode() > after] if after else ids
    return rest[:size], rest[size - 1] if len(rest) > size else ""

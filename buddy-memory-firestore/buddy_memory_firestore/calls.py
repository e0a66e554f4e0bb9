"""The requests that this backend makes, as plain calls on one database."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from google.cloud.firestore_v1 import types

from buddy_memory_firestore.client import Connection
from buddy_memory_firestore.deadline import Deadline

Write: Any = types.Write.pb()
Query: Any = types.StructuredQuery.pb()
Value: Any = types.Value.pb()
_Filter: Any = Query.Filter
_Field: Any = Query.FieldFilter

T = TypeVar("T")

NO_FIELDS: list[str] = ["__name__"]
MAX_IN = 30
"""Values that one ``in`` may name."""


class Range(NamedTuple):
    """The documents of a collection whose text in one field is at least ``low`` and, unless that
    is None, below ``high``. The automatic index of the field serves filter, order and pages."""

    collection: str
    field: str
    low: str
    high: str | None


class Counted(NamedTuple):
    """The number of documents, the sum of a field, and the server's time of this answer."""

    documents: int
    total: float
    time: Any


def _request(name: str, **fields: Any) -> Any:
    """Return a request in the wrapper that the client library takes, without a copy."""
    cls = getattr(types, name)
    return cls.wrap(cls.pb()(**fields))


class Calls:
    """Each method is one request; paths are those below ``documents``.

    Every request has the connection's timeout, unless all of them together end at a deadline.
    """

    def __init__(self, connection: Connection, deadline: Deadline | None = None) -> None:
        self.connection = connection
        self._deadline = deadline

    @property
    def deadline(self) -> Deadline:
        """When the next request ends."""
        return self._deadline or Deadline(self.connection.timeout)

    def within_timeout(self) -> Calls:
        """Return calls that all together end within the timeout."""
        return Calls(self.connection, Deadline(self.connection.timeout))

    async def again(self, deadline: Deadline, reason: str) -> None:
        """Wait after a lost race; raise UnavailableError when it is too late for an attempt."""
        await self.connection.again(deadline, reason)

    async def gather(self, calls: Sequence[Callable[[], Coroutine[Any, Any, T]]]) -> list[T]:
        """Return what the calls return, made at once."""
        return await self.connection.gather(calls)

    async def _call(self, method: str, request: Any, *, is_conditional: bool = False) -> Any:
        return await self.connection.call(
            method, request, self.deadline, is_conditional=is_conditional
        )

    async def name(self, path: str) -> str:
        """Return the full name of the document at a path."""
        return f"{await self.connection.root()}/documents/{path}"

    # --- documents

    async def commit(self, writes: Sequence[Any]) -> list[Any]:
        """Do all writes or none; return the time of update of each document."""
        root = await self.connection.root()
        request = _request("CommitRequest", database=root, writes=writes)
        is_conditional = any(write.HasField("current_document") for write in writes)
        answer = await self._call("commit", request, is_conditional=is_conditional)
        return [result.update_time for result in type(answer).pb(answer).write_results]

    async def batch(self, writes: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Do each write or not; return the status of each, and its time of update."""
        root = await self.connection.root()
        request = _request("BatchWriteRequest", database=root, writes=writes)
        answer = await self._call("batch_write", request)
        answer = type(answer).pb(answer)
        return list(answer.status), [result.update_time for result in answer.write_results]

    async def get(self, paths: Sequence[str], mask: list[str] | None = None) -> dict[str, Any]:
        """Return the documents that exist, by path, with the fields of the mask."""
        root = await self.connection.root()
        prefix = f"{root}/documents/"
        fields: dict[str, Any] = {"database": root, "documents": [prefix + path for path in paths]}
        if mask is not None:
            fields["mask"] = {"field_paths": mask}
        request = _request("BatchGetDocumentsRequest", **fields)
        parts = await self._call("batch_get_documents", request)
        found = (type(part).pb(part) for part in parts)
        return {part.found.name[len(prefix) :]: part.found for part in found if part.found.name}

    # --- queries

    async def query(
        self,
        range: Range,
        limit: int,
        *,
        newest_first: bool = False,
        after: str | None = None,
        mask: list[str] | None = None,
    ) -> list[Any]:
        """Return up to ``limit`` documents in the order of the field, from beyond a value of it."""
        query = _of_range(range)
        order = query.order_by.add()
        order.field.field_path = range.field
        order.direction = Query.DESCENDING if newest_first else Query.ASCENDING
        query.limit.value = limit
        if after is not None:
            query.start_at.before = False
            query.start_at.values.add().string_value = after
        return await self._run(query, mask)

    async def query_in(
        self, collection: str, field: str, values: Sequence[str], limit: int
    ) -> list[Any]:
        """Return up to ``limit`` documents with one of the values (at most MAX_IN) in a field."""
        query = Query(limit={"value": limit})
        query.from_.add().collection_id = collection
        query.where.field_filter.field.field_path = field
        query.where.field_filter.op = _Field.IN
        for value in values:
            query.where.field_filter.value.array_value.values.add().string_value = value
        return await self._run(query, None)

    async def query_until(
        self, collection: str, field: str, time: datetime, limit: int
    ) -> list[Any]:
        """Return up to ``limit`` documents whose time in a field is not after ``time``, the first
        ones, with that field alone."""
        query = _until(collection, field, time)
        query.order_by.add().field.field_path = field
        query.limit.value = limit
        return await self._run(query, [field])

    async def count_until(self, collection: str, field: str, time: datetime) -> Counted:
        """Count the documents whose time in a field is not after ``time``."""
        return await self._aggregate(_until(collection, field, time), None)

    async def any(self, collection: str) -> bool:
        """Tell whether a collection has a document, one of ours or not."""
        query = Query(limit={"value": 1})
        query.from_.add().collection_id = collection
        return bool(await self._run(query, NO_FIELDS))

    async def _run(self, query: Any, mask: list[str] | None) -> list[Any]:
        for name in mask or ():
            query.select.fields.add().field_path = name
        parent = f"{await self.connection.root()}/documents"
        request = _request("RunQueryRequest", parent=parent, structured_query=query)
        parts = await self._call("run_query", request)
        found = (type(part).pb(part) for part in parts)
        return [part.document for part in found if part.document.name]

    async def count(self, range: Range) -> Counted:
        """Count documents; the sum is 0."""
        return await self._aggregate(_of_range(range), None)

    async def sum(self, collection: str, path: str) -> Counted:
        """Count the documents with a number of 0 or more at a field path, and add these up."""
        query = Query()
        query.from_.add().collection_id = collection
        query.where.field_filter.field.field_path = path
        query.where.field_filter.op = _Field.GREATER_THAN_OR_EQUAL
        query.where.field_filter.value.integer_value = 0
        return await self._aggregate(query, path)

    async def _aggregate(self, query: Any, path: str | None) -> Counted:
        wanted: list[Any] = [{"count": {}, "alias": "count"}]
        if path is not None:
            wanted.append({"sum": {"field": {"field_path": path}}, "alias": "sum"})
        request = _request(
            "RunAggregationQueryRequest",
            parent=f"{await self.connection.root()}/documents",
            structured_aggregation_query={"structured_query": query, "aggregations": wanted},
        )
        (part,) = await self._call("run_aggregation_query", request)
        answer = type(part).pb(part)
        fields, total = answer.result.aggregate_fields, 0
        if path is not None:
            kind = fields["sum"].WhichOneof("value_type")
            total = getattr(fields["sum"], kind)
        return Counted(int(fields["count"].integer_value), total, answer.read_time)

    # --- listings by name

    async def list_documents(
        self, parent: str, collection: str, limit: int, mask: list[str], token: str = ""
    ) -> tuple[list[Any], str]:
        """Return documents by name, also missing ones with something below, and the next token."""
        root = await self.connection.root()
        request = _request(
            "ListDocumentsRequest",
            parent=f"{root}/documents{'/' if parent else ''}{parent}",
            collection_id=collection,
            page_size=limit,
            page_token=token,
            mask={"field_paths": mask},
            show_missing=True,
        )
        pager = await self._call("list_documents", request)
        answer = type(pager._response).pb(pager._response)
        return list(answer.documents), answer.next_page_token

    async def list_collections(self, path: str) -> list[str]:
        """Return the ids of the (first few hundred) collections below a document."""
        request = _request("ListCollectionIdsRequest", parent=await self.name(path))
        pager = await self._call("list_collection_ids", request)
        return list(type(pager._response).pb(pager._response).collection_ids)


def _until(collection: str, field: str, time: datetime) -> Any:
    query = Query()
    query.from_.add().collection_id = collection
    query.where.field_filter.field.field_path = field
    query.where.field_filter.op = _Field.LESS_THAN_OR_EQUAL
    query.where.field_filter.value.timestamp_value.FromDatetime(time)
    return query


def _of_range(range: Range) -> Any:
    query = Query()
    query.from_.add().collection_id = range.collection
    query.where.composite_filter.op = Query.CompositeFilter.AND
    bounds = [(_Field.GREATER_THAN_OR_EQUAL, range.low)]
    if range.high is not None:
        bounds.append((_Field.LESS_THAN, range.high))
    for op, text in bounds:
        part = {"field": {"field_path": range.field}, "op": op, "value": Value(string_value=text)}
        query.where.composite_filter.filters.append(_Filter(field_filter=part))
    return query

"""The requests that this backend makes, as plain calls on one database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from google.cloud.firestore_v1 import types

from buddy_memory_firestore import names
from buddy_memory_firestore.connection import Connection
from buddy_memory_firestore.documents import Position

Write: Any = types.Write.pb()
Query: Any = types.StructuredQuery.pb()
Value: Any = types.Value.pb()
_Filter: Any = Query.Filter
_Field: Any = Query.FieldFilter

_LEAST = -(2**63)
NO_FIELDS: list[str] = ["__name__"]


class Scope(NamedTuple):
    """The rows of a collection that a query is about: of one user, or (None) of all."""

    collection: str
    user_id: str | None


def _request(name: str, **fields: Any) -> Any:
    """Return a request in the wrapper that the client library takes, without a copy."""
    cls = getattr(types, name)
    return cls.wrap(cls.pb()(**fields))


class Calls:
    """Each method is one request; names are full document names."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def name(self, path: str) -> str:
        """Return the full name of the document at a path."""
        return f"{await self.connection.root()}/documents/{path}"

    async def commit(self, writes: Sequence[Any]) -> list[Any]:
        """Do all writes or none; return the time of update of each document."""
        root = await self.connection.root()
        request = _request("CommitRequest", database=root, writes=writes)
        answer = await self.connection.call("commit", request)
        return [result.update_time for result in type(answer).pb(answer).write_results]

    async def batch(self, writes: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Do each write or not; return the status of each, and its time of update."""
        root = await self.connection.root()
        request = _request("BatchWriteRequest", database=root, writes=writes)
        answer = await self.connection.call("batch_write", request)
        answer = type(answer).pb(answer)
        return list(answer.status), [result.update_time for result in answer.write_results]

    async def get(self, paths: Sequence[str], mask: list[str] | None = None) -> dict[str, Any]:
        """Return the documents that exist, by path, with the fields of the mask."""
        root = await self.connection.root()
        prefix = f"{root}/documents/"
        fields: dict[str, Any] = {"database": root, "documents": [prefix + path for path in paths]}
        if mask is not None:
            fields["mask"] = {"field_paths": mask}
        parts = await self.connection.call(
            "batch_get_documents", _request("BatchGetDocumentsRequest", **fields)
        )
        found = (type(part).pb(part) for part in parts)
        return {part.found.name[len(prefix) :]: part.found for part in found if part.found.name}

    async def query(
        self,
        scope: Scope,
        limit: int,
        *,
        newest_first: bool = False,
        after: Position | None = None,
        mask: list[str] | None = None,
    ) -> list[Any]:
        """Return up to ``limit`` documents in the order of writing, from beyond a position."""
        root = await self.connection.root()
        query = _in_order(scope, newest_first)
        query.limit.value = limit
        if after is not None:
            query.start_at.before = False
            query.start_at.values.add().CopyFrom(_place(scope, after.order))
            query.start_at.values.add().reference_value = (
                f"{root}/documents/{scope.collection}/{after.document_id}"
            )
        for name in mask or ():
            query.select.fields.add().field_path = name
        return await self._run(root, query)

    async def any(self, collection: str) -> bool:
        """Tell whether a collection has a document, one of ours or not."""
        query = Query(limit={"value": 1})
        query.from_.add().collection_id = collection
        query.select.fields.add().field_path = "__name__"
        return bool(await self._run(await self.connection.root(), query))

    async def _run(self, root: str, query: Any) -> list[Any]:
        request = _request("RunQueryRequest", parent=f"{root}/documents", structured_query=query)
        parts = await self.connection.call("run_query", request)
        found = (type(part).pb(part) for part in parts)
        return [part.document for part in found if part.document.name]

    async def count(self, scope: Scope) -> int:
        """Return the number of documents."""
        root = await self.connection.root()
        aggregation = {
            "structured_query": _in_order(scope, False),
            "aggregations": [{"count": {}, "alias": "n"}],
        }
        request = _request(
            "RunAggregationQueryRequest",
            parent=f"{root}/documents",
            structured_aggregation_query=aggregation,
        )
        parts = await self.connection.call("run_aggregation_query", request)
        found = [type(part).pb(part).result.aggregate_fields for part in parts]
        return sum(int(fields["n"].integer_value) for fields in found if "n" in fields)

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
        pager = await self.connection.call("list_documents", request)
        answer = type(pager._response).pb(pager._response)
        return list(answer.documents), answer.next_page_token

    async def list_collections(self, path: str) -> list[str]:
        """Return the ids of the (first few hundred) collections below a document."""
        request = _request("ListCollectionIdsRequest", parent=await self.name(path))
        pager = await self.connection.call("list_collection_ids", request)
        return list(type(pager._response).pb(pager._response).collection_ids)


def _place(scope: Scope, order: Any) -> Any:
    """Return the value that sorts a row in its scope."""
    if scope.user_id is not None:
        return Value(string_value=names.user_order(scope.user_id, order))
    return Value(double_value=order) if isinstance(order, float) else Value(integer_value=order)


def _in_order(scope: Scope, newest_first: bool) -> Any:
    """Return a query of one field's range in its order, which its automatic index serves."""
    query = Query()
    query.from_.add().collection_id = scope.collection
    if scope.user_id is None:
        field, bounds = "order", [(_Field.GREATER_THAN_OR_EQUAL, Value(integer_value=_LEAST))]
    else:
        first, beyond = names.user_range(scope.user_id)
        field, bounds = (
            "user_order",
            [
                (_Field.GREATER_THAN_OR_EQUAL, Value(string_value=first)),
                (_Field.LESS_THAN, Value(string_value=beyond)),
            ],
        )
    query.where.composite_filter.op = Query.CompositeFilter.AND
    for op, value in bounds:
        part = {"field": {"field_path": field}, "op": op, "value": value}
        query.where.composite_filter.filters.append(_Filter(field_filter=part))
    for name in (field, "__name__"):
        order = query.order_by.add()
        order.field.field_path = name
        order.direction = Query.DESCENDING if newest_first else Query.ASCENDING
    return query

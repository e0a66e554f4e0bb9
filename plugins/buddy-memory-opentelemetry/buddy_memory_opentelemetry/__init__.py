"""OpenTelemetry spans and metrics for every operation on a store.

Names follow the semantic conventions for database client spans and metrics; spans of operations on
memories also have the attributes of memory operations of generative AI (in development). No
payload, id or user id goes into an attribute.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from time import perf_counter

from opentelemetry import metrics, trace

from buddy.memory.hookspecs import Operation, hookimpl

__all__ = ["Telemetry"]

_NAME, _VERSION = "buddy_memory_opentelemetry", "0.1.0"
_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)  # seconds, as the conventions advise
_COUNT = "gen_ai.memory.record.count"
_SYSTEMS = {
    "firestore": "gcp.firestore",
    "in": "memory",
    "mongo": "mongodb",
    "pg": "postgresql",
    "postgres": "postgresql",
}
_READS = ("get", "get_many", "find", "page")
_MEMORY_OPERATIONS = {
    "create": "create_memory_store",
    "drop": "delete_memory_store",
    **dict.fromkeys(("put", "put_many"), "upsert_memory"),
    "restore": "create_memory",
    **dict.fromkeys(("rewrite", "touch"), "update_memory"),
    **dict.fromkeys(("delete", "delete_many", "delete_all", "delete_legacy"), "delete_memory"),
    **dict.fromkeys(_READS, "search_memory"),
}
"""What the conventions of generative AI call our operations; they have one that reads."""


class Telemetry:
    """The plugin. Without providers it uses the global ones, also those that are set later."""

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        self._tracer = trace.get_tracer(_NAME, _VERSION, tracer_provider)
        meter = metrics.get_meter(_NAME, _VERSION, meter_provider)
        self._duration = meter.create_histogram(
            "db.client.operation.duration",
            unit="s",
            description="Duration of database client operations.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )

    # Around the other observers, whose time is spent on the operation, too.
    @hookimpl(tryfirst=True)
    def buddy_memory_operation(self, operation: Operation) -> AbstractContextManager[None]:
        """Return what spans the operation."""
        return self._around(operation)

    @contextmanager
    def _around(self, operation: Operation) -> Generator[None]:
        attributes: dict[str, str | int] = {
            "db.system.name": _system(operation.backend),
            "db.operation.name": operation.name,
        }
        target = operation.kind.value if operation.kind else attributes["db.system.name"]
        span = self._tracer.start_as_current_span(
            f"{operation.name} {target}",
            kind=trace.SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,  # Its text may name ids.
            set_status_on_exception=False,
        )
        with span as current:
            started = perf_counter()
            try:
                yield
            except BaseException as error:
                attributes["error.type"] = f"{type(error).__module__}.{type(error).__qualname__}"
                current.set_status(trace.StatusCode.ERROR, type(error).__name__)
                raise
            finally:
                self._duration.record(perf_counter() - started, attributes)
                current.set_attributes({**attributes, **_sizes(operation), **_memory(operation)})


def _sizes(operation: Operation) -> dict[str, int]:
    sizes: dict[str, int] = {}
    if operation.name in _READS:
        if operation.rows is not None:
            sizes["db.response.returned_rows"] = operation.rows
    elif len(operation.keys) > 1:
        sizes["db.operation.batch.size"] = len(operation.keys)
    return sizes


def _memory(operation: Operation) -> dict[str, str | int]:
    """Return the attributes of generative AI's memory operations; none where this is none."""
    name = _MEMORY_OPERATIONS.get(operation.name)
    if name is None:
        return {}
    # What was returned, or what was attempted.
    number = operation.rows if operation.name in _READS else len(operation.keys) or operation.rows
    count = {} if number is None or operation.kind is None else {_COUNT: number}
    return {"gen_ai.operation.name": name, **count}


def _system(backend: str) -> str:
    """Return the conventions' name of what ``SqliteMemoryDb`` and the like talk to."""
    name = backend.removeprefix("Async").removesuffix("MemoryDb").lower()
    return _SYSTEMS.get(name, name or "other")

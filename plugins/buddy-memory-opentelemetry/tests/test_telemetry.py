"""Spans and metrics, as OpenTelemetry's own SDK receives them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from buddy.memory import open_async_memory_db, open_memory_db, plugins
from buddy.memory.errors import ConflictError
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.testing import BackendUnderTest, run_checks
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from buddy_memory_opentelemetry import Telemetry


class Seen(NamedTuple):
    """What was exported."""

    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader
    tracers: TracerProvider

    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def points(self) -> list[Any]:
        data = self.reader.get_metrics_data()
        assert data is not None
        (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
        assert (metric.name, metric.unit) == ("db.client.operation.duration", "s")
        return list(metric.data.data_points)


@pytest.fixture
def seen() -> Iterator[Seen]:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(), MeterProvider(metric_readers=[reader])
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    plugin = Telemetry(tracers, meters)
    plugins.register(plugin)
    yield Seen(exporter, reader, tracers)
    plugins.unregister(plugin)
    tracers.shutdown()
    meters.shutdown()


def test_every_operation_is_a_client_span(seen: Seen, tmp_path: Path) -> None:
    """A span has the conventions' names: operation, target, system, and how many rows."""
    with open_memory_db(f"sqlite:///{tmp_path}/a.db") as db:
        db.upsert_memories([MemoryRow({"tea": 1}, "a", "ann"), MemoryRow({"tea": 2}, "b", "ann")])
        db.read_memories("ann")
        db.ping()
    put, page, ping = seen.spans()[:3]
    assert [put.name, page.name, ping.name] == ["put_many memory", "page memory", "ping sqlite"]
    assert {span.kind for span in (put, page, ping)} == {SpanKind.CLIENT}
    system = {"db.system.name": "sqlite"}
    assert put.attributes == {
        **system,
        "db.operation.name": "put_many",
        "db.operation.batch.size": 2,
        "gen_ai.operation.name": "upsert_memory",
        "gen_ai.memory.record.count": 2,
    }
    assert page.attributes == {
        **system,
        "db.operation.name": "page",
        "db.response.returned_rows": 2,
        "gen_ai.operation.name": "search_memory",
        "gen_ai.memory.record.count": 2,
    }
    assert put.status.status_code is StatusCode.UNSET


def test_memory_operations_of_generative_ai(seen: Seen) -> None:
    """Each operation on memories has a name of the conventions and a number of rows."""
    db = StoreBackedMemoryDb(InMemoryStore())
    db.create()
    db.upsert_memory(MemoryRow({}, "a", "ann"))
    db.read_memory("a", user_id="ann")
    db.touch_memories(["a"], user_id="ann", ttl=60)
    db.delete_memory("a", user_id="ann")
    db.delete_memories(["x", "y"], user_id="ann")
    db.count_memories()
    db.drop_table()
    told = [
        (span.attributes or {}).get("gen_ai.operation.name", "")
        + str((span.attributes or {}).get("gen_ai.memory.record.count", ""))
        for span in seen.spans()
    ]
    assert told == [
        "create_memory_store", "upsert_memory1", "search_memory1", "update_memory1",
        "delete_memory1", "delete_memory2", "", "delete_memory_store",
    ]  # fmt: skip


def test_spans_stand_below_the_span_of_the_caller(seen: Seen, tmp_path: Path) -> None:
    """Sync and async, an operation's span is a child of the one that was current."""
    tracer = seen.tracers.get_tracer("test")

    async def read() -> None:
        async with open_async_memory_db(f"sqlite:///{tmp_path}/a.db") as db:
            with tracer.start_as_current_span("agent"):
                await db.read_memories()

    asyncio.run(read())
    with tracer.start_as_current_span("agent"):
        StoreBackedMemoryDb(InMemoryStore()).read_memories()
    pages = [span for span in seen.spans() if span.name == "page memory"]
    agents = [span for span in seen.spans() if span.name == "agent"]
    assert len(pages) == len(agents) == 2
    for page, agent in zip(pages, agents, strict=True):
        assert page.parent is not None
        assert agent.context is not None
        assert page.parent.span_id == agent.context.span_id


def test_an_error_is_a_status_and_a_type(seen: Seen) -> None:
    """A failed operation has the status error and its type, in the span and the metric."""
    db = StoreBackedMemoryDb(InMemoryStore())
    with pytest.raises(ConflictError):
        db.upsert_memory(MemoryRow({}, "secret-id"), if_version=7)
    (span,), (point,) = seen.spans(), seen.points()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "ConflictError"
    assert span.attributes is not None
    assert span.attributes["error.type"] == "buddy.memory.errors.ConflictError"
    assert point.attributes["error.type"] == "buddy.memory.errors.ConflictError"


def test_reads_by_id_tell_how_many_rows_came(seen: Seen) -> None:
    """A read of several ids returns rows, whether the user is named or not."""
    db = StoreBackedMemoryDb(InMemoryStore())
    db.upsert_memories([MemoryRow({}, "a", "ann"), MemoryRow({}, "b", "ann")])
    db.read_memories_by_id(["a", "b", "c"], user_id="ann")
    db.read_memories_by_id(["a", "b", "c"])
    named, alone = seen.spans()[1:]
    assert [named.name, alone.name] == ["get_many memory", "find memory"]
    for span in (named, alone):
        assert span.attributes is not None
        assert span.attributes["db.response.returned_rows"] == 2


def test_durations_are_a_histogram_in_seconds(seen: Seen) -> None:
    """Every operation is counted once, by system and operation, in the advised buckets."""
    db = StoreBackedMemoryDb(InMemoryStore())
    for n in range(5):
        db.upsert_memory(MemoryRow({}, str(n)))
    db.count_memories()
    counts: dict[Any, int] = {}
    for point in seen.points():
        assert isinstance(point, HistogramDataPoint)
        assert point.explicit_bounds[0] == 0.001
        assert 0 < point.sum < 5
        counts[point.attributes["db.operation.name"]] = point.count  # type: ignore[index]
    assert counts == {"put": 5, "count": 1}


def test_nothing_of_a_row_is_exported(seen: Seen) -> None:
    """No payload, id or user id is in any span or metric, also when an operation fails."""
    db = StoreBackedMemoryDb(InMemoryStore())
    db.upsert_memory(MemoryRow({"drinks": "quinine"}, "quinine-1", "quinine-user"))
    db.read_memories("quinine-user")
    with pytest.raises(ConflictError):
        db.delete_memory("quinine-1", user_id="quinine-user", if_version=9)
    exported = [span.to_json() for span in seen.spans()]
    assert len(exported) == 3
    assert "quinine" not in "".join(exported) + str(seen.reader.get_metrics_data())


@pytest.mark.parametrize(
    ("backend", "system"),
    [
        ("SqliteMemoryDb", "sqlite"),
        ("AsyncPostgresMemoryDb", "postgresql"),
        ("PgMemoryDb", "postgresql"),
        ("MongoMemoryDb", "mongodb"),
        ("AsyncRedisMemoryDb", "redis"),
        ("FirestoreMemoryDb", "gcp.firestore"),
        ("InMemoryDb", "memory"),
        ("AcmeMemoryDb", "acme"),
    ],
)
def test_systems_have_their_conventional_names(seen: Seen, backend: str, system: str) -> None:
    """The class of a backend gives the name of its system."""
    type(backend, (StoreBackedMemoryDb,), {})(InMemoryStore()).ping()
    (span,) = seen.spans()
    assert span.attributes is not None
    assert span.attributes["db.system.name"] == system


def test_every_rule_holds_under_telemetry(seen: Seen) -> None:
    """A database that is traced keeps every rule."""

    def subject() -> BackendUnderTest:
        store = InMemoryStore()
        return BackendUnderTest(open=lambda: StoreBackedMemoryDb(store), waits=False)

    outcomes = run_checks(subject)
    assert [o for o in outcomes if o.status == "failed"] == []
    assert seen.spans()

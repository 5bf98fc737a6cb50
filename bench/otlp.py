"""`bench otlp`: spans of OpenTelemetry through the whole web application, against `bench ingest` in the same run.

Each of two processes is a web worker: it is given requests as WSGI gives them, one after the other, each a protobuf
body of 512 spans compressed as OpenTelemetry's exporters compress it. Timed from the first request to the last fold:
the key looked up, the body decompressed, decoded, read, priced, attributed, deduplicated, posted, durable, rolled up.
There is no socket and no client on these cores, as there is none in `bench ingest`, whose events are the same calls.
"""

from __future__ import annotations

import gzip
import io
import multiprocessing
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

from bench import ingest, support

BATCH = 512
# As the SDKs' exporters do unless told otherwise.
LEVEL = 9
ADDRESS = "/api/v1/otlp/v1/traces"
_LENGTH = struct.Struct("<I")


def run(parameters: dict[str, str], say: Callable[[str], Any]) -> dict[str, Any]:
    """Keys: spans_per_s, ratio (of `bench ingest`'s events_per_s in this run); and what they were made of."""
    spans = int(parameters.get("spans", "200000"))
    workers = int(parameters.get("workers", "2"))
    compressed = parameters.get("gzip", "1") == "1"
    days = float(parameters.get("days", "30"))
    with tempfile.TemporaryDirectory() as folder:
        say(f"writing {spans} spans")
        bodies = _write_bodies(Path(folder), spans, workers, days, compressed)
        body_bytes = sum(path.stat().st_size for path in bodies) / (spans / BATCH)
        files = ingest._write_events(Path(folder), spans, workers, days)
        with support.scratch_database():
            organization_id, source_id = ingest._company()
            say("ingesting the same calls as events")
            events_per_s = spans / ingest._ingest(files, organization_id, source_id)["seconds"]
        with support.scratch_database():
            organization_id, _ = ingest._company()
            say(f"{events_per_s:,.0f} events/s; sending them as spans")
            key = _key(organization_id)
            first = _send(bodies, key)
            say(f"{spans / first:,.0f} spans/s; sending all of it again")
            again = _send(bodies, key)
            charges = ingest._count("ledger_charge")
            if charges != spans:
                raise AssertionError(f"{spans} spans, sent twice, made {charges} charges")
            ingest._check_rollups()
    return {
        "bench": "otlp",
        "spans_per_s": round(spans / first),
        "ratio": round(spans / first / events_per_s, 3),
        "ingest_events_per_s": round(events_per_s),
        "resend_spans_per_s": round(spans / again),
        "spans": spans,
        "batch": BATCH,
        "gzip": compressed,
        "body_bytes": round(body_bytes),
        "days": days,
        "workers": workers,
        "machine": support.machine(),
    }


def _key(organization_id: int) -> str:
    from django.utils import timezone

    from finops.core.actors import system
    from finops.orgs.services import issue_key

    made = issue_key(
        organization_id=organization_id, name="Collector", permissions=["usage.write"], by=system("bench"),
        at=timezone.now(),
    )  # fmt: skip
    return made.secret


def _write_bodies(folder: Path, spans: int, workers: int, days: float, compressed: bool) -> list[Path]:
    """A file a worker, of bodies with their lengths before them, written before the clock starts."""
    files = []
    for worker in range(workers):
        share = spans // workers + (worker < spans % workers)
        path = folder / f"spans-{worker}"
        with path.open("wb") as file:
            for body in _bodies(share, worker, days):
                packed = gzip.compress(body, LEVEL) if compressed else body
                file.write(_LENGTH.pack(len(packed)) + packed)
        files.append(path)
    return files


def _bodies(count: int, worker: int, days: float) -> Iterator[bytes]:
    """The calls of `bench ingest` as instrumented applications tell them, with what is not read here beside."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request, group = _request(ExportTraceServiceRequest)
    for number, event in enumerate(ingest._events(count, worker, days), start=1):
        _add_span(group, event, f"{worker:02x}{number:014x}")
        if not number % BATCH or number == count:
            yield request.SerializeToString()
            request, group = _request(ExportTraceServiceRequest)


def _request(kind: Any) -> tuple[Any, Any]:
    made = kind()
    resource = made.resource_spans.add()
    for name, value in (
        ("service.name", "assistant"), ("service.version", "2.14.0"), ("deployment.environment.name", "prod"),
        ("telemetry.sdk.name", "opentelemetry"), ("telemetry.sdk.language", "python"),
        ("telemetry.sdk.version", "1.45.2"), ("host.name", "assistant-7c9f"), ("process.pid", 4711),
    ):  # fmt: skip
        _say(resource.resource, name, value)
    group = resource.scope_spans.add()
    group.scope.name = "opentelemetry.instrumentation.openai_v2"
    return made, group


def _add_span(group: Any, event: dict[str, Any], span_id: str) -> None:
    ended = int(datetime.fromisoformat(event["occurred_at"]).timestamp() * 1e6) * 1000
    usage = event["usage"]
    cached = usage.get("cache_read", 0)
    span = group.spans.add(
        trace_id=bytes.fromhex(span_id + span_id), span_id=bytes.fromhex(span_id), name=f"chat {event['model']}",
        kind=3, start_time_unix_nano=ended - 2 * 10**9, end_time_unix_nano=ended,
    )  # fmt: skip
    said = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": event["provider"],
        "gen_ai.request.model": event["model"],
        "gen_ai.response.model": event["model"],
        "gen_ai.response.id": event["provider_request_id"],
        "gen_ai.request.max_tokens": 4096,
        "gen_ai.request.temperature": 0.7,
        "gen_ai.usage.input_tokens": usage["input_uncached"] + cached,
        "gen_ai.usage.output_tokens": usage["output_text"],
        "gen_ai.conversation.id": event["session"],
        "server.address": f"api.{event['provider']}.com",
        "server.port": 443,
        "capstan.project": event["project"],
    }
    if cached:
        said["gen_ai.usage.cache_read.input_tokens"] = cached
    if "agent" in event:
        said["capstan.agent"] = event["agent"]
    else:
        said["user.email"] = event["identities"]["email"]
    for name, value in said.items():
        _say(span, name, value)
    reasons = span.attributes.add(key="gen_ai.response.finish_reasons").value.array_value
    reasons.values.add(string_value="stop")


def _say(holder: Any, name: str, value: str | int | float) -> None:
    said = holder.attributes.add(key=name).value
    if isinstance(value, str):
        said.string_value = value
    elif isinstance(value, int):
        said.int_value = value
    else:
        said.double_value = value


def _send(files: list[Path], key: str) -> float:
    """Seconds from a common start until everything is posted and folded."""
    from finops.ledger.services import fold_all

    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(len(files) + 1), spawn.Queue()
    processes = [spawn.Process(target=_worker, args=(str(path), key, barrier, results)) for path in files]
    for process in processes:
        process.start()
    barrier.wait(ingest.READY_TIMEOUT_S)
    started = time.perf_counter()
    support.gather(processes, results, meanwhile=fold_all, every_s=ingest.FOLD_EVERY_S)
    fold_all()
    return time.perf_counter() - started


def _worker(path: str, key: str, barrier: Any, results: Queue[int]) -> None:
    from finops.config.wsgi import application

    support.use_database(support.SCRATCH)
    from django.db import connection

    from finops.runtime.collecting import calm_collector

    # Imports, connection and snapshots, as a worker that has been up for a second has them.
    _ask(application, key, b"")
    calm_collector()
    barrier.wait(ingest.READY_TIMEOUT_S)
    sent = 0
    for body in _read(path):
        _ask(application, key, body)
        sent += 1
    results.put(sent)
    connection.close()


def _read(path: str) -> Iterator[bytes]:
    with Path(path).open("rb") as file:
        while head := file.read(_LENGTH.size):
            yield file.read(*_LENGTH.unpack(head))


def _ask(application: Any, key: str, body: bytes) -> None:
    """One request, whose answer must be an empty success."""
    told: list[str] = []
    environment = {
        "REQUEST_METHOD": "POST", "PATH_INFO": ADDRESS, "SCRIPT_NAME": "", "QUERY_STRING": "",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "127.0.0.1", "CONTENT_TYPE": "application/x-protobuf", "CONTENT_LENGTH": str(len(body)),
        "HTTP_AUTHORIZATION": f"Bearer {key}", "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body), "wsgi.errors": io.StringIO(), "wsgi.multithread": True,
        "wsgi.multiprocess": True, "wsgi.run_once": False,
    }  # fmt: skip
    if body.startswith(b"\x1f\x8b"):
        environment["HTTP_CONTENT_ENCODING"] = "gzip"
    answer = application(environment, lambda status, headers, error=None: told.append(status))
    said = b"".join(answer)
    answer.close()
    if told != ["200 OK"] or said:
        raise AssertionError(f"{told}: {said[:500]!r}")

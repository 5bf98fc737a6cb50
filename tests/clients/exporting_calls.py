"""OpenTelemetry's own SDK and exporter, run by its own Python: spans of the calls in a file, a JSON object a line, in
its order. Arguments: the base address, a key, the file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import SpanKind

BATCH: Final = 512


class Kept(SpanProcessor):  # type: ignore[misc]  # its library is that of another Python
    """Spans as they ended. A queue of the SDK drops what it cannot hold, and nobody could be blamed for that."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def main(address: str, key: str, path: str) -> int:
    exporter = OTLPSpanExporter(
        f"{address}/v1/traces", headers={"Authorization": f"Bearer {key}"}, compression=Compression.Gzip
    )
    provider = TracerProvider(resource=Resource.create({"service.name": "assistant"}))
    kept = Kept()
    provider.add_span_processor(kept)
    tracer = provider.get_tracer("assistant")
    for line in Path(path).read_text().splitlines():
        call: dict[str, Any] = json.loads(line)
        span = tracer.start_span(
            "chat", kind=SpanKind.CLIENT, attributes=call["attributes"], start_time=call["begins_ns"]
        )
        span.end(call["ends_ns"])
    for start in range(0, len(kept.spans), BATCH):
        if exporter.export(kept.spans[start : start + BATCH]) is not SpanExportResult.SUCCESS:
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))

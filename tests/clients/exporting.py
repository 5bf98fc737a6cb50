"""OpenTelemetry's own SDK, run by its own Python: exports calls of models as spans, in protobuf and compressed, and
tokens as metrics of one temporality, collected thrice, each collection exported twice. Arguments: what (`spans`,
`delta`, `cumulative`), the base address, a key.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import SpanKind

CALLS: Final = 100
NEVER_MS: Final = 3_600_000.0


class Once:
    """Fails loudly where an exporter is not told of success: its provider would only log it."""

    def __init__(self, exporter: Any) -> None:
        self._exporter = exporter
        self.failed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exporter, name)

    def export(self, *given: Any, **more: Any) -> Any:
        made = self._exporter.export(*given, **more)
        again = self._exporter.export(*given, **more)
        good = (SpanExportResult.SUCCESS, MetricExportResult.SUCCESS)
        self.failed = self.failed or made not in good or again not in good
        return made


def spans(address: str, headers: dict[str, str], resource: Resource) -> Once:
    exporter = Once(OTLPSpanExporter(f"{address}/v1/traces", headers=headers, compression=Compression.Gzip))
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("assistant")
    for number in range(CALLS):
        with tracer.start_as_current_span("invoke_agent", attributes={"gen_ai.operation.name": "invoke_agent"}):
            said = {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt",
                "gen_ai.response.model": "gpt",
                "gen_ai.response.id": f"chatcmpl-{number}",
                "gen_ai.response.finish_reasons": ["stop"],
                "gen_ai.request.temperature": 0.2,
                "gen_ai.usage.input_tokens": 1_000,
                "gen_ai.usage.cache_read.input_tokens": 400,
                "gen_ai.usage.output_tokens": 100,
                "gen_ai.input.messages": "a secret question",
                "user.email": "bob.b@example.com",
            }
            with tracer.start_as_current_span("chat gpt", kind=SpanKind.CLIENT, attributes=said):
                pass
    provider.shutdown()
    return exporter


def metrics(address: str, headers: dict[str, str], resource: Resource, temporality: AggregationTemporality) -> Once:
    """Two minutes of tokens, and one without."""
    preferred: Any = dict.fromkeys((Counter, Histogram), temporality)
    made: MetricExporter = OTLPMetricExporter(
        f"{address}/v1/metrics", headers=headers, compression=Compression.Gzip, preferred_temporality=preferred
    )
    exporter: Any = Once(made)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=NEVER_MS)
    provider = MeterProvider([reader], resource)
    histogram = provider.get_meter("assistant").create_histogram("gen_ai.client.token.usage", unit="{token}")
    for turn in range(3):
        for kind, tokens in (("input", 1_000), ("output", 100)) if turn < 2 else ():
            said = {"gen_ai.token.type": kind, "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
            histogram.record(tokens, said | {"gen_ai.request.model": "gpt", "gen_ai.response.model": "gpt"})
        provider.force_flush()
    provider.shutdown()
    found: Once = exporter
    return found


def main(what: str, address: str, key: str) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    resource = Resource.create({"service.name": what, "team.id": "search", "deployment.environment.name": "prod"})
    if what == "spans":
        exporter = spans(address, headers, resource)
    else:
        exporter = metrics(address, headers, resource, AggregationTemporality[what.upper()])
    return int(exporter.failed)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))

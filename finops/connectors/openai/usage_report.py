"""Reads `GET /v1/organization/usage/…`: what was used in a bucket, by whatever it is grouped by. After the types of
OpenAI's SDK (`openai.types.admin.organization.usage_*_response`).

The input includes what was read from and written to a cache; its audio and image tokens are those that were not cached.
What is paid for by pictures, seconds, characters, bytes or sessions has no meter here: such a row is held as a Problem,
whole, and its money is in the report of costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from finops.connectors import cutting
from finops.connectors.pages import Page
from finops.connectors.reports import Row, Wrong, bucket, counted, event, key, parsed, people, tags
from finops.connectors.types import Counts, Received, UsageEvent

PARSER: Final = "openai_usage_report"
PROVIDER: Final = "openai"
# Everything some report can be grouped by; what it is not grouped by is null.
GROUPS: Final = (
    "project_id",
    "user_id",
    "api_key_id",
    "model",
    "batch",
    "service_tier",
    "api_source",
    "size",
    "source",
    "vector_store_id",
    "context_level",
)
_KEPT: Final = ("api_source", "size", "source", "vector_store_id", "context_level")
# The object of a result is `organization.usage.<name>.result`.
_BEFORE: Final = "organization.usage."
_AFTER: Final = ".result"
# What is paid for by units that no meter counts.
UNITS: Final[Mapping[str, str]] = {
    "images": "images",
    "audio_speeches": "characters",
    "audio_transcriptions": "seconds",
    "vector_stores": "usage_bytes",
    "code_interpreter_sessions": "num_sessions",
}


def parse(raw: bytes) -> Received:
    """One row with its bucket, `{"bucket": {"start_time", "end_time"}, "row": {…}}`."""
    return parsed(raw, _event)


def cut(body: bytes) -> Page:
    """A page of any of the reports. Raises BodyUnreadable."""
    return cutting.buckets(body)


def _event(record: Row) -> UsageEvent:
    row, times = record.needed("row"), record.needed("bucket")
    starts = times.seconds("start_time")
    found = bucket(starts, times.seconds("end_time"), "bucket.end_time")
    report = _report(row)
    said = {name: row.text(name) for name in GROUPS}
    record.external_id = key(f"usage.{report}", starts, said.items())
    counts, more = _counts(row, report)
    return event(
        external_id=record.external_id,
        occurred_at=starts,
        provider=PROVIDER,
        model=said["model"],
        counts=counts,
        service_tier="batch" if row.flag("batch") else said["service_tier"],
        provider_account=said["project_id"],
        evidence="metered",
        identities=people(provider_user=said["user_id"], key_alias=said["api_key_id"]),
        tags=tags({"bucket": found.width, "report": report, **more, **{name: said[name] for name in _KEPT}}),
    )


def _report(row: Row) -> str:
    said = row.text("object")
    name = said.removeprefix(_BEFORE).removesuffix(_AFTER)
    if said != f"{_BEFORE}{name}{_AFTER}" or (name not in _READERS and name not in UNITS):
        raise Wrong(
            "connectors.report_unknown", f"{row.where}object", f"{said[:80]!r} is no result of usage known here"
        )
    return name


def _counts(row: Row, report: str) -> tuple[Counts, dict[str, str]]:
    """Counts, and what stands beside them as tags. Raises Wrong."""
    unit = UNITS.get(report)
    if unit is None:
        return _READERS[report](row)
    if not row.has(unit):
        raise _missing(row, unit)
    used = row.count(unit)
    if used:
        message = f"it is paid for by {unit} ({used}), which is no meter; the report of costs has its money"
        raise Wrong("connectors.no_meter", f"{row.where}{unit}", message)
    return counted(row, requests=row.count("num_model_requests")), {}


def _tokens(row: Row) -> tuple[Counts, dict[str, str]]:
    """Of models that read and write tokens. A picture that was cached costs what cached text costs."""
    if not row.has("input_tokens"):
        raise _missing(row, "input_tokens")
    total, read, written = row.count("input_tokens"), row.count("input_cached_tokens"), _written(row)
    parts = read + written + row.count("input_uncached_tokens")
    if parts > total:
        message = f"cached, written and uncached tokens ({parts}) are part of input_tokens ({total})"
        raise Wrong("connectors.subset_exceeds_total", f"{row.where}input_tokens", message)
    cached_audio = row.count("input_cached_audio_tokens")
    counts = counted(
        row,
        input_tokens=total,
        cache_read_tokens=read,
        cache_write_tokens=written,
        input_audio_tokens=row.count("input_audio_tokens") + cached_audio,
        cache_read_audio_tokens=cached_audio,
        input_image_tokens=row.count("input_image_tokens"),
        output_tokens=row.count("output_tokens"),
        output_audio_tokens=row.count("output_audio_tokens"),
        output_image_tokens=row.count("output_image_tokens"),
        requests=row.count("num_model_requests"),
    )
    return counts, {"cache_write_12h_tokens": row.text("input_cache_write_12h_tokens")}


def _written(row: Row) -> int:
    """Tokens written to a cache, of whatever lifetime: no meter is one of 30 minutes or 12 hours."""
    parts = row.count("input_cache_write_30m_tokens") + row.count("input_cache_write_12h_tokens")
    if not row.has("input_cache_write_tokens"):
        return parts
    total = row.count("input_cache_write_tokens")
    if parts > total:
        message = f"what was written for 30 minutes and 12 hours ({parts}) is part of it ({total})"
        raise Wrong("connectors.subset_exceeds_total", f"{row.where}input_cache_write_tokens", message)
    return total


def _file_searches(row: Row) -> tuple[Counts, dict[str, str]]:
    if not row.has("num_requests"):
        raise _missing(row, "num_requests")
    return counted(row, tool_calls=row.count("num_requests"), requests=0), {}


def _web_searches(row: Row) -> tuple[Counts, dict[str, str]]:
    """The requests that searched are those of the report on tokens, and not counted again."""
    if not row.has("num_requests"):
        raise _missing(row, "num_requests")
    counts = counted(row, web_searches=row.count("num_requests"), requests=0)
    return counts, {"model_requests": row.text("num_model_requests")}


def _missing(row: Row, name: str) -> Wrong:
    return Wrong("connectors.usage_unreadable", f"{row.where}{name}", f"the row says no usage: {name} is missing")


_READERS: Final[Mapping[str, Callable[[Row], tuple[Counts, dict[str, str]]]]] = {
    "completions": _tokens,
    "decisions": _tokens,
    "embeddings": _tokens,
    "moderations": _tokens,
    "file_searches": _file_searches,
    "web_searches": _web_searches,
}

"""OpenAI's reports of usage: totals that include their parts, and units that no meter counts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finops.connectors.openai.usage_report import UNITS, cut, parse
from tests.factories.examples import example
from tests.factories.reports import changed, meters, read, wrong

TIMES = {"start_time": 1_763_596_800, "end_time": 1_763_683_200}
COMPLETIONS: dict[str, Any] = {
    "object": "organization.usage.completions.result",
    "input_tokens": 100_000,
    "input_cached_tokens": 40_000,
    "input_uncached_tokens": 55_000,
    "input_cache_write_tokens": 5_000,
    "output_tokens": 20_000,
    "num_model_requests": 310,
    "project_id": "proj_example",
    "user_id": "user-example",
    "api_key_id": "key_example",
    "model": "gpt-5.2-2026-01-01",
    "batch": False,
    "service_tier": "default",
}
RECORD: dict[str, Any] = {"bucket": TIMES, "row": COMPLETIONS}


def record(**changes: Any) -> bytes:
    return json.dumps({"bucket": TIMES, "row": COMPLETIONS | changes}).encode()


def result(name: str, **said: Any) -> dict[str, Any]:
    row = {"object": f"organization.usage.{name}.result", "project_id": "proj_example", **said}
    return {"bucket": TIMES, "row": row}


def test_the_example_of_completions() -> None:
    page = cut(example("openai_usage_completions"))
    assert page.next == "page_AAAA"
    (row,) = page.rows
    found = read(parse, row)
    assert found.external_id == (
        "usage.completions/2025-11-20T00:00:00Z/project_id=proj_example/user_id=user-example/api_key_id=key_example"
        "/model=gpt-5.2-2026-01-01/batch=false/service_tier=default"
    )
    assert (found.evidence, found.cost, found.service_tier) == ("metered", None, "default")
    assert found.identities == (("provider_user", "user-example"), ("key_alias", "key_example"))
    assert found == read(parse, json.dumps(RECORD).encode())


def test_cached_input_is_not_counted_twice_langfuse_10592() -> None:
    assert meters(read(parse, record())) == {
        "input_uncached": 55_000, "cache_read": 40_000, "cache_write_5m": 5_000, "output_text": 20_000, "requests": 310,
    }  # fmt: skip


def test_cache_writes_are_taken_out_of_the_input_litellm_26919() -> None:
    found = meters(read(parse, record(input_uncached_tokens=None, input_cached_tokens=0)))
    assert (found["input_uncached"], found["cache_write_5m"]) == (95_000, 5_000)


def test_the_example_of_embeddings() -> None:
    page = cut(example("openai_usage_embeddings"))
    assert page.next == ""
    found = read(parse, page.rows[0])
    assert (found.model, meters(found)) == ("text-embedding-3-large", {"input_uncached": 16, "requests": 2})


def test_audio_and_images_of_the_report_are_what_was_not_cached() -> None:
    found = meters(
        read(
            parse,
            record(
                input_tokens=1_000,
                input_uncached_tokens=600,
                input_cached_tokens=400,
                input_cache_write_tokens=0,
                input_text_tokens=300,
                input_audio_tokens=200,
                input_image_tokens=100,
                input_cached_text_tokens=250,
                input_cached_audio_tokens=100,
                input_cached_image_tokens=50,
                output_tokens=90,
                output_text_tokens=50,
                output_audio_tokens=30,
                output_image_tokens=10,
            ),
        )
    )
    assert found == {
        "input_uncached": 300,
        "input_audio": 200,
        "input_image": 100,
        "cache_read": 300,
        "cache_read_audio": 100,
        "output_text": 50,
        "output_audio": 30,
        "output_image": 10,
        "requests": 310,
    }


def test_what_is_written_for_longer_is_counted_and_kept_as_a_tag() -> None:
    lives = {"input_cache_write_30m_tokens": 3_000, "input_cache_write_12h_tokens": 2_000}
    for total in (5_000, None):
        found = read(parse, record(**lives, input_cache_write_tokens=total))
        assert meters(found)["cache_write_5m"] == 5_000
        assert dict(found.tags)["cache_write_12h_tokens"] == "2000"


def test_a_batch_is_priced_as_one() -> None:
    assert read(parse, record(batch=True)).service_tier == "batch"
    assert read(parse, record(batch=None, service_tier=None)).service_tier == ""
    assert read(parse, record(service_tier="flex")).service_tier == "flex"


def test_searches_are_counted_and_their_requests_are_not_counted_again() -> None:
    said = result("web_searches", num_requests=7, num_model_requests=5, model="gpt-5.2", context_level="high")
    found = read(parse, json.dumps(said).encode())
    assert meters(found) == {"web_searches": 7}
    assert dict(found.tags)["context_level"] == "high"
    assert dict(found.tags)["model_requests"] == "5"
    files = read(parse, json.dumps(result("file_searches", num_requests=3, vector_store_id="vs_1")).encode())
    assert meters(files) == {"tool_calls": 3}


@pytest.mark.parametrize(("name", "unit"), UNITS.items())
def test_what_no_meter_counts_is_held_and_is_no_zero(name: str, unit: str) -> None:
    found = wrong(parse, result(name, **{unit: 12}))
    assert (found.code, found.field) == ("connectors.no_meter", f"row.{unit}")
    assert "12" in found.message
    assert wrong(parse, result(name)).code == "connectors.usage_unreadable"
    nothing = read(parse, json.dumps(result(name, **{unit: 0}, num_model_requests=2)).encode())
    assert meters(nothing) == {"requests": 2}


def test_other_reports_are_read_as_they_are_known() -> None:
    assert meters(read(parse, record(object="organization.usage.decisions.result")))["cache_read"] == 40_000
    moderated = result("moderations", input_tokens=9, num_model_requests=1, model="omni-moderation")
    assert meters(read(parse, json.dumps(moderated).encode())) == {"input_uncached": 9, "requests": 1}
    assert wrong(parse, result("holograms", images=1)).code == "connectors.report_unknown"
    assert wrong(parse, {"bucket": TIMES, "row": {"object": "organization.costs.result"}}).field == "row.object"


def test_reports_of_one_bucket_do_not_share_an_id() -> None:
    said = [result("embeddings", input_tokens=1), result("moderations", input_tokens=1)]
    assert len({read(parse, json.dumps(one).encode()).external_id for one in said}) == 2


@pytest.mark.parametrize(
    ("path", "value", "code", "field"),
    [
        (("row", "input_cached_tokens"), 200_000, "subset_exceeds_total", "row.input_tokens"),
        (("row", "input_uncached_tokens"), 60_001, "subset_exceeds_total", "row.input_tokens"),
        (("row", "input_cache_write_12h_tokens"), 5_001, "subset_exceeds_total", "row.input_cache_write_tokens"),
        (("row", "output_audio_tokens"), 20_001, "subset_exceeds_total", "row.output_tokens"),
        (("row", "input_cached_audio_tokens"), 40_001, "subset_exceeds_total", "row.cache_read_tokens"),
        (("row", "input_tokens"), None, "usage_unreadable", "row.input_tokens"),
        (("row", "input_tokens"), -1, "usage_unreadable", "row.input_tokens"),
        (("row", "batch"), "yes", "field_invalid", "row.batch"),
        (("row", "object"), None, "report_unknown", "row.object"),
        (("row", "object"), ["x"], "field_invalid", "row.object"),
        (("bucket", "start_time"), 1_763_600_000.5, "field_invalid", "bucket.start_time"),
        (("bucket", "start_time"), None, "field_missing", "bucket.start_time"),
        (("bucket", "start_time"), 1_763_632_800, "no_bucket", "bucket.end_time"),
        (("bucket",), None, "field_missing", "bucket"),
    ],
)
def test_what_is_wrong_is_named(path: tuple[str | int, ...], value: Any, code: str, field: str) -> None:
    found = wrong(parse, changed(RECORD, path, value))
    assert (found.code, found.field) == (f"connectors.{code}", field)

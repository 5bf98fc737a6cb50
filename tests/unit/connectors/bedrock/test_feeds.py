"""What is fetched of AWS, out of S3: Moto's, behind a server that looks at signatures."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from finops.connectors.bedrock.feeds import ACCOUNT
from finops.connectors.bedrock.storage import Bucket
from finops.connectors.feeds import FEEDS
from finops.connectors.fetching import Away, Limited, Refused, RequestRefused, Window
from finops.connectors.pages import BodyUnreadable
from finops.connectors.paging import PagesBroken
from tests.factories.feeds import (
    PROMISES,
    Promise,
    a_revision_keeps_its_id,
    access,
    fetched,
    pages,
    several_pages_are_followed,
    told,
)
from tests.fakes.reports.bedrock import BILL, EXPORT, LOGS, PROMPT, BedrockReports, folder, table

UNTIL = datetime(2026, 11, 2, tzinfo=UTC)
CALLS, COSTS = "bedrock-invocations", "aws-cur"


@pytest.fixture
def fake() -> Iterator[BedrockReports]:
    made = BedrockReports(until=UNTIL, days=2)
    yield made
    made.close()


@pytest.mark.parametrize("name", [CALLS, COSTS])
@pytest.mark.parametrize("promise", [*PROMISES, several_pages_are_followed])
def test_a_feed_keeps_its_promises(fake: BedrockReports, name: str, promise: Promise) -> None:
    if (promise, name) == (a_revision_keeps_its_id, CALLS):
        # A line of the log is never written otherwise.
        return
    promise(fake, name)


def test_nothing_of_what_was_asked_or_answered_is_kept(fake: BedrockReports) -> None:
    rows = [row for page in pages(fake, CALLS) for row in page]
    assert len(rows) == len(fake.calls)
    assert not any(PROMPT.encode() in row for row in rows)
    assert not [one.path for one in fake.asked if "/data/" in one.path]


def test_only_hours_of_the_window_are_looked_at(fake: BedrockReports) -> None:
    since = UNTIL - timedelta(hours=12)
    found = [row for page in FEEDS[CALLS].pages(access(fake), Window(since, UNTIL)) for row in page]
    assert len(found) == len([call for call in fake.calls if call.at >= since])
    read = {one.path.split("/")[-2] for one in fake.asked if one.path.endswith(".gz")}
    assert read == {"12"}


def test_one_account_of_several(fake: BedrockReports) -> None:
    mine = dict(fake.settings) | {"account": "210987654321"}
    found = fetched(fake, CALLS, settings=mine)
    assert {one.provider_account for one in found.values()} == {"210987654321"}
    assert len(found) == len(fake.calls) // 2


@pytest.mark.parametrize(
    ("status", "code", "raised"),
    [
        (503, "SlowDown", Limited),
        (503, "ServiceUnavailable", Away),
        (400, "ExpiredToken", Refused),
        (403, "SignatureDoesNotMatch", Refused),
        (403, "RequestTimeTooSkewed", Away),
        (404, "NoSuchBucket", RequestRefused),
        (301, "PermanentRedirect", RequestRefused),
        (400, "KeyTooLong", RequestRefused),
    ],
)
def test_what_s3_answers_instead(fake: BedrockReports, status: int, code: str, raised: type[Exception]) -> None:
    # Where it would be in another region, its client looks for it first.
    fake.fail(*[status] * 4, body=f"<Error><Code>{code}</Code><Message>{fake.credential}</Message></Error>".encode())
    with pytest.raises(raised, match=code if raised is not Away or status == 403 else "503") as found:
        Bucket(access(fake), LOGS).has_any("")
    assert fake.credential.partition(":")[2] not in str(found.value)


def test_a_bucket_that_is_not_there(fake: BedrockReports) -> None:
    with pytest.raises(RequestRefused, match="NoSuchBucket"):
        Bucket(access(fake), "nobodys").has_any("")


def test_another_secret_does_not_sign(fake: BedrockReports) -> None:
    key, _, _ = fake.credential.partition(":")
    with pytest.raises(Refused, match="SignatureDoesNotMatch"):
        Bucket(access(fake, credential=f"{key}:another"), LOGS).has_any("")


@pytest.mark.parametrize("credential", ["", "a-secret", ":", "AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE:"])
def test_what_is_no_key_is_asked_with_of_nobody(fake: BedrockReports, credential: str) -> None:
    with pytest.raises(Refused):
        ACCOUNT.probe(access(fake, credential=credential))
    assert fake.asked == []


def test_the_machines_role_goes_to_nobody_but_aws(fake: BedrockReports) -> None:
    with pytest.raises(RequestRefused, match="own address"):
        ACCOUNT.probe(access(fake, credential="role"))
    assert fake.asked == []


def test_a_host_inside_that_was_not_named_is_not_asked(fake: BedrockReports) -> None:
    at = access(fake, address="https://127.0.0.1:9")
    with pytest.raises(RequestRefused, match="INTERNAL_HOSTS"):
        ACCOUNT.probe(at)


@pytest.mark.parametrize(
    ("name", "lacking"), [(CALLS, "bucket"), (COSTS, "report_bucket"), (CALLS, "region"), (CALLS, "prefix")]
)
def test_settings_that_are_missing_or_odd_are_named(fake: BedrockReports, name: str, lacking: str) -> None:
    odd = {"bucket": "", "report_bucket": "", "region": "Frankfurt", "prefix": "\x00"}[lacking]
    with pytest.raises(RequestRefused, match=lacking):
        list(pages(fake, name, settings=dict(fake.settings) | {lacking: odd}))


@pytest.mark.parametrize(("name", "setting"), [(CALLS, "prefix"), (COSTS, "report_path")])
def test_a_folder_that_is_not_there_is_no_empty_report(fake: BedrockReports, name: str, setting: str) -> None:
    with pytest.raises(RequestRefused, match=setting):
        list(pages(fake, name, settings=dict(fake.settings) | {setting: "elsewhere"}))


def test_a_month_without_a_bill_is_empty(fake: BedrockReports) -> None:
    before = UNTIL - timedelta(days=200)
    assert list(FEEDS[COSTS].pages(access(fake), Window(before, before + timedelta(days=10)))) == []


def test_a_listing_that_leads_back_is_given_up(fake: BedrockReports, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket(access(fake), LOGS)
    stuck = bucket._list(Prefix="ai/AWSLogs/")
    assert stuck["IsTruncated"]
    monkeypatch.setattr(bucket, "_list", lambda **_: stuck)
    with pytest.raises(PagesBroken):
        list(bucket.objects("ai/AWSLogs/", deep=True))


def test_an_object_that_was_written_anew_is_read_later(fake: BedrockReports) -> None:
    place = folder(fake.calls[0])
    (one, *_), *_ = Bucket(access(fake), LOGS).objects(place)
    fake.s3.put_object(Bucket=LOGS, Key=one.key, Body=b"another")
    with pytest.raises(Away, match="PreconditionFailed"):
        list(Bucket(access(fake), LOGS).pieces(one))


@pytest.mark.parametrize(
    "body",
    [b"<html></html>", gzip.compress(b"<html></html>"), gzip.compress(b"{}\n" * 90)[:-9]],
    ids=["html", "html in gzip", "cut off"],
)
def test_a_file_that_is_no_log_is_not_passed_over(fake: BedrockReports, body: bytes) -> None:
    fake.s3.put_object(Bucket=LOGS, Key=f"{folder(fake.calls[0])}20261120T0.json.gz", Body=body)
    with pytest.raises(BodyUnreadable):
        fetched(fake, CALLS)


@pytest.mark.parametrize("name", [CALLS, COSTS])
@pytest.mark.parametrize("body", [b"", b"<!doctype html><title>Sign in</title>"], ids=["nothing", "html"])
def test_a_file_that_comes_without_its_bytes_is_no_hour_without_calls(
    fake: BedrockReports, name: str, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What S3 listed with its length is answered with another."""
    page = fake.page
    monkeypatch.setattr(fake, "page", lambda asked: (200, body) if asked.path.endswith(".gz") else page(asked))
    with pytest.raises(BodyUnreadable):
        fetched(fake, name)


@pytest.mark.parametrize("body", [b"", gzip.compress(b"")], ids=["nothing", "nothing in gzip"])
def test_a_file_that_was_written_empty_has_no_calls(fake: BedrockReports, body: bytes) -> None:
    """It is as long as it was listed."""
    one = f"{folder(fake.calls[0])}20261120T0.json.gz"
    fake.s3.put_object(Bucket=LOGS, Key=one, Body=body)
    assert 0 < len(fetched(fake, CALLS)) < len(fake.calls)


def test_a_whole_delivery_is_the_bill_and_no_other(fake: BedrockReports) -> None:
    fetched(fake, COSTS)
    read = {one.path for one in fake.asked if one.path.endswith(".gz")}
    assert {path.split("/")[-2] for path in read} == {"001"}
    fake.asked.clear()
    fake.revise()
    fetched(fake, COSTS)
    assert {one.path.split("/")[-2] for one in fake.asked if one.path.endswith(".gz")} == {"002"}


def test_a_delivery_that_replaces_the_one_before_lies_in_the_month_itself(fake: BedrockReports) -> None:
    keys = [
        one["Key"] for one in fake.s3.get_paginator("list_objects_v2").paginate(Bucket=BILL).search("Contents")
    ]  # fmt: skip
    for key in keys:
        fake.s3.delete_object(Bucket=BILL, Key=key)
    for row, _, _ in fake.lines():
        month, day = row["line_item_usage_start_date"][:7], row["line_item_usage_start_date"][8:10]
        rows = [each for each, _, _ in fake.lines() if each["line_item_usage_start_date"][8:10] == day]
        key = f"{EXPORT}/data/BILLING_PERIOD={month}/acme-{day}.csv"
        fake.s3.put_object(Bucket=BILL, Key=key, Body=table(rows))
    assert told(fetched(fake, COSTS)) == fake.truth(COSTS)


def test_parquet_is_read_as_csv_is(fake: BedrockReports) -> None:
    by_month: dict[str, list[dict[str, Any]]] = {}
    for row, _, _ in fake.lines():
        at = datetime.fromisoformat(row["line_item_usage_start_date"])
        # Amounts are doubles there, and products and tags are maps.
        typed = {
            "line_item_usage_start_date": at,
            "line_item_usage_amount": float(row["line_item_usage_amount"]),
            "line_item_unblended_cost": float(row["line_item_unblended_cost"]),
            "line_item_product_code": "",
            "product": [("servicename", "Amazon Bedrock")],
            "resource_tags": [("user_team", "search")],
            "unused": "x",
        }
        by_month.setdefault(f"{at:%Y-%m}", []).append(row | typed)
    text = pa.map_(pa.string(), pa.string())
    for month, rows in by_month.items():
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        made = pa.table(
            {
                name: pa.array(values, type=text) if name in ("product", "resource_tags") else values
                for name, values in columns.items()
            }
        )
        body = io.BytesIO()
        parquet.write_table(made, body)
        place = f"{EXPORT}/data/BILLING_PERIOD={month}/009"
        fake.s3.put_object(Bucket=BILL, Key=f"{place}/acme.snappy.parquet", Body=body.getvalue())
        manifest = place.replace("/data/", "/metadata/")
        fake.s3.put_object(Bucket=BILL, Key=f"{manifest}/acme-Manifest.json", Body=b"{}")
    found = fetched(fake, COSTS)
    assert told(found) == fake.truth(COSTS)
    assert {dict(one.tags)["team"] for one in found.values()} == {"search"}
    assert [one.path for one in fake.asked if one.path.endswith(".gz")] == []


def test_what_only_looks_like_parquet_is_unreadable(fake: BedrockReports) -> None:
    for place in ("data", "metadata"):
        name = "a.parquet" if place == "data" else "a-Manifest.json"
        key = f"{EXPORT}/{place}/BILLING_PERIOD=2026-11/010/{name}"
        fake.s3.put_object(Bucket=BILL, Key=key, Body=b"PAR1")
    with pytest.raises(BodyUnreadable):
        fetched(fake, COSTS)


def test_lines_are_of_the_window_they_are_billed_in(fake: BedrockReports) -> None:
    """Windows that part a month have each line once; what is dated outside of its month is not lost."""
    row, *_ = (each for each, _, _ in fake.lines())
    late = row | {"line_item_usage_start_date": "2026-09-30T00:00:00Z", "line_item_line_item_type": "Tax"}
    key = f"{EXPORT}/data/BILLING_PERIOD=2026-10/001/acme-daily-00003.csv.gz"
    fake.s3.put_object(Bucket=BILL, Key=key, Body=gzip.compress(table([late])))
    for since, rows in ((datetime(2026, 10, 1, tzinfo=UTC), 1), (datetime(2026, 9, 30, tzinfo=UTC), 0)):
        window = Window(since, since + timedelta(days=1))
        assert sum(len(page) for page in FEEDS[COSTS].pages(access(fake), window)) == rows


def test_a_bill_says_the_meter_that_is_paid_for(fake: BedrockReports) -> None:
    found = fetched(fake, COSTS)
    assert {dict(one.tags).get("meter", "") for one in found.values()} == {"input_uncached", "output", "cache_read", ""}


def test_a_process_that_reads_no_feed_does_not_load_aws_client() -> None:
    code = "import sys, finops.connectors.feeds; assert not {'boto3', 'botocore', 'pyarrow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ), timeout=60)

"""What is fetched of Azure: the cost export, out of a container that is made up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from finops.connectors.azure.feeds import ACCOUNT
from finops.connectors.azure.listing import listing_of
from finops.connectors.azure.meters import meter_of
from finops.connectors.feeds import FEEDS
from finops.connectors.fetching import Away, Refused, RequestRefused, Window
from finops.connectors.pages import BodyUnreadable
from tests.factories.feeds import PAGED, PROMISES, Promise, access, fetched, pages, told
from tests.fakes.reports.azure import PATH, AzureReports, file
from tests.fakes.reports.shared import DAY

UNTIL = datetime(2026, 11, 2, tzinfo=UTC)
COSTS = "azure-costs"


@pytest.fixture
def fake() -> Iterator[AzureReports]:
    made = AzureReports(until=UNTIL)
    yield made
    made.close()


@pytest.mark.parametrize("promise", [*PROMISES, *PAGED])
def test_a_feed_keeps_its_promises(fake: AzureReports, promise: Promise) -> None:
    promise(fake, COSTS)


def test_windows_part_a_month_and_each_line_is_in_one(fake: AzureReports) -> None:
    begin = UNTIL - 3 * DAY
    windows = [Window(begin + number * DAY, begin + (number + 1) * DAY) for number in range(4)]
    rows = [row for each in windows for page in FEEDS[COSTS].pages(access(fake), each) for row in page]
    assert len(rows) == len(set(rows)) == len(fake.lines())


def test_a_whole_address_with_its_sas_is_a_credential_too(fake: AzureReports) -> None:
    whole = f"https://acme.blob.core.windows.net/costs?{fake.credential}"
    assert told(fetched(fake, COSTS, credential=whole)) == fake.truth(COSTS)


@pytest.mark.parametrize("credential", ["", "a-key", "https://acme.blob.core.windows.net/costs?sv=1"])
def test_what_is_no_sas_is_asked_with_of_nobody(fake: AzureReports, credential: str) -> None:
    with pytest.raises(Refused):
        ACCOUNT.probe(access(fake, credential=credential))
    assert fake.asked == []


def test_only_files_that_the_manifest_names_are_read(fake: AzureReports) -> None:
    fetched(fake, COSTS)
    read = {one.path.rpartition("/")[2] for one in fake.asked if one.path.endswith(".gz")}
    assert read == {"part_0_0001.csv.gz", "part_1_0001.csv.gz"}
    assert not [one.path for one in fake.asked if "begun" in one.path]


def test_without_a_manifest_the_newest_run_is_read(fake: AzureReports) -> None:
    fake.blobs.clear()
    for line, _ in fake.lines():
        month, day = line["ChargePeriodStart"][5:7], line["ChargePeriodStart"][8:10]
        lines = [each for each, _ in fake.lines() if each["ChargePeriodStart"][8:10] == day]
        period = {"10": "20261001-20261031", "11": "20261101-20261130"}[month]
        fake.put(f"{PATH}/{period}/part_{day}_0001.csv", file(lines))
    assert told(fetched(fake, COSTS)) == fake.truth(COSTS)


def test_named_services_are_read_instead_of_ai(fake: AzureReports) -> None:
    found = fetched(fake, COSTS, settings={"path": PATH, "services": "storage accounts, Key Vault"})
    assert {dict(one.tags)["service"] for one in found.values()} == {"Storage Accounts"}


def test_a_folder_that_is_not_there_is_no_empty_report(fake: AzureReports) -> None:
    with pytest.raises(RequestRefused, match="path"):
        list(pages(fake, COSTS, settings={"path": "elsewhere"}))


def test_a_month_without_an_export_is_empty(fake: AzureReports) -> None:
    before = UNTIL - timedelta(days=200)
    assert list(FEEDS[COSTS].pages(access(fake), Window(before, before + DAY))) == []


def test_parquet_is_said_to_be_what_is_not_read(fake: AzureReports) -> None:
    fake.put(f"{PATH}/20261101-20261130/z/part_0_0001.snappy.parquet", b"PAR1")
    manifest = {"blobs": [{"blobName": "part_0_0001.snappy.parquet"}]}
    fake.runs += 1
    fake.put(f"{PATH}/20261101-20261130/z/manifest.json", json.dumps(manifest).encode())
    with pytest.raises(RequestRefused, match="Parquet"):
        fetched(fake, COSTS)


def test_a_blob_that_was_written_anew_is_read_later(fake: AzureReports, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = iter(FEEDS[COSTS].pages(access(fake), Window(UNTIL - 3 * DAY, UNTIL)))
    next(rows)
    for name in [name for name in fake.blobs if name.endswith("part_1_0001.csv.gz")]:
        fake.put(name, b"another")
    with pytest.raises(Away):
        list(rows)


@pytest.mark.parametrize("body", [b"<html></html>", b"\x1f\x8b\x08broken", b"a,b\n1,2\n", b"\xff\xfe"])
def test_a_file_that_is_no_export_is_not_passed_over(fake: AzureReports, body: bytes) -> None:
    for name in [name for name in fake.blobs if name.endswith("part_0_0001.csv.gz")]:
        fake.put(name, body)
    with pytest.raises(BodyUnreadable):
        fetched(fake, COSTS)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"<a>", b"<Other/>", b'<!DOCTYPE x [<!ENTITY y "z">]><EnumerationResults>&y;</EnumerationResults>'],
)
def test_what_is_no_list_of_blobs(body: bytes) -> None:
    with pytest.raises(BodyUnreadable):
        listing_of(body)


@pytest.mark.parametrize(
    ("name", "meter"),
    [
        ("gpt 4o 0806 Inp glbl Tokens", "input_uncached"),
        ("gpt 4o 0806 cached Inp glbl Tokens", "cache_read"),
        ("GPT 5 Mini cchd Inpt Glbl", "cache_read"),
        ("5.4 cd inp Gl 1M Tokens", "cache_read"),
        ("5.4 opt Gl 1M Tokens", "output"),
        ("GPT 5 Batch outpt Glbl", "output"),
        ("Phi-4-Input Tokens", "input_uncached"),
        ("gpt rt aud 0828 Inp glbl Tokens", "input_audio"),
        ("gpt rt aud 0828 cchd Inp glbl Tokens", "cache_read_audio"),
        ("gpt4omini-aud1217 Outp DZone", "output_audio"),
        ("gpt aud 1.5 txt opt Gl 1M Tokens", "output"),
        ("gpt rt img 0828 Inp glbl Tokens", "input_image"),
        ("gpt rt img 0828 cchd Inp glbl Tokens", ""),
        ("gpt 4o aud img Inp", ""),
        ("gpt 4o ft training Inp Tokens", ""),
        ("text-embedding-3-large Tokens", ""),
        ("Provisioned Managed Global Unit", ""),
        ("Inp and Outp", ""),
        ("", ""),
    ],
)
def test_which_meter_a_name_says(name: str, meter: str) -> None:
    assert meter_of(name) == meter

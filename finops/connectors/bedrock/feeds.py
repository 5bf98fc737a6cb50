"""What can be fetched of an account at AWS, out of S3: every call of Bedrock's (its model invocation log), and what it
was charged (Data Exports of the Cost and Usage Report).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from finops.connectors import unpacking
from finops.connectors.bedrock import cur, invocations
from finops.connectors.bedrock.exports import current_files, read_file
from finops.connectors.bedrock.storage import ADDRESS, Bucket
from finops.connectors.fetching import Access, Account, Evidence, Feed, Need, RequestRefused, Says, Window
from finops.connectors.given import folder, needed, slug
from finops.connectors.months import is_within, months, several

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_LOGS: Final = "BedrockModelInvocationLogs"
# Answers are in it, each up to 100 KB, and twice: as many as are held at once.
_LINES: Final = 100
_ROWS: Final = 500


def _invocations(access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    """Hour by hour, of each account and region that logs into the bucket."""
    bucket = Bucket(access, _name(access, "bucket"))
    logs = _places(bucket, access)
    for day in _days(window):
        for place in logs:
            for hour in sorted(bucket.folders(f"{place}{day:%Y/%m/%d}/")):
                if hour.isdecimal() and window.since <= day + int(hour) * _HOUR < window.until:
                    yield from _hour(bucket, f"{place}{day:%Y/%m/%d}/{hour}/")


def _hour(bucket: Bucket, place: str) -> Iterator[Sequence[bytes]]:
    """What is too long for a line lies in a folder of its own below, whole: prompts, which are not looked at."""
    for objects in bucket.objects(place):
        for one in objects:
            if one.name.endswith((".json.gz", ".json")):
                yield from _calls(unpacking.unpacked(bucket.pieces(one)))


def _calls(pieces: Iterable[bytes]) -> Iterator[Sequence[bytes]]:
    for lines in several((line for line in unpacking.lines(pieces) if line.strip()), _LINES):
        yield invocations.cut(b"\n".join(lines)).rows


def _places(bucket: Bucket, access: Access) -> list[str]:
    """Folders that have a year in them. Raises RequestRefused where there are none."""
    root, account = f"{folder(access, 'prefix')}AWSLogs/", slug(access, "account")
    found = [
        f"{root}{each}/{_LOGS}/{region}/"
        for each in ([account] if account else bucket.folders(root))
        for region in bucket.folders(f"{root}{each}/{_LOGS}/")
    ]
    # A file that tries whether it may write lies there from the day the log is switched on.
    if not found and not bucket.has_any(root):
        raise RequestRefused("there is no invocation log in the bucket: look at 'bucket', 'prefix' and 'account'")
    return found


def _costs(access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    """Month by month, each as a whole, because that is how a line that says what another says is told apart; of it the
    lines of the window.
    """
    bucket, root = Bucket(access, _name(access, "report_bucket")), folder(access, "report_path")
    has_any = False
    for month in months(window):
        counted: Counter[str] = Counter()
        wanted = partial(_is_wanted, month, window)
        for one in current_files(bucket, root, month):
            has_any = True
            rows = read_file(bucket.pieces(one), one)
            yield from several(cur.kept(rows, counted=counted, wanted=wanted), _ROWS)
    if not has_any and not bucket.has_any(f"{root}data/"):
        raise RequestRefused("there is no export in the bucket: look at 'report_bucket' and 'report_path'")


def _is_wanted(month: datetime, window: Window, row: Mapping[Any, Any]) -> bool:
    return is_within(cur.starts(row), month, window)


def _days(window: Window) -> Iterator[datetime]:
    day = window.since.replace(hour=0, minute=0, second=0, microsecond=0)
    while day < window.until:
        yield day
        day += _DAY


def _name(access: Access, setting: str) -> str:
    return needed(access, setting) and slug(access, setting)


def _probe(access: Access) -> None:
    """Whether one of the two may be listed."""
    if slug(access, "bucket") or not slug(access, "report_bucket"):
        Bucket(access, _name(access, "bucket")).has_any(folder(access, "prefix"))
    else:
        Bucket(access, slug(access, "report_bucket")).has_any(folder(access, "report_path"))


# What a feed needs to be switched on, which an account can be connected without.
_LOG_NEEDS: Final = (
    Need("bucket", "The bucket of the invocation log."),
    Need("prefix", "The folder in it, where the log was given one: what is before AWSLogs.", needed=False),
    Need("account", "The number of the one account whose log is read; of all where it is not said.", needed=False),
)
_REPORT_NEEDS: Final = (
    Need("report_bucket", "The bucket of the export of CUR 2.0."),
    Need("report_path", "Prefix and name of the export: the folder that holds its folders data and metadata."),
)

ACCOUNT: Final = Account(
    name="bedrock",
    title="Amazon Bedrock",
    address=ADDRESS,
    credential_help=(
        "An access key that may list and read the buckets, as AKIA…:secret, its id and its secret with a colon between "
        "them; or the word role, for the role of the machine Capstan runs on."
    ),
    probe=_probe,
    needs=(Need("region", "The region of the buckets, like eu-central-1; us-east-1 where it is not said.", False),),
    feeds=(
        Feed(
            name="bedrock-invocations",
            evidence=frozenset({Evidence.METERED}),
            title="Every call, by the invocation log",
            parser=invocations.PARSER,
            says=Says.CHARGES,
            pages=_invocations,
            provider=invocations.PROVIDER,
            every=timedelta(minutes=10),
            delay=timedelta(minutes=15),
            # A line is written once; the file it is in may come late.
            revised=timedelta(hours=3),
            width=_HOUR,
            longest=_DAY,
            history=timedelta(days=400),
            dedupe="the request's id",
            convention="input leaves out what was read from and written to a cache",
            money="none: calls are priced by the book",
            needs=_LOG_NEEDS,
        ),
        Feed(
            name="aws-cur",
            evidence=frozenset({Evidence.BILLED}),
            title="What AWS charges, by the Cost and Usage Report",
            parser=cur.PARSER,
            says=Says.MONEY,
            pages=_costs,
            provider=cur.PROVIDER,
            every=timedelta(hours=8),
            delay=_DAY,
            # A month is delivered anew until its bill is final, some days into the next one.
            revised=timedelta(days=40),
            width=_DAY,
            # Months are read as wholes: as many as are still written anew, in one.
            longest=timedelta(days=62),
            history=timedelta(days=400),
            dedupe="what the line says: AWS' own ids are others in each delivery",
            convention="usage types are disjoint",
            money="of the bill, as decimal text: unblended cost",
            needs=_REPORT_NEEDS,
            # It needs an export that not everybody has, and is for comparing with.
            optional=True,
        ),
    ),
)

"""What can be fetched of a billing account at Google: its export to BigQuery, by a query over REST.

Rows come as JSON text, each in one column: nothing of BigQuery's own writing of cells is to be undone. A window is of
`export_time`, because rows come late and are never changed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from finops.connectors.fetching import Access, Account, Away, Evidence, Feed, Need, RequestRefused, Says, Server, Window
from finops.connectors.given import needed
from finops.connectors.google.billing import PARSER, PROVIDER, cut
from finops.connectors.google.service_account import token
from finops.connectors.keeping import object_of
from finops.connectors.pages import BodyUnreadable, Page
from finops.connectors.paging import Other, followed, next_of
from finops.connectors.telling import mapping, words

_DAY: Final = timedelta(days=1)
_WHAT: Final = "an answer of BigQuery's"
_TABLE: Final = re.compile(r"([a-z0-9.:-]{4,100})\.([A-Za-z0-9_]{1,200})\.([A-Za-z0-9_-]{1,200})")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,1000}")
_PROJECT: Final = re.compile(r"[a-z][a-z0-9.:-]{3,99}")
_SERVICES: Final = ("Vertex AI", "Gemini API", "Generative Language API", "Gemini Enterprise Agent Platform")
_LONGEST_SERVICES: Final = 2_000
# What the parser reads, and no other column: BigQuery charges by those that are looked at.
_COLUMNS: Final = (
    "billing_account_id", "service", "sku", "usage_start_time", "usage_end_time", "project", "labels", "location",
    "cost", "currency", "usage", "credits", "invoice", "cost_type", "transaction_type", "seller_name", "export_time",
)  # fmt: skip
_RESOURCE: Final = "resource"
_MOST_ROWS: Final = 2_000
_WAIT_MS: Final = 10_000
_MOST_WAITS: Final = 60
_PAUSE_S: Final = 1.0
_LIMITS: Final = (b'"rateLimitExceeded"', b'"quotaExceeded"', b'"jobRateLimitExceeded"', b'"RESOURCE_EXHAUSTED"')


def _server(access: Access) -> Server:
    headers = {"Authorization": f"Bearer {token(access)}"}
    # With 403, as it says that something may not be read at all.
    return Server(access, headers=headers, has_enough=lambda body: any(word in body for word in _LIMITS))


def _billing(access: Access, window: Window) -> Iterator[Sequence[bytes]]:
    """Rows that were exported in a window, a page of them in memory."""
    path, query = _path(access), _query(access, window)
    server = _server(access)
    told: dict[str, int] = {}
    job: dict[str, str] = {}
    other = Other()

    def ask(after: str) -> Page:
        said = _finished(server, path, query, job) if not after else _next(server, path, job, after)
        rows = list(_rows(said))
        other.check(rows)
        return Page(cut(b"[" + b",".join(rows) + b"]", told=told).rows, next_of(None, said.get("pageToken")))

    return followed(ask)


def _finished(server: Server, path: str, query: dict[str, Any], job: dict[str, str]) -> Any:
    """The first page, once there is one; `job` is filled with what asks for the others."""
    said = _checked(object_of(server.post(path, query), _WHAT))
    reference = mapping(said.get("jobReference"))
    job.update({name: words(reference.get(name)) for name in ("jobId", "location")})
    for _ in range(_MOST_WAITS):
        if said["jobComplete"]:
            return said
        time.sleep(_PAUSE_S)
        said = _checked(_next(server, path, job))
    raise Away("the query does not end")


def _next(server: Server, path: str, job: dict[str, str], after: str = "") -> Any:
    if not _NAME.fullmatch(job["jobId"]):
        raise BodyUnreadable("BigQuery's answer names no job to go on with.")
    asked = [("maxResults", str(_MOST_ROWS)), ("timeoutMs", str(_WAIT_MS))]
    asked += [(name, value) for name, value in (("location", job["location"]), ("pageToken", after)) if value]
    return object_of(server.get(f"{path}/{job['jobId']}", asked), _WHAT)


def _checked(said: Any) -> Any:
    """Raises BodyUnreadable for another answer: without rows it would say that nothing was spent."""
    if type(said.get("jobComplete")) is not bool:
        raise BodyUnreadable("This is not an answer of BigQuery's to a query.")
    return said


def _rows(said: Any) -> Iterator[bytes]:
    """Each is `{"f": [{"v": text}]}`."""
    rows = said.get("rows", [])
    if not isinstance(rows, list):
        raise BodyUnreadable("This is not an answer of BigQuery's to a query: its rows are no list.")
    for row in rows:
        cells = mapping(row).get("f")
        value = mapping(cells[0]).get("v") if isinstance(cells, list) and cells else None
        if not isinstance(value, str):
            raise BodyUnreadable("This is not an answer of BigQuery's to a query: a row has no text.")
        yield value.encode("utf-8", "replace")


def _query(access: Access, window: Window, *, dry: bool = False) -> dict[str, Any]:
    table = _table(access)
    columns = ", ".join((*_COLUMNS, *([_RESOURCE] if "_resource_v1_" in table else [])))
    sql = (
        f"SELECT TO_JSON_STRING(t) FROM (SELECT {columns} FROM `{table}` "  # noqa: S608  a name that was looked at
        "WHERE export_time >= @since AND export_time < @until AND service.description IN UNNEST(@services)) AS t"
    )
    given = [("since", _typed("TIMESTAMP", _text(window.since))), ("until", _typed("TIMESTAMP", _text(window.until)))]
    services = {
        "parameterType": {"type": "ARRAY", "arrayType": {"type": "STRING"}},
        "parameterValue": {"arrayValues": [{"value": name} for name in _services(access)]},
    }
    location = access.settings.get("location", "").strip()
    return {
        "query": sql,
        "useLegacySql": False,
        "parameterMode": "NAMED",
        "queryParameters": [{"name": name, **said} for name, said in (*given, ("services", services))],
        "maxResults": _MOST_ROWS,
        "timeoutMs": _WAIT_MS,
        **({"location": location} if location else {}),
        **({"dryRun": True} if dry else {}),
    }


def _typed(kind: str, value: str) -> dict[str, Any]:
    return {"parameterType": {"type": kind}, "parameterValue": {"value": value}}


def _table(access: Access) -> str:
    found = needed(access, "table")
    if not _TABLE.fullmatch(found):
        raise RequestRefused(
            "the setting 'table' is no table, like project.dataset.gcp_billing_export_v1_0123AB_4567CD"
        )
    return found


def _path(access: Access) -> str:
    """Queries are paid for by the project they are made in: the table's, where no other is said."""
    project = access.settings.get("project", "").strip() or _table(access).rsplit(".", 2)[0]
    if not _PROJECT.fullmatch(project):
        raise RequestRefused("the setting 'project' is no project")
    return f"/bigquery/v2/projects/{project}/queries"


def _services(access: Access) -> list[str]:
    said = access.settings.get("services", "")[:_LONGEST_SERVICES]
    return [name.strip() for name in said.split(",") if name.strip()] or list(_SERVICES)


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S+00:00")


def _probe(access: Access) -> None:
    """A query that is looked at and not made: it costs nothing, and says whether the table may be read."""
    path = _path(access)
    begin = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    query = _query(access, Window(begin, begin + _DAY), dry=True)
    _checked(object_of(_server(access).post(path, query), _WHAT))


ACCOUNT: Final = Account(
    name="google",
    title="Google Cloud",
    address="https://bigquery.googleapis.com",
    credential_help=(
        "The key of a service account, as its JSON file, that may read the dataset (BigQuery Data Viewer) and run "
        "queries (BigQuery Job User)."
    ),
    probe=_probe,
    needs=(
        Need("table", "The table of the billing export: project.dataset.gcp_billing_export_v1_…"),
        Need("project", "The project that pays for queries, where it is not the table's.", needed=False),
        Need("location", "Where the dataset is, like EU, where a query does not find it.", needed=False),
        Need("services", "Names of services, with commas, where others than those of AI are meant.", needed=False),
    ),
    feeds=(
        Feed(
            name="google-billing",
            evidence=frozenset({Evidence.BILLED}),
            title="Billing export",
            parser=PARSER,
            says=Says.MONEY,
            pages=_billing,
            provider=PROVIDER,
            # Each asking is a query that is paid for.
            every=timedelta(hours=6),
            delay=_DAY,
            # A row is never changed. One that is exported may be there some hours later than it says.
            revised=_DAY,
            width=_DAY,
            longest=timedelta(days=31),
            history=timedelta(days=400),
            dedupe="what the row says: a row is never changed, and what is known later is another",
            convention="none",
            money="of the account, as JSON numbers: cost and its credits",
        ),
    ),
)

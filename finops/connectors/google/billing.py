"""Reads rows of Cloud Billing's export to BigQuery (`gcp_billing_export_v1_…`, `…_resource_v1_…`) as JSON, one a line
or in a list. After Google's documentation of the standard and the detailed export.

A row is never changed: what becomes known later is a row of its own, with a later `export_time`, up to five days late.
So rows add up, and as a row has no id, what it says is its id. Net cost is `cost` and the sum of its credits, which are
negative.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from decimal import Decimal
from typing import Final

from finops.connectors import bodies, cutting
from finops.connectors.google.skus import meter_of
from finops.connectors.pages import BodyUnreadable, Page
from finops.connectors.reports import METER, Row, category, event, key, moment, money, parsed, plain, tags
from finops.connectors.types import NO_COUNTS, Received, UsageEvent

PARSER: Final = "google_billing"
PROVIDER: Final = "google"
_REPORT: Final = "billing"
_KINDS: Final = {"tax": "Tax", "adjustment": "Adjustment", "rounding_error": "Adjustment"}
_MOST: Final = 1_000_000


def parse(raw: bytes) -> Received:
    """One row, `{"row": {…}}`, with its `ordinal` where several rows say the same."""
    return parsed(raw, _event)


def cut(body: bytes, *, told: MutableMapping[str, int] | None = None) -> Page:
    """Rows as lines or as a list. Rows that say the same in every way are numbered; give the same `told` to all parts
    of one export. Raises BodyUnreadable.
    """
    text = body.removeprefix(b"\xef\xbb\xbf").lstrip()
    try:
        if text.startswith(b"["):
            rows = bodies.cut_json(text, most=_MOST).raw
        elif text.startswith(b"{") or not text:
            rows = bodies.cut_lines(text, most=_MOST).raw
        else:
            raise BodyUnreadable("The body is no export of rows: it is neither JSON lines nor a JSON list.")
    except (bodies.BodyMalformed, bodies.TooManyRecords) as error:
        raise BodyUnreadable(error.message) from None
    return Page(cutting.numbered(({"row": row} for row in rows), parse, {} if told is None else told))


def _event(record: Row) -> UsageEvent:
    row = record.needed("row")
    starts = row.instant("usage_start_time")
    project, sku, service = row.inside("project"), row.inside("sku"), row.inside("service")
    usage, resource, place = row.inside("usage"), row.inside("resource"), row.inside("location")
    month = row.inside("invoice").text("month")
    gross, credited = row.number("cost"), _credits(row)
    labels = dict(_labels(row.each("labels")))
    region = place.text("region") or place.text("location")
    record.external_id = key(
        _REPORT,
        starts,
        [
            ("sku", sku.text("id")),
            ("project", project.text("id")),
            ("exported", moment(row.instant("export_time")) if row.has("export_time") else ""),
            ("ends", moment(row.instant("usage_end_time")) if row.has("usage_end_time") else ""),
            ("account", row.text("billing_account_id")),
            ("invoice", month),
            ("kind", row.text("cost_type")),
            ("transaction", row.text("transaction_type")),
            ("cost", plain(gross)),
            ("credits", plain(credited)),
            ("currency", row.text("currency")),
            ("amount", plain(usage.number("amount"))),
            ("region", region),
            ("resource", resource.text("global_name") or resource.text("name")),
            *sorted((f"label.{name}", value) for name, value in labels.items()),
        ],
        max(record.count("ordinal"), 1),
    )
    row_cost = money(_needed(row, gross) + credited, row.text("currency"), "row.cost")
    kind = row.text("cost_type")
    return event(
        external_id=record.external_id,
        occurred_at=starts,
        provider=PROVIDER,
        model="",
        counts=NO_COUNTS,
        region=region,
        provider_account=project.text("id") or row.text("billing_account_id"),
        category=category(row_cost, _KINDS.get(kind, "Usage")),
        evidence="billed",
        tags=tags(
            {
                "service": service.text("description"),
                "sku": sku.text("description"),
                "sku_id": sku.text("id"),
                METER: meter_of(sku.text("description")),
                "invoice_month": month,
                "cost_type": kind,
                "cost_before_credits": plain(gross) if credited else "",
                "credits": plain(credited),
                "usage_amount": plain(usage.number("amount_in_pricing_units")) or plain(usage.number("amount")),
                "usage_unit": usage.text("pricing_unit") or usage.text("unit"),
                "resource": resource.text("name"),
                "seller": row.text("seller_name"),
            },
            dict(_labels(project.each("labels"))) | labels,
        ),
        cost=row_cost,
    )


def _credits(row: Row) -> Decimal:
    return sum((one.number("amount") for one in row.each("credits")), Decimal(0))


def _needed(row: Row, gross: Decimal) -> Decimal:
    if not row.has("cost"):
        raise row.wrong("cost", "a row of the export has a cost")
    return gross


def _labels(said: Iterable[Row]) -> Iterator[tuple[str, str]]:
    return ((one.text("key"), one.text("value")) for one in said)

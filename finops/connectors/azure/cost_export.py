"""Reads the lines of a Cost Management export in FOCUS (1.0 to 1.2-preview), as CSV. After Microsoft's documentation of
the columns and the specification.

A line has no id. The export of a month is written again every day, and a line then says the new sum of its day,
resource and meter: these name it. `BilledCost` is what the invoice has; `EffectiveCost` spreads commitments: a tag.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, MutableMapping
from datetime import datetime
from typing import Any, Final

import msgspec

from finops.connectors import cutting
from finops.connectors.azure.meters import meter_of
from finops.connectors.pages import BodyUnreadable, Page
from finops.connectors.reports import METER, Row, Wrong, category, cost, event, key, parsed, tags
from finops.connectors.types import NO_COUNTS, Received, UsageEvent
from finops.connectors.wording import clean

PARSER: Final = "azure_cost_export"
PROVIDER: Final = "azure"
# Without these it is no such export.
NEEDED: Final = ("BilledCost", "BillingCurrency", "ChargeCategory", "ChargePeriodStart")
# What names a line, beside when it is of.
GROUPS: Final = (
    "BillingAccountId",
    "SubAccountId",
    "ChargeCategory",
    "ChargeClass",
    "SkuId",
    "SkuPriceId",
    "SkuMeter",
    "x_SkuMeterId",
    "PricingCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountStatus",
    "RegionId",
    "BillingCurrency",
    "ChargeDescription",
    "ResourceId",
)
CATEGORIES: Final = frozenset({"Usage", "Purchase", "Tax", "Credit", "Adjustment"})
_KEPT: Final = {
    "service": "ServiceName",
    "publisher": "PublisherName",
    "meter_name": "x_SkuMeterName",
    "sku": "SkuId",
    "charge_class": "ChargeClass",
    "description": "ChargeDescription",
    "effective_cost": "EffectiveCost",
    "list_cost": "ListCost",
    "usage_amount": "ConsumedQuantity",
    "usage_unit": "ConsumedUnit",
    "resource": "ResourceName",
    "resource_group": "x_ResourceGroupName",
    "invoice": "InvoiceId",
}
_CORRECTION: Final = "Correction"
_REPORT: Final = "focus"
Line = dict[str, Any]
_encode: Final = msgspec.json.Encoder().encode


def parse(raw: bytes) -> Received:
    """One line, `{"row": {column: text}}`, with its `ordinal` where several lines have the same name."""
    return parsed(raw, _event)


def cut(body: bytes, *, told: MutableMapping[str, int] | None = None) -> Page:
    """A file of the export, unpacked. Give the same `told` to all files of one run: its parts are one export. Raises
    BodyUnreadable.
    """
    try:
        text = io.StringIO(body.decode("utf-8-sig"), newline="")
    except UnicodeDecodeError:
        raise BodyUnreadable("The body is no FOCUS export as CSV: it is not UTF-8. Is it still packed?") from None
    return Page(kept(lines_of(text), told={} if told is None else told))


def kept(lines: Iterable[Line], *, told: MutableMapping[str, int]) -> tuple[bytes, ...]:
    """Records of lines, in their order; `told` as `cut` has it."""
    return cutting.numbered(({"row": _encode(line)} for line in lines), parse, told)


def lines_of(text: Iterable[str]) -> Iterator[Line]:
    """Lines of a file that comes line by line, without their empty cells. Raises BodyUnreadable."""
    try:
        lines = csv.DictReader(text, strict=True)
        missing = [name for name in NEEDED if name not in (lines.fieldnames or ())]
        if missing:
            raise BodyUnreadable(f"The body is no FOCUS export as CSV: it has no column {missing[0]}.")
        yield from _lines(lines)
    except csv.Error as error:
        raise BodyUnreadable(f"The body is no FOCUS export as CSV: {clean(str(error))[:200]}") from None


def starts(line: Line) -> datetime | None:
    """When a line's charge begins, UTC; None where it does not say."""
    try:
        return Row(line).instant("ChargePeriodStart")
    except Wrong:
        return None


def _lines(lines: csv.DictReader[str]) -> Iterator[Line]:
    """One that has more or fewer cells than the header is kept as its cells."""
    for line in lines:
        # More cells stand under None, and a missing one is None.
        found: dict[Any, Any] = dict(line)
        if None in found or None in found.values():
            yield {"cells": [value for value in found.values() if value is not None]}
        else:
            yield {name: value for name, value in found.items() if value}


def _event(record: Row) -> UsageEvent:
    row = record.needed("row")
    starts = row.instant("ChargePeriodStart")
    said = {name: row.text(name) for name in GROUPS}
    record.external_id = key(_REPORT, starts, said.items(), max(record.count("ordinal"), 1))
    given = cost(row, "BilledCost", row.text("BillingCurrency"))
    told = said["ChargeCategory"]
    if told not in CATEGORIES:
        raise Wrong("connectors.field_invalid", "row.ChargeCategory", f"{told[:60]!r} is no category of FOCUS")
    corrected = given.pico < 0 and said["ChargeClass"] == _CORRECTION and told == "Usage"
    found = {name: row.text(column) for name, column in _KEPT.items()}
    name = found["meter_name"] or said["SkuMeter"]
    return event(
        external_id=record.external_id,
        occurred_at=starts,
        provider=PROVIDER,
        model="",
        counts=NO_COUNTS,
        region=said["RegionId"],
        provider_account=said["SubAccountId"] or said["BillingAccountId"],
        category="Adjustment" if corrected else category(given, told),
        evidence="billed",
        tags=tags(found | {"meter_name": name, METER: meter_of(name)}, _labels(row)),
        cost=given,
    )


def _labels(row: Row) -> dict[str, str]:
    """Tags are a JSON object in one cell; as they are, under `Tags`, where they are none."""
    text = row.text("Tags")
    try:
        said = msgspec.json.decode(text) if text else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {"Tags": text}
    if not isinstance(said, dict):
        return {"Tags": text}
    return {name: value if isinstance(value, str) else _encode(value).decode() for name, value in said.items()}

"""Reads Bedrock's lines of AWS' Cost and Usage Report (CUR 2.0, Data Exports): CSV, or rows of Parquet as dicts.

They are what AWS charges: by usage type and account, where it is switched on by IAM principal, never by request. See
README.md beside this file.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from finops.connectors.bedrock.principals import identities_of
from finops.connectors.bedrock.usage_types import UsageType, counts_of_line, model_of, usage_type_of
from finops.connectors.foreign import UNDECODABLE, Part, decode, encode, given_cost, key_of, received, tags_of
from finops.connectors.pages import BodyUnreadable, Page
from finops.connectors.reports import METER
from finops.connectors.types import Received, UsageEvent

PARSER: Final = "aws_cur"
PROVIDER: Final = "aws"
_COST: Final = "line_item_unblended_cost"
_TYPE: Final = "line_item_usage_type"
_NEEDED: Final = ("line_item_usage_start_date", _TYPE, _COST)
_COLUMNS: Final = (
    "bill_billing_period_start_date", "line_item_line_item_type", "line_item_usage_account_id",
    "line_item_usage_start_date", "line_item_product_code", _TYPE, "line_item_operation", "line_item_usage_amount",
    _COST, "line_item_currency_code", "line_item_resource_id", "line_item_iam_principal",
    "line_item_line_item_description", "pricing_unit", "product_region_code", "product_servicecode",
)  # fmt: skip
# A line's name: the ids AWS gives to lines are other ones in the next delivery.
_KEYS: Final = (
    "line_item_usage_start_date", "line_item_usage_account_id", "line_item_line_item_type", "line_item_product_code",
    _TYPE, "line_item_operation", "line_item_resource_id", "line_item_iam_principal", "pricing_unit",
    "line_item_line_item_description",
)  # fmt: skip
# What a line is: a charge of AWS' types that is neither use nor below nothing.
_CATEGORIES: Final[Mapping[str, str]] = {
    "tax": "Tax",
    "credit": "Credit",
    "refund": "Credit",
    "fee": "Purchase",
    "rifee": "Purchase",
    "savingsplanupfrontfee": "Purchase",
    "savingsplanrecurringfee": "Purchase",
    "bundleddiscount": "Credit",
    "edpdiscount": "Credit",
    "privateratediscount": "Credit",
    "savingsplannegation": "Adjustment",
}
_MAPS: Final = ("resource_tags", "tags")
# Columns of a tag each, as older exports write them.
_FLAT: Final = ("resource_tags_", "resource_tags/")
_USERS: Final = ("user:", "user_")
_MOST_TAGS: Final = 50


def parse(raw: bytes) -> Received:
    """One record of `cut` or `kept`."""
    return received(raw, _event, _name)


def cut(body: bytes) -> Page:
    """A report as CSV, decompressed: its lines of Bedrock. Raises BodyUnreadable."""
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    return Page(tuple(kept(lines_of(io.StringIO(text, newline="")))))


def lines_of(text: Iterable[str]) -> Iterator[Mapping[Any, Any]]:
    """Rows of a report as CSV, which comes line by line. Raises BodyUnreadable."""
    reader = csv.DictReader(line.replace("\x00", "\ufffd") for line in text)
    try:
        check_columns(reader.fieldnames or ())
        yield from reader
    except csv.Error as error:
        raise BodyUnreadable(f"This is not a Cost and Usage Report as CSV: {error}") from None


def check_columns(names: Iterable[str]) -> None:
    """Raises BodyUnreadable."""
    if not set(names).issuperset(_NEEDED):
        raise BodyUnreadable("This is not a Cost and Usage Report: a column of CUR 2.0 is missing.")


def is_read(column: str) -> bool:
    """Whether anything here looks at a column."""
    return column in (*_COLUMNS, *_MAPS, "product") or column.startswith(("product_", *_FLAT))


def starts(row: Mapping[Any, Any]) -> datetime | None:
    """When a line's usage begins, UTC; None where it does not say."""
    said = row.get("line_item_usage_start_date")
    try:
        found = said if isinstance(said, datetime) else datetime.fromisoformat(str(said))
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def kept(
    rows: Iterable[Mapping[Any, Any]],
    *,
    counted: Counter[str] | None = None,
    wanted: Callable[[Mapping[Any, Any]], bool] = lambda _: True,
) -> Iterator[bytes]:
    """Records of those rows that are Bedrock's. `counted` goes from file to file of one month: rows that say the same
    are told apart by their order, those too that are not `wanted`.
    """
    counted = Counter() if counted is None else counted
    for row in rows:
        if not is_bedrock(row):
            continue
        line = {name: _written(row[name]) for name in _COLUMNS if row.get(name) not in (None, "")}
        record: dict[str, Any] = {"line": line, "tags": dict(_tags(row))}
        key = _key(record)
        counted[key] += 1
        if counted[key] > 1:
            record["nth"] = counted[key]
        if wanted(row):
            yield encode(record)


def is_bedrock(row: Mapping[Any, Any]) -> bool:
    """By its product; models of others are sold through the Marketplace, as `… (Amazon Bedrock Edition)`."""
    product = row.get("product")
    # Parquet's maps come as lists of pairs.
    named = product.values() if isinstance(product, Mapping) else [value for _, value in _pairs(product)]
    said = (*(value for name, value in row.items() if _names_product(name)), *named)
    return any(isinstance(value, str) and "bedrock" in value.lower() for value in said)


def _names_product(column: Any) -> bool:
    return column in ("line_item_product_code", "line_item_line_item_description", "line_item_usage_type") or (
        isinstance(column, str) and column.startswith("product_")
    )


def _tags(row: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    """Of the resource and of the principal (`iamPrincipal/team`), however the export writes them."""
    found: list[tuple[Any, Any]] = []
    for name in _MAPS:
        value = row.get(name)
        if isinstance(value, str) and value.startswith("{"):
            try:
                value = decode(value.encode("utf-8", "replace"))
            except UNDECODABLE:
                continue
        found += value.items() if isinstance(value, Mapping) else _pairs(value)
    for column, value in row.items():
        prefix = next((one for one in _FLAT if isinstance(column, str) and column.startswith(one)), None)
        if prefix is not None:
            found.append((column.removeprefix(prefix), value))
    for key, value in found[:_MOST_TAGS]:
        if isinstance(key, str) and isinstance(value, str) and value:
            user = next((one for one in _USERS if key.startswith(one)), "")
            yield key.removeprefix("resourceTags/").removeprefix(user)[:200], value[:300]


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, list | tuple):
        return []
    return [(pair[0], pair[1]) for pair in value if isinstance(pair, list | tuple) and len(pair) == 2]


def _written(value: Any) -> Any:
    """A cell as JSON has it. A float of Parquet is written as the shortest decimal that is it."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str):
        return value[:300]
    return value if isinstance(value, int | Decimal) else str(value)[:300]


def _key(record: Mapping[str, Any], nth: int = 0) -> str:
    line, tags = record.get("line"), record.get("tags")
    line = line if isinstance(line, Mapping) else {}
    told = [str(line.get(name, "")) for name in _KEYS]
    labels = [f"{name}={value}" for name, value in sorted(tags.items())] if isinstance(tags, dict) else []
    return key_of([*told, *labels, *([f"#{nth}"] if nth else [])])


def _name(record: Part) -> str:
    if not record.has("line"):
        raise record.missing("line")
    return _key(record.values, record.count("nth"))


def _event(record: Part) -> UsageEvent:
    line = record.part("line")
    cost = line.decimal(_COST)
    if cost is None:
        raise line.missing(_COST)
    said = usage_type_of(line.text(_TYPE), line.text("line_item_line_item_description"))
    principal = line.text("line_item_iam_principal")
    labels = {name: value for name, value in record.part("tags").values.items() if isinstance(value, str)}
    return UsageEvent(
        external_id=_name(record),
        occurred_at=line.moment("line_item_usage_start_date"),
        provider=PROVIDER,
        model=model_of(said),
        counts=counts_of_line(said, line.decimal("line_item_usage_amount"), line.text("pricing_unit")),
        service_tier=said.tier,
        region=line.text("product_region_code"),
        provider_account=line.text("line_item_usage_account_id"),
        category=_category(line.text("line_item_line_item_type"), cost),
        evidence="billed",
        identities=identities_of(principal),
        tags=tags_of(labels | _words(line, said)),
        cost=given_cost(cost, line.text("line_item_currency_code") or "USD", _COST),
    )


def _words(line: Part, said: UsageType) -> dict[str, str]:
    return {
        "usage_type": line.text(_TYPE),
        "operation": line.text("line_item_operation"),
        "resource": line.text("line_item_resource_id"),
        "routing": said.routing,
        METER: "output" if said.meter == "output_text" else said.meter,
    }


def _category(kind: str, cost: Decimal) -> str:
    found = _CATEGORIES.get(kind.lower().replace("_", ""), "Usage")
    # Only a credit or an adjustment may lower a bill.
    return "Adjustment" if cost < 0 and found not in ("Credit", "Adjustment") else found

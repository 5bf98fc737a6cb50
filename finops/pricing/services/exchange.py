"""Exchange rates: dated, given one by one or by file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, NamedTuple

from django.db import transaction
from django.db.models import Q

from finops.audit.services import record
from finops.core.actors import Actor
from finops.core.errors import Invalid
from finops.pricing.models import ExchangeRate
from finops.pricing.rules import terms
from finops.pricing.rules.terms import GivenRate
from finops.pricing.services.versions import touch

_NOBODY: Final = 0
_BATCH: Final = 2000


class Kept(NamedTuple):
    """How many rates were new, how many said something else than before, and how many said the same."""

    added: int
    changed: int
    same: int


@transaction.atomic
def add_exchange_rates(*, organization_id: int | None, rates: Sequence[GivenRate], by: Actor, at: datetime) -> Kept:
    """Keep rates, all or none; for every organization when `organization_id` is None.

    A rate given again for the same pair and day replaces the one before (the database keeps both in its history);
    charges already booked keep the rate they were booked at. Raises CurrencyUnknown, PriceInvalid; Invalid when the
    same pair and day is given twice with two rates.
    """
    checked: dict[tuple[str, str, date], GivenRate] = {}
    for index, given in enumerate(rates):
        rate = terms.exchange_rate(given, field=f"rates[{index}]")
        key = (rate.from_currency, rate.to_currency, rate.day)
        if key in checked and checked[key].rate != rate.rate:
            raise Invalid("this pair and day is given twice, with two rates", field=f"rates[{index}]")
        checked[key] = rate
    if not checked:
        return Kept(0, 0, 0)
    touch(organization_id=organization_id, at=at)
    days = [rate.day for rate in checked.values()]
    standing = {
        (row.from_currency, row.to_currency, row.day): row
        for row in ExchangeRate.objects.filter(
            Q(organization_id=organization_id), day__gte=min(days), day__lte=max(days)
        ).order_by("id")
    }
    added, changed = [], []
    for key, rate in checked.items():
        row = standing.get(key)
        if row is None:
            added.append(ExchangeRate(organization_id=organization_id, **rate._asdict()))
        elif row.rate != rate.rate:
            row.rate, row.source = rate.rate, rate.source
            changed.append(row)
    ExchangeRate.objects.bulk_create(added, batch_size=_BATCH)
    ExchangeRate.objects.bulk_update(changed, ["rate", "source"], batch_size=_BATCH)
    kept = Kept(len(added), len(changed), len(checked) - len(added) - len(changed))
    record(
        organization_id=organization_id or _NOBODY,
        verb="pricing.exchange_rates_added",
        subject_kind="exchange_rate",
        subject_id=f"{min(days)}..{max(days)}",
        by=by,
        at=at,
        details={
            **kept._asdict(),
            "pairs": sorted({f"{rate.from_currency}/{rate.to_currency}" for rate in checked.values()}),
        },
    )
    return kept

"""Organizations: made, and their settings changed."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import psycopg
from django.db import IntegrityError, transaction

from finops.audit import services as audit
from finops.core.actors import Actor
from finops.core.errors import FinopsError, Invalid
from finops.orgs.models import Organization
from finops.orgs.services.checks import SlugTaken, clean_name, clean_slug

# What may change later. The slug is in every address and stays.
CHANGEABLE: Final = ("name", "reporting_currency", "timezone", "fiscal_calendar", "fiscal_start_month")


class CurrencyStays(FinopsError):
    """Totals are kept in the reporting currency; with charges booked it can no longer be changed."""

    code = "orgs.currency_stays"
    status = 409


class SettingInvalid(Invalid):
    code = "orgs.setting_invalid"


@transaction.atomic
def create_organization(
    *,
    slug: str,
    name: str,
    reporting_currency: str = "USD",
    timezone: str = "UTC",
    fiscal_calendar: str = Organization.Calendar.MONTHS,
    fiscal_start_month: int = 1,
    is_demo: bool = False,
    by: Actor,
    at: datetime,
) -> Organization:
    """Raises SlugTaken, SlugInvalid, NameInvalid and SettingInvalid."""
    settings = _clean(
        {
            "name": name,
            "reporting_currency": reporting_currency,
            "timezone": timezone,
            "fiscal_calendar": fiscal_calendar,
            "fiscal_start_month": fiscal_start_month,
        }
    )
    row = Organization(slug=clean_slug(slug, most=60), is_demo=is_demo, **settings)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise SlugTaken(f"The slug {row.slug!r} is taken.", field="slug") from None
    audit.record(
        organization_id=row.id,
        verb="organization.created",
        subject_kind="organization",
        subject_id=row.id,
        subject_label=row.name,
        details={"slug": row.slug, **settings, "is_demo": is_demo},
        by=by,
        at=at,
    )
    return row


@transaction.atomic
def change_organization(*, organization_id: int, changes: Mapping[str, Any], by: Actor, at: datetime) -> Organization:
    """Change what `CHANGEABLE` lists. The reporting currency can be changed until the first charge is booked.

    Raises SettingInvalid, NameInvalid and CurrencyStays.
    """
    row = Organization.objects.select_for_update().get(id=organization_id)
    cleaned = _clean(changes)
    before = {name: getattr(row, name) for name in cleaned}
    changed = {name: value for name, value in cleaned.items() if before[name] != value}
    if not changed:
        return row
    for name, value in changed.items():
        setattr(row, name, value)
    try:
        with transaction.atomic():
            row.save(update_fields=list(changed))
    except IntegrityError as error:
        if not isinstance(error.__cause__, psycopg.errors.RestrictViolation):
            raise
        raise CurrencyStays(
            f"Charges are booked in {before['reporting_currency']}; the reporting currency stays.",
            field="reporting_currency",
        ) from None
    audit.record(
        organization_id=row.id,
        verb="organization.changed",
        subject_kind="organization",
        subject_id=row.id,
        subject_label=row.name,
        details={"before": {name: before[name] for name in changed}, "after": changed},
        by=by,
        at=at,
    )
    return row


def _clean(settings: Mapping[str, Any]) -> dict[str, Any]:
    cleaned: dict[str, Any] = {}
    for name, value in settings.items():
        if name not in CHANGEABLE:
            raise SettingInvalid(f"{name} cannot be changed", field=name)
        if name == "name":
            cleaned[name] = clean_name(str(value))
            continue
        if not _good(name, value):
            raise SettingInvalid(f"{name} cannot be {value!r}", field=name)
        cleaned[name] = str(value) if isinstance(value, str) else value
    return cleaned


def _good(name: str, value: object) -> bool:
    if name == "fiscal_start_month":
        return type(value) is int and 1 <= value <= 12
    if not isinstance(value, str):
        return False
    if name == "reporting_currency":
        return re.fullmatch(r"[A-Z]{3}", value) is not None
    if name == "timezone":
        return value in zoneinfo.available_timezones()
    return value in Organization.Calendar.values

"""What an organization pays instead of the public price: discounts, committed prices, models of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from django.db import IntegrityError, transaction

from finops.audit.services import record
from finops.core.actors import Actor
from finops.core.errors import FinopsError, Invalid
from finops.pricing import selectors
from finops.pricing.models import Contract
from finops.pricing.rules import terms
from finops.pricing.rules.names import canonical_tier
from finops.pricing.rules.pricer import ANY_TIER
from finops.pricing.services.versions import touch
from finops.pricing.types import StepRates

# What the public book is in; a committed price replaces one of its prices, so it is in the same.
_BOOK_CURRENCY: Final = "USD"


class ContractOverlaps(FinopsError):
    """Another contract already says what this is to say, for some of the same days."""

    code = "pricing.contract_overlaps"
    status = 409


class ModelUnknown(Invalid):
    """No model of the public book answers to that name."""

    code = "pricing.model_unknown"


class ProviderUnknown(Invalid):
    code = "pricing.provider_unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """Whom a contract is about and when. `model` '' is every model, `tier` '*' every tier."""

    provider: str
    model: str = ""
    tier: str = ANY_TIER
    effective_from: date
    effective_to: date | None = None
    note: str = ""


def set_discount(*, organization_id: int, about: Agreed, percent: Decimal, by: Actor, at: datetime) -> Contract:
    """So many percent off the list price. Raises Invalid, ModelUnknown, ContractOverlaps."""
    provider, model = _canonical(about)
    return _write(
        organization_id,
        Contract.Kind.DISCOUNT,
        about,
        {"provider": provider, "model": model, "percent": terms.percent(percent), "raw": {"percent": str(percent)}},
        by,
        at,
    )


def set_committed_prices(
    *, organization_id: int, about: Agreed, steps: Sequence[StepRates], currency: str = "USD", by: Actor, at: datetime
) -> Contract:
    """Prices agreed for one model; a meter not named keeps its list price.

    Prices are per million tokens, and each for what is counted. Raises Invalid, ModelUnknown, ContractOverlaps.
    """
    provider, model = _canonical(about)
    if not model:
        raise Invalid("committed prices are for one model", field="model")
    if terms.currency(currency, field="currency") != _BOOK_CURRENCY:
        raise terms.CurrencyUnknown(
            f"the list price is in {_BOOK_CURRENCY}, so what replaces it is too; for another currency describe the "
            "model as your own",
            field="currency",
        )
    return _write(organization_id, Contract.Kind.COMMITTED, about, _priced(provider, model, steps, currency), by, at)


def add_custom_model(
    *,
    organization_id: int,
    about: Agreed,
    steps: Sequence[StepRates],
    currency: str = "USD",
    host: str = "",
    by: Actor,
    at: datetime,
) -> Contract:
    """A model the public book does not have: self-hosted, fine-tuned, or bought elsewhere. Its price is list and
    contracted at once. `host` '' is wherever it runs. Raises Invalid, ContractOverlaps.
    """
    model = about.model.strip()
    if not model:
        raise Invalid("an own model has a name", field="model")
    provider = selectors.load_catalogue().names.provider(about.provider) or about.provider.strip().lower()
    fields = _priced(provider, model, steps, currency) | {"host": host.strip().lower()}
    return _write(organization_id, Contract.Kind.CUSTOM, about, fields, by, at)


@transaction.atomic
def close_contract(*, organization_id: int, contract_id: int, effective_to: date, by: Actor, at: datetime) -> Contract:
    """The contract ends before `effective_to`; on its first day, it was never in force. It cannot be made longer.

    Charges already rated keep their price until the period is rated again. Raises NotFound, PeriodInvalid.
    """
    found = selectors.contract(organization_id, contract_id, lock=True)
    if effective_to < found.effective_from:
        raise terms.PeriodInvalid(f"the contract begins on {found.effective_from}", field="effective_to")
    if found.effective_to is not None and effective_to > found.effective_to:
        raise terms.PeriodInvalid(f"the contract already ends on {found.effective_to}", field="effective_to")
    before, found.effective_to = found.effective_to, effective_to
    found.save(update_fields=["effective_to"])
    touch(organization_id=organization_id, at=at)
    details = {"effective_to": [str(before) if before else None, str(effective_to)]}
    _record(found, "pricing.contract_closed", details, by, at)
    return found


def _canonical(about: Agreed) -> tuple[str, str]:
    """Canonical provider and model of the public book ('' for every model)."""
    names = selectors.load_catalogue().names
    provider = names.provider(about.provider)
    if provider is None:
        raise ProviderUnknown(f"the price book has no provider {about.provider!r}", field="provider")
    if not about.model.strip():
        return provider, ""
    hit = names.model(provider, about.model)
    if hit is None:
        raise ModelUnknown(
            f"the price book has no model {about.model!r} of {provider}; describe it as your own", field="model"
        )
    return provider, hit[1]


def _priced(provider: str, model: str, steps: Sequence[StepRates], currency: str) -> dict[str, Any]:
    return {
        "provider": provider,
        "model": model,
        "steps": terms.steps_as_kept(steps),
        "raw": {"steps": terms.steps_as_given(steps)},
        "currency": terms.currency(currency, field="currency"),
    }


def _write(organization_id: int, kind: str, about: Agreed, fields: dict[str, Any], by: Actor, at: datetime) -> Contract:
    terms.period(about.effective_from, about.effective_to)
    tier = ANY_TIER if about.tier.strip() == ANY_TIER else canonical_tier(about.tier)
    try:
        with transaction.atomic():
            # First, so that two writers of one organization go one after the other.
            touch(organization_id=organization_id, at=at)
            made = Contract.objects.create(
                organization_id=organization_id,
                kind=kind,
                tier=tier,
                effective_from=about.effective_from,
                effective_to=about.effective_to,
                note=about.note,
                created_at=at,
                **fields,
            )
            details = {
                "kind": kind,
                "tier": tier,
                "effective_from": str(made.effective_from),
                "effective_to": str(made.effective_to) if made.effective_to else None,
                "currency": made.currency,
                **made.raw,
            }
            _record(made, "pricing.contract_set", details, by, at)
    except IntegrityError as error:
        if "contract_one_at_a_time" not in str(error):
            raise
        raise ContractOverlaps(
            f"another contract of this kind for {fields['provider']}/{fields['model'] or 'every model'} is in force "
            "in that period; close it first",
            field="effective_from",
        ) from None
    return made


def _record(contract: Contract, verb: str, details: dict[str, Any], by: Actor, at: datetime) -> None:
    record(
        organization_id=contract.organization_id,
        verb=verb,
        subject_kind="contract",
        subject_id=contract.id,
        subject_label=str(contract),
        by=by,
        at=at,
        details=details,
    )

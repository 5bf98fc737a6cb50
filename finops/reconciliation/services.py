"""Makes the books of a provider's day what was billed for it."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from django.db import Error, connection, transaction

from finops.core.money import from_pico, to_pico
from finops.ingest.services.corridor import Corridor, corridor_for
from finops.ledger.selectors import used
from finops.ledger.services import Batch, post
from finops.pricing.rules import rate
from finops.reconciliation import selectors
from finops.reconciliation.kinds import kinds_of, meter_of
from finops.reconciliation.models import CountingRule, ReconciledDay
from finops.reconciliation.posting import Writer
from finops.reconciliation.rules import reconciled
from finops.reconciliation.types import NOBODY, Day, Group, Kind, Line, Owner, Use
from finops.sources.models import Source
from finops.statements import selectors as statements

logger = logging.getLogger(__name__)
# Reports are revised for thirty days, and calls are told late.
LOOKS_BACK: Final = timedelta(days=45)
_State = ReconciledDay.State


class Compared(NamedTuple):
    """A day in one currency, how many calls it had, and the currencies there are besides."""

    day: Day
    currency: str
    calls: int
    others: frozenset[str]


def reconcile(*, organization_id: int, at: datetime) -> int:
    """Make anew what has changed; gives how many days that were. A day that fails is logged, and keeps no other from
    it. Nothing while another worker does it.
    """
    done = 0
    with _alone(organization_id) as mine:
        for rule in ensure_rules(organization_id=organization_id, at=at) if mine else ():
            for day, basis in selectors.changed(rule, since=(at - LOOKS_BACK).date(), at=at):
                try:
                    reconcile_day(rule=rule, day=day, basis=basis, at=at)
                except Exception:
                    logger.exception(
                        "%s's %s of organization %d was not reconciled", rule.provider, day, organization_id
                    )
                else:
                    done += 1
    return done


@contextmanager
def _alone(organization_id: int) -> Iterator[bool]:
    """Lines are made from what is there, and two at once would undo each other's. A lock of the session, for words are
    interned in transactions of their own; it goes with the connection.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT hashtextextended(%s, 0)", [f"reconcile:{organization_id}"])
        (lock,) = cursor.fetchone() or (0,)
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock])
        (mine,) = cursor.fetchone() or (False,)
    try:
        yield mine
    finally:
        if mine:
            # When the connection is gone, so is the lock, and what ended it is the error to be told.
            with suppress(Error), connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [lock])


def ensure_rules(*, organization_id: int, at: datetime) -> list[CountingRule]:
    """The rules, made where a provider's cost is stated and nobody said how it counts: then what is billed is the
    money, from the first day it is stated of.
    """
    known = {rule.provider: rule for rule in CountingRule.objects.filter(organization_id=organization_id)}
    for provider, source_id, since in statements.stated(organization_id):
        if provider not in known:
            known[provider], _ = CountingRule.objects.get_or_create(
                organization_id=organization_id,
                provider=provider,
                defaults={"source_id": source_id, "since": since, "set_at": at},
            )
    return sorted(known.values(), key=lambda rule: rule.provider)


def reconcile_day(*, rule: CountingRule, day: date, basis: str, at: datetime) -> ReconciledDay:
    """One provider's day, by whoever is alone at it."""
    corridor = corridor_for(rule.organization_id)
    compared = _compared(corridor, rule, day)
    lines, state = _lines(compared, rule)
    writer = Writer(rule, day, compared.currency, corridor)
    for line in lines:
        writer.write(line)
    writer.undo_missing()
    batch = Batch(organization_id=rule.organization_id, postings=writer.postings)
    with transaction.atomic():
        post(batch=batch, revises=True, at=at)
        row, _ = ReconciledDay.objects.update_or_create(
            organization_id=rule.organization_id,
            provider=rule.provider,
            day=day,
            defaults=_said(compared, lines) | {"state": state, "basis": basis, "reconciled_at": at},
        )
    return row


def _lines(compared: Compared, rule: CountingRule) -> tuple[list[Line], str]:
    if compared.others:
        return [], _State.CURRENCIES
    if rule.level == CountingRule.Level.METERED:
        return [], _State.COMPARED
    return reconciled(compared.day, whole=rule.whole), _State.TIED


def _compared(corridor: Corridor, rule: CountingRule, day: date) -> Compared:
    money: dict[str, dict[Group, dict[str, int]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    reported: dict[Group, dict[Owner, Use]] = defaultdict(dict)
    provider = rule.provider
    usage_source = 0
    for source, event in statements.of_day(rule.organization_id, rule.provider, day):
        shape, found = corridor.shape(event, source.id)
        provider = shape.provider
        group = Group(event.provider_account, shape.model)
        if source.states == Source.States.MONEY:
            if source.id == rule.source_id and event.cost is not None:
                money[event.cost.currency][group][meter_of(event)] += event.cost.pico
            continue
        # Of several reports of the same usage, the one that was connected first.
        usage_source = usage_source or source.id
        if source.id == usage_source:
            owner = corridor.ownership(event, source.id).ids
            worth = rate(found, event.counts, event.occurred_at).effective_pico
            reported[group][owner] = _more(reported[group].get(owner), worth, kinds_of(event.counts))
    seen: dict[Group, dict[Owner, Use]] = defaultdict(dict)
    calls, currencies = 0, set(money)
    for row in used(rule.organization_id, provider=provider, day=day, but_source=rule.source_id):
        group = Group(row.account, row.model)
        seen[group][row.owner] = _more(seen[group].get(row.owner), to_pico(row.effective_cost), kinds_of(row.counts))
        calls += row.calls
        if row.effective_cost:
            currencies.add(row.currency)
    currency = min(money, default="USD")
    return Compared(Day(money.get(currency, {}), reported, seen), currency, calls, frozenset(currencies - {currency}))


def _more(to: Use | None, pico: int, counts: Mapping[str, int]) -> Use:
    if to is None:
        return Use(pico, counts)
    kinds = {*to.counts, *counts}
    return Use(to.pico + pico, {kind: to.counts.get(kind, 0) + counts.get(kind, 0) for kind in kinds})


def _said(compared: Compared, lines: Iterable[Line]) -> dict[str, object]:
    billed = sum(pico for kinds in compared.day.money.values() for pico in kinds.values())
    stood = sum(one.pico for owners in compared.day.seen.values() for one in owners.values())
    unseen = [line for line in lines if line.kind is Kind.UNSEEN]
    return {
        "currency": compared.currency,
        "billed": from_pico(billed),
        "seen": from_pico(stood),
        "unseen": from_pico(sum(line.pico for line in unseen)),
        "unattributed": from_pico(sum(line.pico for line in unseen if line.owner == NOBODY)),
        "calls": compared.calls,
    }

"""Makes the books of a provider's day what was billed for it."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from django.db import Error, connection, transaction

from finops.audit import services as audit
from finops.core.actors import Actor
from finops.core.errors import Invalid, NotFound
from finops.core.money import from_pico, to_pico
from finops.ingest.services.corridor import Corridor, corridor_for
from finops.ledger.rules.periods import EARLIEST, LATEST
from finops.ledger.selectors import used
from finops.ledger.services import Batch, post
from finops.pricing.rules import rate
from finops.reconciliation import selectors
from finops.reconciliation.kinds import kinds_of, meter_of
from finops.reconciliation.models import MOST_HOURS, CountingRule, ReconciledDay
from finops.reconciliation.posting import Writer
from finops.reconciliation.rules import comparable, reconciled
from finops.reconciliation.types import NOBODY, Day, Group, Kind, Line, Owner, Use
from finops.sources.models import Source
from finops.statements import selectors as statements

logger = logging.getLogger(__name__)
# Reports are revised for thirty days, and calls are told late.
LOOKS_BACK: Final = timedelta(days=45)
_State = ReconciledDay.State


class RuleInvalid(Invalid):
    """A rule that cannot be; `field` says where."""

    code = "reconciliation.rule_invalid"


class _Found(NamedTuple):
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
            for gone in selectors.let_go(rule):
                release_day(rule=rule, row=gone, at=at)
                done += 1
            since = rule.since if selectors.is_behind(rule) else (at - LOOKS_BACK).date()
            for day, basis in selectors.changed(rule, since=since, at=at):
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


@transaction.atomic
def change_rule(
    *,
    organization_id: int,
    rule_id: int,
    level: str | None = None,
    source: str | None = None,
    since: date | None = None,
    whole: bool | None = None,
    after_hours: int | None = None,
    by: Actor,
    at: datetime,
) -> CountingRule:
    """What is None stays. Days are made anew by it when the organization is reconciled next, also those that lie far
    back. Raises NotFound, and RuleInvalid naming the field.
    """
    rule = CountingRule.objects.select_for_update().filter(organization_id=organization_id, id=rule_id).first()
    if rule is None:
        raise NotFound("There is no such counting rule.")
    before = _told(rule)
    if level is not None:
        if level not in CountingRule.Level.values:
            raise RuleInvalid(f"level is one of {', '.join(CountingRule.Level.values)}", field="level")
        rule.level = level
    if source is not None:
        rule.source = _whose_money(rule, source)
    if since is not None:
        if not EARLIEST <= since < LATEST:
            raise RuleInvalid(f"a rule begins on {EARLIEST} or later, and before {LATEST}", field="since")
        rule.since = since
    if whole is not None:
        rule.whole = whole
    if after_hours is not None:
        if not 0 <= after_hours <= MOST_HOURS:
            raise RuleInvalid(f"a day is compared at most {MOST_HOURS} hours after it is over", field="after_hours")
        rule.after_hours = after_hours
    if (after := _told(rule)) != before:
        rule.set_at = at
        rule.save()
        audit.record(
            organization_id=organization_id,
            verb="counting_rule.changed",
            subject_kind="counting_rule",
            subject_id=rule.id,
            subject_label=rule.provider,
            details={"before": before, "after": after},
            by=by,
            at=at,
        )
    return rule


def _whose_money(rule: CountingRule, slug: str) -> Source:
    found = next((one for one in selectors.bills_of(rule) if one.slug == slug), None)
    if found is None:
        raise RuleInvalid(f"no source of that name states what {rule.provider} cost", field="source")
    return found


def _told(rule: CountingRule) -> dict[str, object]:
    return {
        "level": rule.level,
        "source": rule.source.slug,
        "since": rule.since.isoformat(),
        "whole": rule.whole,
        "after_hours": rule.after_hours,
    }


def reconcile_day(*, rule: CountingRule, day: date, basis: str, at: datetime) -> ReconciledDay:
    """One provider's day, by whoever is alone at it."""
    corridor = corridor_for(rule.organization_id)
    sources = [one.id for one in statements.money_sources(rule.organization_id)]
    compared = _compared(corridor, rule, day, sources)
    lines, state = _lines(compared, rule)
    writer = Writer(rule, day, compared.currency, corridor)
    for line in lines:
        writer.write(line)
    writer.undo_missing(sources)
    batch = Batch(organization_id=rule.organization_id, postings=writer.postings)
    with transaction.atomic():
        post(batch=batch, revises=True, at=at)
        row, _ = ReconciledDay.objects.update_or_create(
            organization_id=rule.organization_id,
            provider=rule.provider,
            day=day,
            defaults=_said(compared, lines, rule) | {"state": state, "basis": basis, "reconciled_at": at},
        )
    return row


def release_day(*, rule: CountingRule, row: ReconciledDay, at: datetime) -> None:
    """A day from before the rule speaks: its lines are undone, and calls are what they come to by their prices."""
    writer = Writer(rule, row.day, row.currency, corridor_for(rule.organization_id))
    writer.undo_missing([one.id for one in statements.money_sources(rule.organization_id)])
    with transaction.atomic():
        post(batch=Batch(organization_id=rule.organization_id, postings=writer.postings), revises=True, at=at)
        row.delete()


def _lines(compared: _Found, rule: CountingRule) -> tuple[list[Line], str]:
    if compared.others:
        return [], _State.CURRENCIES
    if rule.level == CountingRule.Level.METERED:
        return [], _State.COMPARED
    return reconciled(compared.day, whole=rule.whole), _State.TIED


def _compared(corridor: Corridor, rule: CountingRule, day: date, sources: Collection[int]) -> _Found:
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
    for row in used(rule.organization_id, provider=provider, day=day, but_sources=sources):
        group = Group(row.account, row.model)
        seen[group][row.owner] = _more(seen[group].get(row.owner), to_pico(row.effective_cost), kinds_of(row.counts))
        calls += row.calls
        if row.effective_cost:
            currencies.add(row.currency)
    currency = min(money, default="USD")
    return _Found(Day(money.get(currency, {}), reported, seen), currency, calls, frozenset(currencies - {currency}))


def _more(to: Use | None, pico: int, counts: Mapping[str, int]) -> Use:
    if to is None:
        return Use(pico, counts)
    kinds = {*to.counts, *counts}
    return Use(to.pico + pico, {kind: to.counts.get(kind, 0) + counts.get(kind, 0) for kind in kinds})


def _said(compared: _Found, lines: Iterable[Line], rule: CountingRule) -> dict[str, object]:
    """What was compared: where the bill is not all there is to pay, calls of what is not on it stand beside."""
    day = comparable(compared.day)
    billed = sum(pico for kinds in day.money.values() for pico in kinds.values())
    groups = [owners for group, owners in day.seen.items() if rule.whole or group in day.money]
    stood = sum(one.pico for owners in groups for one in owners.values())
    unseen = [line for line in lines if line.kind is Kind.UNSEEN]
    return {
        "currency": compared.currency,
        "billed": from_pico(billed),
        "seen": from_pico(stood),
        "unseen": from_pico(sum(line.pico for line in unseen)),
        "unattributed": from_pico(sum(line.pico for line in unseen if line.owner == NOBODY)),
        "calls": compared.calls,
    }

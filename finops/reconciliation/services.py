"""Makes the books of a provider's day what was billed for it."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from types import EllipsisType
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
from finops.reconciliation.counting import Counting, Spoken, by_provider
from finops.reconciliation.evidence import Bills, FirstTold
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
    """A day in one currency, how many calls it had, the currencies there are besides, and whose bill a group is on."""

    day: Day
    currency: str
    calls: int
    others: frozenset[str]
    bills: Mapping[Group, int]


def reconcile(*, organization_id: int, at: datetime) -> int:
    """Make anew what has changed; gives how many days that were. A day that fails is logged, and keeps no other from
    it. Nothing while another worker does it.
    """
    done = 0
    with _alone(organization_id) as mine:
        for counting in ensure_rules(organization_id=organization_id, at=at) if mine else ():
            for gone in selectors.let_go(counting):
                release_day(counting=counting, row=gone, at=at)
                done += 1
            since = date.min if selectors.is_behind(counting) else (at - LOOKS_BACK).date()
            for day, basis in selectors.changed(counting, since=since, at=at):
                try:
                    reconcile_day(counting=counting, day=day, basis=basis, at=at)
                except Exception:
                    logger.exception(
                        "%s's %s of organization %d was not reconciled", counting.provider, day, organization_id
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


def ensure_rules(*, organization_id: int, at: datetime) -> list[Counting]:
    """The rules by provider, made where a source states what a provider cost and nobody said how that counts: it is
    money from its first day on, unless it is likely that another bill says the same.
    """
    known = {(rule.provider, rule.source_id): rule for rule in selectors.rules(organization_id)}
    for provider, source_id, since in statements.stated(organization_id):
        if (provider, source_id) not in known:
            billed = [
                rule.source_id
                for rule in known.values()
                if rule.provider == provider and rule.level != CountingRule.Level.REPEATED
            ]
            repeated = any(_says_the_same(organization_id, provider, source_id, one) for one in billed)
            known[provider, source_id], _ = CountingRule.objects.get_or_create(
                organization_id=organization_id,
                provider=provider,
                source_id=source_id,
                defaults={
                    "level": CountingRule.Level.REPEATED if repeated else CountingRule.Level.BILLED,
                    "since": since,
                    "set_at": at,
                },
            )
    return by_provider(known.values())


def _says_the_same(organization_id: int, provider: str, source_id: int, other_id: int) -> bool:
    """Whether two bills of a provider are likely to be of the same account. Money is not to be there twice: only a
    report of the same form is taken for another account's, where it names none of the accounts that the other names,
    nor tells half of its rows word by word.
    """
    one, other = (statements.bill(organization_id, source_id=each, provider=provider) for each in (source_id, other_id))
    if one.parsers != other.parsers or "" in one.parsers or one.accounts & other.accounts:
        return True
    alike = statements.alike(organization_id, source_id=source_id, other_id=other_id, provider=provider)
    return 2 * alike >= one.rows


@transaction.atomic
def change_rule(
    *,
    organization_id: int,
    rule_id: int,
    level: str | None = None,
    since: date | None = None,
    until: date | EllipsisType | None = ...,
    whole: bool | None = None,
    after_hours: int | None = None,
    by: Actor,
    at: datetime,
) -> CountingRule:
    """What is None stays, and so does the end where it is left out: None is for ever. Days are made anew by it when the
    organization is reconciled next, also those that lie far back. Raises NotFound, and RuleInvalid naming the field.
    """
    rule = CountingRule.objects.select_for_update().filter(organization_id=organization_id, id=rule_id).first()
    if rule is None:
        raise NotFound("There is no such counting rule.")
    before = _told(rule)
    if level is not None:
        if level not in CountingRule.Level.values:
            raise RuleInvalid(f"level is one of {', '.join(CountingRule.Level.values)}", field="level")
        rule.level = level
    if since is not None:
        if not EARLIEST <= since < LATEST:
            raise RuleInvalid(f"a rule begins on {EARLIEST} or later, and before {LATEST}", field="since")
        rule.since = since
    if not isinstance(until, EllipsisType):
        rule.until = until
    if rule.until is not None and not rule.since < rule.until <= LATEST:
        field = "since" if until is ... else "until"
        raise RuleInvalid(f"a rule ends after the day it begins on, and by {LATEST}", field=field)
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


def _told(rule: CountingRule) -> dict[str, object]:
    return {
        "level": rule.level,
        "source": rule.source.slug,
        "since": rule.since.isoformat(),
        "until": rule.until.isoformat() if rule.until is not None else None,
        "whole": rule.whole,
        "after_hours": rule.after_hours,
    }


def reconcile_day(*, counting: Counting, day: date, basis: str, at: datetime) -> ReconciledDay:
    """One provider's day that a rule speaks of, by whoever is alone at it."""
    house, spoken = counting.organization_id, counting.on(day)
    if spoken is None:
        raise RuntimeError(f"no rule speaks of {counting.provider}'s {day}")
    corridor = corridor_for(house)
    sources = [one.id for one in statements.money_sources(house)]
    compared = _compared(corridor, counting, day, spoken, sources)
    lines, state = _lines(compared, spoken)
    writer = Writer(counting, day, compared.currency, corridor)
    for line in lines:
        # What a bill without models pays for is on that bill.
        billed_by = compared.bills.get(line.group) or compared.bills.get(Group(line.group.account, ""))
        writer.write(line, billed_by or spoken.money[0].source_id)
    writer.undo_missing(sources)
    batch = Batch(organization_id=house, postings=writer.postings)
    with transaction.atomic():
        post(batch=batch, revises=True, at=at)
        row, _ = ReconciledDay.objects.update_or_create(
            organization_id=house,
            provider=counting.provider,
            day=day,
            defaults=_said(compared, lines, spoken) | {"state": state, "basis": basis, "reconciled_at": at},
        )
    return row


def release_day(*, counting: Counting, row: ReconciledDay, at: datetime) -> None:
    """A day that no rule speaks of: its lines are undone, and calls are what they come to by their prices."""
    house = counting.organization_id
    writer = Writer(counting, row.day, row.currency, corridor_for(house))
    writer.undo_missing([one.id for one in statements.money_sources(house)])
    with transaction.atomic():
        post(batch=Batch(organization_id=house, postings=writer.postings), revises=True, at=at)
        row.delete()


def _lines(compared: _Found, spoken: Spoken) -> tuple[list[Line], str]:
    if compared.others:
        return [], _State.CURRENCIES
    if not spoken.billed:
        return [], _State.COMPARED
    return reconciled(compared.day, whole=spoken.whole), _State.TIED


def _compared(corridor: Corridor, counting: Counting, day: date, spoken: Spoken, sources: Collection[int]) -> _Found:
    house = counting.organization_id
    money: dict[str, dict[Group, dict[str, int]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    reported: dict[Group, dict[Owner, Use]] = defaultdict(dict)
    # Where nobody reports usage, what a bill says of it itself.
    by_bill: dict[Group, dict[Owner, Use]] = defaultdict(dict)
    provider, usage, bills = counting.provider, FirstTold(), Bills(spoken)
    for row in statements.of_day(house, counting.provider, day):
        event = row.event
        shape, found = corridor.shape(event, row.source.id)
        provider = shape.provider
        group = Group(event.provider_account, shape.model)
        kinds = kinds_of(event.counts)
        if row.source.states == Source.States.MONEY:
            if event.cost is None or not bills.counts(row.source.id, group):
                continue
            money[event.cost.currency][group][meter_of(event)] += event.cost.pico
            if not kinds:
                continue
            told = by_bill[group]
        elif usage.is_new(row):
            told = reported[group]
        else:
            continue
        owner = corridor.ownership(event, row.source.id).ids
        worth = rate(found, event.counts, event.occurred_at).effective_pico
        told[owner] = _more(told.get(owner), worth, kinds)
    seen: dict[Group, dict[Owner, Use]] = defaultdict(dict)
    calls, currencies = 0, set(money)
    for use in used(house, provider=provider, day=day, but_sources=sources):
        group = Group(use.account, use.model)
        if bills.leaves_out(group.account):
            continue
        seen[group][use.owner] = _more(seen[group].get(use.owner), to_pico(use.effective_cost), kinds_of(use.counts))
        calls += use.calls
        if use.effective_cost:
            currencies.add(use.currency)
    currency = min(money, default="USD")
    # A model that is not on the bill may be there by another name, with the very tokens of these calls.
    if not {group.model for group in seen} <= {group.model for group in by_bill}:
        by_bill.clear()
    told_of = (reported or by_bill).items()
    asked = {group: by_owner for group, by_owner in told_of if not bills.leaves_out(group.account)}
    others = frozenset(currencies - {currency})
    return _Found(Day(money.get(currency, {}), asked, seen), currency, calls, others, bills.of)


def _more(to: Use | None, pico: int, counts: Mapping[str, int]) -> Use:
    if to is None:
        return Use(pico, counts)
    kinds = {*to.counts, *counts}
    return Use(to.pico + pico, {kind: to.counts.get(kind, 0) + counts.get(kind, 0) for kind in kinds})


def _said(compared: _Found, lines: Iterable[Line], spoken: Spoken) -> dict[str, object]:
    """What was compared: where the bill is not all there is to pay, calls of what is not on it stand beside."""
    day = comparable(compared.day)
    billed = sum(pico for kinds in day.money.values() for pico in kinds.values())
    groups = [owners for group, owners in day.seen.items() if spoken.whole or group in day.money]
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

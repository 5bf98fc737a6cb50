"""Which keys are to be blocked ahead of a limit, and which may be given back. Decides and writes it down; `acting` does
it.

Every open account near its limit is looked at, and every one that has a key blocked. Doing it twice changes nothing.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from django.db import OperationalError, connection, transaction

from finops.budgets import enforcement, selectors
from finops.budgets.enforcement import Targets
from finops.budgets.lines import in_the_way
from finops.budgets.models import Block
from finops.budgets.rules.preventive import Decision, Feed, Pause, Reported, Situation, Verdict, decide
from finops.budgets.selectors import AccountRow
from finops.budgets.services.history import Concerned, concerned
from finops.core.money import from_pico, to_pico
from finops.sources.models import Source
from finops.sources.services import LONGEST_DELAY

# Enough to see an account's earlier blocks by, however often it was given back.
_PAUSES: Final = 200
logger = logging.getLogger(__name__)


class Planned(NamedTuple):
    """How many accounts were looked at, and how many keys are newly to be blocked or given back."""

    looked_at: int
    wanted: int
    unwanted: int


_NOTHING: Final = Planned(0, 0, 0)


def plan(*, every: timedelta, at: datetime) -> Planned:
    """`every` is how long it is from one look to the next, and until what was decided is done."""
    sums = [0, 0, 0]
    for organization_id in enforcement.organizations_with_keys():
        try:
            with transaction.atomic():
                found = _plan(organization_id, every, at) if _alone(organization_id) else _NOTHING
        except Exception as error:
            if isinstance(error, OperationalError) and not in_the_way(error):
                # The database went away: for everybody.
                raise
            # What is wrong with one organization is no reason to let another's keys go on.
            logger.exception("no keys could be planned for organization %s", organization_id)
            continue
        sums = [before + more for before, more in zip(sums, found, strict=True)]
    return Planned(*sums)


def _alone(organization_id: int) -> bool:
    """Whether nobody else plans for the organization now: who comes second has nothing to do."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('budgets plan'), %s)", [organization_id])
        return bool((cursor.fetchone() or (False,))[0])


def _plan(organization_id: int, every: timedelta, at: datetime) -> Planned:
    targets = enforcement.load_targets(organization_id, at)
    blocks = _open_blocks(organization_id)
    held = {row.id: row for row in selectors.accounts(organization_id, blocks)}
    looked_at, wanted, unwanted = 0, 0, 0
    for budget_id in sorted(targets.terms):
        about = concerned(targets.terms[budget_id])
        mine = {row.id: row for row in held.values() if row.budget_id == budget_id and not _over(targets, row, at)}
        rows = {row.id: row for row in enforcement.near(about, targets, budget_id, at, without=mine)}
        rows |= {row.id: row for row in mine.values() if not _settled(targets, row, blocks.get(row.id, ()))}
        decided = _decide(about, targets, list(rows.values()), blocks, every, at)
        looked_at += len(decided)
        for account_id, (decision, feeds) in decided.items():
            row, kept = rows[account_id], _held(blocks.get(account_id, ()))
            if decision.verdict is Verdict.UNBLOCK:
                unwanted += _unwant(kept, "there is room again for what is likely spent", at)
            elif decision.verdict is Verdict.BLOCK or kept:
                # Also a key that came to a blocked account since.
                wanted += _want(organization_id, targets, row, decision, feeds, at)
    for account_id, kept in blocks.items():
        reason = _over(targets, held.get(account_id), at)
        if reason:
            unwanted += _unwant(kept, reason, at)
        _unwant([one for one in kept if one.enforceable.archived_at], "the key is not Capstan's to block any more", at)
    _settle(organization_id, at)
    return Planned(looked_at, wanted, unwanted)


def _open_blocks(organization_id: int) -> dict[int, list[Block]]:
    found: dict[int, list[Block]] = defaultdict(list)
    rows = enforcement.open_blocks().filter(organization_id=organization_id).select_related("enforceable")
    for row in rows.order_by("id"):
        found[row.account_id].append(row)
    return found


def _held(blocks: Iterable[Block]) -> list[Block]:
    return [one for one in blocks if one.state in (Block.State.WANTED, Block.State.BLOCKED)]


def _settled(targets: Targets, row: AccountRow, blocks: Iterable[Block]) -> bool:
    """Whether nothing about an account can have changed since all before its block was reported."""
    held = _held(blocks)
    if not held or not set(targets.keys_of(row.budget_id, row.subject)) <= {one.enforceable_id for one in held}:
        return False
    return all(one.settled_at and one.limit_amount == row.limit_amount for one in held)


def _over(targets: Targets, row: AccountRow | None, at: datetime) -> str:
    """Why an account needs no key blocked any more, whatever is spent; '' where it may."""
    if row is None or row.budget_id not in targets.terms:
        return "the cap is not in force any more"
    if row.starts_at > at or (row.ends_at is not None and row.ends_at <= at):
        return "a new period began"
    if not targets.keys_of(row.budget_id, row.subject):
        return "the cap does not concern the key any more"
    return ""


# --- Deciding ---------------------------------------------------------------------------------------------------------
def _decide(
    about: Concerned,
    targets: Targets,
    rows: list[AccountRow],
    blocks: Mapping[int, list[Block]],
    every: timedelta,
    at: datetime,
) -> dict[int, tuple[Decision, tuple[Feed, ...]]]:
    """What is to be done about accounts of one budget."""
    if not rows:
        return {}
    received = dict(Source.objects.filter(id__in=targets.reach).values_list("id", "last_received_at"))
    by_source: dict[int, set[str]] = defaultdict(set)
    for row in rows:
        for source_id in targets.keys_of(row.budget_id, row.subject).values():
            by_source[source_id].add(row.subject)
    told: dict[int, dict[str, Reported]] = {}
    for source_id, subjects in by_source.items():
        reach = targets.reach[source_id]
        until = enforcement.seen_until(reach, received.get(source_id), at)
        told[source_id] = enforcement.reported(about, reach, subjects, until)
    pauses = _pauses(rows, targets, blocks, at)
    found = {}
    for row in rows:
        sources = set(targets.keys_of(row.budget_id, row.subject).values())
        feeds = tuple(
            Feed(told[one][row.subject], targets.reach[one].delay, every + targets.reach[one].effect)
            for one in sorted(sources)
        )
        situation = Situation(
            at, to_pico(row.limit_amount), to_pico(row.spent + row.leased), feeds, pauses.get(row.id, ())
        )
        found[row.id] = (decide(situation), feeds)
    return found


def _pauses(
    rows: Iterable[AccountRow], targets: Targets, blocks: Mapping[int, list[Block]], at: datetime
) -> dict[int, tuple[Pause, ...]]:
    """When accounts had all their keys blocked. One with a key that is yet to be blocked is paused from now on."""
    found: dict[int, list[Pause]] = defaultdict(list)
    ids = [row.id for row in rows]
    over = Block.objects.filter(account_id__in=ids, state=Block.State.UNBLOCKED, blocked_at__isnull=False)
    spans: dict[tuple[int, datetime], list[Block]] = defaultdict(list)
    for one in over.order_by("-id")[: _PAUSES * max(1, len(ids))]:
        spans[one.account_id, one.wanted_at].append(one)
    for (account_id, _), together in spans.items():
        start = max(one.blocked_at for one in together if one.blocked_at)
        end = min(one.unblocked_at for one in together if one.unblocked_at)
        found[account_id].append(Pause(start, max(start, end)))
    for row in rows:
        mine = _held(blocks.get(row.id, ()))
        if mine:
            keys = set(targets.keys_of(row.budget_id, row.subject))
            held = {one.enforceable_id: one.blocked_at for one in mine if one.blocked_at}
            since = max(held.values()) if held and keys <= set(held) else at
            found[row.id].append(Pause(since, None))
    return {account_id: tuple(some) for account_id, some in found.items()}


# --- Writing it down --------------------------------------------------------------------------------------------------
def _want(
    organization_id: int, targets: Targets, row: AccountRow, decision: Decision, feeds: tuple[Feed, ...], at: datetime
) -> int:
    """Have each key of an account blocked that is not. One that is being given back is wanted anew when it was."""
    made = 0
    mine = {one.enforceable_id: one for one in enforcement.open_blocks().filter(account_id=row.id)}
    for key_id in sorted(targets.keys_of(row.budget_id, row.subject)):
        if key_id in mine:
            continue
        _, new = Block.objects.get_or_create(
            account_id=row.id,
            enforceable_id=key_id,
            state=Block.State.WANTED,
            defaults={
                "organization_id": organization_id,
                "budget_id": row.budget_id,
                "subject": row.subject,
                "reason": _words(row, decision, feeds),
                "limit_amount": row.limit_amount,
                "spent": row.spent,
                "likely": from_pico(decision.likely_pico),
                "most": from_pico(decision.most_pico),
                "crosses_at": decision.crosses_at,
                "wanted_at": at,
                "next_try_at": at,
            },
        )
        made += new
    return made


def _words(row: AccountRow, decision: Decision, feeds: tuple[Feed, ...]) -> str:
    until = min((feed.reported.until for feed in feeds), default=None)
    spent, limit = _money(row.spent), _money(row.limit_amount)
    if row.spent >= row.limit_amount:
        return f"{spent} of {limit} is spent."
    told = f"{spent} of {limit} is reported, complete up to {until:%H:%M} UTC" if until else f"{spent} is reported"
    likely, most = _money(from_pico(decision.likely_pico)), _money(from_pico(decision.most_pico))
    crossing = f", at the limit about {decision.crosses_at:%d %B %H:%M} UTC" if decision.crosses_at else ""
    return f"{told}; until a block holds it is likely {likely} and at most {most}{crossing}."


def _money(amount: Decimal) -> str:
    return f"{amount:,.2f}" if abs(amount) >= 1 else f"{amount:.4f}"


def _unwant(blocks: Iterable[Block], reason: str, at: datetime) -> int:
    """Have keys given back. One that nobody was asked to block yet needs nobody to be asked."""
    ids = [one.id for one in _held(blocks)]
    return Block.objects.filter(id__in=ids, state__in=[Block.State.WANTED, Block.State.BLOCKED]).update(
        state=Block.State.UNBLOCK_WANTED,
        unblock_reason=reason,
        unblock_wanted_at=at,
        next_try_at=at,
        tries=0,
        failed_at=None,
        last_error="",
    )


def _settle(organization_id: int, at: datetime) -> None:
    """Once all that was spent before a block is reported, keep what went past the limit and what was never used."""
    waiting = Block.objects.filter(
        organization_id=organization_id, settled_at__isnull=True, blocked_at__isnull=False
    ).select_related("enforceable__source__access")
    rows = list(waiting.filter(blocked_at__gt=at - 3 * LONGEST_DELAY)[:1_000])
    standing = {row.id: row for row in selectors.accounts(organization_id, {one.account_id for one in rows})}
    for one in rows:
        access = getattr(one.enforceable.source, "access", None)
        row = standing.get(one.account_id)
        if access is None or row is None or one.blocked_at is None:
            continue
        # Given back within the period, what was spent since is in the account as well.
        told = at >= one.blocked_at + access.reporting_delay * 1.5
        spending = one.unblocked_at is not None and (row.ends_at is None or row.ends_at > one.unblocked_at)
        if told and not spending:
            left = one.limit_amount - row.spent
            one.settled_at, one.overshoot, one.unused = at, max(-left, Decimal(0)), max(left, Decimal(0))
            one.save(update_fields=["settled_at", "overshoot", "unused"])

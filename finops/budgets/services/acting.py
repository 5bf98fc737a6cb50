"""Blocks keys at providers and proxies, and gives them back, as planned. At least once, and harmless twice.

A key is blocked while any cap wants it so, and given back when none does and it was Capstan that blocked it. What a
person blocked stays blocked: a key that is found so before anybody here asked for it is left as it is found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from finops.audit.services import announce, record
from finops.budgets.models import Block, Enforceable
from finops.connectors.enforcement import EnforcementError, Enforcer, KeyState
from finops.connectors.enforcers import enforcer
from finops.core.actors import system
from finops.core.errors import FinopsError
from finops.sources.models import SourceAccess
from finops.sources.services import open_access

# Longer than any call to a provider takes.
_CLAIM: Final = timedelta(seconds=60)
_AT_ONCE: Final = 8
_MOST: Final = 400
_AT_MOST: Final = timedelta(seconds=20)
# It doubles from try to try; after so many a person is told, and it is tried now and then all the same.
_FIRST_WAIT: Final = timedelta(seconds=2)
_LONGEST_WAIT: Final = timedelta(minutes=5)
_TRIES: Final = 8
_WAIT_FOR_A_PERSON: Final = timedelta(minutes=15)
_BY: Final = system("enforcement")
_DUE: Final = (Block.State.WANTED, Block.State.UNBLOCK_WANTED)
Clock = Callable[[], datetime]


class Wish(StrEnum):
    BLOCK = "block"
    UNBLOCK = "unblock"
    # It is so already, or is not ours to change.
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class _Errand:
    """What is to be done about one key, for which of its blocks. `ours`: a block that is found there is ours."""

    key: Enforceable
    wish: Wish
    access: SourceAccess | None
    blocks: frozenset[int]
    ours: bool


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How the key was found, and what went wrong, if anything did."""

    state: KeyState | None = None
    error: EnforcementError | None = None


def act(*, now: Clock) -> int:
    """Do what is due, a few keys at a time and for a while; gives for how many keys. The next time goes on."""
    done, until = 0, now() + _AT_MOST
    due = _due(now())
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as several:
        for first in range(0, len(due), _AT_ONCE):
            if now() > until:
                break
            claimed = (_claim(key_id, now()) for key_id in due[first : first + _AT_ONCE])
            errands = [one for one in claimed if one is not None]
            # Only the calls run beside each other: a connection to the database is one thread's.
            looked = list(several.map(_look, errands))
            for errand, outcome in zip(errands, looked, strict=True):
                _note_calling(errand, outcome, now())
            for errand, outcome in zip(errands, several.map(_do, errands, looked), strict=True):
                _finish(errand, outcome, now())
            done += len(errands)
    return done


def _due(at: datetime) -> list[int]:
    rows = Block.objects.filter(state__in=_DUE, next_try_at__lte=at).order_by("next_try_at", "id")
    return list(dict.fromkeys(rows.values_list("enforceable_id", flat=True)[:_MOST]))


def _claim(key_id: int, at: datetime) -> _Errand | None:
    """Take a key for oneself for a while; None when somebody else has it."""
    mine = Enforceable.objects.filter(id=key_id).filter(Q(acting_until__isnull=True) | Q(acting_until__lt=at))
    if not mine.update(acting_until=at + _CLAIM):
        return None
    key = Enforceable.objects.select_related("source").get(id=key_id)
    access = SourceAccess.objects.filter(source_id=key.source_id).first()
    rows = list(_open(key_id))
    return _Errand(key, _wish(rows), access, frozenset(row.id for row in rows), any(row.called_at for row in rows))


def _open(key_id: int) -> QuerySet[Block]:
    return Block.objects.filter(enforceable_id=key_id).exclude(state=Block.State.UNBLOCKED).order_by("id")


def _wish(rows: Sequence[Block]) -> Wish:
    if any(row.state == Block.State.BLOCKED for row in rows):
        return Wish.NOTHING
    if any(row.state == Block.State.WANTED for row in rows):
        return Wish.BLOCK
    return Wish.UNBLOCK if any(row.called_at for row in rows) else Wish.NOTHING


def _look(errand: _Errand) -> _Outcome:
    """How the key stands there."""
    if errand.wish is Wish.NOTHING:
        return _Outcome()
    return _asking(errand, lambda there: _Outcome(there.state(errand.key.external_id)))


def _note_calling(errand: _Errand, looked: _Outcome, at: datetime) -> None:
    """Written down before the key is blocked: should this process die, the block that is found afterwards is ours."""
    if errand.wish is Wish.BLOCK and looked.state is KeyState.ACTIVE:
        Block.objects.filter(id__in=errand.blocks, called_at__isnull=True).update(called_at=at)


def _do(errand: _Errand, looked: _Outcome) -> _Outcome:
    def block(there: Enforcer) -> _Outcome:
        there.block(errand.key.external_id)
        return looked

    def unblock(there: Enforcer) -> _Outcome:
        there.unblock(errand.key.external_id)
        return looked

    if errand.wish is Wish.BLOCK and looked.state is KeyState.ACTIVE:
        return _asking(errand, block)
    if errand.wish is Wish.UNBLOCK and looked.state is KeyState.BLOCKED:
        return _asking(errand, unblock)
    return looked


def _asking(errand: _Errand, ask: Callable[[Enforcer], _Outcome]) -> _Outcome:
    """Whatever goes wrong is the outcome."""
    try:
        if errand.access is None:
            raise EnforcementError("the access to the source was removed", permanent=True)
        opened = open_access(errand.access)
        there = enforcer(
            opened.connector, address=opened.address, credential=opened.credential, internal=settings.INTERNAL_HOSTS
        )
        return ask(there)
    except EnforcementError as error:
        return _Outcome(error=error)
    except FinopsError as error:
        return _Outcome(error=EnforcementError(error.message, permanent=True))


# --- Writing down what became of it -----------------------------------------------------------------------------------
@transaction.atomic
def _finish(errand: _Errand, outcome: _Outcome, at: datetime) -> None:
    """What came up meanwhile stays due."""
    rows = list(_open(errand.key.id).select_for_update())
    mine = [row for row in rows if row.id in errand.blocks and row.state in _DUE]
    if outcome.error is not None:
        for row in mine:
            _failed(errand, row, outcome.error, at)
    elif errand.wish is Wish.BLOCK:
        gone = outcome.state is KeyState.GONE
        found = gone or (outcome.state is KeyState.BLOCKED and not errand.ours)
        _hold(errand, mine, found=found, gone=gone, at=at)
    elif errand.wish is Wish.UNBLOCK:
        for row in mine:
            if row.state == Block.State.UNBLOCK_WANTED:
                _unblocked(errand, row, at)
    else:
        held = [row for row in rows if row.state == Block.State.BLOCKED]
        _hold(errand, mine if held else [], found=all(row.found_blocked for row in held), gone=False, at=at)
        for row in [] if held else mine:
            # One that turned meanwhile, and is ours, is yet to be asked for.
            if row.state == Block.State.UNBLOCK_WANTED and row.called_at is None:
                _unblocked(errand, row, at, still=row.found_blocked)
    Enforceable.objects.filter(id=errand.key.id).update(acting_until=None)


def _hold(errand: _Errand, rows: Sequence[Block], *, found: bool, gone: bool, at: datetime) -> None:
    """The key is blocked: caps that want it have it, and caps that do not leave it to them."""
    for row in rows:
        if row.state == Block.State.WANTED:
            _blocked(errand, row, found=found, gone=gone, at=at)
        else:
            _unblocked(errand, row, at, still=True)


def _blocked(errand: _Errand, row: Block, *, found: bool, gone: bool, at: datetime) -> None:
    row.state, row.blocked_at, row.found_blocked = Block.State.BLOCKED, at, found
    # Ours to give back, be it that another cap had it blocked.
    row.called_at = None if found else row.called_at or at
    row.failed_at, row.last_error, row.tries = None, "", 0
    row.save()
    _tell(errand, row, "enforcement.blocked", {"found_blocked": found, "gone": gone, "reason": row.reason}, at)


def _unblocked(errand: _Errand, row: Block, at: datetime, *, still: bool = False) -> None:
    """`still`: it stays blocked there, for another cap or as somebody else left it."""
    row.state, row.unblocked_at = Block.State.UNBLOCKED, at
    row.failed_at, row.last_error = None, ""
    row.save()
    if row.blocked_at is not None:
        details = {"reason": row.unblock_reason, "still_blocked": still}
        _tell(errand, row, "enforcement.unblocked", details, at)


def _failed(errand: _Errand, row: Block, error: EnforcementError, at: datetime) -> None:
    row.tries += 1
    row.last_error = error.message[:500]
    told = row.failed_at is not None
    if error.permanent or row.tries >= _TRIES:
        row.next_try_at, row.failed_at = at + _WAIT_FOR_A_PERSON, row.failed_at or at
    else:
        row.next_try_at = at + min(_FIRST_WAIT * 2 ** (row.tries - 1), _LONGEST_WAIT)
    row.save()
    if row.failed_at and not told:
        wish = "block" if row.state == Block.State.WANTED else "unblock"
        _tell(errand, row, "enforcement.failed", {"wish": wish, "error": row.last_error}, at)


def _tell(errand: _Errand, row: Block, verb: str, details: dict[str, Any], at: datetime) -> None:
    told = {
        "budget": row.budget_id,
        "account": row.account_id,
        "source": errand.key.source_id,
        "spent": str(row.spent),
        "limit": str(row.limit_amount),
        **details,
    }
    record(
        organization_id=row.organization_id,
        verb=verb,
        subject_kind="enforceable",
        subject_id=row.enforceable_id,
        subject_label=errand.key.external_id,
        by=_BY,
        at=at,
        details=told,
    )
    announce(
        organization_id=row.organization_id,
        kind=verb,
        key=f"key:{row.enforceable_id} account:{row.account_id}",
        at=at,
        details={"enforceable": row.enforceable_id, **told},
    )

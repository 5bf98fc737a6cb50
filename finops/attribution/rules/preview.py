"""What a rule would do to history, before it is saved: "this would move $12,340 of last month"."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from finops.attribution.rules.owning import attribute
from finops.attribution.rules.snapshot import Snapshot
from finops.attribution.types import Change, Move, Owner, Preview
from finops.connectors.types import UsageEvent

# Names of the decided fields of Owner, in its order; `steps` is why, not whose.
_DECIDED = ("team", "person", "project", "agent", "customer", "key", "task_type")
_SO_MANY = len(_DECIDED)


class PreviewRow(NamedTuple):
    """A charge of history: what was told, by which source, whose it is now, and its amount in picodollars.

    `charges` is how many charges the row stands for, so that history may be fed grouped.
    """

    event: UsageEvent
    source_id: int
    owner: Owner
    currency: str
    pico: int
    charges: int = 1


def preview(before: Snapshot, after: Snapshot, rows: Iterable[PreviewRow]) -> Preview:
    """What would change hands if `after` stood in the place of `before`.

    A charge counts as moved when the two snapshots disagree on it, and it is not already where `after` puts it: what
    other changes since have left behind is theirs, and not this rule's. Rows are read once and not kept.
    """
    verdicts: dict[tuple[Any, ...], tuple[Any, ...] | None] = {}
    charges: dict[tuple[Change, ...], int] = defaultdict(int)
    amounts: dict[tuple[Change, ...], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    seen = 0
    for row in rows:
        seen += row.charges
        key = (before.memo_key(row.event, row.source_id), after.memo_key(row.event, row.source_id))
        if key not in verdicts:
            verdicts[key] = _verdict(before, after, row)
        decided = verdicts[key]
        if decided is None:
            continue
        changes = _changes(row.owner, decided)
        if changes:
            charges[changes] += row.charges
            amounts[changes][row.currency] += row.pico
    moves = [Move(changes, count, dict(amounts[changes])) for changes, count in charges.items()]
    moves.sort(key=lambda move: (-max(map(abs, move.pico.values())), repr(move.changes)))
    totals: dict[str, int] = defaultdict(int)
    for move in moves:
        for currency, pico in move.pico.items():
            totals[currency] += pico
    return Preview(seen, sum(charges.values()), dict(totals), tuple(moves))


def _verdict(before: Snapshot, after: Snapshot, row: PreviewRow) -> tuple[Any, ...] | None:
    """What `after` decides, or None when the rule makes no difference."""
    then = attribute(before, row.event, row.source_id)[:_SO_MANY]
    now = attribute(after, row.event, row.source_id)[:_SO_MANY]
    return None if then == now else now


def _changes(owner: Owner, decided: tuple[Any, ...]) -> tuple[Change, ...]:
    whose: tuple[Any, ...] = owner[:_SO_MANY]
    return tuple(
        Change(name, had, gets) for name, had, gets in zip(_DECIDED, whose, decided, strict=True) if had != gets
    )

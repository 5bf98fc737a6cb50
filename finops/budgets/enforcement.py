"""What preventive enforcement reads: which keys an account's spend comes by, which accounts are near their limits, and
how those spent. Only accounts near their limits are loaded, however many there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from django.db import connection
from django.db.models import Avg, Count, Max, Q, QuerySet

from finops.attribution import selectors as attribution
from finops.attribution.rules import attribute
from finops.budgets import selectors
from finops.budgets.models import Block, Budget, Enforceable
from finops.budgets.rules.matching import subject_of
from finops.budgets.rules.preventive import DELAYS_BACK, PIECES, Reported
from finops.budgets.selectors import AccountRow
from finops.budgets.services.history import Concerned
from finops.budgets.types import DIMENSIONS, Call, Enforcement, Terms
from finops.connectors.enforcement import CONNECTORS
from finops.connectors.types import NO_COUNTS, Dimensions, UsageEvent
from finops.core.errors import NotFound
from finops.core.money import to_pico
from finops.orgs.models import VirtualKey
from finops.sources.models import SourceAccess

# An account is looked at closely from this share of its limit on, or when so many times what was reported of the last
# two delays would fill it. The bound of what is unseen does not come to more.
NEAR_SHARE: Final = Decimal("0.5")
NEAR_TIMES: Final = 15
MOST_NEAR: Final = 5_000
HELD_TO: Final = frozenset({Enforcement.HARD, Enforcement.DOWNGRADE})
# Sources are noted as received from only every ten seconds.
_NOTED_LATE: Final = timedelta(seconds=10)
# Targets of this many organizations are kept by a process.
_KEPT: Final = 50

_NEAR: Final = """
WITH recent AS (
    SELECT {subject} AS subject, sum(c.reporting_cost) AS amount FROM ledger_charge AS c {joins}
    WHERE c.organization_id = %(organization)s AND c.source_id = ANY(%(sources)s) AND c.occurred_at >= %(since)s
        AND {scope} GROUP BY 1
), told AS (SELECT account_id, sum(amount) AS amount FROM budgets_observed
    WHERE organization_id = %(organization)s GROUP BY 1)
SELECT a.id, a.budget_id, a.subject, a.starts_at, a.ends_at, a.limit_amount, a.carried, a.authorised, a.leased,
    a.observed + coalesce(told.amount, 0)
FROM budgets_account AS a LEFT JOIN told ON told.account_id = a.id LEFT JOIN recent ON recent.subject = a.subject
WHERE a.organization_id = %(organization)s AND a.budget_id = %(budget)s
    AND a.starts_at <= %(at)s AND (a.ends_at IS NULL OR a.ends_at > %(at)s)
    AND a.authorised + a.leased + a.observed + coalesce(told.amount, 0)
        >= least(a.limit_amount * %(share)s, a.limit_amount - %(times)s * coalesce(recent.amount, 0))
ORDER BY (a.authorised + a.leased + a.observed) / nullif(a.limit_amount, 0) DESC NULLS FIRST, a.id LIMIT %(most)s
"""
_PIECES: Final = """
SELECT {subject} AS subject, floor(extract(epoch FROM c.occurred_at - %(origin)s) / %(width)s)::int,
    sum(c.reporting_cost)
FROM ledger_charge AS c {joins}
WHERE c.organization_id = %(organization)s AND c.source_id = %(source)s
    AND c.occurred_at >= %(origin)s AND c.occurred_at < %(until)s AND {scope} AND {subject} = ANY(%(subjects)s)
GROUP BY 1, 2
"""


class Reach(NamedTuple):
    """A source whose keys can be blocked: how late it reports, and how long calls go on after a block."""

    source_id: int
    connector: str
    delay: timedelta
    effect: timedelta


@dataclass(frozen=True, slots=True)
class Targets:
    """The budgets of an organization that keys can be blocked for: by budget and subject the keys (key to source) that
    spend goes by.
    """

    terms: Mapping[int, Terms]
    keys: Mapping[int, Mapping[str, Mapping[int, int]]]
    reach: Mapping[int, Reach]

    def keys_of(self, budget_id: int, subject: str) -> Mapping[int, int]:
        return self.keys.get(budget_id, {}).get(subject, {})

    def sources_of(self, budget_id: int) -> set[int]:
        return {source for keys in self.keys[budget_id].values() for source in keys.values()}


_kept: dict[int, tuple[object, Targets]] = {}


def organizations_with_keys() -> list[int]:
    """Those that have keys which can be blocked, or blocks that are not over."""
    with_keys = Enforceable.objects.filter(archived_at__isnull=True).values_list("organization_id", flat=True)
    with_blocks = open_blocks().values_list("organization_id", flat=True)
    return sorted(set(with_keys.distinct()) | set(with_blocks.distinct()))


def open_blocks() -> QuerySet[Block]:
    return Block.objects.exclude(state=Block.State.UNBLOCKED)


def load_targets(organization_id: int, at: datetime) -> Targets:
    """Worked out again only when a budget, an owner, a rule of attribution, a key or an access changed."""
    budgets, owners = selectors.load_snapshot(organization_id), attribution.load_snapshot(organization_id)
    version = (budgets.token, owners.stamp, _version(organization_id))
    kept = _kept.get(organization_id)
    if kept is not None and kept[0] == version:
        return kept[1]
    made = _make_targets(organization_id, at)
    if len(_kept) >= _KEPT:
        _kept.pop(next(iter(_kept)))
    _kept[organization_id] = (version, made)
    return made


def _version(organization_id: int) -> tuple[object, ...]:
    keys = Enforceable.objects.filter(organization_id=organization_id).aggregate(
        Count("id"), Max("id"), Count("archived_at")
    )
    reach = SourceAccess.objects.filter(organization_id=organization_id).aggregate(Count("id"), Max("set_at"))
    return (*keys.values(), *reach.values())


def _make_targets(organization_id: int, at: datetime) -> Targets:
    snapshot = selectors.load_snapshot(organization_id)
    terms = {one.budget_id: one for one in snapshot.terms if one.enforcement in HELD_TO and one.each != "session"}
    reach = {row.source_id: row for row in _reach(organization_id)}
    keys: dict[int, dict[str, dict[int, int]]] = {}
    for key_id, source_id, call in _calls(organization_id, reach, at):
        known = {name for name in DIMENSIONS if getattr(call, name)}
        for one in terms.values():
            # A key says nothing of what its calls are for beyond what is known of it.
            if (one.each and one.each not in known) or not known >= set(one.scope):
                continue
            subject = subject_of(one, call, snapshot.above)
            if subject is not None:
                keys.setdefault(one.budget_id, {}).setdefault(subject, {})[key_id] = source_id
    return Targets({budget_id: terms[budget_id] for budget_id in keys}, keys, reach)


def _reach(organization_id: int) -> list[Reach]:
    rows = SourceAccess.objects.filter(organization_id=organization_id, source__archived_at__isnull=True)
    return [Reach(row.source_id, row.connector, row.reporting_delay, row.takes_effect) for row in rows.order_by("id")]


def _calls(organization_id: int, reach: Mapping[int, Reach], at: datetime) -> Iterable[tuple[int, int, Call]]:
    """What each key's calls are known to say: its owner, and what follows from that as it does for a charge."""
    owners = attribution.load_snapshot(organization_id)
    prefixes = dict(VirtualKey.objects.filter(organization_id=organization_id).values_list("id", "prefix"))
    rows = Enforceable.objects.filter(
        organization_id=organization_id, archived_at__isnull=True, source_id__in=reach
    ).order_by("id")
    for key_id, source_id, dimension, subject in rows.values_list("id", "source_id", "dimension", "subject"):
        provider = CONNECTORS[reach[source_id].connector].provider
        said = UsageEvent(
            external_id="",
            occurred_at=at,
            provider=provider,
            model="",
            counts=NO_COUNTS,
            dimensions=Dimensions() if dimension == "key" else Dimensions(**{dimension: subject}),
            key_prefix=prefixes.get(int(subject), "") if dimension == "key" else "",
        )
        owner = attribute(owners, said, source_id)
        yield key_id, source_id, Call(*owner[:6], provider=provider)


# --- Accounts near their limits, and how they spent -------------------------------------------------------------------
def near(about: Concerned, targets: Targets, budget_id: int, at: datetime) -> list[AccountRow]:
    """A budget's open accounts that may need a key blocked soon, the fullest first."""
    sources = targets.sources_of(budget_id)
    longest = max(targets.reach[source].delay for source in sources)
    with connection.cursor() as cursor:
        cursor.execute(
            _NEAR.format(subject=about.subject, joins=about.joins, scope=about.scope),
            {
                **about.parameters,
                "budget": budget_id,
                "sources": sorted(sources),
                "since": at - 3 * longest,
                "at": at,
                "share": NEAR_SHARE,
                "times": NEAR_TIMES,
                "most": MOST_NEAR,
            },
        )
        found = [AccountRow(*row) for row in cursor.fetchall()]
    return [row for row in found if targets.keys_of(budget_id, row.subject)]


def seen_until(reach: Reach, last_received_at: datetime | None, at: datetime) -> datetime:
    """Up to when a source has told all. One that fell silent for longer than its delay is taken to be later, up to
    twice as late.
    """
    silent = at - last_received_at - _NOTED_LATE if last_received_at else timedelta(0)
    return at - reach.delay - min(max(silent - reach.delay, timedelta(0)), reach.delay)


def reported(about: Concerned, reach: Reach, subjects: Collection[str], until: datetime) -> dict[str, Reported]:
    """How subjects of a budget spent by one source, in pieces of its delay."""
    width = reach.delay / PIECES
    count = PIECES * DELAYS_BACK
    with connection.cursor() as cursor:
        cursor.execute(
            _PIECES.format(subject=about.subject, joins=about.joins, scope=about.scope),
            {
                **about.parameters,
                "source": reach.source_id,
                "subjects": sorted(subjects),
                "origin": until - count * width,
                "until": until,
                "width": width.total_seconds(),
            },
        )
        rows = cursor.fetchall()
    pieces: dict[str, list[int]] = defaultdict(lambda: [0] * count)
    for subject, piece, amount in rows:
        # The last may be cut a microsecond short by rounding; corrections downwards are no spend.
        pieces[subject][min(piece, count - 1)] += max(0, to_pico(amount))
    return {subject: Reported(tuple(pieces[subject]), width, until) for subject in subjects}


# --- What is shown ----------------------------------------------------------------------------------------------------
class Residual(NamedTuple):
    """What blocks of a budget came to once all was reported: how many, how many went past the limit, by how much at
    worst, and the share of the limit that was left on average.
    """

    settled: int
    over: int
    worst: Decimal
    unused_share: float | None


NOTHING_YET: Final = Residual(0, 0, Decimal(0), None)


def residual(organization_id: int, budget_id: int, subjects: Collection[str] | None) -> Residual:
    """Of the subjects that may be seen; None is all of them. An account that needed several keys counts once."""
    rows = _seen(Block.objects.filter(organization_id=organization_id, budget_id=budget_id), subjects)
    settled = rows.filter(settled_at__isnull=False, limit_amount__gt=0)
    found = settled.aggregate(
        settled=Count("account_id", distinct=True),
        over=Count("account_id", filter=Q(overshoot__gt=0), distinct=True),
        worst=Max("overshoot"),
        unused=Avg("unused"),
        limit=Avg("limit_amount"),
    )
    share = float(found["unused"] / found["limit"]) if found["settled"] else None
    return Residual(found["settled"], found["over"], found["worst"] or Decimal(0), share)


def blocks_of(organization_id: int, budget_id: int, subjects: Collection[str] | None) -> QuerySet[Block]:
    """A budget's blocks, the newest first; of the subjects that may be seen."""
    rows = Block.objects.filter(organization_id=organization_id, budget_id=budget_id)
    return _seen(rows, subjects).select_related("enforceable__source").order_by("-id")


def _seen(rows: QuerySet[Block], subjects: Collection[str] | None) -> QuerySet[Block]:
    return rows if subjects is None else rows.filter(subject__in=subjects)


def enforceables(organization_id: int, *, archived: bool = False) -> QuerySet[Enforceable]:
    """Keys that can be blocked, by id."""
    rows = Enforceable.objects.filter(organization_id=organization_id).select_related("source").order_by("id")
    return rows if archived else rows.filter(archived_at__isnull=True)


def enforceable(organization_id: int, enforceable_id: int) -> Enforceable:
    """Raises NotFound."""
    found = enforceables(organization_id, archived=True).filter(id=enforceable_id).first()
    if found is None:
        raise NotFound("there is no such key")
    return found


class Strength(NamedTuple):
    """How strongly a budget holds for which calls; `sources` by slug, where it is only for some."""

    strength: str
    what: str
    sources: tuple[str, ...] = ()


def strengths(row: Budget, at: datetime) -> tuple[Strength, ...]:
    """Every strength a budget has, so that nobody takes one for another."""
    if Enforcement(row.enforcement) not in HELD_TO:
        return (
            Strength("alert", "Calls are counted when they are reported; somebody is told, and nothing is stopped."),
        )
    inline = Strength("inline", "Calls that are asked for first, by the gateway or a proxy, are refused at the limit.")
    tells = Strength("alert", "All other calls are counted when they are reported; somebody is told.")
    reached = _sources_reached(row.organization_id, row.id, at)
    if not reached:
        return (inline, tells)
    blocks = (
        "Keys are blocked before what is likely spent passes the limit. Usage is reported late there: a part may go "
        "past the limit, or be left."
    )
    return (inline, Strength("preventive", blocks, reached), tells)


def _sources_reached(organization_id: int, budget_id: int, at: datetime) -> tuple[str, ...]:
    if not enforceables(organization_id).exists():
        return ()
    targets = load_targets(organization_id, at)
    if budget_id not in targets.keys:
        return ()
    rows = SourceAccess.objects.filter(organization_id=organization_id, source_id__in=targets.sources_of(budget_id))
    return tuple(rows.order_by("source__slug").values_list("source__slug", flat=True))

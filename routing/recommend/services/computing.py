"""Works out recommendations: what changed is examined, and then everything that is known is decided together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from django.db import transaction

from finops.core.actors import Actor
from routing.evidence import comparisons, matrices, suspect
from routing.evidence import selectors as evidence
from routing.recommend import arrivals, deciding, hosts, measuring, pins, routes, rules, selectors
from routing.recommend.market import Market
from routing.recommend.models import Computed, Examination, Recommendation
from routing.recommend.routes import Sample
from routing.recommend.services.common import hold, note
from routing.recommend.types import Advice, Examined, Kind, State, Volume
from routing.rules.selectors import classes_served

_SHIFT: Final = 10**6
# Rules over several types are learned for so many incumbents, those that most is spent on.
_MOST_ROUTES: Final = 10
_SUBJECT: Final = Examination.Subject


class Recomputed(NamedTuple):
    """Task types that were examined, and what became of recommendations."""

    examined: int
    opened: int
    renewed: int
    withdrawn: int


class _Known(NamedTuple):
    """What is known now, and of what was examined in this run some tasks."""

    types: dict[str, Examined]
    samples: dict[str, Sample]
    examined: int


@transaction.atomic
def recompute(*, organization_id: int, by: Actor, at: datetime) -> Recomputed:
    """Examine the task types whose evidence, incumbent or volume changed since the last time, decide, and open, renew
    and withdraw recommendations. Again changes nothing. Raises Busy where somebody else is at it.
    """
    hold(organization_id)
    spent = selectors.spending(organization_id, at)
    known = _examine(organization_id, spent, at)
    market = Market(organization_id, spent, known.types, at)
    wanted = _wanted(organization_id, known, spent, market, at)
    found = rules.changes(wanted, selectors.standing(organization_id), known.types, market.news)
    opened = [_open(organization_id, one, by, at) for one in found.fresh]
    _note_all(opened, "opened", by, at)
    renewed = _renew(organization_id, found.renewed, by, at)
    _withdraw(organization_id, found.gone, by, at)
    Computed.objects.update_or_create(organization_id=organization_id, defaults={"at": at})
    return Recomputed(known.examined, len(opened), renewed, len(found.gone))


def waiting(organization_id: int) -> int:
    """Outcomes of task types that changed since they were examined: what working them out has to read."""
    stamps = _stamps(organization_id, _SUBJECT.TASK_TYPE)
    known = evidence.task_types(organization_id)
    return sum(one.outcomes for one in known if stamps.get(one.task_type) != str(one.version))


def _examine(organization_id: int, spent: selectors.Spending, at: datetime) -> _Known:
    before = selectors.examined(organization_id)
    stamps = _stamps(organization_id, _SUBJECT.TASK_TYPE)
    versions = evidence.versions(organization_id)
    known: dict[str, Examined] = {}
    samples: dict[str, Sample] = {}
    changed: list[str] = []
    for name, version in versions.items():
        old = before.get(name)
        if stamps.get(name) != str(version) or _other_incumbent(old, spent.by_type.get(name, ())):
            changed.append(name)
        elif old is not None:
            known[name] = old
    # None where nothing follows from what is known of a type, and nothing is known of it any more.
    renewed: dict[str, Examined | None] = {}
    renewed |= {name: one for name, old in known.items() if (one := _with_volume(old, spent)) is not old}
    for name, found, sample in _examined(organization_id, changed, versions, before, spent, at):
        renewed[name] = found
        if sample is not None:
            samples[name] = sample
    known |= {name: one for name, one in renewed.items() if one is not None}
    _keep(organization_id, _SUBJECT.TASK_TYPE, {n: (str(versions[n]), _plain(one)) for n, one in renewed.items()}, at)
    return _Known(dict(sorted(known.items())), samples, len(changed))


def _examined(
    organization_id: int, names: list[str], versions: Mapping[str, int], before: Mapping[str, Examined],
    spent: selectors.Spending, at: datetime,
) -> Iterator[tuple[str, Examined | None, Sample | None]]:  # fmt: skip
    """One type at a time, so that no more than its outcomes are in memory."""
    if not names:
        return
    standings = evidence.standings_of(organization_id)
    aliases, prices = selectors.ledger_names(organization_id), selectors.Prices(organization_id, at)
    for name in names:
        rows = evidence.rows_of(organization_id, name)
        if not rows.score.size:
            yield name, None, None
            continue
        found, seen = matrices.evidence_of(rows, version=versions[name]), matrices.seen(rows)
        incumbent = measuring.incumbent_of(found, seen, spent.by_type.get(name, ()), aliases)
        if incumbent is None:
            yield name, None, None
            continue
        old = before.get(name)
        fixed = old.margin if old is not None and (old.incumbent, old.margin_from) == _fixed(incumbent.model) else None
        one = measuring.examined(
            found,
            incumbent,
            seen=seen,
            flags=suspect.flags_of(rows, standings),
            said_margin=comparisons.margin_of(organization_id, name),
            fixed_margin=fixed,
            prices=prices.of(incumbent.usual),
        )
        yield name, one, routes.sample_of(found, incumbent.model)


def _fixed(incumbent: str) -> tuple[str, str]:
    return incumbent, measuring.INCUMBENT


def _other_incumbent(old: Examined | None, now: tuple[measuring.Spent, ...]) -> bool:
    """Whether most is spent on another model than when it was examined."""
    spent = [one for one in now if one.volume.spend > 0]
    first = min(spent, key=lambda one: (-one.volume.spend, one.model), default=None)
    if old is None:
        return first is not None
    if first is None:
        return old.incumbent_by == measuring.SPEND
    return old.incumbent_by != measuring.SPEND or first.model not in old.asked


def _with_volume(old: Examined, spent: selectors.Spending) -> Examined:
    """The same where its volume says nothing new."""
    now = next((one.volume for one in spent.by_type.get(old.task_type, ()) if one.model in old.asked), Volume())
    return msgspec.structs.replace(old, volume=now) if rules.moved(old.volume, now) else old


def _wanted(
    organization_id: int, known: _Known, spent: selectors.Spending, market: Market, at: datetime
) -> list[Advice]:
    types = list(known.types.values())
    family = deciding.judged_together(types)
    local = selectors.local_models(organization_id)
    found = [advice for one in types for advice in deciding.advice_of(one, family, local=local)]
    changed = (Kind.SWITCH, Kind.EFFORT, Kind.LOCAL)
    switched = frozenset(one.task_type for one in found if one.kind in changed)
    found += _routes(organization_id, routes.groups(types, family, switched), known, at)
    found += _pins(organization_id, types, family, at)
    found += [
        advice
        for volume, offers in selectors.offers(organization_id, spent, at)
        if (advice := hosts.cheaper(offers, volume)) is not None
    ]
    if market.news.arrived:
        found += arrivals.advised(
            market.incumbents(), market.news, known.types, family, register=market.register(), price=market.price
        )
    return found


def _pins(organization_id: int, types: list[Examined], family: deciding.Family, at: datetime) -> list[Advice]:
    if not family.passed:
        return []
    classes = {tier.value: models for tier, models in classes_served(organization_id, at).items()}
    handed = selectors.handed_on(organization_id, at)
    told = (pins.pinned(one, family, classes, handed) for one in types)
    return [one for one in told if one is not None]


def _routes(organization_id: int, groups: list[routes.Group], known: _Known, at: datetime) -> list[Advice]:
    """Learned again where anything that it is learned from changed."""
    rows = {
        name: (stamp, document)
        for name, stamp, document in Examination.objects.filter(
            organization_id=organization_id, subject=_SUBJECT.ROUTE
        ).values_list("name", "stamp", "document")
    }
    found, learned = [], {}
    for group in groups[:_MOST_ROUTES]:
        stamp, document = rows.get(group.incumbent, ("", None))
        if stamp == group.stamp:
            advice = None if document is None else msgspec.convert(document, Advice)
        else:
            advice = routes.routed(group, _samples(organization_id, group, known.samples))
            learned[group.incumbent] = (group.stamp, None if advice is None else _plain(advice))
        if advice is not None:
            found.append(advice)
    _keep(organization_id, _SUBJECT.ROUTE, learned, at)
    return found


def _samples(organization_id: int, group: routes.Group, known: Mapping[str, Sample]) -> dict[str, Sample]:
    """Of the group's types; those that were not examined in this run are read."""
    found = {}
    for one in group.types:
        sample = known.get(one.task_type)
        if sample is None:
            rows = evidence.rows_of(organization_id, one.task_type)
            sample = routes.sample_of(matrices.evidence_of(rows, version=one.version), one.incumbent)
        if sample is not None:
            found[one.task_type] = sample
    return found


def _stamps(organization_id: int, subject: str) -> dict[str, str]:
    rows = Examination.objects.filter(organization_id=organization_id, subject=subject)
    return dict(rows.values_list("name", "stamp"))


def _keep(organization_id: int, subject: str, rows: Mapping[str, tuple[str, Any]], at: datetime) -> None:
    made = [
        Examination(
            organization_id=organization_id, subject=subject, name=name, stamp=stamp, document=document, changed_at=at
        )
        for name, (stamp, document) in sorted(rows.items())
    ]
    Examination.objects.bulk_create(
        made,
        update_conflicts=True,
        unique_fields=["organization", "subject", "name"],
        update_fields=["stamp", "document", "changed_at"],
    )


def _open(organization_id: int, advice: Advice, by: Actor, at: datetime) -> Recommendation:
    row = Recommendation(organization_id=organization_id, state=State.OPEN, created_at=at)
    _say(row, advice, at)
    row.save()
    return row


def _note_all(rows: list[Recommendation], verb: str, by: Actor, at: datetime) -> None:
    for row in rows:
        note(verb, row, {"kind": row.kind, "pairs": row.pairs, "saving": str(row.saving)}, by, at)


def _renew(organization_id: int, wanted: Mapping[int, Advice], by: Actor, at: datetime) -> int:
    """Those that say something else now."""
    renewed = 0
    for row in Recommendation.objects.filter(organization_id=organization_id, id__in=wanted).order_by("id"):
        advice = wanted[row.id]
        if row.document == _plain(advice):
            continue
        before = {"pairs": row.pairs, "saving": str(row.saving)}
        _say(row, advice, at)
        row.save()
        after = {"pairs": row.pairs, "saving": str(row.saving)}
        note("renewed", row, {name: [before[name], after[name]] for name in before}, by, at)
        renewed += 1
    return renewed


def _withdraw(organization_id: int, gone: Mapping[int, str], by: Actor, at: datetime) -> None:
    for row in Recommendation.objects.filter(organization_id=organization_id, id__in=gone).order_by("id"):
        row.state, row.changed_at, row.decided_at = State.WITHDRAWN, at, at
        row.decided_by, row.reason = by.reference, gone[row.id][: rules.LONGEST_REASON]
        row.save(update_fields=["state", "changed_at", "decided_at", "decided_by", "reason"])
        note("withdrawn", row, {"kind": row.kind, "because": row.reason}, by, at)


def _say(row: Recommendation, advice: Advice, at: datetime) -> None:
    """What it says now, and for how long: by the same evidence it runs out when it did."""
    if row.basis != advice.basis:
        row.expires_at = at + rules.VALID_FOR
    row.kind, row.task_type, row.incumbent, row.candidate = advice.key
    row.verdict, row.pairs = advice.verdict, advice.pairs
    row.saving, row.currency = advice.saving.amount, advice.volume.currency
    row.saving_millionths = int(advice.saving.amount * _SHIFT)
    row.document, row.basis, row.evidence_version = _plain(advice), advice.basis, advice.evidence_version
    row.changed_at = at


def _plain(one: Any) -> Any:
    return None if one is None else selectors.plain(one)

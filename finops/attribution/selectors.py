"""Reads: the snapshot that attribution works from, and the rules, shared costs and promoted tags as lists.

Organization first; lists have a total order.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from threading import Lock
from typing import Any, Final

from django.db.models import Count, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce

from finops.attribution.models import (
    AttributionRule,
    AttributionRuleVersion,
    AttributionStamp,
    PromotedTag,
    SharedCostRule,
    SharedCostVersion,
)
from finops.attribution.rules import Snapshot, check_assignment, check_conditions, with_rule
from finops.attribution.types import (
    DIMENSIONS,
    Assignment,
    Condition,
    IdentitySpan,
    KeyDefaults,
    Method,
    Operator,
    PromotedTagKey,
    Rule,
    RuleDraft,
    RuleVersion,
    SharedCost,
    WhenEmpty,
)
from finops.core.errors import NotFound
from finops.orgs.models import Agent, Customer, Identity, Owned, Person, Project, Team, VirtualKey
from finops.sources.models import Source

OWNERS: Final[tuple[type[Team | Person | Project | Agent | Customer], ...]] = (Team, Person, Project, Agent, Customer)
# Snapshots of the organizations this process served last. One of 20,000 people is some 20 MB.
_KEPT: Final = 16
_kept: OrderedDict[int, Snapshot] = OrderedDict()
_lock = Lock()


# --- The snapshot -----------------------------------------------------------------------------------------------------
def load_snapshot(organization_id: int) -> Snapshot:
    """The organization as attribution sees it now; kept in the process while its stamp says that nothing changed."""
    # Before the rows: newer rows under an older stamp only cost another load.
    stamp = _stamp(organization_id)
    with _lock:
        kept = _kept.get(organization_id)
        if kept is not None and stamp and kept.stamp == stamp:
            _kept.move_to_end(organization_id)
            return kept
    made = _read_snapshot(organization_id, stamp)
    with _lock:
        _kept[organization_id] = made
        _kept.move_to_end(organization_id)
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
    return made


def _stamp(organization_id: int) -> str:
    """'' for an organization that never had anything to attribute to."""
    found = AttributionStamp.objects.filter(organization_id=organization_id).values_list("value", flat=True).first()
    return str(found or "")


def _read_snapshot(organization_id: int, stamp: str) -> Snapshot:
    names: list[dict[str, int]] = []
    ended: dict[tuple[int, int], datetime] = {}
    for place, model in enumerate(OWNERS):
        known: dict[str, int] = {}
        owners = model._default_manager.filter(organization_id=organization_id).order_by("id")
        for row, slug, archived_at in owners.values_list("id", "slug", "archived_at"):
            # By id as text as well; should a slug look like an id, the slug wins.
            known.setdefault(str(row), row)
            known[slug] = row
            if archived_at is not None:
                ended[place, row] = archived_at
        names.append(known)
    mine = {"organization_id": organization_id}
    agents = Agent.objects.filter(**mine).values_list("id", "owner_id", "project_id")
    return Snapshot(
        organization_id=organization_id,
        stamp=stamp,
        names=tuple(names),
        keys=_keys(organization_id),
        identities=_identities(organization_id),
        person_team=_pairs(Person.objects.filter(**mine).values_list("id", "team_id")),
        project_team=_pairs(Project.objects.filter(**mine).values_list("id", "team_id")),
        agents={agent: (owner or 0, project or 0) for agent, owner, project in agents},
        ended=ended,
        sources=dict(Source.objects.filter(**mine).values_list("id", "slug")),
        tag_slots={tag.key: tag.slot for tag in promoted_tags(organization_id) if not tag.retired},
        rules=tuple(ordered_rules(organization_id)),
    )


def _pairs(rows: Iterable[tuple[int, int | None]]) -> dict[int, int]:
    return {row: team for row, team in rows if team is not None}


def _keys(organization_id: int) -> dict[str, KeyDefaults]:
    owners = [f"{name}_id" for name in DIMENSIONS]
    rows = VirtualKey.objects.filter(organization_id=organization_id).values_list("prefix", "id", "task_type", *owners)
    found = {}
    for prefix, key_id, task_type, team, person, project, agent, customer in rows:
        bound = (team or 0, person or 0, project or 0, agent or 0, customer or 0)
        found[prefix] = KeyDefaults(key_id, bound, task_type)
    return found


def _identities(organization_id: int) -> dict[tuple[str, str], tuple[IdentitySpan, ...]]:
    """Whose each identity was until when. One that was removed names its person for the calls before."""
    spans: dict[tuple[str, str], list[IdentitySpan]] = defaultdict(list)
    rows = Identity.objects.filter(organization_id=organization_id).order_by("id")
    for identity_id, kind, value, person_id, until in rows.values_list(
        "id", "kind", "value", "person_id", "archived_at"
    ):
        spans[kind, value.lower()].append(IdentitySpan(until, person_id, identity_id))
    for several in spans.values():
        several.sort(key=lambda span: (span.until is None, span.until, span.identity_id))
    return {name: tuple(several) for name, several in spans.items()}


# --- Names ------------------------------------------------------------------------------------------------------------
# What rules and pools name, and the column people know each by.
NAMED: Final[dict[str, tuple[type[Owned], str]]] = {
    **{name: (model, "slug") for name, model in zip(DIMENSIONS, OWNERS, strict=True)},
    "key": (VirtualKey, "prefix"),
    "source": (Source, "slug"),
}


def known_as(organization_id: int, wanted: Mapping[str, Iterable[int]]) -> dict[tuple[str, int], str]:
    """(kind, id) to the slug or key prefix people know it by: one query per kind of NAMED that is asked for."""
    found: dict[tuple[str, int], str] = {}
    for kind, ids in wanted.items():
        model, column = NAMED[kind]
        asked = set(ids)
        if asked:
            rows = model._default_manager.filter(organization_id=organization_id, id__in=asked)
            found.update({(kind, row): word for row, word in rows.values_list("id", column)})
    return found


def ids_of(organization_id: int, kind: str, words: Iterable[str]) -> dict[str, int]:
    """The other way round; a word that names nothing of the organization is not in the answer."""
    model, column = NAMED[kind]
    rows = model._default_manager.filter(organization_id=organization_id, **{f"{column}__in": set(words)})
    return dict(rows.values_list(column, "id"))


# --- Rules ------------------------------------------------------------------------------------------------------------
def ordered_rules(organization_id: int) -> list[Rule]:
    """Every rule with all its versions, in the order they are asked: retired ones too, for past calls."""
    return [as_rule(row) for row in rules(organization_id, retired=True)]


def rules(organization_id: int, *, retired: bool = False) -> QuerySet[AttributionRule]:
    """The rules in order, with their versions newest first: two queries. `place` is a rule's position, from 1, among
    those that are not retired; what people and the API see and say.
    """
    before = AttributionRule.objects.filter(
        organization_id=organization_id, archived_at__isnull=True, position__lt=OuterRef("position")
    )
    counted = before.order_by().values("organization_id").annotate(number=Count("id")).values("number")
    rows = AttributionRule.objects.filter(organization_id=organization_id).annotate(  # type: ignore[no-redef]
        place=Coalesce(Subquery(counted), 0) + 1
    )
    if not retired:
        rows = rows.filter(archived_at__isnull=True)
    versions = AttributionRuleVersion.objects.filter(organization_id=organization_id).order_by("-number")
    return rows.prefetch_related(Prefetch("versions", queryset=versions)).order_by("position", "id")


def rule(organization_id: int, rule_id: int) -> AttributionRule:
    """One rule with its versions newest first. Raises NotFound."""
    found = rules(organization_id, retired=True).filter(id=rule_id).first()
    if found is None:
        raise NotFound("There is no such attribution rule.")
    return found


def as_rule(row: AttributionRule) -> Rule:
    """The row (of `rules` or `rule`) as the pure rules take it."""
    return Rule(row.id, row.name, tuple(as_version(version) for version in row.versions.all()), row.retired_from)


def as_version(row: AttributionRuleVersion) -> RuleVersion:
    return RuleVersion(
        version_id=row.id,
        number=row.number,
        conditions=tuple(read_condition(stored) for stored in row.conditions),
        assignment=Assignment(dict(row.assignment.get("owners", {})), row.assignment.get("task_type", "")),
        override=row.override,
        active_from=row.active_from,
        active_to=row.active_to,
    )


def snapshot_with(
    organization_id: int, draft: RuleDraft, *, rule_id: int | None = None, position: int | None = None
) -> Snapshot:
    """The organization as it would be with the draft saved: as a new rule, or as the next version of `rule_id`.

    `position` counts from 1, without retired ones; None is where the rule is, or last. Nothing is written: this is for
    previews. Raises BadCondition and NotFound.
    """
    check_conditions(draft.conditions)
    check_assignment(draft.assignment)
    snapshot = load_snapshot(organization_id)
    before = next((known for known in snapshot.rules if known.rule_id == rule_id), None)
    if rule_id is not None and before is None:
        raise NotFound("There is no such attribution rule.")
    old = before.versions if before else ()
    version = RuleVersion(
        version_id=0,
        number=old[0].number + 1 if old else 1,
        conditions=draft.conditions,
        assignment=draft.assignment,
        override=draft.override,
        active_from=draft.active_from,
        active_to=draft.active_to,
    )
    changed = Rule(
        rule_id=before.rule_id if before else 0,
        name=before.name if before else "draft",
        versions=(version, *old),
        retired_from=before.retired_from if before else None,
    )
    return with_rule(snapshot, changed, position=None if position is None else position - 1)


def read_condition(stored: dict[str, Any]) -> Condition:
    return Condition(stored["field"], Operator(stored["operator"]), tuple(stored.get("values", ())))


# --- Shared costs -----------------------------------------------------------------------------------------------------
def shared_cost_rules(organization_id: int, *, retired: bool = False) -> QuerySet[SharedCostRule]:
    """The rules, oldest first, with their versions newest first: two queries."""
    rows = SharedCostRule.objects.filter(organization_id=organization_id)
    if not retired:
        rows = rows.filter(archived_at__isnull=True)
    versions = SharedCostVersion.objects.filter(organization_id=organization_id).order_by("-number")
    return rows.prefetch_related(Prefetch("versions", queryset=versions)).order_by("id")


def shared_cost_rule(organization_id: int, rule_id: int) -> SharedCostRule:
    """One rule with its versions newest first. Raises NotFound."""
    found = shared_cost_rules(organization_id, retired=True).filter(id=rule_id).first()
    if found is None:
        raise NotFound("There is no such shared cost rule.")
    return found


def shared_costs(organization_id: int, month: date) -> list[SharedCost]:
    """What is to be split for a month (its first day), in the order the rules were made: one version of each rule."""
    found = []
    for row in shared_cost_rules(organization_id, retired=True):
        if row.retired_from is not None and month >= row.retired_from:
            continue
        for version in row.versions.all():
            begun = version.from_month is None or version.from_month <= month
            if begun and (version.to_month is None or month < version.to_month):
                found.append(as_shared_cost(row, version))
                break
    return found


def as_shared_cost(row: SharedCostRule, version: SharedCostVersion) -> SharedCost:
    return SharedCost(
        rule_id=row.id,
        version_id=version.id,
        number=version.number,
        name=row.name,
        pool={dimension: tuple(values) for dimension, values in version.pool.items()},
        method=Method(version.method),
        dimension=version.dimension,
        targets=tuple(version.targets),
        percentages={int(target): Decimal(percentage) for target, percentage in version.percentages.items()},
        when_empty=WhenEmpty(version.when_empty),
        from_month=version.from_month,
        to_month=version.to_month,
    )


def active_targets(organization_id: int, dimension: str, *, at: datetime) -> tuple[int, ...]:
    """Ids of the dimension's owners that were there at an instant: made before, and not archived yet."""
    model: type[Owned] = OWNERS[DIMENSIONS.index(dimension)]
    rows = model._default_manager.filter(organization_id=organization_id, created_at__lte=at).order_by("id")
    kept = rows.values_list("id", "archived_at")
    return tuple(row for row, archived_at in kept if archived_at is None or archived_at > at)


# --- Promoted tags ----------------------------------------------------------------------------------------------------
def promoted_tag_rows(organization_id: int) -> QuerySet[PromotedTag]:
    return PromotedTag.objects.filter(organization_id=organization_id).order_by("slot")


def promoted_tags(organization_id: int) -> list[PromotedTagKey]:
    """The keys that have a slot, by slot; retired ones too, whose values can still be read."""
    return [PromotedTagKey(row.slot, row.key, row.retired_at is not None) for row in promoted_tag_rows(organization_id)]

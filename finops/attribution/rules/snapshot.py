"""An organization as attribution sees it at one moment: names, keys, identities, owners, ordered rules. Immutable."""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from finops.attribution.rules.conditions import EVENT_FIELDS, IDENTITY, TAG, folded, is_multi, multi_test, scalar_test
from finops.attribution.types import DIMENSIONS, IdentitySpan, KeyDefaults, Rule, RuleVersion
from finops.connectors.types import UsageEvent

# What every memo key begins with; `owning` reads them by these places.
_ALWAYS: Final = ("dimensions", "key_prefix", "identities", "task_type")
AT_TASK_TYPE: Final = _ALWAYS.index("task_type")
# Bit of the task type beside those of DIMENSIONS in a rule's mask.
TASK_BIT: Final = 1 << len(DIMENSIONS)
# Never filled, so that a rule that overrides is always asked.
_OVERRIDE_BIT: Final = TASK_BIT << 1

Tests = tuple[tuple[int, Callable[[Any], object]], ...]


class CompiledRule(NamedTuple):
    """What a version does when its tests hold."""

    override: bool
    owners: tuple[tuple[int, int], ...]
    task_type: str
    version_id: int
    name: str


# A version in force, ready to run: (place in the values, test) pairs, all of which must hold; which dimensions it may
# set, as bits in the order of DIMENSIONS and then the task type; what it does. A plain tuple, unpacked in the loop.
Ready = tuple[Tests, int, CompiledRule]


@dataclass(frozen=True, eq=False, kw_only=True)
class Snapshot:
    """Everything `attribute` needs. Equal memo keys give equal owners; a snapshot of nothing gives nobody.

    `names` maps, per dimension, slugs and ids as text to ids. `ended` maps (place in DIMENSIONS, id) to when that owner
    was archived: it owns what occurred before, and nothing after. `stamp` says which state of the tables this is.
    """

    organization_id: int
    stamp: str = ""
    names: tuple[Mapping[str, int], ...] = ({}, {}, {}, {}, {})
    keys: Mapping[str, KeyDefaults] = field(default_factory=dict)
    # (kind, value in lower case) -> spans, earliest end first, the open one last.
    identities: Mapping[tuple[str, str], tuple[IdentitySpan, ...]] = field(default_factory=dict)
    person_team: Mapping[int, int] = field(default_factory=dict)
    project_team: Mapping[int, int] = field(default_factory=dict)
    # Agent -> (the person who answers for it, its project).
    agents: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    ended: Mapping[tuple[int, int], datetime] = field(default_factory=dict)
    # Source -> its slug, which is what a condition on `source` compares.
    sources: Mapping[int, str] = field(default_factory=dict)
    # Promoted tag key in use -> slot (1-10).
    tag_slots: Mapping[str, int] = field(default_factory=dict)
    # In order.
    rules: tuple[Rule, ...] = ()
    plan: Plan = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plan", _plan(self))

    def memo_key(self, event: UsageEvent, source_id: int) -> tuple[Any, ...]:
        """Only what can matter to `attribute`: equal keys mean equal owners, whatever else differs in the events."""
        plan = self.plan
        instants = plan.instants
        epoch = bisect_right(instants, event.occurred_at) if instants else 0
        if plan.tags:
            wanted = plan.tags
            tags = tuple([tag for tag in event.tags if tag[0] in wanted])
            return plan.read(event), epoch, source_id if plan.by_source else 0, tags
        return plan.read(event), epoch, source_id if plan.by_source else 0


class Plan(NamedTuple):
    """What follows from a snapshot's rules: which fields matter, and which rules are in force when."""

    # Reads `_ALWAYS` and then the event's own fields that a rule looks at, as one tuple.
    read: Callable[[UsageEvent], tuple[Any, ...]]
    # A rule looks at the source; its slug comes next among the values.
    by_source: bool
    # Then the fields of any number of values: the kinds of identities and the keys of tags, in this order.
    kinds: tuple[str, ...]
    tag_keys: tuple[str, ...]
    tags: frozenset[str]
    # Whenever anything effective-dated changes, ascending; rules in force between them, one more than instants.
    instants: tuple[datetime, ...]
    in_force: tuple[tuple[Ready, ...], ...]


def with_rule(snapshot: Snapshot, rule: Rule, *, position: int | None = None) -> Snapshot:
    """The snapshot with a rule put in its place, or in another (0 is first, retired ones uncounted); a rule that is
    there keeps its place.
    """
    others = [other for other in snapshot.rules if other.rule_id != rule.rule_id]
    if position is None:
        places = [place for place, other in enumerate(snapshot.rules) if other.rule_id == rule.rule_id]
        place = places[0] if places else len(others)
    else:
        place = place_of(position, [other.retired_from is None for other in others])
    others.insert(place, rule)
    return replace(snapshot, rules=tuple(others))


def place_of(position: int, standing: Sequence[bool]) -> int:
    """Where in the whole order a position is that counts from 0 and only the rules that are not retired: right before
    the rule that has it, or last.
    """
    counted = [place for place, stands in enumerate(standing) if stands]
    return counted[position] if position < len(counted) else len(standing)


def version_at(rule: Rule, at: datetime | None) -> RuleVersion | None:
    """The version in force at an instant (None: before every instant): the newest whose period holds it."""
    if rule.retired_from is not None and at is not None and at >= rule.retired_from:
        return None
    for version in rule.versions:
        begun = version.active_from is None or (at is not None and at >= version.active_from)
        if begun and (version.active_to is None or at is None or at < version.active_to):
            return version
    return None


def _plan(snapshot: Snapshot) -> Plan:
    versions = [version for rule in snapshot.rules for version in rule.versions]
    looked_at = {condition.field for version in versions for condition in version.conditions}
    events_own = sorted(EVENT_FIELDS[name] for name in looked_at if name in EVENT_FIELDS)
    paths = (*_ALWAYS, *(path for path in events_own if path not in _ALWAYS))
    kinds = tuple(sorted(name.removeprefix(IDENTITY) for name in looked_at if name.startswith(IDENTITY)))
    tag_keys = tuple(sorted(name.removeprefix(TAG) for name in looked_at if name.startswith(TAG)))
    by_source = "source" in looked_at

    places = {name: paths.index(path) for name, path in EVENT_FIELDS.items() if path in paths}
    listed = [
        *(["source"] if by_source else []),
        *(IDENTITY + kind for kind in kinds),
        *(TAG + key for key in tag_keys),
    ]
    places.update({name: len(paths) + index for index, name in enumerate(listed)})

    turns = _turns(snapshot.rules)
    others = {span.until for spans in snapshot.identities.values() for span in spans if span.until is not None}
    instants = tuple(sorted(turns | others | set(snapshot.ended.values())))
    return Plan(
        read=operator.attrgetter(*paths),
        by_source=by_source,
        kinds=kinds,
        tag_keys=tag_keys,
        tags=frozenset(tag_keys),
        instants=instants,
        in_force=_in_force(snapshot.rules, instants, turns, places),
    )


def _turns(rules: Iterable[Rule]) -> set[datetime]:
    """The instants at which a rule begins, changes or ends."""
    turns: set[datetime | None] = {rule.retired_from for rule in rules}
    for rule in rules:
        for version in rule.versions:
            turns |= {version.active_from, version.active_to}
    return {turn for turn in turns if turn is not None}


def _in_force(
    rules: tuple[Rule, ...], instants: tuple[datetime, ...], turns: set[datetime], places: Mapping[str, int]
) -> tuple[tuple[Ready, ...], ...]:
    compiled: dict[int, Ready] = {}

    def at(instant: datetime | None) -> tuple[Ready, ...]:
        found = []
        for rule in rules:
            version = version_at(rule, instant)
            if version is not None:
                if id(version) not in compiled:
                    compiled[id(version)] = _compile(rule, version, places)
                found.append(compiled[id(version)])
        return tuple(found)

    between = [at(None)]
    for instant in instants:
        # Between turns the same tuple serves: most instants are somebody leaving, not a rule changing.
        between.append(at(instant) if instant in turns else between[-1])
    return tuple(between)


def _compile(rule: Rule, version: RuleVersion, places: Mapping[str, int]) -> Ready:
    tests = []
    for condition in map(folded, version.conditions):
        make = multi_test if is_multi(condition.field) else scalar_test
        tests.append((places[condition.field], make(condition.operator, condition.values)))
    owners = tuple(
        (place, version.assignment.owners[name])
        for place, name in enumerate(DIMENSIONS)
        if name in version.assignment.owners
    )
    mask = sum(1 << place for place, _ in owners) | (TASK_BIT if version.assignment.task_type else 0)
    rule_says = CompiledRule(
        override=version.override,
        owners=owners,
        task_type=version.assignment.task_type,
        version_id=version.version_id,
        name=rule.name,
    )
    return tuple(tests), mask | (_OVERRIDE_BIT if version.override else 0), rule_says

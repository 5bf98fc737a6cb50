"""Decides whose a call is.

In this order, each filling only what is still empty: what the call says outright; what its key says; whom its
identities name; what follows from those; the organization's rules, in their order; what follows again. A rule that
overrides also replaces what was there, and what had followed from it is worked out anew.

What follows: a person gives their team; an agent its project; a project its team; an agent its owner's team. An agent's
owner does not become the call's person: the agent spent it, not they.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from finops.attribution.rules.snapshot import AT_TASK_TYPE, TASK_BIT, CompiledRule, Ready, Snapshot
from finops.attribution.types import AGENT, DIMENSIONS, PERSON, PROJECT, TEAM, Owner, Step
from finops.connectors.types import Dimensions, UsageEvent

_NOTHING_TOLD: Final = Dimensions()
_LONGEST_DETAIL: Final = 80


def attribute(snapshot: Snapshot, event: UsageEvent, source_id: int) -> Owner:
    """Whose the call is, and why. Never raises for an event: what nobody here is called leaves a note and goes on."""
    case = _Case(snapshot, event.occurred_at)
    if event.dimensions != _NOTHING_TOLD:
        _told(case, event.dimensions)
    if event.task_type:
        case.set_task_type(event.task_type, "explicit", 0, event.task_type)
    if event.key_prefix:
        _by_key(case, event.key_prefix)
    if event.identities and not case.ids[PERSON]:
        _by_identity(case, event.identities)
    _follow(case)
    plan = snapshot.plan
    rules = plan.in_force[bisect_right(plan.instants, event.occurred_at)]
    if rules:
        _by_rules(case, rules, _values(snapshot, event, source_id, case.task_type))
        _follow(case)
    team, person, project, agent, customer = case.ids
    return Owner(team, person, project, agent, customer, case.key_id, case.task_type, tuple(case.steps))


class _Case:
    """The state of one decision: ids so far, which of them merely followed from others, and the reasons."""

    __slots__ = ("at", "ended", "filled", "followed", "ids", "key_id", "snapshot", "steps", "task_type")

    def __init__(self, snapshot: Snapshot, at: datetime) -> None:
        self.snapshot = snapshot
        self.at = at
        self.ended: Mapping[tuple[int, int], datetime] = snapshot.ended
        self.ids = [0, 0, 0, 0, 0]
        self.key_id = 0
        self.task_type = ""
        # Bits as in `snapshot.Ready`: what has a value, and what has one only because it followed.
        self.filled = 0
        self.followed = 0
        self.steps: list[Step] = []

    def set(self, place: int, value: int, by: str, reference: int, detail: str) -> bool:
        """Sets a dimension, unless its owner was archived before the call; that leaves a note."""
        if self.ended:
            ended = self.ended.get((place, value))
            if ended is not None and ended <= self.at:
                self.steps.append(Step(DIMENSIONS[place], 0, "archived", value, detail))
                return False
        self.ids[place] = value
        self.filled |= 1 << place
        self.steps.append(Step(DIMENSIONS[place], value, by, reference, detail))
        return True

    def set_task_type(self, word: str, by: str, reference: int, detail: str) -> None:
        self.task_type = word
        self.filled |= TASK_BIT
        self.steps.append(Step("task_type", 0, by, reference, detail))


def _told(case: _Case, told: Dimensions) -> None:
    names = case.snapshot.names
    for place, name in enumerate((told.team, told.person, told.project, told.agent, told.customer)):
        if not name:
            continue
        value = names[place].get(name) or names[place].get(name.lower())
        if value:
            case.set(place, value, "explicit", 0, "" if place == PERSON else name[:_LONGEST_DETAIL])
        else:
            case.steps.append(Step(DIMENSIONS[place], 0, "unknown", 0, _fit_to_keep(place, name)))


def _fit_to_keep(place: int, name: str) -> str:
    """An unknown name as the note keeps it. Of an e-mail address only the domain: charges outlive erasure."""
    if place == PERSON and "@" in name:
        return "…@" + name.rpartition("@")[2][:_LONGEST_DETAIL]
    return name[:_LONGEST_DETAIL]


def _by_key(case: _Case, prefix: str) -> None:
    defaults = case.snapshot.keys.get(prefix)
    if defaults is None:
        case.steps.append(Step("key", 0, "unknown", 0, prefix[:_LONGEST_DETAIL]))
        return
    case.key_id = defaults.key_id
    case.steps.append(Step("key", defaults.key_id, "explicit", 0, prefix))
    for place, value in enumerate(defaults.owners):
        if value and not case.ids[place]:
            case.set(place, value, "key", defaults.key_id, prefix)
    if defaults.task_type and not case.task_type:
        case.set_task_type(defaults.task_type, "key", defaults.key_id, defaults.task_type)


def _by_identity(case: _Case, identities: tuple[tuple[str, str], ...]) -> None:
    """The first identity that names somebody decides. Its step keeps the kind, not the value."""
    known = case.snapshot.identities
    for kind, value in identities:
        for span in known.get((kind, value.lower()), ()):
            if span.until is None or case.at < span.until:
                if case.set(PERSON, span.person_id, "identity", span.identity_id, kind):
                    return
                break


def _follow(case: _Case) -> None:
    """Fills what follows from what is known; see the head of this file for the order."""
    ids, snapshot = case.ids, case.snapshot
    if ids[PERSON] and not ids[TEAM]:
        _derive(case, TEAM, snapshot.person_team.get(ids[PERSON], 0), ids[PERSON], "person")
    owner = 0
    if ids[AGENT]:
        owner, project = snapshot.agents.get(ids[AGENT], (0, 0))
        if not ids[PROJECT]:
            _derive(case, PROJECT, project, ids[AGENT], "agent")
    if ids[PROJECT] and not ids[TEAM]:
        _derive(case, TEAM, snapshot.project_team.get(ids[PROJECT], 0), ids[PROJECT], "project")
    if owner and not ids[TEAM]:
        _derive(case, TEAM, snapshot.person_team.get(owner, 0), ids[AGENT], "agent's owner")


def _derive(case: _Case, place: int, value: int, reference: int, detail: str) -> None:
    if value and case.set(place, value, "derived", reference, detail):
        case.followed |= 1 << place


def _values(snapshot: Snapshot, event: UsageEvent, source_id: int, task_type: str) -> list[Any]:
    """What the rules look at, in the places their tests were compiled for."""
    plan = snapshot.plan
    values = list(plan.read(event))
    values[AT_TASK_TYPE] = task_type
    if plan.by_source:
        values.append(snapshot.sources.get(source_id, ""))
    if plan.kinds:
        values += [
            tuple([value.lower() for kind, value in event.identities if kind == wanted]) for wanted in plan.kinds
        ]
    if plan.tag_keys:
        values += [tuple([value for key, value in event.tags if key == wanted]) for wanted in plan.tag_keys]
    return values


def _by_rules(case: _Case, rules: tuple[Ready, ...], values: list[Any]) -> None:
    empty = ~case.filled
    for tests, mask, rule in rules:
        if not mask & empty:
            continue
        for place, test in tests:
            if not test(values[place]):
                break
        else:
            _apply(case, rule)
            empty = ~case.filled


def _apply(case: _Case, rule: CompiledRule) -> None:
    replaced = False
    for place, value in rule.owners:
        if case.ids[place] and not rule.override:
            continue
        if case.ids[place] == value:
            # Said by a rule now: it no longer hangs on what it followed from.
            case.followed &= ~(1 << place)
            continue
        had = case.ids[place]
        if case.set(place, value, "rule", rule.version_id, rule.name[:_LONGEST_DETAIL]):
            case.followed &= ~(1 << place)
            replaced = replaced or bool(had)
    if rule.task_type and (not case.task_type or (rule.override and case.task_type != rule.task_type)):
        case.set_task_type(rule.task_type, "rule", rule.version_id, rule.task_type)
    if replaced and case.followed:
        _forget_what_followed(case)


def _forget_what_followed(case: _Case) -> None:
    """After an override, what had followed from the owner that was replaced is worked out anew."""
    before = list(case.ids)
    for place in range(len(DIMENSIONS)):
        if case.followed >> place & 1:
            case.ids[place] = 0
            case.filled &= ~(1 << place)
    case.followed = 0
    _follow(case)
    for place, value in enumerate(before):
        if value and not case.ids[place]:
            case.steps.append(Step(DIMENSIONS[place], 0, "derived", 0, "followed from what was replaced"))

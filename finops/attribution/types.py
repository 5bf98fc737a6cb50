"""What crosses rooms about ownership: whose a call is and why, the rules that decide it, and how costs are shared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

# What can own a call, in the order of every tuple of owner ids in this room.
DIMENSIONS: Final = ("team", "person", "project", "agent", "customer")
TEAM, PERSON, PROJECT, AGENT, CUSTOMER = range(5)


class Step(NamedTuple):
    """One reason: `dimension` was set to `value` (our id) because of `by` (explicit, key, identity, derived, rule).

    Two more are notes, which set nothing and carry the value 0: `unknown` (a name was told that nobody here has;
    `detail` is that name) and `archived` (the owner named was archived before the call; `reference` is its id).
    For a task type the value is 0 and `detail` is the word. A detail never names a person: charges outlive erasure.
    """

    dimension: str
    value: int
    by: str
    # The rule version's id, the identity's id, the key's id, the owner's it was derived from; 0 where there is none.
    reference: int
    detail: str


class Owner(NamedTuple):
    """Ids of ours; 0 is "nobody". `steps` says why, in the order it was decided."""

    team_id: int
    person_id: int
    project_id: int
    agent_id: int
    customer_id: int
    key_id: int
    task_type: str
    steps: tuple[Step, ...]

    @property
    def attributed(self) -> bool:
        """Somebody answers for it: a team, a project or a person is known."""
        return bool(self.team_id or self.person_id or self.project_id)


class Operator(StrEnum):
    IS = "is"
    IS_NOT = "is_not"
    ONE_OF = "one_of"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    CONTAINS = "contains"
    MATCHES = "matches"
    EXISTS = "exists"
    ABSENT = "absent"


class Condition(NamedTuple):
    """`field` as `rules.conditions` lists them, `tag:<key>` or `identity:<kind>`. `values` as the operator needs:

    none for exists and absent, one or more for one_of, starts_with, ends_with and contains (any of them), one else.
    """

    field: str
    operator: Operator
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a rule sets: ids of owners by dimension name, and a task type ('' for none)."""

    owners: Mapping[str, int] = field(default_factory=dict)
    task_type: str = ""


@dataclass(frozen=True, slots=True)
class RuleDraft:
    """What a rule is to say: a version before it is saved. In force for `[active_from, active_to)`, None is open."""

    conditions: tuple[Condition, ...]
    assignment: Assignment
    override: bool = False
    active_from: datetime | None = None
    active_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """What a rule said from one change to the next. In force for calls that occurred in `[active_from, active_to)`.

    Where versions of one rule overlap, the higher number speaks. None is an open end.
    """

    version_id: int
    number: int
    conditions: tuple[Condition, ...]
    assignment: Assignment
    override: bool = False
    active_from: datetime | None = None
    active_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with all its versions, newest first. `retired_from` ends it for calls from then on."""

    rule_id: int
    name: str
    versions: tuple[RuleVersion, ...]
    retired_from: datetime | None = None


class KeyDefaults(NamedTuple):
    """What a virtual key says about its calls: owner ids in the order of DIMENSIONS, 0 where it says nothing."""

    key_id: int
    owners: tuple[int, int, int, int, int]
    task_type: str


class IdentitySpan(NamedTuple):
    """Whose an identity is, until an instant (None: still). One value may have belonged to several people in turn."""

    until: datetime | None
    person_id: int
    identity_id: int


class Method(StrEnum):
    EVEN = "even"
    USAGE = "usage"
    FIXED = "fixed"


class WhenEmpty(StrEnum):
    """What happens to a pool when nobody's usage weighs anything: split it evenly, or leave it visibly where it is."""

    EVEN = "even"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class SharedCost:
    """How a shared cost is split, as one version of the rule says for the months `[from_month, to_month)`.

    `pool` selects what is split: a ledger dimension to the ids (owners, source) or words (provider, model, …) it may
    have; all must match. `dimension` is one of DIMENSIONS; `targets` are ids of it, empty for every active one.
    `percentages` (fixed only) are per target, 0 < each, at most four places, together at most 100; what is missing
    to 100 stays in the pool, visible.
    """

    rule_id: int
    version_id: int
    number: int
    name: str
    pool: Mapping[str, tuple[int | str, ...]]
    method: Method
    dimension: str
    targets: tuple[int, ...] = ()
    percentages: Mapping[int, Decimal] = field(default_factory=dict)
    when_empty: WhenEmpty = WhenEmpty.EVEN
    from_month: date | None = None
    to_month: date | None = None


@dataclass(frozen=True, slots=True)
class SharedCostDraft:
    """What a shared cost rule is to say: a version before it is saved. Fields as in SharedCost."""

    pool: Mapping[str, tuple[int | str, ...]]
    method: Method
    dimension: str
    targets: tuple[int, ...] = ()
    percentages: Mapping[int, Decimal] = field(default_factory=dict)
    when_empty: WhenEmpty = WhenEmpty.EVEN
    from_month: date | None = None
    to_month: date | None = None


class AllocationLine(NamedTuple):
    """One line of a split, in integer picodollars of `currency`. Lines of one pool sum to zero.

    `target_id` 0 is the counter line, which takes from the pool what the other lines give. `weight` out of
    `weight_total` is why this much.
    """

    version_id: int
    source_id: int
    currency: str
    dimension: str
    target_id: int
    pico: int
    weight: int
    weight_total: int


@dataclass(frozen=True, slots=True)
class PromotedTagKey:
    """A tag key that has a slot (1-10) of its own in every rollup. A retired one is readable, and no longer filled."""

    slot: int
    key: str
    retired: bool


class Change(NamedTuple):
    """One dimension that changes hands. Ids of ours, or words for `task_type`."""

    dimension: str
    before: int | str
    after: int | str


@dataclass(frozen=True, slots=True)
class Move:
    """Charges that change hands in the same way: how many, and how much in picodollars per currency."""

    changes: tuple[Change, ...]
    charges: int
    pico: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule would do to history. `moves` is ordered by the most money; every charge is in one move."""

    charges_seen: int
    charges_moved: int
    pico: Mapping[str, int]
    moves: tuple[Move, ...]

"""A routing rule as it is written, exported and published: for which calls, which models, within what."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from routing.rules.policy import Policy


class When(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which calls a rule is for: all that is named must hold, and of a list any one. Owners go by their slugs, keys by
    their prefixes, teams with those below them. Tokens are of the input, as far as it can be told before.
    """

    # As they are asked for; `auto` too.
    models: tuple[str, ...] = ()
    task_types: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    customers: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    # Of each tag that is named, one of these values.
    tags: dict[str, tuple[str, ...]] = {}
    least_tokens: int | None = None
    most_tokens: int | None = None
    # Whether it brings tools; whether a sub-agent makes it; whether it is sensitive or nobody can tell.
    tools: bool | None = None
    subagent: bool | None = None
    sensitive: bool | None = None


class GateKind(StrEnum):
    """What an answer has to be: JSON; JSON of a schema; text that matches a pattern; the same as the same model says
    when it is asked again; or what another model calls right.
    """

    JSON = "json"
    SCHEMA = "schema"
    PATTERN = "pattern"
    CONSISTENT = "consistent"
    CHECKER = "checker"


class Gate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a model's answer has to pass before it is given; else the next model is asked. `model` is who checks, and
    `question` what it is asked beside the task and the answer.
    """

    kind: GateKind
    schema: dict[str, Any] = {}
    pattern: str = ""
    model: str = ""
    question: str = ""


class Use(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A model, and how: `effort` is how much it is to reason (low, medium, high …), '' as the caller says. In place of
    a model `tier:light`, `tier:mid` or `tier:frontier` is whatever is served of that class, the cheapest first.
    """

    model: str
    effort: str = ""
    most_output_tokens: int | None = None
    # Of answers that are not streamed. What is streamed goes past a model with a gate, to the next.
    gate: Gate | None = None


class Within(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which deployments may serve. What this leaves out nothing brings back: no fallback, no failure. Labels, regions
    and providers: any one of those named. `most_per_million` is of the reporting currency. `sort` is floor or nitro.
    `only` and `never` are of who serves a model; `vendors` of who made it, whoever serves it, and `origins` of the
    country of that maker's seat (ISO 3166 alpha-2). `most_share` is the most that one maker may have of the spend of
    the last days (`concentration.DAYS`): of what a rule chose, models of who has more come last.
    """

    labels: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    never_origins: tuple[str, ...] = ()
    vendors: tuple[str, ...] = ()
    never_vendors: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    most_per_million: float | None = None
    most_share: float | None = None
    sort: str = ""

    @property
    def leaves_out(self) -> bool:
        """Whether there may be a deployment that it leaves out: an order, a sort and a share leave all."""
        named = self.labels or self.regions or self.only or self.never or self.of_makers
        return bool(named) or self.most_per_million is not None

    @property
    def of_makers(self) -> bool:
        """Whether it asks who made a model, or where."""
        return bool(self.origins or self.never_origins or self.vendors or self.never_vendors)

    def why_not_made(self, vendor: str, origin: str) -> str:
        """Why it leaves out models of a maker; '' where it does not. A vendor or an origin that nobody knows is '': it
        may be any, and so it is left out by whatever asks for it.
        """
        if self.vendors or self.never_vendors:
            if not vendor:
                return "nobody knows who made it"
            if vendor in self.never_vendors or (self.vendors and vendor not in self.vendors):
                return f"models of {vendor} are left out"
        if self.origins or self.never_origins:
            if not origin:
                return "nobody knows where its maker sits"
            if origin in self.never_origins or (self.origins and origin not in self.origins):
                return f"models from {origin} are left out"
        return ""


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """`use` is the choice and what is tried after it, in order; with a `policy`, that chooses one of them or leaves the
    incumbent. Neither: the call stays with the model it asks for, within `within`.
    """

    name: str
    when: When = When()
    use: tuple[Use, ...] = ()
    policy: Policy | None = None
    within: Within = Within()

"""The cast as a snapshot: Search and Chat, Alice and Bob of Search, Dana of no team; and calls to attribute."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from finops.attribution.rules import Snapshot
from finops.attribution.types import (
    Assignment,
    Condition,
    IdentitySpan,
    KeyDefaults,
    Operator,
    Rule,
    RuleVersion,
)
from finops.connectors.types import NO_COUNTS, Dimensions, UsageEvent

SEARCH, CHAT = 1, 2
ALICE, BOB, DANA = 11, 12, 13
RANKING, SUPPORT = 21, 22  # projects: Ranking of Search, Support of Chat
CRAWLER, TRIAGE = 31, 32  # agents: Crawler of Bob's, on Ranking; Triage of Bob's, on no project
GLOBEX = 41  # a customer
GATEWAY, IMPORTS = 51, 52  # sources
KEY = 61

OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)


def acme(**changes: Any) -> Snapshot:
    given: dict[str, Any] = {
        "organization_id": 1,
        "names": (
            {"search": SEARCH, "1": SEARCH, "chat": CHAT, "2": CHAT},
            {"alice": ALICE, "bob": BOB, "dana": DANA},
            {"ranking": RANKING, "support": SUPPORT},
            {"crawler": CRAWLER, "triage": TRIAGE},
            {"globex": GLOBEX},
        ),
        "keys": {"cap_bob00001": KeyDefaults(KEY, (0, BOB, 0, 0, GLOBEX), "summarize")},
        "identities": {
            ("email", "alice@acme.test"): (IdentitySpan(None, ALICE, 101),),
            ("github", "bobby"): (IdentitySpan(None, BOB, 102),),
        },
        "person_team": {ALICE: SEARCH, BOB: SEARCH},
        "project_team": {RANKING: SEARCH, SUPPORT: CHAT},
        "agents": {CRAWLER: (BOB, RANKING), TRIAGE: (BOB, 0)},
        "sources": {GATEWAY: "gateway", IMPORTS: "imports"},
    }
    return Snapshot(**(given | changes))


def call(**told: Any) -> UsageEvent:
    owners = {name: told.pop(name) for name in ("team", "person", "project", "agent", "customer") if name in told}
    given: dict[str, Any] = {
        "external_id": "call-1",
        "occurred_at": OCTOBER,
        "provider": "openai",
        "model": "gpt-5-mini",
        "counts": NO_COUNTS,
        "dimensions": Dimensions(**owners),
    }
    return UsageEvent(**(given | told))


def rule(
    number: int,
    *conditions: tuple[str, str, tuple[str, ...]],
    task_type: str = "",
    override: bool = False,
    **owners: int,
) -> Rule:
    """A rule of one version, always in force. Its version's id is a hundred times its number."""
    says = version(number, *conditions, task_type=task_type, override=override, **owners)  # type: ignore[arg-type]
    return Rule(number, f"rule {number}", (says,))


def version(
    number: int,
    *conditions: tuple[str, str, tuple[str, ...]],
    task_type: str = "",
    override: bool = False,
    since: datetime | None = None,
    until: datetime | None = None,
    revision: int = 1,
    **owners: int,
) -> RuleVersion:
    looked_at = tuple(Condition(name, Operator(wanted), values) for name, wanted, values in conditions)
    return RuleVersion(
        number * 100 + revision - 1, revision, looked_at, Assignment(owners, task_type), override, since, until
    )

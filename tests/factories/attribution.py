"""Rules of attribution as stories need them, made by the product's own services."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from finops.attribution import services
from finops.attribution.models import AttributionRule, PromotedTag, SharedCostRule
from finops.attribution.types import Assignment, Condition, Method, Operator, RuleDraft, SharedCostDraft
from finops.orgs.models import Organization
from finops.sources.models import Source
from tests.factories.orgs import HOUSE, NOON


def source(organization: Organization) -> Source:
    return Source.objects.create(organization=organization, slug="gateway", name="Gateway")


def draft(
    *conditions: tuple[str, str, tuple[str, ...]],
    task_type: str = "",
    override: bool = False,
    since: datetime | None = None,
    until: datetime | None = None,
    **owners: int,
) -> RuleDraft:
    """`draft(("model", "starts_with", ("gpt-",)), team=3)`."""
    looked_at = tuple(Condition(name, Operator(wanted), values) for name, wanted, values in conditions)
    return RuleDraft(looked_at, Assignment(owners, task_type), override, since, until)


def rule(
    organization_id: int, says: RuleDraft, *, name: str = "A rule", position: int | None = None, at: datetime = NOON
) -> AttributionRule:
    return services.create_rule(
        organization_id=organization_id, name=name, draft=says, position=position, by=HOUSE, at=at
    )


def shared_draft(**changes: Any) -> SharedCostDraft:
    given: dict[str, Any] = {"pool": {"provider": ("anthropic",)}, "method": Method.EVEN, "dimension": "team"}
    return SharedCostDraft(**(given | changes))


def shared_rule(
    organization_id: int, says: SharedCostDraft, *, name: str = "A shared cost", at: datetime = NOON
) -> SharedCostRule:
    return services.add_shared_cost_rule(organization_id=organization_id, name=name, draft=says, by=HOUSE, at=at)


def promoted(organization_id: int, key: str) -> PromotedTag:
    return services.promote_tag(organization_id=organization_id, key=key, by=HOUSE, at=NOON)

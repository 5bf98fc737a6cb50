"""Shared costs: what is split for which month, and what is refused."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from finops.attribution import selectors, services
from finops.attribution.models import SharedCostRule, SharedCostVersion
from finops.attribution.rules import split
from finops.attribution.rules.allocation import BadSplit
from finops.attribution.services.checks import Changed, OwnerUnknown, PeriodInvalid, Retired
from finops.attribution.services.shared import PoolInvalid, SplitInvalid
from finops.attribution.types import Method, WhenEmpty
from finops.audit.models import AuditEvent
from finops.core.errors import FinopsError, NotFound
from finops.orgs import services as orgs
from finops.orgs.models import Team
from tests.factories.attribution import promoted, shared_draft, shared_rule
from tests.factories.attribution import source as make_source
from tests.factories.orgs import HOUSE, NOON, Cast

SEPTEMBER, OCTOBER, NOVEMBER = date(2026, 9, 1), date(2026, 10, 1), date(2026, 11, 1)
LATER = NOON + timedelta(days=30)


def test_a_month_is_split_as_its_version_says(cast: Cast) -> None:
    parts = {cast.search.id: Decimal("66.6667"), cast.chat.id: Decimal("33.3333")}
    row = shared_rule(cast.acme.id, shared_draft(method=Method.FIXED, percentages=parts, from_month=OCTOBER))
    services.change_shared_cost_rule(
        organization_id=cast.acme.id, rule_id=row.id, draft=shared_draft(from_month=NOVEMBER), expected_number=1,
        by=HOUSE, at=NOON,
    )  # fmt: skip
    assert selectors.shared_costs(cast.acme.id, SEPTEMBER) == []
    (october,) = selectors.shared_costs(cast.acme.id, OCTOBER)
    (november,) = selectors.shared_costs(cast.acme.id, NOVEMBER)
    assert (october.method, october.percentages, october.number) == (Method.FIXED, parts, 1)
    assert (november.method, november.when_empty, november.number) == (Method.EVEN, WhenEmpty.EVEN, 2)
    lines = split(october, pools={(1, "USD"): 3 * 10**12}, targets=(), usage={})
    assert [(line.target_id, line.pico) for line in lines] == [
        (0, -3 * 10**12),
        (cast.search.id, 2_000_001_000_000),
        (cast.chat.id, 999_999_000_000),
    ]
    assert {line.version_id for line in lines} == {october.version_id}
    assert selectors.shared_costs(cast.globex.id, OCTOBER) == []


def test_a_retired_rule_splits_no_month_from_then_on(cast: Cast) -> None:
    row = shared_rule(cast.acme.id, shared_draft())
    services.retire_shared_cost_rule(
        organization_id=cast.acme.id, rule_id=row.id, retired_from=NOVEMBER, by=HOUSE, at=NOON
    )
    assert len(selectors.shared_costs(cast.acme.id, OCTOBER)) == 1
    assert selectors.shared_costs(cast.acme.id, NOVEMBER) == []
    with pytest.raises(Retired):
        services.change_shared_cost_rule(organization_id=cast.acme.id, rule_id=row.id, name="No", by=HOUSE, at=NOON)
    verbs = [event.verb for event in AuditEvent.objects.filter(subject_kind="shared_cost").order_by("id")]
    assert verbs == ["shared_cost.created", "shared_cost.retired"]


def test_every_active_team_means_those_that_were_there(cast: Cast) -> None:
    orgs.archive(organization_id=cast.acme.id, kind="team", owner_id=cast.chat.id, by=HOUSE, at=LATER)
    # Made by the database's clock, archived by the story's: what counts is the order.
    Team.objects.filter(organization=cast.acme).update(created_at=NOON)
    assert selectors.active_targets(cast.acme.id, "team", at=NOON - timedelta(days=1)) == ()
    assert selectors.active_targets(cast.acme.id, "team", at=NOON) == (cast.search.id, cast.chat.id)
    assert selectors.active_targets(cast.acme.id, "team", at=LATER) == (cast.search.id,)
    assert selectors.active_targets(cast.acme.id, "project", at=NOON) == ()


def test_a_pool_may_be_cut_by_anything_the_ledger_knows(cast: Cast) -> None:
    source = make_source(cast.acme)
    promoted(cast.acme.id, "env")
    pool: dict[str, tuple[int | str, ...]] = {
        "team": (0, cast.chat.id),
        "source": (source.id,),
        "provider": ("anthropic", "openai"),
        "tag:env": ("prod",),
    }
    shared_rule(cast.acme.id, shared_draft(pool=pool))
    assert selectors.shared_costs(cast.acme.id, OCTOBER)[0].pool == pool


def _bad(cast: Cast) -> list[tuple[type[FinopsError], dict[str, Any]]]:
    theirs = make_source(cast.globex).id
    half = {cast.search.id: Decimal(50)}
    return [
        (PoolInvalid, {"pool": {}}),
        (PoolInvalid, {"pool": {"colour": ("red",)}}),
        (PoolInvalid, {"pool": {"tag:nobody-promoted": ("x",)}}),
        (PoolInvalid, {"pool": {"provider": ()}}),
        (PoolInvalid, {"pool": {"provider": ("",)}}),
        (PoolInvalid, {"pool": {"provider": (3,)}}),
        (PoolInvalid, {"pool": {"provider": ("a\0",)}}),
        (PoolInvalid, {"pool": {"team": ("search",)}}),
        (OwnerUnknown, {"pool": {"person": (cast.charlie.id,)}}),
        (OwnerUnknown, {"pool": {"source": (theirs,)}}),
        (OwnerUnknown, {"pool": {"key": (2**40,)}}),
        (OwnerUnknown, {"targets": (2**31 - 1,)}),
        (SplitInvalid, {"targets": (cast.chat.id, cast.chat.id)}),
        (SplitInvalid, {"dimension": "provider"}),
        (SplitInvalid, {"percentages": half}),
        (SplitInvalid, {"method": Method.FIXED, "percentages": half, "targets": (cast.chat.id,)}),
        (BadSplit, {"method": Method.FIXED}),
        (BadSplit, {"method": Method.FIXED, "percentages": {cast.search.id: Decimal(101)}}),
        (OwnerUnknown, {"method": Method.FIXED, "percentages": {cast.charlie.id + 999: Decimal(50)}}),
        (PeriodInvalid, {"from_month": date(2026, 10, 2)}),
        (PeriodInvalid, {"from_month": OCTOBER, "to_month": OCTOBER}),
    ]


def test_what_is_wrong_is_named(cast: Cast) -> None:
    for error, changes in _bad(cast):
        with pytest.raises(error) as caught:
            shared_rule(cast.acme.id, shared_draft(**changes))
        assert caught.value.field, changes
    assert not SharedCostRule.objects.exists()


def test_another_organizations_rule_is_not_there(cast: Cast) -> None:
    row = shared_rule(cast.acme.id, shared_draft())
    with pytest.raises(NotFound):
        services.change_shared_cost_rule(organization_id=cast.globex.id, rule_id=row.id, name="x", by=HOUSE, at=NOON)
    with pytest.raises(NotFound):
        services.retire_shared_cost_rule(organization_id=cast.globex.id, rule_id=row.id, by=HOUSE, at=NOON)
    with pytest.raises(Changed):
        services.change_shared_cost_rule(
            organization_id=cast.acme.id, rule_id=row.id, name="x", expected_number=2, by=HOUSE, at=NOON
        )


def test_the_database_keeps_what_matters(cast: Cast) -> None:
    row = shared_rule(cast.acme.id, shared_draft())
    with pytest.raises(DatabaseError, match="Cannot"), transaction.atomic():
        SharedCostVersion.objects.filter(rule=row).update(method="usage")
    with pytest.raises(DatabaseError, match="Cannot"), transaction.atomic():
        row.delete()
    said: dict[str, Any] = {
        "rule": row,
        "number": 2,
        "pool": {"team": [1]},
        "dimension": "team",
        "created_at": NOON,
        "created_by": "x",
    }
    for name, changes in (
        ("method", {"method": "fixed"}),
        ("method", {"method": "even", "percentages": {"1": "5"}}),
        ("dimension", {"method": "even", "dimension": "model"}),
        ("months", {"method": "even", "from_month": date(2026, 10, 2)}),
        ("months", {"method": "even", "from_month": NOVEMBER, "to_month": OCTOBER}),
    ):
        with pytest.raises(IntegrityError, match=f"shared_cost_version_{name}"), transaction.atomic():
            SharedCostVersion.objects.create(organization=cast.acme, **(said | changes))
    with pytest.raises(IntegrityError, match="same_organization"), transaction.atomic():
        SharedCostVersion.objects.create(organization=cast.globex, method="even", **said)

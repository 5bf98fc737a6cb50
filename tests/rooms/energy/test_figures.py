"""An organization's own figures: said, used, taken back, audited; and a period's energy by model."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from finops.audit.models import AuditEvent
from finops.core.errors import NotFound
from finops.core.periods import DayRange
from finops.energy import selectors, services
from finops.energy.models import GridMix, ModelEnergy
from finops.energy.types import Range
from finops.ledger import selectors as ledger
from finops.ledger.types import SpendQuestion
from tests.factories.energy import figure, grid
from tests.factories.ledger import THEN, Book, event, small_book
from tests.factories.orgs import HOUSE, Cast, the_cast

WHO: dict[str, Any] = {"by": HOUSE, "at": THEN}


@pytest.fixture
def cast(db: None) -> Cast:
    return the_cast()


def said(cast: Cast, **given: Any) -> ModelEnergy:
    return figure(cast.acme.id, **given)


def gridded(cast: Cast, **given: Any) -> GridMix:
    return grid(cast.acme.id, **given)


def test_a_figure_takes_the_place_of_the_one_before_and_the_trail_has_both(cast: Cast) -> None:
    first = said(cast, provider="OpenAI", model="GPT")
    again = said(cast, provider="openai", model="gpt", upper=Decimal("0.5"))
    assert again.id == first.id
    assert ModelEnergy.objects.count() == 1
    *_, last = AuditEvent.objects.filter(verb="energy.model_set").order_by("id")
    assert (last.details["before"]["upper"], last.details["after"]["upper"]) == ("0.400000", "0.5")
    services.remove_model_energy(organization_id=cast.acme.id, figure_id=first.id, **WHO)
    assert not ModelEnergy.objects.exists()
    assert AuditEvent.objects.get(verb="energy.model_removed").details["before"]["source"] == "our meter"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"model": " "}, "model"),
        ({"source": ""}, "source"),
        ({"lower": Decimal(0)}, "lower"),
        ({"lower": Decimal(1), "upper": Decimal("0.9")}, "upper"),
        ({"upper": Decimal(100_001)}, "upper"),
    ],
)
def test_a_figure_that_cannot_be_is_refused_by_its_field(cast: Cast, wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(services.FigureInvalid) as refused:
        said(cast, **wrong)
    assert refused.value.field == field


def test_a_zone_that_is_known_needs_no_figures_and_another_does(cast: Cast) -> None:
    row = gridded(cast, zone="fra")
    assert (row.zone, row.lower, row.lower) == ("FRA", row.upper, row.upper)
    assert 10 < row.lower < 100
    assert row.source == "EcoLogits 0.11.3"
    own = gridded(cast, provider="openai", zone="wind farm", lower=Decimal(8), upper=Decimal(20), source="its owner")
    assert (own.lower, own.upper) == (8, 20)
    for wrong, field in (
        ({"zone": "ZZZ"}, "zone"),
        ({"zone": ""}, "zone"),
        ({"lower": Decimal(1)}, "upper"),
        ({"upper": Decimal(1)}, "lower"),
        ({"lower": Decimal(-1), "upper": Decimal(1), "source": "x"}, "lower"),
        ({"lower": Decimal(1), "upper": Decimal(1)}, "source"),
    ):
        with pytest.raises(services.FigureInvalid) as refused:
            gridded(cast, **wrong)
        assert refused.value.field == field, wrong
    services.remove_grid(organization_id=cast.acme.id, figure_id=own.id, **WHO)
    assert [one.verb for one in AuditEvent.objects.filter(subject_kind="grid_mix").order_by("id")] == [
        "energy.grid_set", "energy.grid_set", "energy.grid_removed",
    ]  # fmt: skip


def test_there_are_so_many_figures_and_no_more(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MOST_FIGURES", 1)
    said(cast)
    said(cast, upper=Decimal("0.6"))
    with pytest.raises(services.FigureInvalid):
        said(cast, model="other")


def test_nobody_touches_another_organizations_figure(cast: Cast) -> None:
    row = said(cast)
    with pytest.raises(NotFound):
        services.remove_model_energy(organization_id=cast.globex.id, figure_id=row.id, **WHO)
    assert not selectors.model_figures(cast.globex.id).exists()
    assert selectors.estimator(cast.globex.id).rate("openai", "gpt") is None
    assert selectors.estimator(cast.acme.id).rate("openai", "gpt") is not None


def test_the_database_keeps_bounds_in_order(cast: Cast) -> None:
    row = said(cast)
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelEnergy.objects.filter(id=row.id).update(upper=Decimal("0.1"))


def test_a_periods_energy_is_by_provider_and_model_from_the_cubes(cast: Cast) -> None:
    small_book()
    book = Book(cast.acme)
    book.take(event("1", model="gpt"), event("2", model="gpt"), event("3", model="gpt-mini"))
    said(cast, lower=Decimal(1), upper=Decimal(2))
    days = DayRange(THEN.date().replace(day=1), THEN.date().replace(day=28))
    rows = ledger.spend(SpendQuestion(cast.acme.id, days, group_by=("provider", "model")))
    uses = selectors.model_uses(cast.acme.id, rows)
    by_model = {one.use.model: one for one in uses}
    tokens = by_model["gpt"].use.output_tokens
    assert tokens == sum(row.output_tokens for row in rows if row.calls == 2) > 0
    assert by_model["gpt"].footprint.wh == Range(tokens / 1_000, 2 * tokens / 1_000)
    assert by_model["gpt-mini"].rate is None
    total = selectors.total(uses)
    assert total.wh == by_model["gpt"].footprint.wh
    assert total.unknown == ("openai/gpt-mini",)
    answered = selectors.answered(cast.acme.id, rows)
    [gpt] = [row.values[1] for row in rows if row.calls == 2]
    assert answered.of(gpt, calls=1, output_tokens=1_000).wh == Range(1.0, 2.0)
    assert answered.of(0, calls=0, output_tokens=0).unknown == ()

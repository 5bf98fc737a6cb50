"""Reads of figures, and of what calls are estimated to have used. Organization first; lists have a total order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import NamedTuple

from django.db.models import QuerySet

from finops.core.errors import NotFound
from finops.energy.book import book
from finops.energy.models import GridMix, ModelEnergy
from finops.energy.rules.estimating import Estimator, Figure, Grid, together
from finops.energy.types import Footprint, Range, Rate, Use
from finops.ledger import selectors as ledger
from finops.ledger.types import SpendRow


class ModelUse(NamedTuple):
    """A model's calls, what they cost in the reporting currency and used; `rate` None where nobody knows."""

    use: Use
    cost: Decimal
    footprint: Footprint
    rate: Rate | None


class Answered(NamedTuple):
    """By whom each model was answered in a period, and the figures to tell what it used."""

    estimator: Estimator
    models: dict[int, str]
    providers: dict[int, tuple[str, ...]]

    def of(self, model_id: int, *, calls: int, output_tokens: int) -> Footprint:
        """Of a model's calls of which it is not known whose they are: from the least to the most that any of those who
        answered it in the period uses.
        """
        model = self.models.get(model_id, "")
        if not model:
            return self.estimator.of(Use("", "(no model)", calls, output_tokens))
        return self.estimator.among(self.providers.get(model_id, ("",)), Use("", model, calls, output_tokens))


def model_figures(organization_id: int) -> QuerySet[ModelEnergy]:
    """By model and provider."""
    return ModelEnergy.objects.filter(organization_id=organization_id).order_by("model", "provider", "id")


def grid_figures(organization_id: int) -> QuerySet[GridMix]:
    return GridMix.objects.filter(organization_id=organization_id).order_by("provider", "id")


def model_figure(organization_id: int, figure_id: int) -> ModelEnergy:
    """Raises NotFound."""
    found = model_figures(organization_id).filter(id=figure_id).first()
    if found is None:
        raise NotFound("There is no such figure.")
    return found


def grid_figure(organization_id: int, figure_id: int) -> GridMix:
    """Raises NotFound."""
    found = grid_figures(organization_id).filter(id=figure_id).first()
    if found is None:
        raise NotFound("There is no such figure.")
    return found


def estimator(organization_id: int) -> Estimator:
    """By the organization's figures as they are now, else by the method. Two queries."""
    figures = [
        Figure(row.provider, row.model, Range(float(row.lower), float(row.upper)), row.source)
        for row in model_figures(organization_id)
    ]
    grids = [
        Grid(row.provider, row.zone, Range(float(row.lower), float(row.upper))) for row in grid_figures(organization_id)
    ]
    return Estimator(book(), figures, grids)


def model_uses(organization_id: int, rows: Sequence[SpendRow]) -> list[ModelUse]:
    """Of spend by provider and model, that with most tokens first. Calls that no model answered, as allocations, are
    left out.
    """
    found = estimator(organization_id)
    called = ledger.named(
        organization_id,
        {"provider": {row.values[0] for row in rows}, "model": {row.values[1] for row in rows}},
    )  # fmt: skip
    sums: dict[tuple[str, str], tuple[int, int, Decimal]] = defaultdict(lambda: (0, 0, Decimal(0)))
    for row in rows:
        provider, model = row.values
        if not model:
            continue
        key = (called["provider"][provider].value if provider else "", called["model"][model].value)
        calls, tokens, cost = sums[key]
        sums[key] = calls + row.calls, tokens + row.output_tokens, cost + row.reporting_cost
    uses = []
    for (provider_, model_), (calls, tokens, cost) in sums.items():
        use = Use(provider_, model_, calls, tokens)
        uses.append(ModelUse(use, cost, found.of(use), found.rate(provider_, model_)))
    return sorted(uses, key=lambda one: (-one.use.output_tokens, one.use.model, one.use.provider))


def answered(organization_id: int, rows: Iterable[SpendRow]) -> Answered:
    """From spend by provider and model, what it takes to tell the energy of a part of it that says its model alone."""
    pairs = sorted({(row.values[0], row.values[1]) for row in rows if row.values[1] and row.calls > 0})
    called = ledger.named(
        organization_id, {"provider": {pair[0] for pair in pairs}, "model": {pair[1] for pair in pairs}}
    )
    providers: dict[int, tuple[str, ...]] = {}
    for provider, model in pairs:
        word = called["provider"][provider].value if provider else ""
        providers[model] = (*providers.get(model, ()), word)
    return Answered(estimator(organization_id), {one: named.value for one, named in called["model"].items()}, providers)


def total(uses: Iterable[ModelUse]) -> Footprint:
    return together(one.footprint for one in uses)

"""One charge, told step by step: what was received, how it was priced, whose it is and why, how it was corrected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.urls import reverse

from dashboards.access import Here
from dashboards.scope import Scope
from finops.ledger.selectors import stories
from finops.ledger.selectors.stories import AttributionStep, Pricing, Sighting, Story
from finops.ledger.types import OWNERS, WORDS, ChargeRow
from finops.orgs.rules import PEOPLE_DIMENSIONS, Permission

_BY: Final = {
    "explicit": "The source named it",
    "key": "The virtual key it was called with says so",
    "identity": "An identity of the call belongs to this person",
    "derived": "Follows from another owner already known",
    "rule": "An attribution rule matched",
    "unknown": "The source named somebody nobody here knows",
    "archived": "The owner named was archived before the call",
    "allocation": "A shared cost was split",
}
# The reason of a line that was added to meet a bill, and by what its step says so.
TRUEUP: Final = "trueup"
TIED: Final = "reconciliation"
REASONS: Final = {
    "model_unknown": "No price book knows this model.",
    "meter_unpriced": "The model has a price, but not for one of the quantities this call used.",
    "tier_unknown": "The model has a price, but not for the service tier that served this call.",
    # It lacks nothing today: there is a price, and nobody has asked for the call to be rated again.
    "": "There is a price by now, and this call was not rated again since.",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One step of attribution: what was set, to whom, and why."""

    dimension: str
    value: str
    by: str
    detail: str
    note: bool


@dataclass(frozen=True, slots=True)
class ChargeStory:
    """The ledger's story of a charge in words and addresses. `missing` says what an unpriced one lacks."""

    facts: tuple[tuple[str, str, str], ...]
    meters: tuple[tuple[str, int], ...]
    pricing: Pricing
    missing: str
    reasons: tuple[Reason, ...]
    chain: tuple[tuple[str, str, str], ...]
    sightings: tuple[Sighting, ...]
    state: str
    # Why the line is there at all; `added` where it was added to meet a bill.
    why: str = ""
    added: bool = False
    # Of those, one that corrects calls that were seen.
    correction: bool = False


def story(here: Here, scope: Scope, row: ChargeRow) -> ChargeStory:
    told = stories.story(here.id, row)
    labels = {name: told.called[name][row.dimensions[name]].name for name in OWNERS + WORDS if row.dimensions.get(name)}
    return ChargeStory(
        facts=_facts(here, scope, row, labels),
        meters=tuple(stories.usage(row.counts).items()),
        pricing=told.pricing,
        missing=REASONS.get(told.pricing.reason, ""),
        reasons=tuple(_reason(scope, step) for step in told.steps if step.by != TIED),
        chain=_chain(here, told),
        sightings=told.sightings,
        state=labels.get("state", ""),
        why=_why(row, labels),
        added=row.reason == TRUEUP,
        correction=labels.get("category") == "Adjustment",
    )


def _why(row: ChargeRow, labels: Mapping[str, str]) -> str:
    """Of a line that reconciling made, which day it is for and what it says; of others, the ledger's word."""
    if row.reason != TRUEUP:
        return row.reason
    provider, bill = labels.get("provider", "the provider"), labels.get("source", "its bill")
    on = f"{provider}’s {row.occurred_at.day} {row.occurred_at:%b %Y}"
    if row.reverses:
        return f"A line that made {on} what was billed, taken back: the bill, the calls or the rule changed since."
    if not row.effective_cost and not any(row.counts):
        return f"A line that made {on} what was billed is not needed any more, and is nothing now."
    if labels.get("category") == "Adjustment":
        return (
            f"It makes calls of {on} what {bill} says they cost: their tokens at the rate that was billed, less what "
            "they stood at by their prices."
        )
    return f"It was billed for {on} by {bill}, and nobody saw a call of it."


def _facts(here: Here, scope: Scope, row: ChargeRow, labels: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
    """Label, value and the address of everything else with that value."""
    spend = reverse("dashboards:spend", kwargs={"organization": here.caller.organization_slug})
    found = []
    for name, label in labels.items():
        may = here.caller.can(Permission.SPEND_READ) and (here.caller.sees_people or name not in PEOPLE_DIMENSIONS)
        narrowed = scope.narrowed_to({name: row.dimensions[name]})
        found.append((scope.dimensions.label(name), label, f"{spend}?{narrowed.query()}" if may else ""))
    return tuple(found)


def _reason(scope: Scope, step: AttributionStep) -> Reason:
    """A step that set nobody has what was told in `detail`: a task type's word, a name nobody here has."""
    return Reason(
        dimension=scope.dimensions.label(step.dimension),
        value=step.value.name if step.value else step.detail,
        by=_BY.get(step.by, step.by),
        detail=step.detail if step.value else "",
        note=step.by in {"unknown", "archived"},
    )


def _chain(here: Here, told: Story) -> tuple[tuple[str, str, str], ...]:
    """What this charge corrects and what corrects it: sentence, id, address."""
    links = {
        "Replaced by": told.replaced_by,
        "Reversed by": told.reversed_by,
        "This line reverses": told.row.reverses,
    }
    slug = here.caller.organization_slug
    return tuple(
        (words, str(other), reverse("dashboards:charge", kwargs={"organization": slug, "charge_id": other}))
        for words, other in links.items()
        if other
    )

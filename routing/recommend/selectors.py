"""Reads of recommendations, and of what they are made of: volumes by the ledger, places and their prices."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec
from django.db import connection
from django.db.models import QuerySet

from finops.core.errors import NotFound
from finops.core.money import from_pico
from finops.core.periods import DayRange
from finops.core.tokens import METER_INDEX, METERS
from finops.ledger import selectors as ledger
from finops.ledger.types import SpendQuestion, SpendRow
from finops.orgs.models import Organization
from finops.pricing import selectors as pricing
from finops.pricing.rules.pricer import Pricer
from finops.pricing.rules.quoting import quote
from routing.recommend import rules
from routing.recommend.hosts import Offer, same_name
from routing.recommend.measuring import Spent
from routing.recommend.models import Examination, Recommendation
from routing.recommend.pins import Handed
from routing.recommend.types import Advice, Examined, State, Volume
from routing.recommend.writing import LOCAL
from routing.rules.models import RoutingRule
from routing.rules.rollout import Stage
from routing.rules.rollout import State as RuleState
from routing.upstreams import selectors as upstreams
from routing.upstreams.models import Deployment

ORDER: Final = ("-saving_millionths", "id")
_UNCACHED: Final = METER_INDEX["input_uncached"]
_CACHED: Final = METER_INDEX["cache_read"]
_OUTPUT: Final = METER_INDEX["output_text"]

# Evidence that comes in all the time is looked at so often.
SPACING: Final = timedelta(minutes=5)
_TASK_TYPE: Final = Examination.Subject.TASK_TYPE.value
_DUE: Final = """
SELECT o.id FROM orgs_organization o LEFT JOIN recommend_computed c ON c.organization_id = o.id
WHERE (c.at IS NULL OR c.at <= %(soon)s) AND (
    EXISTS (
        SELECT FROM evidence_typeversion v LEFT JOIN recommend_examination e
            ON (e.organization_id, e.subject, e.name) = (v.organization_id, %(subject)s, v.task_type)
        WHERE v.organization_id = o.id AND e.stamp IS DISTINCT FROM v.version::text
    ) OR (c.at IS NULL OR c.at <= %(day)s) AND (
        EXISTS (SELECT FROM evidence_typeversion v WHERE v.organization_id = o.id)
        OR EXISTS (SELECT FROM upstreams_deployment d WHERE d.organization_id = o.id)
    ) OR (c.at IS NULL OR c.at <= %(day)s OR c.at < (SELECT max(seeded_at) FROM pricing_pricebook))
        AND (SELECT count(*) > 1 AND max(seeded_at) > %(news)s FROM pricing_pricebook)
        AND EXISTS (SELECT FROM ledger_charge_key k WHERE k.organization_id = o.id)
) ORDER BY o.id
"""


class Spending(NamedTuple):
    """Of the last 30 days: by task type each model's, and by model how calls usually are, with their volume."""

    by_type: Mapping[str, tuple[Spent, ...]]
    by_model: Mapping[str, tuple[Volume, tuple[int, ...]]]


def recommendations(
    organization_id: int, *, kind: str = "", task_type: str | None = None, state: str = ""
) -> QuerySet[Recommendation]:
    """Those that save most first."""
    rows = Recommendation.objects.filter(organization_id=organization_id)
    wished = {"kind": kind or None, "task_type": task_type, "state": state or None}
    return rows.filter(**{name: value for name, value in wished.items() if value is not None}).order_by(*ORDER)


def recommendation(organization_id: int, recommendation_id: int, *, lock: bool = False) -> Recommendation:
    """Raises NotFound."""
    rows = Recommendation.objects.filter(organization_id=organization_id, id=recommendation_id)
    found = (rows.select_for_update() if lock else rows).first()
    if found is None:
        raise NotFound("There is no such recommendation.")
    return found


def advice_of(row: Recommendation) -> Advice:
    """What it says."""
    return msgspec.convert(row.document, Advice)


def examined(organization_id: int) -> dict[str, Examined]:
    """Of every task type that was worked out, by name."""
    rows = Examination.objects.filter(organization_id=organization_id, subject=Examination.Subject.TASK_TYPE)
    told = rows.order_by("name").values_list("name", "document")
    return {name: msgspec.convert(document, Examined) for name, document in told if document is not None}


def examined_of(organization_id: int, task_type: str) -> Examined | None:
    """As it was worked out last; None where nothing was."""
    rows = Examination.objects.filter(organization_id=organization_id, subject=_TASK_TYPE, name=task_type)
    document = rows.values_list("document", flat=True).first()
    return None if document is None else msgspec.convert(document, Examined)


def standing(organization_id: int) -> list[rules.Standing]:
    """Recommendations that say something of what may be recommended now, without those that were withdrawn."""
    rows = Recommendation.objects.filter(organization_id=organization_id).exclude(state=State.WITHDRAWN)
    told = list(
        rows.order_by("id").values_list(
            "id", "kind", "task_type", "incumbent", "candidate", "state", "basis", "rule_id", "document__brought"
        )
    )
    made = RoutingRule.objects.filter(organization_id=organization_id, id__in={row[7] for row in told if row[7]})
    alive = set(made.exclude(state=RuleState.RETIRED).exclude(stage=Stage.ROLLED_BACK).values_list("id", flat=True))
    return [rules.Standing(row[0], row[1:5], row[5], row[6], row[7] in alive, bool(row[8])) for row in told]


def due(at: datetime) -> list[int]:
    """Organizations whose evidence changed since their recommendations were worked out, some minutes ago at least; and
    once a day those that have anything to work out, for volumes and prices change too. A price book that brought
    models is something to work out for whoever spends anything, at once.
    """
    with connection.cursor() as cursor:
        cursor.execute(_DUE, {
            "soon": at - SPACING, "day": at - timedelta(days=1), "subject": _TASK_TYPE, "news": at - rules.NEWS_FOR,
        })  # fmt: skip
        return [organization_id for (organization_id,) in cursor.fetchall()]


def spending(organization_id: int, at: datetime) -> Spending:
    """By the ledger, today included; in the reporting currency."""
    today = at.astimezone(UTC).date()
    period = DayRange(today - timedelta(days=rules.DAYS_COUNTED - 1), today + timedelta(days=1))
    currency = Organization.objects.values_list("reporting_currency", flat=True).get(id=organization_id)
    by_type: dict[str, list[Spent]] = {}
    question = SpendQuestion(organization_id, period, group_by=("task_type", "model"))
    typed = _summed([row for row in ledger.spend(question) if row.values[0]])
    types = ledger.labels(organization_id, "task_type", {values[0] for values in typed})
    models = ledger.labels(organization_id, "model", {values[1] for values in typed})
    for (task_type, model), row in sorted(typed.items()):
        volume = Volume(calls=row.calls, spend=row.spend, currency=currency)
        spent = Spent(models.get(model, ""), volume, row.usual)
        by_type.setdefault(types.get(task_type, ""), []).append(spent)
    alone = _summed(ledger.spend(SpendQuestion(organization_id, period, group_by=("model",))))
    names = ledger.labels(organization_id, "model", {values[0] for values in alone})
    by_model = {
        names.get(model, ""): (Volume(calls=row.calls, spend=row.spend, currency=currency), row.usual)
        for (model,), row in sorted(alone.items())
    }
    return Spending({name: tuple(rows) for name, rows in by_type.items()}, by_model)


def handed_on(organization_id: int, at: datetime) -> dict[tuple[str, str], Handed]:
    """By task type and model, which part of the newest calls sub-agents made."""
    found = ledger.handed_on(organization_id, since=at - timedelta(days=rules.DAYS_COUNTED))
    types = ledger.labels(organization_id, "task_type", {row.task_type_id for row in found})
    models = ledger.labels(organization_id, "model", {row.model_id for row in found})
    return {
        (types[row.task_type_id], models[row.model_id]): Handed(row.calls, row.handed, row.share)
        for row in found
        if row.task_type_id in types and row.model_id in models
    }


def ledger_names(organization_id: int) -> dict[str, frozenset[str]]:
    """By the name that calls ask for a model by, those that the ledger may have it under."""
    found: dict[str, set[str]] = {}
    for row in upstreams.deployments_in_use(organization_id).values_list("model", "upstream_model"):
        found.setdefault(row[0], set()).update({row[1], same_name(row[1])})
    return {model: frozenset(names) for model, names in found.items()}


def local_models(organization_id: int) -> frozenset[str]:
    """Models that are deployed at upstreams with the label `local`."""
    rows = upstreams.deployments_in_use(organization_id).filter(upstream__labels__contains=[LOCAL])
    return frozenset(rows.values_list("model", flat=True))


def offers(organization_id: int, spent: Spending, at: datetime) -> list[tuple[Volume, list[Offer]]]:
    """Of each model that is deployed at several places and that anything is spent on: its volume, and what a call as
    they usually are costs at each place whose prices are known.
    """
    rows = upstreams.deployments_in_use(organization_id).select_related("upstream")
    deployed: dict[tuple[str, str], list[Deployment]] = {}
    for row in rows:
        deployed.setdefault((row.upstream.dialect, row.model), []).append(row)
    found = []
    pricer = pricing.load_pricer(organization_id)
    for (_, model), mine in sorted(deployed.items()):
        names = {model, *(row.upstream_model for row in mine), *(same_name(row.upstream_model) for row in mine)}
        volumes = [spent.by_model[name] for name in sorted(names) if name in spent.by_model]
        if len(mine) < 2 or not volumes:
            continue
        volume, usual = max(volumes, key=lambda one: one[0].spend)
        told = [offer for row in mine if (offer := _offer(pricer, row, usual, at)) is not None]
        if len(told) == len(mine):
            found.append((volume, told))
    return found


def _offer(pricer: Pricer, row: Deployment, usual: tuple[int, ...], at: datetime) -> Offer | None:
    """None where nobody knows the price. Where nothing is said of cached tokens they cost what others do."""
    upstream = row.upstream
    uncached = list(usual)
    uncached[_UNCACHED] += uncached[_CACHED]
    uncached[_CACHED] = 0
    for counts in (usual, uncached):
        rated = quote(
            pricer, provider=upstream.provider, model=row.upstream_model, tier="", host=upstream.host, counts=counts,
            at=at,
        ).rated  # fmt: skip
        if rated.priced:
            return Offer(
                row.model, upstream.name, row.rank, row.weight * upstream.weight, from_pico(rated.effective_pico),
                rated.currency, same_name(row.upstream_model),
            )  # fmt: skip
    return None


class Prices:
    """What calls cost at the models that are deployed, at the place that each is asked at first."""

    def __init__(self, organization_id: int, at: datetime) -> None:
        self._pricer = pricing.load_pricer(organization_id)
        self._at = at
        self._first: dict[str, Deployment] = {}
        for row in upstreams.deployments_in_use(organization_id).select_related("upstream"):
            self._first.setdefault(row.model, row)

    def of(self, usual: tuple[int, ...]) -> dict[str, float]:
        """Dollars of a call of these meters, by model; those of which that is known."""
        told = [_offer(self._pricer, row, usual, self._at) for row in self._first.values()] if any(usual) else []
        return {one.model: float(one.cost) for one in told if one is not None and one.currency == "USD"}


class _Sum(NamedTuple):
    calls: int
    spend: Decimal
    usual: tuple[int, ...]


def _summed(rows: list[SpendRow]) -> dict[tuple[int, ...], _Sum]:
    """Over billing currencies: reporting costs may be added."""
    found: dict[tuple[int, ...], _Sum] = {}
    for row in rows:
        known = found.get(row.values, _Sum(0, Decimal(0), (0,) * len(METERS)))
        counts = list(known.usual)
        counts[_UNCACHED] += row.input_tokens - row.cached_tokens
        counts[_CACHED] += row.cached_tokens
        counts[_OUTPUT] += row.output_tokens
        found[row.values] = _Sum(known.calls + row.calls, known.spend + row.reporting_cost, tuple(counts))
    return {
        values: row._replace(usual=tuple(count // max(row.calls, 1) for count in row.usual))
        for values, row in found.items()
    }


def plain(struct: Any) -> Any:
    """As JSON columns have it."""
    return msgspec.json.decode(msgspec.json.encode(struct))

"""Publishes what gateways decide by, whenever anything it follows from has changed."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Final

from django.db import connection, transaction

from finops.attribution import selectors as attribution
from finops.budgets import selectors as budgets
from finops.budgets.guard_rules import load_guard_rules
from finops.core.actors import Actor
from finops.orgs import selectors as orgs
from finops.pricing import selectors as pricing
from finops.sources.services import ensure_gateway_source
from routing.captures import selectors as captures
from routing.captures.hot import WHOLE
from routing.classify import selectors as classify
from routing.configuration import wire
from routing.configuration.models import CATALOGUE, Published
from routing.prospects import selectors as prospects
from routing.rules import selectors as rules
from routing.tiers import selectors as tiers
from routing.upstreams import selectors as upstreams
from routing.upstreams.models import KeyWishes, Upstream

log = logging.getLogger(__name__)
CHANNEL: Final = "configuration_published"
PUBLISHER: Final = Actor("system:publisher", "publisher")
# Said alike in the rows and on the wire.
_OF_UPSTREAM: Final = (
    "name", "dialect", "base_url", "provider", "host", "auth", "headers", "region", "any_model", "weight", "connect_s",
    "first_byte_s", "total_s", "bills_cancelled",
)  # fmt: skip
_OF_DEPLOYMENT: Final = ("upstream_id", "model", "upstream_model", "rank", "weight")
_OF_WISHES: Final = ("order", "only", "sort", "most_per_million")
# One small row for each organization; the parts are the tokens that rooms change with whatever they own.
_STAMPS: Final = """
SELECT o.id,
    concat_ws(' ', o.slug, o.reporting_currency, p.token, a.value, b.token, c.token, u.token, k.token,
        r.token, y.version, s.token, f.version, t.token) AS stamp, d.stamp
FROM orgs_organization AS o
LEFT JOIN pricing_pricingversion AS p ON p.organization_id = o.id
LEFT JOIN pricing_pricingversion AS c ON c.organization_id IS NULL
LEFT JOIN attribution_attributionstamp AS a ON a.organization_id = o.id
LEFT JOIN budgets_budgetsversion AS b ON b.organization_id = o.id
LEFT JOIN upstreams_upstreamsversion AS u ON u.organization_id = o.id
LEFT JOIN captures_capturesettings AS k ON k.organization_id = o.id
LEFT JOIN rules_rulesversion AS r ON r.organization_id = o.id
LEFT JOIN tiers_tiersversion AS t ON t.organization_id = o.id
LEFT JOIN classify_trainedclassifier AS y ON y.organization_id = o.id AND y.is_in_force
LEFT JOIN classify_samplingsettings AS s ON s.organization_id = o.id
LEFT JOIN prospects_trainedprospects AS f ON f.organization_id = o.id AND f.is_in_force
LEFT JOIN configuration_published AS d ON d.organization_id = o.id
UNION ALL
SELECT %s, coalesce((SELECT token::text FROM pricing_pricingversion WHERE organization_id IS NULL), ''),
    (SELECT stamp FROM configuration_published WHERE organization_id = %s)
ORDER BY 1
"""


def publish_changes(at: datetime) -> list[int]:
    """Publish what is not as it was published last; gives the organizations. What fails keeps its last state."""
    with connection.cursor() as cursor:
        cursor.execute(_STAMPS, [CATALOGUE, CATALOGUE])
        changed = [(organization_id, stamp) for organization_id, stamp, last in cursor.fetchall() if stamp != last]
    done = []
    for organization_id, stamp in changed:
        try:
            publish(organization_id=organization_id, stamp=stamp, at=at)
        except Exception:
            log.exception("the configuration of organization %d could not be published", organization_id)
        else:
            done.append(organization_id)
    return done


@transaction.atomic
def publish(*, organization_id: int, stamp: str, at: datetime) -> None:
    """The stamp is of before the rows were read: newer rows under an older stamp are only published once more."""
    body = _catalogue() if organization_id == CATALOGUE else wire.encode(organization(organization_id, at))
    Published.objects.update_or_create(
        organization_id=organization_id, defaults={"stamp": stamp, "body": body, "published_at": at}
    )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, str(organization_id)])


def _catalogue() -> bytes:
    data = pricing.catalogue_data()
    return wire.encode(wire.Catalogue(data.providers, data.prices, data.aliases, data.windows))


def organization(organization_id: int, at: datetime) -> wire.Organization:
    """Everything a gateway needs to know about one organization."""
    found = orgs.organization(organization_id)
    contracts, aliases = pricing.overrides_data(organization_id)
    snapshot = budgets.load_snapshot(organization_id)
    names = dict(budgets.budgets(organization_id).values_list("id", "name"))
    source = ensure_gateway_source(organization_id=organization_id, by=PUBLISHER, at=at)
    wished = {row.key_id: _wishes(row) for row in upstreams.wishes(organization_id)}
    return wire.Organization(
        organization_id=organization_id,
        slug=found.slug,
        currency=found.reporting_currency,
        source_id=source.id,
        keys=tuple(
            wire.Key(
                key_id=key.id,
                prefix=key.prefix,
                digest=key.digest,
                permissions=frozenset(key.permissions),
                expires_at=key.expires_at,
                former=key.former_digest,
                former_until=key.former_until,
                wishes=wished.get(key.id),
            )
            for key in orgs.keys(organization_id)
            if orgs.key_live(key, at)
        ),
        owners=wire.owners_of(attribution.load_snapshot(organization_id)),
        contracts=contracts,
        aliases=aliases,
        rates=tuple(pricing.exchange_facts(organization_id, found.reporting_currency)),
        token=snapshot.token,
        budgets=tuple(wire.budget_of(terms, names[terms.budget_id]) for terms in snapshot.terms),
        above=snapshot.above,
        guard=load_guard_rules(organization_id, at=at),
        upstreams=tuple(_upstream(row) for row in upstreams.upstreams(organization_id)),
        deployments=tuple(
            wire.Deployment(deployment_id=row.id, **{name: getattr(row, name) for name in _OF_DEPLOYMENT})
            for row in upstreams.deployments_in_use(organization_id)
        ),
        captures=_capturing(organization_id),
        rules=rules.published(organization_id, at),
        classifier=classify.published(organization_id),
        sampled=classify.sampling(organization_id).is_on,
        prospects=prospects.published(organization_id),
        models=tuple(tiers.entry_of(row) for row in tiers.entries(organization_id)),
        shares=rules.shares(organization_id),
    )


def _capturing(organization_id: int) -> wire.Capturing | None:
    said = captures.capturing(organization_id)
    share = int(said.share * WHOLE / 100)
    if not said.is_on or not share:
        return None
    return wire.Capturing(
        share=share,
        most_bytes=said.most_kib * 1024,
        task_types=frozenset(said.task_types),
        project_ids=frozenset(said.project_ids),
    )


def _wishes(row: KeyWishes) -> wire.Wishes:
    return wire.Wishes(**{name: getattr(row, name) for name in _OF_WISHES} | {"order": tuple(row.order)})


def _upstream(row: Upstream) -> wire.Upstream:
    """The credential stays sealed: whoever reads the database or a backup of it has nothing."""
    same = {name: getattr(row, name) for name in _OF_UPSTREAM}
    return wire.Upstream(upstream_id=row.id, sealed=bytes(row.sealed), labels=frozenset(row.labels), **same)

"""Upstreams and what is deployed at them, as the file says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings

from finops.core.sealing import CannotOpen
from routing.laptop.selectors import made_by
from routing.laptop.services.making import CONFIG, Making
from routing.laptop.types import WantedUpstream
from routing.upstreams import selectors, services
from routing.upstreams.hot import sealer
from routing.upstreams.models import Upstream
from routing.upstreams.rules import origin
from routing.upstreams.types import DeploymentDraft


def bring_upstreams(making: Making, wanted: Sequence[WantedUpstream]) -> None:
    mine: dict[str, Any] = {"organization_id": making.organization_id, **making.who}
    known = {row.name: row for row in selectors.upstreams(making.organization_id, archived=True)}
    for one in wanted:
        with making.mistakes.at(one.place):
            _bring(making, known.get(one.draft.name), one, mine)
    named = {one.draft.name for one in wanted}
    ours = made_by(making.organization_id, CONFIG, "upstream.added")
    for row in known.values():
        if row.id in ours and row.archived_at is None and row.name not in named:
            services.archive_upstream(upstream_id=row.id, **mine)
            making.tell(f"upstream {row.name} archived")


def _bring(making: Making, row: Upstream | None, one: WantedUpstream, mine: dict[str, Any]) -> None:
    name = one.draft.name
    if row is None:
        row = services.create_upstream(draft=one.draft, credential=one.credential, **mine)
        making.tell(f"upstream {name} added")
    else:
        if row.archived_at is not None:
            services.restore_upstream(upstream_id=row.id, **mine)
            making.tell(f"upstream {name} restored")
        new = _opened(row) != one.credential or origin(row.base_url) != origin(one.draft.base_url)
        if new or services.draft_of(row) != one.draft:
            credential = one.credential if new else ""
            services.change_upstream(upstream_id=row.id, draft=one.draft, credential=credential, **mine)
            making.tell(f"upstream {name} changed")
    _deploy(making, row, one.deployments, mine)


def _deploy(making: Making, row: Upstream, wanted: Sequence[DeploymentDraft], mine: dict[str, Any]) -> None:
    known = {one.model: one for one in selectors.deployments(making.organization_id, row.id)}
    for draft in wanted:
        found = known.pop(draft.model, None)
        says = (draft.upstream_model, draft.rank, draft.weight)
        if found is None or (found.upstream_model, found.rank, found.weight) != says:
            services.set_deployment(upstream_id=row.id, draft=draft, **mine)
            making.tell(f"model {draft.model} at {row.name} {'changed' if found else 'added'}")
    for gone in known.values():
        services.remove_deployment(upstream_id=row.id, deployment_id=gone.id, **mine)
        making.tell(f"model {gone.model} at {row.name} removed")


def _opened(row: Upstream) -> str | None:
    """The credential it has, None where nobody can tell any more."""
    if not row.sealed:
        return ""
    try:
        return sealer((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)).open(row.sealed)
    except CannotOpen:
        return None

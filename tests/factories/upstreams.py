"""Upstreams to tell stories with."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from finops.orgs.hot import prefix_of
from finops.orgs.models import VirtualKey
from routing.upstreams import services
from routing.upstreams.models import Deployment, KeyWishes, Upstream
from routing.upstreams.types import DeploymentDraft, UpstreamDraft, WishesDraft
from tests.factories.orgs import HOUSE

# Its last four characters are all that is ever shown.
CREDENTIAL: Final = "sk-live-zyx987wvu654tsr321-k3y9"


def draft(**given: Any) -> UpstreamDraft:
    """OpenAI itself."""
    usual: dict[str, Any] = {
        "name": "openai",
        "dialect": "openai",
        "base_url": "https://api.openai.com/v1",
        "provider": "openai",
    }
    return UpstreamDraft(**usual | given)


def upstream(organization_id: int, *, at: datetime, credential: str | None = None, **given: Any) -> Upstream:
    said = draft(**given)
    secret = ("" if said.auth == "none" else CREDENTIAL) if credential is None else credential
    return services.create_upstream(organization_id=organization_id, draft=said, credential=secret, by=HOUSE, at=at)


def deployment(row: Upstream, model: str = "gpt", *, at: datetime, **given: Any) -> Deployment:
    return services.set_deployment(
        organization_id=row.organization_id,
        upstream_id=row.id,
        draft=DeploymentDraft(model, **given),
        by=HOUSE,
        at=at,
    )


def wishes(key: VirtualKey, *, at: datetime, **given: Any) -> KeyWishes:
    return services.set_wishes(
        organization_id=key.organization_id, key_id=key.id, draft=WishesDraft(**given), by=HOUSE, at=at
    )


def key_of(secret: str) -> VirtualKey:
    return VirtualKey.objects.get(prefix=prefix_of(secret))

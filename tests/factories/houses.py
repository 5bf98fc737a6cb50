"""An organization as a gateway has it, without a database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from finops.attribution.rules import Snapshot
from finops.budgets.guard import GuardRules
from routing.configuration import wire
from routing.gateway.house import House, public_of
from routing.rules.hot import Published

ACME: Final = 1
KEY: Final = wire.Key(key_id=1, prefix="cap_1", digest="", permissions=frozenset({"calls.make"}), expires_at=None)


def house(
    upstreams: Iterable[wire.Upstream] = (),
    deployments: Iterable[wire.Deployment] = (),
    rules: Iterable[Published] = (),
    **given: Any,
) -> House:
    owners = Snapshot(
        organization_id=ACME, stamp="", names=({}, {}, {}, {}, {}), keys={}, identities={}, person_team={},
        project_team={}, agents={}, ended={}, sources={}, tag_slots={}, rules=(),
    )  # fmt: skip
    usual: dict[str, Any] = {
        "organization_id": ACME,
        "slug": "acme",
        "currency": "USD",
        "source_id": 1,
        "keys": (KEY,),
        "owners": wire.owners_of(owners),
        "contracts": (),
        "aliases": (),
        "rates": (),
        "token": UUID(int=0),
        "budgets": (),
        "above": {},
        "guard": GuardRules(ACME),
        "upstreams": tuple(upstreams),
        "deployments": tuple(deployments),
        "rules": tuple(rules),
    }
    return House(wire.Organization(**usual | given), public_of(wire.Catalogue((), (), (), {})))


def upstream(number: int, *, local: bool = False, **given: Any) -> wire.Upstream:
    usual: dict[str, Any] = {
        "upstream_id": number,
        "name": f"up-{number}",
        "dialect": "openai",
        "base_url": f"http://127.0.0.1:{number}/v1",
        "provider": "openai",
        "labels": frozenset({"local"} if local else set()),
    }
    return wire.Upstream(**usual | given)

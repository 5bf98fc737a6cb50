"""Written rules for model names."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import Q

from finops.audit.services import record
from finops.core.actors import Actor
from finops.core.errors import FinopsError, Invalid, NotFound
from finops.pricing import selectors
from finops.pricing.models import ModelAlias
from finops.pricing.services.contracts import ModelUnknown
from finops.pricing.services.versions import touch

_NOBODY: Final = 0


class AliasExists(FinopsError):
    """The same name already means something; archive that rule first."""

    code = "pricing.alias_exists"
    status = 409


def set_alias(
    *,
    organization_id: int | None,
    pattern: str,
    target_model: str,
    kind: str = "exact",
    provider: str = "",
    target_provider: str = "",
    note: str = "",
    by: Actor,
    at: datetime,
) -> ModelAlias:
    """From now on `pattern` means `target_model`; for every organization when `organization_id` is None.

    `provider` '' is whatever provider the source named, `target_provider` '' the same as the source named. The target
    has to have a price, so that an alias never turns a known name into an unknown one.
    Raises Invalid, ModelUnknown, AliasExists.
    """
    if not pattern.strip():
        raise Invalid("an alias is for a name", field="pattern")
    names = selectors.load_catalogue().names
    said = (names.provider(provider) or provider.strip().lower()) if provider.strip() else ""
    meant = (names.provider(target_provider) or target_provider.strip().lower()) if target_provider.strip() else ""
    _check_target(organization_id, meant or said, target_model)
    try:
        with transaction.atomic():
            touch(organization_id=organization_id, at=at)
            alias = ModelAlias.objects.create(
                organization_id=organization_id,
                kind=kind,
                provider=said,
                pattern=pattern.strip(),
                target_provider=meant,
                target_model=target_model.strip(),
                note=note,
                created_at=at,
            )
            _record(alias, "pricing.alias_set", by, at)
    except IntegrityError as error:
        if "alias_says_one_thing" not in str(error):
            raise
        raise AliasExists(f"{pattern.strip()!r} already means something; archive that alias first") from None
    return alias


@transaction.atomic
def archive_alias(*, organization_id: int | None, alias_id: int, by: Actor, at: datetime) -> ModelAlias:
    """The rule no longer holds. Raises NotFound, also for a rule that is everybody's."""
    alias = (
        ModelAlias.objects.select_for_update()
        .filter(Q(organization_id=organization_id), id=alias_id, archived_at__isnull=True)
        .first()
    )
    if alias is None:
        raise NotFound("there is no such alias")
    alias.archived_at = at
    alias.save(update_fields=["archived_at"])
    touch(organization_id=organization_id, at=at)
    _record(alias, "pricing.alias_archived", by, at)
    return alias


def _check_target(organization_id: int | None, provider: str, model: str) -> None:
    if not model.strip():
        raise Invalid("an alias means a model", field="target_model")
    catalogue = selectors.load_catalogue()
    if provider and catalogue.names.model(provider, model):
        return
    own = selectors.own_models(organization_id) if organization_id is not None else set()
    if not provider:
        if any(name == model.strip().lower() for _, name in own) or catalogue.has_model(model):
            return
    elif (provider, model.strip().lower()) in own:
        return
    raise ModelUnknown(f"no price is known for {provider or 'any provider'}/{model}", field="target_model")


def _record(alias: ModelAlias, verb: str, by: Actor, at: datetime) -> None:
    record(
        organization_id=alias.organization_id or _NOBODY,
        verb=verb,
        subject_kind="model_alias",
        subject_id=alias.id,
        subject_label=str(alias),
        by=by,
        at=at,
        details={
            "kind": alias.kind,
            "provider": alias.provider,
            "pattern": alias.pattern,
            "target_provider": alias.target_provider,
            "target_model": alias.target_model,
        },
    )

"""Rules: made, changed, archived; audited."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from finops.alerts import selectors
from finops.alerts.models import AlertRule, Channel
from finops.alerts.rules.kinds import RuleInvalid, check_name, check_params
from finops.alerts.types import RuleDraft
from finops.audit.services import record
from finops.budgets.models import Budget
from finops.core.actors import Actor
from finops.core.errors import FinopsError, NotFound

MOST_RULES: Final = 200
MOST_CHANNELS: Final = 50
_CHANGEABLE: Final = ("name", "params", "channel_ids", "every_channel", "digest", "enabled")


class TooManyRules(FinopsError):
    code = "alerts.too_many_rules"
    status = 409


class RuleArchived(FinopsError):
    code = "alerts.rule_archived"
    status = 409


@transaction.atomic
def add_rule(*, organization_id: int, draft: RuleDraft, by: Actor, at: datetime) -> AlertRule:
    """Raises RuleInvalid naming the field, and TooManyRules."""
    checked = _checked(organization_id, draft)
    if selectors.rules(organization_id).count() >= MOST_RULES:
        raise TooManyRules(f"An organization has at most {MOST_RULES} rules.")
    row = AlertRule.objects.create(
        organization_id=organization_id, kind=checked.kind, **{name: _value(checked, name) for name in _CHANGEABLE}
    )
    _note("alert_rule.added", row, by, at, {"kind": row.kind, **_said(row)})
    return row


@transaction.atomic
def change_rule(*, organization_id: int, rule_id: int, changes: dict[str, Any], by: Actor, at: datetime) -> AlertRule:
    """Change what is named in `changes`, as RuleDraft has it; the kind stays. Raises NotFound, RuleArchived and
    RuleInvalid.
    """
    row = _live(organization_id, rule_id)
    before = _said(row)
    now = RuleDraft(kind=row.kind, **{name: getattr(row, name) for name in _CHANGEABLE})
    checked = _checked(organization_id, replace(now, **changes))
    for name in _CHANGEABLE:
        setattr(row, name, _value(checked, name))
    row.save(update_fields=list(_CHANGEABLE))
    after = _said(row)
    changed = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
    if changed:
        _note("alert_rule.changed", row, by, at, changed)
    return row


@transaction.atomic
def archive_rule(*, organization_id: int, rule_id: int, by: Actor, at: datetime) -> AlertRule:
    """It listens no more. Raises NotFound; again changes nothing."""
    row = _locked(organization_id, rule_id)
    if row.archived_at is None:
        row.archived_at = at
        row.save(update_fields=["archived_at"])
        _note("alert_rule.archived", row, by, at, {})
    return row


def _checked(organization_id: int, draft: RuleDraft) -> RuleDraft:
    params = check_params(draft.kind, draft.params)
    ids = tuple(dict.fromkeys(draft.channel_ids))
    if len(ids) > MOST_CHANNELS:
        raise RuleInvalid(f"name at most {MOST_CHANNELS} channels", field="channel_ids")
    known = set(Channel.objects.filter(organization_id=organization_id, id__in=ids).values_list("id", flat=True))
    if known != set(ids):
        raise RuleInvalid("there is no such channel in this organization", field="channel_ids")
    budgets = params.get("budgets", [])
    if Budget.objects.filter(organization_id=organization_id, id__in=budgets).count() != len(budgets):
        raise RuleInvalid("there is no such budget in this organization", field="params.budgets")
    return replace(draft, name=check_name(draft.name), params=params, channel_ids=ids)


def _value(draft: RuleDraft, name: str) -> Any:
    value = getattr(draft, name)
    return list(value) if isinstance(value, tuple) else value


def _said(row: AlertRule) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _CHANGEABLE}


def _locked(organization_id: int, rule_id: int) -> AlertRule:
    row = AlertRule.objects.select_for_update().filter(organization_id=organization_id, id=rule_id).first()
    if row is None:
        raise NotFound("There is no such rule.")
    return row


def _live(organization_id: int, rule_id: int) -> AlertRule:
    row = _locked(organization_id, rule_id)
    if row.archived_at is not None:
        raise RuleArchived("An archived rule does not change; make another.")
    return row


def _note(verb: str, row: AlertRule, by: Actor, at: datetime, details: dict[str, Any]) -> None:
    record(
        organization_id=row.organization_id, verb=verb, subject_kind="alert_rule", subject_id=row.id,
        subject_label=row.name, by=by, at=at, details=details,
    )  # fmt: skip

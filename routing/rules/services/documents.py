"""Rules as a document: taken whole or not at all."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db import transaction

from finops.core.actors import Actor
from routing.rules import litellm, rules, selectors
from routing.rules.document import exported, imported
from routing.rules.rollout import Stage
from routing.rules.services.common import hold
from routing.rules.services.writing import reorder, retire, save_rule


class Imported(NamedTuple):
    """What a document does to each rule, by its name: `created`, `changed`, `retired` or `same`, and lines of what is
    other. `moved` says whether rules change places.
    """

    rules: tuple[tuple[str, str, tuple[str, ...]], ...]
    moved: bool


class _Tried(Exception):
    """Not an error: a dry run ends with it, so that nothing of it stays."""

    def __init__(self, found: Imported) -> None:
        super().__init__()
        self.found = found


def export_document(*, organization_id: int) -> str:
    """All rules that are not retired, in their order, as YAML."""
    return exported(selectors.documents(organization_id))


def export_litellm(*, organization_id: int, at: datetime) -> litellm.Generated:
    """All rules that are not retired, as far as a configuration of LiteLLM has words for them. Raises LimitUnsayable
    where one is in force that it cannot keep.
    """
    standing = selectors.standing(organization_id, at)
    served = selectors.served(organization_id, [one.rule for one in standing], at.date())
    return litellm.generated(standing, served)


def import_document(
    *,
    organization_id: int,
    text: str,
    why: str,
    by: Actor,
    at: datetime,
    replace: bool = False,
    dry_run: bool = False,
    stage: str = Stage.FULL,
    held_back: float | None = 0.0,
) -> Imported:
    """Each rule of the document says this from now on, and those that are new begin at `stage`. Rules that it does not
    name stay as they are; with `replace` they are retired, and the document's order is the order. All of it or none,
    and in a dry run none. Raises DocumentInvalid, RuleInvalid (by place: `rules[3].when.models`), StageInvalid and
    TooManyRules.
    """
    said = imported(text)
    names = [one.name for one in said]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise rules.RuleInvalid(f"there are two rules {name!r}", field=f"rules[{place}].name")
    try:
        with transaction.atomic():
            hold(organization_id)
            found: list[tuple[str, str, tuple[str, ...]]] = []
            before = {row.name: row.id for row in selectors.rules(organization_id)}
            for place, rule in enumerate(said):
                try:
                    saved = save_rule(
                        organization_id=organization_id, rule=rule, why=why, stage=stage, held_back=held_back, by=by,
                        at=at,
                    )  # fmt: skip
                except rules.RuleInvalid as error:
                    if error.field in (None, "why"):
                        raise
                    where = rules.joined(f"rules[{place}]", error.field or "")
                    raise rules.RuleInvalid(error.message, field=where) from None
                what = "created" if rule.name not in before else "changed" if saved.changes else "same"
                found.append((rule.name, what, saved.changes))
            for name, rule_id in before.items():
                if replace and name not in names:
                    retire(organization_id=organization_id, rule_id=rule_id, by=by, at=at)
                    found.append((name, "retired", ()))
            done = Imported(tuple(found), replace and _ordered(organization_id, names, by, at))
            if dry_run:
                raise _Tried(done)
            return done
    except _Tried as tried:
        return tried.found


def _ordered(organization_id: int, names: list[str], by: Actor, at: datetime) -> bool:
    """Put the rules into this order; whether that is another."""
    ids = {row.name: row.id for row in selectors.rules(organization_id)}
    if list(ids) == names:
        return False
    reorder(organization_id=organization_id, rule_ids=[ids[name] for name in names], by=by, at=at)
    return True

"""Rules as a document: whole or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from finops.audit.models import AuditEvent
from routing.rules import selectors, services
from routing.rules.document import exported
from routing.rules.models import RuleVersion
from routing.rules.rules import RuleInvalid
from routing.rules.types import Use, When
from tests.factories.orgs import HOUSE, NOON, Cast
from tests.factories.rules import learned_rule, local_only, saved, triage

WHO: dict[str, Any] = {"by": HOUSE, "at": NOON, "why": "As reviewed."}


def names(organization_id: int) -> list[str]:
    return [row.name for row in selectors.rules(organization_id)]


def test_what_is_exported_here_is_imported_there(cast: Cast) -> None:
    for rule in (learned_rule(), local_only(), triage()):
        saved(cast.acme.id, rule, at=NOON)
    text = services.export_document(organization_id=cast.acme.id)
    done = services.import_document(organization_id=cast.globex.id, text=text, **WHO)
    assert [what for _, what, _ in done.rules] == ["created"] * 3
    assert selectors.documents(cast.globex.id) == selectors.documents(cast.acme.id)
    assert services.export_document(organization_id=cast.globex.id) == text
    # They draw alike, too.
    salts = [one.salt for one in selectors.published(cast.acme.id, NOON)]
    assert [one.salt for one in selectors.published(cast.globex.id, NOON)] == salts
    again = services.import_document(organization_id=cast.globex.id, text=text, replace=True, **WHO)
    assert ([what for _, what, _ in again.rules], again.moved) == (["same"] * 3, False)
    assert RuleVersion.objects.filter(organization=cast.globex).count() == 3


def test_a_dry_run_says_all_and_changes_nothing(cast: Cast) -> None:
    for rule in (triage(), local_only()):
        saved(cast.acme.id, rule, at=NOON)
    before = selectors.documents(cast.acme.id), AuditEvent.objects.count()
    text = exported([triage(name="new"), triage(use=(Use(model="tiny"),))])
    done = services.import_document(organization_id=cast.acme.id, text=text, replace=True, dry_run=True, **WHO)
    assert [(name, what) for name, what, _ in done.rules] == [
        ("new", "created"), ("triage", "changed"), ("local-only", "retired"),
    ]  # fmt: skip
    assert done.rules[1][2] == ("use: small, then frontier → tiny",)
    assert done.moved
    assert (selectors.documents(cast.acme.id), AuditEvent.objects.count()) == before
    services.import_document(organization_id=cast.acme.id, text=text, replace=True, **WHO)
    assert names(cast.acme.id) == ["new", "triage"]


def test_what_the_document_does_not_name_stays(cast: Cast) -> None:
    saved(cast.acme.id, local_only(), at=NOON)
    services.import_document(organization_id=cast.acme.id, text=exported([triage()]), stage="shadow", **WHO)
    assert names(cast.acme.id) == ["local-only", "triage"]
    assert [row.stage for row in selectors.rules(cast.acme.id)] == ["full", "shadow"]


def test_one_bad_rule_and_none_is_taken(cast: Cast) -> None:
    bad = triage(name="bad", when=When(projects=("nobodys",)))
    with pytest.raises(RuleInvalid) as refused:
        services.import_document(organization_id=cast.acme.id, text=exported([triage(), bad]), **WHO)
    assert refused.value.field == "rules[1].when.projects"
    with pytest.raises(RuleInvalid) as twice:
        services.import_document(organization_id=cast.acme.id, text=exported([triage(), triage()]), **WHO)
    assert twice.value.field == "rules[1].name"
    assert names(cast.acme.id) == []

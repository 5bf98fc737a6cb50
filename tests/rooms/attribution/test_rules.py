"""Rules are made, changed by new versions, moved and retired; each with its trace, and none across organizations."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connections, transaction

from finops.attribution import selectors, services
from finops.attribution.models import AttributionRule, AttributionRuleVersion, PromotedTag
from finops.attribution.rules import BadCondition
from finops.attribution.services.checks import Changed, NameInvalid, OwnerUnknown, PeriodInvalid, Retired
from finops.attribution.services.rules import PositionInvalid, TooManyRules
from finops.attribution.services.tags import TagKeyInvalid, TagSlotsFull
from finops.audit.models import AuditEvent
from finops.core.errors import NotFound
from tests.factories.attribution import draft, promoted, rule
from tests.factories.orgs import HOUSE, NOON, Cast, the_cast

LATER = NOON + timedelta(days=30)


def order(cast: Cast) -> list[str]:
    return [row.name for row in selectors.rules(cast.acme.id, retired=True)]


def verbs(subject_kind: str) -> list[str]:
    return [row.verb for row in AuditEvent.objects.filter(subject_kind=subject_kind).order_by("id")]


def test_a_rule_is_told_as_it_was_said(cast: Cast) -> None:
    says = draft(
        ("model", "starts_with", ("gpt-", "o3")), ("tag:env", "exists", ()), team=cast.chat.id, task_type="chat",
        override=True, since=NOON, until=LATER,
    )  # fmt: skip
    row = rule(cast.acme.id, says, name="  Chat   models ")
    told = selectors.as_rule(selectors.rule(cast.acme.id, row.id))
    assert told.name == "Chat models"
    (version,) = told.versions
    assert (version.number, version.conditions, version.assignment) == (1, says.conditions, says.assignment)
    assert (version.override, version.active_from, version.active_to) == (True, NOON, LATER)
    assert verbs("attribution_rule") == ["attribution_rule.created"]


def test_changing_adds_a_version_and_the_old_one_stays(cast: Cast) -> None:
    row = rule(cast.acme.id, draft(team=cast.chat.id))
    services.change_rule(
        organization_id=cast.acme.id, rule_id=row.id, name="Renamed", draft=draft(team=cast.search.id, since=LATER),
        expected_number=1, by=HOUSE, at=LATER,
    )  # fmt: skip
    told = selectors.as_rule(selectors.rule(cast.acme.id, row.id))
    assert [(one.number, one.assignment.owners["team"]) for one in told.versions] == [
        (2, cast.search.id),
        (1, cast.chat.id),
    ]
    assert told.name == "Renamed"
    assert verbs("attribution_rule")[1:] == ["attribution_rule.renamed", "attribution_rule.changed"]
    # Saying the same again is no change.
    services.change_rule(
        organization_id=cast.acme.id, rule_id=row.id, name="Renamed", draft=draft(team=cast.search.id, since=LATER),
        by=HOUSE, at=LATER,
    )  # fmt: skip
    assert AttributionRuleVersion.objects.filter(rule=row).count() == 2
    with pytest.raises(Changed):
        services.change_rule(
            organization_id=cast.acme.id, rule_id=row.id, expected_number=1, name="Mine", by=HOUSE, at=LATER
        )


def test_rules_change_places(cast: Cast) -> None:
    rows = {name: rule(cast.acme.id, draft(team=cast.chat.id), name=name) for name in ("a", "b", "c")}
    rule(cast.acme.id, draft(team=cast.chat.id), name="first", position=1)
    assert order(cast) == ["first", "a", "b", "c"]
    services.move_rule(organization_id=cast.acme.id, rule_id=rows["c"].id, position=2, by=HOUSE, at=NOON)
    assert order(cast) == ["first", "c", "a", "b"]
    services.move_rule(organization_id=cast.acme.id, rule_id=rows["c"].id, position=4, by=HOUSE, at=NOON)
    assert order(cast) == ["first", "a", "b", "c"]
    assert [row.position for row in selectors.rules(cast.acme.id)] == [1, 2, 3, 4]
    for position in (0, 5):
        with pytest.raises(PositionInvalid):
            services.move_rule(organization_id=cast.acme.id, rule_id=rows["c"].id, position=position, by=HOUSE, at=NOON)


def test_a_retired_rule_is_not_counted_in_a_move(cast: Cast) -> None:
    rows = {name: rule(cast.acme.id, draft(team=cast.chat.id), name=name) for name in ("a", "b", "c", "d")}
    for name in ("b", "c"):
        services.retire_rule(organization_id=cast.acme.id, rule_id=rows[name].id, by=HOUSE, at=LATER)
    assert [row.place for row in selectors.rules(cast.acme.id)] == [1, 2]
    mine: dict[str, Any] = {"organization_id": cast.acme.id, "by": HOUSE, "at": LATER}
    moved = services.move_rule(rule_id=rows["d"].id, position=1, **mine)
    assert (moved.place, order(cast)) == (1, ["d", "a", "b", "c"])
    with pytest.raises(PositionInvalid):
        services.move_rule(rule_id=rows["d"].id, position=3, **mine)
    rule(cast.acme.id, draft(team=cast.chat.id), name="between", position=2)
    assert order(cast) == ["d", "between", "a", "b", "c"]
    services.move_rule(rule_id=rows["a"].id, position=3, **mine)
    assert [row.place for row in selectors.rules(cast.acme.id)] == [1, 2, 3]
    latest = AuditEvent.objects.filter(verb="attribution_rule.moved").latest("id")
    assert latest.details == {"before": 2, "after": 1}, "the last move changed nothing"


def test_a_retired_rule_keeps_its_place_and_cannot_be_changed(cast: Cast) -> None:
    row = rule(cast.acme.id, draft(team=cast.chat.id))
    retired = services.retire_rule(organization_id=cast.acme.id, rule_id=row.id, by=HOUSE, at=LATER)
    assert (retired.retired_from, retired.archived_at) == (LATER, LATER)
    assert list(selectors.rules(cast.acme.id)) == []
    assert selectors.load_snapshot(cast.acme.id).rules[0].retired_from == LATER
    with pytest.raises(Retired):
        services.change_rule(organization_id=cast.acme.id, rule_id=row.id, name="No", by=HOUSE, at=LATER)
    with pytest.raises(Retired):
        services.retire_rule(organization_id=cast.acme.id, rule_id=row.id, by=HOUSE, at=LATER)


def test_what_is_wrong_is_named(cast: Cast) -> None:
    theirs = cast.charlie.id
    for error, says in (
        (OwnerUnknown, draft(person=theirs)),
        (OwnerUnknown, draft(team=2**31 - 1)),
        (BadCondition, draft(("model", "matches", ("(a+)+",)), team=cast.chat.id)),
        (BadCondition, draft()),
        (PeriodInvalid, draft(team=cast.chat.id, since=LATER, until=NOON)),
        (PeriodInvalid, draft(team=cast.chat.id, since=NOON, until=NOON)),
        (PeriodInvalid, draft(team=cast.chat.id, since=NOON.replace(tzinfo=None))),
    ):
        with pytest.raises(error):
            rule(cast.acme.id, says)
    for name in ("", "  ", "x" * 201, "a\0b", "a\nb\u202e"):
        with pytest.raises(NameInvalid):
            rule(cast.acme.id, draft(team=cast.chat.id), name=name)
    with pytest.raises(PositionInvalid):
        rule(cast.acme.id, draft(team=cast.chat.id), position=2)
    assert not AttributionRule.objects.filter(organization=cast.acme).exists()
    assert verbs("attribution_rule") == []


def test_another_organizations_rule_is_not_there(cast: Cast) -> None:
    row = rule(cast.acme.id, draft(team=cast.chat.id))
    theirs: dict[str, Any] = {"organization_id": cast.globex.id, "rule_id": row.id, "by": HOUSE, "at": NOON}
    with pytest.raises(NotFound):
        services.change_rule(name="Mine", **theirs)
    with pytest.raises(NotFound):
        services.move_rule(position=1, **theirs)
    with pytest.raises(NotFound):
        services.retire_rule(**theirs)
    with pytest.raises(NotFound):
        selectors.rule(cast.globex.id, row.id)


def test_there_is_an_end_to_rules(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finops.attribution.services.rules.MAX_RULES", 2)
    first = rule(cast.acme.id, draft(team=cast.chat.id))
    rule(cast.acme.id, draft(team=cast.chat.id))
    with pytest.raises(TooManyRules):
        rule(cast.acme.id, draft(team=cast.chat.id))
    services.retire_rule(organization_id=cast.acme.id, rule_id=first.id, by=HOUSE, at=NOON)
    rule(cast.acme.id, draft(team=cast.chat.id))


def test_the_database_keeps_what_matters(cast: Cast) -> None:
    row = rule(cast.acme.id, draft(team=cast.chat.id))
    version = row.versions.get()
    refused = DatabaseError
    with pytest.raises(refused, match="Cannot"), transaction.atomic():
        AttributionRuleVersion.objects.filter(id=version.id).update(override=True)
    with pytest.raises(refused, match="Cannot"), transaction.atomic():
        AttributionRuleVersion.objects.filter(id=version.id).delete()
    with pytest.raises(refused, match="Cannot"), transaction.atomic():
        AttributionRule.objects.filter(id=row.id).delete()
    said = {"conditions": [], "assignment": {}, "created_at": NOON, "created_by": "x"}
    with pytest.raises(IntegrityError, match="same_organization"), transaction.atomic():
        AttributionRuleVersion.objects.create(organization=cast.globex, rule=row, number=2, **said)
    with pytest.raises(IntegrityError, match="attribution_version_once"), transaction.atomic():
        AttributionRuleVersion.objects.create(organization=cast.acme, rule=row, number=1, **said)
    with pytest.raises(IntegrityError, match="attribution_version_period"), transaction.atomic():
        AttributionRuleVersion.objects.create(
            organization=cast.acme, rule=row, number=2, active_from=LATER, active_to=NOON, **said
        )
    with pytest.raises(IntegrityError, match="retired_whole"), transaction.atomic():
        AttributionRule.objects.filter(id=row.id).update(archived_at=NOON)


def test_the_database_keeps_the_history_of_the_order(cast: Cast) -> None:
    row = rule(cast.acme.id, draft(team=cast.chat.id), name="Before")
    services.change_rule(organization_id=cast.acme.id, rule_id=row.id, name="After", by=HOUSE, at=NOON)
    history = AttributionRule.pgh_event_model.objects.filter(pgh_obj_id=row.id)  # type: ignore[attr-defined]
    assert [event.name for event in history.order_by("pgh_id")] == ["Before", "After"]


# --- Promoted tags ----------------------------------------------------------------------------------------------------
def test_ten_tag_keys_and_no_more(cast: Cast) -> None:
    for number in range(10):
        assert promoted(cast.acme.id, f"key-{number}").slot == number + 1
    with pytest.raises(TagSlotsFull):
        promoted(cast.acme.id, "one too many")
    assert promoted(cast.globex.id, "key-0").slot == 1
    assert promoted(cast.acme.id, "key-3").slot == 4  # said twice is once
    assert verbs("promoted_tag").count("tag.promoted") == 11


def test_a_retired_key_keeps_its_slot_and_comes_back_to_it(cast: Cast) -> None:
    first, second = promoted(cast.acme.id, "env"), promoted(cast.acme.id, "Umgebung 🌍")
    services.retire_tag(organization_id=cast.acme.id, tag_id=first.id, by=HOUSE, at=LATER)
    services.retire_tag(organization_id=cast.acme.id, tag_id=first.id, by=HOUSE, at=LATER)
    assert promoted(cast.acme.id, "desk").slot == 3
    assert selectors.load_snapshot(cast.acme.id).tag_slots == {second.key: 2, "desk": 3}
    assert [(tag.key, tag.retired) for tag in selectors.promoted_tags(cast.acme.id)] == [
        ("env", True),
        (second.key, False),
        ("desk", False),
    ]
    assert promoted(cast.acme.id, "env").slot == 1
    assert selectors.load_snapshot(cast.acme.id).tag_slots["env"] == 1
    assert verbs("promoted_tag").count("tag.retired") == 1
    with pytest.raises(NotFound):
        services.retire_tag(organization_id=cast.globex.id, tag_id=first.id, by=HOUSE, at=LATER)
    for key in ("", " ", "a\0b", "x" * 201):
        with pytest.raises(TagKeyInvalid):
            promoted(cast.acme.id, key)


def test_the_database_never_gives_a_slot_twice(cast: Cast) -> None:
    tag = promoted(cast.acme.id, "env")
    for changes in ({"slot": 2}, {"key": "other"}):
        with pytest.raises(DatabaseError, match="Cannot"), transaction.atomic():
            PromotedTag.objects.filter(id=tag.id).update(**changes)
    with pytest.raises(DatabaseError, match="Cannot"), transaction.atomic():
        tag.delete()
    for slot, key, name in (
        (1, "x", "slot_once"),
        (2, "env", "key_once"),
        (11, "x", "promoted_tag_slot"),
        (0, "x", "slot"),
    ):
        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            PromotedTag.objects.create(organization=cast.acme, slot=slot, key=key, promoted_at=NOON)


@pytest.mark.django_db(transaction=True)
def test_many_writers_at_once_leave_one_order() -> None:
    cast = the_cast()
    failures: list[BaseException] = []

    def write(letter: str) -> None:
        try:
            for number in range(5):
                row = rule(cast.acme.id, draft(team=cast.chat.id), name=f"{letter}{number}", position=1)
                services.move_rule(
                    organization_id=cast.acme.id, rule_id=row.id, position=2 if number else 1, by=HOUSE, at=NOON
                )
                promoted(cast.acme.id, f"{letter}{number}")
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            failures.append(error)
        finally:
            connections.close_all()

    writers = [threading.Thread(target=write, args=(letter,)) for letter in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not failures
    assert [row.position for row in selectors.rules(cast.acme.id)] == list(range(1, 11))
    assert [tag.slot for tag in selectors.promoted_tags(cast.acme.id)] == list(range(1, 11))

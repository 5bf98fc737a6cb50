"""Whose a call is: the order of the reasons, and what each leaves behind."""

from __future__ import annotations

from datetime import timedelta

from finops.attribution.rules import attribute
from finops.attribution.types import IdentitySpan, KeyDefaults, Owner, Rule, Step
from tests.unit.attribution.cast import (
    ALICE,
    BOB,
    CHAT,
    CRAWLER,
    DANA,
    GATEWAY,
    GLOBEX,
    IMPORTS,
    KEY,
    NOVEMBER,
    OCTOBER,
    RANKING,
    SEARCH,
    SUPPORT,
    TRIAGE,
    acme,
    call,
    rule,
    version,
)


def why(owner: Owner, dimension: str) -> str:
    """Who said so last."""
    return [step.by for step in owner.steps if step.dimension == dimension][-1]


def test_a_call_that_says_nothing_is_nobodys() -> None:
    owner = attribute(acme(), call(), GATEWAY)
    assert owner == Owner(0, 0, 0, 0, 0, 0, "", ())
    assert not owner.attributed


def test_what_a_call_says_outright_comes_first() -> None:
    told = call(team="chat", key_prefix="cap_bob00001", identities=(("email", "alice@acme.test"),))
    owner = attribute(acme(), told, GATEWAY)
    # The team was told; the key then named Bob, so that the identity had nothing left to say.
    assert (owner.team_id, owner.person_id, owner.customer_id, owner.key_id) == (CHAT, BOB, GLOBEX, KEY)
    assert owner.task_type == "summarize"
    assert owner.steps == (
        Step("team", CHAT, "explicit", 0, "chat"),
        Step("key", KEY, "explicit", 0, "cap_bob00001"),
        Step("person", BOB, "key", KEY, "cap_bob00001"),
        Step("customer", GLOBEX, "key", KEY, "cap_bob00001"),
        Step("task_type", 0, "key", KEY, "summarize"),
    )


def test_names_are_slugs_or_ids_in_any_case() -> None:
    assert attribute(acme(), call(team="Search"), GATEWAY).team_id == SEARCH
    assert attribute(acme(), call(team="2"), GATEWAY).team_id == CHAT


def test_a_name_nobody_has_leaves_a_note_and_the_call_goes_on() -> None:
    owner = attribute(acme(), call(team="serach", project="support", key_prefix="cap_who"), GATEWAY)
    assert owner.team_id == CHAT
    assert Step("team", 0, "unknown", 0, "serach") in owner.steps
    assert Step("key", 0, "unknown", 0, "cap_who") in owner.steps
    assert len(attribute(acme(), call(team="x" * 5000), GATEWAY).steps[0].detail) == 80


def test_no_step_names_a_person_because_charges_outlive_erasure() -> None:
    for told in (
        call(person="alice"),
        call(person="Eve@Example.test"),
        call(identities=(("email", "alice@acme.test"),)),
    ):
        shown = str(attribute(acme(), told, GATEWAY).steps).lower()
        assert "alice" not in shown
        assert "eve@" not in shown


def test_the_first_identity_that_names_somebody_decides_without_case() -> None:
    told = call(identities=(("email", "nobody@acme.test"), ("github", "BOBBY"), ("email", "alice@acme.test")))
    owner = attribute(acme(), told, GATEWAY)
    assert (owner.person_id, owner.team_id) == (BOB, SEARCH)
    assert owner.steps == (
        Step("person", BOB, "identity", 102, "github"),
        Step("team", SEARCH, "derived", BOB, "person"),
    )


def test_an_identity_that_changed_hands_names_whoever_had_it_then() -> None:
    spans = (IdentitySpan(OCTOBER + timedelta(days=10), ALICE, 1), IdentitySpan(None, BOB, 2))
    snapshot = acme(identities={("github", "oncall"): spans})
    told = (("github", "oncall"),)
    assert attribute(snapshot, call(identities=told), GATEWAY).person_id == ALICE
    assert attribute(snapshot, call(identities=told, occurred_at=NOVEMBER), GATEWAY).person_id == BOB


def test_an_agent_gives_its_project_and_the_project_its_team() -> None:
    owner = attribute(acme(), call(agent="crawler"), GATEWAY)
    assert (owner.agent_id, owner.project_id, owner.team_id) == (CRAWLER, RANKING, SEARCH)
    # Bob answers for the agent; he did not make the call.
    assert owner.person_id == 0


def test_an_agent_without_a_project_falls_to_its_owners_team() -> None:
    owner = attribute(acme(), call(agent="triage"), GATEWAY)
    assert (owner.team_id, owner.project_id) == (SEARCH, 0)
    assert owner.steps[-1] == Step("team", SEARCH, "derived", TRIAGE, "agent's owner")


def test_a_persons_team_comes_before_the_projects() -> None:
    assert attribute(acme(), call(person="alice", project="support"), GATEWAY).team_id == SEARCH
    assert attribute(acme(), call(person="dana", project="support"), GATEWAY).team_id == CHAT


def test_an_archived_owner_owns_the_past_and_nothing_after() -> None:
    snapshot = acme(ended={(0, SEARCH): NOVEMBER})
    assert attribute(snapshot, call(team="search"), GATEWAY).team_id == SEARCH
    after = attribute(snapshot, call(team="search", occurred_at=NOVEMBER), GATEWAY)
    assert after.team_id == 0
    assert after.steps == (Step("team", 0, "archived", SEARCH, "search"),)
    # Bob is still Bob, only his team is gone.
    assert attribute(snapshot, call(person="bob", occurred_at=NOVEMBER), GATEWAY).person_id == BOB


def test_rules_fill_what_is_empty_in_their_order() -> None:
    snapshot = acme(
        rules=(
            rule(1, ("model", "starts_with", ("gpt-",)), project=SUPPORT),
            rule(2, ("provider", "is", ("openai",)), project=RANKING, customer=GLOBEX),
        )
    )
    owner = attribute(snapshot, call(), GATEWAY)
    # Rule 1 named the project, rule 2 only the customer; the team followed from the project.
    assert (owner.project_id, owner.customer_id, owner.team_id) == (SUPPORT, GLOBEX, CHAT)
    assert owner.steps == (
        Step("project", SUPPORT, "rule", 100, "rule 1"),
        Step("customer", GLOBEX, "rule", 200, "rule 2"),
        Step("team", CHAT, "derived", SUPPORT, "project"),
    )
    assert attribute(snapshot, call(project="ranking"), GATEWAY).project_id == RANKING


def test_all_conditions_of_a_rule_must_hold() -> None:
    snapshot = acme(rules=(rule(1, ("provider", "is", ("openai",)), ("source", "is", ("imports",)), team=CHAT),))
    assert attribute(snapshot, call(), GATEWAY).team_id == 0
    assert attribute(snapshot, call(), IMPORTS).team_id == CHAT
    assert attribute(snapshot, call(provider="google"), IMPORTS).team_id == 0


def test_a_rule_without_conditions_catches_the_rest() -> None:
    snapshot = acme(rules=(rule(1, team=CHAT),))
    assert attribute(snapshot, call(), GATEWAY).team_id == CHAT
    assert attribute(snapshot, call(person="alice"), GATEWAY).team_id == SEARCH


def test_a_rule_may_translate_names_that_are_not_ours() -> None:
    snapshot = acme(rules=(rule(1, ("team", "is", ("Conversational AI",)), team=CHAT),))
    assert attribute(snapshot, call(team="Conversational AI"), GATEWAY).team_id == CHAT


def test_a_rule_sees_the_task_type_that_came_from_the_key() -> None:
    snapshot = acme(rules=(rule(1, ("task_type", "is", ("summarize",)), project=SUPPORT),))
    assert attribute(snapshot, call(key_prefix="cap_bob00001"), GATEWAY).project_id == SUPPORT
    assert attribute(snapshot, call(key_prefix="cap_bob00001", task_type="code"), GATEWAY).project_id == 0


def test_an_override_replaces_and_what_followed_follows_anew() -> None:
    moved = rule(1, ("tag:desk", "is", ("dana",)), person=DANA, override=True)
    told = call(person="alice", tags=(("desk", "dana"),))
    owner = attribute(acme(rules=(moved,)), told, GATEWAY)
    # Alice's team does not stay behind with Dana, who has none.
    assert (owner.person_id, owner.team_id) == (DANA, 0)
    assert why(owner, "person") == "rule"
    assert owner.steps[-1] == Step("team", 0, "derived", 0, "followed from what was replaced")

    owner = attribute(acme(rules=(moved,)), call(team="chat", person="alice", tags=(("desk", "dana"),)), GATEWAY)
    assert (owner.person_id, owner.team_id) == (DANA, CHAT)  # the team was told, it did not follow


def test_what_a_rule_confirmed_no_longer_hangs_on_what_it_followed_from() -> None:
    pinned = rule(1, team=SEARCH, override=True)
    moved = rule(2, person=DANA, override=True)
    assert attribute(acme(rules=(pinned, moved)), call(person="alice"), GATEWAY).team_id == SEARCH


def test_without_override_a_rule_leaves_things_as_they_are() -> None:
    snapshot = acme(rules=(rule(1, person=DANA, task_type="chat"),))
    owner = attribute(snapshot, call(person="alice", task_type="code"), GATEWAY)
    assert (owner.person_id, owner.task_type) == (ALICE, "code")
    assert attribute(snapshot, call(), GATEWAY).task_type == "chat"


def test_an_override_of_the_task_type() -> None:
    snapshot = acme(rules=(rule(1, task_type="chat", override=True),))
    assert attribute(snapshot, call(task_type="code"), GATEWAY).task_type == "chat"


def test_a_rule_that_names_an_archived_owner_leaves_a_note() -> None:
    snapshot = acme(rules=(rule(1, team=CHAT), rule(2, team=SEARCH)), ended={(0, CHAT): OCTOBER})
    owner = attribute(snapshot, call(), GATEWAY)
    assert owner.team_id == SEARCH
    assert owner.steps[0] == Step("team", 0, "archived", CHAT, "rule 1")


def test_a_rule_holds_from_its_first_instant_to_just_before_its_last() -> None:
    dated = Rule(1, "november", (version(1, team=CHAT, since=NOVEMBER, until=NOVEMBER + timedelta(days=30)),))
    snapshot = acme(rules=(dated,))
    tick = timedelta(microseconds=1)
    for at, expected in (
        (NOVEMBER - tick, 0),
        (NOVEMBER, CHAT),
        (NOVEMBER + timedelta(days=30) - tick, CHAT),
        (NOVEMBER + timedelta(days=30), 0),
    ):
        assert attribute(snapshot, call(occurred_at=at), GATEWAY).team_id == expected


def test_of_two_versions_the_newer_speaks_where_it_reaches() -> None:
    changed = Rule(
        1,
        "changed in november",
        (version(1, team=CHAT, since=NOVEMBER, revision=2), version(1, team=SEARCH)),
    )
    snapshot = acme(rules=(changed,))
    assert attribute(snapshot, call(), GATEWAY).team_id == SEARCH
    assert attribute(snapshot, call(occurred_at=NOVEMBER), GATEWAY).team_id == CHAT


def test_a_retired_rule_still_speaks_for_the_past() -> None:
    retired = Rule(1, "gone", (version(1, team=CHAT),), retired_from=NOVEMBER)
    snapshot = acme(rules=(retired,))
    assert attribute(snapshot, call(), GATEWAY).team_id == CHAT
    assert attribute(snapshot, call(occurred_at=NOVEMBER), GATEWAY).team_id == 0


def test_a_key_that_names_an_agent_leads_to_its_team() -> None:
    snapshot = acme(keys={"cap_crawl": KeyDefaults(KEY, (0, 0, 0, CRAWLER, 0), "")})
    owner = attribute(snapshot, call(key_prefix="cap_crawl"), GATEWAY)
    assert (owner.agent_id, owner.project_id, owner.team_id) == (CRAWLER, RANKING, SEARCH)
    assert owner.attributed

"""Equal memo keys mean equal owners: what the corridor's speed hangs on. And how fast both are."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from time import perf_counter

from hypothesis import given, settings
from hypothesis import strategies as st

from finops.attribution.rules import Snapshot, attribute, with_rule
from finops.attribution.types import IdentitySpan, Rule
from finops.connectors.types import UsageEvent
from tests.unit.attribution.cast import (
    ALICE,
    BOB,
    CHAT,
    CRAWLER,
    GATEWAY,
    GLOBEX,
    IMPORTS,
    NOVEMBER,
    OCTOBER,
    RANKING,
    SEARCH,
    acme,
    call,
    rule,
    version,
)

# Few words, so that calls often agree in some fields and differ in others.
words = st.sampled_from(["", "a", "b", "ab"])
fields = st.sampled_from(
    [
        *(
            "provider",
            "model",
            "region",
            "host",
            "session",
            "task_type",
            "category",
            "key",
            "source",
            "team",
            "project",
        ),
        *("tag:x", "tag:y", "identity:email", "identity:github"),
    ]
)
operators = st.sampled_from(["is", "is_not", "one_of", "starts_with", "ends_with", "contains", "exists", "absent"])
instants = st.integers(0, 6).map(lambda week: OCTOBER + timedelta(weeks=week))


@st.composite
def some_conditions(draw: st.DrawFn) -> tuple[str, str, tuple[str, ...]]:
    wanted = draw(operators)
    value = draw(st.sampled_from(["a", "b", "ab"]))
    return draw(fields), wanted, () if wanted in ("exists", "absent") else (value,)


@st.composite
def some_rules(draw: st.DrawFn) -> tuple[Rule, ...]:
    made = []
    for number in range(1, draw(st.integers(0, 5)) + 1):
        owners = draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "team": st.sampled_from([SEARCH, CHAT]),
                    "person": st.sampled_from([ALICE, BOB]),
                    "project": st.just(RANKING),
                    "agent": st.just(CRAWLER),
                    "customer": st.just(GLOBEX),
                },
            )
        )
        since, until = draw(st.none() | instants), draw(st.none() | instants)
        says = version(
            number,
            *draw(st.lists(some_conditions(), max_size=2)),
            task_type=draw(words),
            override=draw(st.booleans()),
            since=since,
            until=until,
            **owners,
        )
        made.append(Rule(number, f"rule {number}", (says,), retired_from=draw(st.none() | instants)))
    return tuple(made)


@st.composite
def some_snapshots(draw: st.DrawFn) -> Snapshot:
    spans = (IdentitySpan(OCTOBER + timedelta(weeks=2), ALICE, 1), IdentitySpan(None, BOB, 2))
    return acme(
        names=({"a": SEARCH, "b": CHAT}, {"a": ALICE}, {"b": RANKING}, {"ab": CRAWLER}, {"a": GLOBEX}),
        identities={("email", "a"): spans, ("github", "b"): (IdentitySpan(None, BOB, 3),)},
        sources={GATEWAY: "a", IMPORTS: "b"},
        ended=draw(st.dictionaries(st.sampled_from([(0, CHAT), (1, ALICE), (2, RANKING)]), instants, max_size=2)),
        rules=draw(some_rules()),
    )


@st.composite
def some_calls(draw: st.DrawFn) -> tuple[UsageEvent, int]:
    told = {
        name: draw(words)
        for name in ("provider", "model", "region", "host", "session", "task_type", "category", "team", "project")
    }
    kinds = st.tuples(st.sampled_from(["email", "github"]), st.sampled_from(["a", "B"]))
    made = call(
        **told,
        person=draw(words),
        agent=draw(words),
        external_id=draw(words),
        key_prefix=draw(st.sampled_from(["", "cap_bob00001", "a"])),
        occurred_at=draw(instants),
        identities=tuple(draw(st.lists(kinds, max_size=2))),
        tags=tuple(sorted(draw(st.lists(st.tuples(st.sampled_from("xyz"), words), max_size=3)))),
    )
    return made, draw(st.sampled_from([GATEWAY, IMPORTS]))


@settings(max_examples=400, deadline=None)
@given(some_snapshots(), st.lists(some_calls(), min_size=2, max_size=30))
def test_equal_keys_mean_equal_owners(snapshot: Snapshot, calls: list[tuple[UsageEvent, int]]) -> None:
    known: dict[object, object] = {}
    for event, source_id in calls:
        owner = attribute(snapshot, event, source_id)
        assert known.setdefault(snapshot.memo_key(event, source_id), owner) == owner


def test_a_field_no_rule_looks_at_does_not_matter() -> None:
    snapshot = acme(rules=(rule(1, ("model", "is", ("gpt-5",)), team=CHAT),))
    one = call(session="a", region="eu", tags=(("x", "1"),), external_id="a")
    other = call(session="b", region="us", tags=(("x", "2"),), external_id="b", occurred_at=NOVEMBER)
    assert snapshot.memo_key(one, GATEWAY) == snapshot.memo_key(other, IMPORTS)
    assert snapshot.memo_key(one, GATEWAY) != snapshot.memo_key(call(model="o3"), GATEWAY)


def test_a_draft_takes_its_place_in_a_copy() -> None:
    first, second = rule(1, team=CHAT), rule(2, team=SEARCH)
    snapshot = acme(rules=(first, second))
    assert with_rule(snapshot, rule(3, team=CHAT)).rules[-1].rule_id == 3
    assert [one.rule_id for one in with_rule(snapshot, rule(3, team=CHAT), position=0).rules] == [3, 1, 2]
    assert [one.rule_id for one in with_rule(snapshot, rule(1, team=SEARCH)).rules] == [1, 2]
    assert [one.rule_id for one in with_rule(snapshot, first, position=1).rules] == [2, 1]
    ended = replace(first, retired_from=NOVEMBER)
    mostly_past = with_rule(acme(rules=(ended, second)), rule(3, team=CHAT), position=0)
    assert [one.rule_id for one in mostly_past.rules] == [1, 3, 2]
    assert snapshot.rules == (first, second)
    assert attribute(with_rule(snapshot, rule(1, team=SEARCH)), call(), GATEWAY).team_id == SEARCH


def test_fifty_rules_and_a_memo_key_are_a_matter_of_microseconds() -> None:
    """About 8 µs and 0.5 µs on a quiet machine; the bounds only catch a change of kind, on a busy one."""
    shapes = [
        ("model", "starts_with", ("claude",)),
        ("tag:service", "is", ("none",)),
        ("provider_account", "one_of", ("a", "b")),
        ("identity:email", "ends_with", ("@other.test",)),
        ("source", "is", ("nowhere",)),
    ]
    snapshot = acme(
        rules=tuple(rule(n, shapes[n % 5], ("provider", "is", ("openai",)), customer=GLOBEX) for n in range(50))
    )
    event = call(key_prefix="", tags=(("env", "prod"), ("service", "api")), identities=(("email", "alice@acme.test"),))

    def best(work: object, times: int) -> float:
        assert callable(work)
        rounds = []
        for _ in range(5):
            begun = perf_counter()
            for _ in range(times):
                work(snapshot, event, GATEWAY)
            rounds.append((perf_counter() - begun) / times)
        return min(rounds)

    assert best(attribute, 1000) < 60e-6
    assert best(Snapshot.memo_key, 5000) < 8e-6

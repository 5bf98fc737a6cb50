"""What gateways decide by: the first rule that matches, every limit, and shares that add up; as plainly reckoned."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.rules.arms import draw_of
from routing.rules.document import DocumentInvalid, exported, imported
from routing.rules.hot import NOTHING, OWNERS, Arm, Decided, Published, Rules, Subject
from routing.rules.policy import Chooser
from routing.rules.rules import check
from routing.rules.types import Rule, Use, When, Within
from tests.factories.rules import by_type, learned_rule, local_only, triage

MODELS = ("frontier", "small", "auto", "other")
TYPES = ("", "triage", "chat")
WORDS = st.sampled_from(["a", "b", "c"])


def some(*values: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), unique=True, max_size=3).map(tuple)


whens = st.builds(
    When,
    models=some(*MODELS),
    task_types=some("triage", "chat"),
    keys=some("cap_1", "cap_2"),
    tags=st.dictionaries(WORDS, st.lists(WORDS, min_size=1, unique=True).map(tuple), max_size=2),
    least_tokens=st.none() | st.integers(0, 50),
    most_tokens=st.none() | st.integers(50, 100),
    tools=st.none() | st.booleans(),
    subagent=st.none() | st.booleans(),
    sensitive=st.none() | st.booleans(),
)
uses = st.lists(st.sampled_from(["small", "other", "tiny"]), unique=True, max_size=2).map(
    lambda names: tuple(Use(model=name) for name in names)
)
withins = st.builds(
    Within,
    labels=some("local", "eu"),
    never_vendors=some("openai"),
    origins=some("US"),
    most_share=st.sampled_from([None, 0.4]),
    sort=st.sampled_from(["", "floor"]),
)
rules_ = st.builds(
    Rule, name=WORDS, when=whens, use=uses, within=withins, policy=st.none() | st.builds(by_type, price=st.just(0.1))
)
published = st.builds(
    Published,
    rule_id=st.integers(1, 99),
    version=st.just(1),
    rule=rules_,
    owners=st.dictionaries(st.sampled_from(OWNERS), st.frozensets(st.integers(1, 3), max_size=2), max_size=2),
    share=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    held_back=st.sampled_from([0.0, 0.05]),
    salt=WORDS,
    shadow=st.booleans(),
)
subjects = st.fixed_dictionaries(
    {
        "model": st.sampled_from(MODELS),
        "key": st.integers(0, 50).map(str),
        "task_type": st.sampled_from(TYPES),
        **{name: st.integers(0, 3) for name in OWNERS},
        "key_prefix": st.sampled_from(["cap_1", "cap_2", "cap_3"]),
        "tags": st.dictionaries(WORDS, WORDS, max_size=2),
        "tokens": st.integers(0, 120),
        "tools": st.integers(0, 2),
        "depth": st.integers(0, 2),
        "characters": st.integers(0, 500),
    }
)


def subject(said: dict[str, Any], *, sensitive: bool = False) -> Subject:
    return Subject(sensitive=lambda: sensitive, words=lambda: None, **said)


def matches(one: Published, said: dict[str, Any], sensitive: bool) -> bool:
    """As one would say it, without an index or a memory."""
    when = one.rule.when
    lists = ((when.models, "model"), (when.task_types, "task_type"), (when.keys, "key_prefix"))
    if any(named and said[field] not in named for named, field in lists):
        return False
    if any(said[name] not in ids for name, ids in one.owners.items()):
        return False
    if any(said["tags"].get(name) not in values for name, values in when.tags.items()):
        return False
    if when.least_tokens is not None and said["tokens"] < when.least_tokens:
        return False
    if when.most_tokens is not None and said["tokens"] > when.most_tokens:
        return False
    asked = ((when.tools, said["tools"] > 0), (when.subagent, said["depth"] > 0), (when.sensitive, sensitive))
    return all(wanted is None or wanted is so for wanted, so in asked)


def reckoned(rules: list[Published], said: dict[str, Any], sensitive: bool) -> tuple[Any, ...]:
    """Which rule decides, which arm, the models, and the limits."""
    mine = [one for one in rules if matches(one, said, sensitive)]
    # Those that choose nothing, and what is said of sensitive calls, whichever chose.
    limits = [
        one.rule.within
        for one in mine
        if one.rule.when.sensitive is True or (not one.rule.use and one.rule.policy is None)
    ]
    first = next((one for one in mine if one.rule.use or one.rule.policy is not None), None)
    if first is None:
        return None, "", (), tuple(limits)
    draw, treated = draw_of(first.salt, said["key"]), min(first.share, 1 - first.held_back)
    arm = "treated" if draw < treated else "held_back" if draw >= 1 - first.held_back else "control"
    arm = "shadow" if first.shadow else arm
    if first.rule.policy is None:
        models = tuple(one.model for one in first.rule.use)
    else:
        policy = first.rule.policy
        draw = draw_of(f"{first.salt} policy", said["key"])
        chosen = Chooser(policy).choose(said["task_type"], said["characters"], draw).model
        models = tuple(dict.fromkeys((chosen, policy.incumbent.model)))
    if arm != "treated":
        return first, arm, models[-1:] if said["model"] == "auto" else (), tuple(limits)
    return first, arm, models, (*limits, first.rule.within)


def outcome(decided: Decided) -> tuple[Any, ...]:
    return decided.rule, str(decided.arm), tuple(one.model for one in decided.use), decided.limits


@settings(max_examples=150, deadline=None)
@given(st.lists(published, max_size=8), st.lists(st.tuples(subjects, st.booleans()), min_size=1, max_size=6))
def test_every_call_is_decided_as_plainly_reckoned(
    rules: list[Published], calls: list[tuple[dict[str, Any], bool]]
) -> None:
    """The index and what is remembered of calls before never change an answer: twice, and each by itself."""
    ready = Rules(rules)
    for said, sensitive in (*calls, *calls):
        decided = ready.decide(subject(said, sensitive=sensitive))
        assert outcome(decided) == reckoned(rules, said, sensitive)
        assert decided == Rules(rules).decide(subject(said, sensitive=sensitive))
        assert 0 < decided.propensity <= 1


def test_without_rules_everything_stays() -> None:
    ready = Rules([])
    call = Subject("frontier", "s", lambda: True, lambda: None)
    assert (bool(ready), ready.names, ready.decide(call)) == (False, frozenset(), NOTHING)


def arms_of(one: Published, keys: range) -> dict[str, list[str]]:
    ready = Rules([one])
    found: dict[str, list[str]] = {str(arm): [] for arm in Arm}
    for key in keys:
        decided = ready.decide(Subject("frontier", str(key), lambda: False, lambda: None, task_type="triage"))
        found[str(decided.arm)].append(str(key))
    return found


def rolled(share: float, held_back: float = 0.05) -> Published:
    return Published(rule_id=1, version=1, rule=triage(), share=share, held_back=held_back, salt="triage")


def test_shares_and_those_held_back_add_up() -> None:
    for share, held_back in ((0.05, 0.05), (0.5, 0.05), (1.0, 0.05), (1.0, 0.0), (0.0, 0.2)):
        found = {arm: len(keys) / 20_000 for arm, keys in arms_of(rolled(share, held_back), range(20_000)).items()}
        treated = min(share, 1 - held_back)
        assert found["treated"] == pytest.approx(treated, abs=0.01)
        assert found["held_back"] == pytest.approx(held_back, abs=0.01)
        assert found["control"] == pytest.approx(1 - treated - held_back, abs=0.01)
        assert sum(found.values()) == pytest.approx(1.0)


def test_a_share_that_grows_keeps_whom_it_had_and_takes_none_that_is_held_back() -> None:
    before: set[str] = set()
    held = set(arms_of(rolled(0.0), range(5_000))["held_back"])
    for share in (0.05, 0.25, 0.5, 1.0):
        found = arms_of(rolled(share), range(5_000))
        assert before <= set(found["treated"])
        assert set(found["held_back"]) == held
        before = set(found["treated"])


def test_propensities_are_the_chance_of_what_happened() -> None:
    ready = Rules([rolled(0.25)])
    for key in range(200):
        decided = ready.decide(Subject("frontier", str(key), lambda: False, lambda: None, task_type="triage"))
        assert decided.propensity == (0.25 if decided.arm is Arm.TREATED else 0.75)
        assert decided.would == ("" if decided.arm is Arm.TREATED else "small")


def test_what_is_not_asked_is_not_read() -> None:
    def never() -> Any:
        raise AssertionError("nobody asked")

    ready = Rules([rolled(1.0), Published(rule_id=2, version=1, rule=local_only(when=When(models=("other",))))])
    assert ready.decide(Subject("frontier", "s", never, never, task_type="triage")).use
    ready = Rules([Published(rule_id=2, version=1, rule=local_only())])
    with pytest.raises(AssertionError):
        ready.decide(Subject("frontier", "s", never, never))


def test_limits_hold_together_whoever_chooses() -> None:
    near = local_only(name="near", when=When(), within=Within(regions=("eu",)))
    one = Published(rule_id=1, version=1, rule=near)
    two = Published(rule_id=2, version=1, rule=triage(within=Within(sort="floor")))
    three = Published(rule_id=3, version=1, rule=local_only())
    decided = Rules([one, two, three]).decide(Subject("frontier", "s", lambda: True, lambda: None, task_type="triage"))
    assert decided.limits == (near.within, local_only().within, Within(sort="floor"))
    assert [each.model for each in decided.use] == ["small", "frontier"]


@settings(max_examples=150, deadline=None)
@given(st.lists(rules_, max_size=4))
def test_what_is_exported_is_imported(rules: list[Rule]) -> None:
    text = exported(rules)
    assert imported(text) == tuple(rules)
    assert exported(imported(text)) == text


texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=20)


@settings(max_examples=150, deadline=None)
@given(texts, st.floats(allow_nan=False, allow_infinity=False))
def test_any_word_and_number_comes_back(word: str, number: float) -> None:
    """YAML reads `no`, `1e3` and `2026-01-01` as something else; in a rule they are words."""
    tricky = ("no", "1e3", "2026-01-01", "~", "0x1f", "- a", "!x")
    rule = Rule(
        name="a",
        when=When(models=(word, *tricky), tags={word: (word,)}),
        within=Within(most_per_million=number),
        policy=by_type(price=number),
    )
    assert imported(exported([rule, rule])) == (rule, rule)


def test_a_learned_rule_comes_back_to_the_last_bit_and_is_one_that_can_be() -> None:
    rule = learned_rule()
    assert check(rule) is rule
    (again,) = imported(exported([rule]))
    assert again == rule
    assert again.policy is not None
    assert again.policy.rarity is not None


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "document"),
        ("a: [", "document"),
        ("- 1", "document"),
        ("version: 1", "document"),
        ("version: 2\nrules: []", "version"),
        ("version: 1\nrules: &a [*a]", "document"),
        ("version: 1\nrules: []\nmore: 1", "document"),
        ("version: 1\nrules: [{name: !!python/name:os.system x}]", "document"),
        ("[" * 5_000, "document"),
    ],
)
def test_what_is_no_document_is_refused(text: str, field: str) -> None:
    with pytest.raises(DocumentInvalid) as refused:
        imported(text)
    assert refused.value.field == field


def test_who_leaves_the_choice_to_routing_is_answered_in_every_arm() -> None:
    rule = triage(when=When(models=("auto",)), use=(Use(model="small"), Use(model="large")))
    ready = Rules([Published(rule_id=1, version=1, rule=rule, share=0.5, held_back=0.1, salt="triage")])
    found = {
        str(decided.arm): decided.use[0].model
        for key in range(200)
        for decided in [ready.decide(Subject("auto", str(key), lambda: False, lambda: None))]
    }
    assert found == {"treated": "small", "control": "large", "held_back": "large"}


@settings(max_examples=100, deadline=None)
@given(st.lists(published, max_size=8), subjects, st.booleans())
def test_whoever_measures_goes_where_it_says_within_all_that_would_hold(
    rules: list[Published], said: dict[str, Any], sensitive: bool
) -> None:
    ready = Rules(rules)
    usual = ready.decide(subject(said, sensitive=sensitive))
    measuring = ready.decide(subject(said, sensitive=sensitive)._replace(measures=True))
    assert (measuring.rule, measuring.use, measuring.would) == (None, (), "")
    assert measuring.limits == usual.limits

"""Outcomes and evidence over REST: what may be said, by whom, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from finops.orgs.models import User
from routing.evidence.models import Outcome
from tests.factories.orgs import Cast
from tests.interfaces.conftest import Api, refused, told


def run(number: int = 3, **given: Any) -> dict[str, Any]:
    """Both models on so many items; the cheap one fails the last."""
    outcomes = [
        {"item": f"{n}", "model": model, "score": float(model == "strong" or n < number - 1), "cost": cost}
        for n in range(number)
        for model, cost in (("strong", "0.02"), ("cheap", 0.001))
    ]
    usual = {
        "name": "nightly", "evaluator": "suite", "evaluator_version": "3", "task_type": "triage", "outcomes": outcomes,
    }  # fmt: skip
    return usual | given


def feedback(*outcomes: dict[str, Any], **given: Any) -> dict[str, Any]:
    usual = {"kind": "feedback", "source": "thumbs", "task_type": "triage", "outcomes": list(outcomes)}
    return usual | given


def compared(api: Api, **given: Any) -> Any:
    words = {"incumbent": "strong", "candidate": "cheap"} | given
    return api.get("evidence/triage?" + "&".join(f"{name}={value}" for name, value in words.items()))


def test_a_run_is_sent_added_to_and_read(alice: Api) -> None:
    first = told(alice.post("evaluations", run(margin="0.03"), Idempotency_Key="r1"), 201)
    assert (first["recorded"], first["repeated"]) == (6, 0)
    assert told(alice.post("evaluations", run(margin="0.03"), Idempotency_Key="r1"), 201) == first
    assert told(alice.post("evaluations", run(margin="0.03")), 201)["repeated"] == 6
    where = f"evaluations/{first['evaluation_id']}"
    more = {"outcomes": [{"item": "9", "task_type": "other", "model": "strong", "status": "truncated"}]}
    assert told(alice.post(f"{where}/outcomes", more))["recorded"] == 1
    one = told(alice.get(where))
    assert (one["outcomes"], one["models"], one["task_types"]) == (7, ["cheap", "strong"], ["other", "triage"])
    assert (one["margin"], one["randomised"], one["standing"], one["flags"]) == ("0.0300", True, False, [])
    [listed] = told(alice.get("evaluations?kind=evaluation"))["items"]
    assert listed == {name: value for name, value in one.items() if name != "flags"}
    assert told(alice.get("evaluations?kind=judge"))["items"] == []
    assert [one["task_type"] for one in told(alice.get("evidence"))["items"]] == ["other", "triage"]
    [cut] = told(alice.get("outcomes?status=truncated"))["items"]
    assert (cut["item"], cut["score"], cut["cost"], cut["kind"], cut["evaluator_version"]) == (
        "9", 0.0, None, "evaluation", "3",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"outcomes": "many"}, (400, "api.invalid", "outcomes")),
        ({"outcomes": [{"item": "1"}]}, (400, "api.invalid", "outcomes[0].model")),
        ({"outcomes": [{"item": "1", "model": "m", "score": "good"}]}, (400, "api.invalid", "outcomes[0].score")),
        ({"outcomes": [{"item": "1", "model": "m"}]}, (400, "api.invalid", "outcomes[0].score")),
        (
            {"outcomes": [{"item": "1", "model": "m", "score": 1, "prompt": "?"}]},
            (400, "api.invalid", "outcomes[0].prompt"),
        ),
        (
            {"outcomes": [{"item": "1", "model": "m", "score": 1, "signals": {}}]},
            (400, "api.invalid", "outcomes[0].signals"),
        ),
        ({"outcomes": [{"item": "1", "model": "m", "score": 1.5}]}, (422, "evidence.invalid", "outcomes[0].score")),
        (
            {"outcomes": [{"item": "1", "model": "m", "score": 1, "cost": -1}]},
            (422, "evidence.invalid", "outcomes[0].cost"),
        ),
        (
            {"outcomes": [{"item": "1", "model": "m", "score": 1, "occurred_at": "2026-01-01T00:00:00"}]},
            (400, "api.invalid", "outcomes[0].occurred_at"),
        ),
        ({"task_type": "", "outcomes": []}, (400, "api.invalid", "task_type")),
        ({"kind": "feedback"}, (400, "api.invalid", "kind")),
        ({"kind": "judge"}, (422, "evidence.invalid", "judge_model")),
        ({"margin": "0.7"}, (400, "api.invalid", "margin")),
        ({"evaluator": None}, (400, "api.invalid", "evaluator")),
        ({"secret": 1}, (400, "api.invalid", "secret")),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(alice: Api, wrong: dict[str, Any], said: tuple[int, str, str]) -> None:
    assert refused(alice.post("evaluations", run(**wrong))) == said
    assert not Outcome.objects.exists()


def test_something_else_said_of_the_same_is_a_conflict(alice: Api) -> None:
    told(alice.post("evaluations", run()), 201)
    other = [{"item": "9", "model": "cheap", "score": 1}, {"item": "0", "model": "cheap", "score": 0.5}]
    answer = alice.post("evaluations", run(outcomes=other))
    assert refused(answer) == (409, "evidence.conflict", "outcomes[1]")
    assert "'cheap' on '0'" in told(answer, 409)["detail"]
    assert refused(alice.post("evaluations", run(evaluator="another"))) == (
        409, "evidence.evaluation_conflict", "evaluator",
    )  # fmt: skip
    assert Outcome.objects.count() == 6


def test_ten_thousand_are_one_request_and_more_are_refused(alice: Api) -> None:
    many = [{"item": f"{n}", "model": "strong", "score": 1} for n in range(10_001)]
    assert refused(alice.post("evaluations", run(outcomes=many)))[::2] == (400, "outcomes")
    assert told(alice.post("evaluations", run(outcomes=many[:-1])), 201)["recorded"] == 10_000


def test_feedback_is_answered_one_by_one(alice: Api) -> None:
    good = {"item": "call-1", "model": "strong", "score": 1}
    assert told(alice.post("outcomes", feedback(good)))["outcomes"] == ["recorded"]
    mixed = feedback({**good, "score": 0}, good, {"item": "call-2", "model": "cheap", "score": 0, "propensity": 0.1})
    assert told(alice.post("outcomes", mixed))["outcomes"] == ["conflict", "repeated", "recorded"]
    assert refused(alice.post("outcomes", feedback({**good, "score": 0}))) == (409, "evidence.conflict", "outcomes[0]")
    items = told(alice.get("outcomes?kind=feedback"))["items"]
    assert [(one["item"], one["randomised"], one["propensity"]) for one in items] == [
        ("call-2", True, 0.1), ("call-1", False, None),
    ]  # fmt: skip
    assert refused(alice.post("outcomes", feedback(kind="evaluation")))[::2] == (400, "kind")


def test_signals_are_scored_by_the_stated_rule(alice: Api) -> None:
    def signal(**signals: Any) -> dict[str, Any]:
        return feedback({"item": "call-1", "model": "strong", "signals": signals}, kind="signal", source="ci")

    assert refused(alice.post("outcomes", signal(liked=True))) == (400, "api.invalid", "outcomes[0].signals.liked")
    assert refused(alice.post("outcomes", signal())) == (400, "api.invalid", "outcomes[0].signals")
    scored = feedback({"item": "call-1", "model": "strong", "score": 1}, kind="signal", source="ci")
    assert refused(alice.post("outcomes", scored)) == (400, "api.invalid", "outcomes[0].score")
    told(alice.post("outcomes", signal(edited=0.25)))
    [one] = told(alice.get("outcomes"))["items"]
    assert (one["score"], one["signals"], one["evaluator"], one["evaluator_version"]) == (
        0.75, {"edited": 0.25}, "ci", "1",
    )  # fmt: skip


def test_judgements_of_calls_say_who_judged_and_in_which_order(alice: Api) -> None:
    judged = {"item": "call-1", "model": "strong", "score": 0.8, "human_score": 1}
    both = feedback(
        {**judged, "order_shown": "ab"}, {**judged, "order_shown": "ba"}, kind="judge", source="rubric",
    )  # fmt: skip
    assert refused(alice.post("outcomes", both)) == (422, "evidence.invalid", "judge_model")
    assert told(alice.post("outcomes", both | {"judge_model": "opus"}))["outcomes"] == ["recorded", "recorded"]
    items = told(alice.get("outcomes?kind=judge"))["items"]
    assert [(one["order_shown"], one["human_score"]) for one in items] == [("ba", 1.0), ("ab", 1.0)]


def test_two_models_are_compared(alice: Api) -> None:
    told(alice.post("evaluations", run(40, margin="0.1")), 201)
    told(alice.post("outcomes", feedback({"item": "call-1", "model": "cheap", "score": 0})))
    found = told(compared(alice))
    assert (found["pairs"], found["clusters"], found["margin"], found["margin_fixed"]) == (40, 40, 0.1, True)
    assert found["difference"] == pytest.approx(-1 / 40)
    assert found["verdict"] == "inconclusive"
    assert found["needed"] > 0
    assert -1 <= found["bounds"]["lower"] < -0.025 < found["bounds"]["upper"] <= 1
    assert found["fixed"]["lower"] < -0.025 < found["fixed"]["upper"]
    assert found["cost"]["quotient"] == pytest.approx((0.001 / 0.02) * 40 / 39)
    assert found["cost"]["bounds"]["upper"] < 0
    assert found["judged"] is None
    assert (len(found["points"]), found["points"][-1]["pairs"]) == (40, 40)
    assert (found["disagreeing"], found["disagreements"]) == (
        1,
        [{"item": "39", "incumbent": 1.0, "candidate": 0.0, "incumbent_cost": 0.02, "candidate_cost": 0.001}],
    )
    assert found["observational"] == [{"model": "cheap", "outcomes": 1, "mean": 0.0, "mean_cost": None}]
    assert told(compared(alice, margin=0.2))["margin_fixed"] is False


def test_what_nobody_measured_is_not_compared(alice: Api) -> None:
    assert refused(compared(alice))[:2] == (404, "core.not_found")
    told(alice.post("evaluations", run()), 201)
    assert refused(compared(alice, candidate="other")) == (422, "evidence.invalid", "candidate")
    assert refused(compared(alice, margin=0.9)) == (400, "api.invalid", "margin")
    assert refused(alice.get("evidence/triage")) == (400, "api.invalid", "incumbent")


def test_suspect_data_is_told_with_its_reason(alice: Api) -> None:
    outcomes = [
        {"item": f"{n}", "model": model, "score": float(model != "mute" and (n * 7 + shift) % 5 > 0)}
        for n in range(40)
        for shift, model in enumerate(("mute", "strong", "cheap"))
    ]
    made = told(alice.post("evaluations", run(outcomes=outcomes)), 201)
    [flag] = told(alice.get(f"evaluations/{made['evaluation_id']}"))["flags"]
    assert (flag["code"], flag["models"], flag["task_type"]) == ("format_collapse", ["mute"], "triage")
    assert told(compared(alice, candidate="mute"))["flags"] == [flag]
    assert told(compared(alice))["flags"] == []


def test_withdrawn_it_is_no_evidence(alice: Api) -> None:
    made = told(alice.post("evaluations", run()), 201)
    where = f"evaluations/{made['evaluation_id']}"
    assert refused(alice.post(f"{where}/withdraw", {})) == (400, "api.invalid", "because")
    gone = told(alice.post(f"{where}/withdraw", {"because": "wrong answer key"}))
    assert gone["withdrawn_because"] == "wrong answer key"
    assert refused(compared(alice))[0] == 404
    assert {one["withdrawn"] for one in told(alice.get("outcomes"))["items"]} == {True}
    assert refused(alice.post("evaluations", run()))[:2] == (409, "evidence.withdrawn")
    assert refused(alice.post(f"{where}/outcomes", {"outcomes": []}))[:2] == (409, "evidence.withdrawn")


def test_lists_are_filtered_and_paged(alice: Api) -> None:
    told(alice.post("evaluations", run()), 201)
    page = told(alice.get("outcomes?limit=4"))
    rest = told(alice.get(f"outcomes?limit=4&cursor={page['next']}"))
    assert [one["item"] for one in page["items"] + rest["items"]] == ["2", "2", "1", "1", "0", "0"]
    assert len(told(alice.get("outcomes?model=cheap&task_type=triage&from=2020-01-01T00:00:00Z"))["items"]) == 3
    assert told(alice.get("outcomes?to=2020-01-01T00:00:00Z"))["items"] == []
    assert told(alice.get("outcomes?evaluation=1000000"))["items"] == []
    assert refused(alice.get("outcomes?kind=guess")) == (400, "api.invalid", "kind")
    assert refused(alice.get("outcomes?from=yesterday")) == (400, "api.invalid", "from")


def test_engineers_write_and_read_and_others_do_not(
    cast: Cast, login: Callable[[User], Api], by_key: Callable[..., Api]
) -> None:
    bob, charlie = login(cast.bob_login), login(cast.charlie_login)
    made = told(bob.post("evaluations", run()), 201)
    where = f"evaluations/{made['evaluation_id']}"
    reader, writer = by_key("routing.read"), by_key("outcomes.write")
    assert told(reader.get(where))["outcomes"] == 6
    assert told(writer.post("outcomes", feedback({"item": "c", "model": "m", "score": 1})))["outcomes"] == ["recorded"]
    for answer in (
        reader.post("evaluations", run()),
        reader.post(f"{where}/outcomes", {"outcomes": []}),
        reader.post(f"{where}/withdraw", {"because": "no"}),
        reader.post("outcomes", feedback()),
        writer.get("outcomes"),
        writer.get("evaluations"),
        writer.get(where),
        writer.get("evidence"),
        compared(writer),
    ):
        assert refused(answer)[:2] == (403, "orgs.permission_missing")
    assert refused(charlie.get(where))[0] == 404
    assert refused(charlie.post(f"{where}/outcomes", {"outcomes": []}))[0] == 404
    assert refused(charlie.post(f"{where}/withdraw", {"because": "mine"}))[0] == 404
    assert refused(compared(charlie))[0] == 404
    assert told(charlie.get("outcomes"))["items"] == []


def test_lists_are_read_in_as_many_queries_whatever_their_length(
    alice: Api, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    told(alice.post("evaluations", run(1)), 201)
    alice.get("outcomes")
    for evaluations, outcomes in ((1, 2), (2, 100)):
        for path, number in (("outcomes", outcomes), ("evaluations", evaluations)):
            with django_assert_num_queries(6):
                assert len(told(alice.get(path))["items"]) == number
        told(alice.post("evaluations", run(50, name="more")), 201)


def test_what_people_would_say_is_told_beside_what_judges_said(alice: Api) -> None:
    def judged(number: int, labels: int) -> dict[str, Any]:
        outcomes = [
            {"item": f"{n}", "model": model, "score": 0.5, **({"human_score": human} if n < labels else {})}
            for n in range(number)
            for model, human in (("strong", 0.5), ("cheap", 0.6))
        ]
        return run(kind="judge", judge_model="opus", outcomes=outcomes, name=f"judged {labels}", evaluator=f"r{labels}")

    told(alice.post("evaluations", judged(30, 5)), 201)
    few = told(compared(alice))["judged"]
    assert (few["labelled"], few["bounds"]) == (5, {"lower": None, "upper": None})
    told(alice.post("evaluations", judged(60, 25)), 201)
    found = told(compared(alice))["judged"]
    assert (found["labelled"], found["judged"]) == (30, 0.0)
    assert [found["off"], found["mean"]] == pytest.approx([0.1, 0.1])
    assert found["bounds"]["lower"] == pytest.approx(0.1)

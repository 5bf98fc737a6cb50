"""Limits on how much of the spend one maker may have, over REST: written, asked, and taken elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from finops.orgs.models import User
from routing.rules.models import Concentration
from routing.rules.types import Use, When
from tests.factories.orgs import NOON, Cast
from tests.factories.rules import CHEAP, INCUMBENT, saved, triage
from tests.factories.upstreams import deployment, upstream
from tests.interfaces.conftest import Api, told

MOST: dict[str, Any] = {"name": "not-all-with-one", "within": {"most_share": 0.4}}
WHY = "anthropic has 52 % of the spend of 30 days, and 40 % is the most"


@pytest.fixture
def _served(cast: Cast) -> None:
    """The small model is Anthropic's, with which most is spent; the incumbent is OpenAI's."""
    here = upstream(cast.acme.id, at=NOON)
    deployment(here, CHEAP, upstream_model="claude-haiku-4-5", at=NOON)
    deployment(here, INCUMBENT, upstream_model="gpt-5", at=NOON)
    Concentration.objects.create(organization=cast.acme, shares={"anthropic": 52, "openai": 48}, changed_at=NOON)


def put(api: Api, rule: Any = MOST) -> Any:
    return told(api.post("routing-rules", {"rule": rule, "why": "Not all with one maker."}), 201)


def routed(api: Api, **given: Any) -> Any:
    return told(api.post("route", {"model": INCUMBENT, "task_type": "triage"} | given))


@pytest.mark.usefixtures("_served")
def test_the_answer_says_who_comes_last_and_why(alice: Api, cast: Cast) -> None:
    saved(cast.acme.id, triage(), at=NOON)
    assert routed(alice)["models"] == [CHEAP, INCUMBENT]
    made = put(alice, MOST | {"within": {"most_share": 0.5}})
    assert made["in_words"] == (
        "All calls are served last with models of a maker that has more than 50 % of recent spend."
    )
    found = routed(alice)
    assert (found["models"], found["within"]) == ([INCUMBENT, CHEAP], [{"most_share": 0.5}])
    assert found["passed_over"] == [{"model": CHEAP, "why": WHY.replace("40 %", "50 %")}]
    # A call that no rule moves stays, and so does one of which everybody has too much.
    stays = routed(alice, model=CHEAP, task_type="chat")
    assert (stays["models"], stays["passed_over"]) == ([CHEAP], [])
    put(alice, MOST | {"name": "stricter"})
    everybody = routed(alice)
    assert (everybody["models"], everybody["passed_over"]) == ([CHEAP, INCUMBENT], [])


@pytest.mark.usefixtures("_served")
def test_whoever_leaves_the_choice_to_routing_is_told_too(alice: Api, cast: Cast) -> None:
    both = triage(when=When(models=("auto",)), use=(Use(model=CHEAP), Use(model=INCUMBENT)))
    saved(cast.acme.id, both, at=NOON)
    put(alice, MOST | {"within": {"most_share": 0.5}})
    assert routed(alice, model="auto")["models"] == [INCUMBENT, CHEAP, "auto"]


@pytest.mark.usefixtures("_served")
def test_it_is_one_organizations_own_and_goes_where_the_document_goes(
    alice: Api, login: Callable[[User], Api], cast: Cast
) -> None:
    saved(cast.acme.id, triage(), at=NOON)
    put(alice, MOST | {"within": {"most_share": 0.5}})
    text = alice.get("routing-rules/export").content.decode()
    assert "most_share: 0.5" in text
    charlie = login(cast.charlie_login)
    told(charlie.post("routing-rules/import?why=From+acme", text, content_type="application/yaml"))
    assert charlie.get("routing-rules/export").content.decode() == text
    # Nobody has looked at globex's spend yet.
    found = routed(charlie)
    assert (found["models"], found["within"]) == ([CHEAP, INCUMBENT], [{"most_share": 0.5}])
    # LiteLLM would not notice when shares change: it is said that it is left out.
    said = alice.get("routing-rules/export?format=litellm").content.decode()
    assert "not-all-with-one: it only says in which order" in said

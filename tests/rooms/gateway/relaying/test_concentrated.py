"""Calls of a rule go to another maker while one has too much of the spend, and come back when it has less."""

from __future__ import annotations

from datetime import datetime, timedelta

from routing.rules import services
from routing.rules.models import Decision
from routing.rules.types import Rule, Use, When, Within
from tests.factories.gateway import published
from tests.factories.ledger import Book, event
from tests.factories.orgs import Cast
from tests.factories.relaying import chat, deployed, idle
from tests.factories.rules import saved
from tests.fakes.upstream.running import Upstream
from tests.rooms.gateway.conftest import Opens
from tests.waiting import until

TRIAGE = {"x-capstan-task": "triage"}
# Of the small book's models OpenAI is known to have made this one, and Anthropic claude; of gpt nobody knows.
CHEAPER = Rule(name="triage", when=When(task_types=("triage",)), use=(Use(model="gpt-mini"),))
MOST = Rule(name="not-all-with-one", within=Within(most_share=0.4))


def test_calls_go_elsewhere_while_a_maker_has_too_much_and_come_back(
    cast: Cast, secret: str, gateways: Opens, provider: Upstream, now: datetime
) -> None:
    for rule in (CHEAPER, MOST):
        saved(cast.acme.id, rule, at=now)
    deployed(cast.acme.id, provider, at=now)
    book, days_ago = Book(cast.acme, at=now), now - timedelta(days=2)
    book.take(event("first", model="gpt-mini", occurred_at=days_ago), source="reports")
    services.follow_concentration(at=now)
    gateway = gateways()
    said = chat(gateway, secret, headers=TRIAGE).whole()
    assert (said.headers["x-capstan-model"], said.headers["x-capstan-rule"]) == (
        "gpt",
        "triage; version=1; arm=treated",
    )
    # A call that no rule moves stays, and so does one of which nothing else is left.
    assert chat(gateway, secret, model="gpt-mini").whole().headers["x-capstan-model"] == "gpt-mini"
    alone = chat(gateway, secret, model="gpt-mini", headers=TRIAGE).whole()
    assert (alone.status, alone.headers["x-capstan-model"]) == (200, "gpt-mini")
    idle(gateway, provider)
    until(lambda: Decision.objects.count() == 2)
    why = "openai has 100 % of the spend of 30 days, and 40 % is the most"
    decisions = {row.call_id: (row.chosen, row.passed_over) for row in Decision.objects.all()}
    assert decisions == {
        said.headers["x-capstan-call"]: ("gpt", [["gpt-mini", why]]),
        alone.headers["x-capstan-call"]: ("gpt-mini", []),
    }
    # Most goes to another maker: calls come back, without anybody changing the rule.
    book.take(event("second", model="claude", provider="anthropic", occurred_at=days_ago), source="reports")
    services.follow_concentration(at=now)
    published()
    until(lambda: chat(gateway, secret, headers=TRIAGE).whole().headers["x-capstan-model"] == "gpt-mini", within_s=5)

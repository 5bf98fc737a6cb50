"""A budget that sends calls to a cheaper model before it is spent, and refuses when it is."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from finops.budgets.types import Enforcement
from tests.factories.budgets import budget
from tests.factories.gateway import call, used
from tests.factories.orgs import Cast
from tests.rooms.gateway.conftest import Opens


def test_from_its_share_on_calls_go_to_the_cheaper_model_and_say_so(
    cast: Cast, secret: str, gateways: Opens, now: datetime
) -> None:
    budget(
        cast.acme.id,
        "0.1",
        at=now,
        enforcement=Enforcement.DOWNGRADE,
        downgrade_to=(("openai", "gpt-mini"),),
        downgrade_at=50,
    )
    gateway = gateways()
    models = []
    while (said := gateway.ask(secret, body=call(least_output_tokens=100))).status == 200:
        models.append(said.body["model"])
        assert said.body["downgraded_from"] == ("gpt" if said.body["model"] == "gpt-mini" else None)
        settled = gateway.ask(secret, f"/{said.body['id']}/settle", used(model=said.body["model"]))
        assert Decimal(settled.body["cost"]) == Decimal("0.012" if said.body["model"] == "gpt" else "0.0012")

    assert models == ["gpt"] * 5 + ["gpt-mini"] * 33
    assert said.body["code"] == "budgets.exceeded"
    # Who asks for a cheap model already keeps it, and a repeat gets the first answer.
    assert gateway.ask(secret, body=call(model="gpt-mini", max_output_tokens=10, input={"tokens": 10})).status == 200

"""The story of docs/routing.md, run as it is written: evaluation, recommendation, rule, decisions, and back."""

from __future__ import annotations

import contextlib
import io
import json
import re

import pytest
from django.utils import timezone

from finops.orgs import services as orgs
from routing.recommend.models import Recommendation
from routing.rules.models import RoutingRule
from tests.factories.orgs import HOUSE, NOON, the_cast
from tests.factories.rules import decision
from tests.interfaces.test_guides import GUIDES, agrees, examples, run

STORY = "../routing.md"


def posted() -> str:
    """What the guide's few lines of Python print."""
    [code] = re.findall(r"```python\n(.*?)```", (GUIDES / STORY).read_text(encoding="utf-8"), re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})  # noqa: S102 - our own guide
    return printed.getvalue()


@pytest.mark.django_db
def test_the_story_goes_as_it_is_told() -> None:
    cast = the_cast()
    secret = orgs.issue_key(
        organization_id=cast.acme.id, name="Guide", permissions=("routing.read", "routing.manage", "outcomes.write"),
        by=HOUSE, at=NOON,
    ).secret  # fmt: skip
    for command, said in examples(STORY):
        rule = RoutingRule.objects.first()
        if "$RULE" in command and rule is not None and "decisions" in command:
            decision(
                cast.acme.id, "c-1", at=timezone.now(), rule_id=rule.id, asked="gpt-5", chosen="gpt-5-mini",
                propensity=0.0475,
            )  # fmt: skip
        advised = Recommendation.objects.first()
        command = command.replace("$RULE", str(rule and rule.id)).replace("$ID", str(advised and advised.id))
        answer = run(command.replace("-d @run.json", "-d '" + posted().strip() + "'"), secret)
        assert agrees(said, json.loads(answer.content)), f"{command}\nanswers {answer.content.decode()[:2000]}"

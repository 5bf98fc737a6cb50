"""What the fake of OpenAI's reports answers, as OpenAI's SDK has it. The reports themselves: ../test_reports.py."""

from __future__ import annotations

from tests.clients.typed.holding import answers, wrong_of
from tests.clients.typed.table import OPENAI_REPORTS
from tests.factories.polling import AT
from tests.fakes.reports.openai import OpenAIReports

ROOT = "/v1/organization/"


def test_the_fake_answers_what_the_sdk_reads() -> None:
    fake = OpenAIReports(until=AT, days=1)
    try:
        said = answers(fake, "openai-usage", "openai-costs")
    finally:
        fake.close()
    kinds = [(OPENAI_REPORTS[one.path.removeprefix(ROOT)], one.body) for one in said]
    assert {kind for kind, _ in kinds} == set(OPENAI_REPORTS.values())
    assert wrong_of(kinds) == set()

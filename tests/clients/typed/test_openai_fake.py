"""What the fake of OpenAI's reports answers, as OpenAI's SDK has it, and that it is read the same when the SDK has
written it. The reports themselves: ../test_reports.py.
"""

from __future__ import annotations

from finops.connectors.openai import cost_report, usage_report
from tests.clients.test_reports import cut_and_read
from tests.clients.typed.holding import answers, held
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
    for one, through in zip(said, held(*kinds), strict=True):
        assert through.wrong == []
        report = cost_report if one.path.endswith("costs") else usage_report
        found = cut_and_read(report.cut, report.parse, one.body)
        assert found == cut_and_read(report.cut, report.parse, through.made)
        assert all(hasattr(each, "counts") for each in found)

"""Helicone's rows have no type of their own; what a row holds of the provider's answer is a body of that provider's."""

from __future__ import annotations

from tests.clients.typed.holding import wrong_of
from tests.clients.typed.table import MESSAGE
from tests.factories.polling import AT
from tests.fakes.reports.helicone import HeliconeReports


def test_the_fakes_answers_are_the_providers() -> None:
    fake = HeliconeReports(until=AT, days=1)
    try:
        said = [one["answer"] for one in fake.calls if one["response_status"] == 200]
    finally:
        fake.close()
    assert len(said) > 10
    assert wrong_of((MESSAGE, one) for one in said) == set()

"""Questions about spend over REST: what is wrong is named, and how many queries an answer takes."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories.company import Company, book, event
from tests.factories.spend import on
from tests.interfaces.conftest import Api
from tests.interfaces.spend.conftest import OCTOBER, body, refused, with_key

WRONG = (
    ("spend?team=search", "ledger.question_unclear", "team"),
    ("spend?filter.shoe=1", "ledger.question_unclear", "filter.shoe"),
    ("spend?filter.tag:shoe=1", "ledger.question_unclear", "filter.tag:shoe"),
    ("spend?filter.team=nobody", "ledger.value_unknown", "filter.team"),
    ("spend?filter.team=", "ledger.question_unclear", "filter.team"),
    ("spend?filter.model=a%00b", "ledger.question_unclear", "filter.model"),
    ("spend?filter.team=99999999999999999999", "ledger.value_unknown", "filter.team"),
    ("spend?group_by=shoe", "ledger.question_unclear", "group_by"),
    ("spend?group_by=tag1", "ledger.question_unclear", "group_by"),
    ("spend?group_by=team,model,agent", "ledger.question_unclear", "group_by"),
    ("spend?period=October", "ledger.period_unclear", "period"),
    ("spend?period=2026-10&from=2026-10-01&to=2026-10-02", "ledger.question_unclear", "period"),
    ("spend?from=2026-10-01", "ledger.question_unclear", "to"),
    ("spend?from=2026-10-01&to=2026-10-01", "ledger.period_unclear", "to"),
    ("spend?from=0001-01-01&to=9999-12-31", "ledger.period_unclear", "from"),
    ("spend?from=2026-1-1&to=2026-10-02", "ledger.question_unclear", "from"),
    ("spend?grain=hour", "ledger.question_unclear", "grain"),
    ("spend?limit=0", "ledger.question_unclear", "limit"),
    ("spend?limit=٣", "ledger.question_unclear", "limit"),
    ("spend?compare=yes", "ledger.question_unclear", "compare"),
    ("spend?period=2026&group_by=model&grain=day&limit=1000", "ledger.question_unclear", "limit"),
    ("charges?session=a%00b", "ledger.question_unclear", "session"),
    ("charges?cursor=nonsense", "ledger.cursor_invalid", "cursor"),
    ("charges?limit=501", "api.limit_invalid", "limit"),
    ("sessions?filter.team=search", "ledger.question_unclear", "filter.team"),
    ("dimensions/shoe/values", "ledger.question_unclear", "dimension"),
    ("dimensions/team/values?find=x", "ledger.question_unclear", "find"),
    ("dimensions/team/values?search=%00", "ledger.question_unclear", "search"),
    ("unpriced?limit=5", "ledger.question_unclear", "limit"),
)


def test_what_is_wrong_is_named(alice: Api) -> None:
    told = {question: refused(alice, question) for question, _, _ in WRONG}
    assert told == {question: (400, code, field) for question, code, field in WRONG}


# The most an answer may take: who asks, what they mean, the ledger, and names by kind.
QUERIES = {
    f"spend?{OCTOBER}": 7,
    f"spend?{OCTOBER}&group_by=team,model": 18,
    f"spend?{OCTOBER}&group_by=team&compare=previous&filter.model=gpt-4o": 22,
    "dimensions": 3,
    "dimensions/team/values": 4,
    f"charges?{OCTOBER}": 11,
    f"sessions?{OCTOBER}": 8,
    f"unpriced?{OCTOBER}": 10,
}


def test_how_many_queries_an_answer_takes(company: Company) -> None:
    key = with_key(company, "spend.read", "spend.read_people", "charges.read")

    def asked() -> dict[str, int]:
        counted = {}
        for question in QUERIES:
            with CaptureQueriesContext(connection) as captured:
                body(key, question)
            counted[question] = len(captured)
        return counted

    asked()
    counted = asked()
    assert {question: many for question, many in counted.items() if many > QUERIES[question]} == {}
    # More charges, the same number.
    book(company, [event(number, on(5), session=f"s-{number}") for number in range(100, 140)])
    assert asked() == counted

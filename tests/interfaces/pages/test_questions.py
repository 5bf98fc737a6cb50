"""Odd questions to pages: refused in words, and nothing typed makes a page fail."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from tests.factories.company import empty_company
from tests.interfaces.pages.conftest import SPEND_PAGES, at, text_of


@pytest.mark.parametrize(
    "query",
    ["period=nonsense", "team=abc", "group=a,b,c", "compare=x", "grain=x", "nonsense=1", "period=custom&from=x&to=y"],
)
def test_a_question_that_cannot_be_understood_is_a_page_with_400(alice: Client, query: str) -> None:
    for name in SPEND_PAGES:
        response = alice.get(f"{at(name)}?{query}")
        assert response.status_code == 400
        assert "dashboards." in text_of(response)


@pytest.mark.parametrize("odd", ["\0", "%", "'; --", "😀" * 50, "x" * 5000, "\ud7ff", "../..", "<b>"])
def test_odd_text_never_makes_a_page_fail(alice: Client, odd: str) -> None:
    asked = [
        (at("prices"), {"q": odd}), (at("people"), {"q": odd}), (at("sources"), {"state": odd, "code": odd}),
        (at("audit"), {"about": odd}), (at("audit"), {"cursor": odd}), (at("charges"), {"cursor": odd}),
        (at("charges"), {"session": odd}), (at("model"), {"provider": odd, "model": odd}),
        (at("jobs"), {"cursor": odd}),
        (at("pick"), {"pick": odd, "for": odd}), (at("pick"), {"pick": "model", "for": "spend", "q": odd}),
        (at("spend"), {"group": odd}), (at("overview"), {"period": odd}),
    ]  # fmt: skip
    for url, query in asked:
        response = alice.get(url, query)
        assert response.status_code in {200, 400, 404}, url
        assert "<b>" not in text_of(response).replace("<b>{", "") or odd != "<b>" or "&lt;b&gt;" in text_of(response)


def test_an_empty_organization_says_what_to_do_first(now: datetime, db: None, browser: Any) -> None:
    alice = browser(empty_company(now).cast.alice_login)
    assert "No usage has come in yet" in text_of(alice.get(at("overview")))
    assert "Everything has a price" in text_of(alice.get(at("unpriced")))


def test_a_filter_that_holds_nothing_says_so_and_how_to_clear_it(alice: Client) -> None:
    page = text_of(alice.get(at("spend"), {"customer": 4_000_000}))
    assert "Nothing in this filter" in page
    assert "Clear the filters" in page

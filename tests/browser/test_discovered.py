"""Names nobody has, on the page of people: fetched by the page itself, and given by a button."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from finops.orgs.models import Identity
from tests.browser.conftest import Watched
from tests.factories.company import Company, book, event

Visit = Callable[..., Watched]


@pytest.mark.parametrize("width", [1440, 390])
def test_a_name_nobody_has_comes_by_itself_and_is_given(visit: Visit, company: Company, width: int) -> None:
    told = [("email", "bob+claude@acme.example"), ("email", "dana@private.example"), ("github", "quux-of-nobody")]
    at = company.at - timedelta(hours=3)
    book(company, [event(80_000 + place, at, identities=(name,)) for place, name in enumerate(told)])
    seen = visit(company.cast.alice_login, width=width)
    seen.open("/o/acme/people/")
    seen.page.wait_for_selector("#discovered table")
    assert not seen.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    seen.page.get_by_role("button", name="bob+claude@acme.example is Bob").click()
    seen.page.wait_for_selector("text=Calls that name it are theirs from now on.")
    seen.page.wait_for_selector("#discovered table")
    assert "bob+claude" not in seen.page.locator("#discovered").inner_text()
    assert Identity.objects.get(value="bob+claude@acme.example").person == company.cast.bob
    assert seen.complaints == []

"""What a person said of an account: it stands in addresses and in prices, so it is looked at first."""

from __future__ import annotations

import pytest

from finops.connectors.fetching import Access, RequestRefused
from finops.connectors.given import currency, flag, folder, needed, price, slug


def said(**settings: str) -> Access:
    return Access(address="https://provider.example", credential="secret", settings=settings)


def test_what_is_said_is_taken_without_its_blanks() -> None:
    found = said(organization=" acme-2.x ", acu_price=" 2.25", currency="eur", inclusive="Yes")
    assert needed(found, "organization") == slug(found, "organization") == "acme-2.x"
    assert (price(found, "acu_price"), currency(found), flag(found, "inclusive")) == ("2.25", "EUR", True)


def test_what_is_not_said_is_nothing_dollars_or_no() -> None:
    assert (slug(said(), "organization"), currency(said()), flag(said(), "inclusive")) == ("", "USD", False)


@pytest.mark.parametrize("name", ["..", "a/b", "a b", "a%2fb", "a?b", "-a", "ä", "a" * 101])
def test_a_name_leads_nowhere_else(name: str) -> None:
    with pytest.raises(RequestRefused, match="organization"):
        slug(said(organization=name), "organization")


@pytest.mark.parametrize("value", ["", "-1", "1e9", "1,5", "NaN", "2.", ".5", "1" * 10])
def test_a_price_is_a_plain_number(value: str) -> None:
    with pytest.raises(RequestRefused, match="acu_price"):
        price(said(acu_price=value), "acu_price")


@pytest.mark.parametrize("value", ["US", "DOLLAR", "€€€"])
def test_a_currency_is_three_letters(value: str) -> None:
    with pytest.raises(RequestRefused, match="currency"):
        currency(said(currency=value))


@pytest.mark.parametrize(("value", "found"), [("", ""), ("/", ""), ("logs", "logs/"), (" /a/b c/ ", "a/b c/")])
def test_a_folder_ends_in_a_slash(value: str, found: str) -> None:
    assert folder(said(place=value), "place") == found


@pytest.mark.parametrize("value", ["a\nb", "\x00", "x" * 501])
def test_what_is_no_folder(value: str) -> None:
    with pytest.raises(RequestRefused, match="place"):
        folder(said(place=value), "place")

"""What every page has: parts for htmx, themes, shortcuts, tokens of forms."""

from __future__ import annotations

from django.test import Client

from tests.factories.company import Company
from tests.interfaces.conftest import BACKEND
from tests.interfaces.pages.conftest import SPEND_PAGES, at, text_of


def test_htmx_gets_the_part_it_asked_for_and_a_browser_the_whole_page(alice: Client) -> None:
    whole, part = alice.get(at("spend")), alice.get(at("spend"), headers={"HX-Request": "true"})
    assert "<html" in text_of(whole)
    assert "<html" not in text_of(part)
    assert 'id="answer"' in text_of(part)
    assert part["HX-Push-Url"].startswith("/o/acme/spend/?period=mtd")
    for response in (whole, part):
        assert "HX-Request" in response["Vary"]
    restored = alice.get(at("spend"), headers={"HX-Request": "true", "HX-History-Restore-Request": "true"})
    assert "<html" in text_of(restored)


def test_the_theme_is_kept_with_the_login_and_rendered_by_the_server(alice: Client) -> None:
    assert "data-theme" not in text_of(alice.get(at("overview"))).split("<head>")[0]
    answer = alice.post("/preferences/", {"theme": "dark", "next": at("spend")})
    assert answer["Location"] == at("spend")
    assert 'data-theme="dark"' in text_of(alice.get(at("overview")))
    assert (
        alice.post("/preferences/", {"theme": "dark", "next": "https://evil.example/"})["Location"] == "/preferences/"
    )


def test_single_letter_keys_can_be_switched_off(alice: Client) -> None:
    assert "shortcuts.js" in text_of(alice.get(at("overview")))
    alice.post("/preferences/", {"shortcuts": "off"})
    assert "shortcuts.js" not in text_of(alice.get(at("overview")))


def test_demo_data_is_labelled_on_every_page(company: Company, alice: Client) -> None:
    company.cast.acme.is_demo = True
    company.cast.acme.save(update_fields=["is_demo"])
    for name in (*SPEND_PAGES, "people"):
        assert "Synthetic demo data." in text_of(alice.get(at(name)))


def test_a_form_without_its_token_is_refused(company: Company) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(company.cast.alice_login, backend=BACKEND)
    assert strict.post(at("tag_promote"), {"key": "env"}).status_code == 403
    assert strict.post("/preferences/", {"theme": "dark"}).status_code == 403

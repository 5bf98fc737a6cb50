"""Logging in, with a second step, by people who were invited; the pages around it are ours and run no script."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.core import mail
from django.core.management import call_command
from django.test import Client

from finops.orgs.models import User
from tests.factories.orgs import Cast

PASSWORD = "a-long-enough-secret"


@pytest.fixture
def alice(cast: Cast) -> User:
    user = cast.alice_login
    user.set_password(PASSWORD)
    user.save()
    return user


def enter(client: Client, user: User, password: str = PASSWORD) -> tuple[int, str]:
    answer = client.post("/accounts/login/", {"login": user.email, "password": password})
    return answer.status_code, answer.headers.get("Location", "")


def test_alice_logs_in_and_out(alice: User) -> None:
    client = Client()
    assert enter(client, alice, "wrong-wrong-wrong") == (200, "")
    assert enter(client, alice) == (302, "/")
    assert client.get("/api/v1/organization").status_code == 200
    client.post("/accounts/logout/")
    assert client.get("/api/v1/organization").status_code == 401


def test_a_stranger_cannot_sign_up(db: None) -> None:
    assert "By invitation" in Client().get("/accounts/signup/").content.decode()
    Client().post("/accounts/signup/", {"email": "x@example.com", "password1": PASSWORD, "password2": PASSWORD})
    assert not User.objects.filter(email="x@example.com").exists()


def test_a_login_that_is_switched_off_stays_out(alice: User) -> None:
    client = Client()
    enter(client, alice)
    User.objects.filter(id=alice.id).update(is_active=False)
    assert client.get("/api/v1/organization").status_code == 401
    status, _ = enter(Client(), alice)
    assert status in {200, 302}
    assert Client().get("/api/v1/organization").status_code == 401


def test_asking_for_a_new_password_does_not_tell_who_has_a_login(alice: User) -> None:
    known = Client().post("/accounts/password/reset/", {"email": alice.email})
    unknown = Client().post("/accounts/password/reset/", {"email": "nobody@example.com"})
    assert (known.status_code, known["Location"]) == (unknown.status_code, unknown["Location"])
    assert [letter.to for letter in mail.outbox if "/accounts/password/reset/key/" in letter.body] == [[alice.email]]


def test_the_second_step_is_asked_for(alice: User) -> None:
    secret = generate_totp_secret()
    TOTP.activate(alice, secret)
    client = Client()
    assert enter(client, alice) == (302, "/accounts/mfa/authenticate/")
    assert client.get("/api/v1/organization").status_code == 401
    code = format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))
    where = "/accounts/mfa/authenticate/"
    assert client.post(where, {"code": "000000" if code != "000000" else "111111"}).status_code == 200
    assert client.get("/api/v1/organization").status_code == 401
    assert client.post(where, {"code": code}).status_code == 302
    assert client.get("/api/v1/organization").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["login/", "password/reset/", "password/reset/done/", "signup/", "inactive/", "logout/", "password/change/",
     "mfa/", "mfa/totp/activate/", "email/", "reauthenticate/"],
)  # fmt: skip
def test_the_pages_of_the_login_are_ours_and_fit_the_policy(alice: User, path: str) -> None:
    client = Client()
    if path not in {"login/", "password/reset/", "password/reset/done/", "signup/", "inactive/"}:
        enter(client, alice)
    answer = client.get(f"/accounts/{path}", follow=True)
    assert answer.status_code == 200
    text = answer.content.decode()
    assert "skip" in text, "does not extend base.html"
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert " style=" not in text
    assert "Content-Security-Policy" in answer.headers


def test_the_login_page_has_one_way_to_a_new_password(db: None) -> None:
    assert Client().get("/accounts/login/").content.decode().count("/accounts/password/reset/") == 1


def test_without_a_mail_server_nobody_is_told_of_a_letter(alice: User, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    asked = Client().get("/accounts/password/reset/").content.decode()
    assert 'name="email"' not in asked
    done = Client().post("/accounts/password/reset/", {"email": alice.email}, follow=True).content.decode()
    for page in (asked, done):
        assert "no letter can be sent" in page
        assert "manage.py changepassword EMAIL" in page


def test_the_command_the_page_names_gives_a_new_password(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda prompt="": "another-long-secret")
    call_command("changepassword", alice.email, stdout=io.StringIO())
    assert enter(Client(), alice, "another-long-secret") == (302, "/")

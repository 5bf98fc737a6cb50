"""The first organization of an empty server, made in a terminal."""

from __future__ import annotations

import io
import re

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client

from finops.orgs.models import Membership, Organization, User


def run(*words: str) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_an_organization_with_an_owner_who_chooses_a_password(db: None) -> None:
    said = run("create_organization", "acme", "--name", "Acme", "--owner", "Alice@acme.example", "--currency", "EUR")
    assert Organization.objects.get(slug="acme").reporting_currency == "EUR"
    member = Membership.objects.get()
    assert (member.role, member.user.email) == ("owner", "alice@acme.example")
    assert mail.outbox == []
    link = re.search(r"http://localhost:8000(/accounts/password/reset/key/\S+)", said)
    assert link is not None
    visitor = Client()
    page = visitor.get(link[1], follow=True)
    chosen = {"password1": "a-long-enough-secret", "password2": "a-long-enough-secret"}
    assert visitor.post(page.redirect_chain[-1][0], chosen).status_code == 302
    assert User.objects.get().check_password("a-long-enough-secret")
    assert "Log in: https://capstan.example/" in run(
        "password_link", "alice@acme.example", "--address", "https://capstan.example/"
    )


def test_what_cannot_be_made_leaves_nothing(db: None) -> None:
    with pytest.raises(CommandError, match="e-mail"):
        run("create_organization", "acme", "--name", "Acme", "--owner", "nobody")
    assert not Organization.objects.exists()
    with pytest.raises(CommandError, match="no such login"):
        run("password_link", "nobody@acme.example")

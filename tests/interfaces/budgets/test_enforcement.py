"""Keys blocked ahead of a limit, over REST: how a source is reached, whose keys are whose, how strongly a cap holds."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from finops.audit.models import AuditEvent
from finops.budgets.models import Block, Enforceable
from finops.core.sealing import CannotOpen
from finops.sources.models import SourceAccess
from finops.sources.selectors import access_of
from finops.sources.services import open_access
from tests.factories.ledger import AT, Book
from tests.factories.orgs import Cast
from tests.interfaces.budgets.conftest import PER_PERSON, made
from tests.interfaces.conftest import Api, refused, told

ACCESS = {"connector": "anthropic", "credential": "sk-ant-admin01-secret"}
BOBS = {"source": "gateway", "external_id": "apikey_01Bob", "dimension": "person", "owner": "bob", "label": "CI"}


@pytest.fixture
def access(alice: Api, book: Book) -> dict[str, Any]:
    found: dict[str, Any] = told(alice.post("sources/gateway/access", ACCESS))
    return found


@pytest.fixture
def key(alice: Api, access: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = told(alice.post("enforceable-keys", BOBS), 201)
    return found


def test_a_credential_is_kept_sealed_and_never_told(alice: Api, access: dict[str, Any], cast: Cast, book: Book) -> None:
    assert access == told(alice.get("sources/gateway/access"))
    assert access | {"set_at": ""} == {
        "connector": "anthropic",
        "address": "https://api.anthropic.com",
        "reporting_delay_s": 600.0,
        "takes_effect_s": 60.0,
        "set_at": "",
    }
    row = access_of(cast.acme.id, book.source())
    assert b"secret" not in bytes(row.sealed)
    opened = open_access(row)
    assert opened.credential == ACCESS["credential"]
    assert "secret" not in repr(opened)
    noted = AuditEvent.objects.get(verb="source.access_set")
    assert "secret" not in json.dumps(noted.details)


def test_a_former_secret_key_still_opens_and_a_forgotten_one_does_not(
    access: dict[str, Any], cast: Cast, book: Book, settings: Any
) -> None:
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another secret of this house, long enough"
    row = access_of(cast.acme.id, book.source())
    with pytest.raises(CannotOpen):
        open_access(row)
    settings.SECRET_KEY_FALLBACKS = [former]
    assert open_access(row).credential == ACCESS["credential"]


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"connector": "file"}, "api.invalid", "connector"),
        ({"credential": "two\nlines"}, "sources.invalid", "credential"),
        ({"address": "http://169.254.169.254"}, "connectors.address_refused", "address"),
        ({"address": "http://litellm:4000"}, "connectors.address_refused", "address"),
        ({"connector": "litellm"}, "connectors.address_refused", "address"),
        ({"reporting_delay_s": 1e9}, "api.invalid", "reporting_delay_s"),
    ],
)
def test_an_access_that_cannot_be_is_refused(
    alice: Api, book: Book, change: dict[str, Any], code: str, field: str
) -> None:
    book.source()
    assert refused(alice.post("sources/gateway/access", ACCESS | change))[1:] == (code, field)
    assert not SourceAccess.objects.exists()


def test_an_access_is_set_anew_and_taken_away(alice: Api, access: dict[str, Any]) -> None:
    again = told(alice.post("sources/gateway/access", ACCESS | {"reporting_delay_s": 3600, "takes_effect_s": 5}))
    assert (again["reporting_delay_s"], again["takes_effect_s"]) == (3600.0, 5.0)
    assert alice.post("sources/gateway/access/remove").status_code == 204
    assert alice.get("sources/gateway/access").status_code == 404
    # A second time there is nothing to take away, and nothing to note.
    assert alice.post("sources/gateway/access/remove").status_code == 204
    assert AuditEvent.objects.filter(verb="source.access_removed").count() == 1


def test_a_key_is_somebodys_once(alice: Api, key: dict[str, Any]) -> None:
    assert told(alice.get("enforceable-keys"))["items"] == [key]
    assert key | {"id": 0, "created_at": ""} == {**BOBS, "id": 0, "created_at": "", "archived_at": None}
    assert refused(alice.post("enforceable-keys", BOBS | {"owner": "alice"}))[1] == "budgets.key_taken"
    archived = told(alice.post(f"enforceable-keys/{key['id']}/archive"))
    assert archived["archived_at"]
    assert told(alice.get("enforceable-keys"))["items"] == []
    told(alice.post("enforceable-keys", BOBS | {"owner": "alice"}), 201)


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"external_id": "sk-ant-api03-the-key-itself"}, "budgets.key_invalid", "external_id"),
        ({"owner": "nobody-here"}, "attribution.owner_unknown", "owner"),
        ({"dimension": "model"}, "api.invalid", "dimension"),
        ({"source": "elsewhere"}, "core.not_found", None),
        ({"source": "bare"}, "budgets.key_invalid", "source"),
    ],
)
def test_a_key_that_cannot_be_is_refused(
    alice: Api, access: dict[str, Any], book: Book, change: dict[str, Any], code: str, field: str | None
) -> None:
    book.source("bare")
    assert refused(alice.post("enforceable-keys", BOBS | change))[1:] == (code, field)
    assert not Enforceable.objects.exists()


def test_every_strength_is_named(alice: Api, key: dict[str, Any]) -> None:
    def strengths(**of: Any) -> list[tuple[str, list[str]]]:
        cap = made(alice, PER_PERSON | of)
        found = told(alice.get(f"budgets/{cap['id']}/enforcement"))["strengths"]
        return [(one["strength"], one["sources"]) for one in found]

    assert strengths(enforcement="alert") == [("alert", [])]
    assert strengths() == [("inline", []), ("preventive", ["gateway"]), ("alert", [])]
    # Nobody's key says which model it is used for.
    assert strengths(each="model") == [("inline", []), ("alert", [])]


@pytest.fixture
def blocked(alice: Api, key: dict[str, Any], cast: Cast) -> str:
    """Bob's key was blocked ahead of his limit, and a dollar of two hundred was left."""
    cap = made(alice, PER_PERSON)
    Block.objects.create(
        organization=cast.acme, budget_id=cap["id"], account_id=1, subject=str(cast.bob.id), enforceable_id=key["id"],
        state=Block.State.BLOCKED, reason="It was time.", limit_amount=200, spent=180, likely=190, most=201,
        wanted_at=AT, next_try_at=AT, blocked_at=AT, settled_at=AT, overshoot=0, unused=1,
    )  # fmt: skip
    return f"budgets/{cap['id']}/enforcement"


def test_what_was_blocked_and_what_it_came_to(alice: Api, blocked: str) -> None:
    found = told(alice.get(blocked))
    assert found["residual"] == {"settled": 1, "over": 0, "worst": "0.000000000000", "unused_share": 0.005}
    [one] = found["blocks"]
    assert (one["subject"], one["external_id"], one["state"]) == ("bob", "apikey_01Bob", "blocked")
    assert [Decimal(one[name]) for name in ("spent", "most", "unused")] == [Decimal(180), Decimal(201), Decimal(1)]


def test_others_see_the_blocks_of_their_own_accounts_and_no_key(bob: Api, lead: Api, viewer: Api, blocked: str) -> None:
    for api, seen in ((bob, 1), (lead, 1), (viewer, 0)):
        found = told(api.get(blocked))
        assert (len(found["blocks"]), found["residual"]["settled"]) == (seen, seen)
        assert [(one["key_id"], one["external_id"]) for one in found["blocks"]] == [(None, None)] * seen


def test_a_key_that_failed_says_so(alice: Api, blocked: str) -> None:
    Block.objects.update(failed_at=AT, last_error="LiteLLM answered 403")
    [one] = told(alice.get(blocked))["blocks"]
    assert (one["state"], one["last_error"]) == ("failed", "LiteLLM answered 403")


def test_who_may_not_manage_sources_sees_neither_keys_nor_access(bob: Api, key: dict[str, Any]) -> None:
    for answer in (
        bob.get("enforceable-keys"),
        bob.post("enforceable-keys", BOBS),
        bob.post(f"enforceable-keys/{key['id']}/archive"),
        bob.get("sources/gateway/access"),
        bob.post("sources/gateway/access", ACCESS),
        bob.post("sources/gateway/access/remove"),
    ):
        assert refused(answer)[:2] == (403, "orgs.permission_missing")

"""The house changes its secret key: what is sealed goes on opening, is sealed anew, and the former key is forgotten."""

from __future__ import annotations

from io import StringIO
from typing import Any, Final

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db.models import BinaryField
from django.test import override_settings

from finops.audit.models import AuditEvent
from finops.core.sealing import CannotOpen
from finops.polling.models import ConnectedAccount
from finops.polling.services.common import open_credential
from finops.runtime import resealing
from tests.factories import captures, upstreams
from tests.factories.orgs import Cast
from tests.factories.polling import AT, put

FIRST, SECOND = "the-first-secret-" * 4, "the-second-secret-" * 4
# What is stored as bytes and is no secret: digests, encoded figures, records as they came.
OPEN: Final = {
    "batches.batch.event", "batches.batch.said", "classify.labelledcall.marks", "classify.labelledcall.words",
    "classify.sampledcall.marks", "classify.sampledcall.words", "classify.trainedclassifier.body",
    "configuration.published.body", "ingest.quarantinedrecord.raw", "ledger.interned.digest",
    "prospects.trainedprospects.body", "statements.statement.event",
}  # fmt: skip


def said(**options: Any) -> str:
    out = StringIO()
    call_command("reseal", stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def account(cast: Cast) -> ConnectedAccount:
    with override_settings(SECRET_KEY=FIRST, SECRET_KEY_FALLBACKS=[]):
        return put(cast.acme, credential="sk-admin-of-acme", at=AT)


def test_a_secret_key_is_changed_and_the_former_one_forgotten(account: ConnectedAccount) -> None:
    with override_settings(SECRET_KEY=SECOND, SECRET_KEY_FALLBACKS=[FIRST]):
        assert open_credential(account) == "sk-admin-of-acme"
        with pytest.raises(CommandError, match="1 are under a former secret key"):
            said(check=True)
        assert "polling.connectedaccount.sealed: 0 as they should be, 1 sealed anew, 0 closed" in said()
        # Again there is nothing to do.
        assert "polling.connectedaccount.sealed: 1 as they should be, 0 sealed anew, 0 closed" in said()
        assert "All are under the present secret key." in said(check=True)
    account.refresh_from_db()
    with override_settings(SECRET_KEY=SECOND, SECRET_KEY_FALLBACKS=[]):
        assert open_credential(account) == "sk-admin-of-acme"
    noted = AuditEvent.objects.filter(verb="house.resealed").order_by("id")
    assert [one.details for one in noted] == [{"polling.connectedaccount.sealed": 1}, {}]


def test_forgotten_too_early_it_is_told_which_and_what_to_do(account: ConnectedAccount) -> None:
    with override_settings(SECRET_KEY=SECOND, SECRET_KEY_FALLBACKS=[]):
        with pytest.raises(CannotOpen):
            open_credential(account)
        with pytest.raises(CommandError, match=r"polling\.connectedaccount\.sealed \(1\)\. Name the former one"):
            said()


def test_what_each_organization_seals_for_itself_is_sealed_anew_for_it(cast: Cast) -> None:
    with override_settings(SECRET_KEY=FIRST, SECRET_KEY_FALLBACKS=[]):
        upstreams.upstream(cast.acme.id, credential="sk-upstream", at=AT)
        captures.captured(cast.acme.id, "c" * 24, at=AT)
        captures.captured(cast.globex.id, "d" * 24, at=AT)
    with override_settings(SECRET_KEY=SECOND, SECRET_KEY_FALLBACKS=[FIRST]):
        text = said()
    assert "captures.capture.sealed: 0 as they should be, 2 sealed anew, 0 closed" in text
    assert "upstreams.upstream.sealed: 0 as they should be, 1 sealed anew, 0 closed" in text
    with override_settings(SECRET_KEY=SECOND, SECRET_KEY_FALLBACKS=[]):
        assert "All are under the present secret key." in said(check=True)


def test_no_sealed_field_is_forgotten() -> None:
    """Whatever is stored as bytes says what it is sealed for, or is known to be no secret."""
    known = {str(field) for field in resealing.fields()}
    stored = {
        f"{model._meta.label_lower}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, BinaryField) and not (field.max_length or 0)
    }
    assert known <= stored
    assert stored - known == OPEN

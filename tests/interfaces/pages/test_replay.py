"""Replaying all that is held for one reason, from the page: what stays does not hide what came after it."""

from __future__ import annotations

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from finops.ingest.models import QuarantinedRecord
from finops.ingest.services import take
from finops.ingest.types import Problem, Received
from tests.factories.attribution import source
from tests.factories.orgs import NOON, Cast
from tests.interfaces.conftest import BACKEND


@pytest.mark.parametrize(
    ("after", "says"), [("", "0 of 1 records"), ("x", "0 of 1 records"), ("9" * 18, "Nothing is held")]
)
def test_a_replay_goes_on_where_it_is_told(cast: Cast, after: str, says: str) -> None:
    held = Received(b"{}", None, Problem("connectors.field_missing", "id", "there is no id"))
    at = source(cast.acme)
    take(organization_id=cast.acme.id, source_id=at.id, parser="capstan", received=[held], at=NOON)
    code = QuarantinedRecord.objects.get().code
    client = Client()
    client.force_login(cast.dana_login, backend=BACKEND)
    page = client.get(reverse("dashboards:sources", kwargs={"organization": "acme"}), {"code": code, "after": "1234"})
    assert b'name="after" value="1234"' in page.content
    answer = client.post(reverse("dashboards:replay", kwargs={"organization": "acme"}), {"code": code, "after": after})
    (message,) = get_messages(answer.wsgi_request)
    assert str(message).startswith(says)

"""Erasing a person over REST. It stands here, above orgs and the ledger, because both hold names."""

from __future__ import annotations

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers
from finops.api.views import Resource, now
from finops.ingest import services
from finops.orgs import selectors
from finops.orgs.api.people import PersonOutput, shown
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission


class ErasePerson(Resource):
    """Take a person's names away for good and leave the money: charges then read "Person 00ab"."""

    permission: ClassVar = {"POST": Permission.PEOPLE_ERASE}

    @answers(PersonOutput)
    @idempotent
    def post(self, request: Request, person: str) -> Response:
        asked = caller(request)
        row = selectors.owner(asked.organization_id, "person", person)
        row = services.erase_person(organization_id=asked.organization_id, person_id=row.id, by=asked.actor, at=now())
        return Response(shown(asked, row))

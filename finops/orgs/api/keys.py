"""Virtual keys over REST. The secret is in one answer, the first, and nowhere else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, paged, valid
from finops.orgs import selectors, services
from finops.orgs.api.references import by_id
from finops.orgs.authentication import caller
from finops.orgs.models import VirtualKey
from finops.orgs.rules import KEY_PERMISSIONS, Permission
from finops.orgs.services.keys import LONGEST_OVERLAP, OVERLAP, Issued

_BOUND = {name: name for name in ("team", "person", "project", "agent", "customer")}


class KeyOutput(serializers.ModelSerializer[VirtualKey]):
    permissions = serializers.ListField(child=serializers.CharField())
    team = serializers.CharField(source="team.slug", allow_null=True, default=None)
    person = serializers.CharField(source="person.slug", allow_null=True, default=None)
    project = serializers.CharField(source="project.slug", allow_null=True, default=None)
    agent = serializers.CharField(source="agent.slug", allow_null=True, default=None)
    customer = serializers.CharField(source="customer.slug", allow_null=True, default=None)

    class Meta:
        model = VirtualKey
        fields = (
            "id", "name", "prefix", "permissions", "team", "person", "project", "agent", "customer", "task_type",
            "created_at", "expires_at", "former_until", "revoked_at", "last_used_at",
        )  # fmt: skip


class IssuedKeyOutput(KeyOutput):
    """`secret` is shown this once; in a replayed answer it is null."""

    secret = serializers.CharField(allow_null=True)

    class Meta(KeyOutput.Meta):
        fields = (*KeyOutput.Meta.fields, "secret")  # type: ignore[assignment]


class KeyInput(Input):
    name = serializers.CharField(max_length=200)
    permissions = serializers.ListField(
        child=serializers.ChoiceField(choices=sorted(KEY_PERMISSIONS)), min_length=1, required=False
    )
    team = serializers.CharField(max_length=80, required=False, allow_null=True)
    person = serializers.CharField(max_length=80, required=False, allow_null=True)
    project = serializers.CharField(max_length=80, required=False, allow_null=True)
    agent = serializers.CharField(max_length=80, required=False, allow_null=True)
    customer = serializers.CharField(max_length=80, required=False, allow_null=True)
    task_type = serializers.CharField(max_length=60, required=False, allow_blank=True)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class KeyRotation(Input):
    grace_s = serializers.IntegerField(
        min_value=0,
        max_value=int(LONGEST_OVERLAP.total_seconds()),
        default=int(OVERLAP.total_seconds()),
        help_text="How long the secret before goes on working; 0 where somebody has it who should not.",
    )


def _issued(issued: Issued) -> Response:
    shown: dict[str, Any] = dict(KeyOutput(issued.key).data)
    return Response(shown | {"secret": issued.secret}, status=201)


class Keys(Resource):
    """Virtual keys, newest first, without their secrets."""

    permission: ClassVar = Permission.KEYS_MANAGE
    secret_fields = ("secret",)

    @listed(KeyOutput)
    def get(self, request: Request) -> Response:
        return paged(request, selectors.keys(caller(request).organization_id), KeyOutput, order=("-id",))

    @answers(IssuedKeyOutput, takes=KeyInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Issue a key. Usage sent with it that names no owner is its team's, person's, project's …"""
        asked = caller(request)
        said = by_id(asked.organization_id, valid(KeyInput, request.data), _BOUND)
        return _issued(services.issue_key(organization_id=asked.organization_id, by=asked.actor, at=now(), **said))


class OneKey(Resource):
    """One key."""

    permission: ClassVar = {"GET": Permission.KEYS_MANAGE}

    @answers(KeyOutput)
    def get(self, request: Request, key_id: int) -> Response:
        return Response(KeyOutput(selectors.owner(caller(request).organization_id, "key", key_id)).data)


class RevokeKey(Resource):
    """The key stops working at once, for good."""

    permission: ClassVar = {"POST": Permission.KEYS_MANAGE}

    @answers(KeyOutput)
    @idempotent
    def post(self, request: Request, key_id: int) -> Response:
        asked = caller(request)
        row = services.revoke_key(organization_id=asked.organization_id, key_id=key_id, by=asked.actor, at=now())
        return Response(KeyOutput(row).data)


class RotateKey(Resource):
    """A new secret of the same key; the one before works until `former_until`."""

    permission: ClassVar = {"POST": Permission.KEYS_MANAGE}
    secret_fields = ("secret",)

    @answers(IssuedKeyOutput, takes=KeyRotation, status=201)
    @idempotent
    def post(self, request: Request, key_id: int) -> Response:
        asked, said = caller(request), valid(KeyRotation, request.data)
        grace = timedelta(seconds=said["grace_s"])
        return _issued(
            services.rotate_key(
                organization_id=asked.organization_id, key_id=key_id, grace=grace, by=asked.actor, at=now()
            )
        )

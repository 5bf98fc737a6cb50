"""Upstreams, deployments and keys' wishes over REST. Credentials go in and never come out."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, ClassVar, Final

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, paged, valid
from finops.core.money import PRICE_PLACES
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission
from routing.upstreams import rules, selectors, services
from routing.upstreams.models import Deployment, KeyWishes, Upstream
from routing.upstreams.presets import PRESETS
from routing.upstreams.types import Auth, DeploymentDraft, Dialect, UpstreamDraft, WishesDraft

_READ_OR_MANAGE: Final = {"GET": Permission.GATEWAY_READ, "POST": Permission.GATEWAY_MANAGE}
_ARCHIVED: Final = OpenApiParameter("archived", bool, description="`true`: those that were archived as well.")
_DIALECTS: Final = [one.value for one in Dialect]
_AUTHS: Final = [one.value for one in Auth]


class UpstreamOutput(serializers.ModelSerializer[Upstream]):
    """`provider` and `host` say whose prices hold. `credential_hint` is the end of the credential, '' where there is
    none or it is short. A call has `connect_s` to connect, `first_byte_s` to its first byte and `total_s` in all.
    """

    credential_hint = serializers.CharField(source="hint")
    headers = serializers.DictField(child=serializers.CharField())
    labels = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Upstream
        fields = (
            "id", "name", "dialect", "base_url", "provider", "host", "auth", "credential_hint", "credential_at",
            "headers", "region", "labels", "any_model", "weight", "connect_s", "first_byte_s", "total_s",
            "bills_cancelled", "created_at", "changed_at", "archived_at",
        )  # fmt: skip


def _seconds(most: float) -> serializers.FloatField:
    return serializers.FloatField(min_value=rules.SHORTEST_S, max_value=most, required=False)


def _weight() -> serializers.IntegerField:
    return serializers.IntegerField(min_value=1, max_value=rules.MOST_WEIGHT, required=False)


class UpstreamChange(Input):
    name = serializers.CharField(max_length=rules.LONGEST_NAME, required=False)
    dialect = serializers.ChoiceField(choices=_DIALECTS, required=False, help_text="Whose API it speaks.")
    base_url = serializers.CharField(
        max_length=rules.LONGEST_ADDRESS,
        required=False,
        help_text="What paths are put behind: https://api.openai.com/v1, https://api.anthropic.com. http and addresses "
        "inside are for hosts that the operator named. Another server's address needs its `credential` with it.",
    )
    provider = serializers.CharField(max_length=rules.LONGEST_WORD, required=False, help_text="Whose prices hold.")
    host = serializers.CharField(
        max_length=rules.LONGEST_WORD, required=False, allow_blank=True, help_text="Where a host has prices of its own."
    )
    auth = serializers.ChoiceField(choices=_AUTHS, required=False, help_text="How the credential is sent.")
    credential = serializers.CharField(
        max_length=rules.LONGEST_CREDENTIAL, required=False, help_text="It is sealed, and never shown again."
    )
    headers = serializers.DictField(
        child=serializers.CharField(max_length=rules.LONGEST_HEADER_VALUE),
        required=False,
        help_text="Sent with every call. Nothing secret: they are shown.",
    )
    region = serializers.CharField(max_length=rules.LONGEST_WORD, required=False, allow_blank=True)
    labels = serializers.ListField(
        child=serializers.CharField(max_length=rules.LONGEST_WORD), max_length=rules.MOST_LABELS, required=False
    )
    any_model = serializers.BooleanField(
        required=False, help_text="It takes any model by its name, not only those that are deployed here."
    )
    weight = _weight()
    connect_s = _seconds(rules.LONGEST_CONNECT_S)
    first_byte_s = _seconds(rules.LONGEST_FIRST_BYTE_S)
    total_s = _seconds(rules.LONGEST_TOTAL_S)
    bills_cancelled = serializers.BooleanField(
        required=False, help_text="It bills answers that nobody reads to their end: they are read to their end."
    )


class UpstreamInput(UpstreamChange):
    name = serializers.CharField(max_length=rules.LONGEST_NAME)
    dialect = serializers.ChoiceField(choices=_DIALECTS, help_text="Whose API it speaks.")
    base_url = serializers.CharField(
        max_length=rules.LONGEST_ADDRESS, help_text=UpstreamChange().fields["base_url"].help_text
    )
    provider = serializers.CharField(max_length=rules.LONGEST_WORD, help_text="Whose prices hold.")


class CredentialInput(Input):
    credential = serializers.CharField(
        max_length=rules.LONGEST_CREDENTIAL, help_text="It is sealed, and never shown again."
    )


class DeploymentOutput(serializers.ModelSerializer[Deployment]):
    """Clients say `model`, the upstream is sent `upstream_model`. Lower `rank` is tried first; among equals `weight`
    decides.
    """

    class Meta:
        model = Deployment
        fields = ("id", "upstream_id", "model", "upstream_model", "rank", "weight", "created_at", "changed_at")


class DeploymentInput(Input):
    model = serializers.CharField(max_length=rules.LONGEST_MODEL, help_text="As clients say it.")
    upstream_model = serializers.CharField(
        max_length=rules.LONGEST_MODEL, required=False, help_text="As the upstream is told; the same where unsaid."
    )
    rank = serializers.IntegerField(min_value=0, max_value=rules.MOST_RANK, required=False)
    weight = _weight()


class WishesOutput(serializers.ModelSerializer[KeyWishes]):
    """What every call of a key wishes, whatever it says itself. `prefix` is the key's public beginning."""

    key_id = serializers.IntegerField()
    prefix = serializers.CharField(source="key.prefix")
    order = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = KeyWishes
        fields = ("key_id", "prefix", "order", "only", "sort", "most_per_million", "changed_at")


class WishesInput(Input):
    order = serializers.ListField(
        child=serializers.CharField(max_length=rules.LONGEST_WORD),
        max_length=rules.MOST_NAMED,
        required=False,
        help_text="Names of upstreams, providers or hosts, the first before the second.",
    )
    only = serializers.BooleanField(required=False, help_text="None but those of `order`, whatever a request wishes.")
    sort = serializers.ChoiceField(
        choices=[rules.FLOOR, rules.NITRO], required=False, allow_blank=True, help_text="The cheapest or fastest first."
    )
    most_per_million = serializers.DecimalField(
        max_digits=7 + PRICE_PLACES,
        decimal_places=PRICE_PLACES,
        min_value=0,
        max_value=rules.MOST_PER_MILLION,
        required=False,
        allow_null=True,
        help_text="None whose tokens cost more than this for a million, in the reporting currency.",
    )


class PresetOutput(serializers.Serializer[Any]):
    """`asks` is the word in braces that has to be filled into `base_url`; '' where it is whole."""

    name = serializers.CharField()
    title = serializers.CharField()
    dialect = serializers.ChoiceField(choices=_DIALECTS)
    base_url = serializers.CharField()
    provider = serializers.CharField()
    host = serializers.CharField(allow_blank=True)
    auth = serializers.ChoiceField(choices=_AUTHS)
    any_model = serializers.BooleanField()
    labels = serializers.ListField(child=serializers.CharField())
    asks = serializers.CharField(allow_blank=True)


class PresetsOutput(serializers.Serializer[Any]):
    items = PresetOutput(many=True)


def _read(said: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """What is said of an upstream, and its credential."""
    credential = said.pop("credential", "")
    return {name: tuple(value) if name == "labels" else value for name, value in said.items()}, credential


class Upstreams(Resource):
    """The servers the gateway sends calls to, by name."""

    permission: ClassVar = _READ_OR_MANAGE

    @listed(UpstreamOutput, _ARCHIVED)
    def get(self, request: Request) -> Response:
        archived = request.query_params.get("archived", "").lower() in {"1", "true"}
        rows = selectors.upstreams(caller(request).organization_id, archived=archived)
        return paged(request, rows, UpstreamOutput, order=("name",))

    @answers(UpstreamOutput, takes=UpstreamInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Configure an upstream. Gateways send calls there within a second."""
        asked = caller(request)
        said, credential = _read(valid(UpstreamInput, request.data))
        row = services.create_upstream(
            organization_id=asked.organization_id,
            draft=UpstreamDraft(**said),
            credential=credential,
            by=asked.actor,
            at=now(),
        )
        return Response(UpstreamOutput(row).data, status=201)


class Presets(Resource):
    """Hosts that are well known: what to say of them."""

    permission: ClassVar = {"GET": Permission.GATEWAY_READ}

    @answers(PresetsOutput)
    def get(self, request: Request) -> Response:
        return Response(PresetsOutput({"items": [asdict(one) for one in PRESETS]}).data)


class OneUpstream(Resource):
    """One upstream."""

    permission: ClassVar = {"GET": Permission.GATEWAY_READ, "PATCH": Permission.GATEWAY_MANAGE}

    @answers(UpstreamOutput)
    def get(self, request: Request, upstream_id: int) -> Response:
        return Response(UpstreamOutput(selectors.upstream(caller(request).organization_id, upstream_id)).data)

    @answers(UpstreamOutput, takes=UpstreamChange)
    def patch(self, request: Request, upstream_id: int) -> Response:
        """Change what is named; what is not stays, and so does the credential."""
        asked = caller(request)
        said, credential = _read(valid(UpstreamChange, request.data))
        row = selectors.upstream(asked.organization_id, upstream_id)
        row = services.change_upstream(
            organization_id=asked.organization_id,
            upstream_id=upstream_id,
            draft=replace(services.draft_of(row), **said),
            credential=credential,
            by=asked.actor,
            at=now(),
        )
        return Response(UpstreamOutput(row).data)


class CredentialOfUpstream(Resource):
    """Another credential from now on. Calls under way end with theirs."""

    permission: ClassVar = {"POST": Permission.GATEWAY_MANAGE}

    @answers(UpstreamOutput, takes=CredentialInput)
    @idempotent
    def post(self, request: Request, upstream_id: int) -> Response:
        asked, said = caller(request), valid(CredentialInput, request.data)
        row = services.rotate_credential(
            organization_id=asked.organization_id, upstream_id=upstream_id, by=asked.actor, at=now(), **said
        )
        return Response(UpstreamOutput(row).data)


class ArchiveUpstream(Resource):
    """No call goes there any more."""

    permission: ClassVar = {"POST": Permission.GATEWAY_MANAGE}

    @answers(UpstreamOutput, takes=Input)
    @idempotent
    def post(self, request: Request, upstream_id: int) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        row = services.archive_upstream(
            organization_id=asked.organization_id, upstream_id=upstream_id, by=asked.actor, at=now()
        )
        return Response(UpstreamOutput(row).data)


class RestoreUpstream(Resource):
    """Back into use, with its deployments and its credential."""

    permission: ClassVar = {"POST": Permission.GATEWAY_MANAGE}

    @answers(UpstreamOutput, takes=Input)
    @idempotent
    def post(self, request: Request, upstream_id: int) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        row = services.restore_upstream(
            organization_id=asked.organization_id, upstream_id=upstream_id, by=asked.actor, at=now()
        )
        return Response(UpstreamOutput(row).data)


class Deployments(Resource):
    """The models of an upstream, by name."""

    permission: ClassVar = _READ_OR_MANAGE

    @listed(DeploymentOutput)
    def get(self, request: Request, upstream_id: int) -> Response:
        row = selectors.upstream(caller(request).organization_id, upstream_id)
        rows = selectors.deployments(row.organization_id, row.id)
        return paged(request, rows, DeploymentOutput, order=("model", "id"))

    @answers(DeploymentOutput, takes=DeploymentInput)
    @idempotent
    def post(self, request: Request, upstream_id: int) -> Response:
        """Say that the upstream serves a model. Said again of the same model, it replaces what was said."""
        asked, said = caller(request), valid(DeploymentInput, request.data)
        row = services.set_deployment(
            organization_id=asked.organization_id,
            upstream_id=upstream_id,
            draft=DeploymentDraft(**said),
            by=asked.actor,
            at=now(),
        )
        return Response(DeploymentOutput(row).data)


class RemoveDeployment(Resource):
    """The upstream serves this model no more."""

    permission: ClassVar = {"POST": Permission.GATEWAY_MANAGE}

    @answers(takes=Input)
    @idempotent
    def post(self, request: Request, upstream_id: int, deployment_id: int) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        services.remove_deployment(
            organization_id=asked.organization_id,
            upstream_id=upstream_id,
            deployment_id=deployment_id,
            by=asked.actor,
            at=now(),
        )
        return Response({})


class Wishes(Resource):
    """What keys wish of where their calls go, by key."""

    permission: ClassVar = Permission.GATEWAY_MANAGE

    @listed(WishesOutput)
    def get(self, request: Request) -> Response:
        return paged(request, selectors.wishes(caller(request).organization_id), WishesOutput, order=("key_id",))


class WishesOfKey(Resource):
    """What the calls of one key wish. A request may wish more, and never less."""

    permission: ClassVar = Permission.GATEWAY_MANAGE

    @answers(WishesOutput)
    def get(self, request: Request, key_id: int) -> Response:
        return Response(WishesOutput(selectors.wishes_of(caller(request).organization_id, key_id)).data)

    @answers(WishesOutput, takes=WishesInput)
    def put(self, request: Request, key_id: int) -> Response:
        """Wish this, in place of what the key wished before. Gateways hold its calls to it within a second."""
        asked, said = caller(request), valid(WishesInput, request.data)
        row = services.set_wishes(
            organization_id=asked.organization_id,
            key_id=key_id,
            draft=WishesDraft(**said | {"order": tuple(said.get("order", ()))}),
            by=asked.actor,
            at=now(),
        )
        return Response(WishesOutput(row).data)

    @answers(status=204)
    def delete(self, request: Request, key_id: int) -> Response:
        """Wish nothing any more: its calls go where they say themselves."""
        asked = caller(request)
        services.clear_wishes(organization_id=asked.organization_id, key_id=key_id, by=asked.actor, at=now())
        return Response(status=204)

"""Rules of routing over REST: written, reviewed, brought into force, exported; and what they would do with a call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, paged, valid
from finops.orgs.authentication import caller
from finops.orgs.rules import Caller, Permission
from routing.rules import asking, litellm, rules, selectors, services
from routing.rules.api_shapes import (
    DecideInput,
    DecisionOutput,
    ForLiteLLMOutput,
    ImportedOutput,
    ImportInput,
    OrderInput,
    RouteInput,
    RouteOutput,
    RoutingRuleChange,
    RoutingRuleInput,
    RoutingRuleOutput,
    RoutingVersionOutput,
    StageInput,
    SwitchedOffOutput,
)
from routing.rules.hot import Arm
from routing.rules.models import RoutingRule
from routing.rules.parsing import YAML, LargeJSON
from routing.rules.rollout import Stage

_MANAGE: Final = {"GET": Permission.ROUTING_READ} | dict.fromkeys(("POST", "PUT", "DELETE"), Permission.ROUTING_MANAGE)
_RETIRED: Final = OpenApiParameter("retired", bool, description="`true`: those that were retired as well.")
_FILTERS: Final = (
    OpenApiParameter("rule", str, description="A rule's id or name."),
    OpenApiParameter("call_id", str, description="As the client was told it: x-capstan-call."),
    OpenApiParameter("arm", str, enum=[one.value for one in Arm]),
)
_IMPORTED: Final = "Imported."
_OF_QUERY: Final = ("why", "replace", "dry_run", "stage", "held_back")
_LARGEST_ID: Final = 2**31 - 1
LITELLM: Final = "litellm"


def _who(asked: Caller) -> dict[str, Any]:
    return {"organization_id": asked.organization_id, "by": asked.actor, "at": now()}


def _data(request: Request) -> Any:
    """As the parser gave it: an object, or text."""
    return request.data


def _whole(organization_id: int, rule_id: int) -> Response:
    """One rule, with its policy."""
    row = selectors.rule(organization_id, rule_id)
    shown = dict(RoutingRuleOutput(row).data)
    if row.version is not None and row.version.policy is not None:
        shown["rule"] = shown["rule"] | {"policy": row.version.policy}
    return Response(shown)


class RoutingRules(Resource):
    """Rules in the order they are asked, without their policies. The first that matches a call and chooses decides;
    those that only limit hold all together.
    """

    permission: ClassVar = _MANAGE
    parser_classes = (LargeJSON,)

    @listed(RoutingRuleOutput, _RETIRED)
    def get(self, request: Request) -> Response:
        retired = request.query_params.get("retired", "").lower() in {"1", "true"}
        rows = selectors.rules(caller(request).organization_id, retired=retired)
        return paged(request, rows, RoutingRuleOutput, order=("position", "id"))

    @answers(RoutingRuleOutput, takes=RoutingRuleInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """A new rule, behind all others. It holds for calls that begin a second from now."""
        asked, given = caller(request), valid(RoutingRuleInput, request.data)
        rule = rules.read(given.pop("rule"), field="rule")
        saved = services.create_rule(rule=rule, **given, **_who(asked))
        return Response(RoutingRuleOutput(saved.row).data, status=201)


class OneRoutingRule(Resource):
    """One rule, with its policy."""

    permission: ClassVar = _MANAGE
    parser_classes = (LargeJSON,)

    @answers(RoutingRuleOutput)
    def get(self, request: Request, routing_rule_id: int) -> Response:
        return _whole(caller(request).organization_id, routing_rule_id)

    @answers(RoutingRuleOutput, takes=RoutingRuleChange)
    def put(self, request: Request, routing_rule_id: int) -> Response:
        """It says this from now on, at the stage it is in. Saying the same again makes no version."""
        asked, given = caller(request), valid(RoutingRuleChange, request.data)
        rule = rules.read(given.pop("rule"), field="rule")
        services.save_rule(rule_id=routing_rule_id, rule=rule, **given, **_who(asked))
        return _whole(asked.organization_id, routing_rule_id)

    @answers(RoutingRuleOutput)
    def delete(self, request: Request, routing_rule_id: int) -> Response:
        """Retire it: it holds for nobody any more, and its name is free. Its versions stay."""
        asked = caller(request)
        services.retire(rule_id=routing_rule_id, **_who(asked))
        return _whole(asked.organization_id, routing_rule_id)


class VersionsOfRule(Resource):
    """What a rule said and says, and what is proposed, newest first, without policies."""

    permission: ClassVar = {"GET": Permission.ROUTING_READ}

    @listed(RoutingVersionOutput)
    def get(self, request: Request, routing_rule_id: int) -> Response:
        rows = selectors.versions(caller(request).organization_id, routing_rule_id)
        return paged(request, rows, RoutingVersionOutput, order=("-number",))


class ProposalsForRule(Resource):
    """Propose what a rule should say. Whoever manages routing decides."""

    permission: ClassVar = {"POST": Permission.ROUTING_READ}
    parser_classes = (LargeJSON,)

    @answers(RoutingVersionOutput, takes=RoutingRuleChange, status=201)
    @idempotent
    def post(self, request: Request, routing_rule_id: int) -> Response:
        asked, given = caller(request), valid(RoutingRuleChange, request.data)
        rule = rules.read(given.pop("rule"), field="rule")
        version = services.propose_version(rule_id=routing_rule_id, rule=rule, **given, **_who(asked))
        return Response(RoutingVersionOutput(version).data, status=201)


class DecideProposal(Resource):
    """Put a proposal into force, or refuse it."""

    permission: ClassVar = {"POST": Permission.ROUTING_MANAGE}

    @answers(RoutingVersionOutput, takes=DecideInput)
    @idempotent
    def post(self, request: Request, routing_rule_id: int, number: int) -> Response:
        asked, given = caller(request), valid(DecideInput, request.data)
        version = services.decide_proposal(rule_id=routing_rule_id, number=number, **given, **_who(asked))
        return Response(RoutingVersionOutput(version).data)


class StageOfRule(Resource):
    """How far a rule is in force. Who is treated is drawn by session: a share that grows keeps whom it had."""

    permission: ClassVar = {"POST": Permission.ROUTING_MANAGE}

    @answers(RoutingRuleOutput, takes=StageInput)
    @idempotent
    def post(self, request: Request, routing_rule_id: int) -> Response:
        asked, given = caller(request), valid(StageInput, request.data)
        to, who = given.pop("to"), {"rule_id": routing_rule_id} | _who(asked)
        if to == "next":
            services.advance(**who)
        elif to == Stage.PAUSED:
            services.pause(**who)
        elif to == Stage.ROLLED_BACK:
            services.roll_back(**who)
        elif to == "off":
            services.switch_off(**who)
        elif to == "on":
            services.switch_on(**who)
        else:
            services.start_rollout(stage=to, **given, **who)
        row: RoutingRule = selectors.rule(asked.organization_id, routing_rule_id)
        return Response(RoutingRuleOutput(row).data)


class OrderOfRules(Resource):
    """The order in which rules are asked."""

    permission: ClassVar = {"POST": Permission.ROUTING_MANAGE}

    @answers(takes=OrderInput, status=204)
    @idempotent
    def post(self, request: Request) -> Response:
        asked, given = caller(request), valid(OrderInput, request.data)
        services.reorder(rule_ids=given["rules"], **_who(asked))
        return Response(status=204)


class SwitchAllOff(Resource):
    """The kill switch: no rule chooses a model any more, within a second. Limits stay, and so does what is decided for
    sensitive calls: those are switched off one by one.
    """

    permission: ClassVar = {"POST": Permission.ROUTING_MANAGE}

    @answers(SwitchedOffOutput, takes=Input)
    @idempotent
    def post(self, request: Request) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        gone = services.switch_off(**_who(asked))
        return Response({"switched_off": [row.name for row in gone]})


class _Text(BaseRenderer):
    """Text as it is; a problem is JSON all the same."""

    media_type = "application/yaml"
    format = "yaml"
    charset = "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return (data if isinstance(data, str) else json.dumps(data)).encode()


class _ForLiteLLM(_Text):
    """DRF chooses a renderer by the query's `format`, and of one format by what is accepted."""

    format = LITELLM


class _ForLiteLLMAsJSON(JSONRenderer):
    format = LITELLM


class ExportRules(Resource):
    """All rules that are not retired, in their order, as YAML. What is exported is what is imported, to the last bit;
    at which stage rules are is no part of it.

    With `format=litellm` a configuration of LiteLLM: of rules that are in force those that it has words for, each as
    far as it holds. What is not in it is said, rule by rule, with the reason. Where a limit is in force that it could
    not keep, there is none (409).
    """

    permission: ClassVar = {"GET": Permission.ROUTING_READ}
    renderer_classes = (_Text, JSONRenderer, _ForLiteLLM, _ForLiteLLMAsJSON)

    @extend_schema(
        parameters=[OpenApiParameter("format", str, enum=["yaml", LITELLM], description="yaml where unsaid.")],
        responses={(200, "application/yaml"): OpenApiTypes.STR, (200, "application/json"): ForLiteLLMOutput},
    )
    def get(self, request: Request) -> Response:
        organization_id, renderer = caller(request).organization_id, request.accepted_renderer
        if renderer.format != LITELLM:
            return _attached(services.export_document(organization_id=organization_id), "routing-rules.yaml")
        made = services.export_litellm(organization_id=organization_id, at=now())
        if isinstance(renderer, _ForLiteLLM):
            return _attached(litellm.shown(made), "capstan-litellm.yaml")
        said = [one._asdict() for one in made.rules]
        return Response(ForLiteLLMOutput({"config": made.config, "rules": said, "variables": made.variables}).data)


def _attached(text: str, name: str) -> Response:
    return Response(text, headers={"Content-Disposition": f'attachment; filename="{name}"'})


class ImportRules(Resource):
    """Take a document of rules, whole or not at all. As YAML it is the body, and the rest is in the query."""

    permission: ClassVar = {"POST": Permission.ROUTING_MANAGE}
    parser_classes = (LargeJSON, YAML)

    @answers(ImportedOutput, takes=ImportInput)
    @idempotent
    def post(self, request: Request) -> Response:
        asked, said = caller(request), _data(request)
        if isinstance(said, str):
            query = request.query_params
            said = {"document": said} | {name: query[name] for name in _OF_QUERY if name in query}
        given = valid(ImportInput, said)
        done = services.import_document(
            text=given.pop("document"), why=given.pop("why", _IMPORTED), **given, **_who(asked)
        )
        told = [{"name": name, "what": what, "changes": changes} for name, what, changes in done.rules]
        shown = {"dry_run": given.get("dry_run", False), "moved": done.moved, "rules": told}
        return Response(ImportedOutput(shown).data)


class Decisions(Resource):
    """What the rules did with calls, newest first, for 30 days; of those within your reach."""

    permission: ClassVar = {"GET": Permission.ROUTING_READ}

    @listed(DecisionOutput, *_FILTERS)
    def get(self, request: Request) -> Response:
        asked = caller(request)
        given = {name: request.query_params.get(name, "").replace("\0", "") for name in ("rule", "call_id", "arm")}
        rule_id = _rule_id(asked.organization_id, given["rule"]) if given["rule"] else None
        rows = selectors.decisions(
            asked.organization_id, reach=asked.reach, rule_id=rule_id, call_id=given["call_id"], arm=given["arm"]
        )
        return paged(request, rows, DecisionOutput, order=("-at", "-id"))


def _rule_id(organization_id: int, said: str) -> int:
    """Of a rule's id or name. Raises NotFound."""
    if said.isascii() and said.isdigit() and len(said) <= 10 and int(said) <= _LARGEST_ID:
        return selectors.rule(organization_id, int(said)).id
    return selectors.rule_id_of(organization_id, said)


class RouteCall(Resource):
    """What would you do with this call, and why? Answered by what gateways decide with. Nothing of it is kept."""

    permission: ClassVar = {"POST": Permission.ROUTING_READ}
    parser_classes = (LargeJSON,)

    @answers(RouteOutput, takes=RouteInput)
    def post(self, request: Request) -> Response:
        asked, said = caller(request), _data(request)
        if isinstance(said, Mapping) and "calls" in said:
            found = asking.answers(asked.organization_id, asking.read_several(said), now(), batch=True)
            return Response({"answers": found})
        [one] = asking.answers(asked.organization_id, [asking.read_one(said)], now(), batch=False)
        return Response(one)

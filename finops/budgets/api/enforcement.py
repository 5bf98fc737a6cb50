"""How strongly a budget holds, over REST: the keys that are blocked ahead of its limit, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api import paging
from finops.api.idempotency import idempotent
from finops.api.schema import answers, listed
from finops.api.views import Input, Resource, now, valid
from finops.attribution.api.references import Words, ids
from finops.budgets import enforcement, selectors
from finops.budgets.api.budgets import SubjectOutput
from finops.budgets.api.references import Called
from finops.budgets.models import Block, Budget, Enforceable
from finops.budgets.rules.preventive import CONFIDENCE
from finops.budgets.rules.sight import subjects_seen
from finops.budgets.services import enforceables as services
from finops.budgets.types import OWNERS
from finops.ledger.api.shapes import MoneyField, money
from finops.orgs.authentication import caller
from finops.orgs.rules import Permission
from finops.sources import selectors as sources

MOST_BLOCKS: Final = 50


class EnforceableKeyInput(Input):
    source = serializers.CharField(  # type: ignore[assignment]  # a field of the body, not DRF's own
        max_length=80, help_text="The source's slug; its access has to be set."
    )
    external_id = serializers.CharField(
        max_length=200, help_text="The key's id or hash, as the provider shows it; never the key itself."
    )
    dimension = serializers.ChoiceField(choices=list(OWNERS), help_text="Whose spend the key makes: of which kind.")
    owner = serializers.CharField(max_length=80, help_text="Its slug, or our key's prefix.")
    label = serializers.CharField(  # type: ignore[assignment]  # the same
        max_length=200, required=False, default="", allow_blank=True
    )


class EnforceableKeyOutput(serializers.Serializer[Any]):
    """`owner` is a slug, or the prefix of a key of ours."""

    id = serializers.IntegerField()
    source = serializers.CharField()  # type: ignore[assignment]
    external_id = serializers.CharField()
    dimension = serializers.CharField()
    owner = serializers.CharField()
    label = serializers.CharField(allow_blank=True)  # type: ignore[assignment]
    created_at = serializers.DateTimeField()
    archived_at = serializers.DateTimeField(allow_null=True)


class StrengthOutput(serializers.Serializer[Any]):
    """`inline` refuses calls before they are made, `preventive` blocks keys ahead of the limit, `alert` only tells.
    `what` says which of the calls that concern the budget that is; `sources` are the slugs it is true for, where it is
    only for some.
    """

    strength = serializers.ChoiceField(choices=["inline", "preventive", "alert"])
    what = serializers.CharField()
    sources = serializers.ListField(child=serializers.CharField())


class ResidualOutput(serializers.Serializer[Any]):
    """What blocks came to once all was reported: accounts, those that went past their limit, by how much at worst, and
    the share of the limit that was left on average.
    """

    settled = serializers.IntegerField()
    over = serializers.IntegerField()
    worst = MoneyField()
    unused_share = serializers.FloatField(allow_null=True)


class BlockOutput(SubjectOutput):
    """One key blocked ahead of one account's limit. `state` is wanted, blocked, unblock_wanted, unblocked, or failed
    while a person is needed. `spent`, `likely` and `most` are as they were thought to be when it was decided;
    `overshoot` and `unused` are known once all was reported. Who may not manage budgets is not told the key.
    """

    id = serializers.IntegerField()
    key_id = serializers.IntegerField(allow_null=True)
    external_id = serializers.CharField(allow_null=True)
    source = serializers.CharField()  # type: ignore[assignment]
    state = serializers.CharField()
    reason = serializers.CharField()
    limit = MoneyField()
    spent = MoneyField()
    likely = MoneyField()
    most = MoneyField()
    crosses_at = serializers.DateTimeField(allow_null=True)
    wanted_at = serializers.DateTimeField()
    blocked_at = serializers.DateTimeField(allow_null=True)
    found_blocked = serializers.BooleanField()
    unblock_reason = serializers.CharField(allow_blank=True)
    unblocked_at = serializers.DateTimeField(allow_null=True)
    tries = serializers.IntegerField()
    last_error = serializers.CharField(allow_blank=True)
    overshoot = MoneyField(allow_null=True)
    unused = MoneyField(allow_null=True)


class BudgetEnforcementOutput(serializers.Serializer[Any]):
    """How strongly a budget holds. `blocks` are the newest 50 of the accounts that the caller may see."""

    strengths = StrengthOutput(many=True)
    confidence = serializers.FloatField(help_text="How sure the bound is meant to be that keys are blocked by.")
    residual = ResidualOutput()
    blocks = BlockOutput(many=True)


class BudgetEnforcement(Resource):
    """How strongly a budget holds for which calls, and which keys are or were blocked ahead of its limit."""

    permission: ClassVar = {"GET": Permission.BUDGETS_READ}

    @answers(BudgetEnforcementOutput)
    def get(self, request: Request, budget_id: int) -> Response:
        asked = caller(request)
        row, at = selectors.budget_seen(asked, budget_id), now()
        manages = asked.can(Permission.BUDGETS_MANAGE)
        seen = None if manages else subjects_seen(selectors.sight_of(asked), row.scope, row.each)
        left = enforcement.residual(asked.organization_id, row.id, seen)
        blocks = list(enforcement.blocks_of(asked.organization_id, row.id, seen)[:MOST_BLOCKS])
        called = Called(asked.organization_id, subjects=[(row.each, one.subject) for one in blocks])
        said = {
            "strengths": [one._asdict() for one in enforcement.strengths(row, at)],
            "confidence": CONFIDENCE,
            "residual": {**left._asdict(), "worst": money(left.worst)},
            "blocks": [_block(row, one, called, manages=manages) for one in blocks],
        }
        return Response(BudgetEnforcementOutput(said).data)


def _block(budget: Budget, row: Block, called: Called, *, manages: bool) -> dict[str, Any]:
    same = (
        "id", "reason", "crosses_at", "wanted_at", "blocked_at", "found_blocked", "unblock_reason", "unblocked_at",
        "tries", "last_error",
    )  # fmt: skip
    amounts = {"limit": row.limit_amount, "spent": row.spent, "likely": row.likely, "most": row.most}
    later = {"overshoot": row.overshoot, "unused": row.unused}
    return {
        **called.subject(budget.each, row.subject),
        **{name: getattr(row, name) for name in same},
        **{name: money(amount) for name, amount in amounts.items()},
        **{name: None if amount is None else money(amount) for name, amount in later.items()},
        "state": row.shown_state,
        "source": row.enforceable.source.slug,
        "key_id": row.enforceable_id if manages else None,
        "external_id": row.enforceable.external_id if manages else None,
    }


def _shown(organization_id: int, rows: Iterable[Enforceable]) -> list[dict[str, Any]]:
    told = list(rows)
    words = Words(organization_id, [(row.dimension, int(row.subject)) for row in told])
    return [
        dict(
            EnforceableKeyOutput(
                {
                    "id": row.id,
                    "source": row.source.slug,
                    "external_id": row.external_id,
                    "dimension": row.dimension,
                    "owner": words(row.dimension, int(row.subject)),
                    "label": row.label,
                    "created_at": row.created_at,
                    "archived_at": row.archived_at,
                }
            ).data
        )
        for row in told
    ]


class EnforceableKeys(Resource):
    """Keys at providers and proxies that may be blocked ahead of a limit, oldest first."""

    permission: ClassVar = {"GET": Permission.SOURCES_MANAGE, "POST": Permission.SOURCES_MANAGE}

    @listed(EnforceableKeyOutput)
    def get(self, request: Request) -> Response:
        asked = caller(request)
        found = paging.page(enforcement.enforceables(asked.organization_id), request, order=("id",))
        return Response(paging.answer(_shown(asked.organization_id, found.rows), found.next_cursor))

    @answers(EnforceableKeyOutput, takes=EnforceableKeyInput, status=201)
    @idempotent
    def post(self, request: Request) -> Response:
        """Say whose spend a key makes. It is blocked from now on when a hard cap of theirs is about to be passed."""
        asked, said = caller(request), valid(EnforceableKeyInput, request.data)
        made = services.add_enforceable(
            organization_id=asked.organization_id,
            source=sources.source(asked.organization_id, said["source"]),
            external_id=said["external_id"],
            dimension=said["dimension"],
            owner_id=ids(asked.organization_id, said["dimension"], [said["owner"]], field="owner")[0],
            label=said["label"],
            by=asked.actor,
            at=now(),
        )
        return Response(_shown(asked.organization_id, [made])[0], status=201)


class ArchiveEnforceableKey(Resource):
    """The key is blocked no more; should it be blocked now, it is given back."""

    permission: ClassVar = {"POST": Permission.SOURCES_MANAGE}

    @answers(EnforceableKeyOutput, takes=Input)
    @idempotent
    def post(self, request: Request, enforceable_id: int) -> Response:
        asked = caller(request)
        valid(Input, request.data)
        row = services.archive_enforceable(
            organization_id=asked.organization_id, enforceable_id=enforceable_id, by=asked.actor, at=now()
        )
        return Response(_shown(asked.organization_id, [row])[0])

"""What a rule would do to history, told before it is saved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from finops.api.schema import answers
from finops.api.views import Resource, valid
from finops.attribution import selectors as attribution
from finops.attribution.api.rules import RuleChange, read_draft
from finops.attribution.types import DIMENSIONS, Change, Preview
from finops.core.money import from_pico
from finops.core.periods import DayRange
from finops.ingest import services
from finops.ingest.api.rework import PeriodInput, days_of
from finops.ledger import selectors as ledger
from finops.ledger.api import shapes
from finops.ledger.api.shapes import MoneyField, NamedOutput, PeriodOutput
from finops.ledger.selectors import Named
from finops.orgs.authentication import caller
from finops.orgs.rules import PEOPLE_DIMENSIONS, Permission, whole_organization

MOVES_SHOWN: Final = 100
_OWNERS: Final = (*DIMENSIONS, "key")
Moves = dict[tuple[Change, ...], tuple[int, dict[str, int]]]


class PreviewInput(PeriodInput, RuleChange):
    """A rule as `POST attribution-rules` takes it, and the period to try it on."""

    expected_number = None  # type: ignore[assignment]
    rule_id = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        help_text="As the next version of this rule; what is left out is as in its newest.",
    )
    position = serializers.IntegerField(required=False, min_value=1, max_value=2**31 - 1)


class AmountOutput(serializers.Serializer[Any]):
    currency = serializers.CharField()
    amount = MoneyField()


class ChangeOutput(serializers.Serializer[Any]):
    dimension = serializers.CharField()
    before = NamedOutput(allow_null=True)
    after = NamedOutput(allow_null=True)


class MoveOutput(serializers.Serializer[Any]):
    """Charges that change hands alike."""

    changes = ChangeOutput(many=True)
    charges = serializers.IntegerField()
    amounts = AmountOutput(many=True)


class PreviewOutput(serializers.Serializer[Any]):
    """`amounts` are in the reporting currency. `moves` has the most money first, at most 100; `more` is the rest."""

    period = PeriodOutput()
    charges_seen = serializers.IntegerField()
    charges_moved = serializers.IntegerField()
    amounts = AmountOutput(many=True)
    moves = MoveOutput(many=True)
    more = serializers.IntegerField()


class PreviewRule(Resource):
    """What a rule would do to a period's charges. Nothing is saved."""

    permission: ClassVar = {"POST": Permission.ATTRIBUTION_MANAGE}

    @answers(PreviewOutput, takes=PreviewInput)
    def post(self, request: Request) -> Response:
        """At most 100 days. Needs `spend.read` too; without `spend.read_people` changes of people are not told."""
        asked, said = caller(request), valid(PreviewInput, request.data)
        whole_organization(asked)
        period = days_of(said)
        rule_id = said.get("rule_id")
        newest = None
        if rule_id is not None:
            newest = attribution.as_rule(attribution.rule(asked.organization_id, rule_id)).versions[0]
        found = services.preview_rule(
            organization_id=asked.organization_id,
            draft=read_draft(asked.organization_id, said, newest),
            period=period,
            rule_id=rule_id,
            position=said.get("position"),
        )
        return Response(_shown(asked.organization_id, period, found, people=asked.sees_people))


def _shown(organization_id: int, period: DayRange, found: Preview, *, people: bool) -> dict[str, Any]:
    moves = _told(found, people=people)
    listed = sorted(moves, key=lambda changes: (-_largest(moves[changes][1]), repr(changes)))
    shown = listed[:MOVES_SHOWN]
    wanted: dict[str, set[int]] = {}
    for changes in shown:
        for change in changes:
            if change.dimension in _OWNERS:
                wanted.setdefault(change.dimension, set()).update(
                    one for one in (change.before, change.after) if isinstance(one, int)
                )
    called = ledger.named(organization_id, wanted)
    return {
        "period": shapes.period(period),
        "charges_seen": found.charges_seen,
        "charges_moved": found.charges_moved,
        "amounts": _amounts(found.pico),
        "moves": [
            {
                "changes": [_change(change, called) for change in changes],
                "charges": moves[changes][0],
                "amounts": _amounts(moves[changes][1]),
            }
            for changes in shown
        ],
        "more": len(listed) - len(shown),
    }


def _told(found: Preview, *, people: bool) -> Moves:
    """The moves by their changes; for who may not see people those of people are left out, and what is then alike is
    one: apart, the amounts would tell.
    """
    charges: dict[tuple[Change, ...], int] = defaultdict(int)
    pico: dict[tuple[Change, ...], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for move in found.moves:
        changes = tuple(one for one in move.changes if people or one.dimension not in PEOPLE_DIMENSIONS)
        charges[changes] += move.charges
        for currency, amount in move.pico.items():
            pico[changes][currency] += amount
    return {changes: (count, dict(pico[changes])) for changes, count in charges.items()}


def _largest(pico: Mapping[str, int]) -> int:
    return max(map(abs, pico.values()), default=0)


def _change(change: Change, called: Mapping[str, Mapping[int, Named]]) -> dict[str, Any]:
    def whose(value: int | str) -> dict[str, Any] | None:
        if not value:
            return None
        if isinstance(value, str):
            return shapes.named(Named(0, value, value))
        return shapes.named(called[change.dimension][value])

    return {"dimension": change.dimension, "before": whose(change.before), "after": whose(change.after)}


def _amounts(pico: Mapping[str, int]) -> list[dict[str, str]]:
    return [{"currency": currency, "amount": shapes.money(from_pico(pico[currency]))} for currency in sorted(pico)]

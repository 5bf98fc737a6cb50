"""What requests and answers about months say."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from finops.api.views import Input
from finops.ledger.api.shapes import MoneyField, NamedOutput
from finops.months.rules import LONGEST_REASON
from finops.months.selectors import OWNERS
from finops.months.types import Check, State


class MonthOutput(serializers.Serializer[Any]):
    """In the reporting currency. `spent` is what the ledger holds of the month now. Of a closed month that is `stated`
    by its own statement, `later` by those after it, and `late`, which no statement says yet. `carried_in` is what its
    own statement says of months before it. `may_close` and `may_reopen` are of the order of months.
    """

    month = serializers.CharField()
    state = serializers.ChoiceField(choices=[one.value for one in State])
    currency = serializers.CharField()
    spent = MoneyField()
    stated = MoneyField()
    later = MoneyField()
    late = MoneyField()
    carried_in = MoneyField()
    may_close = serializers.BooleanField()
    may_reopen = serializers.BooleanField()


class MonthsOutput(serializers.Serializer[Any]):
    months = MonthOutput(many=True)


class CheckOutput(serializers.Serializer[Any]):
    """Nothing is open where `count` is 0; it is of days, feeds, records, calls or jobs. `about` names some providers,
    sources or kinds of job.
    """

    check = serializers.ChoiceField(choices=[one.value for one in Check])
    count = serializers.IntegerField()
    amount = MoneyField(allow_null=True)
    about = serializers.ListField(child=serializers.CharField())


class ClosingOutput(serializers.Serializer[Any]):
    """`still_open` is what was, and `reason` why the month was closed all the same. `reopened_at` is null while it
    stands. Amounts are of the month itself, and of earlier ones that it carries.
    """

    closed_at = serializers.DateTimeField()
    closed_by = serializers.CharField()
    reason = serializers.CharField(allow_blank=True)
    still_open = CheckOutput(many=True)
    charges = serializers.IntegerField()
    amount = MoneyField()
    carried_charges = serializers.IntegerField()
    carried = MoneyField()
    reopened_at = serializers.DateTimeField(allow_null=True)
    reopened_by = serializers.CharField(allow_blank=True)
    reopened_why = serializers.CharField(allow_blank=True)


class OwnerChangeOutput(serializers.Serializer[Any]):
    """`person` is null for whoever may not see people."""

    team = NamedOutput()
    project = NamedOutput()
    person = NamedOutput(allow_null=True)
    charges = serializers.IntegerField()
    amount = MoneyField()


class SourceChangeOutput(serializers.Serializer[Any]):
    source = NamedOutput()  # type: ignore[assignment]  # a field of ours, named as one of DRF's own
    charges = serializers.IntegerField()
    amount = MoneyField()


class LateOutput(serializers.Serializer[Any]):
    """Changes that no statement says yet, the largest first. `charges` are lines of the ledger, reversals too. `moved`
    is how much is charged otherwise than it was stated: a change of owner moves money and sums to nothing.
    """

    charges = serializers.IntegerField()
    amount = MoneyField()
    moved = MoneyField()
    by_source = SourceChangeOutput(many=True)
    by_owner = OwnerChangeOutput(many=True)
    more_owners = serializers.IntegerField(help_text="Beyond those that are listed.")


class CarriedOutput(serializers.Serializer[Any]):
    month = serializers.CharField(help_text="Whose statement it is.")
    charges = serializers.IntegerField()
    amount = MoneyField()


class OneMonthOutput(MonthOutput):
    """`checklist` is as it is now. `closing` stands, `taken_back` do not. `late_changes` came of this month after it
    was closed, and no statement says them; `carried_by` says the rest. `to_carry` is what the statement of this month
    will say of earlier ones, where it is the next to be closed.
    """

    checklist = CheckOutput(many=True)
    closing = ClosingOutput(allow_null=True)
    taken_back = ClosingOutput(many=True)
    late_changes = LateOutput()
    carried_by = CarriedOutput(many=True)
    to_carry = LateOutput()


class CloseInput(Input):
    reason = serializers.CharField(
        max_length=LONGEST_REASON, required=False, allow_blank=True, default="",
        help_text="Needed where something is open.",
    )  # fmt: skip


class ReopenInput(Input):
    reason = serializers.CharField(max_length=LONGEST_REASON)


class StatementRowOutput(serializers.Serializer[Any]):
    """`of_month` is another month where it is a late change. `effective_cost` is in `currency`."""

    of_month = serializers.CharField()
    owner = NamedOutput()
    category = serializers.CharField()
    charges = serializers.IntegerField()
    calls = serializers.IntegerField()
    currency = serializers.CharField()
    effective_cost = MoneyField()
    reporting_cost = MoneyField()


class StatementOutput(serializers.Serializer[Any]):
    """`amount` is of the month, `carried` of earlier ones: what is charged is both."""

    month = serializers.CharField()
    currency = serializers.CharField()
    amount = MoneyField()
    carried = MoneyField()
    by = serializers.ChoiceField(choices=list(OWNERS))
    rows = StatementRowOutput(many=True)
    more_rows = serializers.IntegerField(help_text="Beyond those that are listed; the CSV has all.")

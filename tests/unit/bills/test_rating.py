"""What a month would have come to: moved, at other prices, without a maker, on a plan, and all at one model."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.pricing.types import RateFact
from routing.bills import rating, rules
from routing.bills.rules import QuestionInvalid
from routing.bills.types import Basis, Bill, Change, Drop, Line, Mix, Move, Offer, Plan, Reprice
from tests.factories.bills import CLAUDE, DAY, GPT, MINI, line, mix, prices, register
from tests.factories.pricing import steps, terms

OFFERS = [GPT, MINI, CLAUDE]
NOWHERE = Offer(model="never-heard-of", provider="openai")

lines = st.builds(
    line,
    st.sampled_from(OFFERS),
    read=st.integers(0, 10**9),
    cached=st.integers(0, 10**9),
    written=st.integers(0, 10**8),
    calls=st.integers(1, 10**6),
    day=st.integers(1, 31).map(lambda day: date(2026, 10, day)),
    # What was really paid: a discount, fees, a tier of service; or what the book says.
    spend=st.none() | st.decimals(0, 10**9, places=12, allow_nan=False),
    task_type=st.sampled_from(["", "triage", "review"]),
    unpriced=st.just(False),
)
months = st.lists(lines, max_size=12).map(lambda some: mix(*some))


def vendor(model: str, provider: str) -> str:
    return register().of(model, provider).vendor or provider


def asked(found: Mix, *changes: Change, **given: Any) -> Bill:
    return rating.what_if(found, rules.check(changes), prices(), vendor_of=vendor, **given)


def the_sum(found: Mix) -> Decimal:
    return sum((one.spend for one in found.lines), Decimal(0))


@given(months)
def test_no_change_is_the_bill_exactly(found: Mix) -> None:
    for changes in (
        [Reprice(model="gpt")],
        [Reprice(model="nobody-uses", read=Decimal(50))],
        [Move(model="nobody-uses", to=GPT)],
        [Drop(vendor="nobody", otherwise=GPT)],
        [Plan(fee=Decimal(0), percent=Decimal(0), vendor="openai")],
    ):
        bill = asked(found, *changes)
        assert bill.before == bill.after == the_sum(found)
        assert bill.unpriced == 0


@given(st.lists(lines.filter(lambda one: one.model == "gpt"), max_size=8), st.lists(lines, max_size=8))
def test_all_at_the_only_model_there_is_is_the_bill(only: list[Line], more: list[Line]) -> None:
    bill = rating.all_at(mix(*only), GPT, prices())
    assert bill.before == bill.after == the_sum(mix(*only))
    assert bill.difference == 0
    # With others, their calls alone change it.
    mixed = rating.all_at(mix(*only, *more), GPT, prices())
    own = [row for row in mixed.rows if row.model == "gpt"]
    assert all(row.before == row.after for row in own)


@given(months, st.sampled_from(OFFERS), st.sampled_from(OFFERS))
def test_rows_add_up_to_the_bill(found: Mix, one: Offer, other: Offer) -> None:
    if one == other:
        return
    bill = asked(found, Move(model=one.model, to=other), Plan(fee=Decimal(7), percent=Decimal(10), model=other.model))
    assert bill.before == sum((row.before for row in bill.rows), Decimal(0)) == the_sum(found)
    assert bill.after == sum((row.after or Decimal(0) for row in bill.rows), bill.fees)
    assert sum(row.calls for row in bill.rows) == sum(row.calls for row in found.lines)


def test_a_move_is_at_the_other_models_prices() -> None:
    # 1,000 read and 100 written: 0.012 at gpt, 0.0012 at gpt-mini.
    bill = asked(mix(line(), line(task_type="review"), line(CLAUDE)), Move(model="gpt", to=MINI, task_type="review"))
    moved, *rest = bill.rows
    assert (moved.model, moved.to_model, moved.basis, moved.before, moved.after) == (
        "gpt", "gpt-mini", Basis.PRICES, Decimal("0.012"), Decimal("0.0012"),
    )  # fmt: skip
    assert {(row.model, row.to_model, row.before == row.after) for row in rest} == {
        ("gpt", "gpt", True), ("claude", "claude", True),
    }  # fmt: skip
    assert bill.difference == Decimal("-0.0108")
    assert rating.TOKENS in bill.notes


def test_a_move_of_a_project_leaves_the_others() -> None:
    bill = asked(mix(line(project_id=3), line(project_id=4)), Move(model="gpt", to=MINI, project_id=3))
    assert bill.after == Decimal("0.0132")


def test_what_was_really_paid_is_kept_in_proportion() -> None:
    """Half of the list, as a batch costs: the same half there."""
    bill = asked(mix(line(spend=Decimal("0.006"))), Move(model="gpt", to=MINI))
    assert bill.after == Decimal("0.0006")
    # What was had for nothing, and what has no price of its own, is at the price there.
    free = asked(mix(line(spend=Decimal(0))), Move(model="gpt", to=MINI))
    unheard = asked(mix(line(NOWHERE, spend=Decimal(5))), Move(model=NOWHERE.model, to=MINI))
    assert free.after == unheard.after == Decimal("0.0012")


def test_what_was_agreed_counts_on_both_sides() -> None:
    half = terms(kind="discount", percent=Decimal(50), model="gpt-mini")
    bill = rating.what_if(mix(line()), [Move(model="gpt", to=MINI)], prices(half), vendor_of=vendor)
    assert bill.after == Decimal("0.0006")


def test_a_price_nobody_knows_is_a_state_and_in_no_difference() -> None:
    bill = asked(mix(line(), line(CLAUDE, spend=Decimal(1))), Move(model="gpt", to=NOWHERE))
    row = bill.rows[0]
    assert (row.after, row.unpriced, row.before) == (None, Decimal("0.012"), Decimal("0.012"))
    assert "never-heard-of" in row.why
    assert (bill.after, bill.unpriced) == (Decimal(1), Decimal("0.012"))
    assert bill.difference == 0
    assert rating.UNPRICED in bill.notes


def test_what_had_no_price_to_begin_with_is_counted_and_not_compared() -> None:
    bill = asked(mix(line(unpriced=True, spend=Decimal(0), calls=9)), Move(model="gpt", to=MINI))
    assert bill.before == bill.after == bill.difference == 0
    assert bill.unpriced_calls == 9


def test_cached_tokens_of_a_model_without_a_cache_price_are_read_as_others() -> None:
    bill = asked(mix(line(read=0, cached=1_000_000, written=0, spend=Decimal(1))), Move(model="gpt", to=MINI))
    assert bill.after == Decimal(1)


def test_prices_change_by_meter() -> None:
    one = line(read=1_000_000, cached=1_000_000, written=1_000_000)  # 10 + 1 + 20
    assert one.spend == 31
    bill = asked(mix(one), Reprice(model="gpt", read=Decimal(-50), cached=Decimal(100), written=Decimal("12.5")))
    assert bill.after == Decimal(5) + 2 + Decimal("22.5")
    assert asked(mix(one), Reprice(model="gpt", provider="azure", read=Decimal(-50))).after == 31
    # Of what is moved there, too.
    both: list[Change] = [Move(model="claude", to=GPT), Reprice(model="gpt", read=Decimal(-100), cached=Decimal(-100))]
    assert asked(mix(line(CLAUDE)), *both).after == Decimal("0.002")


def test_without_a_maker_each_model_has_its_substitute_or_none() -> None:
    found = mix(line(CLAUDE), line(Offer(model="claude-2", provider="anthropic"), spend=Decimal(2)), line())
    bill = asked(found, Drop(vendor="anthropic", instead={"claude": MINI}))
    told = {row.model: row for row in bill.rows}
    assert told["claude"].after == Decimal("0.0012")
    assert told["claude-2"].after is None
    assert told["claude-2"].unpriced == 2
    assert told["gpt"].after == told["gpt"].before
    whole = asked(found, Drop(vendor="anthropic", instead={"claude": MINI}, otherwise=GPT))
    assert whole.unpriced == 0


def test_a_plan_takes_off_its_percents_and_costs_its_fee() -> None:
    found = mix(line(spend=Decimal(100)), line(MINI, spend=Decimal(10)), line(CLAUDE, spend=Decimal(1)))
    bill = asked(found, Plan(fee=Decimal(20), percent=Decimal(30), vendor="openai"))
    assert (bill.before, bill.after, bill.fees) == (Decimal(111), Decimal(70 + 7 + 1 + 20), Decimal(20))
    first = asked(
        found,
        Plan(fee=Decimal(0), percent=Decimal(50), model="gpt"),
        Plan(fee=Decimal(0), percent=Decimal(10), vendor="openai"),
    )
    assert first.after == 50 + 9 + 1


def test_what_was_measured_goes_before_prices_and_says_so() -> None:
    measured = {("triage", "gpt", "gpt-mini"): 0.25}
    bill = asked(mix(line(task_type="triage"), line(task_type="review")), Move(model="gpt", to=MINI), measured=measured)
    assert {row.basis: row.after for row in bill.rows} == {
        Basis.MEASURED: Decimal("0.003"), Basis.PRICES: Decimal("0.0012"),
    }  # fmt: skip
    assert rating.MEASURED in bill.notes


def test_all_at_one_model_leaves_what_writes_nothing() -> None:
    embedding = line(Offer(model="embed", provider="openai"), written=0, spend=Decimal(3))
    shared = line(Offer(model="", provider=""), read=0, written=0, spend=Decimal(4))
    bill = rating.all_at(mix(embedding, shared, line(MINI)), GPT, prices())
    assert bill.after == 7 + Decimal("0.012")
    assert rating.TWICE in bill.notes


def test_the_reporting_currency_is_that_of_both_sides() -> None:
    """A euro is two dollars; the model of our own is priced in euros."""
    own = terms(
        kind="custom", provider="ours", model="local", currency="EUR",
        steps=(steps(input_uncached="1", cache_read="1", output_text="2"),),
    )  # fmt: skip
    facts = [RateFact("EUR", "USD", DAY, Decimal(2), own=True)]
    to = Offer(model="local", provider="ours")
    bill = rating.what_if(mix(line()), [Move(model="gpt", to=to)], prices(own, facts=facts), vendor_of=vendor)
    assert bill.after == Decimal("0.0024")
    unknown = rating.what_if(mix(line()), [Move(model="gpt", to=to)], prices(own), vendor_of=vendor)
    assert unknown.rows[0].after is None


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("changes", []),
        ("changes", [Reprice(model="gpt")] * 21),
        ("changes[0].to", [Move(model="gpt", to=Offer(model="gpt"))]),
        ("changes[0].model", [Move(model="", to=GPT)]),
        ("changes[1].read", [Reprice(model="gpt"), Reprice(model="gpt", read=Decimal(-101))]),
        ("changes[0].otherwise", [Drop(vendor="openai")]),
        ("changes[0].vendor", [Drop(vendor="", otherwise=GPT)]),
        ("changes[0].vendor", [Plan(fee=Decimal(0), percent=Decimal(0))]),
        ("changes[0].vendor", [Plan(fee=Decimal(0), percent=Decimal(0), vendor="a", model="b")]),
        ("changes[0].percent", [Plan(fee=Decimal(0), percent=Decimal(101), vendor="a")]),
        ("changes[0].fee", [Plan(fee=Decimal(-1), percent=Decimal(0), vendor="a")]),
    ],
)
def test_what_cannot_be_asked(field: str, wrong: list[Change]) -> None:
    with pytest.raises(QuestionInvalid) as refused:
        rules.check(wrong)
    assert refused.value.field == field


def test_a_month_is_named_or_the_last_that_is_over() -> None:
    today = date(2026, 1, 15)
    assert rules.month_of("", today) == date(2025, 12, 1)
    assert rules.month_of("2026-01", today) == date(2026, 1, 1)
    for wrong in ("2026-02", "2026-13", "2026", "٢٠٢٦-01", "1999-01"):
        with pytest.raises(QuestionInvalid):
            rules.month_of(wrong, today)

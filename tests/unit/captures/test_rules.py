"""What may be said of captures, in fields and in words; which calls are chosen; what is sealed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from finops.core.sealing import CannotOpen
from routing.captures.hot import WHOLE, chosen, open_sealed, seal, sealer
from routing.captures.rules import CapturingInvalid, check, in_words
from routing.captures.types import OFF, Capturing
from tests.factories.captures import PROMPT, exchange
from tests.factories.orgs import NOON

ON = Capturing(is_on=True, share=Decimal("2.50"))
OLD, NEW = "the secret of last year", "the secret of this year"


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"share": Decimal("100.01")}, "share"),
        ({"share": Decimal(-1)}, "share"),
        ({"share": Decimal("0.001")}, "share"),
        ({"share": Decimal("NaN")}, "share"),
        ({"days_kept": 0}, "days_kept"),
        ({"days_kept": 31}, "days_kept"),
        ({"most_a_day": 10_001}, "most_a_day"),
        ({"most_kib": 15}, "most_kib"),
        ({"most_kib": 1_025}, "most_kib"),
        ({"task_types": tuple(f"t{n}" for n in range(51))}, "task_types"),
        ({"task_types": ("two\nlines",)}, "task_types"),
        ({"project_ids": tuple(range(1, 52))}, "projects"),
    ],
)
def test_what_cannot_be_said_names_its_field(said: dict[str, Any], field: str) -> None:
    with pytest.raises(CapturingInvalid) as refused:
        check(replace(ON, **said))
    assert refused.value.field == field


def test_it_is_kept_in_order_and_once() -> None:
    said = check(replace(ON, share=Decimal("2.5"), task_types=(" b", "a", "a", ""), project_ids=(2, 1, 2)))
    assert said == replace(ON, task_types=("a", "b"), project_ids=(1, 2))


def test_it_says_plainly_what_is_stored_for_how_long_and_who_reads_it() -> None:
    assert in_words(OFF) == "Off: no prompt and no answer is stored."
    said = in_words(ON)
    for part in ("2.5 % of calls through", "stored sealed", "256 KiB", "1,000 calls a day", "after 7 days", "audit"):
        assert part in said
    few = in_words(replace(ON, days_kept=1, task_types=("triage",), project_ids=(1, 2)), ["Answers", "Chat"])
    assert "calls of the task type triage and of the projects Answers, Chat through" in few
    assert "after 1 day." in few


def test_a_share_of_calls_is_chosen_by_their_ids_and_a_larger_one_has_them_all() -> None:
    ids = [f"{number:024x}" for number in range(2_000)]
    tenth = {one for one in ids if chosen(one, WHOLE // 10)}
    assert 120 <= len(tenth) <= 280
    assert tenth == {one for one in ids if chosen(one, WHOLE // 10)} <= {one for one in ids if chosen(one, WHOLE // 5)}
    assert all(chosen(one, WHOLE) for one in ids)
    assert not any(chosen(one, 0) for one in ids)


def test_contents_open_through_a_change_of_the_secret_and_for_nobody_else() -> None:
    said = exchange("a" * 24, at=NOON, body=bytes(range(256)))
    sealed = seal(sealer([OLD], 1), said)
    assert PROMPT.encode() not in sealed
    assert open_sealed(sealer([NEW, OLD], 1), sealed, "a" * 24) == said
    for with_, call_id in ((sealer([NEW], 1), "a" * 24), (sealer([OLD], 2), "a" * 24), (sealer([OLD], 1), "b" * 24)):
        with pytest.raises(CannotOpen):
            open_sealed(with_, sealed, call_id)

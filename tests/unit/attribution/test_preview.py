"""What a rule would move, told before it is saved."""

from __future__ import annotations

from finops.attribution.rules import PreviewRow, attribute, preview, with_rule
from finops.attribution.types import Change, Move, Owner
from finops.connectors.types import UsageEvent
from tests.unit.attribution.cast import ALICE, CHAT, GATEWAY, SEARCH, SUPPORT, acme, call, rule

PICO = 10**12
NOBODY = Owner(0, 0, 0, 0, 0, 0, "", ())


def row(
    event: UsageEvent, pico: int, currency: str = "USD", owner: Owner | None = None, charges: int = 1
) -> PreviewRow:
    return PreviewRow(event, GATEWAY, owner or attribute(acme(), event, GATEWAY), currency, pico, charges)


def test_it_says_how_much_would_move_from_whom_to_whom() -> None:
    before = acme()
    after = with_rule(before, rule(1, ("model", "starts_with", ("gpt-",)), project=SUPPORT))
    seen = preview(
        before,
        after,
        [
            row(call(), 12_340 * PICO),
            row(call(), 60 * PICO, "EUR", charges=3),
            row(call(person="alice"), 5 * PICO),
            row(call(model="claude-opus-4"), 99 * PICO),
        ],
    )
    assert (seen.charges_seen, seen.charges_moved) == (6, 5)
    assert seen.pico == {"USD": 12_345 * PICO, "EUR": 60 * PICO}
    assert seen.moves == (
        # Nobody's becomes Chat's, because Support is Chat's.
        Move((Change("team", 0, CHAT), Change("project", 0, SUPPORT)), 4, {"USD": 12_340 * PICO, "EUR": 60 * PICO}),
        # Alice's stays Search's, and joins the project.
        Move((Change("project", 0, SUPPORT),), 1, {"USD": 5 * PICO}),
    )


def test_what_the_rule_does_not_touch_is_not_its_doing() -> None:
    before = acme()
    after = with_rule(before, rule(1, ("model", "is", ("o3",)), team=CHAT))
    # Booked to nobody before Alice's identity was known; the draft has nothing to do with it.
    stale = row(call(identities=(("email", "alice@acme.test"),)), PICO, owner=NOBODY)
    assert preview(before, after, [stale]).charges_moved == 0


def test_what_is_there_already_does_not_move() -> None:
    before = acme()
    after = with_rule(before, rule(1, team=CHAT))
    there = attribute(after, call(), GATEWAY)
    assert preview(before, after, [row(call(), PICO, owner=there)]).moves == ()


def test_a_changed_task_type_is_a_move_too() -> None:
    before = acme()
    after = with_rule(before, rule(1, task_type="chat"))
    seen = preview(before, after, [row(call(person="alice"), PICO)])
    assert seen.moves == (Move((Change("task_type", "", "chat"),), 1, {"USD": PICO}),)
    assert attribute(after, call(person="alice"), GATEWAY)[:2] == (SEARCH, ALICE)


def test_nothing_seen_nothing_moved() -> None:
    empty = preview(acme(), acme(), [])
    assert (empty.charges_seen, empty.charges_moved, empty.pico, empty.moves) == (0, 0, {}, ())

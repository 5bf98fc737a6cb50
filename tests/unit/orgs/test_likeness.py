"""Whom a name may be: said where one person is alike, and not where it would be a guess."""

from __future__ import annotations

import pytest

from finops.orgs.likeness import Known, Likeness

PEOPLE = (
    Known(1, "Alice B", ("alice@acme.example",)),
    Known(2, "Bob Stone", ("bob.stone@acme.example", "bobby-codes")),
    Known(3, "José Núñez"),
    Known(4, "Sam Lee", ("sam@acme.example",)),
    Known(5, "Sam Long", ("sam@globex.example",)),
    Known(6, "Ann", ("admin@acme.example",)),
)


def suggested(value: str) -> int | None:
    found = Likeness(PEOPLE).suggest(value)
    return None if found is None else found.person_id


@pytest.mark.parametrize(
    ("value", "person"),
    [
        ("ALICE@Acme.Example", 1),
        ("alice+claude@acme.example", 1),
        ("alice.b@gmail.example", 1),
        ("b.alice@gmail.example", 1),
        ("Alice B", 1),
        ("bob-stone", 2),
        ("bob.stone@private.example", 2),
        ("bstone", 2),
        ("bob.s@private.example", 2),
        ("Bobby-Codes", 2),
        ("jose.nunez@acme.example", 3),
        ("jnunez", 3),
        ("sam@acme.example", 4),
        ("sam+ci@globex.example", 5),
        ("sam.long", 5),
    ],
)
def test_a_name_that_is_like_one_person_is_suggested(value: str, person: int) -> None:
    assert suggested(value) == person


@pytest.mark.parametrize(
    "value",
    [
        "sam@elsewhere.example",  # Two are called so.
        "sam.l",
        "admin@elsewhere.example",
        "carol@acme.example",
        "al@acme.example",
        "12345",
        "user_01HXYZ",
        "@acme.example",
        "+ci@acme.example",
        "@",
        "",
        "…",
    ],
)
def test_a_name_that_may_be_nobodys_or_two_peoples_is_not(value: str) -> None:
    assert suggested(value) is None


def test_one_of_the_same_address_goes_before_two_of_the_same_name() -> None:
    people = [Known(1, "Eve Fox", ("eve@a.example",)), Known(2, "Eve Fox"), Known(3, "Eve Fox", ("eve@b.example",))]
    alike = Likeness(people)
    found = alike.suggest("eve+x@b.example")
    assert found is not None
    assert (found.person_id, found.reason) == (
        3,
        "The same address as eve@b.example, but for case or what follows a plus.",
    )
    assert alike.suggest("eve.fox") is None


def test_the_reason_says_what_it_is_like() -> None:
    reasons = [Likeness(PEOPLE).suggest(value) for value in ("bob.stone", "alice_b", "jnunez")]
    assert [found.reason for found in reasons if found] == [
        "It reads like bob.stone@acme.example, which is theirs.",
        "It is their name, Alice B.",
        "It is their name, José Núñez, shortened.",
    ]

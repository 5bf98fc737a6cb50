"""Which upstream has what a call goes on from."""

from __future__ import annotations

import pytest

from routing.gateway.proxy import whereabouts
from routing.gateway.proxy.whereabouts import Whereabouts

ACME, GLOBEX = 1, 2


def test_an_organization_is_told_of_its_own() -> None:
    known = Whereabouts()
    known.seen(ACME, "resp_1", 7)
    assert [known.of(ACME, "resp_1"), known.of(GLOBEX, "resp_1"), known.of(ACME, "resp_2")] == [7, 0, 0]
    known.seen(ACME, "resp_1", 8)
    assert known.of(ACME, "resp_1") == 8


def test_what_has_no_id_is_not_remembered_and_long_ones_are_as_answers_are_read() -> None:
    known = Whereabouts()
    known.seen(ACME, "", 7)
    assert known.of(ACME, "") == 0
    known.seen(ACME, "r" * 300, 7)
    assert known.of(ACME, "r" * 400) == 7


def test_what_was_not_heard_of_for_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whereabouts, "MOST_KNOWN", 2)
    known = Whereabouts()
    for name in ("resp_1", "resp_2", "resp_1", "resp_3"):
        known.seen(ACME, name, 7)
    assert [known.of(ACME, f"resp_{n}") for n in (1, 2, 3)] == [7, 0, 7]

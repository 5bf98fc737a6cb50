"""Secrets at rest, through a change of the house's own secret."""

from __future__ import annotations

import pytest

from finops.core.sealing import CannotOpen, Sealer

OLD, NEW = "the secret of last year", "the secret of this year"


def test_what_is_sealed_opens_and_shows_nothing() -> None:
    sealer = Sealer([NEW], purpose="tests")
    sealed = sealer.seal("sk-secret")
    assert b"sk-secret" not in sealed
    assert sealer.open(memoryview(sealed)) == "sk-secret"
    assert sealer.seal("sk-secret") != sealed


def test_what_was_sealed_under_a_former_secret_opens_while_that_is_named() -> None:
    sealed = Sealer([OLD], purpose="tests").seal("sk-secret")
    assert Sealer([NEW, OLD], purpose="tests").open(sealed) == "sk-secret"
    with pytest.raises(CannotOpen):
        Sealer([NEW], purpose="tests").open(sealed)


def test_what_was_sealed_for_something_else_does_not_open() -> None:
    with pytest.raises(CannotOpen):
        Sealer([NEW], purpose="tests").open(Sealer([NEW], purpose="others").seal("sk-secret"))


def test_bytes_that_are_no_text_come_back_as_they_were() -> None:
    raw = bytes(range(256))
    assert Sealer([NEW, OLD], purpose="tests").open_bytes(Sealer([OLD], purpose="tests").seal_bytes(raw)) == raw

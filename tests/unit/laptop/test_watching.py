"""A saved file is told once, when it lies still."""

from __future__ import annotations

from pathlib import Path

from routing.laptop.watching import Watched


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_file_is_told_once_it_was_saved_and_lies_still(tmp_path: Path) -> None:
    clock, file = Clock(), tmp_path / "capstan.toml"
    file.write_text("one")
    watched = Watched(file, clock)

    def looks() -> bool:
        clock.now += 1
        return watched.saved()

    assert not looks()
    file.write_text("half of")
    assert not looks()
    file.write_text("half of two")
    assert not looks()
    # Not more often than once a second.
    assert not watched.saved()
    assert looks()
    assert not looks()
    # Gone is a change too: it cannot be read then, and what it said stays.
    file.unlink()
    assert [looks(), looks(), looks()] == [False, True, False]

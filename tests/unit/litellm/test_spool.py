"""Nothing that has to reach Capstan is lost between two processes, and nothing grows for ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from capstan_litellm.spool import Full, Spool

MESSAGE: dict[str, Any] = {"do": "settle", "authorization": "a-1", "body": {"usage": {"input_tokens": 1}}}
OTHERWISE: dict[str, Any] = {"do": "settle", "authorization": "a-1", "body": {"estimated": True}}


def spool(folder: Path, most: int = 10**6) -> Spool:
    return Spool(folder, most)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))


def test_what_was_sent_and_not_told_is_taken_over(tmp_path: Path) -> None:
    dead = spool(tmp_path)
    dead.open("1", OTHERWISE)
    dead.send("1", MESSAGE).result(10)
    dead.open("2", OTHERWISE)
    dead.open("3", OTHERWISE)
    dead.send("3", MESSAGE).result(10)
    dead.done("3")
    dead.close()
    heir = spool(tmp_path)
    assert heir.adopt() == {"1": MESSAGE, "2": OTHERWISE}
    assert heir.unsent() == {"1": MESSAGE, "2": OTHERWISE}
    assert len(files(tmp_path)) == 1
    assert heir.adopt() == {}
    heir.close()


def test_a_living_process_keeps_its_own(tmp_path: Path) -> None:
    alive, other = spool(tmp_path), spool(tmp_path)
    alive.send("1", MESSAGE).result(10)
    assert other.adopt() == {}
    alive.done("1")
    for one in (alive, other):
        one.close()
    assert files(tmp_path) == []


def test_a_torn_last_line_is_not_in_the_way(tmp_path: Path) -> None:
    dead = spool(tmp_path)
    dead.send("1", MESSAGE).result(10)
    dead.close()
    with files(tmp_path)[0].open("ab") as file:
        file.write(b'["send","2",{"do":"set')
    heir = spool(tmp_path)
    assert heir.adopt() == {"1": MESSAGE}
    heir.done("1")
    heir.close()


def test_whoever_stops_waiting_does_not_stop_the_writer(tmp_path: Path) -> None:
    one = spool(tmp_path)
    one.send("1", MESSAGE).cancel()
    one.send("2", MESSAGE).result(10)
    for call in ("1", "2"):
        one.done(call)
    one.close()


def test_it_is_written_anew_when_most_of_it_is_told(tmp_path: Path) -> None:
    one = spool(tmp_path, 10**9)
    large = {**MESSAGE, "body": {"usage": "x" * 50_000}}
    one.send("kept", MESSAGE).result(10)
    for number in range(100):
        one.send(str(number), large).result(10)
        one.done(str(number))
    (path,) = files(tmp_path)
    assert path.stat().st_size < 2_000_000
    one.close()
    heir = spool(tmp_path)
    heir.adopt()
    assert heir.unsent() == {"kept": MESSAGE}
    heir.done("kept")
    heir.close()


def test_no_call_is_begun_when_too_much_is_waiting(tmp_path: Path) -> None:
    one = spool(tmp_path, 200)
    one.room()
    one.send("1", {**MESSAGE, "body": {"usage": "x" * 300}}).result(10)
    with pytest.raises(Full):
        one.room()
    one.done("1")
    one.room()
    one.close()


def test_what_capstan_will_never_take_is_kept_for_a_person(tmp_path: Path) -> None:
    one = spool(tmp_path)
    one.send("1", MESSAGE).result(10)
    one.reject("1", MESSAGE, "404 budgets.not_open")
    assert one.unsent() == {}
    (line,) = (tmp_path / "rejected.jsonl").read_text().splitlines()
    assert json.loads(line)["why"] == "404 budgets.not_open"
    one.close()

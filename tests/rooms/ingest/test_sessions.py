"""One engineer starts alone: what coding agents keep on this machine, read without anything configured."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from finops.connectors.sessions.shared import Owner
from finops.ingest.sessions import AGENTS, Follower
from tests.factories.ledger import Book, event, rows
from tests.factories.orgs import Cast

# A thousand tokens at 3 dollars a million, and a hundred at 15.
COST = Decimal("0.0045")


def line(message: str, *, output: int = 100) -> str:
    usage = {"input_tokens": 1_000, "output_tokens": output}
    said = {
        "type": "assistant", "timestamp": "2026-10-14T09:30:00.000Z", "sessionId": "s-1", "requestId": f"req_{message}",
        "cwd": "search", "message": {"id": message, "role": "assistant", "model": "claude", "usage": usage},
    }  # fmt: skip
    return json.dumps(said) + "\n"


def write(folder: Path, *lines: str, name: str = "a.jsonl") -> None:
    path = folder / "project" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.writelines(lines)


def read(folder: Path, **given: Any) -> str:
    out = io.StringIO()
    usual = {"organization": "acme", "billing": "api", "claude": folder, "codex": folder}
    call_command("import_sessions", stdout=out, **usual | given)
    return out.getvalue()


def calls() -> list[tuple[Any, ...]]:
    return rows("SELECT person_id, sum(calls), sum(effective_cost) FROM ledger_charge GROUP BY 1")


def test_files_are_read_and_nothing_twice(book: Book, cast: Cast, tmp_path: Path) -> None:
    write(tmp_path, line("msg_1"), line("msg_2"))
    write(tmp_path, line("msg_2"), name="resumed.jsonl")
    assert "Claude Code: 2 files, 2 charged, 1 duplicate." in read(tmp_path, email=cast.bob.email)
    assert "Claude Code: 2 files, 3 duplicate." in read(tmp_path, email=cast.bob.email)
    assert calls() == [(cast.bob.id, 2, 2 * COST)]
    assert book.disagreements() == []


def test_what_a_seat_pays_for_costs_nothing(book: Book, tmp_path: Path) -> None:
    write(tmp_path, line("msg_1"))
    read(tmp_path, billing="subscription")
    assert calls() == [(0, 1, 0)]


def test_a_file_is_followed_as_it_grows_and_anew_when_it_became_shorter(book: Book, tmp_path: Path) -> None:
    follower = Follower(AGENTS["claude"], [tmp_path], source=book.source("sessions"), owner=Owner("api"))

    def look() -> tuple[int, dict[str, int]]:
        files, outcomes = follower.look(timezone.now())
        return files, dict(outcomes)

    write(tmp_path, line("msg_1", output=1), line("msg_2")[:-5])
    assert look() == (1, {"charged": 1})
    write(tmp_path, line("msg_2")[-5:], line("msg_1"))
    assert look() == (1, {"charged": 1, "revised": 1})
    assert look() == (0, {})
    (tmp_path / "project" / "a.jsonl").write_text(line("msg_3"))
    assert look() == (1, {"charged": 1})
    assert calls() == [(0, 3, 3 * COST)]


def test_a_call_that_the_gateway_saw_is_its(book: Book, tmp_path: Path) -> None:
    made = {"provider": "anthropic", "model": "claude", "provider_request_id": "msg_1"}
    book.take(event("a", **made))
    write(tmp_path, line("msg_1"))
    assert "1 sighted" in read(tmp_path)


def test_what_is_not_there_is_said(book: Book, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no folder"):
        read(tmp_path, claude=tmp_path / "nowhere")
    with pytest.raises(CommandError, match="no organization"):
        read(tmp_path, organization="initech")

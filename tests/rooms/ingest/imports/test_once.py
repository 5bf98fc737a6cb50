"""A file is imported once, stopped anywhere and run again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError
from django.db import connection

from finops.connectors.files import readers
from finops.ingest import imports
from finops.ingest.services import take
from finops.jobs import services as jobs
from finops.jobs.models import Job
from finops.sources.models import Source
from tests.factories.orgs import Cast, the_cast
from tests.rooms.ingest.imports.conftest import CHECKOUT, MAP, SET, Run, booked, csv_file


def test_a_file_is_imported_once_however_often_it_is_run(cast: Cast, run: Run, tmp_path: Path) -> None:
    path = csv_file(tmp_path, 40)
    assert run(path)[0].strip() == "40 rows: 40 charged."
    again = path.rename(tmp_path / "the same under another name.csv")
    assert run(again)[0].strip() == "40 rows: 40 duplicate."
    assert booked(cast) == (40, sum(range(40)))
    source = Source.objects.get(organization=cast.acme)
    assert (source.slug, source.kind) == ("logs", "file")
    assert [job.state for job in Job.objects.filter(kind="import")] == ["done", "done"]


def test_two_rows_that_say_the_same_are_two_calls(cast: Cast, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "twins.csv"
    path.write_text("when,in,out\n" + "2026-10-01 00:00:00,5,1\n" * 2)
    run(path)
    assert booked(cast) == (2, 10)


def test_rows_with_an_id_of_their_own_are_known_by_it(cast: Cast, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "ids.csv"
    path.write_text("call,when,in,out\na,2026-10-01 00:00:00,5,1\nb,2026-10-01 00:00:00,5,1\n")
    run(path, said=f"id=call,{MAP}")
    path.write_text("call,when,in,out\nb,2026-10-01 00:00:00,5,1\na,2026-10-01 00:00:00,6,1\nc,2026-10-02,1,1\n")
    out, err = run(path, said=f"id=call,{MAP}")
    assert out.strip() == "3 rows: 1 charged, 1 duplicate, 1 conflict."
    assert "1 rows were charged before with other content" in err
    assert booked(cast) == (3, 11)


class Killed(BaseException):
    """Stands for whatever ends a process in the middle."""


def test_an_import_that_died_goes_on_where_it_was(
    cast: Cast, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "PIECE", 10)
    path = csv_file(tmp_path, 35)
    went = jobs.progress

    def dies_at_20(**given: Any) -> bool:
        go_on = bool(went(**given))
        if given["done"] and given["cursor"]["row"] == 20:
            raise Killed
        return go_on

    monkeypatch.setattr(jobs, "progress", dies_at_20)
    with pytest.raises(Killed):
        run(path)
    monkeypatch.setattr(jobs, "progress", went)
    assert booked(cast)[0] == 20
    out, _ = run(path)
    assert out.splitlines() == [f"Going on behind row 20 (job {Job.objects.get().id}).", "35 rows: 35 charged."]
    assert booked(cast) == (35, sum(range(35)))
    job = Job.objects.get()
    assert (job.state, job.result) == ("done", {"rows": 35, "charged": 35})


def test_an_import_that_died_between_booking_and_its_note_adds_nothing_twice(
    cast: Cast, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "PIECE", 10)
    path = csv_file(tmp_path, 25)
    went = jobs.progress

    def dies_before_the_note(**given: Any) -> bool:
        if given["cursor"]["row"] == 20:
            raise Killed
        return bool(went(**given))

    monkeypatch.setattr(jobs, "progress", dies_before_the_note)
    with pytest.raises(Killed):
        run(path)
    monkeypatch.setattr(jobs, "progress", went)
    out, _ = run(path)
    assert out.splitlines()[-1] == "25 rows: 15 charged, 10 duplicate."
    assert booked(cast) == (25, sum(range(25)))


def test_ctrl_c_says_how_to_go_on(cast: Cast, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = csv_file(tmp_path, 5)
    monkeypatch.setattr(imports, "take", lambda **_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(CommandError, match="Run the same command again"):
        run(path)
    monkeypatch.undo()
    assert Job.objects.get().state == "stopped"
    assert run(path)[0].strip() == "5 rows: 5 charged."


@pytest.mark.usefixtures("committed")
def test_sigkill_and_again(tmp_path: Path) -> None:
    cast = the_cast()
    path = csv_file(tmp_path, 30_000)
    command = [
        *(sys.executable, "manage.py", "import_usage", str(path), "--organization", "acme", "--source", "logs"),
        *("--map", MAP, "--set", SET[0], "--set", SET[1]),
    ]
    given = connection.settings_dict
    host = f"host={given['HOST']}" + (f"&port={given['PORT']}" if given["PORT"] else "")
    env = os.environ | {"DATABASE_URL": f"postgresql://{given['USER']}@/{given['NAME']}?{host}"}
    first = subprocess.Popen(command, cwd=CHECKOUT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while first.poll() is None and not Job.objects.filter(done__gt=0).exists():
        try:
            first.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            continue
    first.send_signal(signal.SIGKILL)
    said, _ = first.communicate()
    assert first.returncode == -signal.SIGKILL, said.decode()
    assert 0 < booked(cast)[0] < 30_000
    second = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=True)
    assert "Going on behind row" in second.stdout
    assert booked(cast) == (30_000, sum(range(30_000)))
    assert Job.objects.get().state == "done"


@pytest.mark.usefixtures("committed")
def test_two_at_once_are_refused(run: Run, tmp_path: Path) -> None:
    the_cast()
    path = csv_file(tmp_path, 5)
    holder = connection.copy()
    refused: list[str] = []
    taken = take

    def while_running(**given: Any) -> Any:
        # Another process: another session asks for the lock of the job that is running here.
        with holder.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [imports._LOCKS, Job.objects.get().id])
            refused.append(str(cursor.fetchone()))
        return taken(**given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imports, "take", while_running)
        run(path)
    holder.close()
    assert refused == ["(False,)"]

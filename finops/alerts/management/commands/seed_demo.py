"""Makes the demo company: invented people and calls, real prices. Here, because this is the highest room it is in."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from finops.alerts import demo
from finops.core.errors import FinopsError
from finops.core.periods import day_start
from finops.ingest.demo import seeding
from finops.ingest.demo.company import LOGINS
from finops.ingest.demo.workers import WorkerFailed
from finops.months import demo as months
from finops.reconciliation.services import reconcile
from finops.seats.demo import seat

# A demo as of a given day ends here, whatever the clock says, so that the same day always gives the same data.
_AFTERNOON = timedelta(hours=15)
_MOST_CHARGES = 5_000_000
_WAY_ON = "What was booked stays; run seed_demo again to complete it."


class Command(BaseCommand):
    help = (
        "Make the demo company: 300 invented people, 90 days of invented calls, real prices, all of it by the way that "
        "real usage takes. Running it again adds nothing; an interrupted run is completed by the next."
    )
    # It is run before anything else, by people who wait; `check` is a command of its own.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--as-of", type=_day, help="the last day, YYYY-MM-DD, until 15:00 UTC (default: now)")
        parser.add_argument("--charges", type=_charges, default=seeding.CHARGES, help="about how many charges to make")
        parser.add_argument(
            "--processes", type=int, default=max(1, min(2, os.cpu_count() or 1)), help="how many book at once"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        now = timezone.now()
        as_of = options["as_of"]
        day = _day(as_of) if isinstance(as_of, str) else as_of
        until = day_start(day) + _AFTERNOON if day else now.replace(minute=0, second=0, microsecond=0)
        screen = _Screen(self.stdout)
        began = time.perf_counter()
        try:
            plan = seeding.Plan(until.astimezone(UTC), int(options["charges"]))
            made = seeding.seed(plan=plan, processes=options["processes"], screen=screen, at=now)
            with screen.step("Comparing what was billed with what was seen"):
                reconcile(organization_id=made.organization.id, at=made.plan.until)
            with screen.step("Booking its seats"):
                seat(made.organization.id, charges=made.plan.charges, at=made.plan.until)
            months.close_last(made.organization.id, at=made.plan.until)
            demo.listen(made.organization.id, at=made.plan.until)
        except FinopsError as error:
            raise CommandError(error.message) from None
        except WorkerFailed as error:
            raise CommandError(f"{error}\n{_WAY_ON}") from None
        except KeyboardInterrupt:
            raise CommandError(f"Stopped. {_WAY_ON}", returncode=130) from None
        self._report(made, time.perf_counter() - began)

    def _report(self, made: seeding.Seeded, seconds: float) -> None:
        until = f"{made.plan.until:%Y-%m-%d %H:%M} UTC"
        if not made.outcomes:
            self.stdout.write(f"{made.organization.name} is already there, up to {until}; nothing to do.")
        else:
            counts = ", ".join(f"{count:,} {status}" for status, count in sorted(made.outcomes.items()))
            self.stdout.write(f"{made.organization.name} is there, up to {until}: {counts}; in {seconds:.0f} s.")
        self.stdout.write("Everything in it is invented. Log in as")
        for email, password, who in LOGINS:
            self.stdout.write(f"  {email:<24}{password:<24}{who}")


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a day like 2026-11-20") from None


def _charges(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) <= _MOST_CHARGES:
        raise ArgumentTypeError(f"a number of charges from 1 to {_MOST_CHARGES:,}")
    return int(text)


class _Bar:
    def __init__(self, progress: Progress, title: str) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=None)

    def advance(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)


class _Line:
    """For a log: it goes on, and how far it is, every few seconds."""

    _EVERY_S = 5.0

    def __init__(self, out: Any, title: str) -> None:
        self._out = out
        self._title = title
        self._told = time.perf_counter()

    def advance(self, done: int, total: int) -> None:
        if time.perf_counter() - self._told >= self._EVERY_S:
            self._told = time.perf_counter()
            self._out.write(f"{self._title}: {done} of {total}")


class _Screen:
    def __init__(self, out: Any) -> None:
        self._out = out

    @contextmanager
    def step(self, title: str) -> Iterator[seeding.Step]:
        if not self._out.isatty():
            self._out.write(title)
            yield _Line(self._out, title)
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=Console()) as progress:
            yield _Bar(progress, title)

"""`manage.py import_outcomes FILE --organization SLUG --name NAME --evaluator E`: outcomes from a Parquet file."""

from __future__ import annotations

from argparse import ArgumentParser
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from finops.core.actors import system
from finops.core.errors import FinopsError
from finops.orgs.models import Organization
from routing.evidence.imports import KIND, run_import
from routing.evidence.types import EvaluationDraft, Kind


class Command(BaseCommand):
    help = (
        "Import measured outcomes from a Parquet file: task_id, task_type, model, score, cost_usd, one row for one"
        " model on one task. Stop it anywhere and run it again: it goes on where it was, and nothing is counted twice."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--organization", required=True, metavar="SLUG")
        parser.add_argument("--name", default="", help="of the evaluation; the file's name unless said")
        parser.add_argument("--evaluator", required=True, help="what scored")
        parser.add_argument("--evaluator-version", default="")
        parser.add_argument("--margin", default="", help="how much worse, of 1, is as good: 0.05")

    def handle(self, *args: Any, **options: Any) -> None:
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(f"There is no organization {options['organization']!r}.")
        path: Path = options["file"]
        if not path.is_file():
            raise CommandError(f"There is no file {path}.")
        draft = EvaluationDraft(
            name=options["name"] or path.name,
            kind=Kind.EVALUATION,
            evaluator=options["evaluator"],
            evaluator_version=options["evaluator_version"],
            margin=_margin(options["margin"]),
        )
        columns = (TextColumn("recording"), BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeRemainingColumn())
        try:
            with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
                shown = bar.add_task("recording", total=None)
                found = run_import(
                    organization_id=organization.id,
                    path=path,
                    draft=draft,
                    by=system(KIND),
                    now=timezone.now,
                    tell=lambda done, total: bar.update(shown, completed=done, total=total),
                )
        except FinopsError as error:
            raise CommandError(f"{error.field}: {error.message}" if error.field else error.message) from None
        if not found.finished:
            raise CommandError("Stopped by request. Run the same command again to go on.", returncode=130)
        self.stdout.write(f"{found.rows:,} rows: {found.new:,} recorded, {found.repeated:,} known before.")


def _margin(said: str) -> Decimal | None:
    try:
        return Decimal(said) if said else None
    except InvalidOperation:
        raise CommandError("--margin is a number: 0.05") from None

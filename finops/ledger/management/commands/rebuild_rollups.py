"""Makes an organization's rollups anew from its charges."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from finops.audit import services as audit
from finops.core.actors import system
from finops.ledger import services
from finops.orgs.models import Organization


class Command(BaseCommand):
    help = "Make an organization's rollups anew from its charges. Usage may go on arriving meanwhile."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", required=True, metavar="SLUG", help="whose rollups to rebuild")

    def handle(self, *args: Any, **options: Any) -> None:
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(f"there is no organization {options['organization']!r}")
        began = time.monotonic()
        quiet = options["verbosity"] == 0
        columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(quiet=quiet), transient=True) as progress:
            task = progress.add_task("rebuilding", total=None)
            services.rebuild(
                organization_id=organization.id,
                say=lambda step, done, total: progress.update(task, description=step, completed=done, total=total),
            )
        with transaction.atomic():
            audit.record(
                organization_id=organization.id,
                verb="ledger.rollups_rebuilt",
                subject_kind="organization",
                subject_id=organization.id,
                by=system("rebuild_rollups"),
                at=timezone.now(),
            )
        if not quiet:
            self.stdout.write(f"The rollups of {organization.slug} are rebuilt ({time.monotonic() - began:.1f} s).")

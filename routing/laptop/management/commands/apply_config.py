"""`manage.py apply_config`: the database as a capstan.toml says, once. `gateway` runs it at its start and when the file
was saved, in a process of its own, so that the supervisor keeps no database and no credential.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError
from django.utils import timezone

from finops.orgs import invitations
from finops.runtime import places
from routing.laptop.errors import FileInvalid
from routing.laptop.reading import read
from routing.laptop.running import KEY
from routing.laptop.services import bring, keep_key, keep_login


class Command(BaseCommand):
    help = "Bring upstreams, budgets and prices to what a file of configuration says, whole or not at all."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("config", type=Path, help="the file, usually capstan.toml")
        parser.add_argument("--login", metavar="ADDRESS", default="", help="make a login for the pages at this address")

    def handle(self, *_: Any, **options: Any) -> None:
        at = timezone.now()
        try:
            wanted = read(options["config"], environment=os.environ, internal=settings.INTERNAL_HOSTS)
            brought = bring(wanted, at=at)
        except FileInvalid as error:
            raise CommandError("\n".join(error.mistakes)) from None
        except OperationalError as error:
            raise CommandError(f"the database does not answer: {str(error).strip().splitlines()[0]}") from None
        for change in brought.changes:
            self.stdout.write(change)
        mine: dict[str, Any] = {"organization_id": brought.organization_id, "at": at}
        if keep_key(person_id=brought.person_id, path=places.data_dir() / KEY, **mine):
            self.stdout.write("a new key was issued")
        if options["login"]:
            user = keep_login(email=wanted.person.email.strip().lower(), **mine)
            self.stdout.write(invitations.way_in(user, base_url=options["login"].rstrip("/")))

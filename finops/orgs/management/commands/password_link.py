"""For whoever runs a server without a mail server: the link with which somebody chooses a password."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from finops.orgs import invitations
from finops.orgs.models import User


class Command(BaseCommand):
    help = "Print the link with which an invited member chooses a first password. Hand it to them and to nobody else."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--address", default="http://localhost:8000", help="where people open this Capstan")

    def handle(self, *_: Any, **options: Any) -> None:
        user = User.objects.filter(email=options["email"].strip().lower(), is_active=True).first()
        if user is None:
            raise CommandError("There is no such login; invite them first.")
        self.stdout.write(invitations.way_in(user, base_url=options["address"].rstrip("/")))

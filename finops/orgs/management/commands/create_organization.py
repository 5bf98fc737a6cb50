"""The first step on an empty server: an organization and the login that owns it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from finops.core.actors import system
from finops.core.errors import FinopsError
from finops.orgs import invitations, services
from finops.orgs.rules import Role


class Command(BaseCommand):
    help = (
        "Make an organization and its owner. Prints the link with which the owner chooses a password, here and nowhere "
        "else."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="its short name, in every address")
        parser.add_argument("--name", required=True)
        parser.add_argument("--owner", required=True, help="the owner's e-mail address")
        parser.add_argument("--currency", default="USD", help="the reporting currency (default: USD)")
        parser.add_argument("--address", default="http://localhost:8000", help="where people open this Capstan")

    def handle(self, *_: Any, **options: Any) -> None:
        who: dict[str, Any] = {"by": system("create_organization"), "at": timezone.now()}
        try:
            with transaction.atomic():
                made = services.create_organization(
                    slug=options["slug"], name=options["name"], reporting_currency=options["currency"], **who
                )
                member = services.invite(organization_id=made.id, email=options["owner"], role=Role.OWNER, **who)
        except FinopsError as error:
            raise CommandError(error.message) from None
        self.stdout.write(f"{made.name} is made; {member.user.email} owns it.")
        self.stdout.write(invitations.way_in(member.user, base_url=options["address"].rstrip("/")))

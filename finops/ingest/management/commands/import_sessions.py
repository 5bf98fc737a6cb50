"""`manage.py import_sessions --organization SLUG --billing api|subscription`: what coding agents keep here."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from finops.connectors.sessions.shared import Owner
from finops.core.actors import system
from finops.core.errors import FinopsError
from finops.ingest.sessions import AGENTS, Agent, Follower, Look, folders_of
from finops.orgs.models import Organization
from finops.sources.services import ensure_source

_EVERY_S: Final = 5.0


class Command(BaseCommand):
    help = (
        "Read the session files of Claude Code and Codex on this machine. Run it as often as you like, nothing is"
        " counted twice; with --watch it goes on with what is written until it is stopped."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--organization", required=True, metavar="SLUG")
        parser.add_argument(
            "--billing", required=True, choices=("api", "subscription"), help="no file says how its calls are paid for"
        )
        parser.add_argument("--email", default="", help="whose calls they are")
        for name, agent in AGENTS.items():
            parser.add_argument(
                f"--{name}", type=Path, metavar="FOLDER", help=f"of {agent.title}, if not the usual one"
            )
        parser.add_argument("--watch", action="store_true", help="go on until Ctrl-C")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            followers = self._followers(options)
        except FinopsError as error:
            raise CommandError(error.message) from None
        try:
            while True:
                for agent, follower in followers:
                    self._say(agent, follower.look(timezone.now()), quiet=options["watch"])
                if not options["watch"]:
                    return
                time.sleep(_EVERY_S)
        except KeyboardInterrupt:
            self.stdout.write("Stopped. Run it again: it finds what was written meanwhile.")

    def _followers(self, options: dict[str, Any]) -> list[tuple[Agent, Follower]]:
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(f"There is no organization {options['organization']!r}.")
        owner = Owner(options["billing"], (("email", options["email"]),) if options["email"] else ())
        found = []
        for name, agent in AGENTS.items():
            if options[name] is not None and not options[name].is_dir():
                raise CommandError(f"--{name}: there is no folder {options[name]}.")
            folders = [options[name]] if options[name] is not None else folders_of(agent)
            if not folders:
                self.stdout.write(f"{agent.title}: it keeps no files here.")
                continue
            source = ensure_source(
                organization_id=organization.id, slug=agent.slug, kind="file", by=system("import_sessions"),
                at=timezone.now(),
            )  # fmt: skip
            found.append((agent, Follower(agent, folders, source=source, owner=owner)))
        if not found:
            raise CommandError("There are no session files; name a folder by --claude or --codex.")
        return found

    def _say(self, agent: Agent, look: Look, *, quiet: bool) -> None:
        if look.files or not quiet:
            became = ", ".join(f"{number:,} {word}" for word, number in sorted(look.outcomes.items())) or "nothing new"
            self.stdout.write(f"{agent.title}: {look.files:,} files, {became}.")

"""`manage.py reseal`: seal every stored secret anew under the present secret key; `--check` says how they stand."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from finops.core.actors import system
from finops.runtime.resealing import Field, Resealed, reseal


class Command(BaseCommand):
    help = (
        "Seal every stored credential, address and captured text anew under CAPSTAN_SECRET_KEY, so that the former ones"
        " in CAPSTAN_FORMER_SECRET_KEYS can be forgotten. Stopped, it can be begun again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="Change nothing, and say how they stand.")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        def say(field: Field, found: Resealed) -> None:
            was = "under a former secret" if check else "sealed anew"
            self.stdout.write(f"{field}: {found.present} as they should be, {found.anew} {was}, {found.closed} closed")

        done = reseal(write=not check, say=say, by=system("reseal"), at=timezone.now())
        closed = {name: one.closed for name, one in done.items() if one.closed}
        former = sum(one.anew for one in done.values()) if check else 0
        if closed:
            named = ", ".join(f"{name} ({many})" for name, many in closed.items())
            raise CommandError(
                f"No secret key that is named opens these: {named}. Name the former one, or set them anew."
            )
        if former:
            raise CommandError(f"{former} are under a former secret key: run reseal before it is forgotten.")
        self.stdout.write("All are under the present secret key.")

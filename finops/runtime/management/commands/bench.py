"""`manage.py bench NAME [--json] [--set key=value …]`: runs one benchmark of the `bench` folder.

On the server of `DATABASE_URL`; without one on the embedded server, which is started for it unless it runs already.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from finops.runtime.errors import CannotRun
from finops.runtime.postgres import Place, Postgres, running_processes


class Command(BaseCommand):
    help = "Run a benchmark; the last line printed is one JSON object."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="a file of bench/, without .py")
        parser.add_argument("--json", action="store_true", help="print nothing but the JSON line")
        parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a parameter of its own")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        if not name.isidentifier():
            raise CommandError(f"{name!r} is not the name of a benchmark")
        try:
            module = importlib.import_module(f"bench.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"bench.{name}":
                raise
            raise CommandError(f"there is no benchmark {name!r}; see the bench folder") from None
        parameters = dict(pair.partition("=")[::2] for pair in options["set"])
        say = (lambda _: None) if options["json"] else self.stdout.write
        with _a_server():
            self.stdout.write(json.dumps(module.run(parameters, say)))


@contextmanager
def _a_server() -> Iterator[None]:
    place = Place.of_data()
    if os.environ.get("DATABASE_URL") or running_processes(place):
        yield
        return
    server = Postgres(place)
    try:
        server.start()
        yield
    except CannotRun as error:
        raise CommandError(error.message) from None
    finally:
        server.stop()

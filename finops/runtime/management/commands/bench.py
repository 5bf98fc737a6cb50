"""`manage.py bench NAME [--json] [--set key=value …]`: runs one benchmark of the `bench` folder.

On the server of `DATABASE_URL`; without one on the embedded server, which is started for it unless it runs already. A
benchmark may have options of its own (`arguments`), and need no database (`NEEDS_DATABASE`).
"""

from __future__ import annotations

import importlib
import json
import os
from argparse import REMAINDER, ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import ModuleType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from finops.runtime.errors import CannotRun
from finops.runtime.postgres import Place, Postgres, running_processes


class Command(BaseCommand):
    help = "Run a benchmark; the last line printed is one JSON object."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="a file of bench/, without .py")
        _common(parser)
        parser.add_argument("own", nargs=REMAINDER, help="options of its own: manage.py bench NAME --help")

    def handle(self, *args: Any, **options: Any) -> None:
        module = _found(options["name"])
        parser = ArgumentParser(prog=f"manage.py bench {options['name']}", description=module.__doc__)
        _common(parser)
        if hasattr(module, "arguments"):
            module.arguments(parser)
        own = vars(parser.parse_args(options["own"]))
        quiet = own.pop("json") or options["json"]
        pairs = options["set"] + own.pop("set")
        say = (lambda _: None) if quiet else self.stdout.write
        with _a_server() if getattr(module, "NEEDS_DATABASE", True) else nullcontext():
            self.stdout.write(json.dumps(module.run(own | dict(pair.partition("=")[::2] for pair in pairs), say)))


def _common(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON line")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a parameter of its own")


def _found(name: str) -> ModuleType:
    if not name.isidentifier():
        raise CommandError(f"{name!r} is not the name of a benchmark")
    try:
        return importlib.import_module(f"bench.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"bench.{name}":
            raise
        raise CommandError(f"there is no benchmark {name!r}; see the bench folder") from None


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

"""`capstan gateway`: the gateway alone, from one file, with everything it needs embedded, until Ctrl-C."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from finops.runtime.console import Screen
from routing.laptop.errors import FileInvalid
from routing.laptop.running import Laptop
from routing.laptop.sample import SAMPLE
from routing.laptop.watching import Watched

FILE: Final = "capstan.toml"


class Command(BaseCommand):
    help = (
        "Run the gateway alone, from one file of configuration, with an embedded PostgreSQL and Valkey unless "
        "DATABASE_URL and REDIS_URL are set. Ctrl-C stops all of it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--config", type=Path, default=Path(FILE), help=f"the file (default: {FILE} here)")
        parser.add_argument("--init", action="store_true", help="write a file to start from, with Ollama and vLLM")
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: this machine only)")
        parser.add_argument("--port", type=int, default=8001, help="the gateway's port (default: 8001)")
        parser.add_argument("--web", action="store_true", help="with the pages")
        parser.add_argument("--web-port", type=int, default=8000, help="the pages' port (default: 8000)")

    def handle(self, *_: Any, **options: Any) -> None:
        path: Path = options["config"].expanduser().absolute()
        if options["init"]:
            self.stdout.write(_init(path, options["config"]))
            return
        if not path.exists():
            raise CommandError(
                f"there is no {options['config']}; `capstan gateway --init` writes one to start from, "
                "with Ollama and vLLM"
            )
        watched = Watched(path)
        try:
            laptop = Laptop(path, options, Screen())
        except FileInvalid as error:
            raise CommandError("\n".join([f"{path.name} is refused:", *error.mistakes])) from None
        laptop.run(watched)


def _init(path: Path, said: Path) -> str:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(SAMPLE)
    except FileExistsError:
        raise CommandError(f"{said} is there already, and stays as it is") from None
    except OSError as error:
        raise CommandError(f"{said} cannot be written: {error.strerror}") from None
    more = "" if said == Path(FILE) else f" --config {shlex.quote(str(said))}"
    return f"{said} is written: name your models in it, then `capstan gateway{more}`"

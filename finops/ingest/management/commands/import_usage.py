"""`manage.py import_usage FILE --organization SLUG --source SLUG --map … [--set …]`: usage from a file."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from finops.connectors.files.mapping import FileMap, file_map
from finops.connectors.files.readers import FORMATS, Reader, digest_of, open_file
from finops.core.actors import Actor, system
from finops.core.errors import FinopsError
from finops.ingest import imports
from finops.ingest.types import Status
from finops.orgs.models import Organization
from finops.sources.models import Source
from finops.sources.services import ensure_source

_EVERY_S: Final = 5.0
_SHAPE: Final = '--map: say {"target": "column", …} or {"columns": {…}, "set": {…}, "timezone": "…"}.'
_EXAMPLE: Final = "occurred_at=TIMESTAMP,usage.input_uncached=ContextTokens,usage.output_text=GeneratedTokens"


class Command(BaseCommand):
    help = (
        "Import usage from a CSV, NDJSON or Parquet file. Stop it anywhere and run it again: it goes on where it was,"
        " and nothing is counted twice."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--organization", required=True, metavar="SLUG")
        parser.add_argument("--source", required=True, metavar="SLUG", help="made when there is none of that slug")
        parser.add_argument("--map", default="", help=f"target=column pairs, or a JSON file of them: {_EXAMPLE}")
        parser.add_argument("--set", action="append", default=[], metavar="TARGET=VALUE", help="the same for every row")
        parser.add_argument(
            "--timezone", default="", help="where times without an offset were written; UTC unless said"
        )
        parser.add_argument("--format", default="", choices=FORMATS, help="unless the file's suffix says it")
        parser.add_argument("--dry-run", action="store_true", help="read and check every row, write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._import(options)
        except FinopsError as error:
            raise CommandError(error.message) from None

    def _import(self, options: dict[str, Any]) -> None:
        organization = Organization.objects.filter(slug=options["organization"]).first()
        if organization is None:
            raise CommandError(f"There is no organization {options['organization']!r}.")
        path: Path = options["file"]
        if not path.is_file():
            raise CommandError(f"There is no file {path}.")
        mapping = _mapping(options["map"], options["set"], options["timezone"])
        size = path.stat().st_size
        with _shown(self, "reading", size) as tell:
            digest = digest_of(path, tell=lambda done: tell(done, size, ""))
        reader = open_file(path, kind=options["format"], mapping=mapping, digest=digest)
        if options["dry_run"]:
            self._try_out(path, reader)
            return
        by = system(imports.KIND)
        source = ensure_source(
            organization_id=organization.id, slug=options["source"], kind="file", by=by, at=timezone.now()
        )
        parameters = {"file": path.name, "digest": digest, "source": source.slug, "map": _as_json(mapping)}
        self._run(organization, source, reader, parameters, by)

    def _run(
        self, organization: Organization, source: Source, reader: Reader, parameters: dict[str, Any], by: Actor
    ) -> None:
        with imports.job_of(
            organization_id=organization.id, parameters=parameters, total=reader.total, by=by, now=timezone.now
        ) as job:
            if job.cursor:
                self.stdout.write(f"Going on behind row {job.cursor['row']:,} (job {job.id}).")
            try:
                with _shown(self, "importing", reader.total) as tell:
                    result = imports.run_import(
                        job=job,
                        source=source,
                        reader=reader,
                        tell=lambda at: tell(at.done, at.total, f"{at.row:,} rows"),
                        now=timezone.now,
                    )
            except KeyboardInterrupt:
                imports.stop(job=job, by=by, now=timezone.now)
                raise CommandError("Stopped. Run the same command again to go on.", returncode=130) from None
        if not result.finished:
            raise CommandError("Stopped by request. Run the same command again to go on.", returncode=130)
        counted = [
            f"{result.counts[status.value]:,} {status.value}" for status in Status if result.counts[status.value]
        ]
        self.stdout.write(f"{result.rows:,} rows: {', '.join(counted) or 'nothing to do'}.")
        self._tell_problems(result)

    def _try_out(self, path: Path, reader: Reader) -> None:
        with _shown(self, "checking", reader.total) as tell:
            result = imports.try_out(
                reader=reader, tell=lambda at: tell(at.done, at.total, f"{at.row:,} rows"), at=timezone.now()
            )
        readable, held = result.counts["readable"], result.counts[Status.QUARANTINED.value]
        self.stdout.write(
            f"{path.name}: {result.rows:,} rows, {readable:,} readable with {result.input_tokens:,} input and"
            f" {result.output_tokens:,} output tokens, {held:,} would be held. Nothing was written."
        )
        self._tell_problems(result)

    def _tell_problems(self, result: imports.Result) -> None:
        conflicts = result.counts[Status.CONFLICT.value]
        if conflicts:
            self.stderr.write(
                f"{conflicts:,} rows were charged before with other content (another mapping?); they stay as they are."
            )
        for external_id, problem in result.problems:
            self.stderr.write(f"  {external_id or '?'}  {problem.code}  {problem.field}  {problem.message}")


def _as_json(mapping: FileMap | None) -> dict[str, Any]:
    if mapping is None:
        return {}
    return {"columns": dict(mapping.columns), "set": dict(mapping.constants), "timezone": mapping.zone}


def _mapping(said: str, constants: list[str], zone: str) -> FileMap | None:
    """The mapping of the command line; None where nothing is said of one. Raises CommandError and MapInvalid."""
    if not said and not constants:
        return None
    columns, given, kept_zone = _columns(said) if said else ({}, {}, "")
    for pair in constants:
        target, equals, value = pair.partition("=")
        if not equals:
            raise CommandError(f"--set {pair}: say TARGET=VALUE.")
        given[target.strip()] = value
    return file_map(columns=columns, constants=given, zone=zone or kept_zone or "UTC")


def _columns(said: str) -> tuple[dict[str, str], dict[str, str], str]:
    """Columns, constants and time zone of `--map`: pairs, JSON, or the name of a file of JSON."""
    if not said.startswith("{") and "=" not in said:
        try:
            said = Path(said).read_text("utf-8")
        except (OSError, ValueError) as error:
            raise CommandError(
                f"--map: {said} is neither target=column pairs nor a file that can be read: {error}"
            ) from None
    if not said.lstrip().startswith("{"):
        pairs = [pair.partition("=") for pair in said.split(",") if pair.strip()]
        return {target.strip(): column.strip() for target, _, column in pairs}, {}, ""
    try:
        read = json.loads(said)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"--map is no JSON: {error}") from None
    whole = read if "columns" in read else {"columns": read}
    columns, given, zone = whole.get("columns"), whole.get("set", {}), whole.get("timezone", "")
    if not isinstance(zone, str):
        raise CommandError(_SHAPE)
    return _texts(columns), _texts(given), zone


def _texts(value: Any) -> dict[str, str]:
    """Raises CommandError unless it is an object of text."""
    if not isinstance(value, dict) or not all(isinstance(inner, str) for inner in value.values()):
        raise CommandError(_SHAPE)
    return dict(value)


@contextmanager
def _shown(command: BaseCommand, what: str, total: int) -> Iterator[Any]:
    """A progress bar on a terminal; elsewhere a line now and then. Yields `tell(done, total, text)`."""
    if not sys.stderr.isatty():
        last = time.perf_counter()

        def line(done: int, whole: int, text: str) -> None:
            nonlocal last
            if time.perf_counter() - last >= _EVERY_S:
                last = time.perf_counter()
                command.stderr.write(f"{what}: {100 * done // max(whole, 1)} % {text}")

        yield line
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} % {task.fields[text]}"),
    )
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=max(total, 1), text="")
        yield lambda done, whole, text: bar.update(task, completed=done, total=max(whole, 1), text=text)

"""A process that imports a file and folds as it goes, as a worker would; made to be killed. See test_kill.py."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main(path: Path, organization: str, piece: int) -> None:
    import django
    from django.db import connections

    django.setup()
    connections["default"].settings_dict.update(json.loads(os.environ["CAPSTAN_TEST_DATABASE"]))

    from django.utils import timezone

    from finops.connectors.files import readers
    from finops.core.actors import system
    from finops.ingest import imports
    from finops.ledger.services import fold_all, settle_days
    from finops.sources.models import Source

    readers.PIECE = piece  # type: ignore[misc]
    source = Source.objects.get(organization__slug=organization, slug="gateway")
    digest = readers.digest_of(path)
    reader = readers.open_file(path, mapping=None, digest=digest)
    parameters = {"file": path.name, "digest": digest, "source": source.slug, "map": {}}

    def tell(progress: imports.Progress) -> None:
        if progress.row // piece % 5 == 0:
            fold_all()
            settle_days(organization_id=source.organization_id)

    with imports.job_of(
        organization_id=source.organization_id,
        parameters=parameters,
        total=reader.total,
        by=system("tests"),
        now=timezone.now,
    ) as job:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        imports.run_import(job=job, source=source, reader=reader, tell=tell, now=timezone.now)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))

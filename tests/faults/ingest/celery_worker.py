"""A real Celery worker on the test database: one queue, one process. See test_celery.py."""

from __future__ import annotations

import json
import os
import sys


def main(queue: str) -> None:
    import django
    from django.db import connections

    django.setup()
    connections["default"].settings_dict.update(json.loads(os.environ["CAPSTAN_TEST_DATABASE"]))

    from finops.config.celery import app

    app.worker_main(["worker", "-P", "solo", "-Q", queue, "-l", "warning", "--without-gossip", "--without-mingle"])


if __name__ == "__main__":
    main(sys.argv[1])

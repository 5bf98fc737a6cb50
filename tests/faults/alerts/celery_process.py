"""A real Celery worker or beat on the test database, for alerts alone and on a queue of the test's own."""

from __future__ import annotations

import json
import os
import sys


def main(role: str, queue: str) -> None:
    import django
    from django.db import connections

    django.setup()
    connections["default"].settings_dict.update(json.loads(os.environ["CAPSTAN_TEST_DATABASE"]))

    from finops.config.celery import app

    app.loader.import_default_modules()
    for name, task in app.tasks.items():
        if name.startswith("alerts."):
            setattr(task, "queue", queue)  # noqa: B010 - not in Celery's types
    app.conf.beat_schedule = {
        name: {**entry, "options": {**entry["options"], "queue": queue}}
        for name, entry in app.conf.beat_schedule.items()
        if entry["task"].startswith("alerts.")
    }
    if role == "beat":
        app.start(["beat", "-l", "warning", "--pidfile="])
    else:
        pool = ["-P", "threads", "-c", "4"]
        app.worker_main(["worker", *pool, "-Q", queue, "-l", "warning", "--without-gossip", "--without-mingle"])


if __name__ == "__main__":
    main(*sys.argv[1:])

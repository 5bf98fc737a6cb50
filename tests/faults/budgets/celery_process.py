"""A real Celery worker, or a real beat, on the test database and with a corner of the broker to itself."""

from __future__ import annotations

import json
import os
import sys


def main(kind: str, prefix: str) -> None:
    import django
    from django.db import connections

    django.setup()
    connections["default"].settings_dict.update(json.loads(os.environ["CAPSTAN_TEST_DATABASE"]))

    from finops.config.celery import app

    app.conf.broker_transport_options = {"global_keyprefix": prefix}
    if kind == "beat":
        app.start(["beat", "-l", "warning", "--pidfile="])
    app.worker_main(["worker", "-P", "solo", "-Q", "control", "-l", "warning", "--without-gossip", "--without-mingle"])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

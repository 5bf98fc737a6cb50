"""A process that polls one feed once, as a worker would; made to be killed. See test_kill.py."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime, timedelta


def main(feed_id: int, host: str, at: datetime) -> None:
    import django
    from django.db import connections

    django.setup()
    connections["default"].settings_dict.update(json.loads(os.environ["CAPSTAN_TEST_DATABASE"]))

    from django.conf import settings

    from finops.polling import services

    settings.INTERNAL_HOSTS = frozenset({host})

    def now() -> datetime:
        nonlocal at
        at += timedelta(milliseconds=1)
        return at

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    services.poll(feed_id, now)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], datetime.fromisoformat(sys.argv[3]))

"""The web process's entry: `granian --interface wsgi finops.config.wsgi:application`."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from finops.runtime.collecting import calm_collector

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "finops.config.settings")

application = get_wsgi_application()
calm_collector()

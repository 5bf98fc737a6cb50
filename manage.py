#!/usr/bin/env python
"""Capstan's command line: `manage.py up`, `manage.py gateway`, `manage.py bench` and so on, and Django's own.

Installed, it is called `capstan`.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "finops.config.settings")
    from django.core.management import execute_from_command_line

    from finops.config.env import SettingInvalid

    try:
        execute_from_command_line(sys.argv)
    except SettingInvalid as error:
        sys.exit(f"Capstan cannot start: {error}")


if __name__ == "__main__":
    main()

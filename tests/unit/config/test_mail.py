"""Mail goes out when a server is set, and otherwise nowhere: never into the log."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from finops.runtime.places import CHECKOUT

SHOW = (
    "from finops.config import settings as s;"
    "print(s.EMAIL_BACKEND.split('.')[-2], s.EMAIL_HOST, s.EMAIL_PORT, s.EMAIL_USE_TLS, s.EMAIL_HOST_PASSWORD)"
)


def settings_with(**said: str) -> list[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("CAPSTAN_SMTP", "CAPSTAN_EMAIL"))}
    done = subprocess.run(
        [sys.executable, "-c", SHOW], env=bare | said, cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_without_a_server_no_letter_goes_anywhere() -> None:
    assert settings_with()[0] == "dummy"


def test_with_a_server_letters_go_by_smtp_encrypted_with_the_password_of_the_file(tmp_path: Path) -> None:
    secret = tmp_path / "smtp"
    secret.write_text("s3cret\n")
    found = settings_with(CAPSTAN_SMTP_HOST="mail.example", CAPSTAN_SMTP_PASSWORD_FILE=str(secret))
    assert found == ["smtp", "mail.example", "587", "True", "s3cret"]

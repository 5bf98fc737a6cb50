"""What is vendored is what it says: each file's hash stands in LICENSES.md, and nothing lies there unlisted."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

STATIC = Path(__file__).resolve().parents[2] / "dashboards" / "static" / "dashboards"


def test_vendored_files_are_listed_with_their_hash() -> None:
    text = (STATIC / "vendor" / "LICENSES.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"\| `([^`]+)` \|.*`([0-9a-f]{64})`", text))
    files = [path for folder in ("vendor", "fonts") for path in (STATIC / folder).iterdir() if path.suffix != ".md"]
    found = {str(path.relative_to(STATIC)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert found == listed


def test_templates_carry_no_inline_script_or_style() -> None:
    """The Content-Security-Policy would refuse them; this names the file."""
    templates = Path(__file__).resolve().parents[2] / "templates"
    forbidden = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", re.IGNORECASE)
    for path in sorted(templates.rglob("*.html")):
        assert not forbidden.search(path.read_text(encoding="utf-8")), path.name


def test_our_scripts_stay_small() -> None:
    for path in (STATIC / "js").glob("*.js"):
        assert len(path.read_text(encoding="utf-8").splitlines()) < 150, path.name

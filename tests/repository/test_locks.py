"""Locks can be installed on a day when newer releases are out."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as canonical

ROOT = Path(__file__).parents[2]
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[([^\]]+)\])?==", re.MULTILINE)


@pytest.mark.parametrize(("lock", "environment"), [("dev", ".venv"), ("litellm", ".venv-litellm")])
def test_what_is_wanted_with_extras_is_locked_with_them(lock: str, environment: str) -> None:
    # Without them, pip takes `pydantic[email]` for another package than the one pinned: the newest, which has no hash.
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    locked = {
        canonical(name): {canonical(each.strip()) for each in extras.split(",") if each.strip()}
        for name, extras in PINNED.findall(text)
    }
    places = [str(place) for place in (ROOT / environment / "lib").glob("python*/site-packages")]
    installed = {canonical(one.name): one.requires or () for one in distributions(path=places)}
    assert installed.keys() >= locked.keys() & {"pydantic", "django", "litellm"}
    missing = []
    for name in installed.keys() & locked.keys():
        for line in installed[name]:
            wanted = Requirement(line)
            own: set[str] = {*locked[name]} or {""}
            if wanted.marker and not any(wanted.marker.evaluate({"extra": extra}) for extra in own):
                continue
            lacking = {canonical(each) for each in wanted.extras} - locked.get(canonical(wanted.name), set())
            missing += [f"{name} wants {wanted.name}[{extra}]" for extra in sorted(lacking)]
    assert missing == []

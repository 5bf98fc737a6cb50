"""Locks are whole: what is in them is installed and nothing else, so whatever any of it wants has to be there."""

from __future__ import annotations

from importlib.metadata import Distribution, distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as canonical

from finops.runtime.places import CHECKOUT


@pytest.mark.parametrize("environment", [".venv", ".venv-litellm", ".venv-clients"])
def test_whatever_is_wanted_is_installed_as_it_is_wanted(environment: str) -> None:
    places = [str(place) for place in (CHECKOUT / environment / "lib").glob("python*/site-packages")]
    found: dict[str, Distribution] = {canonical(one.name): one for one in distributions(path=places)}
    assert len(found) > 20
    assert lacking(found) == set()


def lacking(found: dict[str, Distribution]) -> set[str]:
    """Extras are followed where somebody wants them."""
    missing: set[str] = set()
    open_ = {(name, "") for name in found}
    done: set[tuple[str, str]] = set()
    while open_:
        name, extra = at = open_.pop()
        done.add(at)
        for line in found[name].requires or ():
            wanted = Requirement(line)
            if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
                continue
            other = canonical(wanted.name)
            if other not in found or not wanted.specifier.contains(found[other].version, prereleases=True):
                missing.add(f"{name}[{extra}] wants {wanted}")
                continue
            open_ |= {(other, canonical(each)) for each in wanted.extras} - done
    return missing

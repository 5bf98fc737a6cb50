"""Where things stand: database addresses, sockets short enough for the kernel, and the kept secret."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.runtime import places

words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@given(user=words, password=words, name=words.filter(lambda name: "/" not in name))
def test_any_user_password_and_name_survive_the_url(user: str, password: str, name: str) -> None:
    parts = (quote(part, safe="") for part in (user, password))
    url = f"postgresql://{':'.join(parts)}@db.example:6543/{quote(name, safe='')}?sslmode=require"

    settings = places.database_settings(url)

    assert (settings["USER"], settings["PASSWORD"], settings["NAME"]) == (user, password, name)
    assert (settings["HOST"], settings["PORT"], settings["OPTIONS"]) == ("db.example", "6543", {"sslmode": "require"})


def test_a_socket_folder_is_the_host() -> None:
    settings = places.database_settings("postgresql://postgres@/capstan?host=/run/pg")
    assert (settings["HOST"], settings["NAME"], settings["OPTIONS"]) == ("/run/pg", "capstan", {})


@pytest.mark.parametrize(
    "url", ["mysql://u@h/n", "sqlite:///x", "nonsense", "postgresql://u:hunter2@h", "postgresql://u:hunter2@h:port/n"]
)
def test_an_unusable_url_is_refused_without_repeating_its_password(url: str) -> None:
    with pytest.raises(ValueError) as refused:
        places.database_settings(url)
    assert "hunter2" not in str(refused.value)


def test_without_a_url_the_database_is_the_embedded_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAPSTAN_DATA", str(tmp_path))
    assert places.database_settings("")["HOST"] == str(places.postgres_socket_dir())


@given(length=st.integers(1, 300))
def test_a_socket_path_always_fits_the_kernel(length: int) -> None:
    folder = Path("/data/" + "d" * length)
    found = places.socket_dir(folder, places.POSTGRES_SOCKET)
    assert len(os.fsencode(found / places.POSTGRES_SOCKET)) <= places.SOCKET_PATH_MAX
    assert found == places.socket_dir(folder, places.POSTGRES_SOCKET)
    assert (found == folder) == (len(str(folder)) + 1 + len(places.POSTGRES_SOCKET) <= places.SOCKET_PATH_MAX)


def test_the_secret_is_made_once_and_for_its_owner_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAPSTAN_DATA", str(tmp_path / "new"))

    made = places.kept_secret("secret_key")

    assert len(made) >= 50
    assert places.kept_secret("secret_key") == made
    assert stat.S_IMODE((tmp_path / "new" / "secret_key").stat().st_mode) == 0o600
    assert not stat.S_IMODE((tmp_path / "new").stat().st_mode) & (stat.S_IROTH | stat.S_IWOTH)

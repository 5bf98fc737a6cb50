"""Which real accounts the environment names: `CAPSTAN_LIVE_<ACCOUNT>` holds a credential, and `…_SETTINGS`, as JSON,
what else the account needs and, as `address`, where it is asked if not at its usual place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from finops.connectors.fetching import Access, Account


class SettingsUnreadable(ValueError):
    """Says which variable it is, and not what it holds."""


def variable(account: Account) -> str:
    """`CAPSTAN_LIVE_OPENAI`"""
    return f"CAPSTAN_LIVE_{account.name.upper().replace('-', '_')}"


def access_of(account: Account, environment: Mapping[str, str]) -> Access | None:
    """What the account is asked with; None where no credential is set. Raises SettingsUnreadable."""
    name = variable(account)
    credential = environment.get(name, "").strip()
    if not credential:
        return None
    try:
        said = json.loads(environment.get(f"{name}_SETTINGS") or "{}")
    except ValueError:
        raise SettingsUnreadable(f"{name}_SETTINGS is no JSON") from None
    if not isinstance(said, dict) or not all(isinstance(value, str) for value in said.values()):
        raise SettingsUnreadable(f"{name}_SETTINGS is no JSON object of texts")
    address = said.pop("address", "")
    missing = [need.name for need in account.needs if need.needed and not said.get(need.name)]
    if missing:
        raise SettingsUnreadable(f"{name}_SETTINGS lacks {', '.join(missing)}")
    # Whoever runs this says it of a server of theirs, which may stand in their own network.
    internal = (urlsplit(address).hostname or "",) if address else ()
    return Access(address=address or account.address, credential=credential, settings=said, internal=internal)


def set_in(accounts: Mapping[str, Account], environment: Mapping[str, str]) -> list[Account]:
    return [account for account in accounts.values() if environment.get(variable(account), "").strip()]


def summary(accounts: Mapping[str, Account], environment: Mapping[str, str]) -> str:
    """For people, before they read "3 skipped" as "3 good"."""
    asked = [account.name for account in set_in(accounts, environment)]
    if asked:
        return f"Asked: {', '.join(asked)}. Of no other account a credential was set."
    names = ", ".join(variable(account) for account in accounts.values())
    return f"Nothing was asked: no credential was set. Set one or more of {names}."

"""Who called Bedrock, by the ARN of AWS. Pure."""

from __future__ import annotations

import re
from typing import Final

# A person who signs in through a directory has their user name as the session's name, and mostly that is an address.
_ASSUMED: Final = re.compile(r"arn:aws[\w-]*:sts::\d*:assumed-role/(?P<role>[^/]+)/(?P<session>.+)")
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def identities_of(arn: str) -> tuple[tuple[str, str], ...]:
    """(kind, value) pairs that may name a person: their address where the session is named by it, and the ARN."""
    if not arn:
        return ()
    found = _ASSUMED.fullmatch(arn)
    session = found["session"] if found else ""
    whole = (("provider_user", arn),)
    return (("email", session), *whole) if _ADDRESS.fullmatch(session) else whole


def role_of(arn: str) -> str:
    """The role a session is of; '' where it is none."""
    found = _ASSUMED.fullmatch(arn)
    return found["role"] if found else ""

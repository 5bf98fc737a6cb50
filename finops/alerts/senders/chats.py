"""Slack, Teams and PagerDuty, through apprise. Each is built from its checked parts, never from an address as written:
apprise reads options in addresses (templates from files, no TLS verification) that nobody here is to set.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any, Final

from apprise.asset import AppriseAsset
from apprise.common import NotifyFormat, NotifyType
from apprise.plugins.pagerduty import NotifyPagerDuty
from apprise.plugins.slack import NotifySlack
from apprise.plugins.workflows import NotifyWorkflows

from finops.alerts.rules.addresses import is_public, slack_parts, teams_parts
from finops.alerts.senders import wording
from finops.alerts.types import Event, Letter, Medium, Outcome, Severity

_ASSET: Final = AppriseAsset(app_id="Capstan", app_desc="Capstan", plugin_paths=[], async_mode=False)
_BOUNDED: Final[dict[str, Any]] = {
    "asset": _ASSET,
    "redirect": "no",
    "verify": "yes",
    "cto": 5.0,
    "rto": 10.0,
}
_TYPES: Final = {
    Severity.CRITICAL: NotifyType.FAILURE,
    Severity.WARNING: NotifyType.WARNING,
    Severity.INFO: NotifyType.INFO,
}
_RANK: Final = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)


def send(kind: Medium, address: str, letter: Letter) -> Outcome:
    """One try. What was said when it failed is apprise's own words, which hold a status and no address."""
    severity = max((Severity(one.severity) for one in letter.stories), key=_RANK.index, default=Severity.INFO)
    if kind is Medium.TEAMS and not _reachable(teams_parts(address).host):
        return Outcome("That host is not on the public net.", permanent=True)
    plugin = _plugin(kind, address, letter)
    with _heard() as said:
        done = plugin.notify(
            body=wording.body(letter),
            title=wording.subject(letter),
            notify_type=_TYPES[severity],
            body_format=NotifyFormat.TEXT,
        )
    return Outcome() if done else Outcome((" ".join(said) or "It was not taken.")[:300])


def _plugin(kind: Medium, address: str, letter: Letter) -> Any:
    if kind is Medium.SLACK:
        a, b, c = slack_parts(address)
        return NotifySlack(token_a=a, token_b=b, token_c=c, include_image=False, include_footer=False, **_BOUNDED)
    if kind is Medium.TEAMS:
        parts = teams_parts(address)
        return NotifyWorkflows(
            workflow=parts.workflow, signature=parts.signature, power_automate=parts.automate, routing_id=parts.route,
            include_image=False, host=parts.host, port=443, secure=True, **_BOUNDED,
        )  # fmt: skip
    over = len(letter.stories) == 1 and letter.stories[0].event == Event.RESOLVED
    # PagerDuty's Events API knows a caller by the integration key alone; the token apprise asks for is not looked at.
    return NotifyPagerDuty(
        apikey="events", integrationkey=address, source="capstan", component="capstan", include_image=False,
        action="resolve" if over else "trigger", dedup=_dedup(letter), **_BOUNDED,
    )  # fmt: skip


def _dedup(letter: Letter) -> str:
    """PagerDuty's incident is ours; what is told together has one of its own."""
    one = letter.stories[0] if len(letter.stories) == 1 and not letter.more else None
    return f"capstan-incident-{one.id}" if one else f"capstan-{letter.id}"


def _reachable(host: str) -> bool:
    """Whether a name of Microsoft's leads to the public net. Unresolved is for the try itself to find out."""
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except OSError:
        return True
    return all(is_public(ip_address(str(one[4][0]).partition("%")[0])) for one in found)


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What apprise warns of meanwhile in this thread: it answers with yes or no alone."""
    said: list[str] = []
    here = threading.get_ident()

    class _Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == here:
                said.append(record.getMessage())

    ear = _Ear(logging.WARNING)
    logger = logging.getLogger("apprise")
    logger.addHandler(ear)
    try:
        yield said
    finally:
        logger.removeHandler(ear)

"""How a feed is doing, in words: what is wrong, since when, and what to do."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.utils.html import format_html
from django.utils.safestring import SafeString

from dashboards.templatetags.figures import when
from finops.connectors.fetching import Says
from finops.polling.models import PolledFeed

# Due for so long and read by nobody: no worker listens.
_FORGOTTEN: Final = timedelta(minutes=15)
SAYS: Final = {
    Says.CHARGES: "charges: each row is in the ledger",
    Says.USAGE: "what was used in a time: no charge of its own",
    Says.MONEY: "what a time cost, as the provider bills it: no charge of its own",
}
_STEPS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


class Standing(NamedTuple):
    """`pill` is a word for lists, `tone` one of the band's."""

    pill: str
    tone: str
    sentence: SafeString


def lasting(length: timedelta) -> str:
    """`10 minutes`, `2 days`, `36 hours`."""
    seconds = int(length.total_seconds())
    for size, word in _STEPS:
        if seconds >= size and (seconds % size == 0 or seconds >= 3 * size):
            many = round(seconds / size)
            return f"{many} {word}{'' if many == 1 else 's'}"
    return "no time"


def roughly(length: timedelta) -> str:
    """`1 hour`, `4 days`: whole ones of the largest there is."""
    seconds = max(int(length.total_seconds()), 0)
    size, word = next((step for step in _STEPS if seconds >= step[0]), _STEPS[-1])
    return f"{seconds // size} {word}{'' if seconds // size == 1 else 's'}"


def standing(row: PolledFeed, now: datetime) -> Standing:
    """Of a feed with its account and source."""
    if row.source.archived_at is not None:
        return Standing("archived", "info", format_html("The source is archived: nothing is read any more."))
    if row.account.disconnected_at is not None:
        said = "The account is disconnected since {}. Set a credential, and it goes on from where it stood."
        return Standing("disconnected", "warn", format_html(said, when(row.account.disconnected_at)))
    if row.state == PolledFeed.State.PAUSED:
        said = "Somebody paused it. Resume it, and it goes on from {}."
        return Standing("paused", "warn", format_html(said, when(row.watermark)))
    since, stood = when(row.troubled_since), when(row.watermark)
    if row.state == PolledFeed.State.REFUSED:
        said = (
            "{} That is so since {}, and it is not tried again. Set another credential: it then goes on from {}, and"
            " nothing is lost."
        )
        return Standing("refused", "bad", format_html(said, row.last_message, since, stood))
    if row.state == PolledFeed.State.LIMITED:
        said = (
            "The provider limits how often it is asked, since {}. It is asked again at {}, and nothing is lost. If it"
            " stays so, ask the provider for a higher limit, or see who else uses this key."
        )
        return Standing("limited", "warn", format_html(said, since, when(row.next_at)))
    if row.state == PolledFeed.State.FAILING:
        said = "It cannot be read since {}: {} It is tried again at {} (tried {} so far), and nothing is lost."
        times = "once" if row.failures == 1 else f"{row.failures} times"
        return Standing("failing", "bad", format_html(said, since, row.last_message, when(row.next_at), times))
    return _well(row, now)


def _well(row: PolledFeed, now: datetime) -> Standing:
    if row.leased_until is not None and row.leased_until >= now:
        return Standing(
            "reading", "info", format_html("It is being read now, from {} on.", when(row.reached or row.watermark))
        )
    if now - row.next_at > _FORGOTTEN:
        said = "It is due since {}, and nobody reads it: see whether the workers run."
        return Standing("waiting", "warn", format_html(said, when(row.next_at)))
    if row.last_success_at is None:
        return Standing("new", "info", format_html("Its first round begins at {}.", when(row.next_at)))
    said = "Read up to {}. The next round begins at {}."
    return Standing("active", "good", format_html(said, when(row.watermark), when(row.next_at)))

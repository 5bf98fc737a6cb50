"""What every call of a process is made with."""

from __future__ import annotations

from typing import NamedTuple

from finops.budgets.journal import Journal
from routing.gateway.calls import Calls
from routing.gateway.commits import Commits
from routing.gateway.deciding import Deciding
from routing.gateway.entry import Entry
from routing.gateway.figures.figures import Figures
from routing.gateway.proxy.health import Health, RetryBudget
from routing.gateway.proxy.probes import Probes
from routing.gateway.proxy.sender import Sender
from routing.gateway.proxy.whereabouts import Whereabouts


class Means(NamedTuple):
    deciding: Deciding
    entry: Entry
    calls: Calls
    commits: Commits
    journal: Journal
    sender: Sender
    health: Health
    retries: RetryBudget
    probes: Probes
    figures: Figures
    whereabouts: Whereabouts

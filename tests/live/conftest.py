from __future__ import annotations

import os

import pytest

from finops.connectors.feeds import ACCOUNTS
from tests.factories.orgs import Cast, the_cast
from tests.live.accounts import summary


@pytest.fixture
def cast(db: None) -> Cast:
    return the_cast()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("markexpr") == "live":
        terminalreporter.section("real accounts")
        terminalreporter.write_line(summary(ACCOUNTS, os.environ))

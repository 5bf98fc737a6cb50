"""Lines to the real database, over a network that forgets them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Timer

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from finops.budgets import lines
from finops.budgets.lines import connect
from tests.factories.budgets import database_address, impatient_address
from tests.fakes.network import Network, network

# Says something five times, a fifth of a second apart.
TALKS = "DO $$ BEGIN FOR n IN 1..5 LOOP RAISE NOTICE 'still here'; PERFORM pg_sleep(0.2); END LOOP; END $$"


@pytest.fixture
def forgetful(transactional_db: None) -> Iterator[Network]:
    with network(database_address()) as running:
        yield running


def test_a_line_on_which_nothing_is_heard_is_given_up(forgetful: Network) -> None:
    line = connect(forgetful.address, silent_s=0.5)
    forgetful.forgets()
    with pytest.raises(psycopg.OperationalError, match=r"said nothing for 0\.5 s"):
        line.execute("SELECT 1")
    assert line.closed


def test_who_only_listens_notices_it_too(forgetful: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "QUIET_S", 0.2)
    line = connect(forgetful.address, silent_s=0.5)
    line.execute("LISTEN nobody")
    forgetful.forgets()
    with pytest.raises(psycopg.OperationalError):
        for _ in range(100):
            assert line.told(0.05) == []
            line.check()
    assert line.closed


def test_what_others_tell_is_heard_once_and_whenever_it_came(transactional_db: None) -> None:
    with connect(database_address()) as line, connect(database_address()) as other:
        line.execute("LISTEN house")
        other.execute("NOTIFY house, 'one'")
        # It comes with the answer, and waits here.
        line.execute("SELECT 1")
        assert [told.payload for told in line.told(0.0)] == ["one"]
        assert line.told(0.0) == []
        late = Timer(0.1, other.execute, ["NOTIFY house, 'two'"])
        late.start()
        assert [told.payload for told in line.told(10.0)] == ["two"]
        late.join()


def test_to_listen_costs_nothing(transactional_db: None) -> None:
    with connect(database_address()) as line:
        line.execute("LISTEN nobody")
        before = time.thread_time()
        for _ in range(20):
            assert line.told(0.01) == []
        # Busy for a millisecond of each, it would be 20.
        assert time.thread_time() - before < 0.01


def test_a_long_statement_that_says_something_now_and_then_is_waited_for(forgetful: Network) -> None:
    with connect(forgetful.address, silent_s=0.5) as line:
        line.execute(TALKS)


def test_what_takes_long_is_waited_for_where_that_is_known(transactional_db: None) -> None:
    line = connect(database_address(), silent_s=0.3)
    with line.waits(30.0):
        line.execute("SELECT pg_sleep(0.6)")
    with pytest.raises(psycopg.OperationalError, match=r"said nothing for 0\.3 s"):
        line.execute("SELECT pg_sleep(5)")


def test_locks_of_who_fell_silent_are_free_again(forgetful: Network) -> None:
    hasty = make_conninfo(forgetful.address, options="-c idle_in_transaction_session_timeout=300")
    with connect(hasty, silent_s=0.5) as line, connect(database_address(), lock_s=5.0) as other:
        with pytest.raises(psycopg.OperationalError), line.transaction():
            line.execute("SELECT pg_advisory_xact_lock(7)")
            forgetful.forgets()
            line.execute("SELECT 1")
        other.execute("SELECT pg_advisory_lock(7)")


def test_what_an_address_says_itself_goes_before(transactional_db: None) -> None:
    with connect(make_conninfo(impatient_address(), keepalives_idle=30)) as line:
        assert line.execute("SHOW lock_timeout").fetchone() == ("100ms",)
        assert line.execute("SHOW statement_timeout").fetchone() == ("7500ms",)
        said = line.info.get_parameters()
    assert (said["keepalives_idle"], said["tcp_user_timeout"]) == ("30", "8000")

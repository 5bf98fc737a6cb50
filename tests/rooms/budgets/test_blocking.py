"""Keys of a proxy that reports an hour late: blocked ahead of the limit, and given back when there is room again.

Crawler spends ten dollars an hour; the cap is fifty dollars a month for each agent.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError
from psycopg.errors import DeadlockDetected

from finops.audit.models import AuditEvent, Signal
from finops.budgets import enforcement
from finops.budgets.models import Block, Budget
from finops.budgets.services.acting import act
from finops.budgets.services.budgets import archive_budget, change_budget, set_exception
from finops.budgets.services.enforceables import archive_enforceable
from finops.budgets.services.increases import ask_increase, decide_increase
from finops.budgets.services.planning import plan
from finops.budgets.types import Enforcement
from finops.sources.services import remove_access
from tests.factories.budgets import budget
from tests.factories.enforcement import HOUR, Proxy, Spender, key_of, reach
from tests.factories.ledger import Book
from tests.factories.orgs import HOUSE, Cast
from tests.fakes.litellm_keys import LiteLLMKeys

START = datetime(2026, 11, 2, tzinfo=UTC)


@pytest.fixture
def fake() -> Iterator[LiteLLMKeys]:
    made = LiteLLMKeys()
    yield made
    made.close()


@pytest.fixture
def proxy(book: Book, fake: LiteLLMKeys, settings: Any) -> Proxy:
    settings.INTERNAL_HOSTS = {fake.host}
    source = book.source("litellm")
    reach(source, fake.address)
    return Proxy(source, fake, START)


@pytest.fixture
def cap(proxy: Proxy) -> Budget:
    return budget(proxy.source.organization_id, "50", each="agent", at=START)


@pytest.fixture
def crawler(proxy: Proxy, cap: Budget) -> Spender:
    return proxy.spender("crawler", 10)


def changed(cap: Budget, proxy: Proxy, **what: Any) -> None:
    change_budget(organization_id=cap.organization_id, budget_id=cap.id, by=HOUSE, at=proxy.now, **what)


def states() -> list[str]:
    return [one.shown_state for one in Block.objects.order_by("id")]


def verbs() -> list[str]:
    return list(AuditEvent.objects.filter(subject_kind="enforceable").order_by("id").values_list("verb", flat=True))


def test_a_key_is_blocked_before_the_limit_and_little_is_left(proxy: Proxy, crawler: Spender, cap: Budget) -> None:
    proxy.go_on(8)
    assert proxy.blocked(crawler)
    assert 40 <= crawler.spent <= 50
    found = Block.objects.get()
    assert (found.state, found.budget_id, found.found_blocked) == (Block.State.BLOCKED, cap.id, False)
    assert found.spent < found.likely <= found.most
    assert found.crosses_at is not None
    assert "of 50.00 is reported, complete up to" in found.reason
    # All is reported by now: what was left is known.
    assert found.overshoot == 0
    assert float(found.unused or 0) == pytest.approx(50 - crawler.spent)
    assert enforcement.residual(cap.organization_id, cap.id, None)[:3] == (1, 0, Decimal(0))
    # One signal and one line of the trail, however often it was looked at.
    assert verbs() == ["enforceable.added", "enforcement.blocked"]
    assert [one.kind for one in Signal.objects.all()] == ["enforcement.blocked"]


def test_alerts_block_nobody(proxy: Proxy, crawler: Spender, cap: Budget) -> None:
    changed(cap, proxy, enforcement=Enforcement.ALERT)
    proxy.go_on(8)
    assert crawler.spent > 75
    assert states() == []


def test_who_has_enough_left_is_not_even_looked_at(proxy: Proxy, crawler: Spender, cap: Budget) -> None:
    changed(cap, proxy, limit_amount=Decimal(5_000))
    proxy.go_on(4)
    assert plan(every=timedelta(minutes=5), at=proxy.now).looked_at == 0


@pytest.mark.parametrize("how", ["limit", "increase", "exempt", "archive", "alert", "unmapped"])
def test_a_key_is_given_back_when_there_is_room_again_or_no_cap(
    proxy: Proxy, crawler: Spender, cap: Budget, how: str
) -> None:
    proxy.go_on(8)
    mine: dict[str, Any] = {"organization_id": cap.organization_id, "by": HOUSE, "at": proxy.now}
    subject = str(crawler.agent.id)
    if how == "limit":
        changed(cap, proxy, limit_amount=Decimal(500))
    elif how == "increase":
        asked = ask_increase(budget_id=cap.id, subject=subject, amount=Decimal(300), **mine)
        decide_increase(increase_id=asked.id, approve=True, **mine)
    elif how == "exempt":
        set_exception(budget_id=cap.id, subject=subject, limit_amount=None, **mine)
    elif how == "archive":
        archive_budget(budget_id=cap.id, **mine)
    elif how == "alert":
        changed(cap, proxy, enforcement=Enforcement.ALERT)
    else:
        archive_enforceable(enforceable_id=crawler.key.id, **mine)
    proxy.look()
    assert not proxy.blocked(crawler)
    assert states() == ["unblocked"]
    assert Block.objects.get().unblock_reason
    assert "enforcement.unblocked" in verbs()


def test_a_little_more_is_no_room(proxy: Proxy, crawler: Spender, cap: Budget) -> None:
    proxy.go_on(8)
    changed(cap, proxy, limit_amount=Decimal(52))
    proxy.look()
    assert proxy.blocked(crawler)


def test_with_a_new_period_it_goes_on(proxy: Proxy, crawler: Spender) -> None:
    proxy.go_on(8)
    proxy.now = datetime(2026, 12, 1, tzinfo=UTC)
    proxy.look()
    assert not proxy.blocked(crawler)
    assert Block.objects.get().unblock_reason == "a new period began"
    # And is blocked anew when December's is used up.
    proxy.go_on(8)
    assert proxy.blocked(crawler)
    assert states() == ["unblocked", "blocked"]


def test_what_a_person_blocked_stays_blocked(proxy: Proxy, crawler: Spender, cap: Budget) -> None:
    proxy.go_on(3)
    proxy.fake.set(crawler.key.external_id, blocked=True)
    changed(cap, proxy, limit_amount=Decimal(1))
    proxy.look()
    assert Block.objects.get().found_blocked
    archive_budget(organization_id=cap.organization_id, budget_id=cap.id, by=HOUSE, at=proxy.now)
    proxy.look()
    assert states() == ["unblocked"]
    assert proxy.blocked(crawler)


@pytest.mark.parametrize("other_first", [False, True])
def test_what_another_cap_needs_blocked_stays_blocked(
    proxy: Proxy, crawler: Spender, cap: Budget, other_first: bool
) -> None:
    other = budget(cap.organization_id, "20" if other_first else "55", at=START)
    proxy.go_on(12)
    changed(cap, proxy, limit_amount=Decimal(1))
    changed(other, proxy, limit_amount=Decimal(1))
    proxy.look()
    assert states() == ["blocked", "blocked"]
    for one, still in ((cap, True), (other, False)):
        archive_budget(organization_id=cap.organization_id, budget_id=one.id, by=HOUSE, at=proxy.now)
        proxy.look()
        assert proxy.blocked(crawler) is still
    assert states() == ["unblocked", "unblocked"]


def test_a_cap_of_all_blocks_every_key_and_a_key_that_comes_later(proxy: Proxy) -> None:
    budget(proxy.source.organization_id, "50", at=START)
    crawler, reader = proxy.spender("crawler", 5), proxy.spender("reader", 5)
    proxy.go_on(8)
    assert proxy.blocked(crawler)
    assert proxy.blocked(reader)
    assert crawler.spent + reader.spent <= 50
    late = proxy.spender("late", 5)
    proxy.look()
    assert proxy.blocked(late)


def test_a_key_that_is_anothers_stays_as_it_is(proxy: Proxy, crawler: Spender) -> None:
    reader = proxy.spender("reader", 1)
    proxy.go_on(8)
    assert proxy.blocked(crawler)
    assert not proxy.blocked(reader)


def test_a_provider_that_is_away_is_asked_again_and_again(proxy: Proxy, crawler: Spender, cap: Budget) -> None:
    proxy.go_on(3)
    changed(cap, proxy, limit_amount=Decimal(1))
    proxy.fake.fail(500, 503, 429)
    for expected in (2, 4, 8):
        proxy.look()
        found = Block.objects.get()
        assert (found.state, found.next_try_at - proxy.now) == (Block.State.WANTED, timedelta(seconds=expected))
        assert found.last_error
        # Not before it is due.
        assert act(now=lambda: proxy.now) == 0
        proxy.now = found.next_try_at
    proxy.look()
    assert states() == ["blocked"]
    assert not Signal.objects.filter(kind="enforcement.failed").exists()


def test_what_only_a_person_can_mend_is_told_once_and_tried_now_and_then(
    proxy: Proxy, crawler: Spender, cap: Budget
) -> None:
    proxy.go_on(3)
    changed(cap, proxy, limit_amount=Decimal(1))
    proxy.fake.fail(403, 403)
    for _ in range(2):
        proxy.look()
        assert states() == ["failed"]
        assert Signal.objects.filter(kind="enforcement.failed").count() == 1
        proxy.now += timedelta(minutes=15)
    proxy.look()
    assert states() == ["blocked"]
    assert verbs().count("enforcement.failed") == 1


def test_without_the_access_a_key_cannot_be_given_back_and_somebody_is_told(
    proxy: Proxy, crawler: Spender, cap: Budget
) -> None:
    proxy.go_on(8)
    remove_access(
        organization_id=cap.organization_id, source_id=proxy.source.id, by=HOUSE, at=proxy.now + timedelta(minutes=1)
    )
    proxy.look()
    assert states() == ["failed"]
    assert proxy.blocked(crawler)
    assert Signal.objects.filter(kind="enforcement.failed").count() == 1


def test_a_key_that_is_gone_needs_no_block(proxy: Proxy, crawler: Spender, cap: Budget) -> None:
    proxy.go_on(3)
    changed(cap, proxy, limit_amount=Decimal(1))
    del proxy.fake.blocked[crawler.key.external_id]
    proxy.look()
    archive_budget(organization_id=cap.organization_id, budget_id=cap.id, by=HOUSE, at=proxy.now)
    proxy.look()
    assert states() == ["unblocked"]


def test_a_worker_that_died_after_it_blocked_a_key_gives_it_back_later(
    proxy: Proxy, crawler: Spender, cap: Budget, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.go_on(3)
    changed(cap, proxy, limit_amount=Decimal(1))

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr("finops.budgets.services.acting._finish", die)
        with pytest.raises(KeyboardInterrupt):
            proxy.look()
    assert proxy.blocked(crawler)
    assert states() == ["wanted"]
    # Nobody else takes the key before the dead one's time is over.
    proxy.look()
    assert states() == ["wanted"]
    proxy.now += timedelta(minutes=2)
    proxy.look()
    assert states() == ["blocked"]
    archive_budget(organization_id=cap.organization_id, budget_id=cap.id, by=HOUSE, at=proxy.now)
    proxy.look()
    assert not proxy.blocked(crawler)


def test_what_is_not_wanted_any_more_before_it_was_done_is_not_done(
    proxy: Proxy, crawler: Spender, cap: Budget
) -> None:
    proxy.go_on(3)
    changed(cap, proxy, limit_amount=Decimal(1))
    plan(every=timedelta(minutes=5), at=proxy.now)
    archive_budget(organization_id=cap.organization_id, budget_id=cap.id, by=HOUSE, at=proxy.now)
    plan(every=timedelta(minutes=5), at=proxy.now)
    act(now=lambda: proxy.now)
    assert states() == ["unblocked"]
    assert [one for one in proxy.fake.asked if one.path == "/key/block"] == []
    assert verbs() == ["enforceable.added"]


def test_planning_twice_plans_once(proxy: Proxy, crawler: Spender, cap: Budget) -> None:
    proxy.go_on(3)
    changed(cap, proxy, limit_amount=Decimal(1))
    assert plan(every=timedelta(minutes=5), at=proxy.now).wanted == 1
    assert plan(every=timedelta(minutes=5), at=proxy.now).wanted == 0
    assert len(states()) == 1


def in_a_circle() -> Exception:
    """As Django says it."""
    error = OperationalError("deadlock detected")
    error.__cause__ = DeadlockDetected("deadlock detected")
    return error


@pytest.mark.parametrize("mistake", [ZeroDivisionError(), in_a_circle()])
def test_a_mistake_about_one_organization_keeps_no_other_from_its_keys(
    proxy: Proxy, crawler: Spender, cap: Budget, cast: Cast, monkeypatch: pytest.MonkeyPatch, mistake: Exception
) -> None:
    proxy.go_on(3)
    changed(cap, proxy, limit_amount=Decimal(1))
    there = enforcement.organizations_with_keys()
    monkeypatch.setattr(enforcement, "organizations_with_keys", lambda: [cast.globex.id, *there])
    real = enforcement.load_targets

    def load(organization_id: int, at: datetime) -> enforcement.Targets:
        if organization_id == cast.globex.id:
            raise mistake
        return real(organization_id, at)

    monkeypatch.setattr(enforcement, "load_targets", load)
    proxy.look()
    assert proxy.blocked(crawler)


def test_a_key_of_a_person_counts_for_the_persons_team_too(proxy: Proxy, book: Book, cast: Cast) -> None:
    cap = budget(book.organization.id, "50", scope={"team": (str(cast.search.id),)}, at=START)
    key_of(proxy.source, 77, "person", cast.bob.id)
    key_of(proxy.source, 78, "person", cast.dana.id)
    targets = enforcement.load_targets(book.organization.id, START)
    assert [len(targets.keys_of(cap.id, ""))] == [1]


def test_caps_about_what_a_key_does_not_say_have_no_key(proxy: Proxy, crawler: Spender, cap: Budget) -> None:
    about_model = budget(cap.organization_id, "1", scope={"model": ("gpt",)}, at=START)
    each_model = budget(cap.organization_id, "1", each="model", at=START)
    targets = enforcement.load_targets(cap.organization_id, START)
    assert {about_model.id, each_model.id} & set(targets.terms) == set()


def test_a_source_that_fell_silent_is_taken_to_be_later_up_to_twice_its_delay() -> None:
    reach_of = enforcement.Reach(1, "litellm", HOUR, timedelta(0))
    at = START
    for silent, late in ((0, 1), (60, 1), (90, 1.5), (600, 2)):
        received = at - timedelta(minutes=silent, seconds=10)
        assert at - enforcement.seen_until(reach_of, received, at) == late * HOUR
    assert at - enforcement.seen_until(reach_of._replace(delay=2 * HOUR), None, at) == 2 * HOUR

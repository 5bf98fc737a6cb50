"""A gateway process behind HTTP, the company whose calls it takes, and the proof that each of them is charged as the
upstreams billed it.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from django.conf import settings
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from finops.budgets.services import fold_observed
from finops.core.money import to_pico
from finops.orgs.services import add_project
from tests.factories.budgets import budget
from tests.factories.gateway import booked, key, published
from tests.factories.ledger import rows, small_book
from tests.factories.orgs import HOUSE, the_cast
from tests.factories.relaying import deployed
from tests.fakes.upstream import Script, Upstream, upstream
from tests.fakes.upstream.bill import Line
from tests.proxies.running import Child, free_port, request
from tests.waiting import until

HERE: Final = "127.0.0.1"
EACH: Final = ("", "team", "project", "person")
METERS: Final = (
    *("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "output_text", "output_reasoning"),
    "web_searches",
)


class Served:
    """Acme in a month like any other: Bob of Search works on Relaunch, within four hard budgets that every call of his
    concerns; Alice has nothing left. What `first` cannot answer, `standby` does. Charlie of Globex has no budget.
    """

    def __init__(self, folder: Path, first: Upstream, standby: Upstream) -> None:
        self.first, self.standby = first, standby
        now = timezone.now()
        small_book()
        cast = the_cast()
        acme = self.acme = cast.acme.id
        relaunch = add_project(organization_id=acme, name="Relaunch", by=HOUSE, at=now)
        self.budgets = {budget(acme, "1000", name=f"{each or 'all'} a month", each=each, at=now).id for each in EACH}
        budget(acme, "0.000001", name="Alice a month", scope={"person": (str(cast.alice.id),)}, at=now)
        whose = {"team_id": cast.search.id, "person_id": cast.bob.id, "project_id": relaunch.id}
        self.bob = key(acme, "calls.make", at=now, **whose)
        self.alice = key(acme, "calls.make", at=now, person_id=cast.alice.id)
        self.charlie = key(cast.globex.id, "calls.make", at=now)
        deployed(cast.globex.id, first, at=now)
        deployed(acme, first, at=now)
        deployed(acme, standby, at=now, name="standby", rank=1)
        published()
        self._child = _gateway(port := free_port(), folder)
        self.address = f"http://{HERE}:{port}"
        until(lambda: _is_ready(self._child, port, folder))

    @property
    def bill(self) -> list[Line]:
        return [*self.first.bill.lines, *self.standby.bill.lines]

    def proven(self) -> list[Line]:
        """The upstreams' bill, once every line of it is a charge, of the same meters and money, and nothing else is. Of
        an answer that broke off nobody told the figures, and its charge says so.
        """
        bill = self.bill

        def all_there() -> bool:
            booked()
            ((charges,),) = rows("SELECT count(*) FROM ledger_charge")
            return bool(charges >= len(bill))

        until(all_there, within_s=10)
        same(bill)
        return bill

    def settled(self) -> None:
        """The gateway ends; nothing is held any more, and each of the four budgets says what the ledger says."""
        self.stop()
        booked()
        fold_observed()
        ((cost,),) = rows("SELECT coalesce(sum(reporting_cost), 0) FROM ledger_charge")
        accounts = rows("SELECT budget_id, sum(authorised + observed), sum(leased) FROM budgets_account GROUP BY 1")
        spent = {budget_id: amount for budget_id, amount, _ in accounts if budget_id in self.budgets}
        assert spent == dict.fromkeys(self.budgets, cost), f"the ledger has {cost}, the accounts {accounts}"
        assert not any(leased for *_, leased in accounts), accounts
        assert self.first.open == self.standby.open == 0

    def stop(self) -> None:
        if self._child.process.poll() is None:
            self._child.process.terminate()
            self._child.end()


@contextmanager
def served(folder: Path, script: Script) -> Iterator[Served]:
    """On the test's database."""
    with override_settings(INTERNAL_HOSTS={HERE}), upstream(script) as first, upstream(script) as standby:
        running = None
        try:
            running = Served(folder, first, standby)
            yield running
        finally:
            if running is not None:
                running.stop()


def _gateway(port: int, folder: Path) -> Child:
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--host", HERE, "--port", str(port)]
    return Child(
        [*command, "--workers", "1", "--log-level", "error", "routing.gateway.asgi:app"],
        folder / "gateway.log",
        {
            "DATABASE_URL": database_url(),
            "CAPSTAN_SECRET_KEY": settings.SECRET_KEY,
            "CAPSTAN_INTERNAL_HOSTS": HERE,
            "CAPSTAN_DATA": str(folder),
            "CAPSTAN_JOURNAL": str(folder / "gateway"),
        },
    )


def database_url() -> str:
    """The test database's."""
    given = connection.settings_dict
    known = {name: quote(str(given[name] or ""), safe="") for name in ("USER", "PASSWORD", "HOST", "PORT", "NAME")}
    port = f":{known['PORT']}" if known["PORT"] else ""
    who = known["USER"] + (f":{known['PASSWORD']}" if known["PASSWORD"] else "")
    return f"postgresql://{who}@{'localhost' if port else ''}{port}/{known['NAME']}?host={known['HOST']}"


def _is_ready(child: Child, port: int, folder: Path) -> bool:
    assert child.process.poll() is None, (folder / "gateway.log").read_text()[-3000:]
    try:
        return request(port, "GET", "/readyz")[0] == 200
    except OSError:
        return False


def same(bill: Sequence[Line], *, by_id: bool = True) -> None:
    """Every line of an upstream's bill is a charge, of the same meters and money, and nothing else is. Without their
    ids where a proxy tells ids of its own.
    """
    start = 0 if by_id else 1
    told, owed = Counter(one[start:] for one in _charged()), Counter(_billed(line)[start:] for line in bill)
    assert told == owed, f"not charged: {owed - told}; charged and not billed: {told - owed}"


def _charged() -> Iterator[Any]:
    columns = ", ".join(f"c.{name}" for name in METERS)
    for answer_id, evidence, cost, *counts in rows(
        f"SELECT c.provider_request_id, t.value, c.effective_cost, {columns} FROM ledger_charge AS c"
        " JOIN ledger_term AS t ON t.id = c.evidence_id"
    ):
        meters = tuple((meter, count) for meter, count in zip(METERS, counts, strict=True) if count)
        yield (answer_id, evidence, meters, to_pico(cost)) if evidence == "metered" else (answer_id, evidence)


def _billed(line: Line) -> Any:
    if line.cancelled:
        return line.answer_id, "estimated"
    # Embeddings have no id of their own.
    answer_id = "" if line.path.endswith("/embeddings") else line.answer_id
    return (
        answer_id,
        "metered",
        tuple((meter, line.meters[meter]) for meter in METERS if meter in line.meters),
        line.pico,
    )

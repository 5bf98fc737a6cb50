"""What this process decides by: the published configuration, swapped whole as it changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final

import psycopg

from finops.budgets.guard import Guard
from finops.budgets.lines import LISTENING_S, Line, connect
from routing.configuration import wire
from routing.gateway import cut
from routing.gateway.house import House, Public, public_of

log = logging.getLogger(__name__)
CHANNEL: Final = "configuration_published"
CATALOGUE: Final = 0
# Besides being told, it looks: that also says whether anybody is there.
EVERY_S: Final = 5.0
_TURN_S: Final = 0.2


class Configured:
    """Every organization as it was last published. One that cannot be read leaves the one before in force."""

    def __init__(
        self,
        address: str,
        guard: Guard,
        changed: Callable[[], None],
        was_cut: Callable[[str], None],
        listening: Callable[[], None],
    ) -> None:
        """`guard` is given the rules; in a thread, `changed` is called after something was swapped, and `was_cut` with
        what was told on that channel. `listening` is called whenever that begins, also anew.
        """
        self._address = address
        self._was_cut = was_cut
        self._listening = listening
        self._guard = guard
        self._changed = changed
        # When it last looked at what is published.
        self.looked_at = monotonic()
        # Of what it has taken over, by organization.
        self.stamps: dict[int, str] = {}
        self._bodies: dict[int, wire.Organization] = {}
        self._public: Public | None = None
        self.houses: dict[int, House] = {}
        self.by_prefix: dict[str, House] = {}
        self.ready = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="configured", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            try:
                # However long it takes, while it comes: all of it may be large.
                with connect(self._address, statement_s=0, silent_s=LISTENING_S) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    connection.execute(f"LISTEN {cut.CHANNEL}")
                    self._listening()
                    self._until_lost(connection)
            except psycopg.OperationalError as error:
                log.warning("the configuration cannot be followed: %s", error)
                self._stopping.wait(1.0)
            except Exception:
                # A process that follows no more would take revoked keys for good.
                log.exception("the configuration could not be followed; trying again")
                self._stopping.wait(1.0)

    def _until_lost(self, connection: Line) -> None:
        waited = EVERY_S
        while not self._stopping.is_set():
            told = connection.told(_TURN_S)
            waited += _TURN_S
            for one in told:
                if one.channel == cut.CHANNEL:
                    self._was_cut(one.payload)
            if any(one.channel == CHANNEL for one in told) or waited >= EVERY_S or not self.ready.is_set():
                waited = 0.0
                self.refresh(connection)

    def refresh(self, connection: psycopg.Connection[Any]) -> None:
        """Take over what was published since."""
        rows = connection.execute("SELECT organization_id, stamp FROM configuration_published ORDER BY 1").fetchall()
        self.looked_at = monotonic()
        changed = [organization_id for organization_id, stamp in rows if self.stamps.get(organization_id) != stamp]
        if not changed:
            return
        bodies = connection.execute(
            "SELECT organization_id, stamp, body FROM configuration_published WHERE organization_id = ANY(%s)"
            " ORDER BY organization_id",
            [changed],
        ).fetchall()
        for organization_id, stamp, body in bodies:
            if organization_id == CATALOGUE:
                self._take_catalogue(bytes(body))
            else:
                self._take(organization_id, bytes(body))
            self.stamps[organization_id] = stamp
        if self._public is not None:
            self.ready.set()
        self._changed()

    def _take_catalogue(self, body: bytes) -> None:
        with _refused_whole("the catalogue"):
            self._public = public = public_of(wire.decode_catalogue(body))
            made = {}
            for organization_id, published in self._bodies.items():
                with _refused_whole(f"the configuration of organization {organization_id}"):
                    made[organization_id] = House(published, public)
            self._put(made)

    def _take(self, organization_id: int, body: bytes) -> None:
        with _refused_whole(f"the configuration of organization {organization_id}"):
            published = wire.decode_organization(body)
            made = {} if self._public is None else {organization_id: House(published, self._public)}
            # Only what a house can be made of.
            self._bodies[organization_id] = published
            self._put(made)

    def _put(self, made: Mapping[int, House]) -> None:
        for one in made:
            self._guard.rules_are(self._bodies[one].guard)
        houses = {**self.houses, **made}
        # One assignment each: whoever decides meanwhile has one or the other, whole.
        self.houses = houses
        self.by_prefix = {prefix: house for house in houses.values() for prefix in house.keys}


@contextmanager
def _refused_whole(what: str) -> Iterator[None]:
    """What cannot be used is used in no part, and keeps nobody else's from being used."""
    try:
        yield
    except Exception:
        log.exception("%s cannot be used; what was before stays", what)

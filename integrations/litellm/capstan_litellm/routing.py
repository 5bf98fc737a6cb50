"""Asks Capstan's rules where a call should go, and keeps the answer for a moment."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from time import monotonic
from typing import Any, Final

from capstan_litellm.answers import Answer, Unreachable
from capstan_litellm.client import Client
from capstan_litellm.offers import local_names
from capstan_litellm.settings import CLOSED, LOCAL, Settings

logger = logging.getLogger("capstan_litellm")
_MOST_KEPT: Final = 10_000
# Decisions of calls that went by an answer that was kept, on their way to Capstan. Beyond, calls ask and wait.
_MOST_TELLING: Final = 64
# Where Capstan gave no answer, calls do not wait for it for so long.
_QUIET_S: Final = 1.0
_TOLD_EVERY_S: Final = 30.0
EXCLUDED: Final = "rules.excluded"


class RouteRefused(Exception):
    """The call must not go anywhere that this proxy could send it."""

    def __init__(self, status: int, code: str, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Use:
    """How a rule wants a model used: '' and None as the caller says."""

    effort: str = ""
    most_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Routed:
    """`models` are the proxy's own names in the order they are tried, none where the call stays with what it asks for.
    `allowed` are all names that limits leave, None where none holds. `arm` is empty where no rule chooses.
    """

    models: tuple[str, ...] = ()
    uses: Mapping[str, Use] = field(default_factory=dict)
    allowed: frozenset[str] | None = None
    rule: str = ""
    rule_id: int | None = None
    version: int | None = None
    arm: str = ""
    steady: bool = False

    @property
    def tags(self) -> dict[str, str]:
        """What the charge carries of the decision."""
        if not self.arm:
            return {}
        return {"routing-rule": self.rule, "routing-version": str(self.version), "routing-arm": self.arm}

    @property
    def header(self) -> str:
        """As Capstan's own gateway says it to whoever called."""
        return f"{self.rule}; version={self.version}; arm={self.arm}" if self.arm else ""

    @property
    def followed(self) -> dict[str, Any]:
        return {"rule_id": self.rule_id, "version": self.version, "arm": self.arm}


class Routes:
    """Of one process and its event loop."""

    def __init__(self, settings: Settings, client: Client, now: Callable[[], float] = monotonic) -> None:
        self._settings = settings
        self._client = client
        self._now = now
        self._kept: OrderedDict[bytes, tuple[float, Routed]] = OrderedDict()
        self._telling: set[asyncio.Task[None]] = set()
        self._quiet_until = self._told_at = float("-inf")

    async def route(self, question: dict[str, Any]) -> Routed:
        """Raises RouteRefused."""
        name = _name(question)
        known = self._known(name)
        if known is not None and len(self._telling) < _MOST_TELLING:
            self._tell(name, question, known)
            return known
        if self._now() < self._quiet_until:
            return self._without(question, "Capstan gave no answer a moment ago")
        try:
            return self._heard(name, await self._asked(question))
        except Unreachable as error:
            self._quiet_until = self._now() + _QUIET_S
            return self._without(question, str(error))

    async def _asked(self, question: dict[str, Any]) -> Answer:
        answer = await self._client.route(question)
        if answer.status == 200:
            return answer
        if answer.code == EXCLUDED or answer.code == "gateway.model_not_found":
            raise RouteRefused(answer.status, answer.code, str(answer.body.get("detail") or answer.code))
        raise Unreachable(f"Capstan does not take the question: {answer.status} {answer.code}")

    def _heard(self, name: bytes, answer: Answer) -> Routed:
        routed = read(answer.body)
        if routed.steady and self._settings.route_kept:
            self._kept[name] = self._now() + self._settings.route_kept, routed
            self._kept.move_to_end(name)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return routed

    def _known(self, name: bytes) -> Routed | None:
        found = self._kept.get(name)
        if found is None:
            return None
        until, routed = found
        if self._now() < until:
            return routed
        del self._kept[name]
        return None

    def _tell(self, name: bytes, question: dict[str, Any], known: Routed) -> None:
        """Each call is a decision of its own, also where an answer that was kept made it. What Capstan says to that is
        the newer answer.
        """
        task = asyncio.get_running_loop().create_task(self._told(name, question | {"followed": known.followed}))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _told(self, name: bytes, question: dict[str, Any]) -> None:
        try:
            self._heard(name, await self._asked(question))
        except (Unreachable, RouteRefused):
            # The next call asks for itself.
            self._kept.pop(name, None)

    def _without(self, question: dict[str, Any], why: str) -> Routed:
        if self._now() - self._told_at >= _TOLD_EVERY_S:
            self._told_at = self._now()
            logger.warning("Calls go without Capstan's rules (%s): %s", self._settings.route_when_unreachable, why)
        if self._settings.route_when_unreachable == CLOSED:
            raise RouteRefused(503, "rules.unavailable", f"Capstan's rules cannot be asked. {why}")
        if self._settings.route_when_unreachable != LOCAL:
            return Routed()
        allowed = local_names(question["offers"])
        if question["model"] not in allowed:
            why = f"Capstan's rules cannot be asked, and until then only local models are used. {why}"
            raise RouteRefused(503, "rules.unavailable", why)
        return Routed(models=(question["model"],), allowed=allowed)


def read(said: Mapping[str, Any]) -> Routed:
    """Capstan's answer."""
    allowed = said.get("allowed")
    uses = {one["model"]: Use(one.get("effort") or "", one.get("most_output_tokens")) for one in said.get("use") or ()}
    return Routed(
        models=tuple(said.get("models") or ()),
        uses={model: use for model, use in uses.items() if use != Use()},
        allowed=None if allowed is None else frozenset(allowed),
        rule=str(said.get("rule") or ""),
        rule_id=said.get("rule_id"),
        version=said.get("version"),
        arm=str(said.get("arm") or ""),
        steady=said.get("steady") is True,
    )


def _name(question: Mapping[str, Any]) -> bytes:
    """Equal questions of one session, whatever their calls are called and however large they are."""
    same = {key: value for key, value in question.items() if key not in ("id", "input")}
    # Whether there are tools at all is something that rules ask for.
    same["tools"] = question["input"].get("tools", 0) > 0
    return blake2b(json.dumps(same, sort_keys=True, default=str).encode(), digest_size=16).digest()

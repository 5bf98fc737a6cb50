"""Which names a proxy's callers may ask for, and where each may be answered, as Capstan's rules know places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any, Final

from capstan_litellm.tries import Split, deployment_of, rows_of
from capstan_litellm.values import get, text

LOCAL: Final = "local"
_MOST_OFFERS: Final = 500
_MOST_PLACES: Final = 50
_MOST_LABELS: Final = 20
# Models come and go in a proxy with a database; they are looked at again after so long.
_KEPT_S: Final = 5.0
_MOST_TEAMS: Final = 1_000
# LiteLLM's words for "every model there is" in the list of a key, and for "those of its team".
_ALL: Final = frozenset({"all-proxy-models", "*"})
_OF_THE_TEAM: Final = "all-team-models"

Offers = Mapping[str, dict[str, Any]]


class Catalogue:
    """What is offered to a team, kept for a moment."""

    def __init__(self, split: Split, now: Callable[[], float] = monotonic) -> None:
        self._split = split
        self._now = now
        self._kept: dict[tuple[int, str | None], tuple[float, Offers]] = {}

    def offers(self, router: Any, auth: Any, asked: str) -> list[dict[str, Any]]:
        """Those that a key may ask for, the model that it does ask for first."""
        team = text(auth, "team_id") or None
        every = self._of(router, team)
        may = allowed_names(auth)
        names = [name for name in every if name != asked and (may is None or name in may)]
        first = [every[asked]] if asked in every else self._made(router, [asked], team)
        return [*first, *(every[name] for name in names)][:_MOST_OFFERS]

    def _of(self, router: Any, team: str | None) -> Offers:
        key = id(router), team
        known = self._kept.get(key)
        if known is None or known[0] <= self._now():
            if len(self._kept) >= _MOST_TEAMS:
                self._kept.clear()
            made = self._made(router, _names(router), team)
            known = self._kept[key] = self._now() + _KEPT_S, {one["name"]: one for one in made}
        return known[1]

    def _made(self, router: Any, names: Iterable[str], team: str | None) -> list[dict[str, Any]]:
        found = []
        for name in names:
            places = [self._place(row) for row in rows_of(router, name, team)]
            # Of a pattern, and of a name with more places than can be told, nothing is told: limits leave it out.
            if places and len(places) <= _MOST_PLACES and not any("*" in one["model"] for one in places):
                found.append({"name": name, "places": places})
        return found

    def _place(self, row: Any) -> dict[str, Any]:
        one, info = deployment_of(row, self._split), get(row, "model_info")
        labels = get(info, "capstan_labels")
        place: dict[str, Any] = {
            "model": one.model,
            "provider": one.provider,
            "upstream": text(info, "capstan_upstream"),
            "host": text(info, "capstan_host"),
            "region": text(info, "capstan_region") or text(get(row, "litellm_params"), "region_name"),
            "labels": [str(label) for label in labels[:_MOST_LABELS]] if isinstance(labels, list) else [],
        }
        return {name: value for name, value in place.items() if value or name == "model"}


def allowed_names(auth: Any) -> frozenset[str] | None:
    """What LiteLLM lets a key ask for, as far as it is told by name; None for everything. Of groups of access nothing
    is read, so that a call is moved to no model that its key might not use.
    """
    said = get(auth, "models")
    names = frozenset(one for one in said if isinstance(one, str)) if isinstance(said, list) else frozenset()
    of_team = get(auth, "team_models")
    team = frozenset(one for one in of_team if isinstance(one, str)) if isinstance(of_team, list) else frozenset()
    if _OF_THE_TEAM in names or not names:
        names = team
    return None if not names or names & _ALL else names


def local_names(offers: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Names of which every deployment is labelled local."""
    return frozenset(
        one["name"] for one in offers if one["places"] and all(LOCAL in at.get("labels", ()) for at in one["places"])
    )


def _names(router: Any) -> list[str]:
    known = get(router, "model_names")
    aliases = get(router, "model_group_alias")
    found = (
        {one for one in known if isinstance(one, str)} if isinstance(known, list | set | tuple | frozenset) else set()
    )
    return sorted(found | ({one for one in aliases if isinstance(one, str)} if isinstance(aliases, Mapping) else set()))

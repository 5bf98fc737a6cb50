"""Who a name that nobody has may be, by what is known of people. It only suggests: two people can share a name, and an
address can be taken over, so a person decides.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

# What several people answer to, or a program.
_NOBODYS: Final = frozenset({"admin", "api", "bot", "ci", "dev", "info", "key", "root", "service", "support", "user"})
_SHORTEST: Final = 3
_WORD: Final = re.compile(r"[^\W_]+")
_ADDRESS, _LOCAL, _NAME, _SHORT = range(4)
_REASONS: Final = (
    "The same address as {of}, but for case or what follows a plus.",
    "It reads like {of}, which is theirs.",
    "It is their name, {of}.",
    "It is their name, {of}, shortened.",
)


@dataclass(frozen=True, slots=True)
class Known:
    """A person as far as likeness goes: `names` are the values of their identities and their e-mail address."""

    person_id: int
    name: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A person an unknown name may be, and why, in a sentence."""

    person_id: int
    reason: str


class Likeness:
    """The people of an organization, ready to be compared with: once for any number of names."""

    def __init__(self, people: Iterable[Known]) -> None:
        # What somebody may be called, per strength of the likeness, to {person: what of theirs it is like}.
        self._called: tuple[dict[str, dict[int, str]], ...] = tuple(defaultdict(dict) for _ in _REASONS)
        for person in people:
            self._learn(person)

    def _learn(self, person: Known) -> None:
        for name in person.names:
            address, local = _parts(name)
            if address:
                self._called[_ADDRESS][address].setdefault(person.person_id, name)
            if _telling(_joined(local)):
                self._called[_LOCAL][_joined(local)].setdefault(person.person_id, name)
        words = _words(person.name)
        for form in {"".join(words), "".join(reversed(words))}:
            if _telling(form):
                self._called[_NAME][form].setdefault(person.person_id, person.name)
        if len(words) > 1:
            first, last = words[0], words[-1]
            for form in (first + last, last + first, first[0] + last, first + last[0], last + first[0]):
                if _telling(form):
                    self._called[_SHORT][form].setdefault(person.person_id, person.name)

    def suggest(self, value: str) -> Suggestion | None:
        """The one person it is most like. None where nobody is, or two are equally: a guess would be worse."""
        address, local = _parts(value)
        plain = _joined(local)
        if not _telling(plain):
            plain = ""
        for strength, form in ((_ADDRESS, address), (_LOCAL, plain), (_NAME, plain), (_SHORT, plain)):
            fitting = self._called[strength].get(form, {}) if form else {}
            if len(fitting) > 1:
                return None
            for person_id, of in fitting.items():
                return Suggestion(person_id, _REASONS[strength].format(of=of))
        return None


def _parts(value: str) -> tuple[str, str]:
    """(address without its tag, '' where it is none; what names somebody in it). `Al+ci@b.c` is `al@b.c` and `al`."""
    local, at, host = value.strip().casefold().rpartition("@")
    if not at:
        return "", host
    plain = local.split("+", 1)[0]
    return (f"{plain}@{host}" if plain and host else ""), plain


def _words(text: str) -> list[str]:
    """`Älice  O'Neil` is alice, o, neil."""
    flat = unicodedata.normalize("NFKD", text.casefold())
    return _WORD.findall("".join(letter for letter in flat if not unicodedata.combining(letter)))


def _joined(text: str) -> str:
    return "".join(_words(text))


def _telling(form: str) -> bool:
    """Long enough, and of letters, to mean one person."""
    return len(form) >= _SHORTEST and not form.isdigit() and form not in _NOBODYS

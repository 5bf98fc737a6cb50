"""What crosses rooms about kinds of work: what is known of a call, what is guessed, and whether it is sensitive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

# A guess that is not sure enough, and so no task type that anybody may name.
UNKNOWN: Final = "unknown"
LONGEST_TASK_TYPE: Final = 200


class Features(NamedTuple):
    """What is known of a call, without its prompt: `hot.features` makes it.

    `words` counts hashed words and pairs (`words.counts`) of the beginning of what was asked. `length` is of all of
    it, in characters. `tools` is how many the call offers, `recent_tools` names those that were used last, newest
    last. `modalities` are such as image, audio or file. `files` is how many the repository has, None where the client
    does not say, and `languages` the shares of its languages, 0 to 1. `depth` is 0 for a session's own calls, and more
    for those of its sub-agents; `turn` how often the user has spoken.
    """

    words: Mapping[int, int]
    length: int = 0
    tools: int = 0
    modalities: tuple[str, ...] = ()
    recent_tools: tuple[str, ...] = ()
    files: int | None = None
    languages: tuple[tuple[str, float], ...] = ()
    depth: int = 0
    turn: int = 0


class Signs(NamedTuple):
    """Features as they are kept and weighed: counts of hashed words, and `marks`, hashes of everything else."""

    words: Mapping[int, int]
    marks: tuple[int, ...]


class Guess(NamedTuple):
    """`confidence` is the chance that the likeliest type is right; below a threshold the type is UNKNOWN."""

    task_type: str
    confidence: float


NO_GUESS: Final = Guess(UNKNOWN, 0.0)


class Foreseen(NamedTuple):
    """`chances` is how likely each model does a call well, and `difficulty` how likely the light one fails it."""

    difficulty: float
    chances: Mapping[str, float]


class Source(StrEnum):
    """Who says which type a call is of. The strings are public."""

    API = "api"
    HEADER = "header"
    AGENT = "agent"
    KEY = "key"
    RULE = "rule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Whether features of calls that pass are kept, to learn from: of each type and day so many at most."""

    is_on: bool = True
    most_a_day: int = 200


# Where nobody said anything.
SAMPLING: Final = Sampling()


class Kind(StrEnum):
    """What makes a call sensitive. The strings are public: rules, the API and the tests quote them."""

    LABELLED = "labelled"
    SECRET = "secret"  # noqa: S105  # a kind of content
    URL_CREDENTIALS = "url_credentials"
    CARD = "card"
    IBAN = "iban"
    SSN = "ssn"
    HEALTH_NUMBER = "health_number"
    MEDICAL = "medical"
    PERSONAL = "personal"
    MARKED = "marked"


class Verdict(StrEnum):
    SENSITIVE = "sensitive"
    CLEAR = "clear"
    UNDECIDED = "undecided"


class Sensitivity(NamedTuple):
    """`kinds` are in the order of `Kind`, of what is sensitive; `reason` says in words why it is undecided, '' else."""

    verdict: Verdict
    kinds: tuple[Kind, ...] = ()
    reason: str = ""

    @property
    def stays_local(self) -> bool:
        """Where a rule says local-only: undecided counts as sensitive."""
        return self.verdict is not Verdict.CLEAR


class Content(NamedTuple):
    """What a call sends: its texts in their order, and what of it is no text, in words ('an image')."""

    texts: tuple[str, ...]
    unreadable: tuple[str, ...] = ()

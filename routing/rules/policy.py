"""A choice among models that was learned: what a call is expected to lose in quality, and to save, at each of them.
Pure, and fast enough for a call to wait for it. Learned by `recommend.learning`.

A call goes where its expected loss, less what quality may be sold for times its expected saving, is lowest; nowhere
else where that is not below nothing. One price for all calls sells the quality that is cheapest to give away first.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Mapping, Sequence
from functools import cached_property
from math import exp, log1p
from sys import byteorder
from typing import Final, NamedTuple

import msgspec

from routing.classify.hot import hashed
from routing.classify.words import BUCKETS, Counts, weighed

# Numbers are kept in so many steps either side of nothing.
_STEPS: Final = 2**15 - 1
# Of the length of a text, so that it is as large as a word's part.
_TENTH: Final = 0.1


class Packed(msgspec.Struct, frozen=True):
    """One number for each bucket of words, in steps of `step`: 16 bits each, lowest byte first, compressed."""

    step: float
    data: bytes

    def values(self) -> array[int]:
        found = array("h")
        # What is longer is none of ours, and would be unpacked for nothing.
        found.frombytes(zlib.decompressobj().decompress(self.data, BUCKETS * found.itemsize))
        if byteorder == "big":
            found.byteswap()
        if len(found) != BUCKETS:
            raise ValueError(f"there are {len(found)} numbers for {BUCKETS} buckets of words")
        return found


def packed(values: Sequence[float]) -> Packed:
    """Of one number for each bucket."""
    step = max(map(abs, values), default=0.0) / _STEPS or 1.0
    steps = array("h", [round(value / step) for value in values])
    if byteorder == "big":
        steps.byteswap()
    return Packed(step, zlib.compress(steps.tobytes(), 9))


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """Tasks with a chance from `lower` to `upper`: how many, their mean chance, and the mean score they came to."""

    lower: float
    upper: float
    number: int
    chance: float
    right: float


class Reliability(msgspec.Struct, frozen=True, kw_only=True):
    """Whether chances come true, by tasks that the fit had not seen: `error` is the expected calibration error, and
    `is_off` says whether they are clearly not what they say.
    """

    error: float
    is_off: bool
    bins: tuple[Kept, ...]


class Quality(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How likely a model does well on a call, by logistic regression on its words, its type and its length.
    `reliability` is None of what was learned before that was measured.
    """

    intercept: float
    length: float
    types: dict[str, float]
    words: Packed
    reliability: Reliability | None = None


class Cost(msgspec.Struct, frozen=True):
    """What a call costs at a model, in dollars: so much, more for each character, and never less than `least`."""

    base: float
    a_character: float
    least: float

    def of(self, characters: int) -> float:
        return max(self.least, self.base + self.a_character * characters)


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """Of one type of calls at one model: `loss` is the incumbent's mean score minus its own."""

    loss: float
    cost: Cost


class Learnt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model. `other` holds for types that nothing was learned of. Without `quality` its types say everything."""

    model: str
    types: dict[str, Expected]
    other: Expected
    quality: Quality | None = None

    def expected(self, task_type: str) -> Expected:
        return self.types.get(task_type, self.other)


class Policy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """`price` is the quality (scores) that a dollar may cost, for `share` of calls; for the others it is `floor`. Of
    the loss that a text says, `trust` counts, and the rest of its type's.
    """

    incumbent: Learnt
    candidates: tuple[Learnt, ...]
    price: float
    floor: float = 0.0
    share: float = 1.0
    trust: float = 0.0
    rarity: Packed | None = None


class Choice(NamedTuple):
    """`loss` and `saving` are what was expected of it, in scores and dollars; of the incumbent both are nothing."""

    model: str
    loss: float
    saving: float
    # The share of calls like this one that go there.
    propensity: float


class Chooser:
    """A policy made ready."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._incumbent = policy.incumbent
        self._texts = {one.model: _Text(one.quality) for one in (policy.incumbent, *policy.candidates) if one.quality}

    @property
    def reads(self) -> bool:
        """Whether a text makes a difference to it."""
        return self.policy.rarity is not None

    @cached_property
    def _rarity(self) -> Mapping[int, float]:
        rarity = self.policy.rarity
        return {} if rarity is None else {n: value * rarity.step for n, value in enumerate(rarity.values()) if value}

    def choose(self, task_type: str, characters: int, draw: float, found: Counts | None = None) -> Choice:
        """For a call of so many characters of text, whose words are `found`, if anybody may read them. `draw` is even
        from 0 to 1, and the same for calls that are to go the same way.
        """
        seen = self._seen(task_type, characters, found)
        high, low = self._best(seen, self.policy.price), self._best(seen, self.policy.floor)
        share = self.policy.share
        chosen = high if draw < share else low
        propensity = 1.0 if high == low else share if draw < share else 1.0 - share
        return Choice(*chosen, propensity)

    def of(self, task_type: str, text: str, draw: float) -> Choice:
        return self.choose(task_type, len(text), draw, hashed(text) if text and self.reads else None)

    def _seen(self, task_type: str, characters: int, found: Counts | None) -> list[tuple[str, float, float]]:
        """Of each candidate that saves anything: its model, and the loss and the saving to be expected."""
        policy = self.policy
        usual = self._incumbent.expected(task_type).cost.of(characters)
        values = weighed(found, self._rarity) if found else None
        first = self._texts.get(self._incumbent.model)
        good = None if values is None or first is None else first.good(task_type, characters, values)
        seen = []
        for one in policy.candidates:
            expected = one.expected(task_type)
            loss = expected.loss
            text = self._texts.get(one.model)
            if good is not None and values is not None and text is not None:
                loss = (1 - policy.trust) * loss + policy.trust * (good - text.good(task_type, characters, values))
            saving = usual - expected.cost.of(characters)
            if saving > 0:
                seen.append((one.model, loss, saving))
        return seen

    def _best(self, seen: Sequence[tuple[str, float, float]], price: float) -> tuple[str, float, float]:
        best, lowest = (self._incumbent.model, 0.0, 0.0), 0.0
        for one in seen if price > 0 else ():
            if (worth := one[1] - price * one[2]) < lowest:
                best, lowest = one, worth
        return best


class _Text:
    """What a text says of a model."""

    def __init__(self, quality: Quality) -> None:
        self._quality = quality
        self._words = quality.words.values()

    def good(self, task_type: str, characters: int, values: Mapping[int, float]) -> float:
        quality, words = self._quality, self._words
        said = sum([words[bucket] * value for bucket, value in values.items()]) * quality.words.step
        dense = quality.types.get(task_type, 0.0) + quality.length * log1p(characters) * _TENTH
        return 1.0 / (1.0 + exp(-max(-50.0, min(50.0, quality.intercept + dense + said))))

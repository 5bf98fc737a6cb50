"""What kind of work a call is, guessed while it waits: plain Python, no numpy, no Django, a bounded number of steps."""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, pairwise
from math import exp
from typing import Final, NamedTuple
from zlib import crc32

from finops.core.errors import FinopsError
from routing.classify.types import NO_GUESS, UNKNOWN, Features, Foreseen, Guess, Signs, wire
from routing.classify.words import BUCKETS, MOST_CHARACTERS, counts, weighed

MOST_TYPES: Final = 100
# Of one classifier, so that a gateway holds and reads them easily.
MOST_WEIGHTS: Final = 60_000
# The beginning of a text that is looked at: so many words, and so many buckets of words and pairs.
MOST_WORDS: Final = 500
MOST_BUCKETS: Final = 1_000
# Weights added up for one guess; what comes after says nothing.
MOST_STEPS: Final = 10_000
# Whose chances are told of a call.
MOST_MODELS: Final = 8
MARKS: Final = 2**11
MOST_NAMES: Final = 10
MOST_SHOWN: Final = 1_000_000
LONGEST_NAME: Final = 60
_SEEN: Final = 0.1
# Words and what is between them never overlap, so this goes over a text once.
_FIRST_WORDS: Final = re.compile(rf"(?:\W*\w+){{0,{MOST_WORDS}}}")
FILES_TAG: Final = "repository_files"
LANGUAGES_TAG: Final = "repository_languages"


class WeightsInvalid(FinopsError):
    """What was published is not what this process can read."""

    code = "classify.weights_invalid"


def features(
    text: str,
    *,
    tools: int = 0,
    modalities: Iterable[str] = (),
    recent_tools: Iterable[str] = (),
    files: int | None = None,
    languages: Iterable[tuple[str, float]] = (),
    depth: int = 0,
    turn: int = 0,
) -> Features:
    """Of what was asked and what is known besides; each part bounded, whatever is given."""
    return Features(
        words=hashed(text),
        length=len(text),
        tools=_bounded(tools),
        modalities=tuple(sorted({one[:LONGEST_NAME] for one in islice(modalities, MOST_NAMES)})),
        recent_tools=tuple(one[:LONGEST_NAME] for one in islice(recent_tools, MOST_NAMES)),
        files=None if files is None else _bounded(files),
        languages=tuple((name[:LONGEST_NAME], share) for name, share in islice(languages, MOST_NAMES)),
        depth=_bounded(depth),
        turn=_bounded(turn),
    )


def hashed(text: str) -> dict[int, int]:
    """The counts of a text's first words. A text of very many short words would keep the call waiting."""
    first = _FIRST_WORDS.match(text[:MOST_CHARACTERS])
    found = counts(first.group() if first else "")
    return found if len(found) <= MOST_BUCKETS else dict(islice(found.items(), MOST_BUCKETS))


def draw_of(call_id: str) -> int:
    """What a call is sampled by, of 32 bits: the same for whoever asks."""
    return crc32(b"sampled " + call_id.encode())


def repository(tags: Mapping[str, str]) -> tuple[int | None, tuple[tuple[str, float], ...]]:
    """How many files a repository has and the shares of its languages, where a client says so in tags:
    `repository_files` as 1200 and `repository_languages` as python:70;go:30, for commas end a tag in our header (where
    tags come otherwise, they will do). What does not read so is not known.
    """
    said = tags.get(FILES_TAG, "")
    files = int(said) if said.isascii() and said.isdigit() and len(said) < 10 else None
    parts = [one.strip().partition(":") for one in tags.get(LANGUAGES_TAG, "")[:1_000].replace(";", ",").split(",")]
    sizes = [(name.lower(), int(size)) for name, _, size in parts if name and size.isascii() and size.isdigit()]
    whole = sum(size for _, size in sizes)
    return files, tuple((name, size / whole) for name, size in sizes[:MOST_NAMES]) if whole else ()


def signs(known: Features) -> Signs:
    """As features are weighed: everything but words by hashed marks, and numbers by how many bits they have."""
    names = [f"length {known.length.bit_length()}", f"tools {known.tools.bit_length()}", f"turn {_few(known.turn)}"]
    names.append(f"depth {_few(known.depth)}")
    names += [f"modality {one}" for one in known.modalities]
    names += [f"recent {one}" for one in known.recent_tools]
    names += [f"last {one}" for one in known.recent_tools[-1:]]
    if known.files is not None:
        names.append(f"files {known.files.bit_length()}")
    names += [f"language {name}" for name, share in known.languages if share >= _SEEN]
    marks = {BUCKETS + crc32(one.encode("utf-8", "replace")) % MARKS for one in names}
    return Signs(known.words, tuple(sorted(marks)))


class Classifier:
    """Made once for each publication, and then read by every call."""

    def __init__(self, published: wire.Classifier) -> None:
        self.version = published.version
        self.types = published.types
        self._table = _Table(published.weights, outputs=len(published.types))
        self._threshold = published.threshold
        self._least_known = published.least_known

    @classmethod
    def of(cls, published: wire.Classifier) -> Classifier:
        """Raises WeightsInvalid."""
        if not 2 <= len(published.types) <= MOST_TYPES:
            raise WeightsInvalid(f"a classifier tells 2 to {MOST_TYPES} types apart", field="types")
        return cls(published)

    def guess(self, known: Features) -> Guess:
        return self.judge(signs(known))

    def judge(self, found: Signs) -> Guess:
        """Never raises, and takes a bounded number of steps, whatever it is given."""
        scored = self._table.scores(found)
        if scored.known <= 0.0 or scored.known < self._least_known:
            return NO_GUESS
        most = max(scored.scores)
        confidence = 1.0 / sum(exp(one - most) for one in scored.scores)
        sure = confidence >= self._threshold
        return Guess(self.types[scored.scores.index(most)] if sure else UNKNOWN, confidence)


class Prospects:
    """How likely each of some models does a call well, and so how difficult it is. Made once for each publication."""

    def __init__(self, published: wire.Prospects) -> None:
        """Raises WeightsInvalid."""
        self.version = published.version
        self.models = published.models
        if not 1 <= len(self.models) <= MOST_MODELS or len(published.curves) != len(self.models):
            raise WeightsInvalid(f"there are 1 to {MOST_MODELS} models, each with its curve", field="models")
        if published.light not in self.models:
            raise WeightsInvalid("the light one is none of the models", field="light")
        self.light = published.light
        self._table = _Table(published.weights, outputs=len(self.models))
        self._curves = [_Curve(one) for one in published.curves]

    def foresee(self, known: Features) -> Foreseen:
        return self.judge(signs(known))

    def judge(self, found: Signs) -> Foreseen:
        """Never raises, and takes a bounded number of steps. Of a call of which nothing is known, about the chances of
        an average one.
        """
        scores = self._table.scores(found).scores
        chances = {
            model: curve.at(score) for model, curve, score in zip(self.models, self._curves, scores, strict=True)
        }
        return Foreseen(1.0 - chances[self.light], chances)


class _Curve:
    """Chances by ascending scores: between two of them straight, beyond them as at the last."""

    def __init__(self, knots: Sequence[tuple[float, float]]) -> None:
        """Raises WeightsInvalid."""
        self._scores = [score for score, _ in knots]
        self._chances = [chance for _, chance in knots]
        if not self._scores or any(high <= low for low, high in pairwise(self._scores)):
            raise WeightsInvalid("the curve has no ascending scores", field="curves")
        if not all(0.0 <= one <= 1.0 for one in self._chances):
            raise WeightsInvalid("a chance is 0 to 1", field="curves")

    def at(self, score: float) -> float:
        above = bisect_right(self._scores, score)
        if above in (0, len(self._scores)):
            return self._chances[min(above, len(self._scores) - 1)]
        low, high = self._scores[above - 1 : above + 1]
        part = (score - low) / (high - low)
        return self._chances[above - 1] * (1.0 - part) + self._chances[above] * part


class _Scored(NamedTuple):
    """`known` is the share of the text's buckets that were ever learned of, 0 for no text."""

    scores: list[float]
    known: float


class _Table:
    """Weights as dictionaries, which is what is fastest to read here."""

    def __init__(self, published: wire.Weights, *, outputs: int) -> None:
        rows = len(published.sizes)
        total = len(published.outputs)
        fits = (
            len(published.buckets) == 2 * rows
            and len(published.rarities) == 4 * rows
            and len(published.weights) == 2 * total
            and sum(published.sizes) == total <= MOST_WEIGHTS
            and len(published.biases) == outputs
            and max(published.outputs, default=0) < outputs
        )
        if not fits:
            raise WeightsInvalid("the weights do not fit together", field="weights")
        buckets = struct.unpack(f"<{rows}H", published.buckets)
        self._rarities = dict(zip(buckets, struct.unpack(f"<{rows}f", published.rarities), strict=True))
        each = zip(published.outputs, struct.unpack(f"<{total}e", published.weights), strict=True)
        sizes = zip(buckets, published.sizes, strict=True)
        self._rows = {bucket: tuple(islice(each, size)) for bucket, size in sizes}
        self._biases = published.biases

    def scores(self, found: Signs) -> _Scored:
        rarities, rows = self._rarities, self._rows
        values = weighed(found.words, rarities)  # type: ignore[arg-type]  # any mapping of counts does
        known = len(values) / len(found.words) if found.words else 0.0
        # Marks first: there are few, and they are not to be crowded out.
        parts = [(one, rarities[one]) for one in found.marks if one in rarities]
        parts += values.items()
        scores, left = list(self._biases), MOST_STEPS
        for bucket, value in parts:
            row = rows[bucket]
            left -= len(row)
            if left < 0:
                break
            for output, weight in row:
                scores[output] += value * weight
        return _Scored(scores, known)


def _bounded(number: int) -> int:
    return min(max(number, 0), MOST_SHOWN)


def _few(number: int) -> int:
    """Small numbers apart, larger ones by how many bits they have."""
    return number if number < 4 else 1 + number.bit_length()

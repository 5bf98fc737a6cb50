"""The most a call can cost, provably: what its body bounds, at the dearest price each token could be given.

Text is bounded by its bytes: every tokenizer in use maps at least one byte to a token, so no text has more tokens than
bytes of UTF-8. What a provider adds around it (roles, tool instructions) is bounded by an allowance per message and
per tool. Which class an input token falls in (cached, written to a cache of an hour, …) is the provider's choice, so
each is taken at the dearest that is possible; so is the long-context step, which prices the whole call anew.

What cannot be bounded is refused, with its reason; it is never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import mul
from typing import Final, NamedTuple

from finops.core.errors import FinopsError
from finops.core.money import convert_pico
from finops.core.tokens import METER_INDEX
from finops.pricing.rules import Found
from finops.pricing.types import RateCard, RateStep

# What surrounds a message and names its role; the most any documented chat format adds is 7 tokens.
PER_MESSAGE: Final = 16
# What surrounds a call as a whole.
PER_CALL: Final = 64
# The instructions a provider adds where there are tools: 346 to 735 tokens are documented, and each tool's own frame.
FOR_TOOLS: Final = 1_024
PER_TOOL: Final = 32

_TEXT_IN: Final = ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h")
_AUDIO_IN: Final = ("input_audio", "cache_read_audio")
_IMAGE_IN: Final = ("input_image",)
_TEXT_OUT: Final = ("output_text", "output_reasoning")
_AUDIO_OUT: Final = ("output_audio",)
_IMAGE_OUT: Final = ("output_image",)
_CLASSES: Final = (
    _TEXT_IN, _AUDIO_IN, _IMAGE_IN, _AUDIO_OUT, _IMAGE_OUT, ("requests",), ("web_searches",), ("tool_calls",),
    _TEXT_OUT,
)  # fmt: skip
_OUTPUT: Final = len(_CLASSES) - 1
_ANY_OUTPUT: Final = (_OUTPUT, _CLASSES.index(_AUDIO_OUT), _CLASSES.index(_IMAGE_OUT))
# A card need not price these for a call to be bounded by it: where there is no such price there is no such class, and a
# token that could have been one is one of the others.
_OPTIONAL: Final = frozenset({"cache_read", "cache_write_5m", "cache_write_1h", "output_reasoning", "cache_read_audio"})


class Unbounded(FinopsError):
    """Nothing in the request says how much it can cost, so a hard cap cannot admit it. `field` is what is unbounded."""

    code = "budgets.unbounded_request"
    status = 422


class Unpriced(FinopsError):
    """Nobody knows what the call would cost, so a hard cap cannot admit it."""

    code = "budgets.unpriced"
    status = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The most a request can use. Token counts are upper bounds, of everything and all choices together."""

    input_text: int
    output_text: int
    input_audio: int = 0
    input_image: int = 0
    output_audio: int = 0
    output_image: int = 0
    requests: int = 1
    web_searches: int = 0
    tool_calls: int = 0
    # Nobody says what the answer is made of: each token of `output_text` may be text, sound or picture.
    output_any: bool = False


class Worst(NamedTuple):
    """The most a call can cost, in picodollars of the price's currency: `fixed`, and `per_output` for each token of
    output, so that it can be told how much output an amount affords.
    """

    fixed: int
    per_output: int
    output: int
    currency: str

    @property
    def amount(self) -> int:
        return self.fixed + self.per_output * self.output

    def converted(self, rate: Decimal) -> Worst:
        """In another currency, each part rounded up, so that the whole is never less than it was."""
        return Worst(_up(self.fixed, rate), _up(self.per_output, rate), self.output, "")

    def times(self, tries: int) -> Worst:
        """Of so many tries, each of which may be billed."""
        return Worst(self.fixed * tries, self.per_output * tries, self.output, self.currency)

    def or_dearer(self, other: Worst) -> Worst:
        """At least as much as either, for every amount of output."""
        return Worst(
            max(self.fixed, other.fixed), max(self.per_output, other.per_output), max(self.output, other.output),
            self.currency,
        )  # fmt: skip

    def affordable(self, amount: int) -> int:
        """How many tokens of output an amount affords; less than 0 when not even the rest is affordable."""
        if amount < self.fixed:
            return -1
        return self.output if not self.per_output else min(self.output, (amount - self.fixed) // self.per_output)


def text_tokens(texts: Iterable[str], *, messages: int = 0, tools: int = 0) -> int:
    """The most tokens a body can be: its bytes, and what a provider adds around messages and tools."""
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    return size + PER_CALL + PER_MESSAGE * messages + (FOR_TOOLS + PER_TOOL * tools if tools else 0)


class _Step(NamedTuple):
    """One step of one card: the dearest rates of `_CLASSES` for a prompt of more than `above` tokens. Of a class in
    `unpriced` nobody knows the price of its meter.
    """

    above: int
    rates: tuple[int, ...]
    unpriced: tuple[tuple[int, str], ...]


class Prices:
    """Every price a call may be given (one for each tier that may serve it, and each daily window), made ready to bound
    many calls of it. Raises Unpriced where there is none.
    """

    def __init__(self, candidates: Sequence[Found]) -> None:
        steps: dict[_Step, None] = {}
        currencies = set()
        for found in candidates:
            if not found.cards:
                raise Unpriced(
                    f"nobody knows the price of {found.model or 'this model'} ({found.reason})", field="model"
                )
            for card in found.cards:
                currencies.add(card.currency)
                steps.update(dict.fromkeys(_step(card, step) for step in card.steps))
        if not steps:
            raise Unpriced("no price may apply to this call", field="model")
        if len(currencies) > 1:
            raise Unpriced("the prices this call may be given are in several currencies", field="model")
        self._steps = tuple(steps)
        self.currency = currencies.pop()

    def worst(self, bounds: Bounds) -> Worst:
        """The most a call of these bounds can cost by any of them. Raises Unpriced."""
        most = bounds.input_text + bounds.input_audio + bounds.input_image
        counts = (
            bounds.input_text, bounds.input_audio, bounds.input_image, bounds.output_audio, bounds.output_image,
            bounds.requests, bounds.web_searches, bounds.tool_calls,
        )  # fmt: skip
        output = bounds.output_text
        fixed = per_output = 0
        for above, rates, unpriced in self._steps:
            if above >= most and above:
                continue
            for place, meter in unpriced:
                if counts[place] if place < _OUTPUT else output:
                    raise Unpriced(f"the price of {meter} is not known for this model", field="model")
            fixed = max(fixed, sum(map(mul, counts, rates)))
            if output:
                classes = _ANY_OUTPUT if bounds.output_any else _ANY_OUTPUT[:1]
                per_output = max(per_output, *[rates[place] for place in classes])
        return Worst(fixed, per_output, output, self.currency)


def _step(card: RateCard, step: RateStep) -> _Step:
    rates, unpriced = [], []
    for place, meters in enumerate(_CLASSES):
        missing = [meter for meter in meters if METER_INDEX[meter] in card.missing]
        needed = [meter for meter in missing if meter not in _OPTIONAL]
        if needed:
            unpriced.append((place, needed[0]))
        priced = [step.contracted_rates[METER_INDEX[meter]] for meter in meters if meter not in missing]
        rates.append(0 if needed else max(priced))
    above = 0 if step is card.steps[0] else step.above_input_tokens
    return _Step(above, tuple(rates), tuple(unpriced))


def _up(pico: int, rate: Decimal) -> int:
    return convert_pico(pico, rate) + 1 if pico and rate != 1 else pico

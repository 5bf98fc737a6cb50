"""Names of models, and what follows from them: the shipped register's patterns, lines between prices, what may be said.

Pure, but that the register is read from the file beside this one, once.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from finops.core.errors import Invalid
from routing.tiers.types import Entry, Tier

LONGEST_MODEL: Final = 200
LONGEST_VENDOR: Final = 60
MOST_ENTRIES: Final = 1_000
REGISTER: Final = Path(__file__).with_name("register.toml")

# List price in dollars per million tokens, three of input to one of output: about what chats and agents use without
# their caches. The lines are where makers draw them in November 2026: the largest models of those who sell three
# classes cost 3 and more (GPT-6 Sol 4, Gemini 3.1 Pro 4.5, Claude Opus 5.5 8), the small ones less than 0.6 (GPT-6 Luna
# 0.2, Claude Haiku 5.5 0.2, DeepSeek Flash 0.5), and the largest of those who sell for less lie between.
INPUT_SHARE: Final = Decimal("0.75")
FRONTIER_FROM: Final = Decimal(3)
MID_FROM: Final = Decimal("0.6")

# What stands in front of a model's name: regions of Bedrock, and whatever serves or made it.
_REGION: Final = re.compile(r"^(?:global|regional|us|us-gov|eu|apac|jp|au|ca|sa)\.")
_EFFORT: Final = re.compile(r"@(?:minimal|low|medium|high|xhigh|max|none)$")
_BEDROCK_VERSION: Final = re.compile(r"(?:-v\d+)?:\d+$")
_VARIANT: Final = re.compile(r":(?:free|batch|extended|thinking|online|nitro|floor)$")
# Words by which a name nobody knows, and nobody prices, says that it is small; or how many billions it has.
_SMALL: Final = re.compile(r"(?:^|[-_.])(?:mini|nano|micro|tiny|small|lite|light|flash|haiku)(?:$|[-_.])")
_BILLIONS: Final = re.compile(r"(?:^|[-_])(\d+(?:\.\d+)?)b(?:$|[-_])")
_SMALL_BILLIONS: Final = 20
_MODEL: Final = re.compile(r"[^\s*\x00-\x1f\x7f]+\*?")
VENDOR: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")
ORIGIN: Final = re.compile(r"[A-Z]{2}")


class ModelTierInvalid(Invalid):
    """Something said of a model that cannot be; `field` says where."""

    code = "tiers.invalid"


class TooManyEntries(Invalid):
    code = "tiers.too_many"


class Pattern(NamedTuple):
    """`letters` is how many of its own it has: of several that fit, the one with most wins."""

    letters: int
    text: str
    fits: re.Pattern[str]
    vendor: str
    says: Any


class Vendor(NamedTuple):
    """`provider` is the price catalogue's word for the maker's own API, '' where it has none."""

    vendor: str
    title: str
    origin: str
    provider: str


class Shipped(NamedTuple):
    """The register as it is shipped. `makers` are words for a maker, by themselves or in front of a name."""

    vendors: Mapping[str, Vendor]
    makers: Mapping[str, str]
    models: tuple[Pattern, ...]
    tiers: tuple[Pattern, ...]
    weights: tuple[Pattern, ...]


def shipped() -> Shipped:
    """Read once. Raises ValueError where the file says what cannot be."""
    return _shipped()


@cache
def _shipped() -> Shipped:
    return read(tomllib.loads(REGISTER.read_text("utf-8")))


def read(tables: Mapping[str, Any]) -> Shipped:
    """The register from its tables. Raises ValueError."""
    vendors: dict[str, Vendor] = {}
    makers: dict[str, str] = {}
    models: list[Pattern] = []
    tiers: list[Pattern] = []
    weights: list[Pattern] = []
    for vendor, table in tables.items():
        unknown = set(table) - {"title", "origin", "provider", "also", "models", "open", "closed", *Tier}
        if unknown or not VENDOR.fullmatch(vendor) or not ORIGIN.fullmatch(table["origin"]):
            raise ValueError(f"the register says of {vendor!r} what cannot be: {sorted(unknown)}")
        vendors[vendor] = Vendor(vendor, table["title"], table["origin"], table.get("provider", ""))
        for word in (vendor, *table.get("also", ())):
            if makers.setdefault(word, vendor) != vendor:
                raise ValueError(f"{word!r} is two makers")
        models += _patterns(vendor, table["models"], vendor)
        for tier in Tier:
            tiers += _patterns(vendor, table.get(tier.value, ()), tier)
        weights += _patterns(vendor, table.get("open", ()), True)
        weights += _patterns(vendor, table.get("closed", ()), False)
    return Shipped(vendors, makers, _sorted(models), _sorted(tiers), _sorted(weights))


def _patterns(vendor: str, texts: Iterable[str], says: Any) -> list[Pattern]:
    return [pattern(text, vendor=vendor, says=says) for text in texts]


def pattern(text: str, *, vendor: str = "", says: Any = None) -> Pattern:
    """A pattern made ready; `*` stands for anything. Raises ValueError for one that no plain name fits."""
    if not text or text != text.lower() or "/" in text:
        raise ValueError(f"{text!r} is no pattern of a plain name")
    fits = re.compile(".*".join(map(re.escape, text.split("*"))) + r"\Z")
    return Pattern(len(text.replace("*", "")), text, fits, vendor, says)


def _sorted(patterns: list[Pattern]) -> tuple[Pattern, ...]:
    return tuple(sorted(patterns, key=lambda one: (-one.letters, one.text)))


def fitting(patterns: Iterable[Pattern], name: str, vendor: str = "") -> Pattern | None:
    """The first that fits: patterns are in the order of their letters. With a vendor, of that one alone."""
    return next((one for one in patterns if (not vendor or one.vendor == vendor) and one.fits.match(name)), None)


class Name(NamedTuple):
    """A model's name without what is in front of it and behind it, and the words that were in front, last first."""

    plain: str
    before: tuple[str, ...]


def name_of(model: str, makers: Mapping[str, str]) -> Name:
    """`us.anthropic.claude-opus-4-8-v1:0`, `openrouter/anthropic/claude-opus-4.8:batch` and `claude-opus-4-8@low` are
    one model's names to what a register says.
    """
    text = model.strip().lower()[: 2 * LONGEST_MODEL]
    *heads, text = text.split("/")
    text = _BEDROCK_VERSION.sub("", _VARIANT.sub("", _EFFORT.sub("", text.removeprefix("ft:"))))
    text = _REGION.sub("", text)
    before = [head.lstrip("@~") for head in reversed(heads)]
    maker, dot, rest = text.partition(".")
    if dot and rest and (maker in makers or maker in ("anthropic", "amazon")):
        before.insert(0, maker)
        text = rest
    host, dash, rest = text.partition("-")
    if dash and host == "databricks":
        text = rest
    return Name(text, tuple(before))


def tier_by_price(per_million: Decimal) -> Tier:
    """`per_million` is a list price in dollars, blended as INPUT_SHARE says."""
    if per_million >= FRONTIER_FROM:
        return Tier.FRONTIER
    return Tier.MID if per_million >= MID_FROM else Tier.LIGHT


def tier_by_name(plain: str) -> Tier:
    """A guess, where nobody knows more: what calls itself small is light, everything else the middle."""
    billions = _BILLIONS.search(plain)
    if _SMALL.search(plain) or (billions and float(billions[1]) < _SMALL_BILLIONS):
        return Tier.LIGHT
    return Tier.MID


def check(entry: Entry) -> Entry:
    """As it is kept: the name in lower case. Raises ModelTierInvalid."""
    model = entry.model.strip().lower()
    if not model or len(model) > LONGEST_MODEL or not model.isprintable() or not _MODEL.fullmatch(model):
        raise ModelTierInvalid(
            f"a model is a name of 1 to {LONGEST_MODEL} characters without spaces; a * at its end is all that begin so",
            field="model",
        )
    vendor = entry.vendor.strip().lower()
    if vendor and (len(vendor) > LONGEST_VENDOR or not VENDOR.fullmatch(vendor)):
        raise ModelTierInvalid("a vendor is a word of letters, digits, dots and dashes", field="vendor")
    origin = entry.origin.strip().upper()
    if origin and not ORIGIN.fullmatch(origin):
        raise ModelTierInvalid("an origin is a country by its two letters (ISO 3166 alpha-2)", field="origin")
    if not vendor and not origin and entry.tier is None and entry.open_weights is None:
        raise ModelTierInvalid("say something of it: a tier, a vendor, an origin or whether its weights are open")
    return Entry(model=model, vendor=vendor, origin=origin, tier=entry.tier, open_weights=entry.open_weights)
